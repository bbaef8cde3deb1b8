"""Sessions as bytes: every session comes back, nothing else is taken for one."""

from __future__ import annotations

from dataclasses import fields, replace
from math import inf, nan
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.sessions import old_session, sessions
from tlsexit.alerts import LocalError
from tlsexit.session import Session
from tlsexit.stores import decode_session, encode_session
from tlsexit.stores.codec import SESSION

PLAIN = old_session()


def test_every_field_is_written() -> None:
    """A field added to Session, and forgotten here, would silently not survive."""
    assert list(SESSION.fields) == [item.name for item in fields(Session)]


@given(sessions())
def test_every_session_comes_back(session: Session) -> None:
    assert decode_session(encode_session(session)) == session


def test_layout() -> None:
    """Written out by hand from the grammar: what older versions of a process have kept must stay readable."""
    session = Session(
        session_id=b"\xaa\xbb",
        version=0x0301,
        cipher_suite=0x002F,
        master_secret=bytes(range(48)),
        created=1.5,
        extended_master_secret=True,
        server_name="localhost",
        own_chain=(b"own",),
        peer_chain=(b"a", b"bc"),
        peer_trusted=True,
        authentication="B",
        max_fragment_length=512,
        ticket=b"ticket",
        ticket_lifetime_hint=3600,
        ticket_received=2.0,
        demands=b"demands",
        psk_identity=b"alice",
    )
    expected = (
        "01"  # format
        "02aabb"  # session_id<0..32>
        "0301 002f" + bytes(range(48)).hex() + "3ff8000000000000"  # 1.5 in IEEE 754
        "01"
        "01 0009 6c6f63616c686f7374"
        "000006 000003 6f776e"
        "000009 000001 61 000002 6263"
        "01"
        "42"  # B
        "01 0200"
        "0006 7469636b6574"
        "00000e10"
        "4000000000000000"  # 2.0
        "07 64656d616e6473"
        "01 0005 616c696365"
    )
    assert encode_session(session) == bytes.fromhex(expected)


@given(sessions(), st.data())
def test_no_prefix_and_nothing_longer_is_a_session(session: Session, data: st.DataObject) -> None:
    encoded = encode_session(session)
    cut = data.draw(st.integers(0, len(encoded) - 1))
    with pytest.raises(LocalError):
        decode_session(encoded[:cut])
    with pytest.raises(LocalError, match="left over"):
        decode_session(encoded + b"\0")


def test_no_prefix_at_all() -> None:
    encoded = encode_session(replace(PLAIN, server_name="localhost", own_chain=(b"own",), psk_identity=b"alice"))
    for size in range(len(encoded)):
        with pytest.raises(LocalError):
            decode_session(encoded[:size])


@given(sessions(), st.data())
def test_a_session_is_spelt_in_one_way(session: Session, data: st.DataObject) -> None:
    """Changed bytes are refused, or are exactly the bytes of the session that they are taken for."""
    encoded = bytearray(encode_session(session))
    encoded[data.draw(st.integers(0, len(encoded) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        decoded = decode_session(bytes(encoded))
    except LocalError:
        return
    assert encode_session(decoded) == encoded


@given(st.binary(max_size=300))
def test_any_bytes(data: bytes) -> None:
    """Never another error than the documented one: no pickle, no surprises."""
    with pytest.raises(LocalError):
        decode_session(data)


@pytest.mark.parametrize("number", [0, 2, 255])
def test_another_format(number: int) -> None:
    with pytest.raises(LocalError, match="format"):
        decode_session(bytes([number]) + encode_session(PLAIN)[1:])


@pytest.mark.parametrize(
    "change",
    [
        {"session_id": bytes(33)},
        {"master_secret": bytes(47)},
        {"master_secret": bytes(49)},
        {"version": 0x10000},
        {"version": -1},
        {"created": inf},
        {"created": nan},
        {"server_name": "\ud800"},
        {"server_name": "a" * 2**16},
        {"own_chain": (b"",)},
        {"authentication": "X"},
        {"authentication": ""},
        {"authentication": "SB"},
        {"max_fragment_length": 2**16},
        {"ticket": bytes(2**16)},
        {"ticket_lifetime_hint": 2**32},
    ],
    ids=lambda change: "-".join(change),
)
def test_values_that_no_session_has(change: dict[str, Any]) -> None:
    (name,) = change
    with pytest.raises(LocalError, match=name):
        encode_session(replace(PLAIN, **change))


def test_errors_keep_secrets() -> None:
    """Neither a refusal to write nor one to read shows the master secret."""
    secret = b"secret" * 8
    with pytest.raises(LocalError) as writing:
        encode_session(replace(PLAIN, master_secret=secret + b"!"))
    encoded = encode_session(replace(PLAIN, master_secret=secret))
    with pytest.raises(LocalError) as reading:
        decode_session(encoded[:-1])
    for error in (writing.value, reading.value):
        assert "secret" not in str(error).replace("master_secret", "")
        assert secret.hex() not in str(error)


@pytest.mark.parametrize(
    ("offset", "value"),
    [
        (1 + 1 + 14 + 2 + 2 + 48 + 8, 2),  # extended_master_secret
        (1 + 1 + 14 + 2 + 2 + 48 + 8 + 1, 2),  # whether there is a server_name
        (1 + 1 + 14 + 2 + 2 + 48, 0x7F),  # created, with the next byte 0xf0: not finite
    ],
)
def test_flags_and_times(offset: int, value: int) -> None:
    encoded = bytearray(encode_session(replace(PLAIN, created=2.0**1023)))
    encoded[offset] = value
    if value == 0x7F:
        encoded[offset + 1] = 0xF0
    with pytest.raises(LocalError):
        decode_session(bytes(encoded))


def test_a_name_that_is_not_utf8() -> None:
    encoded = encode_session(replace(PLAIN, server_name="localhost"))
    with pytest.raises(LocalError, match="UTF-8"):
        decode_session(encoded.replace(b"localhost", b"local\xffost"))
