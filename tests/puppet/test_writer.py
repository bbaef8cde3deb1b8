"""Records made by a puppet: honest ones are what the record layer makes, and each departure is exactly what it says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.records import AES_128, BLOCK_KINDS, KINDS, NULL, RC4, drain, make_keys, reader
from tlsexit.alerts import BadRecordMac
from tlsexit.crypto.suites import CipherSuite
from tlsexit.puppet import RecordWriter, Sealing, flip_first, longest_padding
from tlsexit.records.layer import RecordLayer

FRAGMENTS = st.lists(st.tuples(st.sampled_from((20, 21, 22, 23)), st.binary(min_size=1, max_size=200)), max_size=5)


@pytest.mark.parametrize("encrypt_then_mac", [False, True])
@given(suite=st.sampled_from(KINDS), fragments=FRAGMENTS)
def test_honest_records(suite: CipherSuite, fragments: list[tuple[int, bytes]], encrypt_then_mac: bool) -> None:
    """The same bytes as the record layer's, record after record (§6.2.3, RFC 7366)."""
    keys = make_keys(suite, encrypt_then_mac=encrypt_then_mac and suite.cipher.is_block)
    layer, writer = RecordLayer(split_cbc=False), RecordWriter(keys)
    layer.change_write_keys(keys)
    for content_type, fragment in fragments:
        layer.send(content_type, fragment)
        assert writer.seal(content_type, fragment) == layer.data_to_send()


def test_without_keys() -> None:
    assert RecordWriter().seal(22, b"abc", Sealing(version=0x0300)) == bytes.fromhex("16 0300 0003 616263")
    assert not RecordWriter().protected


@pytest.mark.parametrize("suite", [AES_128, RC4, NULL])
@pytest.mark.parametrize(
    "how",
    [
        Sealing(mac=flip_first),
        Sealing(plain=flip_first),
        Sealing(sequence_number=7),
        Sealing(mac=lambda mac: b""),
    ],
)
def test_a_spoilt_record_does_not_authenticate(suite: CipherSuite, how: Sealing) -> None:
    keys = make_keys(suite)
    layer = reader(keys)
    layer.receive_data(RecordWriter(keys).seal(23, b"some data", how))
    with pytest.raises(BadRecordMac):
        layer.next_record()


@pytest.mark.parametrize("encrypt_then_mac", [False, True])
@pytest.mark.parametrize("suite", BLOCK_KINDS, ids=lambda suite: suite.cipher.name)
def test_padding(suite: CipherSuite, encrypt_then_mac: bool) -> None:
    """The longest padding is still right, one wrong byte of it is not (§6.2.3.2)."""
    keys = make_keys(suite, encrypt_then_mac=encrypt_then_mac)
    longest = longest_padding(suite.cipher.block_size)
    writer, layer = RecordWriter(keys), reader(keys)
    sealed = writer.seal(23, b"x", Sealing(padding=longest))
    assert len(sealed) > 5 + 256 - suite.cipher.block_size
    layer.receive_data(sealed + writer.seal(23, b"y"))
    assert [record.fragment for record in drain(layer)] == [b"x", b"y"]
    layer.receive_data(writer.seal(23, b"z", Sealing(padding=lambda padding: flip_first(longest(padding)))))
    with pytest.raises(BadRecordMac):
        layer.next_record()


def test_a_record_that_does_not_count() -> None:
    """The next one has the same number, so only one of the two authenticates."""
    keys = make_keys(NULL)
    writer, layer = RecordWriter(keys), reader(keys)
    writer.seal(23, b"not sent", Sealing(counted=False))
    layer.receive_data(writer.seal(23, b"sent"))
    assert [record.fragment for record in drain(layer)] == [b"sent"]


def test_a_length_that_lies() -> None:
    assert RecordWriter().seal(22, b"abc", Sealing(length=0xFFFF))[3:5] == b"\xff\xff"
