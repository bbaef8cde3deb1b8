"""Sessions in Redis, for several machines. Needs the package ``redis``: ``pip install tlsexit[redis]``."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
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

    A server that does not connect or answer within ``timeout`` seconds fails the operation; the handshake goes on
    as if there were no store, and no further operation is tried for ``pause`` seconds, so that a server that is down
    costs one handshake in a while those seconds, not each of them. An event loop stands still meanwhile: with asyncio,
    keep ``timeout`` short. Nothing connects before the first operation, and threads and forked processes may share a
    store.
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
        on_error: OnError = log_error,
        **options: Any,
    ) -> None:
        super().__init__(key, old_keys=old_keys, context=context, clock=clock, lifetime=lifetime, on_error=on_error)
        if timeout <= 0 or pause < 0:
            raise LocalError("the time-out of a Redis store is positive, its pause not negative")
        self._prefix = prefix.encode()
        self._pause = pause
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
        if time.monotonic() < self._silent_until:
            return None
        try:
            return act()
        except self.ERRORS as error:
            self._silent_until = time.monotonic() + self._pause
            self._on_error(operation, error)
            return None
