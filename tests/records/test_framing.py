"""Cutting the input into records and gathering the output (RFC 2246 §6.2.1)."""

from __future__ import annotations

import tracemalloc
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.records import plain_record
from tlsexit.alerts import LocalError, ProtocolVersionError, RecordOverflow
from tlsexit.records.framing import Fragment, OutputBuffer, RecordReader, fragments

Framed = tuple[int, int, bytes]


def next_record(reader: RecordReader) -> Framed | None:
    """Return the next record, its fragment as bytes."""
    record = reader.next()
    return None if record is None else (record[0], record[1], lies_at(record[2]))


def lies_at(fragment: Fragment) -> bytes:
    """Return the fragment itself."""
    buffer, start, stop = fragment
    return bytes(buffer[start:stop])


def drain(reader: RecordReader) -> list[Framed]:
    """Return every record that is complete."""
    records = []
    while (record := next_record(reader)) is not None:
        records.append(record)
    return records


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """Return ``data`` cut at ``places``; equal places give empty chunks."""
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[start:stop] for start, stop in pairwise(edges)]


records = st.lists(st.tuples(st.integers(0, 255), st.just(0x0301), st.binary(max_size=80)), max_size=12)


@given(records, st.lists(st.integers(0, 10**6), max_size=30), st.booleans())
def test_any_chunking_gives_the_same_records(expected: list[Framed], places: list[int], eager: bool) -> None:
    """R2246-6.2.1-09: transport segments and record boundaries are unrelated."""
    reader = RecordReader()
    seen = []
    for chunk in cut(b"".join(plain_record(kind, data) for kind, _, data in expected), places):
        reader.append(chunk)
        if eager:
            seen += drain(reader)
    assert seen + drain(reader) == expected
    assert reader.buffered == 0


@given(records)
def test_byte_by_byte(expected: list[Framed]) -> None:
    reader = RecordReader()
    seen = []
    for byte in b"".join(plain_record(kind, data) for kind, _, data in expected):
        reader.append(bytes([byte]))
        seen += drain(reader)
    assert seen == expected


def test_an_incomplete_record_stays_buffered() -> None:
    wire = plain_record(22, b"hello")
    for size in range(len(wire)):
        reader = RecordReader()
        reader.append(wire[:size])
        assert reader.next() is None
        assert reader.buffered == size


def test_a_long_backlog_costs_no_copy_of_it_per_record() -> None:
    """Eight million bytes are waiting and each small step must not move them all (minutes, if it did)."""
    reader = RecordReader()
    record = plain_record(23, bytes(195))
    count = 40_000
    reader.append(record * count)
    for _ in range(count):
        assert reader.next() is not None
        reader.append(b"\x17")
    assert reader.buffered == count


def test_a_long_stream_needs_no_memory_for_what_is_gone() -> None:
    """Chunks that never end with a record keep the buffer in use; it must not grow with the 20 MB that pass."""
    reader = RecordReader()
    record = plain_record(23, bytes(995))
    stream = record[500:] + record[:500]
    reader.append(record[:500])
    tracemalloc.start()
    try:
        for _ in range(20_000):
            reader.append(stream)
            assert reader.next() is not None
        assert tracemalloc.get_traced_memory()[1] < 2**16
    finally:
        tracemalloc.stop()


def test_a_megabyte_byte_by_byte() -> None:
    reader = RecordReader()
    wire = plain_record(23, bytes(2**14)) * 64
    seen = 0
    for position in range(len(wire)):
        reader.append(wire[position : position + 1])
        seen += reader.next() is not None
    assert seen == 64


@given(
    st.lists(st.tuples(st.sampled_from([22, 23]), st.binary(max_size=40)), max_size=12),
    st.lists(st.integers(0, 500), max_size=8),
    st.integers(1, 5),
)
def test_runs_of_one_type_are_the_same_records(records: list[tuple[int, bytes]], places: list[int], most: int) -> None:
    """However the stream is cut, ``next_of`` takes what ``next`` would have given, and never more than it was asked."""
    reader = RecordReader()
    reader.version = 0x0301
    seen: list[tuple[int, bytes]] = []
    for chunk in cut(b"".join(plain_record(kind, content) for kind, content in records), places):
        reader.append(chunk)
        while True:
            run = reader.next_of(23, most)
            assert len(run) <= most
            seen += [(23, lies_at(fragment)) for fragment in run]
            if run:
                continue
            record = reader.next()
            if record is None:
                break
            seen.append((record[0], lies_at(record[2])))
    assert seen == records


def test_a_run_leaves_what_is_not_in_order_to_next() -> None:
    """Another version and too long a fragment: what is wrong with them is for ``next`` to say."""
    good = plain_record(23, b"good")
    for bad in (plain_record(23, b"bad", 0x0302), b"\x17\x03\x01\x40\x01"):
        reader = RecordReader()
        reader.version = 0x0301
        reader.append(good + bad)
        assert [lies_at(fragment) for fragment in reader.next_of(23, 16)] == [b"good"]
        assert reader.next_of(23, 16) == []
        with pytest.raises((ProtocolVersionError, RecordOverflow)):
            reader.next()


@pytest.mark.parametrize("limit", [2**14, 2**14 + 2048])
def test_too_long_a_record_is_refused_at_its_header(limit: int) -> None:
    """R2246-6.2.1-02, R2246-6.2.3-01: one byte beyond the limit, before any of the fragment has been received."""
    reader = RecordReader()
    reader.limit = limit
    reader.append(plain_record(23, bytes(limit)))
    assert reader.next() is not None
    reader.append(b"\x17\x03\x01" + (limit + 1).to_bytes(2, "big"))
    for _ in range(2):  # and stays refused
        with pytest.raises(RecordOverflow):
            reader.next()


@pytest.mark.parametrize("version", [0x0300, 0x0301, 0x0302, 0x0303, 0x03FF])
def test_before_negotiation_any_minor_version_will_do(version: int) -> None:
    """R2246-E-02, R5246-E.1-01."""
    reader = RecordReader()
    reader.append(plain_record(22, b"\x01", version))
    assert next_record(reader) == (22, version, b"\x01")


@pytest.mark.parametrize("version", [0x0000, 0x0002, 0x0201, 0x0401, 0x4745, 0xFFFF])
def test_another_major_version_is_not_tls(version: int) -> None:
    reader = RecordReader()
    reader.append(plain_record(22, b"\x01", version))
    with pytest.raises(ProtocolVersionError):
        reader.next()


@pytest.mark.parametrize("version", [0x0300, 0x0302, 0x0401])
def test_after_negotiation_only_that_version_will_do(version: int) -> None:
    """R2246-6.2.1-08."""
    reader = RecordReader()
    reader.version = 0x0301
    reader.append(plain_record(22, b"\x01") + plain_record(22, b"\x01", version))
    assert next_record(reader) == (22, 0x0301, b"\x01")
    with pytest.raises(ProtocolVersionError):
        reader.next()


def test_peek_leaves_and_take_removes() -> None:
    """An SSL 2.0 ClientHello is not a record: its bytes are read raw, and records may follow it (appendix E)."""
    reader = RecordReader()
    reader.append(b"\x80\x2e\x01")
    assert reader.peek(2) == b"\x80\x2e"
    assert reader.peek(100) == b"\x80\x2e\x01"
    assert reader.take(3) == b"\x80\x2e\x01"
    assert reader.peek(1) == b""
    reader.append(plain_record(22, b"\x01"))
    assert next_record(reader) == (22, 0x0301, b"\x01")


@pytest.mark.parametrize("size", [-1, 4])
def test_take_wants_what_is_there(size: int) -> None:
    reader = RecordReader()
    reader.append(b"GET")
    with pytest.raises(LocalError):
        reader.take(size)


@given(st.lists(st.one_of(st.binary(max_size=300), st.integers(0, 400)), max_size=60))
def test_the_output_keeps_every_byte_in_order(steps: list[bytes | int]) -> None:
    """A number takes as many bytes out, bytes are written; the model is one growing bytes object."""
    output = OutputBuffer()
    model = b""
    for step in steps:
        if isinstance(step, bytes):
            output.append(step)
            model += step
        else:
            assert output.take(step) == model[:step]
            model = model[step:]
        assert len(output) == len(model)
    assert output.take() == model
    assert output.take() == b""


def test_a_long_output_backlog_is_not_moved_for_each_write() -> None:
    output = OutputBuffer()
    backlog = 2**23
    output.append(bytes(backlog))
    for _ in range(100_000):
        output.append(bytes(100))
        assert len(output.take(100)) == 100
    assert len(output) == backlog


def test_a_big_write_does_not_keep_its_memory_for_ever() -> None:
    output = OutputBuffer()
    tracemalloc.start()
    try:
        output.append(bytes(2**20))
        output.take(2**20 - 1)
        output.take()
        assert tracemalloc.get_traced_memory()[0] < 2**16
    finally:
        tracemalloc.stop()


def test_a_negative_amount_is_refused() -> None:
    with pytest.raises(LocalError):
        OutputBuffer().take(-1)


@given(st.binary(max_size=100), st.integers(1, 30), st.booleans())
def test_fragments_make_up_the_data(data: bytes, limit: int, split: bool) -> None:
    """R2246-6.2.1-01, R2246-6.2-01, R4346-6.2.3.2-02."""
    sizes = [len(piece) for piece in fragments(memoryview(data), limit, split)]
    assert b"".join(fragments(memoryview(data), limit, split)) == data
    assert all(0 < size <= limit for size in sizes)
    if split and len(data) > 1:
        assert sizes[0] == 1
    assert len(sizes) <= -(-len(data) // limit) + split
