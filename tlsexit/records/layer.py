"""The record layer of one connection: bytes in, records out, and back (RFC 2246 §6)."""

from __future__ import annotations

from collections.abc import Iterable
from io import BytesIO
from typing import Final

from tlsexit.alerts import LocalError, PeerError, RecordOverflow, UnexpectedMessage
from tlsexit.constants import MAX_PLAINTEXT, RECORD_HEADER_LENGTH, ContentType, ProtocolVersion
from tlsexit.crypto.bulk import DirectionKeys
from tlsexit.records.framing import Fragment, OutputBuffer, RecordReader, fragments
from tlsexit.records.protection import ForgottenState, ReadState, WriteState, new_read_state, new_write_state
from tlsexit.records.record import Record, type_name

_LARGEST_OVERHEAD: Final = RECORD_HEADER_LENGTH + 20 + 16
"""Bytes that a record adds to its content at most: header, MAC (SHA-1), padding (a block of AES)."""

# as plain numbers: to look a member of an enumeration up costs as much as a call
_APPLICATION_DATA: Final = int(ContentType.APPLICATION_DATA)
_TLS_1_0: Final = int(ProtocolVersion.TLS_1_0)

_NEVER_EMPTY: Final = frozenset({ContentType.CHANGE_CIPHER_SPEC, ContentType.ALERT, ContentType.HANDSHAKE})


class RecordLayer:
    """Both directions of a connection's record protocol, without a socket.

    Received records are opened one at a time, by :meth:`next_record`, so that the caller can change the read keys
    between a ChangeCipherSpec and the record behind it. Records of unknown types are handed out like the others,
    decrypted, checked and counted (§6): RFC 2246 says to ignore them, RFC 5246 to refuse them, and the caller decides.

    ``max_fragment`` is the largest fragment to write, in bytes; ``split_cbc`` writes the first byte of application data
    in a record of its own under CBC suites (BEAST, CVE-2011-3389); ``max_empty_records`` is how many records in a
    row may carry nothing, each costing this side a decryption.
    """

    __slots__ = (
        "_empty_records",
        "_failure",
        "_max_empty_records",
        "_max_fragment",
        "_max_received_fragment",
        "_output",
        "_read_state",
        "_reader",
        "_split_cbc",
        "_write_state",
        "data_to_send",
        "read_protected",
        "receive_data",
        "write_protected",
    )

    def __init__(
        self, *, max_fragment: int = MAX_PLAINTEXT, split_cbc: bool = True, max_empty_records: int = 32
    ) -> None:
        self.max_fragment = max_fragment
        self._max_received_fragment = MAX_PLAINTEXT
        self._split_cbc = split_cbc
        self._max_empty_records = max_empty_records
        self._empty_records = 0
        self._reader = RecordReader()
        self._output = OutputBuffer()
        # the buffers' own methods, without a call in between
        self.receive_data = self._reader.append
        """Buffer input from the transport, cut in any way; nothing is decrypted yet."""
        self.data_to_send = self._output.take
        """Remove and return the bytes to transmit, at most as many as asked for; LocalError for less than none."""
        # The initial states have no encryption, no MAC and no compression (§6.1).
        self._read_state: ReadState = new_read_state(None)
        self._write_state: WriteState = new_write_state(None)
        self.read_protected = False
        """Whether received records have to be authentic under keys."""
        self.write_protected = False
        """Whether written records go out under keys."""
        # Class and reason rather than the exception, whose traceback would keep the record alive.
        self._failure: tuple[type[PeerError | LocalError], str] | None = None

    # reading

    @property
    def version(self) -> int | None:
        """What every record header has to say and will say.

        None until a version is negotiated: then any {3,x} is accepted, and {3,1} written (§6.2.1, appendix E).
        """
        return self._reader.version

    @version.setter
    def version(self, version: int | None) -> None:
        self._reader.version = version

    @property
    def buffered(self) -> int:
        """Bytes received that have not been handed out as records."""
        return self._reader.buffered

    @property
    def exhausted(self) -> bool:
        """Whether :meth:`next_record` has nothing to return or to raise."""
        return not self._reader.buffered and self._failure is None

    def peek(self, size: int) -> bytes:
        """Return the first ``size`` undelivered bytes as they came, or as many as there are, without removing them.

        For what is not a TLS record at all: an SSL 2.0 ClientHello (appendix E), or HTTP on the wrong port.
        """
        return self._reader.peek(size)

    def take(self, size: int) -> bytes:
        """Remove and return the first ``size`` undelivered bytes, outside any record.

        Raises :class:`~tlsexit.alerts.LocalError` if there are not as many, or once records are protected.
        """
        if self.read_protected:
            raise LocalError("protected input cannot be taken as it is")
        return self._reader.take(size)

    def take_rest(self) -> bytes:
        """Remove and return everything undelivered: what followed the peer's close_notify is not TLS (§7.2.1)."""
        return self._reader.take(self._reader.buffered)

    def next_record(self) -> Record | None:
        """Return the next record, opened under the current read state, or None as long as it is incomplete.

        After a record was refused, the same error comes again: nothing behind a broken record can be trusted.

        Raises :class:`~tlsexit.alerts.ProtocolVersionError` (header of another version, §6.2.1),
        :class:`~tlsexit.alerts.RecordOverflow` (longer than §6.2 allows),
        :class:`~tlsexit.alerts.BadRecordMac` (not authentic), :class:`~tlsexit.alerts.UnexpectedMessage` (an empty
        record where there must not be one, or too many), and :class:`~tlsexit.alerts.LocalError` when the sequence
        numbers are used up.
        """
        if self._failure is None:
            framed = self._reader.next()
            if framed is None:
                return None
            content_type, version, fragment = framed
            contents = self._open(content_type, version, (fragment,))
            if contents:
                return Record(content_type, version, contents[0])
        assert self._failure is not None
        error_class, reason = self._failure
        raise error_class(reason)

    def next_data(self, most: int) -> list[bytes] | None:
        """Return the contents of the application data records that are next, at most ``most``.

        The short way for what most records are. An empty list leaves it to :meth:`next_record` to say what comes next;
        with None it would say that nothing does.
        """
        reader = self._reader
        version = reader.version
        if self._failure is not None or version is None:
            return []
        if reader.buffered < RECORD_HEADER_LENGTH:
            return None
        fragments = reader.next_of(_APPLICATION_DATA, most)
        return self._open(_APPLICATION_DATA, version, fragments) if fragments else []

    def _open(self, content_type: int, version: int, fragments: Iterable[Fragment]) -> list[bytes]:
        """Return the contents of records in order, up to the first that is to be refused; that failure is kept."""
        contents: list[bytes] = []
        try:
            for buffer, start, stop in fragments:
                content = self._read_state.open(content_type, version, buffer, start, stop)
                if 0 < len(content) <= self._max_received_fragment:
                    self._empty_records = 0
                else:
                    self._check_length(content_type, len(content))
                contents.append(content)
        except PeerError as error:
            self._failure = type(error), error.reason
        except LocalError as error:
            self._failure = type(error), str(error)
        return contents

    def change_read_keys(self, keys: DirectionKeys) -> None:
        """Make the pending read state current: the next record is the first under ``keys`` (§6.1).

        To be called on receiving ChangeCipherSpec, before :meth:`next_record`.
        """
        self._read_state = new_read_state(keys)
        self._reader.limit = self._read_state.limit
        self.read_protected = True

    def _check_length(self, content_type: int, length: int) -> None:
        if length:
            raise RecordOverflow(f"a record of {length} bytes of plaintext; {self._max_received_fragment} are allowed")
        # Nothing sends an empty handshake message, alert or ChangeCipherSpec (§6.2); application data may be empty, for
        # that is how some senders counter BEAST, but it must not be a way to keep this side busy for nothing.
        if content_type in _NEVER_EMPTY:
            raise UnexpectedMessage(f"an empty {type_name(content_type)} record")
        self._empty_records += 1
        if self._empty_records > self._max_empty_records:
            raise UnexpectedMessage(f"{self._empty_records} empty records in a row")

    # writing

    @property
    def max_fragment(self) -> int:
        """Largest fragment to write, in bytes.

        2^14 (§6.2.1) unless a smaller one was agreed (RFC 4366 §3.2). Raises :class:`~tlsexit.alerts.LocalError` if set
        out of range.
        """
        return self._max_fragment

    @max_fragment.setter
    def max_fragment(self, size: int) -> None:
        self._max_fragment = _fragment_size(size)

    @property
    def max_received_fragment(self) -> int:
        """Largest fragment to accept, in bytes; longer ones are :class:`~tlsexit.alerts.RecordOverflow`.

        2^14 unless a smaller one was agreed (RFC 4366 §3.2). Raises :class:`~tlsexit.alerts.LocalError` if set out of
        range.
        """
        return self._max_received_fragment

    @max_received_fragment.setter
    def max_received_fragment(self, size: int) -> None:
        self._max_received_fragment = _fragment_size(size)

    @property
    def bytes_pending(self) -> int:
        """Bytes waiting for :meth:`data_to_send`."""
        return len(self._output)

    def send(self, content_type: int, data: bytes | bytearray | memoryview) -> None:
        """Put ``data`` into as many records as it needs, under the current write state; no data makes no record.

        Raises :class:`~tlsexit.alerts.LocalError` when the sequence numbers are used up.
        """
        state = self._write_state
        version = self._reader.version or _TLS_1_0
        split = content_type == _APPLICATION_DATA and self._split_cbc and state.predictable_iv
        if type(data) is bytes and 0 < len(data) <= self._max_fragment:
            # fragments() written out for what nearly every call sends
            if split and len(data) > 1:
                pieces = state.seal_split(content_type, version, data)
            else:
                pieces = state.seal(content_type, version, data)
            self._output.append(b"".join(pieces))
            return
        view = memoryview(data).cast("B")
        cut = fragments(view, self._max_fragment, split)
        # all the memory at once: what grows is moved again and again
        records = BytesIO(bytes(len(view) + _LARGEST_OVERHEAD * len(cut)))
        for fragment in cut:
            records.writelines(state.seal(content_type, version, fragment))
        records.truncate()
        self._output.append(records.getvalue())

    def send_bare(self, data: bytes) -> None:
        """Put ``data`` out as it is, outside any record: an SSL 2.0 ClientHello, on request (appendix E)."""
        self._output.append(data)

    def change_write_keys(self, keys: DirectionKeys) -> None:
        """Make the pending write state current: the next record goes out under ``keys`` (§6.1).

        To be called right after ChangeCipherSpec has been sent.
        """
        self._write_state = new_write_state(keys)
        self.write_protected = True

    # the end

    def forget_keys(self) -> None:
        """Let go of the keys of both directions: "forget any ... keys, and secrets" (§7.2.2).

        What is pending can still be sent, and bytes outside records be taken. Opening or writing another record raises
        :class:`~tlsexit.alerts.LocalError`.
        """
        self._read_state = self._write_state = ForgottenState()


def _fragment_size(size: int) -> int:
    if not 1 <= size <= MAX_PLAINTEXT:
        raise LocalError(f"a fragment of {size} bytes is outside 1..{MAX_PLAINTEXT}")
    return size
