"""What a conversation shows of its target: findings, each with the requirements it is about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final


class Flaw(Enum):
    """Kinds of findings."""

    CRASH = "crash"
    """The target raised something that it does not document, or died."""

    HANG = "hang"
    """One input kept the target busy for longer than is allowed."""

    ACCEPTED = "accepted"
    """The target went on with what it has to refuse."""

    EARLY_DATA = "early data"
    """The target sent or took application data before the handshake allows it."""

    RESUMED = "resumed"
    """The target resumed a session that must not be resumed, or not like this."""

    ORACLE = "oracle"
    """The target told the wrong from the right before it may."""

    REFUSED = "refused"
    """The target refused what it has to accept."""

    IGNORED = "ignored"
    """The target neither went on nor ended the connection."""

    TALKS_ON = "talks on"
    """The target said something after a fatal alert."""

    NONSENSE = "nonsense"
    """The target sent what is not TLS under the keys agreed on."""

    INTERNAL_ERROR = "internal error"
    """The target blamed itself, internal_error(80), for what its peer had done."""

    WRONG_ALERT = "wrong alert"
    """The refusal carries another alert than the RFCs name."""

    NO_ALERT = "no alert"
    """The connection ended without the alert that tells why (R2246-7.2.2-01)."""

    UNANSWERED = "unanswered"
    """close_notify was not answered (R2246-7.2.1-02)."""


SEVERITY: Final[Mapping[Flaw, str]] = {
    Flaw.CRASH: "high",
    Flaw.HANG: "high",
    Flaw.ACCEPTED: "high",
    Flaw.EARLY_DATA: "high",
    Flaw.RESUMED: "high",
    Flaw.ORACLE: "high",
    Flaw.REFUSED: "medium",
    Flaw.IGNORED: "medium",
    Flaw.TALKS_ON: "medium",
    Flaw.NONSENSE: "medium",
    Flaw.INTERNAL_ERROR: "medium",
    Flaw.WRONG_ALERT: "low",
    Flaw.NO_ALERT: "low",
    Flaw.UNANSWERED: "low",
}
"""How much a finding matters: high breaks security or availability, low is a wrong word at the right time."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong with the target. ``about`` names the move that shows it, ``detail`` what happened."""

    flaw: Flaw
    requirements: tuple[str, ...]
    about: str
    detail: str

    @property
    def key(self) -> tuple[str, str, str]:
        """What makes it the same finding again: a different way to show it does not count."""
        return self.flaw.value, self.requirements[0] if self.requirements else "", self.about

    @property
    def severity(self) -> str:
        """Its row of :data:`SEVERITY`."""
        return SEVERITY[self.flaw]

    def __str__(self) -> str:
        requirements = f" [{', '.join(self.requirements)}]" if self.requirements else ""
        return f"{self.flaw.value}: {self.about}: {self.detail}{requirements}"
