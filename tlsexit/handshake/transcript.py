"""handshake_messages: every handshake message so far, as CertificateVerify and Finished digest them (RFC 2246 §7.4.8).

The messages are kept exactly as received or sent, headers included and record headers not (§7.4.9). HelloRequest is
never added (§7.4.1.1); that is up to the handlers, since only they know which handshake a message belongs to.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import md5, sha1
from typing import NamedTuple, Protocol, Self

from tlsexit.values import quicken


class _Hash(Protocol):
    def update(self, data: bytes, /) -> None: ...
    def digest(self) -> bytes: ...
    def copy(self) -> Self: ...


class _Hashed(NamedTuple):
    """Both hashes over the first ``covered`` messages."""

    covered: int
    md5: _Hash
    sha1: _Hash


@dataclass(frozen=True, slots=True, repr=False)
class Transcript:
    """The messages of one handshake, immutable: a state that holds one can be kept and gone back to.

    It is asked for its digest three times in a handshake. So hashes that have been made go on to the transcripts that
    follow, and each message is hashed once.
    """

    messages: tuple[bytes, ...] = ()
    _hashed: _Hashed | None = field(default=None, compare=False)

    def add(self, raw: bytes) -> Transcript:
        """Return the transcript with one more message, header included."""
        return Transcript((*self.messages, raw), self._hashed)

    def digest(self) -> bytes:
        """Return MD5 ‖ SHA-1 of all messages, 36 bytes: what Finished and an RSA CertificateVerify cover (§7.4.9)."""
        hashed = self._hash()
        return hashed.md5.digest() + hashed.sha1.digest()

    def sha1(self) -> bytes:
        """Return SHA-1 of all messages, 20 bytes: what a DSA or ECDSA CertificateVerify covers (§7.4.8)."""
        return self._hash().sha1.digest()

    def _hash(self) -> _Hashed:
        """Return the hashes over all messages, and keep them."""
        known, count = self._hashed, len(self.messages)
        if known is None:
            data = b"".join(self.messages)
            known = _Hashed(count, md5(data, usedforsecurity=False), sha1(data, usedforsecurity=False))
        elif known.covered < count:
            data = b"".join(self.messages[known.covered :])
            # the hashes that are kept belong to the transcripts before this one as well
            known = _Hashed(count, known.md5.copy(), known.sha1.copy())
            known.md5.update(data)
            known.sha1.update(data)
        object.__setattr__(self, "_hashed", known)
        return known

    def __reduce__(self) -> tuple[type[Transcript], tuple[tuple[bytes, ...]]]:
        # running hashes cannot be written down, and need not be
        return Transcript, (self.messages,)

    def __repr__(self) -> str:
        return f"Transcript({len(self.messages)} messages, {sum(map(len, self.messages))} bytes)"


quicken(__name__)
