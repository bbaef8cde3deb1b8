"""Between the byte stream and records: finding record boundaries, and buffering both ways (RFC 2246 §6.2.1).

Record boundaries and transport segments are unrelated, so input may come in chunks of any size. Each buffer below
moves a byte a bounded number of times on average, however the stream is cut: a 100 MB stream fed byte by byte costs
proportionally more calls, but not more copying.
"""

from __future__ import annotations

from struct import Struct
from typing import Final

from tlsexit.alerts import LocalError, ProtocolVersionError, RecordOverflow
from tlsexit.constants import MAX_PLAINTEXT, RECORD_HEADER_LENGTH

RECORD_HEADER: Final = Struct(">BHH")
"""type, version, length: the bytes before every fragment."""

_unpack_header: Final = RECORD_HEADER.unpack_from


Fragment = tuple[bytes | bytearray, int, int]
"""Where a fragment lies: a buffer, its start, its stop. Valid until more input is appended."""


class RecordReader:
    """Collects input and cuts it into records, still protected."""

    __slots__ = ("_buffer", "_offset", "buffered", "limit", "version")

    def __init__(self) -> None:
        # Whole records usually arrive in one chunk, which is then read where it lies; only a chunk that arrives
        # behind a leftover is copied.
        self._buffer: bytes | bytearray = b""
        self._offset = 0
        self.buffered = 0
        """Bytes received but not yet handed out."""
        self.limit = MAX_PLAINTEXT
        """Largest acceptable fragment in bytes; depends on whether records are protected (§6.2.1, §6.2.3)."""
        self.version: int | None = None
        """What every header has to say; None as long as no version has been negotiated."""

    def append(self, data: bytes | bytearray | memoryview) -> None:
        """Add ``data`` behind what is buffered."""
        if type(data) is not bytes:
            data = bytes(data)
        if not self.buffered:
            self._buffer = data
            self._offset = 0
            self.buffered = len(data)
            return
        self.buffered += len(data)
        buffer = self._buffer
        offset = self._offset
        if not isinstance(buffer, bytearray):
            buffer = self._buffer = bytearray(buffer[offset:])
            self._offset = 0
        elif 2 * offset > len(buffer):  # moves at most as many bytes as have been consumed since the last move
            del buffer[:offset]
            self._offset = 0
        buffer += data

    def peek(self, size: int) -> bytes:
        """Return the next ``size`` bytes, or as many as there are, and leave them where they are."""
        return bytes(self._buffer[self._offset : self._offset + size])

    def take(self, size: int) -> bytes:
        """Remove and return the next ``size`` bytes; :class:`~tlsexit.alerts.LocalError` if there are not as many."""
        if not 0 <= size <= self.buffered:
            raise LocalError(f"{size} bytes asked for, {self.buffered} buffered")
        data = self.peek(size)
        self._consume(size)
        return data

    def next(self) -> tuple[int, int, Fragment] | None:
        """Return type, version and fragment of the next record, or None as long as it is incomplete.

        A bad header is refused as soon as its five bytes are there, and stays where it is.

        Raises :class:`~tlsexit.alerts.ProtocolVersionError` and :class:`~tlsexit.alerts.RecordOverflow`.
        """
        if self.buffered < RECORD_HEADER_LENGTH:
            return None
        buffer, offset = self._buffer, self._offset
        content_type, version, length = _unpack_header(buffer, offset)
        if version != self.version:
            self._check_version(version)
        if length > self.limit:
            raise RecordOverflow(f"a record of {length} bytes; at most {self.limit} are allowed")
        size = RECORD_HEADER_LENGTH + length
        if size > self.buffered:
            return None
        self._consume(size)
        return content_type, version, (buffer, offset + RECORD_HEADER_LENGTH, offset + size)

    def next_of(self, content_type: int, most: int) -> list[Fragment]:
        """Return the fragments of the records that are next, complete, of this type and in order, at most ``most``.

        The first that is not is left to :meth:`next`.
        """
        buffer, agreed, limit = self._buffer, self.version, self.limit
        found: list[Fragment] = []
        offset, end = self._offset, len(buffer)
        while (start := offset + RECORD_HEADER_LENGTH) <= end and len(found) < most:
            kind, version, length = _unpack_header(buffer, offset)
            stop = start + length
            if kind != content_type or stop > end or version != agreed or length > limit:
                break
            found.append((buffer, start, stop))
            offset = stop
        self._consume(offset - self._offset)
        return found

    def _consume(self, size: int) -> None:
        self._offset += size
        self.buffered -= size
        if not self.buffered:  # lets go of the caller's bytes
            self._buffer = b""
            self._offset = 0

    def _check_version(self, version: int) -> None:
        # Until a version is agreed any minor number will do: the first ClientHello may be labelled {3,0} (RFC 2246
        # appendix E), and later clients use others (RFC 5246 §E.1). What does not say 3 is no TLS at all.
        if self.version is not None:
            hint = "; perhaps the peer has no TLS 1.0" if version > self.version else ""
            raise ProtocolVersionError(f"a record of version {version:#06x}; {self.version:#06x} was negotiated{hint}")
        if version >> 8 != 3:
            raise ProtocolVersionError(f"version {version:#06x} in a record header: this is not TLS")


class OutputBuffer:
    """Records waiting to be sent: what one write made is handed out as it is, more of them joined.

    What is taken in parts is cut from where it lies.
    """

    __slots__ = ("_start", "_taken", "_waiting")

    def __init__(self) -> None:
        self._waiting: list[bytes] = []
        self._taken = b""
        self._start = 0  # how much of what is being taken is gone

    def __len__(self) -> int:
        return len(self._taken) - self._start + sum(map(len, self._waiting))

    def append(self, data: bytes) -> None:
        """Put ``data`` behind all that is pending."""
        self._waiting.append(data)

    def take(self, amount: int | None = None) -> bytes:
        """Remove and return the pending bytes, at most ``amount`` of them.

        Raises :class:`~tlsexit.alerts.LocalError` if ``amount`` is negative.
        """
        if amount is None:
            waiting = self._waiting
            if self._taken:
                waiting.insert(0, self._taken[self._start :])
                self._taken, self._start = b"", 0
            data = waiting[0] if len(waiting) == 1 else b"".join(waiting)
            waiting.clear()
            return data
        if amount < 0:
            raise LocalError(f"cannot take {amount} bytes")
        parts = []
        while amount and (self._taken or self._waiting):
            if not self._taken:
                self._taken = self.take()
            part = self._taken[self._start : self._start + amount]
            parts.append(part)
            amount -= len(part)
            self._start += len(part)
            if self._start == len(self._taken):
                self._taken, self._start = b"", 0
        return b"".join(parts)


def fragments(data: memoryview, limit: int, split: bool) -> list[memoryview]:
    """Return ``data`` in pieces of at most ``limit`` bytes, none of them empty (§6.2.1).

    With ``split`` the first piece is a single byte. In TLS 1.0 the next record's IV is known to whoever saw the last
    record, and who may also choose the next plaintext can test guesses (BEAST). The MAC of the one-byte record
    makes the IV of the rest unpredictable; what follows in the same write was fixed before any of it could be seen.
    """
    pieces = [data[:1]] if split and len(data) > 1 else []
    start = len(pieces)
    while start < len(data):
        pieces.append(data[start : start + limit])
        start += limit
    return pieces
