"""The abbreviated handshake: a session taken up again by its id (RFC 2246 §7.3).

::

    ClientHello (session id)   →
                               ←   ServerHello (the same id), ChangeCipherSpec, Finished
    ChangeCipherSpec, Finished →

No certificate, key exchange or request is exchanged, so the exit hears only StartHandshake and HandshakeDone. The keys
are new all the same: they come from the old master secret and both new randoms (§6.3).
"""

from __future__ import annotations

from functools import lru_cache
from math import inf

from tlsexit.alerts import BadCertificate, HandshakeFailure, IllegalParameter
from tlsexit.config import Config
from tlsexit.constants import NULL_COMPRESSION, ProtocolVersion, Role
from tlsexit.crypto.schedule import keyed
from tlsexit.crypto.suites import SUITES
from tlsexit.exits.context import Authentication, SessionContext
from tlsexit.exits.forms import LIBRARY_ERRORS, load_certificate
from tlsexit.handshake import actions, choice, states
from tlsexit.handshake.common import (
    ask_handshake_done,
    check_finished,
    derive_keys,
    new_random,
    peer_demands,
    send_finished,
    settled_actions,
    with_next_protocol,
)
from tlsexit.handshake.finished import Finished, NewSessionTicket, NextProtocol
from tlsexit.handshake.flight import Flight, Step
from tlsexit.handshake.hello import ServerHello
from tlsexit.handshake.inputs import ChangeCipherSpecReceived, Received
from tlsexit.handshake.negotiation import ClientOffer, FinishedPair, Negotiation
from tlsexit.handshake.transcript import Transcript
from tlsexit.profile import Profile, Verify
from tlsexit.session import Session
from tlsexit.values import evolve


def offerable(session: Session | None, context: SessionContext, config: Config) -> Session | None:
    """Return what a client with this profile may offer of a session, if it wants all that would come back with it.

    A ticket that is not to be used any more goes; without an id to offer in its place, or if the session itself is too
    old for that (§F.1.4), nothing is left.
    """
    profile = context.profile
    if (
        session is None
        or session.version != ProtocolVersion.TLS_1_0
        or session.cipher_suite not in profile.cipher_suites
        or session.server_name != profile.server_name
        or session.demands != peer_demands(context, config)
        or session.extended_master_secret > profile.extended_master_secret
        or session.max_fragment_length not in (None, profile.max_fragment_length)
        or (profile.verify is Verify.ENFORCED and session.authentication != Authentication.BOTH.value)
        or _has_expired_certificate(session, config)
    ):
        return None
    if _ticket_is_usable(session, profile, config):
        return session
    if not (session.session_id and _is_young(session, config)):
        return None
    return evolve(session, ticket=b"") if session.ticket else session


def offered_session_id(session: Session | None, config: Config) -> bytes:
    """Return the session id for the hello; beside a ticket, a made-up one whose echo tells of its acceptance.

    RFC 5077 §3.4 allows the latter; without it the client would have to guess from the message after ServerHello.
    """
    if session is None:
        return b""
    return config.random(32) if session.ticket else session.session_id


def with_ticket(session: Session, message: NewSessionTicket, config: Config) -> Session:
    """Return the session with the ticket just received; an empty one means that there is none after all (§3.3)."""
    return evolve(
        session,
        ticket=message.ticket,
        ticket_lifetime_hint=message.ticket_lifetime_hint,
        ticket_received=config.clock(),
    )


def find_session(offer: ClientOffer, context: SessionContext, config: Config) -> tuple[Session, bool] | None:
    """Return the session the client may resume and whether its ticket is to be renewed; None for a full handshake.

    Raises :class:`IllegalParameter` if the hello offers a session without its suite (§7.4.1.2), and
    :class:`HandshakeFailure` if it drops the extended master secret of the session (RFC 7627 §5.3).
    """
    if offer.ticket and config.tickets is not None:
        # RFC 5077 §3.4: with a ticket present the session id is not looked up
        opened = config.tickets.open(offer.ticket)
        if opened is None:
            return None
        session, renew = evolve(opened[0], session_id=offer.hello.session_id), opened[1]
    elif offer.hello.session_id and config.session_store is not None:
        stored = config.session_store.get(offer.hello.session_id)
        if stored is None:
            return None
        session, renew = stored, False
    else:
        return None
    return (session, renew) if _may_resume(session, offer, context, config) else None


def send_resumed_hello(
    context: SessionContext,
    offer: ClientOffer,
    session: Session,
    renew: bool,
    transcript: Transcript,
    config: Config,
) -> Step:
    """Answer the hello with the same session id, change keys and send Finished first (§7.3)."""
    suite = SUITES[session.cipher_suite]
    server_random = new_random(config)
    negotiated, answered = choice.settle(
        offer,
        suite,
        context.profile,
        server_random=server_random,
        session_id=session.session_id,
        new_ticket=renew,
        resumed=session,
    )
    flight = Flight(transcript)
    flight.actions += settled_actions(negotiated)
    flight.send(
        ServerHello(ProtocolVersion.TLS_1_0, server_random, session.session_id, suite.value, NULL_COMPRESSION, answered)
    )
    if renew:
        send_ticket(flight, session, config)
    flight.actions.append(actions.LogSecret(negotiated.client_random, session.master_secret))
    secret = keyed(session.master_secret)
    keys = derive_keys(negotiated, secret)
    verify_data = send_finished(flight, keys.server_write, secret, Role.SERVER)
    restored = _restored(context, session, negotiated)
    return flight.then(
        states.AwaitResumedClientChangeCipherSpec(
            restored, negotiated, flight.transcript, session, keys.client_write, verify_data
        )
    )


def send_ticket(flight: Flight, session: Session, config: Config) -> None:
    """Send NewSessionTicket; one too large for its field becomes an empty one, which says "no ticket" (§3.3)."""
    assert config.tickets is not None  # the ServerHello promised one
    ticket = config.tickets.seal(session)
    flight.send(NewSessionTicket(config.tickets.lifetime_hint, ticket if len(ticket) < 2**16 else b""))


def on_client_change_cipher_spec(
    state: states.AwaitResumedClientChangeCipherSpec, received: ChangeCipherSpecReceived, config: Config
) -> Step:
    next_protocol = state.negotiation.next_protocol is not None
    following = states.AwaitResumedNextProtocol if next_protocol else states.AwaitResumedClientFinished
    awaiting = following(state.context, state.negotiation, state.transcript, state.session, state.server_verify_data)
    return Step(awaiting, (actions.InstallRead(state.read_keys),))


def on_next_protocol(state: states.AwaitResumedNextProtocol, received: Received[NextProtocol], config: Config) -> Step:
    return Step(
        states.AwaitResumedClientFinished(
            with_next_protocol(state.context, received.message),
            state.negotiation,
            state.transcript.add(received.raw),
            state.session,
            state.server_verify_data,
        )
    )


def on_client_finished(state: states.AwaitResumedClientFinished, received: Received[Finished], config: Config) -> Step:
    check_finished(received.message, state.session.master_secret, Role.CLIENT, state.transcript)
    finished = FinishedPair(received.message.verify_data, state.server_verify_data, state.negotiation.encrypt_then_mac)
    # the store has the session already, and a ticket is in the client's keeping
    security = state.negotiation.security_parameters(state.session.master_secret)
    return ask_handshake_done(state.context, finished, security, None)


def on_server_hello_resuming(
    context: SessionContext, negotiated: Negotiation, transcript: Transcript, session: Session
) -> Step:
    """The client sees its own session id echoed: everything must be as it was (§7.4.1.3)."""
    if negotiated.suite.value != session.cipher_suite:
        raise IllegalParameter("the server resumes the session with another cipher suite")
    if negotiated.extended_master_secret != session.extended_master_secret:
        raise HandshakeFailure("the server resumes the session with another kind of master secret")
    if negotiated.max_fragment_length is None and session.max_fragment_length is not None:
        negotiated = evolve(negotiated, max_fragment_length=session.max_fragment_length)
    following = (
        states.AwaitResumedNewSessionTicket if negotiated.new_ticket else states.AwaitResumedServerChangeCipherSpec
    )
    if negotiated.next_protocol is not None:
        context = evolve(context, next_protocol=negotiated.next_protocol.decode())
    awaiting = following(_restored(context, session, negotiated), negotiated, transcript, session)
    return Step(
        awaiting,
        (
            *settled_actions(negotiated),
            actions.LogSecret(negotiated.client_random, session.master_secret),
        ),
    )


def on_new_session_ticket(
    state: states.AwaitResumedNewSessionTicket, received: Received[NewSessionTicket], config: Config
) -> Step:
    session = with_ticket(state.session, received.message, config)
    return Step(
        states.AwaitResumedServerChangeCipherSpec(
            state.context, state.negotiation, state.transcript.add(received.raw), session
        )
    )


def on_server_change_cipher_spec(
    state: states.AwaitResumedServerChangeCipherSpec, received: ChangeCipherSpecReceived, config: Config
) -> Step:
    keys = derive_keys(state.negotiation, state.session.master_secret)
    awaiting = states.AwaitResumedServerFinished(
        state.context, state.negotiation, state.transcript, state.session, keys.client_write
    )
    return Step(awaiting, (actions.InstallRead(keys.server_write),))


def on_server_finished(state: states.AwaitResumedServerFinished, received: Received[Finished], config: Config) -> Step:
    secret = keyed(state.session.master_secret)
    check_finished(received.message, secret, Role.SERVER, state.transcript)
    flight = Flight(state.transcript.add(received.raw))
    verify_data = send_finished(flight, state.write_keys, secret, Role.CLIENT, state.negotiation.next_protocol)
    finished = FinishedPair(verify_data, received.message.verify_data, state.negotiation.encrypt_then_mac)
    security = state.negotiation.security_parameters(state.session.master_secret)
    done = ask_handshake_done(state.context, finished, security, state.session)
    return flight.then(done.state, *done.actions)


def _restored(context: SessionContext, session: Session, negotiated: Negotiation) -> SessionContext:
    """Return the context with what the session brings back."""
    return evolve(
        context,
        resumed=True,
        server_name=session.server_name,
        cipher_suite=session.cipher_suite,
        session_id=session.session_id,
        own_chain=session.own_chain,
        peer_chain=session.peer_chain,
        peer_trusted=session.peer_trusted,
        authentication=Authentication(session.authentication),
        secure_renegotiation=negotiated.secure_renegotiation,
        extended_master_secret=session.extended_master_secret,
        alpn_protocol=negotiated.alpn_protocol,
        psk_identity=session.psk_identity,
    )


def _ticket_is_usable(session: Session, profile: Profile, config: Config) -> bool:
    if not (session.ticket and profile.session_tickets and profile.extensions):
        return False
    hint = session.ticket_lifetime_hint
    # RFC 5077 §5.6: a hint may well be longer than the bound of a session id
    return 0 <= config.clock() - session.ticket_received < hint if hint else _is_young(session, config)


def _is_young(session: Session, config: Config) -> bool:
    """Whether a session is of an age at which it may be offered: "An upper limit of 24 hours is suggested" (§F.1.4)."""
    return 0 <= config.clock() - session.created < config.session_lifetime


def _may_resume(session: Session, offer: ClientOffer, context: SessionContext, config: Config) -> bool:
    profile = context.profile
    if session.version != ProtocolVersion.TLS_1_0 or session.server_name != offer.server_name:
        return False
    if session.demands != peer_demands(context, config):
        # the store may be shared with somebody who trusts others
        return False
    if session.extended_master_secret and not offer.extended_master_secret:
        raise HandshakeFailure("the session to resume has an extended master secret, the hello does not offer it")
    if session.extended_master_secret != (offer.extended_master_secret and profile.extended_master_secret):
        return False
    if session.cipher_suite not in offer.hello.cipher_suites:
        raise IllegalParameter("the hello offers a session without its cipher suite")
    if session.cipher_suite not in profile.cipher_suites:
        return False
    if profile.verify is Verify.REQUIRED and session.authentication != Authentication.BOTH.value:
        return False
    return not _has_expired_certificate(session, config)


def _has_expired_certificate(session: Session, config: Config) -> bool:
    """Whether a certificate of the session is past its time: then "it should force a full handshake" (§F.1.4)."""
    now = config.clock()
    return min(map(_expiry, session.own_chain + session.peer_chain), default=inf) < now


@lru_cache(maxsize=256)
def _expiry(der: bytes) -> float:
    """Return when a certificate expires, in seconds since 1970; remembered as the certificate itself is."""
    try:
        return load_certificate(der).not_valid_after_utc.timestamp()
    except BadCertificate:
        return inf  # it never counted for anything
    except LIBRARY_ERRORS:
        return -inf  # it says no time that can be read
