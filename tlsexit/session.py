"""Sessions that can be resumed, and where they are kept (RFC 2246 §7.3, appendix F.1.4)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from tlsexit.values import quicken


@dataclass(frozen=True, slots=True)
class Session:
    """The state that a resumption brings back; times are in seconds of the configuration's clock.

    ``demands`` is :attr:`~tlsexit.profile.Profile.demands` of the profile that the peer satisfied: the session comes
    back only under the same. The three ticket fields are a client's only: the ticket stands in for the session id, and
    is dropped once its lifetime hint (0: unspecified) has passed (RFC 5077 §3.3).
    """

    session_id: bytes
    version: int
    cipher_suite: int
    master_secret: bytes = field(repr=False)
    created: float
    extended_master_secret: bool = False
    server_name: str | None = None
    own_chain: tuple[bytes, ...] = field(default=(), repr=False)
    peer_chain: tuple[bytes, ...] = field(default=(), repr=False)
    peer_trusted: bool = False
    authentication: str = "A"
    max_fragment_length: int | None = None
    ticket: bytes = field(default=b"", repr=False)
    ticket_lifetime_hint: int = 0
    ticket_received: float = 0.0
    demands: bytes = b""
    psk_identity: bytes | None = None


class SessionStore(Protocol):
    """Where a server keeps sessions. The methods are called in the middle of a handshake, so they must be quick."""

    def get(self, session_id: bytes) -> Session | None:
        """Return the live session with this id, or None."""

    def put(self, session: Session) -> None:
        """Keep a session whose handshake has just completed."""

    def remove(self, session_id: bytes) -> None:
        """Forget a session; unknown ids are no error (RFC 2246 §7.2: a fatal alert invalidates)."""


class TicketProtector(Protocol):
    """What turns sessions into tickets and back (RFC 5077): a server's alone, never a client's."""

    @property
    def lifetime_hint(self) -> int:
        """Seconds a client should keep a ticket; 0 says nothing."""

    def seal(self, session: Session) -> bytes:
        """Return the ticket for a session, encrypted and authenticated; empty if there is to be none."""

    def open(self, ticket: bytes) -> tuple[Session, bool] | None:
        """Return the session in a ticket and whether the ticket ought to be renewed; None if it is not acceptable."""


class MemorySessionStore:
    """A bounded store in memory: at most ``capacity`` sessions, none older than ``lifetime`` seconds.

    When full, the session not used for longest goes first. 24 hours is the upper bound of RFC 2246 §F.1.4.
    """

    def __init__(self, clock: Callable[[], float], *, capacity: int = 20_000, lifetime: float = 86_400.0) -> None:
        self._clock = clock
        self._capacity = capacity
        self._lifetime = lifetime
        self._sessions: OrderedDict[bytes, Session] = OrderedDict()

    def __len__(self) -> int:
        return len(self._sessions)

    def get(self, session_id: bytes) -> Session | None:
        session = self._sessions.get(session_id)
        if session is None:
            return None
        if not 0 <= self._clock() - session.created < self._lifetime:
            self._sessions.pop(session_id, None)
            return None
        try:
            self._sessions.move_to_end(session_id)
        except KeyError:
            return None  # removed meanwhile by another thread
        return session

    def put(self, session: Session) -> None:
        self._sessions[session.session_id] = session
        self._sessions.move_to_end(session.session_id)
        while len(self._sessions) > self._capacity:
            self._sessions.popitem(last=False)

    def remove(self, session_id: bytes) -> None:
        self._sessions.pop(session_id, None)


quicken(__name__)
