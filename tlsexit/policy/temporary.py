"""Temporary RSA keys of export suites that serve more than one handshake (RFC 2246 appendix D.1)."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from tlsexit.alerts import LocalError
from tlsexit.crypto.export import temporary_rsa_key


class TemporaryRSAKeys:
    """A temporary key for several handshakes, as appendix D.1 allows: "it is suggested that keys be changed daily or
    every 500 transactions, and more often if possible".

    A key is made when it is first needed, and replaced after ``uses`` handshakes or ``lifetime`` seconds of ``clock``,
    whichever comes first. Usable from several threads. Raises :class:`~tlsexit.alerts.LocalError` for a bound that is
    beyond the RFC's, or makes no sense.
    """

    def __init__(
        self,
        random: Callable[[int], bytes],
        clock: Callable[[], float],
        *,
        uses: int = 100,
        lifetime: float = 3600.0,
    ) -> None:
        if not 1 <= uses <= 500 or not 0 < lifetime <= 86_400:
            raise LocalError("a temporary RSA key serves 1 to 500 handshakes, and a day at most (RFC 2246 D.1)")
        self._random = random
        self._clock = clock
        self._uses = uses
        self._lifetime = lifetime
        self._lock = Lock()
        self._key: RSAPrivateKey | None = None
        self._left = 0
        self._made = 0.0

    def __call__(self) -> RSAPrivateKey:
        """Return the key for one more handshake."""
        with self._lock:
            key, now = self._key, self._clock()
            if key is None or not self._left or not 0 <= now - self._made < self._lifetime:
                key = self._key = temporary_rsa_key(self._random)
                self._left, self._made = self._uses, now
            self._left -= 1
            return key
