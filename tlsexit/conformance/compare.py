"""What has changed between two runs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from tlsexit.conformance.model import SEVERITY, Verdict
from tlsexit.conformance.results import Report, Result


class Kind(StrEnum):
    """In which direction something has changed."""

    WORSE = "worse"
    BETTER = "better"
    OTHER = "other"
    """Neither: a verdict that says less, or another reason for the same failure."""
    NEW = "new"
    GONE = "gone"


@dataclass(frozen=True)
class Change:
    """One probe that does not find what it found before; ``before`` or ``after`` is None if it did not run."""

    id: str
    kind: Kind
    before: Result | None
    after: Result | None

    def __str__(self) -> str:
        then = "did not run" if self.before is None else self.before.verdict.value
        now = "does not run" if self.after is None else self.after.verdict.value
        reason = "" if self.after is None or not self.after.reason else f" ({self.after.reason})"
        return f"{self.kind.value:6} {self.id}: {then} → {now}{reason}"


_JUDGED = (Verdict.PASS, Verdict.WARNING, Verdict.FLAKY, Verdict.FAIL)
"""Verdicts that can be compared, best first."""


def compare(before: Report, after: Report) -> tuple[Change, ...]:
    """Return every change, what got worse first."""
    order = list(Kind)
    return tuple(sorted(_changes(before, after), key=lambda change: order.index(change.kind)))


def _changes(before: Report, after: Report) -> Iterator[Change]:
    then = {result.id: result for result in before.results}
    now = {result.id: result for result in after.results}
    for id, result in now.items():
        if id not in then:
            yield Change(id, Kind.NEW, None, result)
        elif then[id].verdict is not result.verdict:
            yield Change(id, _kind(then[id].verdict, result.verdict), then[id], result)
        elif result.verdict in SEVERITY[:2] and then[id].reason != result.reason:
            yield Change(id, Kind.OTHER, then[id], result)
    for id, result in then.items():
        if id not in now:
            yield Change(id, Kind.GONE, result, None)


def _kind(before: Verdict, after: Verdict) -> Kind:
    if before not in _JUDGED or after not in _JUDGED:
        return Kind.WORSE if after.bad else Kind.OTHER
    return Kind.WORSE if _JUDGED.index(after) > _JUDGED.index(before) else Kind.BETTER
