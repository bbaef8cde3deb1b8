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

from collections.abc import Callable, Sequence
from hmac import compare_digest
from struct import Struct
from typing import Final, NoReturn, Protocol

from tlsexit.alerts import BadRecordMac, LocalError
from tlsexit.constants import MAX_CIPHERTEXT, MAX_PLAINTEXT
from tlsexit.crypto.bulk import DirectionKeys, new_decryptor, new_encryptor, new_mac
from tlsexit.records.framing import RECORD_HEADER

Buffer = bytes | bytearray | memoryview

Write = Callable[[Buffer], object]
"""What takes a piece of a record."""

MAX_SEQUENCE_NUMBER: Final = 2**64 - 1
"""The number of the last record that a connection state can protect (§6.1)."""

# What the MAC covers before the fragment: seq_num, type, version, length (§6.2.3.1)
_MAC_INPUT: Final = Struct(">QBHH")

# The padding bytes and the padding_length byte behind them, for each padding_length (§6.2.3.2)
_PADDING: Final = tuple(bytes([length]) * (length + 1) for length in range(256))

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

    def open(self, content_type: int, version: int, fragments: Sequence[Buffer], contents: list[bytes]) -> None:
        """Add the contents of consecutive records of one type to ``contents``.

        Raises :class:`~tlsexit.alerts.BadRecordMac` at the first that is not authentic, and
        :class:`~tlsexit.alerts.LocalError` when the sequence numbers are used up; what came before has been added.
        """


class WriteState(Protocol):
    """Puts the protection on the records of one direction, in order."""

    sequence_number: int
    """How many records this state has made (§6.1)."""

    @property
    def predictable_iv(self) -> bool:
        """Whether a record's IV can be read off the record before (CBC, §6.2.3.2)."""

    def seal(self, content_type: int, version: int, fragments: Sequence[Buffer], write: Write) -> None:
        """Write a record for each fragment, headers included, in pieces of any size.

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


class _NullState:
    """TLS_NULL_WITH_NULL_NULL in either direction: "the data is not encrypted and the MAC size is zero" (§6.2.3.1)."""

    __slots__ = ("sequence_number",)

    limit = MAX_PLAINTEXT
    predictable_iv = False

    def __init__(self) -> None:
        self.sequence_number = 0

    def open(self, content_type: int, version: int, fragments: Sequence[Buffer], contents: list[bytes]) -> None:
        self.sequence_number += len(fragments)
        contents += map(bytes, fragments)

    def seal(self, content_type: int, version: int, fragments: Sequence[Buffer], write: Write) -> None:
        self.sequence_number += len(fragments)
        for fragment in fragments:
            write(RECORD_HEADER.pack(content_type, version, len(fragment)))
            write(fragment)


class ForgottenState:
    """What is left of either direction once its keys have been forgotten (§7.2.2)."""

    __slots__ = ("sequence_number",)

    limit = MAX_CIPHERTEXT
    predictable_iv = False

    def __init__(self) -> None:
        self.sequence_number = 0

    def open(self, content_type: int, version: int, fragments: Sequence[Buffer], contents: list[bytes]) -> None:
        """Raise :class:`~tlsexit.alerts.LocalError`."""
        raise LocalError("the keys of this connection have been forgotten")

    def seal(self, content_type: int, version: int, fragments: Sequence[Buffer], write: Write) -> None:
        """Raise :class:`~tlsexit.alerts.LocalError`."""
        raise LocalError("the keys of this connection have been forgotten")


class _MacState:
    """What all protected states share: a keyed MAC and the sequence number that goes into it."""

    __slots__ = ("_mac", "_mac_size", "sequence_number")

    limit = MAX_CIPHERTEXT

    def __init__(self, keys: DirectionKeys) -> None:
        self._mac = new_mac(keys)
        self._mac_size = keys.suite.mac.size
        self.sequence_number = 0

    def _use_numbers(self, count: int) -> int:
        """Use up ``count`` sequence numbers and return the first of them.

        "Sequence numbers are of type uint64 and may not exceed 2^64-1" (§6.1); a new handshake would be due.
        """
        first = self.sequence_number
        if first + count - 1 > MAX_SEQUENCE_NUMBER:
            raise LocalError("the sequence numbers of this connection state are used up")
        self.sequence_number = first + count
        return first


class _StreamReadState(_MacState):
    """GenericStreamCipher: content and MAC under RC4, or in the clear under a NULL cipher (§6.2.3.1)."""

    __slots__ = ("_decryptor",)

    def __init__(self, keys: DirectionKeys) -> None:
        super().__init__(keys)
        self._decryptor = new_decryptor(keys)

    def open(self, content_type: int, version: int, fragments: Sequence[Buffer], contents: list[bytes]) -> None:
        decrypt, digest = self._decryptor.update, self._mac.digest
        for number, fragment in enumerate(fragments, self._use_numbers(len(fragments))):
            length = len(fragment) - self._mac_size
            if length < 0:
                _refuse()
            plain = decrypt(fragment)
            content = plain[:length]
            mac = digest(_MAC_INPUT.pack(number, content_type, version, length), content)
            if not compare_digest(plain[length:], mac):
                _refuse()
            contents.append(content)


class _BlockReadState(_MacState):
    """GenericBlockCipher: content, MAC and padding under a block cipher in CBC mode (§6.2.3.2)."""

    __slots__ = ("_block_size", "_decryptor")

    def __init__(self, keys: DirectionKeys) -> None:
        super().__init__(keys)
        self._block_size = keys.suite.cipher.block_size
        self._decryptor = new_decryptor(keys)

    def open(self, content_type: int, version: int, fragments: Sequence[Buffer], contents: list[bytes]) -> None:
        decrypt, digest = self._decryptor.update, self._mac.digest
        mac_size = self._mac_size
        for number, fragment in enumerate(fragments, self._use_numbers(len(fragments))):
            longest = len(fragment) - mac_size - 1  # the content's length if the padding is zero bytes long
            if longest < 0 or len(fragment) % self._block_size:
                _refuse()
            plain = decrypt(fragment)
            length = longest - plain[-1]
            if length < 0 or not compare_digest(plain[length + mac_size :], _PADDING[plain[-1]]):
                # "assume a zero-length pad and then compute the MAC" (RFC 4346 §6.2.3.2)
                length = longest
                padded = False
            else:
                padded = True
            content = plain[:length]
            mac = digest(_MAC_INPUT.pack(number, content_type, version, length), content)
            if not (compare_digest(plain[length : length + mac_size], mac) and padded):
                # Padding taken off is content not hashed: hash as many blocks in its place (Lucky Thirteen).
                digest(_FILLER[: _HASH_BLOCK * (_hash_blocks(longest) - _hash_blocks(length))])
                _refuse()
            contents.append(content)


class _EncryptThenMacReadState(_BlockReadState):
    """Content and padding under a block cipher, then a MAC over the ciphertext in the clear (RFC 7366 §3)."""

    __slots__ = ()

    def open(self, content_type: int, version: int, fragments: Sequence[Buffer], contents: list[bytes]) -> None:
        decrypt, keyed = self._decryptor.update, self._mac.keyed
        mac_size, block_size = self._mac_size, self._block_size
        for number, fragment in enumerate(fragments, self._use_numbers(len(fragments))):
            length = len(fragment) - mac_size
            if length < block_size or length % block_size:
                _refuse()
            ciphertext = fragment[:length]
            # Mac.digest, written out: short records consist of little else
            mac = keyed.copy()
            mac.update(_MAC_INPUT.pack(number, content_type, version, length))
            mac.update(ciphertext)
            if not compare_digest(fragment[length:], mac.finalize()):
                _refuse()
            # The MAC has shown that the peer itself wrote this: wrong padding tells nobody anything.
            plain = decrypt(ciphertext)
            padding = _PADDING[plain[-1]]
            if not plain.endswith(padding):
                _refuse()
            contents.append(plain[: -len(padding)])


class _StreamWriteState(_MacState):
    """GenericStreamCipher, the writing side (§6.2.3.1)."""

    __slots__ = ("_encryptor",)

    predictable_iv = False

    def __init__(self, keys: DirectionKeys) -> None:
        super().__init__(keys)
        self._encryptor = new_encryptor(keys)

    def seal(self, content_type: int, version: int, fragments: Sequence[Buffer], write: Write) -> None:
        encrypt, digest = self._encryptor.update, self._mac.digest
        for number, fragment in enumerate(fragments, self._use_numbers(len(fragments))):
            mac = digest(_MAC_INPUT.pack(number, content_type, version, len(fragment)), fragment)
            protected = encrypt(b"".join((fragment, mac)))
            write(RECORD_HEADER.pack(content_type, version, len(protected)))
            write(protected)


class _BlockWriteState(_MacState):
    """GenericBlockCipher, the writing side, with the shortest padding that fills the last block (§6.2.3.2)."""

    __slots__ = ("_block_size", "_encryptor")

    predictable_iv = True

    def __init__(self, keys: DirectionKeys) -> None:
        super().__init__(keys)
        self._block_size = keys.suite.cipher.block_size
        self._encryptor = new_encryptor(keys)

    def seal(self, content_type: int, version: int, fragments: Sequence[Buffer], write: Write) -> None:
        encrypt, digest = self._encryptor.update, self._mac.digest
        for number, fragment in enumerate(fragments, self._use_numbers(len(fragments))):
            length = len(fragment)
            mac = digest(_MAC_INPUT.pack(number, content_type, version, length), fragment)
            padding = _PADDING[-(length + len(mac) + 1) % self._block_size]
            protected = encrypt(b"".join((fragment, mac, padding)))
            write(RECORD_HEADER.pack(content_type, version, len(protected)))
            write(protected)


class _EncryptThenMacWriteState(_BlockWriteState):
    """Encryption first, then a MAC over the ciphertext, whose length is the one that enters the MAC (RFC 7366 §3)."""

    __slots__ = ()

    def seal(self, content_type: int, version: int, fragments: Sequence[Buffer], write: Write) -> None:
        encrypt, keyed = self._encryptor.update, self._mac.keyed
        mac_size, block_size = self._mac_size, self._block_size
        for number, fragment in enumerate(fragments, self._use_numbers(len(fragments))):
            padding = _PADDING[-(len(fragment) + 1) % block_size]
            ciphertext = encrypt(b"".join((fragment, padding)))
            length = len(ciphertext)
            mac = keyed.copy()
            mac.update(_MAC_INPUT.pack(number, content_type, version, length))
            mac.update(ciphertext)
            write(RECORD_HEADER.pack(content_type, version, length + mac_size))
            write(ciphertext)
            write(mac.finalize())


def _encrypts_then_macs(keys: DirectionKeys) -> bool:
    if keys.encrypt_then_mac and not keys.suite.cipher.is_block:
        raise LocalError(f"encrypt-then-MAC needs a block cipher, {keys.suite.name} has none (RFC 7366 §3)")
    return keys.encrypt_then_mac


def _hash_blocks(length: int) -> int:
    """Return how many hash blocks the MAC of a fragment of ``length`` bytes takes."""
    return (_MAC_INPUT.size + length + _HASH_TRAILER + _HASH_BLOCK - 1) // _HASH_BLOCK


def _refuse() -> NoReturn:
    raise BadRecordMac("a record does not authenticate")
