"""What a peer ought to answer: the verdict's yardstick, with the requirements of the catalogue that it comes from."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

from tlsexit.alerts import AlertDescription as Alert


class Answer(Enum):
    """Classes of answers."""

    ACCEPTED = "accepted"
    """The conversation goes on as if nothing were wrong: nothing is."""

    REFUSED = "refused"
    """A fatal alert, and the end."""

    UNFINISHED = "unfinished"
    """The handshake does not complete; the peer may well wait for more first."""

    REFUSED_LATER = "refused later"
    """A refusal, yet not before Finished: nobody may learn earlier that something is wrong."""

    NOT_RESUMED = "not resumed"
    """A full handshake, or a refusal."""

    CLOSED = "closed"
    """The end, without an alert that would blame anybody."""

    ANY = "any"
    """The RFCs leave it open, or it cannot be told from here."""


@dataclass(frozen=True, slots=True)
class Expected:
    """An answer, the alerts that may carry a refusal (none named: any will do), and the requirements broken."""

    answer: Answer
    requirements: tuple[str, ...] = ()
    alerts: frozenset[int] = frozenset()

    def __str__(self) -> str:
        return f"{self.answer.value} ({', '.join(self.requirements)})" if self.requirements else self.answer.value


def refused(*requirements: str, alerts: frozenset[Alert] = frozenset()) -> Expected:
    """Return an expected refusal."""
    return Expected(Answer.REFUSED, requirements, frozenset(map(int, alerts)))


def accepted(*requirements: str) -> Expected:
    """Return an expected acceptance."""
    return Expected(Answer.ACCEPTED, requirements)


ANYTHING: Final = Expected(Answer.ANY)

# The classes of alerts below follow the catalogue, whose answers take in those of the implementations that are taken to
# be right: where RFC 2246 names one alert and half of the world sends another, both count.

MALFORMED: Final = frozenset({Alert.DECODE_ERROR, Alert.ILLEGAL_PARAMETER})
"""Lengths and structures that do not match (R2246-7.2.2-17)."""

FORBIDDEN: Final = frozenset({Alert.ILLEGAL_PARAMETER, Alert.DECODE_ERROR, Alert.HANDSHAKE_FAILURE})
"""A value that is not allowed (R2246-7.2.2-14)."""

OUT_OF_TURN: Final = frozenset({Alert.UNEXPECTED_MESSAGE})
"""A message that the state does not allow (R2246-7.2.2-03)."""

NOT_AUTHENTIC: Final = frozenset({Alert.BAD_RECORD_MAC})
"""A record that does not authenticate, or whose padding is wrong: one alert for both (R4346-7.2.2-01)."""

UNVERIFIED: Final = frozenset({Alert.DECRYPT_ERROR, Alert.HANDSHAKE_FAILURE, Alert.BAD_CERTIFICATE})
"""A signature or Finished that does not verify (R2246-7.2.2-18)."""

BAD_VERSION: Final = frozenset({Alert.PROTOCOL_VERSION, Alert.ILLEGAL_PARAMETER, Alert.HANDSHAKE_FAILURE})
"""A version that cannot be had (R2246-7.2.2-20)."""

BAD_CHAIN: Final = frozenset(
    {
        Alert.BAD_CERTIFICATE,
        Alert.DECODE_ERROR,
        Alert.UNSUPPORTED_CERTIFICATE,
        Alert.CERTIFICATE_UNKNOWN,
        Alert.UNKNOWN_CA,
        Alert.DECRYPT_ERROR,
        Alert.ILLEGAL_PARAMETER,
        Alert.HANDSHAKE_FAILURE,
        Alert.UNEXPECTED_MESSAGE,
    }
)
"""A chain that does not parse or does not hold (R2246-7.2.2-09 to -15)."""
