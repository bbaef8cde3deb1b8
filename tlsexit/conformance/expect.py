"""What a target may do next, as alternatives: ``alert 10 or 50, or close``.

An alternative says whether it has happened, looking at what has arrived since the last :class:`Mark`. It may carry a
verdict of its own (a tolerated deviation), hold in one reading only, and lead to further actions, so that expectations
form a tree.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Self

from tlsexit.alerts import AlertDescription, AlertLevel, alert_name
from tlsexit.conformance.model import Reading, Verdict
from tlsexit.records import grammar as records

if TYPE_CHECKING:
    from tlsexit.conformance.actions import Action
    from tlsexit.conformance.talk import Talk

_CLOSE_NOTIFY: Final = records.Alert(AlertLevel.WARNING, AlertDescription.CLOSE_NOTIFY)

Judge = Callable[["Talk", Any], "str | None"]
"""Looks at a message; returns what is wrong with it, None if nothing is."""


@dataclass(frozen=True)
class Alternative:
    """One thing that may happen."""

    verdict: Verdict | None = None
    note: str = ""
    readings: tuple[Reading, ...] = tuple(Reading)
    then: tuple[Action, ...] = ()

    quiet = False
    """Whether it can only be told after a time of silence."""

    def seen(self, talk: Talk) -> bool:
        """Whether it has happened."""
        raise NotImplementedError

    def __str__(self) -> str:
        raise NotImplementedError

    def warn(self, note: str) -> Self:
        """The same, but as a warning, with the reason."""
        return replace(self, verdict=Verdict.WARNING, note=note)

    def noted(self, note: str) -> Self:
        """The same, with a remark for the report."""
        return replace(self, note=note)

    def only(self, *readings: Reading) -> Self:
        """The same, in these readings only."""
        return replace(self, readings=readings)

    def leading(self, *then: Action) -> Self:
        """The same, and the conversation goes on with ``then``."""
        return replace(self, then=then)


@dataclass(frozen=True)
class Alert(Alternative):
    """A fatal alert with one of these descriptions; any if there are none."""

    descriptions: tuple[int, ...] = ()

    def seen(self, talk: Talk) -> bool:
        fatal = talk.puppet.fatal
        return fatal is not None and (not self.descriptions or fatal in self.descriptions)

    def __str__(self) -> str:
        names = " or ".join(alert_name(item) for item in self.descriptions)
        return f"fatal {names}" if names else "a fatal alert"


@dataclass(frozen=True)
class Warned(Alternative):
    """A warning alert with one of these descriptions, since the mark."""

    descriptions: tuple[int, ...] = ()

    def seen(self, talk: Talk) -> bool:
        new = talk.puppet.alerts[talk.mark.alerts :]
        return any(item.level == AlertLevel.WARNING and item.description in self.descriptions for item in new)

    def __str__(self) -> str:
        return "warning " + " or ".join(alert_name(item) for item in self.descriptions)


@dataclass(frozen=True)
class Closed(Alternative):
    """The end of the stream, or close_notify, without a fatal alert before it."""

    def seen(self, talk: Talk) -> bool:
        puppet = talk.puppet
        said = any(
            item.level == AlertLevel.WARNING and item.description == AlertDescription.CLOSE_NOTIFY
            for item in puppet.alerts[talk.mark.alerts :]
        )
        return puppet.fatal is None and (puppet.eof or said)

    def __str__(self) -> str:
        return "a close"


@dataclass(frozen=True)
class Said(Alternative):
    """A message of this class since the mark; ``wrong`` says what is wrong with it."""

    kind: type = object
    wrong: Judge | None = None

    def seen(self, talk: Talk) -> bool:
        return any(isinstance(item, self.kind) for item in talk.puppet.messages[talk.mark.messages :])

    def found(self, talk: Talk) -> Any:
        """The first such message."""
        return next(item for item in talk.puppet.messages[talk.mark.messages :] if isinstance(item, self.kind))

    def __str__(self) -> str:
        return self.kind.__name__


@dataclass(frozen=True)
class Completed(Alternative):
    """The handshake under way is complete, and the target's Finished was right."""

    def seen(self, talk: Talk) -> bool:
        puppet = talk.puppet
        return puppet.complete and puppet.peer_finished_is_right and not puppet.over

    def __str__(self) -> str:
        return "a completed handshake"


@dataclass(frozen=True)
class Answered(Alternative):
    """Application data since the mark."""

    def seen(self, talk: Talk) -> bool:
        return len(talk.puppet.application_data) > talk.mark.data

    def __str__(self) -> str:
        return "application data"


@dataclass(frozen=True)
class Silent(Alternative):
    """Neither alert nor message nor close, for a while: the target waits, or goes on."""

    quiet = True

    def seen(self, talk: Talk) -> bool:
        puppet, mark = talk.puppet, talk.mark
        return not puppet.over and len(puppet.alerts) == mark.alerts and len(puppet.messages) == mark.messages

    def __str__(self) -> str:
        return "silence"


@dataclass(frozen=True)
class Open(Alternative):
    """The connection has not been ended after a while, whatever else was said."""

    quiet = True

    def seen(self, talk: Talk) -> bool:
        return not talk.puppet.over and not talk.puppet.close_notify

    def __str__(self) -> str:
        return "an open connection"


@dataclass(frozen=True)
class Unreadable(Alternative):
    """What came is no TLS 1.0."""

    def seen(self, talk: Talk) -> bool:
        return talk.puppet.broken is not None

    def __str__(self) -> str:
        return "something that is not TLS 1.0"


@dataclass(frozen=True)
class Ended(Alternative):
    """close_notify since the mark, and no fatal alert: the target has got what it wanted."""

    def seen(self, talk: Talk) -> bool:
        new = talk.puppet.alerts[talk.mark.alerts :]
        return talk.puppet.fatal is None and any(item == _CLOSE_NOTIFY for item in new)

    def __str__(self) -> str:
        return "an orderly end"


@dataclass(frozen=True)
class Refusal(Alternative):
    """One of the alerts that the catalogue gives for the probe's requirements, or a close."""

    def seen(self, talk: Talk) -> bool:
        return any(item.seen(talk) for item in self.alternatives(talk))

    def alternatives(self, talk: Talk) -> tuple[Alternative, ...]:
        """What it stands for."""
        numbers = tuple(AlertDescription[name.upper()] for name in talk.probe.alerts)
        return (Alert(descriptions=numbers), Closed())

    def __str__(self) -> str:
        return "a refusal"


def alert(*descriptions: int) -> Alert:
    """A fatal alert: one of these, or any."""
    return Alert(descriptions=descriptions)


def warning(*descriptions: int) -> Warned:
    """A warning alert: one of these."""
    return Warned(descriptions=descriptions)


def closed() -> Closed:
    """The end of the connection without a fatal alert."""
    return Closed()


def refusal() -> Refusal:
    """What the catalogue expects in answer to a violation of the probe's requirements, or a close."""
    return Refusal()


def said(kind: type, wrong: Judge | None = None) -> Said:
    """A message of this class, which must be right."""
    return Said(kind=kind, wrong=wrong)


def completed() -> Completed:
    """A completed handshake."""
    return Completed()


def answered() -> Answered:
    """Application data."""
    return Answered()


def silent() -> Silent:
    """Nothing at all, for a while."""
    return Silent()


def still_open() -> Open:
    """No end of the connection, for a while."""
    return Open()


def unreadable() -> Unreadable:
    """Something that is not TLS 1.0: an answer in another version, for instance."""
    return Unreadable()


def goes_on() -> tuple[Alternative, ...]:
    """What becomes of data that is accepted: an answer, an open connection, or an orderly end behind it."""
    return (Answered(), Ended(), Open())
