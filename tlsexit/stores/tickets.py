"""Keys for session tickets (RFC 5077): random, changed regularly, shared by processes if need be.

A ticket is the whole session, sealed: the server keeps nothing, and whoever has the key has every session sealed with
it. So a key is used for a limited time, then opens for a limited time, and is forgotten::

    starts                 + interval              + interval + overlap
      |--- seals and opens ---|--- opens, renewing ---|  gone

The key that comes next is made one interval ahead. Processes that import what another one exports therefore know each
key before anybody seals with it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from threading import Lock
from typing import Final

from tlsexit.alerts import LocalError, PeerError
from tlsexit.session import Session
from tlsexit.stores.codec import Seconds, decode_session, encode_session
from tlsexit.stores.sealing import KEY_SIZE, SealingKey, read_sealed
from tlsexit.wire import Enumerated, Fixed, Message, Vector, build, parse

MAX_TICKET: Final = 16_000
"""Bytes of the largest ticket made: peers bound NewSessionTicket as a whole to a record's 2^14 bytes (OpenSSL)."""

CLOCK_SKEW: Final = 60.0
"""Seconds by which the clocks of machines that share sessions may differ."""

_PURPOSE: Final = b"tlsexit ticket\0"


@dataclass(frozen=True, slots=True)
class _Exported:
    """A key as it is exported: its secret, and the second from which it seals."""

    starts: float
    material: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Export:
    """All keys as they are exported."""

    format: int
    keys: tuple[_Exported, ...]


_EXPORT: Final[Message[_Export]] = Message(
    _Export,
    format=Enumerated(1, (1,)),
    keys=Vector(Message(_Exported, starts=Seconds(), material=Fixed(KEY_SIZE)), 0, 2**16 - 1),
)


@dataclass(frozen=True, slots=True)
class _TicketKey:
    """A key and the second from which it seals."""

    starts: float
    key: SealingKey


class TicketKeys:
    """What seals tickets and opens them: a :class:`~tlsexit.session.TicketProtector`.

    ``clock`` is the configuration's, in seconds; so are ``interval``, for which a key seals, ``overlap``, for which it
    opens after that (None: for ``lifetime``), and ``lifetime``, the age of a session at which its ticket dies, renewed
    or not. ``lifetime_hint`` is what clients are told; 0 tells them nothing, None ``lifetime``.

    Tickets above ``max_size`` bytes are not handed out, which long certificate chains can lead to. Servers of different
    ``context`` do not take each other's tickets, whatever keys they share. ``rotate`` False makes no keys at all: those
    that are imported must do, and without one that is in its interval there are no tickets.

    Usable from several threads. Raises :class:`LocalError` for durations that make no sense.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        *,
        interval: float = 43_200.0,
        overlap: float | None = None,
        lifetime: float = 86_400.0,
        lifetime_hint: int | None = None,
        max_size: int = MAX_TICKET,
        context: bytes = b"",
        rotate: bool = True,
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        hint = int(lifetime) if lifetime_hint is None else lifetime_hint
        if interval <= 0 or lifetime <= 0 or (overlap is not None and overlap < 0):
            raise LocalError("interval and lifetime of ticket keys are positive, overlap is not negative")
        if not 0 <= hint < 2**32:
            raise LocalError(f"a lifetime hint is 0 to 2^32 - 1 seconds, not {hint}")
        if not 0 <= max_size < 2**16:
            raise LocalError(f"a ticket has at most 65535 bytes, not {max_size}")
        self._clock = clock
        self._interval = interval
        self._overlap = lifetime if overlap is None else overlap
        self._lifetime = lifetime
        self._hint = hint
        self._max_size = max_size
        self._context = context
        self._rotate = rotate
        self._random = random
        self._lock = Lock()
        self._keys: tuple[_TicketKey, ...] = ()
        self._live_keys(clock())

    @property
    def lifetime_hint(self) -> int:
        """Seconds a client is told to keep a ticket; 0 says nothing (RFC 5077 §3.3)."""
        return self._hint

    def seal(self, session: Session) -> bytes:
        """Return the ticket for a session; empty if no key is in its interval, or the ticket would be dead or too long.

        An empty ticket tells the client that there is none after all (RFC 5077 §3.3).
        """
        now = self._clock()
        current = self._current(self._live_keys(now), now)
        if current is None or not self._is_alive(session, now):
            return b""
        ticket = current.key.seal(encode_session(session), _PURPOSE, self._random)
        return ticket if len(ticket) <= self._max_size else b""

    def open(self, ticket: bytes) -> tuple[Session, bool] | None:
        """Return the session in a ticket and whether a newer key has come since; None for any that will not do."""
        now = self._clock()
        keys = self._live_keys(now)
        sealed = read_sealed(ticket)
        used = None if sealed is None else next((item for item in keys if item.key.key_id == sealed.key_id), None)
        if sealed is None or used is None:
            return None
        plaintext = used.key.open(sealed, _PURPOSE)
        if plaintext is None:
            return None
        try:
            session = decode_session(plaintext)
        except LocalError:
            # sealed by another version of this package
            return None
        if not self._is_alive(session, now):
            return None
        current = self._current(keys, now)
        return session, current is not None and used.starts < current.starts

    def export_keys(self) -> bytes:
        """Return all keys for :meth:`import_keys`, here after a restart or in other processes.

        The result is as secret as the keys. Export anew at least once per interval: it includes the next key.
        """
        keys = self._live_keys(self._clock())
        exported = tuple(_Exported(item.starts, item.key.material) for item in keys)
        return build(_EXPORT, _Export(1, exported), "ticket keys")

    def import_keys(self, data: bytes) -> None:
        """Use exported keys from now on, beside those known already; the one that starts last counts as current.

        Raises :class:`LocalError` if ``data`` is not an export, and leaves the keys as they were.
        """
        try:
            exported = parse(_EXPORT, data, "ticket keys").keys
        except PeerError as error:
            raise LocalError(error.reason) from None
        imported = [_TicketKey(item.starts, SealingKey(item.material, self._context)) for item in exported]
        now = self._clock()
        with self._lock:
            known = {item.key.key_id for item in imported}
            self._set_keys([*(item for item in self._keys if item.key.key_id not in known), *imported], now)

    def _live_keys(self, now: float) -> tuple[_TicketKey, ...]:
        """Return the keys of this moment, after making and forgetting what is due."""
        with self._lock:
            self._set_keys(self._keys, now)
            return self._keys

    def _set_keys(self, keys: Iterable[_TicketKey], now: float) -> None:
        live = [item for item in keys if now < item.starts + self._interval + self._overlap]
        if self._rotate:
            if self._current(live, now) is None:
                live.append(self._new_key(now))
            last = max(item.starts for item in live)
            if last <= now:
                live.append(self._new_key(last + self._interval))
        self._keys = tuple(sorted(live, key=lambda item: (item.starts, item.key.key_id)))

    def _new_key(self, starts: float) -> _TicketKey:
        return _TicketKey(starts, SealingKey(self._random(KEY_SIZE), self._context))

    def _current(self, keys: Iterable[_TicketKey], now: float) -> _TicketKey | None:
        """Return the key to seal with: the last to have started, if it is still in its interval."""
        in_use = [item for item in keys if item.starts <= now < item.starts + self._interval]
        return max(in_use, key=lambda item: (item.starts, item.key.key_id), default=None)

    def _is_alive(self, session: Session, now: float) -> bool:
        return -CLOCK_SKEW <= now - session.created < self._lifetime
