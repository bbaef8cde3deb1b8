"""Connection states: MAC, ciphers, padding, sequence numbers (RFC 2246 §6.1, §6.2.3).

What the states write and read is compared with ``tests.support.records``, which shares no code with them.
"""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.hmac import HMAC
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.records import (
    AES_128,
    BLOCK_KINDS,
    KINDS,
    NULL,
    RC4,
    TLS_1_0,
    TRIPLE_DES,
    Reference,
    make_keys,
    padding,
)
from tlsexit.alerts import BadRecordMac, LocalError
from tlsexit.crypto.bulk import DirectionKeys, new_mac
from tlsexit.crypto.suites import CipherSuite
from tlsexit.records import protection
from tlsexit.records.protection import MAX_SEQUENCE_NUMBER, ReadState, WriteState, new_read_state, new_write_state

EVERY_KIND = [make_keys(suite) for suite in KINDS]
EVERY_BLOCK_KIND = [make_keys(suite) for suite in BLOCK_KINDS]
EVERY_MODE = EVERY_KIND + [make_keys(suite, encrypt_then_mac=True) for suite in BLOCK_KINDS]


def name(keys: DirectionKeys) -> str:
    """Return a test id."""
    return keys.suite.name + (" encrypt-then-MAC" if keys.encrypt_then_mac else "")


def seal(state: WriteState, content_type: int, content: bytes) -> bytes:
    """Return the record that ``state`` makes of ``content``."""
    return b"".join(state.seal(content_type, TLS_1_0, content))


def open_record(state: ReadState, record: bytes) -> bytes:
    """Return the content of ``record``, whose header is taken at its word."""
    return state.open(record[0], int.from_bytes(record[1:3], "big"), record, 5, len(record))


def refusal(state: ReadState, record: bytes) -> str:
    """Return the text of the BadRecordMac that ``record`` gives."""
    with pytest.raises(BadRecordMac) as caught:
        open_record(state, record)
    return str(caught.value)


contents = st.lists(st.tuples(st.sampled_from([20, 21, 22, 23, 24]), st.binary(max_size=100)), max_size=8)


@pytest.mark.parametrize("keys", EVERY_MODE, ids=name)
@settings(max_examples=25)
@given(contents)
def test_records_are_what_the_rfc_describes(keys: DirectionKeys, records: list[tuple[int, bytes]]) -> None:
    """Byte for byte what the reference makes, over a whole sequence of records.

    R2246-6.1-09 (one number a record, from 0, whatever its type), R2246-6.2.3-02, R2246-6.2.3.1-01 (what the MAC
    covers), R2246-6.2.3.1-02, R2246-6.2.3.1-03, R2246-6.2.3.1-04 (RC4 runs on), R2246-6.2.3.1-05 (NULL ciphers),
    R2246-6.2.3.2-01, R2246-6.2.3.2-02, R2246-6.2.3.2-03, R2246-6.2.3.2-07 (IV chaining), R2246-6.2.3.2-08 (no explicit
    IV), R2246-6.2.3.2-10 (the chain crosses content types), R7366-3-01.
    """
    state = new_write_state(keys)
    reference = Reference(keys)
    for content_type, content in records:
        assert seal(state, content_type, content) == reference.seal(content_type, content)
    assert state.sequence_number == len(records)


@pytest.mark.parametrize("keys", [None, *EVERY_MODE], ids=lambda keys: name(keys) if keys else "null")
@settings(max_examples=25)
@given(st.lists(st.binary(min_size=2, max_size=100), max_size=4))
def test_two_records_at_once_are_two_records(keys: DirectionKeys | None, writes: list[bytes]) -> None:
    """R4346-6.2.3.2-02: as if the first byte and the rest had been sealed one after the other."""
    at_once, in_turn = new_write_state(keys), new_write_state(keys)
    for data in writes:
        expected = seal(in_turn, 23, data[:1]) + seal(in_turn, 23, data[1:])
        assert b"".join(at_once.seal_split(23, TLS_1_0, data)) == expected
    assert at_once.sequence_number == in_turn.sequence_number


@pytest.mark.parametrize("keys", EVERY_MODE, ids=name)
@settings(max_examples=25)
@given(contents)
def test_what_the_reference_makes_is_read(keys: DirectionKeys, records: list[tuple[int, bytes]]) -> None:
    """The same list as for writing, empty records included (R5246-6.2.1-01), seen from the reading side."""
    state = new_read_state(keys)
    reference = Reference(keys)
    for content_type, content in records:
        assert open_record(state, reference.seal(content_type, content)) == content
    assert state.sequence_number == len(records)


@pytest.mark.parametrize("keys", EVERY_MODE, ids=name)
@settings(max_examples=25)
@given(st.lists(st.binary(max_size=2000), max_size=5))
def test_open_undoes_seal(keys: DirectionKeys, records: list[bytes]) -> None:
    write, read = new_write_state(keys), new_read_state(keys)
    for content in records:
        assert open_record(read, seal(write, 23, content)) == content


def test_the_initial_states_do_nothing() -> None:
    """R2246-6.1-01, R2246-6.2.2-01, R2246-6.2.2-02: no encryption, no MAC, no compression; the content stands there."""
    record = seal(new_write_state(None), 22, b"content" * 100)
    assert record == b"\x16\x03\x01\x02\xbc" + b"content" * 100
    assert open_record(new_read_state(None), record) == b"content" * 100


@pytest.mark.parametrize("keys", EVERY_MODE, ids=name)
def test_a_full_fragment_is_legal(keys: DirectionKeys) -> None:
    """R2246-6.2.1-03: 2^14 bytes, and the ciphertext stays within 2^14 + 2048 (R2246-6.2.3-01)."""
    content = bytes(2**14)
    state = new_write_state(keys)
    record = seal(state, 23, content)
    assert len(record) - 5 <= new_read_state(keys).limit == 2**14 + 2048
    assert open_record(new_read_state(keys), record) == content


def test_the_worked_example_of_padding() -> None:
    """R2246-6.2.3.2-02: "the last 8 octets ... would be xx 06 06 06 06 06 06 06" for 61 bytes and a block of 8."""
    record = seal(new_write_state(make_keys(TRIPLE_DES)), 23, bytes(61))
    assert len(record) - 5 == 61 + 20 + 6 + 1
    assert padding(61 + 20, 8) == b"\x06" * 7


@pytest.mark.parametrize(("suite", "length"), [(TRIPLE_DES, 40), (AES_128, 48)])
def test_a_finished_takes_no_iv_with_it(suite: CipherSuite, length: int) -> None:
    """R2246-6.2.3.2-08: a 16-byte Finished gives 40 bytes under blocks of 8, 48 under blocks of 16."""
    assert len(seal(new_write_state(make_keys(suite)), 22, bytes(16))) - 5 == length


@pytest.mark.parametrize("keys", EVERY_BLOCK_KIND, ids=name)
@pytest.mark.parametrize("encrypt_then_mac", [False, True])
def test_any_consistent_padding_is_accepted(keys: DirectionKeys, encrypt_then_mac: bool) -> None:
    """R2246-6.2.3.2-04: from the shortest to 255 bytes, all in one chain."""
    keys = make_keys(keys.suite, encrypt_then_mac=encrypt_then_mac)
    read, reference = new_read_state(keys), Reference(keys)
    size = keys.suite.cipher.block_size
    for padding_length in range(256):
        inside = 0 if encrypt_then_mac else keys.suite.mac.size
        content = bytes(-(inside + padding_length + 1) % size + size)
        record = reference.seal(23, content, padding_length=padding_length)
        assert open_record(read, record) == content


def test_the_longest_protected_record() -> None:
    """R2246-6.2.1-03: 2^14 bytes with the longest padding that fits reach 16656 bytes."""
    keys = make_keys(AES_128)
    record = Reference(keys).seal(23, bytes(2**14), padding_length=251)
    assert len(record) - 5 == 16656
    assert open_record(new_read_state(keys), record) == bytes(2**14)


# refusals

GENUINE = b"content"
ANSWER = "bad_record_mac(20): a record does not authenticate"


@pytest.mark.parametrize("padding_length", [0, 15, 31, 240 + 4, 255])
@pytest.mark.parametrize("flip", [0x01, 0x80, 0xFF])
def test_every_padding_byte_is_checked(padding_length: int, flip: int) -> None:
    """R2246-6.2.3.2-03, R2246-6.2.3.2-05 (CVE-2014-8730), R2246-7.2.2-05, R4346-7.2.2-01: one alert, one text."""
    keys = make_keys(AES_128)
    content = bytes(-(20 + padding_length + 1) % 16)
    for position in range(padding_length + 1):
        reference = Reference(keys)
        plain = bytearray(content + reference.mac(23, TLS_1_0, content) + padding(0, 1, padding_length))
        plain[-1 - position] ^= flip
        assert refusal(new_read_state(keys), reference.seal_raw(23, bytes(plain))) == ANSWER


@pytest.mark.parametrize("keys", EVERY_MODE, ids=name)
def test_every_mac_byte_is_checked(keys: DirectionKeys) -> None:
    """R2246-6-03: nothing passes before its MAC; R2246-7.2.2-04: each byte of it counts."""
    size = keys.suite.mac.size
    for position in range(size):
        reference = Reference(keys)
        if keys.encrypt_then_mac:
            record = bytearray(reference.seal(23, GENUINE))
            record[-1 - position] ^= 1
        else:
            mac = bytearray(reference.mac(23, TLS_1_0, GENUINE))
            mac[position] ^= 1
            plain = GENUINE + bytes(mac)
            if keys.suite.cipher.is_block:
                plain += padding(len(plain), keys.suite.cipher.block_size)
            record = bytearray(reference.seal_raw(23, plain))
        assert refusal(new_read_state(keys), bytes(record)) == ANSWER


@pytest.mark.parametrize("keys", EVERY_MODE, ids=name)
def test_every_changed_bit_of_a_record_shows(keys: DirectionKeys) -> None:
    """R2246-6.2.3-02: the visible type and version are covered like the fragment."""
    record = Reference(keys).seal(23, GENUINE)
    for position in [0, 1, 2, *range(5, len(record))]:
        changed = bytearray(record)
        changed[position] ^= 0x10
        assert refusal(new_read_state(keys), bytes(changed)) == ANSWER


@pytest.mark.parametrize("keys", EVERY_MODE, ids=name)
def test_lost_repeated_and_reordered_records_show(keys: DirectionKeys) -> None:
    """R2246-6.2.3-03."""
    reference = Reference(keys)
    first, second, third = (reference.seal(23, content) for content in (b"one", b"two", b"three"))
    for wrong in ([second], [first, first], [first, third], [first, second, second]):
        state = new_read_state(keys)
        for record in wrong[:-1]:
            open_record(state, record)
        assert refusal(state, wrong[-1]) == ANSWER


@pytest.mark.parametrize("keys", EVERY_MODE, ids=name)
def test_impossible_lengths_look_like_a_bad_mac(keys: DirectionKeys) -> None:
    """R2246-6.2.3.1-06 (shorter than a MAC), R2246-6.2.3.2-06 (no multiple of the block), R2246-7.2.2-05."""
    for length in range(100):
        assert refusal(new_read_state(keys), b"\x17\x03\x01" + length.to_bytes(2, "big") + bytes(length)) == ANSWER


@pytest.mark.parametrize("keys", EVERY_BLOCK_KIND, ids=name)
def test_padding_that_leaves_no_room_for_the_mac(keys: DirectionKeys) -> None:
    """R2246-6.2.3.2-09: every padding_length, in every length of record that is too short for it."""
    size, mac_size = keys.suite.cipher.block_size, keys.suite.mac.size
    shortest = -(-(mac_size + 1) // size) * size
    for length in range(shortest, 256 + size, size * 3):
        for padding_length in range(length - mac_size, 256, 7):
            plain = bytes([padding_length]) * length
            assert refusal(new_read_state(keys), Reference(keys).seal_raw(23, plain)) == ANSWER


def test_bad_padding_under_encrypt_then_mac() -> None:
    """R7366-3-01: a peer that authenticates wrong padding gets the one answer too, too long and inconsistent alike."""
    keys = make_keys(AES_128, encrypt_then_mac=True)
    for plain in (bytes([200]) * 16, bytes(14) + b"\x01\x02", b"\x10" * 16):
        reference = Reference(keys)
        ciphertext = reference.encrypt(plain)
        fragment = ciphertext + reference.mac(23, TLS_1_0, ciphertext)
        with pytest.raises(BadRecordMac, match="does not authenticate"):
            new_read_state(keys).open(23, TLS_1_0, fragment, 0, len(fragment))


class CountingMac:
    """Counts the hash blocks that MACs take: 64 bytes each, with 9 more bytes in the last (RFC 1321 §3, FIPS 180)."""

    def __init__(self, keyed: HMAC, counted: list[int]) -> None:
        self.mac = keyed
        self.counted = counted
        self.length = 0

    def copy(self) -> CountingMac:
        return CountingMac(self.mac.copy(), self.counted)

    def update(self, data: bytes | memoryview) -> None:
        self.length += len(data)
        self.mac.update(data)

    def finalize(self) -> bytes:
        self.counted.append(-(-(self.length + 9) // 64))
        return self.mac.finalize()


@pytest.mark.parametrize("suite", [AES_128, TRIPLE_DES])
@pytest.mark.parametrize("length", [48, 256, 288, 320, 1024])
def test_every_refused_block_record_costs_the_same(
    suite: CipherSuite, length: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R4346-6.2.3.2-01: the MAC is computed for bad padding too, over as many hash blocks as for any other."""
    keys = make_keys(suite)
    counters: list[list[int]] = []

    def counted(keys: DirectionKeys) -> CountingMac:
        counters.append([])
        return CountingMac(new_mac(keys), counters[-1])

    monkeypatch.setattr(protection, "new_mac", counted)
    plains = [bytes([1]) * length, bytes(length - 1) + b"\x05", bytes(length - 1) + b"\xff"]
    plains += [bytes([number]) * length for number in range(min(256, length - 20))]
    for plain in plains:
        refusal(new_read_state(keys), Reference(keys).seal_raw(23, plain))
    assert len(set(map(sum, counters))) == 1


# sequence numbers


@pytest.mark.parametrize("keys", EVERY_MODE, ids=name)
def test_the_last_sequence_number(keys: DirectionKeys) -> None:
    """R2246-6.1-07, R2246-6.1-08: 64 bits; 2^64-1 is used, and nothing after it, in either direction."""
    write, read, reference = new_write_state(keys), new_read_state(keys), Reference(keys)
    write.sequence_number = read.sequence_number = reference.sequence_number = MAX_SEQUENCE_NUMBER
    record = seal(write, 23, b"last")
    assert record == reference.seal(23, b"last")
    assert open_record(read, record) == b"last"
    with pytest.raises(LocalError, match="used up"):
        seal(write, 23, b"one too many")
    with pytest.raises(LocalError, match="used up"):
        open_record(read, record)


@pytest.mark.parametrize("keys", EVERY_MODE, ids=name)
def test_two_records_need_two_sequence_numbers(keys: DirectionKeys) -> None:
    """R2246-6.1-07, R2246-6.1-08."""
    write, reference = new_write_state(keys), Reference(keys)
    write.sequence_number = reference.sequence_number = MAX_SEQUENCE_NUMBER - 1
    assert b"".join(write.seal_split(23, TLS_1_0, b"last")) == reference.seal(23, b"l") + reference.seal(23, b"ast")
    for number in (MAX_SEQUENCE_NUMBER, MAX_SEQUENCE_NUMBER + 1):
        write = new_write_state(keys)
        write.sequence_number = number
        with pytest.raises(LocalError, match="used up"):
            write.seal_split(23, TLS_1_0, b"one too many")


def test_the_next_number_after_a_carry() -> None:
    """R2246-6.1-07: no shorter counter inside."""
    keys = make_keys(RC4)
    write, reference = new_write_state(keys), Reference(keys)
    write.sequence_number = reference.sequence_number = 2**32 - 1
    for content in (b"before", b"after"):
        assert seal(write, 23, content) == reference.seal(23, content)


@pytest.mark.parametrize("suite", [NULL, RC4])
def test_encrypt_then_mac_needs_a_block_cipher(suite: CipherSuite) -> None:
    """RFC 7366 §3: stream ciphers keep MAC-then-encrypt, so such keys are a mistake of this side."""
    keys = make_keys(suite, encrypt_then_mac=True)
    for make in (new_read_state, new_write_state):
        with pytest.raises(LocalError, match="block cipher"):
            make(keys)


@pytest.mark.parametrize("keys", EVERY_MODE, ids=name)
@settings(max_examples=25)
@given(st.binary(max_size=400))
def test_any_bytes_are_content_or_bad_record_mac(keys: DirectionKeys, fragment: bytes) -> None:
    with pytest.raises(BadRecordMac):
        new_read_state(keys).open(23, TLS_1_0, fragment, 0, len(fragment))
