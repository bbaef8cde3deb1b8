"""The same script against two or more targets: where do they differ?

Answers are compared by what they come to: the target goes on, it refuses with an alert, it just closes. Which alert it
is does not count unless asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from tlsexit.alerts import alert_name
from tlsexit.fuzzing.conversation import Conversation, Lane, Terms
from tlsexit.fuzzing.minimal import minimal
from tlsexit.fuzzing.play import play
from tlsexit.fuzzing.script import Script


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one connection came to: ``goes on``, ``alert`` or ``close``; the alert's number; the move it ended at.

    ``established`` is whether the handshake was complete when the fuzzer had said everything.
    """

    kind: str
    alert: int | None
    at: str
    established: bool

    def __str__(self) -> str:
        what = alert_name(self.alert) if self.alert is not None else self.kind
        return what if self.kind == "goes on" else f"{what} at {self.at or 'the end'}"

    def like(self, other: Outcome, *, exact: bool) -> bool:
        """Whether two outcomes are the same; ``exact``: with the same alert, too."""
        same = self.kind == other.kind and self.established == other.established
        return same and (not exact or self.alert == other.alert)


def outcome(conversation: Conversation) -> Outcome:
    """Return what a finished conversation came to."""
    at = str(conversation.ended_at) if conversation.ended and conversation.ended_at is not None else ""
    fatal = conversation.puppet.fatal
    kind = "alert" if fatal is not None else "close" if conversation.ended else "goes on"
    return Outcome(kind, fatal, at, conversation.final_established)


@dataclass(frozen=True)
class Contestant:
    """One of the targets compared."""

    name: str
    lane: Lane
    terms: Terms


@dataclass(frozen=True)
class Difference:
    """The smallest script that shows a difference, what it came to at each target, and the requirements it is about."""

    script: Script
    outcomes: dict[str, tuple[Outcome, ...]] = field(compare=False)
    requirements: tuple[str, ...] = ()
    about: str = ""

    def __str__(self) -> str:
        lines = [str(self.script)]
        for name, found in self.outcomes.items():
            lines.append(f"  {name}: {', '.join(map(str, found))}")
        return "\n".join(lines)


def compare(script: Script, contestants: Iterable[Contestant], *, exact: bool = False) -> Difference | None:
    """Play the script against each; returns how they differ, None if they do not."""
    outcomes: dict[str, tuple[Outcome, ...]] = {}
    requirements: tuple[str, ...] = ()
    about = ""
    for contestant in contestants:
        played = play(contestant.lane, script, contestant.terms)
        outcomes[contestant.name] = tuple(outcome(item) for item in played.conversations)
        for item in played.conversations:
            granted = [move for move, _ in item.granted]
            named = item.spoilt.requirements if item.spoilt is not None else ()
            named = named or tuple(id for _, expected in item.granted for id in expected.requirements)
            if named and not requirements:
                requirements = named
                about = str(item.spoilt_by if item.spoilt_by is not None else granted[-1])
    first, *others = outcomes.values()
    alike = all(
        len(first) == len(other) and all(a.like(b, exact=exact) for a, b in zip(first, other, strict=True))
        for other in others
    )
    return None if alike else Difference(script, outcomes, requirements, about)


def differences(
    scripts: Iterable[Script],
    contestants: tuple[Contestant, ...],
    *,
    exact: bool = False,
    listen: Callable[[Difference], None] = lambda difference: None,
) -> list[Difference]:
    """Return how the contestants differ over ``scripts``, each kind of difference once, by its smallest script."""
    found: dict[tuple[object, ...], Difference] = {}
    for script in scripts:
        difference = compare(script, contestants, exact=exact)
        if difference is None or _key(difference) in found:
            continue
        key = _key(difference)

        def same(candidate: Script, key: tuple[object, ...] = key) -> bool:
            again = compare(candidate, contestants, exact=exact)
            return again is not None and _key(again) == key

        smallest = compare(minimal(script, same, attempts=120), contestants, exact=exact)
        found[key] = smallest if smallest is not None and _key(smallest) == key else difference
        listen(found[key])
    return list(found.values())


def _key(difference: Difference) -> tuple[object, ...]:
    """What makes two differences the same: the requirement they are about, and how each target took it."""
    kinds = tuple(tuple(item.kind for item in outcomes) for outcomes in difference.outcomes.values())
    return difference.requirements[:1], kinds if not difference.requirements else tuple(k[-1:] for k in kinds)
