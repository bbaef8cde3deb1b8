"""One TLS connection without I/O: bytes in, bytes out, events, and at most one question to the exit.

::

    connection.start()
    connection.receive_data(bytes from the peer)     # or receive_eof()
    connection.pending_exit                          # the question, if there is one; then answer(...)
    connection.next_event()                          # HandshakeCompleted, ApplicationData, ..., Closed
    connection.data_to_send()                        # bytes for the peer

Whatever the peer sends, none of these raises: a violation queues the alert that RFC 2246 names and a
:class:`~tlsexit.events.Closed` event that says what happened. :class:`~tlsexit.alerts.LocalError` is raised for misuse
by the caller. The same bytes in any chunking lead to the same events, questions and output.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Final

from tlsexit.alerts import (
    ALWAYS_FATAL,
    AlertDescription,
    AlertLevel,
    AlertReceived,
    ExitFailed,
    IllegalParameter,
    LocalError,
    PeerError,
    TlsError,
    TruncatedError,
    UnexpectedMessage,
)
from tlsexit.config import Config
from tlsexit.constants import ContentType, Role
from tlsexit.events import ApplicationData, Closed, Event, HandshakeCompleted, MessageSeen, PhaseSeen, WarningReceived
from tlsexit.exits.answers import Answer, Failed, Handled, NotHandled, is_recognised
from tlsexit.exits.calls import EndSessionCall, ExitCall, HandshakeAlertCall
from tlsexit.exits.context import SessionContext, TaskContext
from tlsexit.handshake import actions, states
from tlsexit.handshake.codec import HandshakeReader
from tlsexit.handshake.hello import ClientHello, HelloRequest
from tlsexit.handshake.inputs import (
    Answered,
    ChangeCipherSpecReceived,
    Input,
    Received,
    Refused,
    Renegotiate,
    RenegotiationRefused,
    Start,
)
from tlsexit.handshake.machine import step
from tlsexit.handshake.v2hello import parse_v2_client_hello
from tlsexit.profile import Profile
from tlsexit.records.grammar import ALERT, CHANGE_CIPHER_SPEC, Alert, ChangeCipherSpec
from tlsexit.records.layer import RecordLayer
from tlsexit.records.record import Record
from tlsexit.session import Session
from tlsexit.wire import build, parse

_NO_OUTCOME: Final = (HandshakeAlertCall, EndSessionCall)
"""Calls that only inform: whatever their answer, nothing changes."""

_CAN_BE_REFUSED: Final = (states.Established, states.AwaitServerHello)
"""Where a no_renegotiation has a meaning; elsewhere it is one warning among others."""

_HTTP_METHODS: Final = frozenset({b"GET ", b"HEAD", b"POST", b"PUT ", b"OPTI", b"CONN", b"DELE", b"TRAC", b"PATC"})

_CLOSE_NOTIFY: Final = bytes([AlertLevel.WARNING, AlertDescription.CLOSE_NOTIFY])


class Connection:
    """One end of a TLS 1.0 connection.

    ``task`` is the exit's task (see :class:`~tlsexit.tasks.Task`, which makes connections with it), ``session`` a
    :class:`~tlsexit.session.Session` that a client offers to resume. Addresses are only shown to the exit.
    """

    def __init__(
        self,
        profile: Profile,
        config: Config,
        task: TaskContext,
        *,
        session: Session | None = None,
        remote_address: tuple[str, int] | None = None,
        local_address: tuple[str, int] | None = None,
    ) -> None:
        self._role = profile.direction
        self._config = config
        self._records = RecordLayer(
            max_fragment=config.max_fragment,
            split_cbc=config.split_cbc,
            max_empty_records=config.max_empty_records,
        )
        self._messages = HandshakeReader(config.max_handshake_message)
        context = SessionContext(
            task=task,
            reference=task.next_session_reference(),
            role=self._role,
            profile=profile,
            remote_address=remote_address,
            local_address=local_address,
            private_area=bytearray(task.private_area_size),
        )
        self._state: states.State = states.Idle(context, session)
        self._pending: ExitCall | None = None
        self._events: deque[Event] = deque()
        self._error: TlsError | None = None
        self._session: Session | None = None
        self._established = False
        self._can_read = False
        self._can_write = False
        self._alert_fragment = b""
        self._warnings = 0
        self._unanswered = 0
        self._eof = False
        self._opening = self._role is Role.SERVER
        self._awaits_close_notify = False
        self._peer_closed = False
        self._held: list[bytes] = []
        self._held_size = 0

    # -------------------------------------------------------------------------------------------- what it shows

    @property
    def role(self) -> Role:
        """Which end this is."""
        return self._role

    @property
    def state(self) -> states.State:
        """The state of the handshake: frozen, printable, comparable."""
        return self._state

    @property
    def context(self) -> SessionContext:
        """What is known of the session so far."""
        return self._state.context

    @property
    def pending_exit(self) -> ExitCall | None:
        """The question that must be answered before anything else goes on."""
        return self._pending

    @property
    def established(self) -> bool:
        """Whether the first handshake is complete and the connection lives: data may be sent."""
        return self._established and not self.closed

    @property
    def closed(self) -> bool:
        """Whether the connection is over (the last question may still be pending)."""
        return isinstance(self._state, states.Closed)

    @property
    def peer_closed(self) -> bool:
        """Whether the peer's close_notify has arrived; only then may the transport be used for something else."""
        return self._peer_closed

    @property
    def error(self) -> TlsError | None:
        """Why the connection ended; None while it lives and after an orderly end."""
        return self._error

    @property
    def session(self) -> Session | None:
        """The session a client may offer next time; None until the handshake is complete or if it has no id."""
        return self._session

    # -------------------------------------------------------------------------------------------- input

    def start(self) -> None:
        """Open the session: StartHandshake becomes pending. A server starts too, before the first byte arrives."""
        if not isinstance(self._state, states.Idle):
            raise LocalError("the connection has been started already")
        self._feed(Start())

    def receive_data(self, data: bytes) -> None:
        """Take bytes from the peer, in any chunking; ignored once the connection is closed (§7.2.1)."""
        if isinstance(self._state, states.Idle):
            raise LocalError("start the connection before feeding it data")
        if self.closed:
            if self._awaits_close_notify:
                self._records.receive_data(data)
                self._look_for_close_notify()
            return
        if self._pending is not None and self._records.buffered + len(data) > self._config.max_buffered_input:
            raise LocalError(f"{self._pending.phase.value} is pending; answer it before reading on")
        self._records.receive_data(data)
        self._process()

    def receive_eof(self) -> None:
        """The transport has ended. Without close_notify that is a truncation, and reported as one (§7.2.1)."""
        self._eof = True
        if self._pending is None:
            self._process()

    def answer(self, answer: Answer) -> None:
        """Answer :attr:`pending_exit`; raises :class:`LocalError` if nothing is pending.

        ``NotHandled`` counts as a failure here: a driver sends it on to the built-in PKI first.
        """
        call = self._pending
        if call is None:
            raise LocalError("no exit is pending")
        self._pending = None
        if self._config.observer is not None:
            self._config.observer(PhaseSeen(call.phase, call, answer))
        if isinstance(call, _NO_OUTCOME):
            return
        self._feed(_checked(call, answer))
        self._process()

    # -------------------------------------------------------------------------------------------- output

    def data_to_send(self, amount: int | None = None) -> bytes:
        """Return and forget up to ``amount`` bytes (default: all) that belong on the transport."""
        return self._records.data_to_send(amount)

    def trailing_data(self) -> bytes:
        """Return the bytes that followed the peer's close_notify: they are not TLS (§7.2.1)."""
        return self._records.take_rest() if self._peer_closed else b""

    def next_event(self) -> Event | None:
        """Return the next event, or None if more input, or an answer, is needed first."""
        return self._events.popleft() if self._events else None

    def send(self, data: bytes) -> None:
        """Protect application data; :class:`LocalError` before the handshake is complete and after the end (§7.4.9)."""
        if not self.established:
            raise LocalError("the connection is closed" if self.closed else "the handshake is not complete")
        if not data:
            return
        if not self._can_write:
            # between our ChangeCipherSpec and the end of a renegotiation nothing may be sent (§7.4.9)
            self._held_size += len(data)
            if self._held_size > self._config.max_buffered_input:
                raise LocalError("a renegotiation is not complete; wait before sending more")
            self._held.append(bytes(data))
            return
        self._records.send(ContentType.APPLICATION_DATA, data)
        if self._config.observer is not None:
            self._observe(True, ContentType.APPLICATION_DATA, None, bytes(data))

    def renegotiate(self) -> None:
        """Start a new handshake on the established connection; a server asks the client to (§7.4.1.1).

        Raises :class:`LocalError` unless the profile allows it and the peer supports RFC 5746.
        """
        if not isinstance(self._state, states.Established):
            raise LocalError("only an established connection can be renegotiated")
        self._feed(Renegotiate())

    def close(self) -> None:
        """Send close_notify and end the session; during a handshake, user_canceled before it (§7.2.2)."""
        if self.closed:
            return
        if isinstance(self._state, states.Idle):
            self._state = states.Closed(self._state.context)
            self._events.append(Closed())
            return
        if not self._established:
            self._send_alert(AlertLevel.WARNING, AlertDescription.USER_CANCELED)
        self._send_alert(AlertLevel.WARNING, AlertDescription.CLOSE_NOTIFY)
        self._awaits_close_notify = self._established and not self._eof
        self._end(None, AlertLevel.WARNING, AlertDescription.USER_CANCELED, remote=False)

    # -------------------------------------------------------------------------------------------- the middle

    def _process(self) -> None:
        """Work through buffered input until it is used up, an exit is pending, or the connection is over."""
        try:
            while self._pending is None and not self.closed:
                complete = self._messages.next_message()
                if complete is not None:
                    self._on_message(*complete)
                    continue
                if self._opening and not self._read_opening():
                    if self._eof:
                        self._on_eof()
                    return
                record = self._records.next_record()
                if record is None:
                    if self._eof:
                        self._on_eof()
                    return
                self._on_record(record)
        except PeerError as error:
            self._fail(error, error.description)

    def _read_opening(self) -> bool:
        """Look at a client's first bytes for what is not a TLS record; False as long as too few are there."""
        head = self._records.peek(5)
        if len(head) < 5 and not self._eof:
            return False
        self._opening = False
        if head[:4] in _HTTP_METHODS:
            raise UnexpectedMessage("the client speaks plain HTTP, not TLS")
        if head[:1] >= b"\x80" and head[2:3] == b"\x01" and self.context.profile.accept_v2_client_hello:
            # RFC 2246 appendix E.1: the top bit of a two-byte length, then msg_type 1
            length = (head[0] & 0x7F) << 8 | head[1]
            if self._records.buffered < 2 + length:
                self._opening = True
                return False
            raw = self._records.take(2 + length)[2:]
            self._on_message(raw, parse_v2_client_hello(raw))
        return True

    def _feed(self, given: Input) -> None:
        """Run one step of the handshake and carry out its actions."""
        try:
            result = step(self._role, self._state, given, self._config)
            self._state = result.state
            for action in result.actions:
                _PERFORM[type(action)](self, action)
            if result.replay is not None:
                self._feed(result.replay)
        except (PeerError, ExitFailed) as error:
            self._fail(error, error.description)

    def _on_record(self, record: Record) -> None:
        content_type = record.content_type
        if content_type == ContentType.APPLICATION_DATA:
            self._on_application_data(record.fragment)
        elif content_type == ContentType.HANDSHAKE:
            self._messages.feed(record.fragment)
        elif content_type == ContentType.CHANGE_CIPHER_SPEC:
            self._on_change_cipher_spec(record.fragment)
        elif content_type == ContentType.ALERT:
            self._on_alerts(record.fragment)
        else:
            # §6 says "simply ignore"; every later version and most peers say unexpected_message (RFC 5246 §6), and an
            # ignored record is a covert way to exhaust sequence numbers and CPU
            raise UnexpectedMessage(f"a record of unknown type {content_type}")

    def _on_application_data(self, fragment: bytes) -> None:
        if not self._can_read:
            # §7.4.9: none before Finished has been verified
            raise UnexpectedMessage("application data before the handshake is complete")
        if not fragment:
            return
        self._warnings = self._unanswered = 0
        if self._config.observer is not None:
            self._observe(False, ContentType.APPLICATION_DATA, None, fragment)
        self._events.append(ApplicationData(fragment))

    def _on_message(self, raw: bytes, message: Any) -> None:
        if self._config.observer is not None:
            self._observe(False, ContentType.HANDSHAKE, message, raw)
        if isinstance(message, HelloRequest) or (self._established and isinstance(message, ClientHello)):
            # refused or ignored, these change no state: a flood of them must still end
            self._unanswered += 1
            if self._unanswered > self._config.max_renegotiation_requests:
                raise UnexpectedMessage("too many requests for renegotiation")
        self._feed(Received(message, raw))

    def _on_change_cipher_spec(self, fragment: bytes) -> None:
        message = parse(CHANGE_CIPHER_SPEC, fragment, "ChangeCipherSpec")
        if message.type != 1:
            raise IllegalParameter(f"ChangeCipherSpec carries {message.type}, not 1")
        if self._config.observer is not None:
            self._observe(False, ContentType.CHANGE_CIPHER_SPEC, message, fragment)
        if self._messages.pending or self._alert_fragment:
            # a message must not begin under one key and end under another
            raise UnexpectedMessage("ChangeCipherSpec inside a fragmented message")
        self._feed(ChangeCipherSpecReceived())

    def _on_alerts(self, fragment: bytes) -> None:
        """Take one alert, several, or half of one: §6.2.1 allows all three."""
        data = self._alert_fragment + fragment
        while len(data) >= 2 and not self.closed:
            self._on_alert(parse(ALERT, data[:2], "Alert"))
            data = data[2:]
        self._alert_fragment = data

    def _on_alert(self, alert: Alert) -> None:
        if self._config.observer is not None:
            self._observe(False, ContentType.ALERT, alert, build(ALERT, alert))
        if alert.level not in (AlertLevel.WARNING, AlertLevel.FATAL):
            raise IllegalParameter(f"alert level {alert.level}")
        if alert.description == AlertDescription.CLOSE_NOTIFY:
            # §7.2.1: answer with our own, discard pending writes, close at once
            self._peer_closed = True
            self._send_alert(AlertLevel.WARNING, AlertDescription.CLOSE_NOTIFY)
            error = None if self._established else AlertReceived(alert.description)
            self._end(error, AlertLevel.WARNING, alert.description, remote=True)
        elif alert.level == AlertLevel.FATAL or alert.description in ALWAYS_FATAL:
            self._forget()
            self._end(AlertReceived(alert.description), AlertLevel.FATAL, alert.description, remote=True)
        else:
            self._warnings += 1
            if self._warnings > self._config.max_warning_alerts:
                raise UnexpectedMessage("too many warning alerts")
            self._events.append(WarningReceived(alert.description))
            if alert.description == AlertDescription.NO_RENEGOTIATION and isinstance(self._state, _CAN_BE_REFUSED):
                self._feed(RenegotiationRefused())

    def _look_for_close_notify(self) -> None:
        """After our close_notify everything is discarded until the peer's (§7.2.1)."""
        try:
            while (record := self._records.next_record()) is not None:
                if record.content_type == ContentType.ALERT and record.fragment == _CLOSE_NOTIFY:
                    self._peer_closed = True
                    break
            else:
                return
        except PeerError:
            # nobody is left to be told; without a close_notify the transport stays unusable
            self._peer_closed = False
        self._awaits_close_notify = False

    def _on_eof(self) -> None:
        if self._established:
            error: TlsError = TruncatedError("the connection ended without close_notify; data may be missing")
        else:
            error = TruncatedError("the peer closed the connection during the handshake")
        self._end(error, AlertLevel.FATAL, AlertDescription.CLOSE_NOTIFY, remote=True)

    # -------------------------------------------------------------------------------------------- the end

    def _fail(self, error: PeerError | ExitFailed, description: AlertDescription) -> None:
        """Send the fatal alert the error names, and end."""
        self._send_alert(AlertLevel.FATAL, description)
        self._forget()
        self._end(error, AlertLevel.FATAL, description, remote=False)

    def _end(self, error: TlsError | None, level: AlertLevel, description: int, *, remote: bool) -> None:
        """Close: no more input, no more output, and one last question, HandshakeAlert or EndSession (never both)."""
        context = self._state.context
        # a renegotiation that fails is a handshake that fails, on an established session all the same
        asked_done = isinstance(self._state, (states.Established, states.AskHandshakeDone))
        self._state = states.Closed(context)
        self._error = error
        self._can_read = self._can_write = False
        self._events.append(Closed(error))
        if asked_done:
            self._ask(EndSessionCall(context))
        else:
            self._ask(HandshakeAlertCall(context, level, description, remote))

    def _forget(self) -> None:
        """A fatal alert, sent or received, invalidates the session (§7.2)."""
        self._session = None
        session_id = self.context.session_id
        if session_id and self._role is Role.SERVER and self._config.session_store is not None:
            self._config.session_store.remove(session_id)

    def _send_alert(self, level: AlertLevel, description: AlertDescription) -> None:
        alert = Alert(level, description)
        raw = build(ALERT, alert)
        self._records.send(ContentType.ALERT, raw)
        if self._config.observer is not None:
            self._observe(True, ContentType.ALERT, alert, raw)

    def _ask(self, call: ExitCall) -> None:
        self._pending = call
        if self._config.observer is not None:
            self._config.observer(PhaseSeen(call.phase, call))

    def _observe(self, sent: bool, content_type: ContentType, message: Any, raw: bytes) -> None:
        assert self._config.observer is not None
        protected = self._records.write_protected if sent else self._records.read_protected
        self._config.observer(MessageSeen(sent, content_type, message, raw, protected))

    # -------------------------------------------------------------------------------------------- actions

    def _perform_send(self, action: actions.Send) -> None:
        self._records.send(ContentType.HANDSHAKE, action.raw)
        if self._config.observer is not None:
            self._observe(True, ContentType.HANDSHAKE, action.message, action.raw)

    def _perform_send_warning(self, action: actions.SendWarning) -> None:
        self._send_alert(AlertLevel.WARNING, action.description)

    def _perform_send_change_cipher_spec(self, action: actions.SendChangeCipherSpec) -> None:
        message = ChangeCipherSpec(1)
        raw = build(CHANGE_CIPHER_SPEC, message)
        self._records.send(ContentType.CHANGE_CIPHER_SPEC, raw)
        if self._config.observer is not None:
            self._observe(True, ContentType.CHANGE_CIPHER_SPEC, message, raw)

    def _perform_install_write(self, action: actions.InstallWrite) -> None:
        self._can_write = False
        self._records.change_write_keys(action.keys)

    def _perform_install_read(self, action: actions.InstallRead) -> None:
        self._can_read = False
        self._records.change_read_keys(action.keys)

    def _perform_fix_version(self, action: actions.FixVersion) -> None:
        self._records.version = action.version

    def _perform_limit_fragments(self, action: actions.LimitFragments) -> None:
        self._records.max_fragment = min(action.size, self._config.max_fragment)
        self._records.max_received_fragment = action.size

    def _perform_send_v2_client_hello(self, action: actions.SendV2ClientHello) -> None:
        self._records.send_bare((0x8000 | len(action.raw)).to_bytes(2, "big") + action.raw)
        if self._config.observer is not None:
            self._observe(True, ContentType.HANDSHAKE, action.message, action.raw)

    def _perform_log_secret(self, action: actions.LogSecret) -> None:
        if self._config.key_log is not None:
            self._config.key_log(f"CLIENT_RANDOM {action.client_random.hex()} {action.master_secret.hex()}")

    def _perform_ask(self, action: actions.Ask) -> None:
        self._ask(action.call)

    def _perform_remember(self, action: actions.Remember) -> None:
        session = action.session
        if session.session_id or session.ticket:
            self._session = session
        if session.session_id and self._role is Role.SERVER and self._config.session_store is not None:
            self._config.session_store.put(session)

    def _perform_emit(self, action: actions.Emit) -> None:
        if isinstance(action.event, HandshakeCompleted):
            self._established = self._can_read = self._can_write = True
            self._events.append(action.event)
            held, self._held, self._held_size = self._held, [], 0
            for data in held:
                self.send(data)
            return
        self._events.append(action.event)


_PERFORM: Final[dict[type[Any], Callable[[Connection, Any], None]]] = {
    actions.Send: Connection._perform_send,
    actions.SendWarning: Connection._perform_send_warning,
    actions.SendChangeCipherSpec: Connection._perform_send_change_cipher_spec,
    actions.InstallWrite: Connection._perform_install_write,
    actions.InstallRead: Connection._perform_install_read,
    actions.SendV2ClientHello: Connection._perform_send_v2_client_hello,
    actions.LimitFragments: Connection._perform_limit_fragments,
    actions.FixVersion: Connection._perform_fix_version,
    actions.LogSecret: Connection._perform_log_secret,
    actions.Ask: Connection._perform_ask,
    actions.Remember: Connection._perform_remember,
    actions.Emit: Connection._perform_emit,
}


def _checked(call: ExitCall, answer: object) -> Answered | Refused:
    """Turn an exit's answer into an input of the machine; whatever the exit did wrong becomes a refusal."""
    phase = call.phase.value
    if isinstance(answer, Handled):
        try:
            return Answered(call, call.validate(answer.value))
        except PeerError as error:
            failure = ExitFailed(phase, error.description, error.reason)
            failure.__cause__ = error
        except Exception as error:
            # the value is the exit's, and so is whatever goes wrong while it is looked at
            reason = str(error) if isinstance(error, LocalError) else f"{type(error).__name__} in its answer"
            failure = ExitFailed(phase, AlertDescription.INTERNAL_ERROR, reason)
            failure.__cause__ = error
        return Refused(call, failure)
    if isinstance(answer, NotHandled):
        return Refused(call, ExitFailed(phase, AlertDescription.INTERNAL_ERROR, "nobody handled the phase"))
    if isinstance(answer, Failed):
        return Refused(call, _failure(call, answer))
    reason = f"an exit answers Handled, NotHandled or Failed, not {type(answer).__name__}"
    return Refused(call, ExitFailed(phase, AlertDescription.INTERNAL_ERROR, reason))


def _failure(call: ExitCall, answer: Failed) -> ExitFailed:
    phase = call.phase.value
    reason, cause = answer.alert_reason, answer.cause
    if reason is None:
        text = f"failed ({type(cause).__name__})" if cause is not None else "failed"
        failure = ExitFailed(phase, AlertDescription.INTERNAL_ERROR, text)
    elif is_recognised(call.phase, reason):
        text = str(cause.reason) if isinstance(cause, PeerError) else "refused"
        failure = ExitFailed(phase, AlertDescription(reason), text)
    else:
        text = f"{reason!r} is not one of the recognised alert reasons"
        failure = ExitFailed(phase, AlertDescription.INTERNAL_ERROR, text)
    failure.__cause__ = cause
    return failure
