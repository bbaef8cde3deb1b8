"""What a contender does: one unit of work, prepared beforehand, as often as it is called."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

Cleanup = Callable[[], object]
"""What a unit leaves to be done off the clock, such as closing its connection."""

Unit = Callable[[], Cleanup | None]
"""One handshake or one write, both ends of it."""


class KeyExchange(Enum):
    """The key exchanges that are compared; the value is how OpenSSL names the suite with AES128-SHA."""

    RSA = "AES128-SHA"
    DHE = "DHE-RSA-AES128-SHA"
    ECDHE = "ECDHE-RSA-AES128-SHA"

    @property
    def suite(self) -> int:
        """The suite's number."""
        return {"RSA": 0x002F, "DHE": 0x0033, "ECDHE": 0xC013}[self.name]


@dataclass(frozen=True, slots=True)
class Handshake:
    """One handshake over new connections, from making them to both ends being ready for data."""

    key_exchange: KeyExchange = KeyExchange.RSA
    mutual: bool = False
    resumed: bool = False
    """Resumption by session id; each unit resumes the session of one full handshake made in preparation."""


@dataclass(frozen=True, slots=True)
class Transfer:
    """One write of ``size`` bytes under AES128-SHA, from the application's bytes to the peer application's bytes."""

    size: int


class Contender(Protocol):
    """One TLS implementation, both ends in this process, joined in memory."""

    name: str
    version: str
    carried: int
    """Bytes that the last unit put on the wire, both ways."""

    def handshake(self, kind: Handshake) -> Unit:
        """Prepare a handshake."""

    def transfer(self, kind: Transfer) -> Unit:
        """Prepare a one-way transfer over one connection that stays open."""
