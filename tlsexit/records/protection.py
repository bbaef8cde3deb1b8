"""Connection states: what protects the records of one direction (RFC 2246 §6.1, §6.2.3).

A state is made from the keys of one direction, counts its records from zero, and is replaced as a whole when
ChangeCipherSpec makes the next one current. TLS 1.0 chains the CBC initialisation vector and the RC4 stream from record
to record, so one cipher context serves all the records of a state. Compression is always null (§6.2.2): TLSPlaintext
and TLSCompressed are the same bytes.

What is wrong with a protected record does not show: an impossible length, bad padding and a bad MAC are all
:class:`~tlsexit.alerts.BadRecordMac` with the same text (RFC 4346 §7.2.2). Bad padding and a bad MAC also cost a MAC
over the same number of hash blocks, against the padding oracles of Vaudenay and Lucky Thirteen; an interpreted language
cannot promise equal times beyond that.
"""

from __future__ import annotations

from hmac import compare_digest
from struct import Struct
from typing import Final, NoReturn, Protocol

from tlsexit.alerts import BadRecordMac, LocalError
from tlsexit.constants import MAX_CIPHERTEXT, MAX_PLAINTEXT
from tlsexit.crypto.bulk import DirectionKeys, mac_of, new_decryptor, new_encryptor, new_mac
from tlsexit.records.framing import RECORD_HEADER

Buffer = bytes | bytearray | memoryview

MAX_SEQUENCE_NUMBER: Final = 2**64 - 1
"""The number of the last record that a connection state can protect (§6.1)."""

# What the MAC covers before the fragment: seq_num, type, version, length (§6.2.3.1)
_MAC_INPUT: Final = Struct(">QBHH")

# The padding bytes and the padding_length byte behind them, for each padding_length (§6.2.3.2)
_PADDING: Final = tuple(bytes([length]) * (length + 1) for length in range(256))

_LONG: Final = 2048
"""Bytes from which on a view is cheaper than a copy."""

_HASH_BLOCK: Final = 64  # bytes; MD5 and SHA-1 alike
_HASH_TRAILER: Final = 9  # fewest bytes that both append to the input of the last block
_FILLER: Final = bytes(_HASH_BLOCK * 6)


class ReadState(Protocol):
    """Takes the protection off the records of one direction, in order."""

    sequence_number: int
    """How many records this state has seen (§6.1)."""

    @property
    def limit(self) -> int:
        """Longest fragment that a record may have on the wire, in bytes (§6.2)."""

    def open(self, content_type: int, version: int, buffer: bytes | bytearray, start: int, stop: int) -> bytes:
        """Return the content of the next record, whose fragment is ``buffer[start:stop]``.

        Raises :class:`~tlsexit.alerts.BadRecordMac` if it is not authentic, and :class:`~tlsexit.alerts.LocalError`
        when the sequence numbers are used up.
        """


class WriteState(Protocol):
    """Puts the protection on the records of one direction, in order."""

    sequence_number: int
    """How many records this state has made (§6.1)."""

    @property
    def predictable_iv(self) -> bool:
        """Whether a record's IV can be read off the record before (CBC, §6.2.3.2)."""

    def seal(self, content_type: int, version: int, fragment: Buffer) -> tuple[Buffer, ...]:
        """Return the next record in pieces, its header first.

        Raises :class:`~tlsexit.alerts.LocalError` when the sequence numbers are used up.
        """

    def seal_split(self, content_type: int, version: int, data: bytes) -> tuple[Buffer, ...]:
        """Return the next two records in pieces: the first byte of ``data``, and the rest.

        Raises :class:`~tlsexit.alerts.LocalError` when the sequence numbers are used up.
        """


def new_read_state(keys: DirectionKeys | None) -> ReadState:
    """Return the state that reads what the peer protects with ``keys``; None is the initial, null state (§6.1).

    Raises :class:`~tlsexit.alerts.LocalError` if the keys want encrypt-then-MAC without a block cipher (RFC 7366 §3).
    """
    if keys is None:
        return _NullState()
    if _encrypts_then_macs(keys):
        return _EncryptThenMacReadState(keys)
    return _BlockReadState(keys) if keys.suite.cipher.is_block else _StreamReadState(keys)


def new_write_state(keys: DirectionKeys | None) -> WriteState:
    """Return the state that protects with ``keys``; None is the initial, null state (§6.1).

    Raises :class:`~tlsexit.alerts.LocalError` if the keys want encrypt-then-MAC without a block cipher (RFC 7366 §3).
    """
    if keys is None:
        return _NullState()
    if _encrypts_then_macs(keys):
        return _EncryptThenMacWriteState(keys)
    return _BlockWriteState(keys) if keys.suite.cipher.is_block else _StreamWriteState(keys)


class _SealsOneByOne:
    """What a write state needs where nothing is gained by making two records at once."""

    __slots__ = ()

    def seal_split(self: WriteState, content_type: int, version: int, data: bytes) -> tuple[Buffer, ...]:
        return self.seal(content_type, version, data[:1]) + self.seal(content_type, version, data[1:])


class _NullState(_SealsOneByOne):
    """TLS_NULL_WITH_NULL_NULL in either direction: "the data is not encrypted and the MAC size is zero" (§6.2.3.1)."""

    __slots__ = ("sequence_number",)

    limit = MAX_PLAINTEXT
    predictable_iv = False

    def __init__(self) -> None:
        self.sequence_number = 0

    def open(self, content_type: int, version: int, buffer: bytes | bytearray, start: int, stop: int) -> bytes:
        self.sequence_number += 1
        return bytes(buffer[start:stop])

    def seal(self, content_type: int, version: int, fragment: Buffer) -> tuple[Buffer, ...]:
        self.sequence_number += 1
        return RECORD_HEADER.pack(content_type, version, len(fragment)), fragment


class ForgottenState(_SealsOneByOne):
    """What is left of either direction once its keys have been forgotten (§7.2.2)."""

    __slots__ = ("sequence_number",)

    limit = MAX_CIPHERTEXT
    predictable_iv = False

    def __init__(self) -> None:
        self.sequence_number = 0

    def open(self, content_type: int, version: int, buffer: bytes | bytearray, start: int, stop: int) -> bytes:
        """Raise :class:`~tlsexit.alerts.LocalError`."""
        raise LocalError("the keys of this connection have been forgotten")

    def seal(self, content_type: int, version: int, fragment: Buffer) -> tuple[Buffer, ...]:
        """Raise :class:`~tlsexit.alerts.LocalError`."""
        raise LocalError("the keys of this connection have been forgotten")


class _MacState:
    """What all protected states share: a keyed MAC and the sequence number that goes into it."""

    __slots__ = ("_keyed", "_mac_size", "sequence_number")

    limit = MAX_CIPHERTEXT

    def __init__(self, keys: DirectionKeys) -> None:
        self._keyed = new_mac(keys)
        self._mac_size = keys.suite.mac.size
        self.sequence_number = 0

    def _next_mac(self, content_type: int, version: int, covered: Buffer) -> bytes:
        """Return the MAC of the next record, and count that record.

        "Sequence numbers are of type uint64 and may not exceed 2^64-1" (§6.1); a new handshake would be due.
        """
        number = self.sequence_number
        if number > MAX_SEQUENCE_NUMBER:
            _used_up()
        self.sequence_number = number + 1
        mac = self._keyed.copy()
        mac.update(_MAC_INPUT.pack(number, content_type, version, len(covered)))
        mac.update(covered)
        return mac.finalize()


class _StreamReadState(_MacState):
    """GenericStreamCipher: content and MAC under RC4, or in the clear under a NULL cipher (§6.2.3.1)."""

    __slots__ = ("_decryptor",)

    def __init__(self, keys: DirectionKeys) -> None:
        super().__init__(keys)
        self._decryptor = new_decryptor(keys)

    def open(self, content_type: int, version: int, buffer: bytes | bytearray, start: int, stop: int) -> bytes:
        length = stop - start - self._mac_size
        if length < 0:
            _refuse()
        plain = self._decryptor.update(buffer[start:stop])
        content = plain[:length]
        if not compare_digest(plain[length:], self._next_mac(content_type, version, content)):
            _refuse()
        return content


class _BlockReadState(_MacState):
    """GenericBlockCipher: content, MAC and padding under a block cipher in CBC mode (§6.2.3.2)."""

    __slots__ = ("_block_size", "_decryptor")

    def __init__(self, keys: DirectionKeys) -> None:
        super().__init__(keys)
        self._block_size = keys.suite.cipher.block_size
        self._decryptor = new_decryptor(keys)

    def open(self, content_type: int, version: int, buffer: bytes | bytearray, start: int, stop: int) -> bytes:
        mac_size = self._mac_size
        longest = stop - start - mac_size - 1  # the content's length if the padding is zero bytes long
        if longest < 0 or (stop - start) % self._block_size:
            _refuse()
        plain = self._decryptor.update(buffer[start:stop])
        length = longest - plain[-1]
        if length < 0 or not compare_digest(plain[length + mac_size :], _PADDING[plain[-1]]):
            # "assume a zero-length pad and then compute the MAC" (RFC 4346 §6.2.3.2)
            length = longest
            padded = False
        else:
            padded = True
        content = plain[:length]
        mac = self._next_mac(content_type, version, content)
        if not (compare_digest(plain[length : length + mac_size], mac) and padded):
            # Padding taken off is content not hashed: hash as many blocks in its place (Lucky Thirteen).
            mac_of(self._keyed, _FILLER[: _HASH_BLOCK * (_hash_blocks(longest) - _hash_blocks(length))])
            _refuse()
        return content


class _EncryptThenMacReadState(_BlockReadState):
    """Content and padding under a block cipher, then a MAC over the ciphertext in the clear (RFC 7366 §3)."""

    __slots__ = ()

    def open(self, content_type: int, version: int, buffer: bytes | bytearray, start: int, stop: int) -> bytes:
        mac_start = stop - self._mac_size
        length = mac_start - start
        if length < self._block_size or length % self._block_size:
            _refuse()
        data = buffer if length < _LONG else memoryview(buffer)
        ciphertext = data[start:mac_start]
        # _next_mac, written out
        number = self.sequence_number
        if number > MAX_SEQUENCE_NUMBER:
            _used_up()
        self.sequence_number = number + 1
        mac = self._keyed.copy()
        mac.update(_MAC_INPUT.pack(number, content_type, version, length))
        mac.update(ciphertext)
        if not compare_digest(data[mac_start:stop], mac.finalize()):
            _refuse()
        # The MAC has shown that the peer itself wrote this: wrong padding tells nobody anything.
        plain = self._decryptor.update(ciphertext)
        padding = _PADDING[plain[-1]]
        if not plain.endswith(padding):
            _refuse()
        return plain[: -len(padding)]


class _StreamWriteState(_MacState, _SealsOneByOne):
    """GenericStreamCipher, the writing side (§6.2.3.1)."""

    __slots__ = ("_encryptor",)

    predictable_iv = False

    def __init__(self, keys: DirectionKeys) -> None:
        super().__init__(keys)
        self._encryptor = new_encryptor(keys)

    def seal(self, content_type: int, version: int, fragment: Buffer) -> tuple[Buffer, ...]:
        protected = self._encryptor.update(b"".join((fragment, self._next_mac(content_type, version, fragment))))
        return RECORD_HEADER.pack(content_type, version, len(protected)), protected


class _BlockWriteState(_MacState):
    """GenericBlockCipher, the writing side, with the shortest padding that fills the last block (§6.2.3.2)."""

    __slots__ = ("_block_size", "_encryptor")

    predictable_iv = True

    def __init__(self, keys: DirectionKeys) -> None:
        super().__init__(keys)
        self._block_size = keys.suite.cipher.block_size
        self._encryptor = new_encryptor(keys)

    def seal(self, content_type: int, version: int, fragment: Buffer) -> tuple[Buffer, ...]:
        mac = self._next_mac(content_type, version, fragment)
        padding = _PADDING[-(len(fragment) + len(mac) + 1) % self._block_size]
        protected = self._encryptor.update(b"".join((fragment, mac, padding)))
        return RECORD_HEADER.pack(content_type, version, len(protected)), protected

    def seal_split(self, content_type: int, version: int, data: bytes) -> tuple[Buffer, ...]:
        # the chain runs from the first record to the second: one call encrypts both
        first, rest = data[:1], data[1:]
        mac_size, block_size = self._mac_size, self._block_size
        padding = _PADDING[-(mac_size + 2) % block_size]
        size = 1 + mac_size + len(padding)
        first_mac = self._next_mac(content_type, version, first)
        rest_mac = self._next_mac(content_type, version, rest)
        rest_padding = _PADDING[-(len(data) + mac_size) % block_size]
        both = self._encryptor.update(b"".join((first, first_mac, padding, rest, rest_mac, rest_padding)))
        return (
            RECORD_HEADER.pack(content_type, version, size),
            both[:size],
            RECORD_HEADER.pack(content_type, version, len(both) - size),
            both[size:],
        )


class _EncryptThenMacWriteState(_BlockWriteState):
    """Encryption first, then a MAC over the ciphertext, whose length is the one that enters the MAC (RFC 7366 §3)."""

    __slots__ = ()

    def seal(self, content_type: int, version: int, fragment: Buffer) -> tuple[Buffer, ...]:
        # _next_mac, written out
        number = self.sequence_number
        if number > MAX_SEQUENCE_NUMBER:
            _used_up()
        self.sequence_number = number + 1
        padding = _PADDING[-(len(fragment) + 1) % self._block_size]
        ciphertext = self._encryptor.update(b"".join((fragment, padding)))
        length = len(ciphertext)
        mac = self._keyed.copy()
        mac.update(_MAC_INPUT.pack(number, content_type, version, length))
        mac.update(ciphertext)
        return RECORD_HEADER.pack(content_type, version, length + self._mac_size), ciphertext, mac.finalize()

    def seal_split(self, content_type: int, version: int, data: bytes) -> tuple[Buffer, ...]:
        # _next_mac for each, written out
        number = self.sequence_number
        if number >= MAX_SEQUENCE_NUMBER:
            _used_up()
        self.sequence_number = number + 2
        mac_size, block_size = self._mac_size, self._block_size
        padding = _PADDING[-len(data) % block_size]
        both = self._encryptor.update(b"".join((data[:1], _PADDING[block_size - 2], data[1:], padding)))
        first, rest = both[:block_size], both[block_size:]
        length = len(rest)
        first_mac, rest_mac = self._keyed.copy(), self._keyed.copy()
        first_mac.update(_MAC_INPUT.pack(number, content_type, version, block_size))
        first_mac.update(first)
        rest_mac.update(_MAC_INPUT.pack(number + 1, content_type, version, length))
        rest_mac.update(rest)
        return (
            RECORD_HEADER.pack(content_type, version, block_size + mac_size),
            first,
            first_mac.finalize(),
            RECORD_HEADER.pack(content_type, version, length + mac_size),
            rest,
            rest_mac.finalize(),
        )


def _encrypts_then_macs(keys: DirectionKeys) -> bool:
    if keys.encrypt_then_mac and not keys.suite.cipher.is_block:
        raise LocalError(f"encrypt-then-MAC needs a block cipher, {keys.suite.name} has none (RFC 7366 §3)")
    return keys.encrypt_then_mac


def _hash_blocks(length: int) -> int:
    """Return how many hash blocks the MAC of a fragment of ``length`` bytes takes."""
    return (_MAC_INPUT.size + length + _HASH_TRAILER + _HASH_BLOCK - 1) // _HASH_BLOCK


def _used_up() -> NoReturn:
    raise LocalError("the sequence numbers of this connection state are used up")


def _refuse() -> NoReturn:
    raise BadRecordMac("a record does not authenticate")
