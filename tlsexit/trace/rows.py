"""From entries to the rows of a diagram: each message once, each phase where it was called.

Two ends each report their own half: a message when it is sent and when it is received. A row stands for both, so rows
must keep the order of both ends. Where that is impossible, because two messages crossed on the way, the order of time
decides.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from tlsexit.constants import ContentType, Role
from tlsexit.events import MessageSeen, PhaseSeen
from tlsexit.exits.answers import Answer
from tlsexit.exits.calls import ExitCall
from tlsexit.trace.recorder import Entry


@dataclass(frozen=True, slots=True)
class MessageRow:
    """A message on its way from ``sender``; ``length`` counts plaintext bytes with header, of all in the row.

    Consecutive application data of one sender makes one row.
    """

    at: float
    end: Role
    seen: MessageSeen
    length: int

    @property
    def sender(self) -> Role:
        """Which side sent it."""
        return self.end if self.seen.sent else self.end.peer


@dataclass(frozen=True, slots=True)
class PhaseRow:
    """A phase called at ``end``; ``answer`` is None while it is pending. ``took`` is in seconds, exit included."""

    at: float
    end: Role
    call: ExitCall
    answer: Answer | None
    builtin: bool
    took: float


Row = MessageRow | PhaseRow


def rows(entries: Sequence[Entry]) -> tuple[Row, ...]:
    """Return the rows of one connection, from the entries of one end or of both."""
    found = list(_rows(entries))
    if len({row.end for row in found}) < 2:
        return tuple(found)
    return _merged(found)


def _rows(entries: Sequence[Entry]) -> Iterable[Row]:
    """Yield a row for each message seen and each phase asked, in the order of time."""
    answers = {
        id(entry.seen.call): entry
        for entry in entries
        if isinstance(entry.seen, PhaseSeen) and entry.seen.answer is not None
    }
    pending: dict[Role, MessageRow] = {}  # application data to which more may be added, by end
    for entry in entries:
        seen = entry.seen
        if isinstance(seen, MessageSeen):
            row = MessageRow(entry.at, entry.end, seen, len(seen.raw))
            if seen.content_type is not ContentType.APPLICATION_DATA:
                yield from _take(pending, entry.end)
                yield row
                continue
            before = pending.get(entry.end)
            if before is not None and before.seen.sent is seen.sent:
                row = MessageRow(before.at, before.end, before.seen, before.length + row.length)
            else:
                yield from _take(pending, entry.end)
            pending[entry.end] = row
        elif seen.answer is None:
            yield from _take(pending, entry.end)
            answered = answers.get(id(seen.call))
            if answered is None or not isinstance(answered.seen, PhaseSeen):
                yield PhaseRow(entry.at, entry.end, seen.call, None, False, 0.0)
            else:
                took = answered.at - entry.at
                yield PhaseRow(entry.at, entry.end, seen.call, answered.seen.answer, answered.builtin, took)
    for end in tuple(pending):
        yield from _take(pending, end)


def _take(pending: dict[Role, MessageRow], end: Role) -> Iterable[MessageRow]:
    if end in pending:
        yield pending.pop(end)


def _merged(found: list[Row]) -> tuple[Row, ...]:
    """Return the rows of both ends in one order that both ends agree with: a topological sort, early rows first.

    A received message is the row of its sender; application data, which the receiver may see in other pieces, is shown
    by the sender alone.
    """
    found.sort(key=lambda row: row.at)
    sent = _by_direction(found, sent=True)
    received = _by_direction(found, sent=False)
    same: dict[int, int] = {}  # index of a received row -> index of the row sent
    for sender, indexes in received.items():
        same.update(zip(indexes, sent[sender], strict=False))
    shown = [index for index in range(len(found)) if index not in same and not _is_copy_of_data(found[index])]
    after: dict[int, set[int]] = defaultdict(set)
    before: dict[int, int] = dict.fromkeys(shown, 0)
    for end in Role:
        lived = [same.get(i, i) for i, row in enumerate(found) if row.end is end and not _is_copy_of_data(row)]
        # where a message that crossed breaks this chain, what the end did by itself still keeps its order
        done = [index for index in shown if found[index].end is end]
        for first, second in (*pairwise(lived), *pairwise(done)):
            if second not in after[first]:
                after[first].add(second)
                before[second] += 1
    return tuple(found[index] for index in _sorted(before, after))


def _sorted(before: dict[int, int], after: dict[int, set[int]]) -> Iterable[int]:
    left = dict(before)
    ready = [index for index, count in left.items() if count == 0]
    heapq.heapify(ready)
    while left:
        index = heapq.heappop(ready) if ready else min(left)  # the latter breaks a cycle: messages that crossed
        if index not in left:
            continue
        del left[index]
        yield index
        for following in after[index]:
            if following in left:
                left[following] -= 1
                if left[following] == 0:
                    heapq.heappush(ready, following)


def _by_direction(found: Sequence[Row], *, sent: bool) -> dict[Role, list[int]]:
    """Return the indexes of the messages, application data left out, by sender."""
    by_sender: dict[Role, list[int]] = {role: [] for role in Role}
    for index, row in enumerate(found):
        if not isinstance(row, MessageRow) or row.seen.content_type is ContentType.APPLICATION_DATA:
            continue
        if row.seen.sent is sent:
            by_sender[row.sender].append(index)
    return by_sender


def _is_copy_of_data(row: Row) -> bool:
    if not isinstance(row, MessageRow):
        return False
    return row.seen.content_type is ContentType.APPLICATION_DATA and not row.seen.sent
