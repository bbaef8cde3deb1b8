"""The ClientHello in SSL 2.0 format (RFC 2246 appendix E.1)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import captures
from tlsexit.alerts import DecodeError, IllegalParameter, PeerError, UnexpectedMessage
from tlsexit.handshake.hello import ClientHello
from tlsexit.handshake.v2hello import build_v2_client_hello, parse_v2_client_hello

SUITES = bytes.fromhex("00002f" + "010080" + "000005" + "0700c0" + "0000ff")


def v2_hello(
    *,
    kind: int = 1,
    version: int = 0x0301,
    specs: bytes = SUITES,
    session_id: bytes = b"",
    challenge: bytes = bytes(range(1, 33)),
) -> bytes:
    """The fields in the order of appendix E.1."""
    lengths = b"".join(len(part).to_bytes(2, "big") for part in (specs, session_id, challenge))
    return bytes([kind]) + version.to_bytes(2, "big") + lengths + specs + session_id + challenge


def test_captured_from_java() -> None:
    """R2246-E-07: TLS suites are those that begin with a zero byte; tlslite-ng lists every spec."""
    message = captures.find("jsse-v2hello", "v2_client_hello")
    assert parse_v2_client_hello(message.raw[2:]) == ClientHello(
        client_version=0x0301,
        random=message.hex("random"),
        session_id=b"",
        cipher_suites=tuple(spec for spec in message.fields["cipher_suites"] if spec < 0x10000),
        compression_methods=(0,),
        extensions=None,
    )


def test_suites_and_session_id() -> None:
    """R2246-E-07, R2246-E.1-03; 0x00ff is the SCSV, which is how such a client signals RFC 5746."""
    hello = parse_v2_client_hello(v2_hello(session_id=bytes(range(16))))
    assert hello.cipher_suites == (0x002F, 0x0005, 0x00FF)
    assert hello.session_id == bytes(range(16))
    assert hello.compression_methods == (0,)
    assert hello.extensions is None


def test_no_tls_suite_leaves_none() -> None:
    """R2246-E.1-06: for the negotiation to refuse."""
    assert parse_v2_client_hello(v2_hello(specs=bytes.fromhex("010080"))).cipher_suites == ()


@pytest.mark.parametrize("size", [16, 31, 32, 33, 48, 64, 255])
def test_the_challenge_is_right_justified(size: int) -> None:
    """R2246-E.1-04: padded with leading zeros, or the last 32 bytes."""
    challenge = bytes(range(1, 256))[:size]
    random = parse_v2_client_hello(v2_hello(challenge=challenge)).random
    assert random == (bytes(32) + challenge)[-32:]
    assert random[-1] == size


@pytest.mark.parametrize("size", [0, 15])
def test_short_challenges_are_refused(size: int) -> None:
    """R2246-E.1-05."""
    with pytest.raises(IllegalParameter, match="challenge_length"):
        parse_v2_client_hello(v2_hello(challenge=bytes(size)))


@pytest.mark.parametrize("size", [1, 15, 17, 32])
def test_session_ids_of_other_lengths_are_refused(size: int) -> None:
    """R2246-E.1-03."""
    with pytest.raises(IllegalParameter, match="session_id_length"):
        parse_v2_client_hello(v2_hello(session_id=bytes(size)))


@pytest.mark.parametrize("specs", [b"", b"\0", bytes(4), bytes(5)])
def test_specs_are_three_bytes_each(specs: bytes) -> None:
    """R2246-E.1-02."""
    with pytest.raises(DecodeError, match="cipher_spec_length"):
        parse_v2_client_hello(v2_hello(specs=specs))


@pytest.mark.parametrize("kind", [0, 2, 4, 255])
def test_only_client_hello(kind: int) -> None:
    """R2246-E.1-01."""
    with pytest.raises(UnexpectedMessage):
        parse_v2_client_hello(v2_hello(kind=kind))


def test_the_version_is_left_to_the_negotiation() -> None:
    """R2246-E.1-01: 0x0002 is a client of SSL 2.0 alone."""
    assert parse_v2_client_hello(v2_hello(version=0x0002)).client_version == 0x0002


@given(where=st.integers(0, 55))
def test_a_strict_prefix_is_a_decode_error(where: int) -> None:
    """R2246-4.3-05: the lengths in front add up to the size."""
    raw = v2_hello()
    assert len(raw) == 56
    with pytest.raises(DecodeError):
        parse_v2_client_hello(raw[:where])


def test_one_byte_more_is_a_decode_error() -> None:
    with pytest.raises(DecodeError):
        parse_v2_client_hello(v2_hello() + b"\0")


def test_building_follows_the_layout() -> None:
    """R2246-E-05, R2246-E-07, R2246-E.1-04; extensions and the session id have no place in it."""
    hello = ClientHello(0x0301, bytes(range(1, 33)), bytes(32), (0x002F, 0x0005), (0,), ())
    built = build_v2_client_hello(hello)
    assert built == v2_hello(specs=bytes.fromhex("00002f" + "000005"))
    assert parse_v2_client_hello(built) == ClientHello(0x0301, bytes(range(1, 33)), b"", (0x002F, 0x0005), (0,), None)


@given(
    st.binary(max_size=100) | st.binary(max_size=80).map(lambda tail: b"\x01\x03\x01\x00\x03\x00\x00\x00\x20" + tail)
)
def test_any_bytes_are_a_hello_or_an_alert(raw: bytes) -> None:
    try:
        hello = parse_v2_client_hello(raw)
    except PeerError:
        return
    assert len(hello.random) == 32
