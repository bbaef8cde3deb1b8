"""The handshake header, reassembly, and every message against recordings of other implementations (RFC 2246 §7.4)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support import captures
from tests.support.captures import Captured
from tlsexit.alerts import DecodeError, IllegalParameter, LocalError, UnexpectedMessage
from tlsexit.fuzzing.tuned import messages
from tlsexit.handshake.certificate import Certificate
from tlsexit.handshake.codec import GRAMMARS, HandshakeReader, encode
from tlsexit.handshake.finished import Finished
from tlsexit.handshake.hello import ServerHelloDone
from tlsexit.handshake.keyexchange import ClientKeyExchange, ServerKeyExchange

MAX = 2**16

CAPTURED = [m for m in captures.everything() if m.kind != "v2_client_hello"]
KEY_EXCHANGES = {"server_key_exchange": ServerKeyExchange, "client_key_exchange": ClientKeyExchange}


def expected(message: Captured) -> Any:
    """What the message is, by tlslite-ng's reading."""
    if message.kind in KEY_EXCHANGES:
        return KEY_EXCHANGES[message.kind](message.body)
    return captures.value(message)


def read_all(reader: HandshakeReader) -> list[tuple[bytes, Any]]:
    found = []
    while (complete := reader.next_message()) is not None:
        found.append(complete)
    return found


@pytest.mark.parametrize("message", CAPTURED, ids=str)
def test_captured_messages_are_read(message: Captured) -> None:
    """R2246-7.4-01, R2246-4.1-01, R2246-4.3-01, R2246-4.3-02."""
    reader = HandshakeReader(MAX)
    reader.feed(message.raw)
    assert read_all(reader) == [(message.raw, expected(message))]
    assert not reader.pending


@pytest.mark.parametrize("message", CAPTURED, ids=str)
def test_captured_messages_are_written(message: Captured) -> None:
    assert encode(expected(message)) == message.raw


def test_every_message_type_was_captured() -> None:
    """Else the two tests above would say nothing of it."""
    assert {m.raw[0] for m in CAPTURED} == set(GRAMMARS)


@settings(max_examples=60, deadline=None)
@given(sent=st.lists(messages(), max_size=6), cuts=st.lists(st.integers(1, 200), min_size=1))
def test_any_fragmentation_gives_the_same_messages(sent: list[Any], cuts: list[int]) -> None:
    """§6.2.1: a record may hold several messages, and a message may take several records."""
    raws = [encode(message) for message in sent]
    stream = b"".join(raws)
    largest = max(len(raw) for raw in raws) if raws else 0
    reader = HandshakeReader(largest)
    found = []
    at = 0
    for index in range(len(stream)):
        if at >= len(stream):
            break
        size = cuts[index % len(cuts)] * (1 + len(stream) // 2000)
        reader.feed(stream[at : at + size])
        at += size
        found += read_all(reader)
    assert found == list(zip(raws, sent, strict=True))
    assert not reader.pending


def test_pending_says_whether_a_message_has_begun() -> None:
    """R2246-7.4-01; keys must not change inside a message."""
    reader = HandshakeReader(MAX)
    assert not reader.pending
    for byte in encode(Finished(bytes(12)))[:-1]:
        reader.feed(bytes([byte]))
        assert reader.next_message() is None
        assert reader.pending
    reader.feed(b"\0" + encode(ServerHelloDone())[:1])
    assert reader.next_message() == (encode(Finished(bytes(12))), Finished(bytes(12)))
    assert reader.pending


@pytest.mark.parametrize("kind", sorted(set(range(256)) - {int(kind) for kind in GRAMMARS}))
def test_unknown_types_are_unexpected_from_the_first_byte(kind: int) -> None:
    """R2246-7.4-03."""
    reader = HandshakeReader(MAX)
    reader.feed(bytes([kind]))
    with pytest.raises(UnexpectedMessage, match=rf"type {kind}$"):
        reader.next_message()


@pytest.mark.parametrize("kind", [int(kind) for kind in GRAMMARS])
@pytest.mark.parametrize("length", [MAX + 1, 0x800000, 0xFFFFFF])
def test_too_long_is_refused_by_the_header_alone(kind: int, length: int) -> None:
    """R2246-7.4-05; R2246-4.4-01: the top bit makes a length large, not negative."""
    reader = HandshakeReader(MAX)
    reader.feed(bytes([kind]) + length.to_bytes(3, "big"))
    with pytest.raises(IllegalParameter, match=str(length)):
        reader.next_message()


def test_the_longest_message_allowed_is_read() -> None:
    """R2246-7.4-05: the bound is on the body."""
    reader = HandshakeReader(MAX)
    message = ServerKeyExchange(bytes(MAX))
    reader.feed(encode(message))
    assert reader.next_message() == (encode(message), message)


def test_a_flood_of_tiny_fragments() -> None:
    """R2246-7.4-05: a message of a mebibyte, byte by byte; the benchmarks show that the cost is linear."""
    raw = encode(ServerKeyExchange(bytes(2**20)))
    reader = HandshakeReader(2**20)
    for at in range(len(raw)):
        reader.feed(raw[at : at + 1])
        if reader.next_message() is not None:
            break
    assert not reader.pending


@pytest.mark.parametrize("kind", [0, 14])
def test_an_empty_body_is_empty(kind: int) -> None:
    """R2246-7.4.1.1-08 (HelloRequest), R2246-7.4.5-02 (ServerHelloDone)."""
    reader = HandshakeReader(MAX)
    reader.feed(bytes([kind]) + b"\0\0\1x")
    with pytest.raises(DecodeError, match="1 bytes left over"):
        reader.next_message()


def test_errors_name_the_message_and_the_field() -> None:
    reader = HandshakeReader(MAX)
    reader.feed(bytes.fromhex("0b000006 000003 000004"))
    with pytest.raises(DecodeError, match=r"Certificate: certificate_list\.0: length 4 announced, 0 bytes left"):
        reader.next_message()


def test_what_does_not_fit_a_header_is_not_built() -> None:
    """A chain of 2^24-1 bytes has no room for its own length in a uint24 message."""
    with pytest.raises(LocalError, match="more than a handshake message holds"):
        encode(Certificate((bytes(2**24 - 4),)))
