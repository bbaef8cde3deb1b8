"""The structures of the record protocol, the alert protocol and ChangeCipherSpec (RFC 2246 §6.2, §7.1, §7.2)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tlsexit.alerts import AlertDescription, AlertLevel, DecodeError, IllegalParameter, LocalError
from tlsexit.records.grammar import (
    TLS_CIPHERTEXT,
    TLS_COMPRESSED,
    TLS_PLAINTEXT,
    Alert,
    ChangeCipherSpec,
    build_alert,
    build_change_cipher_spec,
    parse_alert,
    parse_change_cipher_spec,
)
from tlsexit.records.record import Record
from tlsexit.wire import Leaf, build, parse

LIMITS: list[tuple[Leaf[Record], int]] = [
    (TLS_PLAINTEXT, 2**14),
    (TLS_COMPRESSED, 2**14 + 1024),
    (TLS_CIPHERTEXT, 2**14 + 2048),
]


def test_a_record_on_the_wire() -> None:
    """R2246-6.2.1-09: type, major, minor and a 16-bit length, five bytes, before the fragment."""
    record = Record(22, 0x0301, bytes.fromhex("0e000000"))
    wire = bytes.fromhex("16 03 01 0004 0e000000")
    for grammar, _ in LIMITS:
        assert parse(grammar, wire) == record
        assert build(grammar, record) == wire


@pytest.mark.parametrize(("grammar", "limit"), LIMITS)
def test_each_form_has_its_own_longest_fragment(grammar: Leaf[Record], limit: int) -> None:
    """R2246-6.2.1-01, R2246-6.2.2-02 and R2246-6.2.3-01, each at the limit and one byte beyond."""
    longest = Record(23, 0x0301, bytes(limit))
    wire = b"\x17\x03\x01" + limit.to_bytes(2, "big") + bytes(limit)
    assert build(grammar, longest) == wire
    assert parse(grammar, wire) == longest
    with pytest.raises(LocalError):
        build(grammar, Record(23, 0x0301, bytes(limit + 1)))
    with pytest.raises(DecodeError):
        parse(grammar, b"\x17\x03\x01" + (limit + 1).to_bytes(2, "big") + bytes(limit + 1))


@given(st.integers(0, 255), st.integers(0, 2**16 - 1), st.binary(max_size=300))
def test_whatever_is_built_parses_back(content_type: int, version: int, fragment: bytes) -> None:
    record = Record(content_type, version, fragment)
    wire = build(TLS_CIPHERTEXT, record)
    assert parse(TLS_CIPHERTEXT, wire) == record
    for wrong in (wire[:-1], wire + b"\x00"):
        with pytest.raises(DecodeError):
            parse(TLS_CIPHERTEXT, wrong)


def test_an_alert_is_a_level_and_a_description() -> None:
    """R2246-7.2-01."""
    assert build_alert(AlertLevel.FATAL, AlertDescription.BAD_RECORD_MAC) == b"\x02\x14"
    assert parse_alert(b"\x01\x00") == Alert(AlertLevel.WARNING, AlertDescription.CLOSE_NOTIFY)


@pytest.mark.parametrize("fragment", [b"", b"\x01", b"\x01\x00\x00", b"\x01\x00\x01\x00"])
def test_an_alert_has_two_bytes(fragment: bytes) -> None:
    """R2246-7.2-01."""
    with pytest.raises(DecodeError):
        parse_alert(fragment)


@pytest.mark.parametrize("level", [0, 3, 255])
def test_there_are_two_alert_levels(level: int) -> None:
    """R2246-7.2-05."""
    with pytest.raises(IllegalParameter):
        parse_alert(bytes([level, 0]))


def test_unknown_descriptions_survive() -> None:
    """R2246-7.2-06."""
    assert parse_alert(b"\x01\xc8") == Alert(1, 200)
    assert str(Alert(1, 200)) == "warning unknown alert(200)"


@given(st.integers(0, 255))
def test_the_level_fatal_is_always_fatal(description: int) -> None:
    """R2246-7.2.2-28."""
    assert parse_alert(bytes([2, description])).is_fatal


@pytest.mark.parametrize("description", [10, 20, 21, 22, 30, 40, 47, 48, 49, 50, 60, 70, 71, 80])
def test_always_fatal_descriptions_are_fatal_as_warnings_too(description: int) -> None:
    """R2246-7.2.2-29, with the alerts of which §7.2.2 says "this message is always fatal"."""
    assert Alert(AlertLevel.WARNING, description).is_fatal


@pytest.mark.parametrize("description", [0, 41, 42, 43, 44, 45, 46, 90, 100])
def test_other_warnings_are_not_fatal(description: int) -> None:
    """R2246-7.2.2-27."""
    assert not Alert(AlertLevel.WARNING, description).is_fatal


def test_alerts_are_readable() -> None:
    assert str(Alert(2, 48)) == "fatal unknown_ca(48)"


def test_a_description_is_one_byte() -> None:
    with pytest.raises(LocalError):
        build_alert(AlertLevel.FATAL, 256)


def test_change_cipher_spec_is_the_byte_1() -> None:
    """R2246-7.1-01."""
    assert build_change_cipher_spec() == b"\x01"
    assert parse_change_cipher_spec(b"\x01") == ChangeCipherSpec()


@pytest.mark.parametrize("value", [0, 2, 255])
def test_another_change_cipher_spec_is_refused(value: int) -> None:
    """R2246-7.1-02."""
    with pytest.raises(IllegalParameter):
        parse_change_cipher_spec(bytes([value]))


@pytest.mark.parametrize("fragment", [b"", b"\x01\x01"])
def test_change_cipher_spec_is_one_byte(fragment: bytes) -> None:
    """R2246-7.1-03."""
    with pytest.raises(DecodeError):
        parse_change_cipher_spec(fragment)
