"""A fuzzing run: honest conversations first, then every single departure from them, then whatever Hypothesis draws."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.database import ExampleDatabase
from hypothesis.errors import Flaky

from tlsexit.fuzzing.conversation import Lane, Terms
from tlsexit.fuzzing.departures import Plan, sweep
from tlsexit.fuzzing.findings import SEVERITY, Finding, Flaw
from tlsexit.fuzzing.minimal import minimal
from tlsexit.fuzzing.plans import Abilities, plans
from tlsexit.fuzzing.play import Played, play, rehearse
from tlsexit.fuzzing.script import Script
from tlsexit.fuzzing.scripts import scripts

_ROUND: Final = 200
"""Conversations that Hypothesis draws at a time; between two rounds the budget is looked at."""


class NothingWorks(Exception):
    """The target completes no honest handshake, so that nothing can be learnt from how it takes dishonest ones."""


@dataclass(frozen=True)
class Budget:
    """How long a run may take: in ``seconds``, in ``examples`` (conversations); None is without end."""

    seconds: float | None = 60.0
    examples: int | None = None

    def spent(self, conversations: int, seconds: float) -> bool:
        """Whether so many conversations in so many seconds have used it up."""
        if self.examples is not None and conversations >= self.examples:
            return True
        return self.seconds is not None and seconds >= self.seconds


@dataclass(frozen=True)
class Discovery:
    """A finding, the smallest script that shows it, and how that went."""

    finding: Finding
    script: Script
    played: Played
    after: int
    """Conversations held before it."""


@dataclass
class Report:
    """What a run has found, and what it has done."""

    target: str
    role: str
    discoveries: list[Discovery] = field(default_factory=list)
    conversations: int = 0
    honest: int = 0
    unplayable: int = 0
    slowest: float = 0.0
    seconds: float = 0.0
    seed: int = 0

    @property
    def worst(self) -> str | None:
        """The severity of the worst finding, None if there is none."""
        found = {discovery.finding.severity for discovery in self.discoveries}
        return next((severity for severity in ("high", "medium", "low") if severity in found), None)


class Found(Exception):
    """A finding, raised for Hypothesis: one class for each, so that it tells them apart."""


class Campaign:
    """A run against one target through ``lane``, which ``found`` says what it can do.

    ``listen`` is told of every conversation and every discovery; ``ignore`` are flaws of no interest, ``corpus``
    scripts to play first. ``database`` is one of Hypothesis's own: on disk, or in Redis for several machines.
    """

    def __init__(
        self,
        lane: Lane,
        name: str,
        found: Abilities,
        terms: Terms,
        budget: Budget,
        *,
        number: int = 0,
        database: ExampleDatabase | None = None,
        corpus: Iterable[Script] = (),
        ignore: frozenset[Flaw] = frozenset(),
        listen: Callable[[Report, Discovery | None], None] = lambda report, discovery: None,
        revive: Callable[[], bool] = lambda: False,
    ) -> None:
        self._lane = lane
        self._abilities = found
        self._terms = terms
        self._budget = budget
        self._number = number
        self._database = database
        self._corpus = tuple(corpus)
        self._ignore = ignore
        self._listen = listen
        self._revive = revive
        self._start = time.monotonic()
        self._known: set[tuple[Any, ...]] = set()
        self._plans: tuple[Plan, ...] = ()
        self.report = Report(name, found.role.value, seed=number)

    def run(self) -> Report:
        """Return what was found. Raises :class:`NothingWorks`."""
        self._start = time.monotonic()
        self._rehearse()
        for script in self._corpus:
            self._try(script)
        for script in sweep(self._plans):
            if self._spent():
                break
            self._try(script)
        number = self._number
        while not self._spent():
            self._draw(number)
            number += 1
        self.report.seconds = time.monotonic() - self._start
        return self.report

    # ------------------------------------------------------------------------------------------- its parts

    def _rehearse(self) -> None:
        """Hold the honest conversations; those that fail are findings, the others are what everything departs from."""
        good: list[Plan] = []
        last = ""
        for script in plans(self._abilities):
            rehearsal = rehearse(self._lane, script, self._terms)
            played = rehearsal.played
            self._count(played)
            if rehearsal.works:
                good.append(Plan.of(rehearsal))
            elif played.findings or not played.complete:
                last = str(played.findings[0]) if played.findings else str(played.conversations[-1].stuck)
                self._note(played)
        self.report.honest = len(good)
        if not good:
            raise NothingWorks(f"no honest handshake completes; the last one: {last}")
        self._plans = tuple(good)

    def _try(self, script: Script) -> None:
        played = self._play(script)
        for finding in self._news(played):
            self._discover(finding, script)

    def _play(self, script: Script) -> Played:
        played = play(self._lane, script, self._terms)
        self._count(played)
        if any(finding.flaw is Flaw.CRASH for finding in played.findings):
            self._revive()
        self._listen(self.report, None)
        return played

    def _count(self, played: Played) -> None:
        self.report.conversations += 1
        self.report.unplayable += not played.complete
        slowest = max((item.guard.slowest for item in played.conversations), default=0.0)
        self.report.slowest = max(self.report.slowest, slowest)

    def _news(self, played: Played) -> Iterator[Finding]:
        for finding in played.findings:
            if finding.flaw not in self._ignore and finding.key[:2] not in self._known:
                yield finding

    def _note(self, played: Played) -> None:
        """Keep the findings of an honest conversation as they are: it is as small as it can be."""
        for finding in self._news(played):
            self._add(Discovery(finding, played.script, played, self.report.conversations))

    def _discover(self, finding: Finding, script: Script) -> None:
        after = self.report.conversations

        def shows(candidate: Script) -> bool:
            played = play(self._lane, candidate, self._terms)
            return any(item.key[:2] == finding.key[:2] for item in played.findings)

        attempts = 400 if self._terms.patience < 0.05 or self._quick else 60
        smallest = minimal(script, shows, attempts=attempts)
        played = play(self._lane, smallest, self._terms)
        same = [item for item in played.findings if item.key[:2] == finding.key[:2]]
        if not same:  # it does not repeat itself: keep what was seen
            smallest, played = script, play(self._lane, script, self._terms)
        self._add(Discovery(same[0] if same else finding, smallest, played, after))

    @property
    def _quick(self) -> bool:
        """Whether conversations cost next to nothing: only a target in this process is timed."""
        return self.report.slowest > 0.0

    def _add(self, discovery: Discovery) -> None:
        self._known.add(discovery.finding.key[:2])
        self.report.discoveries.append(discovery)
        self.report.discoveries.sort(key=lambda item: list(SEVERITY).index(item.finding.flaw))
        self._listen(self.report, discovery)

    def _draw(self, number: int) -> None:
        """Let Hypothesis draw a round of conversations; what it keeps in its database it tries first."""
        examples = _ROUND
        if self._budget.examples is not None:
            examples = max(1, min(examples, self._budget.examples - self.report.conversations))

        drawn: list[tuple[Finding, Script]] = []

        @seed(number)
        @settings(
            max_examples=examples,
            deadline=None,
            database=self._database,
            phases=(Phase.reuse, Phase.generate),  # what is found is made smaller here, with a budget
            suppress_health_check=list(HealthCheck),
            report_multiple_bugs=False,
        )
        @given(scripts(self._plans))
        def conversation(script: Script) -> None:
            if self._spent():
                return
            played = self._play(script)
            for finding in self._news(played):
                drawn.append((finding, script))
                raise _found(finding)(str(finding))

        conversation.hypothesis.inner_test._hypothesis_internal_add_digest = self._digest  # type: ignore[attr-defined]
        try:
            conversation()
        except (Found, Flaky):  # a target need not do the same thing twice
            for finding, script in drawn:
                if finding.key[:2] not in self._known:
                    self._discover(finding, script)

    @property
    def _digest(self) -> bytes:
        """What examples are filed under: the same for every run against a target of this role."""
        return f"tlsexit fuzz {self._abilities.role.value}".encode()

    def _spent(self) -> bool:
        """Whether the budget is used up."""
        return self._budget.spent(self.report.conversations, time.monotonic() - self._start)


def _found(finding: Finding) -> type[Found]:
    """Return the exception class of a finding."""
    name = f"{finding.flaw.name.title()}_{finding.key[1]}"
    return _CLASSES.setdefault(name, type(name, (Found,), {}))


_CLASSES: Final[dict[str, type[Found]]] = {}
