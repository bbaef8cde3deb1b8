"""Alerts out of alert records (RFC 2246 §7.2): whole, several in one record, or split over two (§6.2.1)."""

from __future__ import annotations

from collections.abc import Iterator

from tlsexit.records.grammar import Alert, parse_alert


class AlertReader:
    """Puts alerts together; holds at most one byte between two records."""

    __slots__ = ("_held",)

    def __init__(self) -> None:
        self._held = b""

    @property
    def pending(self) -> bool:
        """Whether half an alert is waiting; keys must not change then."""
        return bool(self._held)

    def feed(self, fragment: bytes) -> Iterator[Alert]:
        """Yield the alerts that ``fragment`` completes; :class:`IllegalParameter` for a level that does not exist."""
        data = self._held + fragment
        self._held = b""
        for start in range(0, len(data) - 1, 2):
            yield parse_alert(data[start : start + 2])
        if len(data) % 2:
            self._held = data[-1:]
