"""The end of every handshake, and what comes after it."""

from __future__ import annotations

from tlsexit.alerts import AlertDescription, LocalError
from tlsexit.config import Config
from tlsexit.events import HandshakeCompleted
from tlsexit.exits.calls import StartHandshakeCall
from tlsexit.exits.context import SessionContext
from tlsexit.handshake import actions, states
from tlsexit.handshake.codec import encode
from tlsexit.handshake.flight import Step
from tlsexit.handshake.hello import ClientHello, HelloRequest
from tlsexit.handshake.inputs import Answered, Received, Renegotiate, RenegotiationRefused
from tlsexit.values import evolve


def on_handshake_done(state: states.AskHandshakeDone, answer: Answered, config: Config) -> Step:
    emit = actions.Emit(HandshakeCompleted(state.context, answer.value))
    established = states.Established(state.context, state.finished, state.security)
    if state.session is None:
        return Step(established, (emit,))
    return Step(established, (actions.Remember(state.session), emit))


def on_hello_request(state: states.Established, received: Received[HelloRequest], config: Config) -> Step:
    if not _may_renegotiate(state, config):
        return _refuse(state)
    return _ask_client(state)


def on_client_hello_again(state: states.Established, received: Received[ClientHello], config: Config) -> Step:
    if not _may_renegotiate(state, config):
        return _refuse(state)
    context = _next_context(state)
    asked = states.AskServerStartHandshake(context, state.finished, received)
    return Step(asked, (actions.Ask(StartHandshakeCall(context)),))


def on_client_renegotiate(state: states.Established, given: Renegotiate, config: Config) -> Step:
    _check_local(state, config)
    return _ask_client(state)


def on_server_renegotiate(state: states.Established, given: Renegotiate, config: Config) -> Step:
    _check_local(state, config)
    if state.requested:
        # §7.4.1.1: not repeated "until the subsequent handshake negotiation is complete"
        raise LocalError("HelloRequest has been sent and not been answered yet")
    message = HelloRequest()
    return Step(evolve(state, requested=True), (actions.Send(message, encode(message)),))


def on_request_refused(state: states.Established, given: RenegotiationRefused, config: Config) -> Step:
    return Step(evolve(state, requested=False))


def on_hello_refused(state: states.AwaitServerHello, given: RenegotiationRefused, config: Config) -> Step:
    """The server would rather not: the connection goes on as it was (§7.2.2)."""
    if state.established is None:
        return Step(state)
    # the exit has been asked: its reference stays, and so does the count, or there would be no end of asking
    asked = state.context
    context = evolve(
        state.established.context, handshake_count=asked.handshake_count, exit_reference=asked.exit_reference
    )
    return Step(evolve(state.established, context=context))


def on_hello_request_ignored(state: states.State, received: Received[HelloRequest], config: Config) -> Step:
    # neither hashed nor answered (§7.4.1.1)
    return Step(state)


def _ask_client(state: states.Established) -> Step:
    context = _next_context(state)
    asked = states.AskClientStartHandshake(context, state, None)
    return Step(asked, (actions.Ask(StartHandshakeCall(context)),))


def _may_renegotiate(state: states.Established, config: Config) -> bool:
    """Only where the profile allows it, RFC 5746 protects it, and not without end."""
    context = state.context
    return (
        context.profile.renegotiation
        and context.secure_renegotiation
        and context.handshake_count <= config.max_renegotiations
        # a resumed session without the extended master secret may be another one's (triple handshake, RFC 7627 §5.3)
        and (context.extended_master_secret or not context.resumed)
    )


def _check_local(state: states.Established, config: Config) -> None:
    if not state.context.profile.renegotiation:
        raise LocalError("the profile does not allow renegotiation")
    if not state.context.secure_renegotiation:
        raise LocalError("the peer does not support secure renegotiation (RFC 5746)")
    if state.context.resumed and not state.context.extended_master_secret:
        raise LocalError("a resumed session without the extended master secret is not renegotiated (RFC 7627 §5.3)")
    if not _may_renegotiate(state, config):
        raise LocalError(f"the connection has been renegotiated {config.max_renegotiations} times already")


def _refuse(state: states.Established) -> Step:
    # §7.2.2: no_renegotiation is always a warning; the connection goes on
    return Step(state, (actions.SendWarning(AlertDescription.NO_RENEGOTIATION),))


def _next_context(state: states.Established) -> SessionContext:
    """The same context, one handshake on. Nothing that the last handshake proved may pass for proved by this one."""
    return evolve(
        state.context,
        handshake_count=state.context.handshake_count + 1,
        resumed=False,
        peer_ca_list=None,
        peer_chain=(),
        peer_trusted=False,
        own_chain=(),
        authentication=None,
        session_id=b"",
        cipher_suite=None,
        server_name=None,
        extended_master_secret=False,
        alpn_protocol=None,
        next_protocol=None,
        psk_identity=None,
    )
