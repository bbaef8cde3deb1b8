"""What a monitor and its workers tell each other: any message arrives as it was, and nothing else is one."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tlsexit.drivers.monitor import messages
from tlsexit.drivers.monitor.messages import FROM_MONITOR, FROM_WORKER, Message, Start, decode, encode

NUMBERS = st.integers(0, 2**64 - 1)
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)
BY_WORKERS: st.SearchStrategy[Message] = st.one_of(
    st.builds(messages.Started, st.booleans()),
    st.builds(messages.NotStarted, st.text(), st.integers()),
    st.just(messages.Alive()),
    st.builds(messages.Taken, NUMBERS),
    st.builds(messages.Established, NUMBERS, NUMBERS, st.integers(0, 65535), st.booleans()),
    st.builds(messages.Progress, NUMBERS, NUMBERS, NUMBERS),
    st.builds(messages.Over, NUMBERS, st.booleans(), NUMBERS, NUMBERS, st.text()),
    st.builds(messages.Told, JSON),
    st.just(messages.Ended()),
)


@given(BY_WORKERS)
def test_what_a_worker_says_arrives(message: Message) -> None:
    line = encode(message)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert decode(line, FROM_WORKER) == message
    with pytest.raises(ValueError, match="not a message"):
        decode(line, FROM_MONITOR)


@given(st.floats(0, 1e6), st.binary())
def test_what_a_monitor_says_arrives(seconds: float, keys: bytes) -> None:
    for message in (messages.Drain(seconds), messages.ShareKeys(keys.hex())):
        assert decode(encode(message), FROM_MONITOR) == message


@given(st.binary() | JSON.map(lambda value: json.dumps(value).encode()))
def test_anything_else_is_no_message(line: bytes) -> None:
    with pytest.raises(ValueError, match="not a message of a worker or monitor"):
        decode(line, FROM_WORKER)


@pytest.mark.parametrize(
    "line",
    [
        b'["Over",{"session":1,"begun":true,"received":0,"sent":0}]',
        b'["Over",{"session":1,"begun":true,"received":0,"sent":0,"reason":"","more":1}]',
        b'["Over",{"session":1,"begun":true,"received":0,"sent":0,"reason":null}]',
        b'["Over",{"session":true,"begun":true,"received":0,"sent":0,"reason":""}]',
        b'["Over",{"session":"1","begun":true,"received":0,"sent":0,"reason":""}]',
        b'["Over",{"session":1,"begun":1,"received":0,"sent":0,"reason":""}]',
        b'["Over",[1,0,0,""]]',
        b'["Start",{}]',
        b'["Drain",{"seconds":1}]',
        b"[" * 100_000,
    ],
)
def test_elements_are_all_there_and_of_their_types(line: bytes) -> None:
    with pytest.raises(ValueError, match="not a message of a worker or monitor"):
        decode(line, FROM_WORKER)


def test_secrets_are_in_no_text() -> None:
    start = Start(1, "a:b", b"pickled-password", b"ticket-keys", "file", b"session-key", 1.0, 60.0, 60.0)
    for secret in ("pickled-password", "ticket-keys", "session-key"):
        assert secret not in repr(start)
    assert "c0ffee" not in repr(messages.ShareKeys("c0ffee"))
