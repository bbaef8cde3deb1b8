"""Records as values (RFC 2246 §6.2.1)."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest

from tlsexit.constants import ContentType
from tlsexit.records.record import Record, type_name


def test_a_record_does_not_show_its_content() -> None:
    """A log line about a record must not leak application data."""
    assert repr(Record(23, 0x0301, b"password")) == "Record(application_data(23), version=0x0301, 8 bytes)"


def test_a_record_is_a_fixed_value() -> None:
    record = Record(22, 0x0301, b"\x01")
    assert record == Record(ContentType.HANDSHAKE, 0x0301, b"\x01")
    with pytest.raises(FrozenInstanceError):
        record.fragment = b""  # type: ignore[misc]


@pytest.mark.parametrize(
    ("number", "name"),
    [(20, "change_cipher_spec(20)"), (21, "alert(21)"), (22, "handshake(22)"), (24, "unknown type(24)")],
)
def test_types_have_names(number: int, name: str) -> None:
    assert type_name(number) == name
