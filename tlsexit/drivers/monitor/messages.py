"""What a monitor and its workers tell each other over a socket pair.

The first message is :class:`Start`, pickled: the worker trusts the monitor, and no secret goes through arguments or
the environment. Everything else is JSON, a list ``[kind, elements]`` a line. What a worker says is checked like any
input, since code of an exit may have damaged it: it can only say something that makes no sense, and is killed then.
"""

from __future__ import annotations

import json
import pickle
import struct
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Final

MAX_LINE: Final = 2**23
"""Bytes of the longest line: a diagram of a connection has a few ten thousand."""

HANDOVER: Final = struct.Struct("!Q")
"""What goes with the descriptor of a socket: the number of the session."""

_LENGTH: Final = struct.Struct("!I")


@dataclass(frozen=True, slots=True)
class Start:
    """Everything a worker has to know. ``settings`` are pickled keyword arguments of the ``service``; times in seconds.

    ``ticket_keys`` is an export of :class:`~tlsexit.stores.tickets.TicketKeys`; None means no tickets.
    """

    reference: int
    service: str
    settings: bytes = field(repr=False)
    ticket_keys: bytes | None = field(repr=False)
    session_file: str | None
    session_key: bytes = field(repr=False)
    beat: float
    start_timeout: float
    hang_timeout: float

    def encode(self) -> bytes:
        """Return the message as it is sent: its length, then the pickle."""
        data = pickle.dumps(self)
        return _LENGTH.pack(len(data)) + data

    @staticmethod
    def length(data: bytes) -> int:
        """Return how many bytes follow the first four."""
        (length,) = _LENGTH.unpack(data)
        return int(length)


# ------------------------------------------------------------------------------------------------ worker to monitor


@dataclass(frozen=True, slots=True)
class Started:
    """StartTask has been answered."""

    exit_enabled: bool


@dataclass(frozen=True, slots=True)
class NotStarted:
    """The task cannot be used; the worker ends."""

    reason: str
    code: int


@dataclass(frozen=True, slots=True)
class Alive:
    """The event loop turns."""


@dataclass(frozen=True, slots=True)
class Taken:
    """The socket of a session has arrived; the monitor may close its own."""

    session: int


@dataclass(frozen=True, slots=True)
class Established:
    """The handshake of a session is complete; ``reference`` is the session's in its task."""

    session: int
    reference: int
    cipher_suite: int
    resumed: bool


@dataclass(frozen=True, slots=True)
class Progress:
    """How many bytes a session has carried so far."""

    session: int
    received: int
    sent: int


@dataclass(frozen=True, slots=True)
class Over:
    """A session is over; ``reason`` is empty if all went well. ``begun`` is False if there was not even a beginning."""

    session: int
    begun: bool
    received: int
    sent: int
    reason: str


@dataclass(frozen=True, slots=True)
class Told:
    """Something of the service's own."""

    value: Any


@dataclass(frozen=True, slots=True)
class Ended:
    """EndTask has been answered; the worker ends."""


# ------------------------------------------------------------------------------------------------ monitor to worker


@dataclass(frozen=True, slots=True)
class ShareKeys:
    """Ticket keys to know from now on, in hex."""

    keys: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Drain:
    """End the task when its sessions are over; close those that are not, after so many seconds."""

    seconds: float


Message = Started | NotStarted | Alive | Taken | Established | Progress | Over | Told | Ended | ShareKeys | Drain

FROM_WORKER: Final = (Started, NotStarted, Alive, Taken, Established, Progress, Over, Told, Ended)
FROM_MONITOR: Final = (ShareKeys, Drain)

_TYPES: Final[dict[str, tuple[type, ...]]] = {
    "int": (int,),
    "float": (int, float),
    "str": (str,),
    "bool": (bool,),
    "Any": (object,),
}


def encode(message: Message) -> bytes:
    """Return a message as a line. Raises ``TypeError`` or ``ValueError`` for a told value that JSON does not know."""
    return json.dumps([type(message).__name__, asdict(message)], separators=(",", ":")).encode() + b"\n"


def decode(line: bytes, kinds: tuple[type[Any], ...]) -> Any:
    """Return the message in a line, one of ``kinds``. Raises ``ValueError`` for anything else."""
    try:
        name, elements = json.loads(line)
        kind = {kind.__name__: kind for kind in kinds}[name]
        expected = {item.name: str(item.type) for item in fields(kind)}
        if elements.keys() != expected.keys():
            raise ValueError("wrong elements")
        for key, value in elements.items():
            wanted = expected[key]
            if not isinstance(value, _TYPES[wanted]) or (isinstance(value, bool) and wanted not in ("bool", "Any")):
                raise ValueError("wrong type")
        return kind(**elements)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ValueError("not a message of a worker or monitor") from error
