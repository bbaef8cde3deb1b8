"""Run probes against a target, several at a time, and make sure of what they find.

Probes run in sets, one for each group. An honest handshake comes before and after each set: a target that has died must
not be taken for a strict one. A probe that does not pass is repeated, with longer waits, until two answers agree.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from importlib.metadata import version
from queue import SimpleQueue
from threading import Lock
from typing import Final

from tlsexit.conformance.actions import Action, Check, Connect, Expect, Observe, handshake
from tlsexit.conformance.discovery import discover
from tlsexit.conformance.expect import completed
from tlsexit.conformance.model import SEVERITY, Probe, Verdict
from tlsexit.conformance.needs import Capabilities
from tlsexit.conformance.results import Report, Result, conversation, described, result_of
from tlsexit.conformance.talk import Outcome, Talk, Terms
from tlsexit.conformance.targets import Lane, Target, Unreachable
from tlsexit.crypto.suites import SUITES
from tlsexit.puppet import Puppet

TRIES: Final = 3
"""How often a probe is held at most."""

Listener = Callable[[Result], None]


@dataclass(frozen=True)
class Options:
    """How to run. ``jobs`` are probes at a time, ``fields`` whether every message is decoded in the result even where a
    probe passes, ``opt_in`` whether probes run that have to be asked for.
    """

    jobs: int = field(default_factory=lambda: min(8, 2 * (os.cpu_count() or 1)))
    fields: bool = False
    opt_in: bool = False
    tries: int = TRIES


class Survey:
    """Everything that a target has said in a run, for the probes that look at all of it."""

    def __init__(self) -> None:
        self.puppets: list[Puppet] = []
        self._lock = Lock()

    def add(self, puppets: Iterable[Puppet]) -> None:
        """Enter the connections of one conversation."""
        with self._lock:
            self.puppets += puppets


def run(
    target: Target,
    probes: Sequence[Probe],
    terms: Terms,
    options: Options | None = None,
    *,
    listener: Listener = lambda result: None,
    capabilities: Capabilities | None = None,
    command: str = "",
) -> Report:
    """Run those of the probes that test the target's role; ``listener`` is told of each result, from any thread.

    Raises :class:`~tlsexit.conformance.targets.Unreachable` and
    :class:`~tlsexit.conformance.discovery.NotConforming` when there is nothing to test.
    """
    started, clock = datetime.now(UTC), time.monotonic()
    found = discover(target, terms) if capabilities is None else capabilities
    terms = adapted(terms, found)
    runner = Runner(target, found, terms, options or Options(), listener)
    mine = [probe for probe in probes if probe.tests is target.tests]
    try:
        results = runner.all(mine)
    finally:
        runner.close()
    return Report(
        target=target.name,
        role=target.tests.value,
        profile=terms.reading.value,
        started=started.isoformat(timespec="seconds"),
        seconds=time.monotonic() - clock,
        tool=version("tlsexit"),
        capabilities=described(found),
        results=results,
        command=command,
    )


def adapted(terms: Terms, found: Capabilities) -> Terms:
    """Return terms with waits that suit a target as slow as this one."""
    slow = found.handshake_seconds
    return replace(terms, patience=max(terms.patience, 10 * slow), quiet=max(terms.quiet, 3 * slow))


class Runner:
    """The lanes of a target, and what has been found over them."""

    def __init__(
        self, target: Target, capabilities: Capabilities, terms: Terms, options: Options, listener: Listener
    ) -> None:
        self._target = target
        self._capabilities = capabilities
        self._terms = terms
        self._options = options
        self._listener = listener
        self._jobs = max(1, min(options.jobs, target.lanes)) if capabilities.parallel else 1
        self._lanes: SimpleQueue[Lane] = SimpleQueue()
        self._open: list[Lane] = []
        for _ in range(self._jobs):
            lane = target.lane()
            self._open.append(lane)
            self._lanes.put(lane)
        self._survey = Survey()
        self._observed: dict[tuple[object, ...], tuple[Talk, Outcome]] = {}
        self._locks: dict[tuple[object, ...], Lock] = {}
        self._lock = Lock()
        self._dead = ""

    def close(self) -> None:
        """Give the lanes up."""
        for lane in self._open:
            lane.close()

    # ------------------------------------------------------------------------------------------- sets of probes

    def all(self, probes: Sequence[Probe]) -> tuple[Result, ...]:
        """Run every probe; the results are in the order of the probes."""
        found: dict[str, Result] = {}
        held = [probe for probe in probes if not probe.survey]
        for group in dict.fromkeys(probe.group for probe in held):
            for result in self._set([probe for probe in held if probe.group == group]):
                found[result.id] = result
                self._listener(result)
        for probe in probes:
            if probe.survey:
                found[probe.id] = self._surveyed(probe)
                self._listener(found[probe.id])
        return tuple(found[probe.id] for probe in probes)

    def _set(self, probes: list[Probe]) -> list[Result]:
        if not self._dead and not self._alive() and not self._revived():
            self._dead = "the target does not complete an honest handshake any more"
        if self._dead:
            return [result_of(probe, Verdict.INCONCLUSIVE, self._dead) for probe in probes]
        results = self._parallel(probes)
        if self._alive():
            return results
        # somebody of the set has killed it: find out who, one by one
        if not self._revived():
            self._dead = "the target does not complete an honest handshake any more"
            return [self._doubtful(result) for result in results]
        return [self._alone(probe, result) for probe, result in zip(probes, results, strict=True)]

    def _parallel(self, probes: list[Probe]) -> list[Result]:
        if self._jobs == 1:
            return [self.one(probe) for probe in probes]
        with ThreadPoolExecutor(self._jobs) as pool:
            return list(pool.map(self.one, probes))

    def _alone(self, probe: Probe, before: Result) -> Result:
        """Repeat a probe and see whether the target survives it."""
        if before.verdict is Verdict.NOT_APPLICABLE or self._dead:
            return before if before.verdict is Verdict.NOT_APPLICABLE else self._doubtful(before)
        result = self.one(probe)
        if self._alive():
            return result
        if not self._revived():
            self._dead = "the target does not complete an honest handshake any more"
        return replace(result, verdict=Verdict.FAIL, reason=f"the target is dead after this ({result.reason})")

    def _doubtful(self, result: Result) -> Result:
        if result.verdict is Verdict.NOT_APPLICABLE:
            return result
        return replace(result, verdict=Verdict.INCONCLUSIVE, reason=f"the target died meanwhile ({result.reason})")

    def _alive(self) -> bool:
        """Whether an honest handshake completes; three chances."""
        probe = Probe("canary/7.3/canary", "an honest handshake", self._target.tests, ("R2246-7.3-01",), ())
        for number in range(3):
            lane = self._lanes.get()
            try:
                talk = Talk(lane, self._capabilities, patient(self._terms, number + 1), probe)
                if talk.hold((handshake(), Expect((completed(),)))).verdict is Verdict.PASS:
                    return True
            finally:
                self._lanes.put(lane)
            time.sleep(0.2 * number)
        return False

    def _revived(self) -> bool:
        return self._target.restart() and self._alive()

    # ------------------------------------------------------------------------------------------- one probe

    def result(self, probe: Probe) -> Result:
        """Run a single probe, and see that the target has survived it if it does not pass."""
        if probe.survey:
            return self._surveyed(probe)
        found = self.one(probe)
        if found.verdict in (Verdict.PASS, Verdict.NOT_APPLICABLE) or self._alive():
            return found
        revived = self._revived()
        reason = f"the target is dead after this ({found.reason})"
        return replace(found, verdict=Verdict.FAIL if revived else Verdict.INCONCLUSIVE, reason=reason)

    def one(self, probe: Probe) -> Result:
        """Run one probe, as often as it takes to be sure."""
        missing = inapplicable(probe, self._capabilities, self._terms, self._options)
        if missing is not None:
            return result_of(probe, Verdict.NOT_APPLICABLE, missing)
        start = time.monotonic()
        outcomes: list[Outcome] = []
        talk: Talk | None = None
        for number in range(self._options.tries):
            talk, outcome = self._held(probe, number)
            outcomes.append(outcome)
            if sure(outcomes):
                break
        assert talk is not None
        outcome = decided(outcomes)
        suite = SUITES.get(talk.puppets[-1].suite) if talk.puppets else None
        fields = self._options.fields or outcome.verdict is not Verdict.PASS
        return result_of(
            probe,
            outcome.verdict,
            outcome.reason,
            suite=None if suite is None else suite.name,
            seconds=round(time.monotonic() - start, 3),
            tries=tuple(item.verdict for item in outcomes),
            connections=conversation(talk.puppets, fields=fields, own=talk.own),
        )

    def _held(self, probe: Probe, number: int) -> tuple[Talk, Outcome]:
        shared, checks = split_observation(probe)
        if shared is not None and number == 0:
            talk, outcome = self._observation(probe, shared)
            talk = talk.seen_by(probe)
            return talk, outcome if outcome.verdict is not Verdict.PASS else talk.hold(checks)
        lane = self._lanes.get()
        try:
            talk = Talk(lane, self._capabilities, patient(self._terms, 1 + number), probe)
            outcome = talk.hold()
        finally:
            self._lanes.put(lane)
        self._survey.add(talk.puppets)
        return talk, outcome

    def _observation(self, probe: Probe, shared: Observe) -> tuple[Talk, Outcome]:
        """Hold an honest conversation once for all the probes that only look at it."""
        key = (probe.connect, shared)
        with self._lock:
            lock = self._locks.setdefault(key, Lock())
        with lock:
            if key not in self._observed:
                lane = self._lanes.get()
                try:
                    talk = Talk(lane, self._capabilities, self._terms, probe)
                    outcome = talk.hold((shared,))
                finally:
                    self._lanes.put(lane)
                self._survey.add(talk.puppets)
                self._observed[key] = talk, outcome
            return self._observed[key]

    def _surveyed(self, probe: Probe) -> Result:
        missing = inapplicable(probe, self._capabilities, self._terms, self._options)
        if missing is not None:
            return result_of(probe, Verdict.NOT_APPLICABLE, missing)
        if not self._survey.puppets:
            return result_of(probe, Verdict.INCONCLUSIVE, "nothing was said")
        for puppet in self._survey.puppets:
            talk = Talk(self._open[0], self._capabilities, self._terms, probe)
            talk.puppets = [puppet]
            outcome = talk.hold()
            if outcome.verdict is not Verdict.PASS:
                said = conversation([puppet], fields=True)
                return result_of(probe, outcome.verdict, outcome.reason, connections=said)
        return result_of(probe, Verdict.PASS, f"in all of {len(self._survey.puppets)} connections")


def inapplicable(probe: Probe, found: Capabilities, terms: Terms, options: Options) -> str | None:
    """Return why a probe says nothing about this target, None if it does."""
    if terms.reading not in probe.readings:
        return f"the profile {terms.reading.value} asks for nothing here"
    if probe.opt_in and not options.opt_in:
        return "runs only with --opt-in"
    for need in probe.needs:
        missing = need.lacks(found)
        if missing is not None:
            return missing
    first = None if probe.conversation and isinstance(probe.conversation[0], Connect) else probe.connect
    for action in (first, *probe.conversation):
        choice = action.suites if isinstance(action, Connect) else None
        missing = None if choice is None else choice.lacks(found)
        if missing is not None:
            return missing
    return None


def split_observation(probe: Probe) -> tuple[Observe | None, tuple[Action, ...]]:
    """Return the shared part of a conversation and the checks behind it; no shared part unless that is all there is."""
    if probe.conversation:
        first, rest = probe.conversation[0], probe.conversation[1:]
        if isinstance(first, Observe) and all(isinstance(item, Check) for item in rest):
            return first, rest
    return None, ()


def patient(terms: Terms, times: int) -> Terms:
    """Return terms with longer waits."""
    return replace(terms, patience=terms.patience * times, quiet=terms.quiet * times)


def sure(outcomes: Sequence[Outcome]) -> bool:
    """Whether it is no use to ask again: a pass at once, what does not apply, or the same answer twice."""
    last = outcomes[-1]
    if last.verdict is Verdict.NOT_APPLICABLE:
        return True
    if len(outcomes) == 1:
        return last.verdict is Verdict.PASS
    return outcomes[-2].verdict is last.verdict


def decided(outcomes: Sequence[Outcome]) -> Outcome:
    """Return what all tries come to: the answer that came twice, unless another one speaks against it."""
    last = outcomes[-1]
    if len({item.verdict for item in outcomes}) == 1:
        return last
    if all(item.silent for item in outcomes if item.verdict is not last.verdict):
        return last  # it was only slow
    if not any(item.verdict is Verdict.FAIL for item in outcomes):
        return min(outcomes, key=lambda item: SEVERITY.index(item.verdict))  # none of them speaks against the target
    told = "; then ".join(f"{item.verdict.value}: {item.reason}" for item in outcomes)
    return Outcome(Verdict.FLAKY, told)


__all__ = ["Options", "Runner", "Survey", "Unreachable", "run"]
