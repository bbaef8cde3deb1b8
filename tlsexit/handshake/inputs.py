"""What can happen to the handshake, beside the messages of §7.4 themselves."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from tlsexit.alerts import ExitFailed
from tlsexit.exits.calls import ExitCall
from tlsexit.values import quicken

M = TypeVar("M")


@dataclass(frozen=True, slots=True)
class Start:
    """The local side opens the handshake."""


@dataclass(frozen=True, slots=True)
class Renegotiate:
    """The local side wants a new handshake on the established connection."""


@dataclass(frozen=True, slots=True)
class RenegotiationRefused:
    """The peer sent no_renegotiation, the warning that answers HelloRequest and ClientHello (§7.2.2)."""


@dataclass(frozen=True, slots=True)
class Received(Generic[M]):
    """A handshake message arrived; ``raw`` is exactly what came, with its header, for the transcript."""

    message: M
    raw: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class ChangeCipherSpecReceived:
    """ChangeCipherSpec arrived, with no handshake message half read (§7.1)."""


@dataclass(frozen=True, slots=True)
class Answered:
    """The exit handled the pending call; ``value`` is validated and in canonical form."""

    call: ExitCall
    value: Any = field(repr=False)


@dataclass(frozen=True, slots=True)
class Refused:
    """The exit failed the pending call; ``error`` says which alert it means."""

    call: ExitCall
    error: ExitFailed


Input = Start | Renegotiate | RenegotiationRefused | Received[Any] | ChangeCipherSpecReceived | Answered | Refused

quicken(__name__)
