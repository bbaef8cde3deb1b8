"""The end of every handshake, and what comes after it."""

from __future__ import annotations

from tlsexit.alerts import AlertDescription
from tlsexit.config import Config
from tlsexit.events import HandshakeCompleted
from tlsexit.handshake import actions, states
from tlsexit.handshake.flight import Step
from tlsexit.handshake.hello import ClientHello, HelloRequest
from tlsexit.handshake.inputs import Answered, Received


def on_handshake_done(state: states.AskHandshakeDone, answer: Answered, config: Config) -> Step:
    completed = HandshakeCompleted(state.context, answer.value)
    return Step(
        states.Established(state.context, state.finished),
        (actions.Remember(state.session), actions.Emit(completed)),
    )


def on_renegotiation_refused(
    state: states.Established, received: Received[HelloRequest] | Received[ClientHello], config: Config
) -> Step:
    # §7.2.2: no_renegotiation is always a warning; the connection goes on
    return Step(state, (actions.SendWarning(AlertDescription.NO_RENEGOTIATION),))


def on_hello_request_ignored(state: states.State, received: Received[HelloRequest], config: Config) -> Step:
    # neither hashed nor answered (§7.4.1.1)
    return Step(state)
