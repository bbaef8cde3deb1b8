"""A TLS 1.0 endpoint that does as it is told.

A :class:`Puppet` keeps the :class:`~tlsexit.puppet.books.Books` of an honest end and sends what a trace says: a tuple
of :class:`Step` values, which :mod:`tlsexit.puppet.traces` makes and edits. Cryptography is right at any depth, so that
whatever is wrong in a conversation is what the trace made wrong. The other end is reached through a
:class:`~tlsexit.puppet.transport.Transport`; nothing that it sends raises::

    puppet = Puppet(Role.CLIENT, SocketTransport(sock), (0x002F,))
    puppet.play(repeat(client_trace(), "client_key_exchange"))
    print(puppet.settle(), text(ladder(puppet.talk)))
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final, Self

from tlsexit.alerts import AlertDescription, AlertLevel, PeerError, TlsError, alert_name
from tlsexit.constants import HANDSHAKE_HEADER_LENGTH, ContentType, Role
from tlsexit.crypto.groups import NamedCurve
from tlsexit.events import MessageSeen
from tlsexit.exits.calls import PreSharedKey
from tlsexit.handshake.codec import GRAMMARS, HandshakeReader
from tlsexit.handshake.extensions import Extension
from tlsexit.handshake.hello import ClientHello, HelloRequest
from tlsexit.handshake.v2hello import parse_v2_client_hello
from tlsexit.puppet.books import Books
from tlsexit.puppet.credentials import Credentials, throwaway_credentials
from tlsexit.puppet.transport import Transport
from tlsexit.puppet.writer import HONEST, RecordWriter, Sealing
from tlsexit.records.alertreader import AlertReader
from tlsexit.records.grammar import ALERT, CHANGE_CIPHER_SPEC, Alert, ChangeCipherSpec
from tlsexit.records.layer import RecordLayer
from tlsexit.session import Session
from tlsexit.trace import Entry
from tlsexit.wire import parse

PATIENCE: Final = 2.0
"""Seconds that a puppet waits for what the other end owes, unless told otherwise."""


def whole(data: bytes) -> Iterable[bytes]:
    """Do not cut: one record, whatever its length; a handshake message makes more if it is longer than was agreed."""
    return (data,)


def always(puppet: Puppet) -> bool:
    """Send a step in any case."""
    return True


@dataclass(frozen=True)
class Step:
    """One thing that a puppet sends: a message, made when its turn comes, and the records it is cut into.

    ``content_type`` None puts the bytes on the line as they are, without a record. A step that is not ``hashed`` stays
    out of the transcript, as HelloRequest does. ``when`` says whether it is sent at all, ``waits`` whether the puppet
    first waits for what the other end owes. ``sealing`` is how its records are protected. ``after`` runs when the step
    has been sent. All four functions get the :class:`Puppet`.
    """

    name: str
    build: Callable[[Any], bytes]
    content_type: int | None = ContentType.HANDSHAKE
    hashed: bool = True
    cut: Callable[[bytes], Iterable[bytes]] = whole
    after: Callable[[Any], None] | None = None
    when: Callable[[Any], bool] = always
    waits: bool = True
    sealing: Sealing = HONEST


Trace = tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class SeenRecord:
    """A record that has arrived: the fields of its header (``length`` in bytes, on the line) and its content."""

    content_type: int
    version: int
    length: int
    content: bytes = field(repr=False)
    protected: bool


@dataclass(frozen=True, slots=True)
class Reaction:
    """How the other end took it: ``alert`` (fatal, with its number), ``close_notify``, ``close`` or ``reset`` of the
    stream without an alert, ``broken`` (what it sent is not TLS, as ``reason`` says), or ``open``: it goes on, or says
    nothing.
    """

    kind: str
    alert: int | None = None
    reason: str = ""

    def __str__(self) -> str:
        if self.alert is not None:
            return f"alert {alert_name(self.alert)}"
        return f"{self.kind}: {self.reason}" if self.reason else self.kind


def seeded(seed: bytes = b"") -> Callable[[int], bytes]:
    """Return a source of bytes that repeats itself for the same ``seed``: for replays, never for secrets."""
    drawn = 0

    def random(size: int) -> bytes:
        nonlocal drawn
        drawn += 1
        blocks = -(-size // 32)
        return b"".join(sha256(b"%d %d %b" % (drawn, block, seed)).digest() for block in range(blocks))[:size]

    return random


class Puppet(Books):
    """One end of a connection, in ``role``.

    ``suites`` are what it offers, or chooses from, in order. ``credentials`` default to throw-away ones. ``hello``
    overrides fields of the hello that this role sends, ``extensions`` stand in it behind the usual ones. ``session`` is
    what both ends may resume. ``show_certificate``:
    whether a client that is asked has one. ``patience`` is the longest wait for what the other end owes, in seconds.
    """

    def __init__(
        self,
        role: Role,
        transport: Transport,
        suites: tuple[int, ...],
        *,
        credentials: Credentials | None = None,
        hello: dict[str, Any] | None = None,
        extensions: tuple[Extension, ...] = (),
        session: Session | None = None,
        show_certificate: bool = True,
        psk: PreSharedKey | None = None,
        psk_identity_hint: bytes = b"",
        groups: tuple[int, ...] = tuple(NamedCurve),
        random: Callable[[int], bytes] | None = None,
        patience: float = PATIENCE,
    ) -> None:
        credentials = throwaway_credentials(role) if credentials is None else credentials
        super().__init__(
            role,
            suites,
            credentials,
            seeded() if random is None else random,
            session=session,
            psk=psk,
            psk_identity_hint=psk_identity_hint,
            groups=groups,
        )
        self.transport = transport
        self.hello: dict[str, Any] = {} if hello is None else hello
        self.extensions = extensions
        self.show_certificate = show_certificate
        self.patience = patience
        self.writer = RecordWriter()
        self._records = RecordLayer()
        self._reader = HandshakeReader(2**24 - 1)
        self._alert_reader = AlertReader()
        self._start = time.monotonic()
        self._opening = role is Role.SERVER
        # what has arrived
        self.messages: list[Any] = []
        self.records: list[SeenRecord] = []
        self.alerts: list[Alert] = []
        self.application_data = b""
        self.eof = False
        self.v2_hello = False
        """Whether the client opened in SSL 2.0 format."""
        self.broken: TlsError | None = None
        """Why what the other end sent could not be read any further."""
        self.talk: list[Entry] = []
        """Everything said by both ends, for :func:`tlsexit.trace.ladder`."""
        self.listen()

    # ------------------------------------------------------------------------------------------- sending

    def play(self, trace: Trace) -> Self:
        """Send the steps one by one, listening after each, until the other end is through with us.

        Raises :class:`~tlsexit.alerts.TlsError` if a step cannot be built on what the other end has sent.
        """
        for step in trace:
            if self.over:
                break
            self.send(step)
        return self

    def handshake(self, trace: Trace) -> bool:
        """Play ``trace`` and wait until the handshake is complete; whether it came to that."""
        before = self.handshakes
        return self.play(trace).listen_until(lambda: self.handshakes > before) and not self.over

    def send(self, step: Step) -> None:
        """Send one step, if its condition holds."""
        if step.waits:
            self.listen_until(lambda: not self.peer_owes)
        if not step.when(self):
            return
        data = step.build(self)
        if step.content_type is None:
            self._say(None, data)
            self.send_bytes(data)
        else:
            if step.content_type == ContentType.HANDSHAKE and step.hashed:
                self.transcript = self.transcript.add(data)
            self._say(step.content_type, data)
            pieces = step.cut(data)
            if step.cut is whole and step.content_type == ContentType.HANDSHAKE:
                size = self.fragment_size
                # no bytes at all make an empty record
                pieces = [data[at : at + size] for at in range(0, len(data) or 1, size)]
            wire = b"".join(self.writer.seal(step.content_type, piece, step.sealing) for piece in pieces)
            self.send_bytes(wire)
        if step.after is not None:
            step.after(self)

    def seal(self, content_type: int, fragment: bytes, version: int = 0x0301) -> bytes:
        """Return exactly one record under the current keys, whatever its length and version."""
        return self.writer.seal(content_type, fragment, Sealing(version))

    def send_record(self, content_type: int, fragment: bytes, version: int = 0x0301) -> None:
        """Send one record under the current keys, and listen."""
        self._say(content_type, fragment)
        self.send_bytes(self.seal(content_type, fragment, version))

    def send_alert(self, level: int, description: int) -> None:
        """Send an alert, and listen."""
        self.send_record(ContentType.ALERT, bytes([level, description]))

    def send_bytes(self, data: bytes) -> None:
        """Put bytes on the line as they are, and listen."""
        self.transport.send(data)
        self.listen()

    def change_write_keys(self) -> None:
        """Send under the new keys from now on (§7.1)."""
        self.writer = RecordWriter(self.keys.write_keys(self.role))

    def close(self) -> None:
        """Close the stream without a word."""
        self.transport.close()

    # ------------------------------------------------------------------------------------------- listening

    def listen(self, seconds: float = 0.0) -> None:
        """Read what the other end sends, for so long, or until it has ended."""
        deadline = time.monotonic() + seconds
        while self._receive(deadline - time.monotonic()) and time.monotonic() < deadline:
            pass

    def listen_until(self, arrived: Callable[[], bool], seconds: float | None = None) -> bool:
        """Read until ``arrived()``, the other end is through, or the time (:attr:`patience`) is up; whether it did."""
        deadline = time.monotonic() + (self.patience if seconds is None else seconds)
        while not arrived() and not self.over and self._receive(deadline - time.monotonic()):
            pass
        return arrived()

    def settle(self, seconds: float | None = None) -> Reaction:
        """Wait for the other end to end the conversation, at most so long, and return what it did."""
        self.listen_until(lambda: self.over or self.close_notify, seconds)
        return self.reaction

    def _receive(self, timeout: float) -> bool:
        """Read once; whether it is worth reading again."""
        if self.eof or self.broken is not None:
            return False
        data = self.transport.receive(timeout)
        if data is None:
            self.eof = True
            return False
        try:
            self.hear(data)
        except TlsError as error:
            self._on_broken(error)
            return False
        return bool(data)

    def _on_broken(self, error: TlsError) -> None:
        self.broken = error

    def hear(self, data: bytes) -> None:
        """Take bytes as if they had arrived; raises :class:`~tlsexit.alerts.TlsError` if they make no sense."""
        self._records.receive_data(data)
        if self._opening and not self._open():
            return
        while True:
            header = self._records.peek(5)
            record = self._records.next_record()
            if record is None:
                return
            protected = self._records.read_protected
            length = int.from_bytes(header[3:5], "big")
            self.records.append(SeenRecord(record.content_type, record.version, length, record.fragment, protected))
            self._on_record(record.content_type, record.fragment)

    def _open(self) -> bool:
        """Look for a hello in SSL 2.0 format, the only thing that is no record (appendix E.1)."""
        head = self._records.peek(3)
        if len(head) < 3:
            return False
        if not (head[0] & 0x80 and head[2] == 1):
            self._opening = False
            return True
        length = int.from_bytes(head[:2], "big") & 0x7FFF
        if self._records.buffered < 2 + length:
            return False
        self._opening = False
        raw = self._records.take(2 + length)[2:]
        self.v2_hello = True
        self._on_message(raw, parse_v2_client_hello(raw))
        return True

    def _on_record(self, content_type: int, content: bytes) -> None:
        if content_type == ContentType.ALERT:
            for alert in self._alert_reader.feed(content):
                self.alerts.append(alert)
                self._heard(ContentType.ALERT, alert, bytes([alert.level, alert.description]))
        elif content_type == ContentType.CHANGE_CIPHER_SPEC:
            self.messages.append(ChangeCipherSpec(content[0]))
            self._heard(ContentType.CHANGE_CIPHER_SPEC, self.messages[-1], content)
            self._records.change_read_keys(self.keys.write_keys(self.role.peer))
        elif content_type == ContentType.APPLICATION_DATA:
            self.application_data += content
            if content:
                self._heard(ContentType.APPLICATION_DATA, None, content)
        elif content_type == ContentType.HANDSHAKE:
            self._reader.feed(content)
            while (complete := self._reader.next_message()) is not None:
                self._on_message(*complete)

    def _on_message(self, raw: bytes, message: Any) -> None:
        self.messages.append(message)
        self._heard(ContentType.HANDSHAKE, message, raw)
        if isinstance(message, HelloRequest):
            return
        if isinstance(message, ClientHello) and self.complete:
            self.begin()
        self.note(raw, message)

    # ------------------------------------------------------------------------------------------- what was said

    def _say(self, content_type: int | None, raw: bytes) -> None:
        message = None if content_type is None else _parsed(content_type, raw)
        self.talk.append(self._entry(True, content_type, message, raw, self.writer.protected))

    def _heard(self, content_type: ContentType, message: Any, raw: bytes) -> None:
        self.talk.append(self._entry(False, content_type, message, raw, self._records.read_protected))

    def _entry(self, sent: bool, content_type: int | None, message: Any, raw: bytes, protected: bool) -> Entry:
        kind = ContentType(content_type) if content_type in set(ContentType) else content_type
        seen = MessageSeen(sent, kind, message, raw, protected)
        return Entry(time.monotonic() - self._start, self.role, seen)

    @property
    def heard(self) -> list[MessageSeen]:
        """Every message, alert and piece of data that has come, in order."""
        seen = (entry.seen for entry in self.talk)
        return [item for item in seen if isinstance(item, MessageSeen) and not item.sent]

    # ------------------------------------------------------------------------------------------- the verdict

    @property
    def over(self) -> bool:
        """Whether the other end is through with us: a fatal alert, the end of the stream, or nonsense."""
        return self.fatal is not None or self.eof or self.broken is not None

    @property
    def fatal(self) -> int | None:
        """The description of the first fatal alert that has arrived, None if there was none."""
        fatal = [alert.description for alert in self.alerts if alert.level == AlertLevel.FATAL]
        return fatal[0] if fatal else None

    @property
    def warnings(self) -> list[int]:
        """The descriptions of the warning alerts that have arrived, close_notify included."""
        return [alert.description for alert in self.alerts if alert.level == AlertLevel.WARNING]

    @property
    def close_notify(self) -> bool:
        """Whether the other end has closed properly (§7.2.1)."""
        return AlertDescription.CLOSE_NOTIFY in self.warnings

    @property
    def established(self) -> bool:
        """Whether a handshake has been completed, the peer's Finished was right, and it has not ended since."""
        return self.handshakes > 0 and not self.over

    @property
    def reaction(self) -> Reaction:
        """What the other end has made of it so far."""
        if self.fatal is not None:
            return Reaction("alert", self.fatal)
        if self.broken is not None:
            reason = self.broken.reason if isinstance(self.broken, PeerError) else str(self.broken)
            return Reaction("broken", reason=reason)
        if self.close_notify:
            return Reaction("close_notify")
        if self.eof:
            return Reaction("reset" if self.transport.reset else "close")
        return Reaction("open")


def _parsed(content_type: int, raw: bytes) -> Any:
    """Return what we are saying as a message, None if it is none that can be read."""
    try:
        if content_type == ContentType.HANDSHAKE:
            kinds = {int(kind): grammar for kind, (_, grammar) in GRAMMARS.items()}
            return parse(kinds[raw[0]], raw[HANDSHAKE_HEADER_LENGTH:])
        if content_type == ContentType.ALERT:
            return parse(ALERT, raw)
        if content_type == ContentType.CHANGE_CIPHER_SPEC:
            return parse(CHANGE_CIPHER_SPEC, raw)
    except (PeerError, KeyError, IndexError):
        return None
    return None
