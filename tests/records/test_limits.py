"""Lengths and floods: what is refused, and exactly from where on (RFC 2246 §6.2)."""

from __future__ import annotations

import pytest

from tests.support.records import (
    AES_128,
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
from tlsexit.alerts import BadRecordMac, LocalError, PeerError, RecordOverflow, UnexpectedMessage
from tlsexit.constants import ContentType
from tlsexit.crypto.bulk import DirectionKeys
from tlsexit.crypto.suites import CipherSuite
from tlsexit.records.layer import RecordLayer
from tlsexit.records.record import Record

CCS, ALERT, HANDSHAKE, DATA = ContentType
HEARTBEAT = 24


@pytest.mark.parametrize("size", [1, 2**14])
def test_smaller_fragments_can_be_agreed(size: int) -> None:
    """R4366-3.2-02, at the limit and one byte beyond, in both directions."""
    layer = RecordLayer()
    layer.max_fragment = size
    layer.max_received_fragment = size
    layer.send(DATA, bytes(size + 1))
    assert lengths(layer.data_to_send()) == [size, 1]
    layer.receive_data(plain_record(DATA, bytes(size)) + plain_record(DATA, bytes(size + 1)))
    assert layer.next_record() == Record(DATA, TLS_1_0, bytes(size))
    with pytest.raises(RecordOverflow):
        layer.next_record()


@pytest.mark.parametrize("size", [-1, 0, 2**14 + 1])
def test_fragment_sizes_out_of_range(size: int) -> None:
    """R2246-6.2.1-01."""
    layer = RecordLayer()
    with pytest.raises(LocalError):
        layer.max_fragment = size
    with pytest.raises(LocalError):
        layer.max_received_fragment = size
    with pytest.raises(LocalError):
        RecordLayer(max_fragment=size)
    assert (layer.max_fragment, layer.max_received_fragment) == (2**14, 2**14)


def test_plain_records_up_to_2_14() -> None:
    """R2246-6.2.1-02, R2246-6.2.1-03: refused as soon as the header has been read."""
    layer = reader()
    layer.receive_data(plain_record(DATA, bytes(2**14)))
    assert layer.next_record() == Record(DATA, TLS_1_0, bytes(2**14))
    layer.receive_data(plain_record(DATA, bytes(2**14 + 1))[:5])
    with pytest.raises(RecordOverflow):
        layer.next_record()


@pytest.mark.parametrize(("length", "error"), [(18432, BadRecordMac), (18433, RecordOverflow)])
def test_protected_records_up_to_2_14_and_2048(length: int, error: type[PeerError]) -> None:
    """R2246-6.2.3-01, R2246-7.2.2-06: within the limit the MAC decides, beyond it nothing is decrypted."""
    layer = reader(make_keys(AES_128))
    layer.receive_data(plain_record(DATA, bytes(length)))
    with pytest.raises(error):
        layer.next_record()


@pytest.mark.parametrize("suite", [AES_128, TRIPLE_DES, RC4, NULL])
@pytest.mark.parametrize("size", [2**14 + 1, 2**14 + 1024, 2**14 + 1025, 18000])
def test_authentic_records_of_too_much_plaintext(suite: CipherSuite, size: int) -> None:
    """R2246-6.2.2-03, R2246-7.2.2-06: without compression 2^14 is the limit behind it, too."""
    keys = make_keys(suite)
    reference, layer = Reference(keys), reader(keys)
    layer.receive_data(reference.seal(DATA, bytes(2**14)))
    assert layer.next_record() == Record(DATA, TLS_1_0, bytes(2**14))
    layer.receive_data(reference.seal(DATA, bytes(size)))
    with pytest.raises(RecordOverflow):
        layer.next_record()


def test_a_bad_mac_goes_before_an_overflow() -> None:
    """R2246-6-03: the length of a record that is not authentic means nothing."""
    keys = make_keys(RC4)
    record = bytearray(Reference(keys).seal(DATA, bytes(2**14 + 1)))
    record[-1] ^= 1
    layer = reader(keys)
    layer.receive_data(bytes(record))
    with pytest.raises(BadRecordMac):
        layer.next_record()


# empty records


@pytest.mark.parametrize("keys", [None, make_keys(AES_128), make_keys(RC4)])
@pytest.mark.parametrize("content_type", [CCS, ALERT, HANDSHAKE])
def test_empty_messages_are_refused(keys: DirectionKeys | None, content_type: int) -> None:
    """R2246-6.2-01."""
    layer = reader(keys)
    layer.receive_data(plain_record(content_type, b"") if keys is None else Reference(keys).seal(content_type, b""))
    with pytest.raises(UnexpectedMessage):
        layer.next_record()


@pytest.mark.parametrize("content_type", [DATA, HEARTBEAT])
@pytest.mark.parametrize("most", [0, 1, 32])
def test_empty_records_in_a_row_are_counted(content_type: int, most: int) -> None:
    """R5246-6.2.1-01, R2246-6.1-09: empty application data is legal and numbered; without end it is an attack."""
    keys = make_keys(AES_128)
    reference = Reference(keys)
    layer = RecordLayer(max_empty_records=most)
    layer.change_read_keys(keys)
    for _ in range(3):  # something in between starts the count again
        empty = [reference.seal(content_type, b"") for _ in range(most)]
        layer.receive_data(b"".join(empty) + reference.seal(DATA, b"x"))
        assert [record.fragment for record in drain(layer)] == [b""] * most + [b"x"]
    layer.receive_data(b"".join(reference.seal(content_type, b"") for _ in range(most + 1)))
    for _ in range(most):
        assert layer.next_record() == Record(content_type, TLS_1_0, b"")
    with pytest.raises(UnexpectedMessage):
        layer.next_record()
