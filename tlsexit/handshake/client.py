"""The client's handlers for a full handshake (RFC 2246 §7.3), one function per state and input.

Each first checks that the message is legal, then computes, then builds the next state, then lists the actions. Where a
handler asks the exit it ends there, and the handler of the answer goes on: that seam is the phase.
"""

from __future__ import annotations

from typing import Any

from tlsexit.alerts import (
    DecodeError,
    HandshakeFailure,
    UnexpectedMessage,
)
from tlsexit.config import Config
from tlsexit.constants import NULL_COMPRESSION, ProtocolVersion, Role
from tlsexit.crypto.keyops import PublicKey, key_type, verify
from tlsexit.crypto.schedule import keyed
from tlsexit.exits.calls import (
    CheckCertificateCall,
    CryptDataCall,
    CryptOperation,
    GetCertificateCall,
    GetPreSharedKeyCall,
    PreSharedKey,
    StartHandshakeCall,
)
from tlsexit.exits.context import Authentication, SessionContext
from tlsexit.exits.forms import CAList
from tlsexit.handshake import actions, offer, resume, states
from tlsexit.handshake.agreement import (
    ServerParams,
    client_key_exchange,
    hint,
    needs_server_key_exchange,
    read_server_key_exchange,
    signed_digest,
)
from tlsexit.handshake.certificate import Certificate, CertificateRequest, CertificateStatus, CertificateVerify
from tlsexit.handshake.common import (
    ask_handshake_done,
    check_finished,
    derive_keys,
    derive_master_secret,
    leaf_public_key,
    new_random,
    new_session,
    own_public_key,
    send_finished,
    settled_actions,
    transcript_digest,
)
from tlsexit.handshake.finished import Finished, NewSessionTicket
from tlsexit.handshake.flight import Flight, Step
from tlsexit.handshake.hello import ClientHello, ServerHello, ServerHelloDone
from tlsexit.handshake.inputs import Answered, ChangeCipherSpecReceived, Received, Start
from tlsexit.handshake.keyexchange import ServerKeyExchange
from tlsexit.handshake.negotiation import FinishedPair, Negotiation
from tlsexit.handshake.transcript import Transcript
from tlsexit.profile import Verify
from tlsexit.values import evolve


def on_start(state: states.Idle, start: Start, config: Config) -> Step:
    asked = states.AskClientStartHandshake(state.context, None, state.session)
    return Step(asked, (actions.Ask(StartHandshakeCall(state.context)),))


def on_handshake_started(state: states.AskClientStartHandshake, answer: Answered, config: Config) -> Step:
    reference, profile = answer.value
    context = evolve(state.context, exit_reference=reference, profile=profile, server_name=profile.server_name)
    previous = None if state.established is None else state.established.finished
    session = resume.offerable(state.session, context, config)
    hello = ClientHello(
        ProtocolVersion.TLS_1_0,
        new_random(config),
        resume.offered_session_id(session, config),
        offer.offered_suites(profile, previous, session),
        (NULL_COMPRESSION,),
        offer.client_extensions(profile, previous, session),
    )
    flight = Flight(Transcript())
    if profile.v2_client_hello and previous is None:
        hello = offer.in_v2_format(hello)
        flight.send_v2_client_hello(hello)
    else:
        flight.send(hello)
    return flight.then(states.AwaitServerHello(context, hello, session, state.established, flight.transcript))


def on_server_hello(state: states.AwaitServerHello, received: Received[ServerHello], config: Config) -> Step:
    hello = received.message
    previous = None if state.established is None else state.established.finished
    negotiated = offer.accept_server_hello(hello, state.hello, state.context.profile, previous)
    if state.established is not None and state.established.context.peer_chain:
        negotiated = evolve(negotiated, previous_leaf=state.established.context.peer_chain[0])
    transcript = state.transcript.add(received.raw)
    # an echoed session id means resumption; an empty one can never be an echo (§7.4.1.3)
    if state.session is not None and hello.session_id == state.hello.session_id != b"":
        return resume.on_server_hello_resuming(state.context, negotiated, transcript, state.session)
    context = evolve(
        state.context,
        cipher_suite=hello.cipher_suite,
        session_id=hello.session_id,
        secure_renegotiation=negotiated.secure_renegotiation,
        extended_master_secret=negotiated.extended_master_secret,
        alpn_protocol=negotiated.alpn_protocol,
        next_protocol=None if negotiated.next_protocol is None else negotiated.next_protocol.decode(),
        authentication=Authentication.ANONYMOUS,
    )
    settled = settled_actions(negotiated)
    exchange = negotiated.suite.key_exchange
    if exchange.certificate is not None:
        return Step(states.AwaitServerCertificate(context, negotiated, transcript), settled)
    if not exchange.server_key_exchange:
        return Step(states.AwaitPskHint(context, negotiated, transcript, None), settled)
    return Step(states.AwaitServerKeyExchange(context, negotiated, transcript, None), settled)


def on_certificate(state: states.AwaitServerCertificate, received: Received[Certificate], config: Config) -> Step:
    chain = received.message.certificate_list
    if not chain:
        # certificate_list<1..2^24-1> of appendix A.4.2: only a client may send none
        raise DecodeError("Certificate: the server's chain is empty")
    previous = state.negotiation.previous_leaf
    if previous not in (None, chain[0]) and not state.negotiation.extended_master_secret:
        # RFC 7627 §1: without the extended master secret, this is the last step of the triple handshake attack
        raise HandshakeFailure("the server shows another certificate in the renegotiation")
    leaf_key = leaf_public_key(chain, state.negotiation.suite.key_exchange.certificate, config)
    context = evolve(state.context, peer_chain=chain)
    transcript = state.transcript.add(received.raw)
    if state.negotiation.status_request:
        return Step(states.AwaitCertificateStatus(context, state.negotiation, transcript, leaf_key))
    return _check_certificate(context, state.negotiation, transcript, leaf_key)


def on_certificate_status(
    state: states.AwaitCertificateStatus, received: Received[CertificateStatus], config: Config
) -> Step:
    transcript = state.transcript.add(received.raw)
    response = received.message.response
    return _check_certificate(state.context, state.negotiation, transcript, state.leaf_key, response)


def on_no_certificate_status(state: states.AwaitCertificateStatus, received: Received[Any], config: Config) -> Step:
    # RFC 6066 §8: the server "MAY instead choose not to send" it; what came waits until the chain has been checked
    return _check_certificate(state.context, state.negotiation, state.transcript, state.leaf_key, held=received)


def on_certificate_checked(state: states.AskCheckServerCertificate, answer: Answered, config: Config) -> Step:
    context = evolve(state.context, peer_trusted=True, authentication=Authentication.SERVER)
    following: states.State
    exchange = state.negotiation.suite.key_exchange
    if exchange.premaster.psk and not exchange.server_key_exchange:
        following = states.AwaitPskHint(context, state.negotiation, state.transcript, state.leaf_key)
    elif needs_server_key_exchange(exchange, state.leaf_key):
        following = states.AwaitServerKeyExchange(context, state.negotiation, state.transcript, state.leaf_key)
    else:
        following = states.AwaitCertificateRequest(context, state.negotiation, state.transcript, state.leaf_key, None)
    return Step(following, replay=state.held)


def on_server_key_exchange(
    state: states.AwaitServerKeyExchange | states.AwaitPskHint, received: Received[ServerKeyExchange], config: Config
) -> Step:
    negotiated = state.negotiation
    params, signed, signature = read_server_key_exchange(
        negotiated.suite.key_exchange, received.message, state.context.profile
    )
    if state.leaf_key is not None and signature is not None:
        digest = signed_digest(key_type(state.leaf_key), negotiated.client_random, negotiated.server_random, signed)
        verify(state.leaf_key, signature, digest)
    transcript = state.transcript.add(received.raw)
    return Step(states.AwaitCertificateRequest(state.context, negotiated, transcript, state.leaf_key, params))


def on_certificate_request(
    state: states.AwaitCertificateRequest, received: Received[CertificateRequest], config: Config
) -> Step:
    if state.negotiation.suite.key_exchange.premaster.psk:
        # RFC 4279 §2, §4: no PSK suite has one
        raise UnexpectedMessage("CertificateRequest in a PSK suite")
    if state.leaf_key is None:
        # §7.4.4: "It is a fatal handshake_failure alert for an anonymous server to request client identification."
        raise HandshakeFailure("an anonymous server asked for a certificate")
    request = received.message
    context = evolve(state.context, peer_ca_list=CAList(request.certificate_types, request.certificate_authorities))
    transcript = state.transcript.add(received.raw)
    return Step(
        states.AwaitServerHelloDone(context, state.negotiation, transcript, state.leaf_key, state.params, request)
    )


def on_server_hello_done(
    state: states.AwaitCertificateRequest | states.AwaitPskHint, received: Received[ServerHelloDone], config: Config
) -> Step:
    if state.context.profile.verify is Verify.ENFORCED:
        raise HandshakeFailure("the profile enforces client authentication and the server did not ask for it")
    params = state.params if isinstance(state, states.AwaitCertificateRequest) else None
    transcript = state.transcript.add(received.raw)
    if state.negotiation.suite.key_exchange.premaster.psk:
        asked = states.AskGetClientPreSharedKey(state.context, state.negotiation, transcript, state.leaf_key, params)
        return Step(asked, (actions.Ask(GetPreSharedKeyCall(state.context, hint(params))),))
    flight = Flight(transcript)
    master_secret = _send_key_exchange(flight, state.negotiation, state.leaf_key, params, None, config)
    return _send_last_part(flight, state.context, state.negotiation, master_secret)


def on_pre_shared_key(state: states.AskGetClientPreSharedKey, answer: Answered, config: Config) -> Step:
    psk: PreSharedKey = answer.value
    context = evolve(state.context, psk_identity=psk.identity, authentication=Authentication.BOTH)
    flight = Flight(state.transcript)
    master_secret = _send_key_exchange(flight, state.negotiation, state.leaf_key, state.params, psk, config)
    return _send_last_part(flight, context, state.negotiation, master_secret)


def on_server_hello_done_after_request(
    state: states.AwaitServerHelloDone, received: Received[ServerHelloDone], config: Config
) -> Step:
    transcript = state.transcript.add(received.raw)
    asked = states.AskGetClientCertificate(
        state.context, state.negotiation, transcript, state.leaf_key, state.params, state.request
    )
    call = GetCertificateCall(state.context, ca_list=state.context.peer_ca_list)
    return Step(asked, (actions.Ask(call),))


def on_certificate_chosen(state: states.AskGetClientCertificate, answer: Answered, config: Config) -> Step:
    chain: tuple[bytes, ...] = answer.value.chain
    if not chain and state.context.profile.verify is Verify.ENFORCED:
        raise HandshakeFailure("the profile enforces client authentication and there is no certificate to show")
    flight = Flight(state.transcript)
    # §7.4.6: without a suitable certificate the message is still sent, with an empty list
    flight.send(Certificate(chain))
    master_secret = _send_key_exchange(flight, state.negotiation, state.leaf_key, state.params, None, config)
    if not chain:
        return _send_last_part(flight, state.context, state.negotiation, master_secret)
    context = evolve(state.context, own_chain=chain, authentication=Authentication.BOTH)
    algorithm = key_type(own_public_key(chain, config))
    call = CryptDataCall(context, CryptOperation.SIGN, algorithm, transcript_digest(algorithm, flight.transcript))
    asked = states.AskSignCertificateVerify(context, state.negotiation, flight.transcript, master_secret)
    return flight.then(asked, actions.Ask(call))


def on_signed(state: states.AskSignCertificateVerify, answer: Answered, config: Config) -> Step:
    flight = Flight(state.transcript)
    flight.send(CertificateVerify(answer.value))
    return _send_last_part(flight, state.context, state.negotiation, state.master_secret)


def on_new_session_ticket(
    state: states.AwaitNewSessionTicket, received: Received[NewSessionTicket], config: Config
) -> Step:
    return Step(
        states.AwaitServerChangeCipherSpec(
            state.context,
            state.negotiation,
            state.transcript.add(received.raw),
            state.master_secret,
            state.read_keys,
            state.client_verify_data,
            received.message,
        )
    )


def on_change_cipher_spec(
    state: states.AwaitServerChangeCipherSpec, received: ChangeCipherSpecReceived, config: Config
) -> Step:
    awaiting = states.AwaitServerFinished(
        state.context,
        state.negotiation,
        state.transcript,
        state.master_secret,
        state.client_verify_data,
        state.ticket,
    )
    return Step(awaiting, (actions.InstallRead(state.read_keys),))


def on_finished(state: states.AwaitServerFinished, received: Received[Finished], config: Config) -> Step:
    check_finished(received.message, state.master_secret, Role.SERVER, state.transcript)
    finished = FinishedPair(state.client_verify_data, received.message.verify_data, state.negotiation.encrypt_then_mac)
    session = new_session(state.context, state.negotiation, state.master_secret, config)
    if state.ticket is not None:
        session = resume.with_ticket(session, state.ticket, config)
    return ask_handshake_done(
        state.context, finished, state.negotiation.security_parameters(state.master_secret), session
    )


def _check_certificate(
    context: SessionContext,
    negotiated: Negotiation,
    transcript: Transcript,
    leaf_key: PublicKey,
    response: bytes | None = None,
    held: Received[Any] | None = None,
) -> Step:
    asked = states.AskCheckServerCertificate(context, negotiated, transcript, leaf_key, held)
    call = CheckCertificateCall(context, context.peer_chain, response, negotiated.sct_list)
    return Step(asked, (actions.Ask(call),))


def _send_key_exchange(
    flight: Flight,
    negotiated: Negotiation,
    leaf_key: PublicKey | None,
    params: ServerParams | None,
    psk: PreSharedKey | None,
    config: Config,
) -> bytes:
    """Send ClientKeyExchange and return the master secret."""
    message, pre_master_secret = client_key_exchange(negotiated, leaf_key, params, psk, config)
    flight.send(message)
    master_secret = derive_master_secret(negotiated, pre_master_secret, flight.transcript)
    flight.actions.append(actions.LogSecret(negotiated.client_random, master_secret))
    return master_secret


def _send_last_part(
    flight: Flight,
    context: SessionContext,
    negotiated: Negotiation,
    master_secret: bytes,
) -> Step:
    """Send ChangeCipherSpec and Finished, the end of the client's second flight."""
    secret = keyed(master_secret)
    keys = derive_keys(negotiated, secret)
    verify_data = send_finished(flight, keys.client_write, secret, Role.CLIENT, negotiated.next_protocol)
    following = states.AwaitNewSessionTicket if negotiated.new_ticket else states.AwaitServerChangeCipherSpec
    return flight.then(following(context, negotiated, flight.transcript, master_secret, keys.server_write, verify_data))
