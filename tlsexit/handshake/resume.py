"""The abbreviated handshake: a session taken up again by its id (RFC 2246 §7.3).

::

    ClientHello (session id)   →
                               ←   ServerHello (the same id), ChangeCipherSpec, Finished
    ChangeCipherSpec, Finished →

No certificate, key exchange or request is exchanged, so the exit hears only StartHandshake and HandshakeDone. The keys
are new all the same: they come from the old master secret and both new randoms (§6.3).
"""

from __future__ import annotations

from dataclasses import replace

from tlsexit.alerts import HandshakeFailure, IllegalParameter
from tlsexit.config import Config
from tlsexit.constants import NULL_COMPRESSION, ProtocolVersion, Role
from tlsexit.crypto.schedule import ConnectionKeys, connection_keys
from tlsexit.crypto.suites import SUITES
from tlsexit.exits.calls import HandshakeDoneCall
from tlsexit.exits.context import Authentication, SessionContext
from tlsexit.handshake import actions, negotiation, states
from tlsexit.handshake.common import check_finished, new_random, send_finished
from tlsexit.handshake.finished import Finished
from tlsexit.handshake.flight import Flight, Step
from tlsexit.handshake.hello import ServerHello
from tlsexit.handshake.inputs import ChangeCipherSpecReceived, Received
from tlsexit.handshake.negotiation import ClientOffer, FinishedPair, Negotiation
from tlsexit.handshake.transcript import Transcript
from tlsexit.profile import Profile, Verify
from tlsexit.session import Session


def can_offer(session: Session | None, profile: Profile) -> bool:
    """Whether a client with this profile may offer the session: it must want all that the session would bring back."""
    return (
        session is not None
        and session.version == ProtocolVersion.TLS_1_0
        and session.cipher_suite in profile.cipher_suites
        and session.server_name == profile.server_name
        and session.extended_master_secret <= profile.extended_master_secret
        and (profile.verify is not Verify.ENFORCED or session.authentication == Authentication.BOTH.value)
    )


def find_session(offer: ClientOffer, profile: Profile, config: Config) -> Session | None:
    """Return the session the client may resume, or None for a full handshake.

    Raises :class:`IllegalParameter` if the hello offers a session without its suite (§7.4.1.2), and
    :class:`HandshakeFailure` if it drops the extended master secret of the session (RFC 7627 §5.3).
    """
    store = config.session_store
    if not offer.hello.session_id or store is None:
        return None
    session = store.get(offer.hello.session_id)
    if session is None or session.version != ProtocolVersion.TLS_1_0:
        return None
    if session.server_name != offer.server_name:
        return None
    if session.extended_master_secret and not offer.extended_master_secret:
        raise HandshakeFailure("the session to resume has an extended master secret, the hello does not offer it")
    if session.extended_master_secret != (offer.extended_master_secret and profile.extended_master_secret):
        return None
    if session.cipher_suite not in offer.hello.cipher_suites:
        raise IllegalParameter("the hello offers a session without its cipher suite")
    if session.cipher_suite not in profile.cipher_suites:
        return None
    if profile.verify is Verify.REQUIRED and not session.peer_trusted:
        return None
    return session


def send_resumed_hello(
    context: SessionContext, offer: ClientOffer, session: Session, transcript: Transcript, config: Config
) -> Step:
    """Answer the hello with the same session id, change keys and send Finished first (§7.3)."""
    suite = SUITES[session.cipher_suite]
    server_random = new_random(config)
    negotiated, answered = negotiation.settle(
        offer, suite, server_random, session.session_id, context.profile, resuming=True
    )
    flight = Flight(transcript)
    flight.actions.append(actions.FixVersion(ProtocolVersion.TLS_1_0))
    flight.send(
        ServerHello(ProtocolVersion.TLS_1_0, server_random, session.session_id, suite.value, NULL_COMPRESSION, answered)
    )
    flight.actions.append(actions.LogSecret(negotiated.client_random, session.master_secret))
    keys = _keys(negotiated, session)
    verify_data = send_finished(flight, keys.server_write, session.master_secret, Role.SERVER)
    return flight.then(
        states.AwaitResumedClientChangeCipherSpec(
            _restored(context, session, negotiated),
            negotiated,
            flight.transcript,
            session,
            keys.client_write,
            verify_data,
        )
    )


def on_client_change_cipher_spec(
    state: states.AwaitResumedClientChangeCipherSpec, received: ChangeCipherSpecReceived, config: Config
) -> Step:
    awaiting = states.AwaitResumedClientFinished(
        state.context, state.negotiation, state.transcript, state.session, state.server_verify_data
    )
    return Step(awaiting, (actions.InstallRead(state.read_keys),))


def on_client_finished(state: states.AwaitResumedClientFinished, received: Received[Finished], config: Config) -> Step:
    check_finished(received.message, state.session.master_secret, Role.CLIENT, state.transcript)
    finished = FinishedPair(received.message.verify_data, state.server_verify_data, state.negotiation.encrypt_then_mac)
    return _done(state.context, finished, state.session)


def on_server_hello_resuming(
    context: SessionContext, negotiated: Negotiation, transcript: Transcript, session: Session
) -> Step:
    """The client sees its own session id echoed: everything must be as it was (§7.4.1.3)."""
    if negotiated.suite.value != session.cipher_suite:
        raise IllegalParameter("the server resumes the session with another cipher suite")
    if negotiated.extended_master_secret != session.extended_master_secret:
        raise HandshakeFailure("the server resumes the session with another kind of master secret")
    awaiting = states.AwaitResumedServerChangeCipherSpec(
        _restored(context, session, negotiated), negotiated, transcript, session
    )
    return Step(awaiting, (actions.LogSecret(negotiated.client_random, session.master_secret),))


def on_server_change_cipher_spec(
    state: states.AwaitResumedServerChangeCipherSpec, received: ChangeCipherSpecReceived, config: Config
) -> Step:
    keys = _keys(state.negotiation, state.session)
    awaiting = states.AwaitResumedServerFinished(
        state.context, state.negotiation, state.transcript, state.session, keys.client_write
    )
    return Step(awaiting, (actions.InstallRead(keys.server_write),))


def on_server_finished(state: states.AwaitResumedServerFinished, received: Received[Finished], config: Config) -> Step:
    secret = state.session.master_secret
    check_finished(received.message, secret, Role.SERVER, state.transcript)
    flight = Flight(state.transcript.add(received.raw))
    verify_data = send_finished(flight, state.write_keys, secret, Role.CLIENT)
    finished = FinishedPair(verify_data, received.message.verify_data, state.negotiation.encrypt_then_mac)
    done = _done(state.context, finished, state.session)
    return flight.then(done.state, *done.actions)


def _keys(negotiated: Negotiation, session: Session) -> ConnectionKeys:
    return connection_keys(
        negotiated.suite,
        session.master_secret,
        negotiated.client_random,
        negotiated.server_random,
        encrypt_then_mac=negotiated.encrypt_then_mac,
    )


def _restored(context: SessionContext, session: Session, negotiated: Negotiation) -> SessionContext:
    """Return the context with what the session brings back."""
    return replace(
        context,
        resumed=True,
        cipher_suite=session.cipher_suite,
        session_id=session.session_id,
        own_chain=session.own_chain,
        peer_chain=session.peer_chain,
        peer_trusted=session.peer_trusted,
        authentication=Authentication(session.authentication),
        secure_renegotiation=negotiated.secure_renegotiation,
        extended_master_secret=session.extended_master_secret,
    )


def _done(context: SessionContext, finished: FinishedPair, session: Session) -> Step:
    asked = states.AskHandshakeDone(context, finished, session)
    return Step(asked, (actions.Ask(HandshakeDoneCall(context)),))
