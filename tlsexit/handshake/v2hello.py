"""The ClientHello in SSL 2.0 format that old clients open with (RFC 2246 appendix E.1).

RFC 6176 §3 forbids clients to send one, so tlsexit does only where a profile asks for it, to see what a server makes of
it; it lets servers accept one, as long as SSL 2.0 itself is never negotiated. What follows is ordinary TLS. The
handshake hashes cover the message from ``msg_type`` on, without the 2-byte record length before it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tlsexit.alerts import DecodeError, IllegalParameter, UnexpectedMessage
from tlsexit.constants import NULL_COMPRESSION, RANDOM_LENGTH
from tlsexit.handshake.hello import ClientHello
from tlsexit.wire import Message, Uint, build, parse_prefix

V2_CLIENT_HELLO_TYPE: Final = 1
"""``msg_type``; with the version it is what tells the format from other data (appendix E.1)."""

MIN_CHALLENGE: Final = 16
"""Bytes of challenge below which a server may refuse, and this one does (appendix E.1)."""


@dataclass(frozen=True, slots=True)
class V2ClientHelloHeader:
    """The fixed part in front: a type, a version, and the lengths in bytes of the three fields behind it."""

    msg_type: int
    version: int
    cipher_spec_length: int
    session_id_length: int
    challenge_length: int


V2_CLIENT_HELLO_HEADER = Message(
    V2ClientHelloHeader,
    # uint8 msg_type;
    msg_type=Uint(1),
    # Version version; (major and minor read as one number, as everywhere)
    version=Uint(2),
    # uint16 cipher_spec_length;
    cipher_spec_length=Uint(2),
    # uint16 session_id_length;
    session_id_length=Uint(2),
    # uint16 challenge_length;
    challenge_length=Uint(2),
)


def parse_v2_client_hello(data: bytes) -> ClientHello:
    """Return the TLS ClientHello that an SSL 2.0 one stands for; ``data`` begins with ``msg_type``.

    ``V2CipherSpec cipher_specs[cipher_spec_length]`` are three bytes each, TLS suites being those that begin with a
    zero; SSL 2.0's own are left out, so the tuple may be empty. The challenge becomes ``random``, right-justified.

    Raises :class:`UnexpectedMessage` for another ``msg_type``, :class:`DecodeError` for lengths that do not add up,
    :class:`IllegalParameter` for a session id or challenge of a length that appendix E.1 does not allow.
    """
    header, used = parse_prefix(V2_CLIENT_HELLO_HEADER, data, "V2ClientHello")
    if header.msg_type != V2_CLIENT_HELLO_TYPE:
        raise UnexpectedMessage(f"an SSL 2.0 message of type {header.msg_type}")
    if not header.cipher_spec_length or header.cipher_spec_length % 3:
        # "It cannot be zero and must be a multiple of the V2CipherSpec length (3)."
        raise DecodeError(f"V2ClientHello: cipher_spec_length {header.cipher_spec_length} is no multiple of three")
    if header.session_id_length not in (0, 16):
        # "This field must have a value of either zero or 16."
        raise IllegalParameter(f"V2ClientHello: session_id_length {header.session_id_length} is neither 0 nor 16")
    if header.challenge_length < MIN_CHALLENGE:
        raise IllegalParameter(f"V2ClientHello: challenge_length {header.challenge_length} is below {MIN_CHALLENGE}")
    session_id_at = used + header.cipher_spec_length
    challenge_at = session_id_at + header.session_id_length
    if challenge_at + header.challenge_length != len(data):
        raise DecodeError("V2ClientHello: its lengths do not add up to its size")
    specs = data[used:session_id_at]
    return ClientHello(
        client_version=header.version,
        # "right justify the challenge data to become the ClientHello.random data (padded with leading zeroes, if
        # necessary) ... If the length of the challenge is greater than 32 bytes, only the last 32 bytes are used."
        random=data[challenge_at:][-RANDOM_LENGTH:].rjust(RANDOM_LENGTH, b"\x00"),
        session_id=data[session_id_at:challenge_at],
        cipher_suites=tuple(
            int.from_bytes(specs[at + 1 : at + 3], "big") for at in range(0, len(specs), 3) if specs[at] == 0
        ),
        compression_methods=(NULL_COMPRESSION,),
        extensions=None,
    )


def build_v2_client_hello(hello: ClientHello) -> bytes:
    """Return ``hello`` in SSL 2.0 format, from ``msg_type`` on; what has no place there (extensions) is left out.

    So is a session id: "Requests to resume a TLS session should use a TLS client hello." The random becomes the
    challenge, whose length "must be 32" (appendix E.1).
    """
    specs = b"".join(b"\0" + suite.to_bytes(2, "big") for suite in hello.cipher_suites)
    header = V2ClientHelloHeader(V2_CLIENT_HELLO_TYPE, hello.client_version, len(specs), 0, RANDOM_LENGTH)
    return build(V2_CLIENT_HELLO_HEADER, header, "V2ClientHello") + specs + hello.random
