"""Sessions in Redis, for several machines. Needs the package ``redis``: ``pip install tlsexit[redis]``."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from time import monotonic
from typing import Any, ClassVar, TypeVar

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tlsexit.alerts import LocalError
from tlsexit.stores.base import OnError, SealedSessionStore, log_error

T = TypeVar("T")


class RedisSessionStore(SealedSessionStore):
    """A session store in the Redis server at ``url``, as ``redis://user:password@host:6379/0`` or ``rediss://`` (TLS).

    ``key`` and the other elements are those of :class:`~tlsexit.stores.base.SealedSessionStore`. Each session is a
    key of its own, ``prefix`` and the session id, that Redis lets expire; how many it keeps is for its ``maxmemory``
    setting to bound. ``options`` go to ``redis.Redis.from_url``, as ``ssl_ca_certs``.

    A server that does not connect or answer within ``timeout`` seconds fails the operation, and the handshake goes on
    as if there were no store. Nothing more is then tried for ``pause`` seconds, twice as long after each further
    failure, up to ``longest_pause``: a server that hangs costs one handshake in a while those seconds, not each of
    them. An event loop stands still meanwhile, for at most ``timeout`` between two bytes; the name in ``url`` is looked
    up without a bound, so give an address where that may hang. Nothing connects before the first operation, and threads
    and forked processes may share a store.
    """

    ERRORS: ClassVar[tuple[type[Exception], ...]] = (redis.RedisError, OSError)

    def __init__(
        self,
        url: str,
        key: bytes,
        *,
        prefix: str = "tlsexit:session:",
        old_keys: Iterable[bytes] = (),
        context: bytes = b"",
        clock: Callable[[], float] = time.time,
        lifetime: float = 86_400.0,
        timeout: float = 0.25,
        pause: float = 1.0,
        longest_pause: float = 60.0,
        on_error: OnError = log_error,
        **options: Any,
    ) -> None:
        super().__init__(key, old_keys=old_keys, context=context, clock=clock, lifetime=lifetime, on_error=on_error)
        if timeout <= 0 or not 0 <= pause <= longest_pause:
            raise LocalError("the time-out of a Redis store is positive, its pause from 0 to the longest")
        self._prefix = prefix.encode()
        self._pause = self._next_pause = pause
        self._longest_pause = longest_pause
        self._silent_until = -math.inf
        bounds = {
            "socket_timeout": timeout,
            "socket_connect_timeout": timeout,
            # the library would try a few times with pauses, which is far longer than a handshake may wait
            "retry": Retry(NoBackoff(), 0),
        }
        self._client = redis.Redis.from_url(url, **{**bounds, **options})

    def close(self) -> None:
        """Close the connections; the next operation opens new ones."""
        self._client.close()

    def _load(self, session_id: bytes) -> object:
        return self._client.get(self._prefix + session_id)

    def _save(self, session_id: bytes, sealed: bytes, expires: float) -> None:
        milliseconds = math.ceil((expires - self._clock()) * 1000)
        self._client.set(self._prefix + session_id, sealed, px=max(milliseconds, 1))

    def _delete(self, session_id: bytes) -> None:
        self._client.delete(self._prefix + session_id)

    def _attempt(self, operation: str, act: Callable[[], T]) -> T | None:
        if monotonic() < self._silent_until:
            return None
        try:
            done = act()
        except self.ERRORS as error:
            self._silent_until = monotonic() + self._next_pause
            self._next_pause = min(2 * self._next_pause, self._longest_pause)
            self._on_error(operation, error)
            return None
        self._next_pause = self._pause
        return done
