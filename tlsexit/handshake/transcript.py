"""handshake_messages: every handshake message so far, as CertificateVerify and Finished digest them (RFC 2246 §7.4.8).

The messages are kept exactly as received or sent, headers included and record headers not (§7.4.9). HelloRequest is
never added (§7.4.1.1); that is up to the handlers, since only they know which handshake a message belongs to.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import md5, sha1


@dataclass(frozen=True, slots=True, repr=False)
class Transcript:
    """The messages of one handshake, immutable: a state that holds one can be kept and gone back to."""

    messages: tuple[bytes, ...] = ()

    def add(self, raw: bytes) -> Transcript:
        """Return the transcript with one more message, header included."""
        return Transcript((*self.messages, raw))

    def digest(self) -> bytes:
        """Return MD5 ‖ SHA-1 of all messages, 36 bytes: what Finished and an RSA CertificateVerify cover (§7.4.9)."""
        data = b"".join(self.messages)
        return md5(data, usedforsecurity=False).digest() + sha1(data, usedforsecurity=False).digest()

    def sha1(self) -> bytes:
        """Return SHA-1 of all messages, 20 bytes: what a DSA or ECDSA CertificateVerify covers (§7.4.8)."""
        return sha1(b"".join(self.messages), usedforsecurity=False).digest()

    def __repr__(self) -> str:
        return f"Transcript({len(self.messages)} messages, {sum(map(len, self.messages))} bytes)"
