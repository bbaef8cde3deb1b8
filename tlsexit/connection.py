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
from contextlib import suppress
from typing import Any, Final

from tlsexit.alerts import (
    AlertDescription,
    AlertLevel,
    AlertReceived,
    ExitFailed,
    LocalError,
    PeerError,
    TlsError,
    TruncatedError,
    UnexpectedMessage,
)
from tlsexit.channel import Channel
from tlsexit.config import Config
from tlsexit.constants import Role
from tlsexit.events import ApplicationData, Closed, Event, HandshakeCompleted, PhaseSeen, WarningReceived
from tlsexit.exits.answers import Answer
from tlsexit.exits.calls import EndSessionCall, ExitCall, HandshakeAlertCall
from tlsexit.exits.context import SessionContext, TaskContext, new_area
from tlsexit.exits.outcome import outcome
from tlsexit.failures import drop_frames, guarded_step, internal
from tlsexit.handshake import actions, states
from tlsexit.handshake.hello import ClientHello, HelloRequest
from tlsexit.handshake.inputs import Answered, Input, Received, Refused, Renegotiate, RenegotiationRefused, Start
from tlsexit.handshake.machine import refusal
from tlsexit.handshake.table import RELEASED
from tlsexit.profile import Profile
from tlsexit.records.grammar import Alert
from tlsexit.session import Session
from tlsexit.values import evolve

_NO_OUTCOME: Final = (HandshakeAlertCall, EndSessionCall)
"""Calls that only inform: whatever their answer, nothing changes."""

_NOT_LIVE: Final = (states.Idle, states.Closed)

_READ_AHEAD: Final = 2**18
"""Bytes of application data opened in advance: what fits in the processor's caches, and more than one read gives."""

_CAN_BE_REFUSED: Final = (states.Established, states.AwaitServerHello)
"""Where a no_renegotiation has a meaning; elsewhere it is one warning among others."""


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
        self._channel = Channel(self._role, config, accept_v2_client_hello=profile.accept_v2_client_hello)
        self._records = self._channel.records
        context = SessionContext(
            task=task,
            reference=task.next_session_reference(),
            role=self._role,
            profile=profile,
            remote_address=remote_address,
            local_address=local_address,
            private_area=new_area(task.private_area_size),
        )
        self._state: states.State = states.Idle(context, session)
        self._pending: ExitCall | None = None
        self._events: deque[Event] = deque()
        self._error: TlsError | None = None
        self._session: Session | None = None
        self._session_id = b""
        self._established = False
        self._can_read = False
        self._can_write = False
        self._warnings = 0
        self._unanswered = 0
        self._eof = False
        self._opened = 0  # bytes of application data, since the events were last used up
        self._held: list[bytes] = []
        self._held_size = 0
        self._proven: SessionContext | None = None
        self._exit_failure: ExitFailed | None = None

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
        """What is known of the session. During a renegotiation that is what the last complete handshake has proven."""
        return self._proven or self._state.context

    @property
    def exit_failure(self) -> ExitFailed | None:
        """What went wrong in an exit, if anything did; the peer may not be told, as in decryption (§7.4.7.1)."""
        return self._exit_failure

    @property
    def held_size(self) -> int:
        """Bytes of application data accepted but held back until a renegotiation is complete."""
        return self._held_size

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
        return self._channel.peer_closed

    @property
    def awaits_close_notify(self) -> bool:
        """Whether this end has closed, and the peer's close_notify may still come."""
        return self._channel.awaits_close_notify

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
        """Take bytes from the peer, in any chunking; ignored once the connection is closed (§7.2.1).

        What follows the peer's close_notify is kept for :meth:`trailing_data`, up to ``Config.max_buffered_input``.
        """
        if not self._can_read and isinstance(self._state, _NOT_LIVE):
            if not self.closed:
                raise LocalError("start the connection before feeding it data")
            self._channel.receive_after_end(data)
            return
        if self._pending is not None and self._records.buffered + len(data) > self._config.max_buffered_input:
            raise LocalError(f"{self._pending.phase.value} is pending; answer it before reading on")
        self._records.receive_data(data)
        self._process()

    def receive_eof(self) -> None:
        """The transport has ended. Without close_notify that is a truncation, and reported as one (§7.2.1)."""
        self._eof = True
        if self.closed:
            self._channel.stop_waiting()
        elif isinstance(self._state, states.Idle):
            # nothing has begun: no question, and no error either
            self.close()
        elif self._pending is None:
            self._process()

    def answer(self, answer: Answer, to: ExitCall | None = None) -> None:
        """Answer :attr:`pending_exit`; raises :class:`LocalError` if nothing is pending, or not the call ``to``.

        ``NotHandled`` counts as a failure here: a driver sends it on to the built-in PKI first.
        """
        call = self._pending
        if call is None or (to is not None and to is not call):
            raise LocalError("no exit is pending" if call is None else "the exit is asked something else by now")
        self._pending = None
        if self._config.observer is not None:
            self._config.observer(PhaseSeen(call.phase, call, answer))
        if isinstance(call, _NO_OUTCOME):
            return
        try:
            given: Input = Answered(call, outcome(call, answer))
        except ExitFailed as error:
            self._exit_failure = error
            given = Refused(call, error)
        self._feed(given)
        self._process()

    # -------------------------------------------------------------------------------------------- output

    def data_to_send(self, amount: int | None = None) -> bytes:
        """Return and forget up to ``amount`` bytes (default: all) that belong on the transport."""
        return self._records.data_to_send(amount)

    def trailing_data(self) -> bytes:
        """Return the bytes that followed the peer's close_notify: they are not TLS (§7.2.1)."""
        return self._records.take_rest() if self._channel.peer_closed else b""

    def next_event(self) -> Event | None:
        """Return the next event, or None if more input, or an answer, is needed first.

        Of more than 256 KiB received at once the rest is opened only when the application has taken the first part. So
        events drive a connection too: once they are used up, there may be a question or output that was not there.
        """
        events = self._events
        if not events and self._opened >= _READ_AHEAD:
            self._process()
        return events.popleft() if events else None

    def send(self, data: bytes) -> None:
        """Protect application data; :class:`LocalError` before the handshake is complete and after the end (§7.4.9)."""
        if self._can_write:
            if data:
                self._channel.send_data(data)
            return
        if not self.established:
            raise LocalError("the connection is closed" if self.closed else "the handshake is not complete")
        # between our ChangeCipherSpec and the end of a renegotiation nothing may be sent (§7.4.9)
        if self._held_size + len(data) > self._config.max_buffered_input:
            raise LocalError("a renegotiation is not complete; wait before sending more")
        if data:
            self._held_size += len(data)
            self._held.append(bytes(data))

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
            self._channel.send_alert(AlertLevel.WARNING, AlertDescription.USER_CANCELED)
        self._channel.send_alert(AlertLevel.WARNING, AlertDescription.CLOSE_NOTIFY)
        self._channel.awaits_close_notify = self._established and not self._eof
        error = LocalError("data accepted during a renegotiation was not sent") if self._held else None
        self._end(error, AlertLevel.WARNING, AlertDescription.USER_CANCELED, remote=False)
        self._channel.look_for_close_notify()

    def abort(self) -> None:
        """End here and now without telling the peer: a pending question is dropped, only the last one is asked."""
        if isinstance(self._state, states.Idle):
            self.close()
        elif not self.closed:
            error = LocalError("the connection was aborted")
            self._end(error, AlertLevel.FATAL, AlertDescription.USER_CANCELED, remote=False)

    # -------------------------------------------------------------------------------------------- the middle

    def _process(self) -> None:
        """Work through buffered input until it is used up, an exit is pending, or the connection is over.

        It waits as well for the application to take what has been opened: see :meth:`next_event`.
        """
        if not self._events:
            self._opened = 0
        try:
            while self._pending is None and self._opened < _READ_AHEAD and not isinstance(self._state, states.Closed):
                item = self._channel.next_item()
                if isinstance(item, list):
                    self._on_application_data(item)
                    if self._records.exhausted and not self._eof:
                        return
                    continue
                if item is None:
                    if self._eof:
                        self._on_eof()
                    return
                if isinstance(item, Received):
                    self._on_message(item)
                elif isinstance(item, Alert):
                    self._on_alert(item)
                else:
                    self._feed(item)
        except PeerError as found:
            error = refusal(self._role, self._state, self._channel.malformed, found)
            self._fail(error, error.description)
        except Exception as error:
            self._fail(internal(error), AlertDescription.INTERNAL_ERROR)

    def _feed(self, given: Input) -> None:
        """Run one step of the handshake and carry out its actions."""
        try:
            result = guarded_step(self._role, self._state, given, self._config)
        except (PeerError, ExitFailed) as error:
            self._fail(error, error.description)
            return
        self._state = result.state
        try:
            for action in result.actions:
                _PERFORM[type(action)](self, action)
        except PeerError as error:
            self._fail(error, error.description)
        except Exception as error:
            self._fail(internal(error), AlertDescription.INTERNAL_ERROR)
        else:
            if result.replay is not None:
                self._feed(result.replay)

    def _on_application_data(self, contents: list[bytes]) -> None:
        if not self._can_read:
            # §7.4.9: none before Finished has been verified
            raise UnexpectedMessage("application data before the handshake is complete")
        events = self._events
        for content in contents:
            if content:
                self._warnings = self._unanswered = 0
                events.append(ApplicationData(content))
                self._opened += len(content)

    def _on_message(self, received: Received[Any]) -> None:
        message = received.message
        if isinstance(message, HelloRequest) or (self._established and isinstance(message, ClientHello)):
            # refused or ignored, these change no state: a flood of them must still end
            self._unanswered += 1
            negotiating = not isinstance(self._state, states.Established)
            config = self._config
            if self._unanswered > (config.max_ignored_records if negotiating else config.max_renegotiation_requests):
                raise UnexpectedMessage("too many requests for renegotiation")
        self._feed(received)

    def _on_alert(self, alert: Alert) -> None:
        if alert.description == AlertDescription.CLOSE_NOTIFY:
            # §7.2.1: answer with our own, discard pending writes, close at once
            self._channel.peer_closed = True
            self._channel.send_alert(AlertLevel.WARNING, AlertDescription.CLOSE_NOTIFY)
            error = None if self._established else AlertReceived(alert.description)
            self._end(error, AlertLevel.WARNING, alert.description, remote=True)
        elif alert.is_fatal:
            self._forget()
            self._end(AlertReceived(alert.description), AlertLevel.FATAL, alert.description, remote=True)
        else:
            self._warnings += 1
            if self._warnings > self._config.max_warning_alerts:
                raise UnexpectedMessage("too many warning alerts")
            self._events.append(WarningReceived(alert.description))
            if alert.description == AlertDescription.NO_RENEGOTIATION and isinstance(self._state, _CAN_BE_REFUSED):
                self._feed(RenegotiationRefused())

    def _on_eof(self) -> None:
        if self._established:
            error: TlsError = TruncatedError("the connection ended without close_notify; data may be missing")
        else:
            error = TruncatedError("the peer closed the connection during the handshake")
        self._end(error, AlertLevel.FATAL, AlertDescription.CLOSE_NOTIFY, remote=True)

    # -------------------------------------------------------------------------------------------- the end

    def _fail(self, error: PeerError | ExitFailed, description: AlertDescription) -> None:
        """Send the fatal alert the error names, and end."""
        if error.__cause__ is None and error is not self._exit_failure:
            # a wrong Finished may be all the peer shows of a premaster secret that an exit failed to decrypt
            error.__cause__ = self._exit_failure
        drop_frames(error)
        self._channel.send_alert(AlertLevel.FATAL, description)
        self._forget()
        self._end(error, AlertLevel.FATAL, description, remote=False)

    def _end(self, error: TlsError | None, level: AlertLevel, description: int, *, remote: bool) -> None:
        """Close: no more input, no more output, and one last question, HandshakeAlert or EndSession (never both)."""
        context = self._state.context
        # a renegotiation that fails is a handshake that fails, on an established session all the same
        asked_done = isinstance(self._state, RELEASED)
        if not asked_done:
            # what a handshake claimed without completing must not pass for proven
            self._state = states.Closed(evolve(context, peer_trusted=False, authentication=None, psk_identity=None))
        else:
            self._state = states.Closed(context)
        self._error = error
        self._can_read = self._can_write = False
        if not self._channel.awaits_close_notify:
            self._records.forget_keys()
        self._events.append(Closed(error))
        if asked_done:
            self._ask(EndSessionCall(context))
        else:
            self._ask(HandshakeAlertCall(context, level, description, remote))

    def _forget(self) -> None:
        """A fatal alert, sent or received, invalidates the session (§7.2)."""
        self._session = None
        store = self._config.session_store
        if store is not None and self._role is Role.SERVER:
            # in a renegotiation there are two: the session in force and the one under negotiation
            for session_id in {self._session_id, self._state.context.session_id} - {b""}:
                # a store that is out of order must not keep the alert from going out
                with suppress(Exception):
                    store.remove(session_id)

    def _ask(self, call: ExitCall) -> None:
        self._pending = call
        if self._config.observer is not None:
            self._config.observer(PhaseSeen(call.phase, call))

    # -------------------------------------------------------------------------------------------- actions

    def _perform_install_write(self, action: actions.InstallWrite) -> None:
        self._can_write = False
        self._channel.change_write_keys(action.keys)

    def _perform_install_read(self, action: actions.InstallRead) -> None:
        self._can_read = False
        self._channel.change_read_keys(action.keys)

    def _perform_log_secret(self, action: actions.LogSecret) -> None:
        if self._config.key_log is not None:
            self._config.key_log(f"CLIENT_RANDOM {action.client_random.hex()} {action.master_secret.hex()}")

    def _perform_remember(self, action: actions.Remember) -> None:
        session = action.session
        if session.session_id or session.ticket:
            self._session = session
        if session.session_id and self._role is Role.SERVER and self._config.session_store is not None:
            self._config.session_store.put(session)

    def _perform_emit(self, action: actions.Emit) -> None:
        if isinstance(action.event, HandshakeCompleted):
            self._established = self._can_read = self._can_write = True
            self._proven = action.event.context
            self._session_id = action.event.context.session_id
            self._unanswered = 0
            self._events.append(action.event)
            held, self._held, self._held_size = self._held, [], 0
            for data in held:
                self.send(data)
            return
        self._events.append(action.event)


_PERFORM: Final[dict[type[Any], Callable[[Connection, Any], None]]] = {
    actions.Send: lambda self, action: self._channel.send_message(action.message, action.raw),
    actions.SendV2ClientHello: lambda self, action: self._channel.send_v2_client_hello(action.message, action.raw),
    actions.SendWarning: lambda self, action: self._channel.send_alert(AlertLevel.WARNING, action.description),
    actions.SendChangeCipherSpec: lambda self, action: self._channel.send_change_cipher_spec(),
    actions.InstallWrite: Connection._perform_install_write,
    actions.InstallRead: Connection._perform_install_read,
    actions.FixVersion: lambda self, action: self._channel.fix_version(action.version),
    actions.LimitFragments: lambda self, action: self._channel.limit_fragments(action.size),
    actions.LogSecret: Connection._perform_log_secret,
    actions.Ask: lambda self, action: self._ask(action.call),
    actions.Remember: Connection._perform_remember,
    actions.Emit: Connection._perform_emit,
}
