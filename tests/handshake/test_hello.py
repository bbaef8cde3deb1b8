"""The hello messages (RFC 2246 §7.4.1) and their extension block (RFC 4366 §2.1)."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from tlsexit.alerts import DecodeError, IllegalParameter, LocalError
from tlsexit.handshake.hello import (
    CLIENT_HELLO,
    HELLO_REQUEST,
    SERVER_HELLO,
    SERVER_HELLO_DONE,
    ClientHello,
    Extension,
    HelloRequest,
    ServerHello,
    ServerHelloDone,
)
from tlsexit.wire import Leaf, build, parse

RANDOM = bytes(range(32))

# version, random, session_id, cipher_suites, compression_methods written out by hand from §7.4.1.2
FIXED = "0301" + RANDOM.hex()
MINIMAL = bytes.fromhex(FIXED + "00" + "0002002f" + "0100")
SERVER_MINIMAL = bytes.fromhex(FIXED + "00" + "002f" + "00")

both_hellos = pytest.mark.parametrize(
    ("grammar", "minimal"), [(CLIENT_HELLO, MINIMAL), (SERVER_HELLO, SERVER_MINIMAL)], ids=["client", "server"]
)


def test_client_hello_as_written_by_hand() -> None:
    """R2246-4.1-01, R2246-4.3-02, R2246-7.4.1.2-11."""
    raw = bytes.fromhex(FIXED + "03aabbcc" + "0006002f00050a0a" + "020100" + "0009ff01000100001700" + "00")
    hello = ClientHello(
        client_version=0x0301,
        random=RANDOM,
        session_id=b"\xaa\xbb\xcc",
        cipher_suites=(0x002F, 0x0005, 0x0A0A),
        compression_methods=(1, 0),
        extensions=(Extension(0xFF01, b"\0"), Extension(23, b"")),
    )
    assert parse(CLIENT_HELLO, raw) == hello
    assert build(CLIENT_HELLO, hello) == raw


def test_server_hello_as_written_by_hand() -> None:
    """R2246-4.3-02."""
    raw = bytes.fromhex(FIXED + "02dead" + "c014" + "00" + "0004" + "000b0000")
    hello = ServerHello(0x0301, RANDOM, b"\xde\xad", 0xC014, 0, (Extension(11, b""),))
    assert parse(SERVER_HELLO, raw) == hello
    assert build(SERVER_HELLO, hello) == raw


@both_hellos
def test_no_extension_block_and_an_empty_one_differ(grammar: Leaf[Any], minimal: bytes) -> None:
    """R4366-2.1-01: with or without, and both keep their spelling, which is hashed."""
    without, empty = parse(grammar, minimal), parse(grammar, minimal + b"\0\0")
    assert without.extensions is None
    assert empty.extensions == ()
    assert build(grammar, without) == minimal
    assert build(grammar, empty) == minimal + b"\0\0"


@pytest.mark.parametrize("tail", ["00", "0001", "000100", "0000ff", "0004ff010001", "0005ff01000100ff", "000300170000"])
@both_hellos
def test_an_extension_block_fits_exactly(grammar: Leaf[Any], minimal: bytes, tail: str) -> None:
    """R4366-2.1-01, against R2246-7.4.1.2-20: what is no extension block is decode_error."""
    with pytest.raises(DecodeError):
        parse(grammar, minimal + bytes.fromhex(tail))


@both_hellos
def test_an_extension_type_appears_once(grammar: Leaf[Any], minimal: bytes) -> None:
    """R4366-2.3-02."""
    twice = bytes.fromhex("0008" + "00170000" + "00170000")
    with pytest.raises(IllegalParameter, match="extension 23 appears twice"):
        parse(grammar, minimal + twice)


def test_unknown_values_survive() -> None:
    """R2246-7.4.1.2-13, R4366-2.3-03; 0x?a?a are GREASE values (RFC 8701)."""
    raw = bytes.fromhex(FIXED + "00" + "00061a1a002ffffe" + "03c80100" + "0006" + "3a3a0002beef")
    hello = parse(CLIENT_HELLO, raw)
    assert hello.cipher_suites == (0x1A1A, 0x002F, 0xFFFE)
    assert hello.compression_methods == (0xC8, 1, 0)
    assert hello.extensions == (Extension(0x3A3A, b"\xbe\xef"),)
    assert build(CLIENT_HELLO, hello) == raw


@pytest.mark.parametrize(
    ("body", "requirement"),
    [
        (FIXED + "21" + "00" * 33 + "0002002f0100", "R2246-7.4.1.2-06: session_id of 33 bytes"),
        (FIXED + "00" + "0000" + "0100", "R2246-4.3-03: no cipher suite"),
        (FIXED + "00" + "0002002f" + "00", "R2246-4.3-03: no compression method"),
        (FIXED + "00" + "0003002f00" + "0100", "R2246-4.3-04: an odd number of bytes"),
        (FIXED + "00" + "0004002f" + "0100", "R2246-4.3-05: a vector beyond the end"),
        (FIXED + "00" + "8002002f" + "0100", "R2246-4.4-01: a length with its top bit set"),
        (FIXED + "00" + "0002002f" + "0200", "R2246-4.3-05: compression methods beyond the end"),
        (FIXED[:-2], "R2246-4.3-01: a random of 31 bytes"),
        ("", "R2246-7.4.1.2-21: nothing at all"),
    ],
)
def test_malformed_client_hellos(body: str, requirement: str) -> None:
    with pytest.raises(DecodeError):
        parse(CLIENT_HELLO, bytes.fromhex(body), "ClientHello")


def test_a_server_session_id_is_at_most_32_bytes() -> None:
    """R2246-7.4.1.3-07."""
    assert parse(SERVER_HELLO, bytes.fromhex(FIXED + "20" + "11" * 32 + "002f00")).session_id == b"\x11" * 32
    with pytest.raises(DecodeError, match=r"session_id: length 33 is outside <0\.\.32>"):
        parse(SERVER_HELLO, bytes.fromhex(FIXED + "21" + "11" * 33 + "002f00"))


@pytest.mark.parametrize(
    "change",
    [
        {"client_version": 0x10000},
        {"random": bytes(31)},
        {"session_id": bytes(33)},
        {"cipher_suites": ()},
        {"cipher_suites": (0x10000,)},
        {"cipher_suites": (1,) * 2**15},
        {"compression_methods": ()},
        {"compression_methods": (256,)},
        {"extensions": (Extension(0, bytes(2**16)),)},
        {"extensions": (Extension(0, bytes(2**15)), Extension(1, bytes(2**15)))},
    ],
)
def test_what_a_client_hello_cannot_say_is_not_built(change: dict[str, object]) -> None:
    """R2246-4.3-03: the bounds hold in both directions; here it is the caller's mistake."""
    hello = parse(CLIENT_HELLO, MINIMAL)
    with pytest.raises(LocalError, match=next(iter(change))):
        build(CLIENT_HELLO, dataclasses.replace(hello, **change))  # type: ignore[arg-type]


def test_empty_messages() -> None:
    """R2246-7.4.1.1-08, R2246-7.4.5-02."""
    assert parse(HELLO_REQUEST, b"") == HelloRequest()
    assert parse(SERVER_HELLO_DONE, b"") == ServerHelloDone()
    assert build(HELLO_REQUEST, HelloRequest()) == build(SERVER_HELLO_DONE, ServerHelloDone()) == b""
