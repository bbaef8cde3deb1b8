"""What an exit is told: the task's and the session's references, areas and facts."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final, SupportsIndex

from cryptography import x509

from tlsexit.alerts import LocalError
from tlsexit.constants import Role
from tlsexit.exits.forms import CAList, load_certificate
from tlsexit.profile import Profile
from tlsexit.values import quicken

PUBLIC_AREA_SIZE: Final = 4096
"""Bytes of the area that all sessions of a task share."""

GLOBAL_AREA_SIZE: Final = 64
"""Bytes that HandshakeDone hands to the application's own exits."""

MAX_PRIVATE_AREA_SIZE: Final = 2**20
"""Bytes an exit may ask for per session: StartTask is asked once, but the area is paid for by every session."""


class Area(bytearray):
    """Bytes for an exit to write in, of a size that nothing changes: what would, raises ``BufferError`` in the exit."""

    __slots__ = ("_hold",)

    def __init__(self, content: int | bytes) -> None:
        super().__init__(content)
        # a bytearray that lends out its memory cannot be resized
        self._hold = memoryview(self)

    def __reduce_ex__(self, protocol: SupportsIndex) -> tuple[Any, ...]:
        return Area, (bytes(self),)


def new_area(size: int) -> Area:
    """Return an area of ``size`` zeros; of none there is only one, since nobody can write in it."""
    return Area(size) if size else _NO_AREA


_NO_AREA: Final = Area(0)


class Authentication(Enum):
    """Which ends have been authenticated, by the letters of the product's manual."""

    ANONYMOUS = "A"
    SERVER = "S"
    BOTH = "B"


@dataclass(slots=True, eq=False)
class TaskContext:
    """A task's references and areas. ``reference`` is ours, ``exit_reference`` whatever StartTask returned."""

    reference: int
    configuration: dict[str, Any] = field(default_factory=dict)
    exit_reference: Any = None
    public_area: bytearray = field(default_factory=lambda: Area(PUBLIC_AREA_SIZE), repr=False)
    private_area_size: int = 0
    password: bytes | None = field(default=None, repr=False)
    exit_enabled: bool = True
    trust: bytes = b""
    """What stands for the exit and the authorities of this task: sessions are not resumed across different ones."""

    sessions_started: int = 0

    def next_session_reference(self) -> int:
        """Return a number no other session of this task has had."""
        self.sessions_started += 1
        return self.sessions_started


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionContext:
    """What is known of a session; it grows as the handshake goes on. Addresses are (host, port)."""

    task: TaskContext
    reference: int
    role: Role
    profile: Profile
    remote_address: tuple[str, int] | None = None
    local_address: tuple[str, int] | None = None
    exit_reference: Any = None
    private_area: bytearray = field(default_factory=lambda: new_area(0), repr=False)
    handshake_count: int = 1

    server_name: str | None = None
    peer_ca_list: CAList | None = field(default=None, repr=False)
    peer_chain: tuple[bytes, ...] = field(default=(), repr=False)
    peer_trusted: bool = False
    own_chain: tuple[bytes, ...] = field(default=(), repr=False)
    cipher_suite: int | None = None
    authentication: Authentication | None = None
    session_id: bytes = b""
    resumed: bool = False
    secure_renegotiation: bool = False
    extended_master_secret: bool = False
    alpn_protocol: str | None = None
    next_protocol: str | None = None
    psk_identity: bytes | None = None

    @property
    def peer_certificates(self) -> tuple[x509.Certificate, ...]:
        """The peer's chain as objects, leaf first; ``BadCertificate`` if one does not parse."""
        return tuple(load_certificate(der) for der in self.peer_chain)

    @property
    def own_certificates(self) -> tuple[x509.Certificate, ...]:
        """The chain sent to the peer as objects, leaf first."""
        return tuple(load_certificate(der) for der in self.own_chain)


def padded_global_area(value: object) -> bytes:
    """Return the 64 bytes of the global area: shorter is zero-padded, longer is the exit's error."""
    if value is None:
        value = b""
    if not isinstance(value, (bytes, bytearray, memoryview)):
        raise LocalError(f"the global area is bytes, not {type(value).__name__}")
    if len(value) > GLOBAL_AREA_SIZE:
        raise LocalError(f"the global area has {GLOBAL_AREA_SIZE} bytes, not {len(value)}")
    return bytes(value).ljust(GLOBAL_AREA_SIZE, b"\0")


quicken(__name__)
