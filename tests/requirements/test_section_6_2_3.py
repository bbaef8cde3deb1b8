"""The protection of records and the keys for it, as the peer sees them (RFC 2246 §6.2.3, §6.3)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support.conversation import established, refused
from tests.support.ends import RSA, RSA_NULL, RSA_RC4, client_end, handshake, server_end
from tests.support.forge import ENCRYPT_THEN_MAC, Forge
from tests.support.records import lengths
from tests.support.reference import with_reference
from tests.support.sessions import Sessions
from tests.support.traces import client_trace
from tests.support.wiretap import Wiretap, tapped_ends
from tlsexit.alerts import AlertDescription
from tlsexit.constants import Role

TRIPLE_DES = 0x000A  # TLS_RSA_WITH_3DES_EDE_CBC_SHA
EXPORT_DES40 = 0x0019  # TLS_DH_anon_EXPORT_WITH_DES40_CBC_SHA

SUITES = [RSA, TRIPLE_DES, RSA_RC4, RSA_NULL]


# ------------------------------------------------------------------------------------------------ §6.2.3


@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize("role", Role)
def test_a_header_changed_on_the_way(role: Role, suite: int) -> None:
    """R2246-6.2.3-02: the type that is seen is the one under the MAC."""
    for content_type in (21, 22, 99):
        forge = established(role, suite)
        forge.send_bytes(bytes([content_type]) + forge.seal(23, b"\1\x5a")[1:])
        refused(forge, AlertDescription.BAD_RECORD_MAC)


@pytest.mark.parametrize("suite", [0x0001, 0x0004, RSA_NULL, RSA_RC4, RSA, TRIPLE_DES, 0x0035])
def test_the_mac_of_ten_records(suite: int) -> None:
    """R2246-6.2.3.1-01, R2246-6.2.3.1-03: the tap finds content, MAC and padding where they belong."""
    tap = tapped_ends(suite).handshake()
    for size in range(1, 11):
        tap.exchange(bytes(size * 7), bytes(size * 5))
    assert len(tap.sent(Role.CLIENT, 23)) >= 10


@pytest.mark.parametrize("suite", [RSA, TRIPLE_DES, 0x0041, 0x0096, 0x0007, 0x0009])
def test_the_padding_of_every_size(suite: int) -> None:
    """R2246-6.2.3.2-01, R2246-6.2.3.2-02, R2246-6.2.3.2-03: whole blocks, every byte accounted for."""
    tap = tapped_ends(suite, config={"split_cbc": False}, client={"encrypt_then_mac": False}).handshake()
    size = 8 if suite in (TRIPLE_DES, 0x0007, 0x0009) else 16
    for length in range(1, 65):
        tap.client.connection.send(bytes(length))
        tap.pump()
    sent = tap.sent(Role.CLIENT, 23)
    assert [len(item.content) for item in sent] == list(range(1, 65))
    for item in sent:
        assert item.length == len(item.content) + 20 + len(item.padding)
        assert item.length % size == 0
        assert set(item.padding) == {len(item.padding) - 1}


@pytest.mark.parametrize(("suite", "length"), [(TRIPLE_DES, 40), (RSA, 48)])
def test_finished_has_no_explicit_iv(suite: int, length: int) -> None:
    """R2246-6.2.3.2-08: 16 bytes of message, 20 of MAC, and padding; an IV of its own would be a block more."""
    tap = tapped_ends(suite, client={"encrypt_then_mac": False}).handshake()
    for role in Role:
        assert next(item for item in tap.sent(role, 22) if item.protected).length == length


@pytest.mark.parametrize("padding_length", [7, 15, 23, 247, 255])
@pytest.mark.parametrize("role", Role)
def test_other_lengths_of_padding(role: Role, padding_length: int) -> None:
    """R2246-6.2.3.2-04, R2246-6.2.3.1-02: the length under the MAC is the content's, however long the padding."""
    forge, reference = with_reference(role, TRIPLE_DES)
    content = bytes(range((-(20 + padding_length + 1)) % 8 + 8))
    forge.send_bytes(reference.seal(23, content, padding_length=padding_length))
    assert forge.target.received == content
    forge.send_bytes(reference.seal(23, b"next"))
    assert forge.target.received == content + b"next"


@pytest.mark.parametrize("position", range(15))
def test_one_wrong_byte_of_padding(position: int) -> None:
    """R2246-6.2.3.2-05, R2246-7.2.2-05, R4346-7.2.2-01, CVE-2014-8730: each byte counts, under a correct MAC."""
    forge, reference = with_reference(Role.CLIENT, RSA)
    content = bytes(12)
    plain = bytearray(content + reference.mac(23, 0x0301, content) + bytes([15] * 16))
    plain[-16 + position] ^= 0x80
    forge.send_bytes(reference.seal_raw(23, bytes(plain)))
    assert forge.target.received == b""
    refused(forge, AlertDescription.BAD_RECORD_MAC)


def shorter(data: bytes) -> bytes:
    return data[:3] + (len(data) - 6).to_bytes(2, "big") + data[5:-1]


def longer(data: bytes) -> bytes:
    return data[:3] + (len(data) - 4).to_bytes(2, "big") + data[5:] + b"\0"


@pytest.mark.parametrize("change", [shorter, longer])
@pytest.mark.parametrize("suite", [RSA, TRIPLE_DES])
def test_a_record_of_no_whole_number_of_blocks(suite: int, change: Callable[[bytes], bytes]) -> None:
    """R2246-6.2.3.2-06, R2246-7.2.2-05, R4346-7.2.2-01: the same alert as for a bad MAC."""
    forge = established(Role.CLIENT, suite)
    forge.send_bytes(change(forge.seal(23, b"data")))
    refused(forge, AlertDescription.BAD_RECORD_MAC)


@pytest.mark.parametrize("length", [0, 1, 15, 16, 19, 20, 31, 32])
@pytest.mark.parametrize("suite", [RSA, RSA_RC4, RSA_NULL])
def test_a_record_without_room_for_a_mac(suite: int, length: int) -> None:
    """R2246-6.2.3.1-06, R2246-6.2.3.2-09."""
    forge = established(Role.CLIENT, suite)
    forge.send_bytes(b"\x17\3\1" + length.to_bytes(2, "big") + bytes(length))
    refused(forge, AlertDescription.BAD_RECORD_MAC)


@pytest.mark.parametrize("padding_length", [28, 32, 100, 255])
def test_a_padding_length_that_leaves_no_room_for_the_mac(padding_length: int) -> None:
    """R2246-6.2.3.2-09: the alert says no more than for a bad MAC."""
    forge, reference = with_reference(Role.CLIENT, RSA)
    forge.send_bytes(reference.seal_raw(23, bytes([padding_length]) * 48))
    refused(forge, AlertDescription.BAD_RECORD_MAC)


@pytest.mark.parametrize("suite", [RSA, TRIPLE_DES])
def test_the_chain_runs_on(suite: int) -> None:
    """R2246-6.2.3.2-07, R2246-6.2.3.2-10: twenty records of data, an alert and Finished, each IV the block before."""
    tap = tapped_ends(suite).handshake()
    for size in range(20):
        tap.exchange(bytes(size + 1), bytes(2 * size + 1))
    tap.client.connection.close()
    tap.client.drive()
    tap.pump()
    assert tap.sent(Role.CLIENT)[-1].content == b"\1\0"
    assert tap.sent(Role.SERVER)[-1].content == b"\1\0"


# ------------------------------------------------------------------------------------------------ §6.3


@pytest.mark.parametrize("suite", [RSA_NULL, RSA_RC4, TRIPLE_DES, RSA, 0x0035, 0x0003, 0x0006, 0x0008, EXPORT_DES40])
def test_the_tap_derives_the_same_keys(suite: int) -> None:
    """R2246-6.3-01, R2246-6.3-02, R2246-6.3-03, R2246-6.3-04, R2246-6.3-06, R2246-6.3-07, R2246-6.3.1-01."""
    tap = tapped_ends(suite).handshake().exchange()
    assert tap.suite == suite


@pytest.mark.parametrize("suite", [RSA, RSA_RC4])
def test_a_resumption_has_keys_of_its_own(suite: int) -> None:
    """R2246-6.3-08: the master secret is the same, the randoms are not."""
    config = {"session_store": Sessions()}
    first = tapped_ends(suite, server={"config": config}).handshake()
    session = first.client.connection.session
    assert session is not None
    second = tapped_ends(suite, client={"session": session}, server={"config": config}).handshake().exchange()
    assert second.client.connection.context.resumed
    assert second.master_secret == first.master_secret
    assert second.hellos[Role.CLIENT].random != first.hellos[Role.CLIENT].random
    assert second.hellos[Role.SERVER].random != first.hellos[Role.SERVER].random


def test_encrypt_then_mac_on_the_line() -> None:
    """R7366-3-01, R7366-3-02: the tap checks the MAC over the ciphertext; without a block cipher it is not agreed."""
    tap = tapped_ends(RSA).handshake().exchange()
    assert ENCRYPT_THEN_MAC.extension_type in tap.hellos[Role.SERVER].extensions
    assert all(item.length % 16 == 4 for item in tap.records if item.protected)
    for suite in (RSA_RC4, RSA_NULL):
        tap = tapped_ends(suite).handshake().exchange()
        assert ENCRYPT_THEN_MAC.extension_type not in tap.hellos[Role.SERVER].extensions
    for position in (5, -1):
        forge = Forge(server_end(RSA), RSA, {"extensions": (ENCRYPT_THEN_MAC,)}).play(client_trace(RSA))
        data = bytearray(forge.seal(23, b"data"))
        data[position] ^= 1
        forge.send_bytes(bytes(data))
        refused(forge, AlertDescription.BAD_RECORD_MAC)


def test_splitting_against_beast() -> None:
    """R4346-6.2.3.2-02: one byte, then the rest, under CBC only; both ends take it."""
    for suite, expected in ((RSA, [1, 9]), (RSA_RC4, [10])):
        tap = tapped_ends(suite).handshake().exchange(bytes(10))
        assert [len(item.content) for item in tap.sent(Role.CLIENT, 23)] == expected


@pytest.mark.parametrize("suite", [RSA, RSA_RC4, RSA_NULL])
def test_the_output_is_whole_records(suite: int) -> None:
    """R2246-6.2.1-09: every length in the output leads to the next header."""
    client, server = client_end(suite), server_end(suite)
    handshake(client, server)
    client.connection.send(bytes(40_000))
    data = client.connection.data_to_send()
    assert sum(5 + length for length in lengths(data)) == len(data)


def test_the_tap_notices() -> None:
    """A check of the checker: with a master secret that is wrong in one bit, nothing fits."""
    secrets: list[str] = []
    client = client_end(RSA, config={"key_log": lambda line: secrets.append(line[:-1] + "10"[line[-1] == "1"])})
    with pytest.raises(AssertionError):
        Wiretap(client, server_end(RSA), secrets).pump()
