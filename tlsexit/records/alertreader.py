"""Alerts out of alert records (RFC 2246 §7.2): whole, several in one record, or split over two (§6.2.1)."""

from __future__ import annotations

from collections.abc import Iterator

from tlsexit.alerts import ALWAYS_FATAL, AlertLevel, IllegalParameter
from tlsexit.records.grammar import ALERT, Alert
from tlsexit.wire import parse


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
            alert = parse(ALERT, data[start : start + 2], "Alert")
            if alert.level not in (AlertLevel.WARNING, AlertLevel.FATAL):
                raise IllegalParameter(f"alert level {alert.level}")
            yield alert
        if len(data) % 2:
            self._held = data[-1:]


def ends_connection(alert: Alert) -> bool:
    """Whether an alert is fatal: by its level or, whatever the level, by its description (§7.2.2)."""
    return alert.level == AlertLevel.FATAL or alert.description in ALWAYS_FATAL
