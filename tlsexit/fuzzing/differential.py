"""The same script against two or more targets: where do they differ?

Answers are compared by what they come to: the target goes on, it refuses with an alert, it just closes. Which alert it
is does not count unless asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from tlsexit.alerts import alert_name
from tlsexit.fuzzing.conversation import Conversation, Lane, Terms
from tlsexit.fuzzing.departures import Plan
from tlsexit.fuzzing.minimal import minimal
from tlsexit.fuzzing.plans import Abilities, plans
from tlsexit.fuzzing.play import play, rehearse
from tlsexit.fuzzing.script import Script

_OVER_SOCKETS: Final = 30
"""How often a script is tried smaller over sockets, at most: each time takes about as long as the patience is."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one connection came to: ``goes on``, ``close_notify``, ``alert`` or ``close``; which alert, at what move.

    ``established`` is whether a handshake was complete in the end, both Finished being right.
    """

    kind: str
    alert: int | None
    at: str
    established: bool

    def __str__(self) -> str:
        what = alert_name(self.alert) if self.alert is not None else self.kind
        return what if self.kind == "goes on" else f"{what} at {self.at or 'the end'}"

    def short(self, lossy: bool) -> str:
        """Return the kind; where alerts are lost, ``ends`` for all but ``goes on``."""
        return "ends" if lossy and self.kind != "goes on" else self.kind

    def like(self, other: Outcome, *, exact: bool, lossy: bool) -> bool:
        """Whether two outcomes are the same.

        ``exact``: with the same alert, too; ``lossy``: an alert and what came before it may have been lost, and a close
        counts as one.
        """
        if lossy and "goes on" not in (self.kind, other.kind):
            return True
        same = self.kind == other.kind and self.established == other.established
        return same and (not exact or self.alert == other.alert)


def outcome(conversation: Conversation) -> Outcome:
    """Return what a finished conversation came to.

    What a target says to our hanging up, such as OpenSSL's decode_error, is no answer to what was said before.
    """
    at = str(conversation.ended_at) if conversation.ended and conversation.ended_at is not None else ""
    fatal = conversation.puppet.fatal if conversation.ended else None
    puppet = conversation.puppet
    orderly = "close_notify" if puppet.close_notify else "close" if conversation.ended else "goes on"
    kind = orderly if fatal is None else "alert"
    return Outcome(kind, fatal, at, puppet.complete and puppet.peer_finished_is_right)


@dataclass(frozen=True)
class Contestant:
    """One of the targets compared."""

    name: str
    lane: Lane
    terms: Terms


@dataclass(frozen=True)
class Difference:
    """A script that shows a difference, and what its connections came to at each target.

    ``place`` is the first connection with a difference, ``about`` the move that it is about,
    ``requirements`` those that the move breaks or relies on. ``lossy``: one target is behind a socket, where an alert
    is lost if the target hangs up on what it has not read (RFC 1122 §4.2.2.13).
    """

    script: Script
    outcomes: dict[str, tuple[Outcome, ...]] = field(compare=False)
    place: int = 0
    requirements: tuple[str, ...] = ()
    about: str = ""
    lossy: bool = False

    @property
    def kinds(self) -> tuple[str, ...]:
        """What each target did, in short: the kind of its outcome; ``ends`` for most of them where alerts are lost.

        ``nothing``: it had no such connection. Only where that says nothing, ``established`` is added.
        """
        found = [outcomes[self.place : self.place + 1] for outcomes in self.outcomes.values()]
        kinds = tuple(item[0].short(self.lossy) if item else "nothing" for item in found)
        if len(set(kinds)) > 1:
            return kinds
        return tuple("established" if item and item[0].established else kinds[0] for item in found)

    @property
    def key(self) -> tuple[str, tuple[str, ...]]:
        """What makes two differences one: the requirement, or without one the move, and how each target took it."""
        about = self.requirements[0] if self.requirements else self.about.split(" ")[0]
        return about, self.kinds

    def __str__(self) -> str:
        lines = [str(self.script)]
        for name, found in self.outcomes.items():
            lines.append(f"  {name}: {', '.join(map(str, found))}")
        return "\n".join(lines)


def compare(script: Script, contestants: Iterable[Contestant], *, exact: bool = False) -> Difference | None:
    """Play the script against each; returns how they differ, None if they do not."""
    outcomes: dict[str, tuple[Outcome, ...]] = {}
    conversations: list[tuple[Conversation, ...]] = []
    for number, contestant in enumerate(contestants, 1):
        played = play(contestant.lane, script, contestant.terms)
        name = contestant.name if contestant.name not in outcomes else f"{contestant.name} ({number})"
        outcomes[name] = tuple(outcome(item) for item in played.conversations)
        conversations.append(played.conversations)
    lossy = any(not item.guard.in_process for items in conversations for item in items)
    first, *others = outcomes.values()
    places = (_apart(first, other, exact, lossy) for other in others)
    place = min((place for place in places if place is not None), default=None)
    if place is None:
        return None
    about, requirements = _about([items[place] for items in conversations if place < len(items)])
    return Difference(script, outcomes, place, requirements, about, lossy)


def _apart(first: tuple[Outcome, ...], other: tuple[Outcome, ...], exact: bool, lossy: bool) -> int | None:
    """Return the first place at which two runs of a script differ; None if they do not."""
    for place, (mine, yours) in enumerate(zip(first, other, strict=False)):
        if not mine.like(yours, exact=exact, lossy=lossy):
            return place
    return min(len(first), len(other)) if len(first) != len(other) else None


def _about(conversations: Sequence[Conversation]) -> tuple[str, tuple[str, ...]]:
    """Return the move that a difference is about, and the requirements behind it: the first wrong one, if any is."""
    for talk in conversations:
        if talk.spoilt is not None:
            return str(talk.spoilt_by), talk.spoilt.requirements
    for talk in conversations:
        for move, expected in reversed(talk.granted):
            if expected.requirements:
                return str(move), expected.requirements
    unclear = [talk.unclear_by for talk in reversed(conversations) if talk.unclear_by is not None]
    last = [talk.made[-1] for talk in conversations if talk.made]
    return next(map(str, (*unclear, *last)), ""), ()


class Comparison:
    """Scripts played against several targets; each kind of difference is kept once, by its smallest script.

    ``listen`` is told of each, ``attempts`` bounds how often a script is tried smaller, over sockets more tightly.
    """

    def __init__(
        self,
        contestants: tuple[Contestant, ...],
        *,
        exact: bool = False,
        attempts: int = 120,
        listen: Callable[[Difference], None] = lambda difference: None,
    ) -> None:
        self._contestants = contestants
        self._exact = exact
        self._attempts = attempts
        self._listen = listen
        self.found: dict[tuple[str, tuple[str, ...]], Difference] = {}
        self.scripts = 0
        """How many have been played, those tried smaller not counted."""

    def plans(self, abilities: Iterable[Abilities]) -> tuple[Plan, ...]:
        """Return the honest scripts that work with every target; ``abilities`` are the targets', in order."""
        every = list(abilities)
        suites = tuple(value for value in every[0].suites if all(value in other.suites for other in every))
        shared = Abilities(
            every[0].role,
            suites,
            all(item.resumes for item in every),
            all(item.tickets for item in every),
            all(item.renegotiates for item in every),
        )
        made = []
        for script in plans(shared) if suites else ():
            rehearsals = [rehearse(contestant.lane, script, contestant.terms) for contestant in self._contestants]
            if all(rehearsal.works for rehearsal in rehearsals):
                made.append(Plan.of(rehearsals[0]))
        return tuple(made)

    def look(self, script: Script) -> Difference | None:
        """Play one script; returns what it has shown that was not known."""
        self.scripts += 1
        difference = compare(script, self._contestants, exact=self._exact)
        if difference is None or difference.key in self.found:
            return None
        key = difference.key

        def same(candidate: Script) -> bool:
            again = compare(candidate, self._contestants, exact=self._exact)
            return again is not None and again.key == key

        attempts = min(self._attempts, _OVER_SOCKETS) if difference.lossy else self._attempts
        smallest = compare(minimal(script, same, attempts=attempts), self._contestants, exact=self._exact)
        self.found[key] = smallest if smallest is not None and smallest.key == key else difference
        self._listen(self.found[key])
        return self.found[key]


def differences(
    scripts: Iterable[Script],
    contestants: tuple[Contestant, ...],
    *,
    exact: bool = False,
    listen: Callable[[Difference], None] = lambda difference: None,
) -> list[Difference]:
    """Return how the contestants differ over ``scripts``, each kind of difference once, by its smallest script."""
    comparison = Comparison(contestants, exact=exact, listen=listen)
    for script in scripts:
        comparison.look(script)
    return list(comparison.found.values())
