"""The record layer of one connection (RFC 2246 §6)."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.records import (
    AES_128,
    KINDS,
    NULL,
    RC4,
    TLS_1_0,
    TRIPLE_DES,
    Reference,
    drain,
    lengths,
    make_keys,
    plain_record,
    reader,
)
from tlsexit.alerts import (
    BadRecordMac,
    LocalError,
    ProtocolVersionError,
    RecordOverflow,
    UnexpectedMessage,
)
from tlsexit.constants import ContentType
from tlsexit.crypto.bulk import DirectionKeys
from tlsexit.crypto.schedule import connection_keys
from tlsexit.crypto.suites import CipherSuite
from tlsexit.records.layer import RecordLayer
from tlsexit.records.protection import MAX_SEQUENCE_NUMBER
from tlsexit.records.record import Record

CCS, ALERT, HANDSHAKE, DATA = ContentType
HEARTBEAT = 24


def writer(keys: DirectionKeys | None = None, *, max_fragment: int = 2**14, split_cbc: bool = True) -> RecordLayer:
    """Return a layer that writes under ``keys``."""
    layer = RecordLayer(max_fragment=max_fragment, split_cbc=split_cbc)
    if keys is not None:
        layer.change_write_keys(keys)
    return layer


# the initial state


def test_the_initial_state_is_plain() -> None:
    """R2246-6.1-01, R2246-6.2.1-07, R2246-6.2.1-09."""
    layer = RecordLayer()
    assert not layer.read_protected
    assert not layer.write_protected
    layer.send(HANDSHAKE, b"hello")
    assert layer.bytes_pending == 10
    assert layer.data_to_send() == b"\x16\x03\x01\x00\x05hello"
    assert layer.bytes_pending == 0


def test_input_and_output_of_any_bytes_type() -> None:
    layer = RecordLayer()
    for data in (b"data", bytearray(b"data"), memoryview(b"data")):
        layer.send(DATA, data)
        layer.receive_data(type(data)(plain_record(DATA, b"data")))
    assert layer.data_to_send() == plain_record(DATA, b"data") * 3
    assert [record.fragment for record in drain(layer)] == [b"data"] * 3


def test_later_changes_of_a_buffer_do_not_show() -> None:
    layer = RecordLayer()
    buffer = bytearray(plain_record(DATA, b"data"))
    layer.receive_data(buffer)
    buffer[:] = bytes(len(buffer))
    assert drain(layer) == [Record(DATA, TLS_1_0, b"data")]


def test_output_in_portions() -> None:
    layer = RecordLayer()
    layer.send(DATA, b"hello")
    assert [layer.data_to_send(4), layer.data_to_send(0), layer.data_to_send(100)] == [
        b"\x17\x03\x01\x00",
        b"",
        b"\x05hello",
    ]
    with pytest.raises(LocalError):
        layer.data_to_send(-1)


# key changes

messages = st.lists(st.tuples(st.sampled_from([ALERT, HANDSHAKE, DATA, HEARTBEAT]), st.binary(min_size=1, max_size=60)))


@settings(max_examples=100)
@given(st.lists(st.tuples(st.sampled_from(KINDS), messages), max_size=4), st.lists(st.integers(1, 400), max_size=20))
def test_keys_change_exactly_behind_change_cipher_spec(
    phases: list[tuple[CipherSuite, list[tuple[int, bytes]]]], sizes: list[int]
) -> None:
    """However the stream is cut, each record is read under the state that was current when it was written.

    R2246-7.1-04 (CCS itself under the old state), R2246-7.1-05, R2246-7.1-06, R2246-7.2-04, R2246-6.1-06 (numbers start
    again), R2246-6.2.3.2-07 (the chain starts over), R2246-6.2.1-10, R2246-7.4.1-01.
    """
    write, read = RecordLayer(split_cbc=False), RecordLayer()
    expected: list[Record] = []
    keys = [make_keys(suite, seed=bytes([number])) for number, (suite, _) in enumerate(phases)]
    for phase_keys, (_, phase_messages) in zip(keys, phases, strict=True):
        for content_type, data in [*phase_messages, (CCS, b"\x01")]:
            write.send(content_type, data)
            expected.append(Record(content_type, TLS_1_0, data))
        write.change_write_keys(phase_keys)

    wire = write.data_to_send()
    pending = iter(keys)
    seen = []
    for size in [*sizes, len(wire) + 1]:
        read.receive_data(wire[:size])
        wire = wire[size:]
        while (record := read.next_record()) is not None:
            seen.append(record)
            if record.content_type == CCS:
                read.change_read_keys(next(pending))
    assert seen == expected


def test_change_cipher_spec_alone_changes_nothing() -> None:
    """R2246-6.1-02, R2246-6.1-03: only keys make a state current; a CCS record without new ones is just a record."""
    layer = RecordLayer()
    layer.receive_data(plain_record(CCS, b"\x01") * 2 + plain_record(HANDSHAKE, b"still plain"))
    assert [record.fragment for record in drain(layer)] == [b"\x01", b"\x01", b"still plain"]
    assert not layer.read_protected

    keys = make_keys(AES_128)
    layer.change_read_keys(keys)
    reference = Reference(keys)
    layer.receive_data(reference.seal(CCS, b"\x01") + reference.seal(DATA, b"same state, next number"))
    assert [record.fragment for record in drain(layer)] == [b"\x01", b"same state, next number"]


def test_the_directions_switch_independently() -> None:
    """R2246-6.1-05."""
    layer = RecordLayer()
    layer.change_write_keys(make_keys(RC4))
    assert (layer.read_protected, layer.write_protected) == (False, True)
    layer.receive_data(plain_record(HANDSHAKE, b"plain"))
    assert drain(layer) == [Record(HANDSHAKE, TLS_1_0, b"plain")]
    layer.send(HANDSHAKE, b"finished")
    assert layer.data_to_send() == Reference(make_keys(RC4)).seal(HANDSHAKE, b"finished")


@pytest.mark.parametrize("suite", KINDS, ids=lambda suite: suite.name)
@pytest.mark.parametrize("encrypt_then_mac", [False, True])
def test_each_end_reads_with_the_other_ends_keys(suite: CipherSuite, encrypt_then_mac: bool) -> None:
    """R2246-6.1-04."""
    etm = encrypt_then_mac and suite.cipher.is_block
    keys = connection_keys(suite, bytes(48), bytes(32), bytes(range(32)), encrypt_then_mac=etm)
    client, server = RecordLayer(), RecordLayer()
    for layer, own, other in (
        (client, keys.client_write, keys.server_write),
        (server, keys.server_write, keys.client_write),
    ):
        layer.change_write_keys(own)
        layer.change_read_keys(other)
    for source, sink in ((client, server), (server, client)):
        source.send(DATA, b"to the other end")
        sink.receive_data(source.data_to_send())
        assert b"".join(record.fragment for record in drain(sink)) == b"to the other end"
    client.send(DATA, b"reflected")
    client.receive_data(client.data_to_send())
    with pytest.raises(BadRecordMac):
        client.next_record()


# writing


def test_records_are_not_messages() -> None:
    """R2246-6.2.1-04, R2246-6.2.1-05: where a message ends is nothing the record layer looks at, either way."""
    two_messages = bytes.fromhex("0e000000 00000000")
    layer = RecordLayer(max_fragment=5)
    layer.send(HANDSHAKE, two_messages)
    layer.receive_data(plain_record(HANDSHAKE, two_messages) + layer.data_to_send())
    assert [record.fragment for record in drain(layer)] == [two_messages, two_messages[:5], two_messages[5:]]


@given(st.binary(max_size=300), st.integers(1, 100), st.sampled_from(KINDS), st.booleans())
def test_a_write_is_cut_into_full_fragments(data: bytes, limit: int, suite: CipherSuite, split: bool) -> None:
    """R2246-6.2.1-01, R2246-6.2.1-05, R2246-6-03: compared, record by record, with the reference."""
    keys = make_keys(suite)
    layer = writer(keys, max_fragment=limit, split_cbc=split)
    reference = Reference(keys)
    head = 1 if split and suite.cipher.is_block and len(data) > 1 else 0
    pieces = [data[:head]] * head + [data[start : start + limit] for start in range(head, len(data), limit)]
    expected = b"".join(reference.seal(DATA, piece) for piece in pieces)
    layer.send(DATA, data)
    assert layer.data_to_send() == expected
    other = writer(keys, max_fragment=limit, split_cbc=split)
    other.send(DATA, memoryview(data))
    assert other.data_to_send() == expected


@pytest.mark.parametrize("keys", [None, make_keys(RC4), make_keys(AES_128), make_keys(AES_128, encrypt_then_mac=True)])
@pytest.mark.parametrize("size", [2**14 - 1, 2**14, 2**14 + 1, 3 * 2**14, 200_000])
def test_big_writes_arrive(keys: DirectionKeys | None, size: int) -> None:
    """R2246-6.2.1-03, R2246-6.2.1-06, R2246-10-01: any amount, in fragments of at most 2^14."""
    source, sink = writer(keys), reader(keys)
    data = bytes(range(256)) * (size // 256 + 1)
    source.send(HANDSHAKE, data[:size])
    wire = source.data_to_send()
    assert len(lengths(wire)) == -(-size // 2**14)
    sink.receive_data(wire)
    records = drain(sink)
    assert max(len(record.fragment) for record in records) <= 2**14
    assert b"".join(record.fragment for record in records) == data[:size]


def split_lengths(layer: RecordLayer, content_type: int, size: int) -> int:
    """Return how many records ``size`` bytes make."""
    layer.send(content_type, bytes(size))
    return len(lengths(layer.data_to_send()))


@pytest.mark.parametrize("suite", [AES_128, TRIPLE_DES])
@pytest.mark.parametrize("encrypt_then_mac", [False, True])
def test_application_data_is_split_under_cbc(suite: CipherSuite, encrypt_then_mac: bool) -> None:
    """R4346-6.2.3.2-02, CVE-2011-3389: the first byte goes alone, and nothing else is split."""
    keys = make_keys(suite, encrypt_then_mac=encrypt_then_mac)
    layer = writer(keys)
    assert [split_lengths(layer, DATA, size) for size in (1, 2, 2**14 + 1, 2**14 + 2)] == [1, 2, 2, 3]
    for content_type in (CCS, ALERT, HANDSHAKE):
        assert split_lengths(layer, content_type, 50) == 1
    assert split_lengths(writer(keys, split_cbc=False), DATA, 50) == 1
    sink = reader(keys)
    layer = writer(keys)
    layer.send(DATA, b"secret")
    sink.receive_data(layer.data_to_send())
    assert [record.fragment for record in drain(sink)] == [b"s", b"ecret"]


@pytest.mark.parametrize("keys", [None, make_keys(RC4), make_keys(NULL)])
def test_nothing_is_split_without_cbc(keys: DirectionKeys | None) -> None:
    assert split_lengths(writer(keys), DATA, 50) == 1


@pytest.mark.parametrize("content_type", [CCS, ALERT, HANDSHAKE, DATA])
def test_no_data_makes_no_record(content_type: int) -> None:
    """R2246-6.2-01."""
    layer = writer(make_keys(AES_128))
    layer.send(content_type, b"")
    assert layer.data_to_send() == b""


def test_the_negotiated_version_is_written() -> None:
    """R2246-6.2.1-07: {3,1} also before anything has been negotiated (R2246-E-01)."""
    layer = RecordLayer()
    assert layer.version is None
    layer.send(HANDSHAKE, b"x")
    layer.version = TLS_1_0
    layer.send(HANDSHAKE, b"x")
    assert layer.data_to_send() == plain_record(HANDSHAKE, b"x") * 2
    layer.version = 0x0300
    layer.send(ALERT, b"x")
    assert layer.data_to_send() == plain_record(ALERT, b"x", 0x0300)


# types, versions, raw bytes


@pytest.mark.parametrize("keys", [None, make_keys(AES_128), make_keys(NULL)])
@pytest.mark.parametrize("content_type", [0, 19, HEARTBEAT, 255])
def test_unknown_types_are_opened_and_counted(keys: DirectionKeys | None, content_type: int) -> None:
    """R2246-6-01, R2246-6-02: whether to ignore them is the caller's decision, and costs no synchronisation."""
    reference = Reference(keys) if keys else None
    layer = reader(keys)
    for kind, content in ((content_type, b"what is this"), (DATA, b"and on it goes")):
        layer.receive_data(reference.seal(kind, content) if reference else plain_record(kind, content))
        assert layer.next_record() == Record(kind, TLS_1_0, content)


def test_a_changed_unknown_type_is_not_ignored() -> None:
    """R2246-6-02."""
    keys = make_keys(RC4)
    layer = reader(keys)
    layer.receive_data(Reference(keys).seal(HEARTBEAT, b"x")[:-1] + b"?")
    with pytest.raises(BadRecordMac):
        layer.next_record()


def test_versions_before_and_after_negotiation() -> None:
    """R2246-E-02, R5246-E.1-01, R2246-6.2.1-08."""
    layer = RecordLayer()
    layer.receive_data(plain_record(HANDSHAKE, b"x", 0x0300) + plain_record(HANDSHAKE, b"x", 0x0303) * 2)
    assert [layer.next_record(), layer.next_record()] == [Record(HANDSHAKE, v, b"x") for v in (0x0300, 0x0303)]
    layer.version = TLS_1_0
    with pytest.raises(ProtocolVersionError):
        layer.next_record()


@pytest.mark.parametrize("raw", [b"GET / HTTP/1.0\r\n\r\n", bytes.fromhex("802e0103010015000000 10")])
def test_input_that_is_not_tls_can_be_looked_at(raw: bytes) -> None:
    """An SSL 2.0 ClientHello (R4346-E.1-01) or HTTP; looking is possible before and after the refusal."""
    layer = RecordLayer()
    layer.receive_data(raw)
    assert layer.peek(3) == raw[:3]
    with pytest.raises(ProtocolVersionError):
        layer.next_record()
    assert layer.peek(100) == raw
    assert layer.buffered == len(raw)
    assert layer.take(len(raw)) == raw
    layer.receive_data(plain_record(HANDSHAKE, b"x"))
    assert layer.next_record() == Record(HANDSHAKE, TLS_1_0, b"x")


def test_protected_input_cannot_be_taken() -> None:
    layer = reader(make_keys(AES_128))
    layer.receive_data(b"\x17\x03\x01")
    assert layer.peek(3) == b"\x17\x03\x01"
    with pytest.raises(LocalError):
        layer.take(1)


@pytest.mark.parametrize("keys", [None, make_keys(AES_128)])
def test_what_follows_the_last_record_can_be_taken(keys: DirectionKeys | None) -> None:
    """R2246-7.2.1-05: after close_notify another protocol may go on in the clear."""
    layer = reader(keys)
    layer.receive_data(
        (Reference(keys).seal(ALERT, b"\x01\x00") if keys else plain_record(ALERT, b"\x01\x00")) + b"QUIT"
    )
    assert layer.next_record() == Record(ALERT, TLS_1_0, b"\x01\x00")
    assert layer.take_rest() == b"QUIT"
    assert layer.take_rest() == b""


def test_bytes_outside_records_keep_their_place() -> None:
    """R4346-E.1-01: an SSL 2.0 ClientHello goes out bare."""
    layer = RecordLayer()
    layer.send_bare(bytes.fromhex("8003010301"))
    layer.send(ALERT, b"\x02\x28")
    assert layer.data_to_send() == bytes.fromhex("8003010301 1503010002 0228")


# failures


def test_nothing_behind_a_broken_record_is_delivered() -> None:
    """R2246-7.2.2-04: fatal; under a NULL cipher the next record would even authenticate."""
    keys = make_keys(NULL)
    layer = reader(keys)
    reference = Reference(keys)
    good = reference.seal(DATA, b"good")
    layer.receive_data(plain_record(DATA, bytes(30)) + good)
    texts = set()
    for _ in range(3):
        with pytest.raises(BadRecordMac) as caught:
            layer.next_record()
        texts.add(str(caught.value))
    assert len(texts) == 1


@given(
    st.lists(
        st.tuples(st.sampled_from([HANDSHAKE, DATA, DATA, DATA]), st.binary(min_size=1, max_size=80)), max_size=12
    ),
    st.lists(st.integers(1, 300), max_size=12),
    st.integers(1, 4),
    st.sampled_from([make_keys(suite) for suite in KINDS] + [make_keys(AES_128, encrypt_then_mac=True)]),
)
def test_runs_of_data_are_the_same_records(
    records: list[tuple[int, bytes]], sizes: list[int], most: int, keys: DirectionKeys
) -> None:
    """``next_data`` and ``next_record`` together give what was written, however the stream is cut."""
    reference, layer = Reference(keys), reader(keys)
    wire = b"".join(reference.seal(content_type, content) for content_type, content in records)
    seen: list[tuple[int, bytes]] = []
    for size in [*sizes, len(wire) + 1]:
        layer.receive_data(wire[:size])
        wire = wire[size:]
        while (found := layer.next_data(most)) is not None:
            assert len(found) <= most
            seen += [(DATA, content) for content in found]
            if not found:
                record = layer.next_record()
                if record is None:
                    break
                seen.append((record.content_type, record.fragment))
    assert seen == records


@pytest.mark.parametrize("suite", [AES_128, RC4])
def test_what_comes_before_a_failure_is_kept(suite: CipherSuite) -> None:
    """One by one or in a run: the same records, then the same failure for ever."""
    keys = make_keys(suite)
    reference = Reference(keys)
    good = [reference.seal(DATA, content) for content in (b"one", b"two")]
    broken = reference.seal(DATA, b"three")[:-1] + b"?"
    for run in (1, 2, 16):
        layer = reader(keys)
        layer.receive_data(b"".join([*good, broken, reference.seal(DATA, b"four")]))
        contents: list[bytes] = []
        while found := layer.next_data(run):
            contents += found
        assert contents == [b"one", b"two"]
        for _ in range(2):
            assert layer.next_data(run) == []
            with pytest.raises(BadRecordMac):
                layer.next_record()


def test_what_has_the_last_sequence_numbers_is_kept() -> None:
    """R2246-6.1-08: the run ends where the numbers do."""
    keys = make_keys(AES_128, encrypt_then_mac=True)
    layer, reference = reader(keys), Reference(keys)
    layer._read_state.sequence_number = reference.sequence_number = MAX_SEQUENCE_NUMBER
    layer.receive_data(reference.seal(DATA, b"last") + plain_record(DATA, bytes(36)))
    assert layer.next_data(16) == [b"last"]
    for _ in range(2):
        assert layer.next_data(16) == []
        with pytest.raises(LocalError, match="used up"):
            layer.next_record()


def test_less_than_a_header_is_nothing() -> None:
    """So there is no need to ask for a record."""
    layer = reader(make_keys(AES_128))
    for _ in range(5):
        assert layer.next_data(16) is None
        layer.receive_data(b"\x17")
    assert layer.next_data(16) == []
    with pytest.raises(ProtocolVersionError):
        layer.next_record()


def test_forgotten_keys_protect_nothing_more() -> None:
    """R2246-7.2.2-02: pending output, such as the alert itself, still leaves; nothing is read or written any more."""
    keys = make_keys(AES_128)
    layer = reader(keys)
    layer.change_write_keys(keys)
    layer.send(ALERT, b"\x02\x14")
    layer.forget_keys()
    assert layer.data_to_send() == Reference(keys).seal(ALERT, b"\x02\x14")
    with pytest.raises(LocalError, match="forgotten"):
        layer.send(DATA, b"x")
    layer.receive_data(Reference(keys).seal(DATA, b"x"))
    with pytest.raises(LocalError, match="forgotten"):
        layer.next_record()
    assert layer.data_to_send() == b""


def any_bytes(layers: Iterable[RecordLayer], chunks: list[bytes]) -> None:
    """Feed ``chunks`` to each layer and let nothing pass but records and the four documented errors."""
    documented = (ProtocolVersionError, RecordOverflow, BadRecordMac, UnexpectedMessage)
    for layer in layers:
        for chunk in chunks:
            layer.receive_data(chunk)
            try:
                drain(layer)
            except documented as error:
                with pytest.raises(type(error)):
                    layer.next_record()
                break


headers = st.builds(plain_record, st.integers(0, 255), st.binary(max_size=100), st.sampled_from([0x0301, 0x0300]))


@given(st.lists(st.one_of(st.binary(max_size=50), headers), max_size=10))
def test_any_input_gives_records_or_documented_errors(chunks: list[bytes]) -> None:
    any_bytes([RecordLayer(), *(reader(make_keys(suite)) for suite in KINDS)], chunks)
    any_bytes([reader(make_keys(AES_128, encrypt_then_mac=True))], chunks)
