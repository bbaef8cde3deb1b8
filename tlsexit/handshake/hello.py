"""The hello messages (RFC 2246 §7.4.1) and ServerHelloDone (§7.4.5), with the extension block of RFC 4366 §2."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tlsexit.handshake.enums import HandshakeType
from tlsexit.handshake.extensions import EXTENSIONS, Extension
from tlsexit.values import quicken
from tlsexit.wire import Fixed, Message, Opaque, OptionalTail, Uint, Vector

__all__ = [
    "CLIENT_HELLO",
    "HELLO_REQUEST",
    "SERVER_HELLO",
    "SERVER_HELLO_DONE",
    "ClientHello",
    "Extension",
    "HelloRequest",
    "ServerHello",
    "ServerHelloDone",
]

# struct { uint8 major, minor; } ProtocolVersion; (read as one number)
PROTOCOL_VERSION = Uint(2)

# struct { uint32 gmt_unix_time; opaque random_bytes[28]; } Random; (nobody may judge the time, §7.4.1.2)
RANDOM = Fixed(32)

# opaque SessionID<0..32>;
SESSION_ID = Opaque(0, 32)

# uint8 CipherSuite[2];
CIPHER_SUITE = Uint(2)

# enum { null(0), (255) } CompressionMethod;
COMPRESSION_METHOD = Uint(1)


@dataclass(frozen=True, slots=True)
class HelloRequest:
    """The server's wish for a new handshake; empty, and never part of the handshake hashes (§7.4.1.1)."""

    handshake_type: ClassVar[HandshakeType] = HandshakeType.HELLO_REQUEST
    section: ClassVar[str] = "7.4.1.1"


# struct { } HelloRequest;
HELLO_REQUEST = Message(HelloRequest)


@dataclass(frozen=True, slots=True)
class ClientHello:
    """The client's offer (§7.4.1.2).

    ``client_version`` is the highest version the client knows; suites and compression methods are numbers in order of
    preference, unknown ones included. ``extensions`` is None when there is no extension block at all.
    """

    handshake_type: ClassVar[HandshakeType] = HandshakeType.CLIENT_HELLO
    section: ClassVar[str] = "7.4.1.2"

    client_version: int
    random: bytes
    session_id: bytes
    cipher_suites: tuple[int, ...]
    compression_methods: tuple[int, ...]
    extensions: tuple[Extension, ...] | None = None


CLIENT_HELLO = Message(
    ClientHello,
    # ProtocolVersion client_version;
    client_version=PROTOCOL_VERSION,
    # Random random;
    random=RANDOM,
    # SessionID session_id;
    session_id=SESSION_ID,
    # CipherSuite cipher_suites<2..2^16-1>;
    cipher_suites=Vector(CIPHER_SUITE, 2, 2**16 - 1),
    # CompressionMethod compression_methods<1..2^8-1>;
    compression_methods=Vector(COMPRESSION_METHOD, 1, 2**8 - 1),
    # Extension client_hello_extension_list<0..2^16-1>; RFC 4366 §2.1: "either exactly match" or decode_error, which
    # overrides the "extra data" that §7.4.1.2 lets a server ignore
    extensions=OptionalTail(EXTENSIONS),
)


@dataclass(frozen=True, slots=True)
class ServerHello:
    """The server's choice (§7.4.1.3); ``extensions`` is None when there is no extension block at all."""

    handshake_type: ClassVar[HandshakeType] = HandshakeType.SERVER_HELLO
    section: ClassVar[str] = "7.4.1.3"

    server_version: int
    random: bytes
    session_id: bytes
    cipher_suite: int
    compression_method: int
    extensions: tuple[Extension, ...] | None = None


SERVER_HELLO = Message(
    ServerHello,
    # ProtocolVersion server_version;
    server_version=PROTOCOL_VERSION,
    # Random random;
    random=RANDOM,
    # SessionID session_id;
    session_id=SESSION_ID,
    # CipherSuite cipher_suite;
    cipher_suite=CIPHER_SUITE,
    # CompressionMethod compression_method;
    compression_method=COMPRESSION_METHOD,
    # Extension server_hello_extension_list<0..2^16-1>; (RFC 4366 §2.2)
    extensions=OptionalTail(EXTENSIONS),
)


@dataclass(frozen=True, slots=True)
class ServerHelloDone:
    """The end of the server's flight; empty (§7.4.5)."""

    handshake_type: ClassVar[HandshakeType] = HandshakeType.SERVER_HELLO_DONE
    section: ClassVar[str] = "7.4.5"


# struct { } ServerHelloDone;
SERVER_HELLO_DONE = Message(ServerHelloDone)

quicken(__name__)
