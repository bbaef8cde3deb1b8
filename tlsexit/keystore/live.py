"""The built-in PKI over a key store that goes on changing: a handshake goes by the store as it is when it begins.

What has been deactivated, removed or revoked meanwhile is not used again by a server that runs for months, not even by
handshakes that are under way when another begins. Sessions from before a change in whom the store trusts are not
resumed: the peer is checked once more.
"""

from __future__ import annotations

from typing import Any, Protocol

from tlsexit.alerts import AlertDescription, LocalError
from tlsexit.exits.answers import Answer, Failed
from tlsexit.exits.application import Identifiers
from tlsexit.exits.calls import ExitCall, StartHandshakeCall
from tlsexit.exits.context import SessionContext
from tlsexit.policy import BuiltinPki, IdentityFile

Stamp = tuple[int, int, int]
"""What tells two states of a store apart: the index is never changed, only replaced."""


class Source(Protocol):
    """What is asked of a store that may change: a :class:`~tlsexit.keystore.store.KeyStore`."""

    def stamp(self) -> Stamp:
        """Return what is different after each change of the store."""

    def pki(self, *, opened: dict[str, IdentityFile] | None = None, **options: Any) -> BuiltinPki:
        """Return what answers from the active entries as they are now; identities are kept in ``opened``."""


class LivePki:
    """Answers every phase from the active entries of a key store; ``options`` are those of its ``pki``.

    A store that can no longer be read ends the handshakes that begin then, with internal_error(80). Raises
    :class:`LocalError` if it cannot be read to begin with.
    """

    live = True
    """Tells drivers to ask for the fingerprint at each handshake, not only at StartTask."""

    def __init__(self, store: Source, **options: Any) -> None:
        self._store = store
        self._options = {name: tuple(value) if name in _LISTS else value for name, value in options.items()}
        self._identities: dict[str, IdentityFile] = {}
        self._stamp: Stamp | None = None
        self._refresh()

    @property
    def fingerprint(self) -> bytes:
        """A digest of whom the store trusts now: sessions are not resumed across two that differ."""
        self._refresh()
        return self._pki.fingerprint

    def identify(self, context: SessionContext) -> Identifiers:
        """Return what the store calls the certificates of a session."""
        return self._pki.identify(context)

    def answer(self, call: ExitCall) -> Answer:
        """Return the answer to any phase."""
        if isinstance(call, StartHandshakeCall):
            try:
                self._refresh()
            except LocalError as error:
                return Failed(AlertDescription.INTERNAL_ERROR, error)
        return self._pki.answer(call)

    def _refresh(self) -> None:
        stamp = self._store.stamp()  # before the entries: if they change in between, the next handshake looks again
        if stamp == self._stamp:
            return
        # a name in the folder stands for one content, so what has been decrypted need not be once more
        self._pki: BuiltinPki = self._store.pki(opened=self._identities, **self._options)
        self._stamp = stamp


_LISTS = frozenset({"crls", "ocsp_responses"})
