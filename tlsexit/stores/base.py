"""What session stores outside the process have in common: encryption, lifetime, and what becomes of failures.

A store is a convenience: without it every handshake is a full one. So nothing that goes wrong there reaches a
handshake. A session that cannot be read is not known, one that cannot be written is not kept; either is reported to
``on_error``, by default as a warning of the logger ``tlsexit.stores``.
"""

from __future__ import annotations

import logging
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import ClassVar, Self, TypeVar

from tlsexit.alerts import LocalError
from tlsexit.session import Session
from tlsexit.stores.codec import decode_session, encode_session
from tlsexit.stores.sealing import KeyRing, read_sealed
from tlsexit.stores.tickets import CLOCK_SKEW

T = TypeVar("T")

OnError = Callable[[str, Exception], None]
"""Told what was tried ("get", "put", "remove") and what went wrong. It must not raise."""

_LOGGER = logging.getLogger("tlsexit.stores")


def log_error(operation: str, error: Exception) -> None:
    """Log a failure as a warning: the default for ``on_error``."""
    _LOGGER.warning("session store: %s failed: %s", operation, error)


class SealedSessionStore(ABC):
    """A :class:`~tlsexit.session.SessionStore` over a backend that gets to see ciphertext only.

    ``key`` is :data:`~tlsexit.stores.sealing.KEY_SIZE` random bytes; what ``old_keys`` have sealed can still be read.
    ``clock`` is the configuration's. No session is older than ``lifetime`` seconds; 24 hours is the upper bound of
    RFC 2246 §F.1.4. Stores of different ``context`` do not see each other's sessions, whatever else they share. A
    context manager, which closes. Raises :class:`LocalError` for keys that are none.
    """

    ERRORS: ClassVar[tuple[type[Exception], ...]]
    """What the backend raises when it fails."""

    def __init__(
        self,
        key: bytes,
        *,
        old_keys: Iterable[bytes],
        context: bytes,
        clock: Callable[[], float],
        lifetime: float,
        on_error: OnError,
    ) -> None:
        if lifetime <= 0:
            raise LocalError("the lifetime of sessions is positive")
        self._ring = KeyRing(key, old_keys, context)
        self._clock = clock
        self._lifetime = lifetime
        self._on_error = on_error

    def get(self, session_id: bytes) -> Session | None:
        """Return the live session of this id, or None. One that does not open or decode is removed."""
        stored = self._attempt("get", lambda: self._load(session_id))
        if stored is None:
            return None
        sealed = read_sealed(stored) if isinstance(stored, bytes) else None
        key = None if sealed is None else self._ring.find(sealed.key_id)
        if sealed is not None and key is None:
            # not ours to judge: it may be of another context, or of a key that other processes have already
            return None
        plaintext = None if sealed is None or key is None else key.open(sealed, _purpose(session_id))
        session = None if plaintext is None else _decoded(plaintext)
        if session is None or not -CLOCK_SKEW <= self._clock() - session.created < self._lifetime:
            self.remove(session_id)
            return None
        return session

    def put(self, session: Session) -> None:
        """Keep a session until it is ``lifetime`` seconds old."""
        expires = session.created + self._lifetime
        if expires <= self._clock():
            return
        purpose = _purpose(session.session_id)
        sealed = self._ring.current.seal(encode_session(session), purpose, os.urandom)
        self._attempt("put", lambda: self._save(session.session_id, sealed, expires))

    def remove(self, session_id: bytes) -> None:
        """Forget a session (RFC 2246 §7.2); if the backend fails just then, it lives on until it expires."""
        self._attempt("remove", lambda: self._delete(session_id))

    @abstractmethod
    def close(self) -> None:
        """Let go of the backend; safe to repeat."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @abstractmethod
    def _load(self, session_id: bytes) -> object:
        """Return what is kept under this id, or None. Like the next two, it may raise any of ERRORS."""

    @abstractmethod
    def _save(self, session_id: bytes, sealed: bytes, expires: float) -> None:
        """Keep ``sealed`` until the clock says ``expires``, in place of what was there."""

    @abstractmethod
    def _delete(self, session_id: bytes) -> None:
        """Keep nothing under this id."""

    def _attempt(self, operation: str, act: Callable[[], T]) -> T | None:
        try:
            return act()
        except self.ERRORS as error:
            self._on_error(operation, error)
            return None


def _purpose(session_id: bytes) -> bytes:
    """Bind what is sealed to its id: a backend that swaps sessions is found out."""
    return b"tlsexit session\0%d\0%b" % (len(session_id), session_id)


def _decoded(plaintext: bytes) -> Session | None:
    try:
        return decode_session(plaintext)
    except LocalError:
        # written by another version of this package
        return None
