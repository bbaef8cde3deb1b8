"""Messages over records: the one place where the record layer and the handshake codec meet.

Bytes in become what the connection acts on, one item at a time: a handshake message, a change of keys, an alert, data.
Between two items the caller may change keys; nothing behind an item has been decrypted yet when it is handed out.
What goes out is told to the observer here too, in the order in which it is sent and received.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from tlsexit.alerts import AlertDescription, AlertLevel, PeerError, UnexpectedMessage
from tlsexit.config import Config
from tlsexit.constants import ContentType, Role
from tlsexit.crypto.bulk import DirectionKeys
from tlsexit.events import MessageSeen
from tlsexit.handshake.codec import HandshakeReader
from tlsexit.handshake.inputs import ChangeCipherSpecReceived, Received
from tlsexit.handshake.v2hello import parse_v2_client_hello
from tlsexit.records.alertreader import AlertReader
from tlsexit.records.grammar import (
    Alert,
    ChangeCipherSpec,
    build_alert,
    build_change_cipher_spec,
    parse_change_cipher_spec,
)
from tlsexit.records.layer import RecordLayer

Item = Received[Any] | ChangeCipherSpecReceived | Alert | list[bytes]
"""What arrives; a list is application data, the contents of one or more records, some perhaps empty."""

# plain numbers for each record: to look a member of an enumeration up costs as much as a call
_CHANGE_CIPHER_SPEC, _ALERT, _HANDSHAKE, _APPLICATION_DATA = map(int, ContentType)

_RUN: Final = 16
"""Application data records opened at once, at most."""

_HTTP_METHODS: Final = frozenset({b"GET ", b"HEAD", b"POST", b"PUT ", b"OPTI", b"CONN", b"DELE", b"TRAC", b"PATC"})

_CLOSE_NOTIFY: Final = Alert(AlertLevel.WARNING, AlertDescription.CLOSE_NOTIFY)


class Channel:
    """Both directions of one connection, below the state machine."""

    __slots__ = (
        "_accept_v2_client_hello",
        "_alerts",
        "_config",
        "_ignored",
        "_messages",
        "_next_limit",
        "_observer",
        "_opening",
        "_ready",
        "_unread",
        "awaits_close_notify",
        "peer_closed",
        "records",
    )

    def __init__(self, role: Role, config: Config, *, accept_v2_client_hello: bool) -> None:
        self.records = RecordLayer(
            max_fragment=config.max_fragment,
            split_cbc=config.split_cbc,
            max_empty_records=config.max_empty_records,
        )
        self._config = config
        self._observer = config.observer
        self._messages = HandshakeReader(config.max_handshake_message)
        self._alerts = AlertReader()
        # one by one: what shares a record with a fatal alert must not be looked at
        self._ready: Iterator[Alert] = iter(())
        self._ignored = 0
        self._next_limit: int | None = None
        # only a server's first bytes can be something other than a record
        self._opening = role is Role.SERVER
        # whether anything but records may hold the next item: data records then pass without a look at the rest
        self._unread = True
        self._accept_v2_client_hello = accept_v2_client_hello
        self.peer_closed = False
        """Whether the peer's close_notify has arrived."""
        self.awaits_close_notify = False
        """Whether our own has been sent, and the peer's is still to come."""

    # -------------------------------------------------------------------------------------------- input

    def next_item(self) -> Item | None:
        """Return what comes next, None if more input is needed; raises :class:`PeerError` for what is not TLS."""
        while True:
            if self._unread:
                item = self._next_unread()
                if item is not None or self._opening:
                    return item
                self._unread = False
            if self.records.read_protected:
                data = self.records.next_data(_RUN)
                if data is None:
                    return None
                if data:
                    return self._application_data(data)
            record = self.records.next_record()
            if record is None:
                return None
            content_type, fragment = record.content_type, record.fragment
            if content_type == _APPLICATION_DATA:
                return self._application_data([fragment])
            if content_type == _HANDSHAKE:
                self._messages.feed(fragment)
                self._unread = True
            elif content_type == _CHANGE_CIPHER_SPEC:
                return self._change_cipher_spec(fragment)
            elif content_type == _ALERT:
                self._ready = self._alerts.feed(fragment)
                self._unread = True
            else:
                self._ignore(content_type)

    def _application_data(self, contents: list[bytes]) -> list[bytes]:
        self._ignored = 0
        if self._observer is not None:
            for content in filter(None, contents):
                self._observe(False, ContentType.APPLICATION_DATA, None, content)
        return contents

    @property
    def malformed(self) -> type[Any] | None:
        """The class of a handshake message whose body did not match its description."""
        return self._messages.malformed

    def _next_unread(self) -> Item | None:
        """Return the next alert or message among the fragments fed so far, or the opening; None if there is none."""
        alert = next(self._ready, None)
        if alert is not None:
            self._observe(False, ContentType.ALERT, alert, bytes([alert.level, alert.description]))
            return alert
        complete = self._messages.next_message()
        if complete is not None:
            raw, message = complete
            self._unread = self._messages.pending
            self._observe(False, ContentType.HANDSHAKE, message, raw)
            return Received(message, raw)
        return self._open() if self._opening else None

    def _open(self) -> Received[Any] | None:
        """Look at a client's first bytes: plain HTTP, a hello in SSL 2.0 format, or records."""
        head = self.records.peek(5)
        if head[:4] in _HTTP_METHODS:
            raise UnexpectedMessage("the client speaks plain HTTP, not TLS")
        if len(head) < 5:
            return None
        if not (head[0] & 0x80 and head[2] == 1 and self._accept_v2_client_hello):
            self._opening = False
            return None
        # appendix E.1: the top bit of a two-byte length, then msg_type 1
        length = (head[0] & 0x7F) << 8 | head[1]
        if self.records.buffered < 2 + length:
            return None
        self._opening = False
        raw = self.records.take(2 + length)[2:]
        hello = parse_v2_client_hello(raw)
        self._observe(False, ContentType.HANDSHAKE, hello, raw)
        return Received(hello, raw)

    def _change_cipher_spec(self, fragment: bytes) -> ChangeCipherSpecReceived:
        message = parse_change_cipher_spec(fragment)
        self._observe(False, ContentType.CHANGE_CIPHER_SPEC, message, fragment)
        if self._messages.pending or self._alerts.pending:
            # a message must not begin under one key and end under another
            raise UnexpectedMessage("ChangeCipherSpec inside a fragmented message")
        return ChangeCipherSpecReceived()

    def _ignore(self, content_type: int) -> None:
        """§6: "If a TLS implementation receives a record type it does not understand, it should just ignore it."

        Within bounds: each costs a decryption. RFC 5246 §6 turned the rule round, to unexpected_message.
        """
        self._ignored += 1
        if self._ignored > self._config.max_ignored_records:
            raise UnexpectedMessage(f"too many records of unknown type, the last of type {content_type}")

    # -------------------------------------------------------------------------------------------- after the end

    def receive_after_end(self, data: bytes) -> None:
        """Take bytes once the connection is over: only the peer's close_notify counts, and what follows it is kept."""
        if self.peer_closed:
            if self.records.buffered < self._config.max_buffered_input:
                self.records.receive_data(data)
        elif self.awaits_close_notify:
            self.records.receive_data(data)
            self.look_for_close_notify()

    def look_for_close_notify(self) -> None:
        """Discard what has arrived up to the peer's close_notify, if that is awaited (§7.2.1).

        The keys are forgotten when it is there, or when the stream is broken and it can never come.
        """
        try:
            while self.awaits_close_notify and (record := self.records.next_record()) is not None:
                if record.content_type == ContentType.ALERT and _CLOSE_NOTIFY in self._alerts.feed(record.fragment):
                    self.peer_closed = True
                    self.stop_waiting()
        except PeerError:
            self.stop_waiting()

    def stop_waiting(self) -> None:
        """The peer's close_notify has come or cannot come any more."""
        if self.awaits_close_notify:
            self.awaits_close_notify = False
            self.records.forget_keys()

    # -------------------------------------------------------------------------------------------- output

    def send_message(self, message: Any, raw: bytes) -> None:
        """Send a handshake message; ``raw`` is its encoding with header."""
        self.records.send(_HANDSHAKE, raw)
        self._observe(True, ContentType.HANDSHAKE, message, raw)

    def send_v2_client_hello(self, message: Any, raw: bytes) -> None:
        """Send a hello in SSL 2.0 format, outside any record; ``raw`` begins with msg_type (appendix E.1)."""
        self.records.send_bare((0x8000 | len(raw)).to_bytes(2, "big") + raw)
        self._observe(True, ContentType.HANDSHAKE, message, raw)

    def send_change_cipher_spec(self) -> None:
        """Send ChangeCipherSpec, under the write state in force (§7.1)."""
        raw = build_change_cipher_spec()
        self.records.send(_CHANGE_CIPHER_SPEC, raw)
        self._observe(True, ContentType.CHANGE_CIPHER_SPEC, ChangeCipherSpec(), raw)

    def send_alert(self, level: AlertLevel, description: AlertDescription) -> None:
        """Send an alert."""
        raw = build_alert(level, description)
        self.records.send(_ALERT, raw)
        self._observe(True, ContentType.ALERT, Alert(level, description), raw)

    def send_data(self, data: bytes) -> None:
        """Send application data."""
        self.records.send(_APPLICATION_DATA, data)
        if self._observer is not None:
            self._observe(True, ContentType.APPLICATION_DATA, None, bytes(data))

    def fix_version(self, version: int) -> None:
        """The version is negotiated: every record from now on carries it (§6.2.1)."""
        self.records.version = version

    def limit_fragments(self, size: int) -> None:
        """Send and accept at most ``size`` bytes in a record from now on (RFC 6066 §4).

        In a renegotiation, what the peer sent before it knew may still be longer: a lower limit for received records
        waits for the new keys.
        """
        self.records.max_fragment = min(size, self._config.max_fragment)
        if self.records.read_protected and size < self.records.max_received_fragment:
            self._next_limit = size
        else:
            self.records.max_received_fragment = size
            self._next_limit = None

    def change_read_keys(self, keys: DirectionKeys) -> None:
        """Make the pending read state current (§6.1)."""
        self.records.change_read_keys(keys)
        if self._next_limit is not None:
            self.records.max_received_fragment = self._next_limit
            self._next_limit = None

    def change_write_keys(self, keys: DirectionKeys) -> None:
        """Make the pending write state current (§6.1)."""
        self.records.change_write_keys(keys)

    def _observe(self, sent: bool, content_type: ContentType, message: Any, raw: bytes) -> None:
        if self._observer is not None:
            protected = self.records.write_protected if sent else self.records.read_protected
            self._observer(MessageSeen(sent, content_type, message, raw, protected))
