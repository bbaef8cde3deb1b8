"""The server's handlers for a full handshake (RFC 2246 §7.3), one function per state and input.

The order inside each is the client's too: legality, computation, next state, actions; see :mod:`.client`.
"""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from tlsexit.alerts import HandshakeFailure, UnsupportedCertificate
from tlsexit.config import Config
from tlsexit.constants import NULL_COMPRESSION, ProtocolVersion, Role
from tlsexit.crypto.groups import curve_of
from tlsexit.crypto.keyops import PublicKey, key_type, verify
from tlsexit.crypto.schedule import keyed
from tlsexit.crypto.suites import CipherSuite, KeyType, Premaster
from tlsexit.exits.calls import (
    CheckCertificateCall,
    Credentials,
    CryptDataCall,
    CryptOperation,
    GetCAListCall,
    GetCertificateCall,
    GetPreSharedKeyCall,
    PreSharedKey,
    StartHandshakeCall,
)
from tlsexit.exits.context import Authentication, SessionContext
from tlsexit.exits.forms import SIGNING_CERTIFICATE_TYPES
from tlsexit.handshake import actions, choice, resume, states
from tlsexit.handshake.agreement import (
    ClientPublic,
    Ephemeral,
    agree,
    check_ciphertext_length,
    checked_pre_master_secret,
    decrypt_with_temporary_key,
    generate_ephemeral,
    read_client_key_exchange,
    server_key_exchange,
    signed_digest,
    with_pre_shared_key,
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
    with_next_protocol,
)
from tlsexit.handshake.enums import CertificateStatusType
from tlsexit.handshake.finished import Finished, NextProtocol
from tlsexit.handshake.flight import Flight, Step
from tlsexit.handshake.hello import ClientHello, ServerHello, ServerHelloDone
from tlsexit.handshake.inputs import Answered, ChangeCipherSpecReceived, Received, Refused, Start
from tlsexit.handshake.keyexchange import ClientKeyExchange
from tlsexit.handshake.negotiation import ClientOffer, FinishedPair, Negotiation
from tlsexit.handshake.transcript import Transcript
from tlsexit.profile import Verify
from tlsexit.values import evolve


def on_start(state: states.Idle, start: Start, config: Config) -> Step:
    asked = states.AskServerStartHandshake(state.context, None)
    return Step(asked, (actions.Ask(StartHandshakeCall(state.context)),))


def on_handshake_started(state: states.AskServerStartHandshake, answer: Answered, config: Config) -> Step:
    reference, profile = answer.value
    context = evolve(state.context, exit_reference=reference, profile=profile)
    return Step(states.AwaitClientHello(context, state.previous), replay=state.hello)


def on_client_hello(state: states.AwaitClientHello, received: Received[ClientHello], config: Config) -> Step:
    offer = choice.read_client_hello(received.message, state.previous, state.context.profile)
    transcript = Transcript().add(received.raw)
    resumable = resume.find_session(offer, state.context, config)
    if resumable is not None:
        return resume.send_resumed_hello(state.context, offer, *resumable, transcript, config)
    context = evolve(state.context, server_name=offer.server_name)
    candidates = choice.common_suites(offer, context.profile)
    if not candidates:
        raise choice.nothing_in_common(offer, context.profile)
    if candidates[0].key_exchange.certificate is None:
        return _send_hello(context, offer, candidates[0], None, transcript, config)
    asked = states.AskGetServerCertificate(context, offer, candidates, transcript)
    call = GetCertificateCall(
        context,
        tuple(suite.value for suite in candidates),
        offer.groups or (),
        offer.trusted_authorities,
    )
    return Step(asked, (actions.Ask(call),))


def on_certificate_chosen(state: states.AskGetServerCertificate, answer: Answered, config: Config) -> Step:
    credentials: Credentials = answer.value
    own_type = _usable_key_type(credentials.chain, state.offer, config)
    for suite in state.candidates:
        needed = suite.key_exchange.certificate
        if needed is not None and (needed is not own_type or credentials.cipher_suite not in (None, suite.value)):
            continue
        shown = None if needed is None else credentials
        return _send_hello(state.context, state.offer, suite, shown, state.transcript, config)
    raise HandshakeFailure("no cipher suite in common with the client fits the certificate")


def on_params_signed(state: states.AskSignServerKeyExchange, answer: Answered, config: Config) -> Step:
    flight = Flight(state.transcript)
    flight.send(server_key_exchange(state.ephemeral, answer.value))
    return _request_certificate(flight, state.context, state.negotiation, state.ephemeral)


def on_ca_list(state: states.AskGetCAList, answer: Answered, config: Config) -> Step:
    flight = Flight(state.transcript)
    types = answer.value.certificate_types
    flight.send(CertificateRequest(types, answer.value.certificate_authorities))
    flight.send(ServerHelloDone())
    awaiting = states.AwaitClientCertificate(
        state.context, state.negotiation, flight.transcript, state.ephemeral, types
    )
    return flight.then(awaiting)


def on_certificate(state: states.AwaitClientCertificate, received: Received[Certificate], config: Config) -> Step:
    chain = received.message.certificate_list
    transcript = state.transcript.add(received.raw)
    if not chain:
        if state.context.profile.verify is Verify.REQUIRED:
            raise HandshakeFailure("the client has no certificate and the profile requires one")
        return Step(states.AwaitClientKeyExchange(state.context, state.negotiation, transcript, state.ephemeral, None))
    client_key = leaf_public_key(chain, None, config)
    if SIGNING_CERTIFICATE_TYPES[key_type(client_key)] not in state.certificate_types:
        raise UnsupportedCertificate("the client's certificate is of a type that was not asked for")
    context = evolve(state.context, peer_chain=chain)
    asked = states.AskCheckClientCertificate(context, state.negotiation, transcript, state.ephemeral, client_key)
    return Step(asked, (actions.Ask(CheckCertificateCall(context, chain)),))


def on_certificate_checked(state: states.AskCheckClientCertificate, answer: Answered, config: Config) -> Step:
    context = state.context
    if answer.value is None:  # else Untrusted, which validation lets pass for verify=optional only
        context = evolve(context, peer_trusted=True)
    return Step(
        states.AwaitClientKeyExchange(context, state.negotiation, state.transcript, state.ephemeral, state.client_key)
    )


def on_client_key_exchange(
    state: states.AwaitClientKeyExchange, received: Received[ClientKeyExchange], config: Config
) -> Step:
    transcript = state.transcript.add(received.raw)
    exchange = state.negotiation.suite.key_exchange
    public = read_client_key_exchange(exchange, received.message)
    if exchange.premaster.psk:
        asked = states.AskGetServerPreSharedKey(state.context, state.negotiation, transcript, state.ephemeral, public)
        return Step(asked, (actions.Ask(GetPreSharedKeyCall(state.context, identity=public.psk_identity)),))
    if exchange.premaster is Premaster.RSA:
        return _decrypt(state.context, state.negotiation, transcript, state.ephemeral, state.client_key, public, config)
    pre_master_secret = agree(state.ephemeral, public, None)
    return _keys_agreed(state.context, state.negotiation, transcript, state.client_key, pre_master_secret)


def on_pre_shared_key(state: states.AskGetServerPreSharedKey, answer: Answered, config: Config) -> Step:
    psk: PreSharedKey = answer.value
    context = evolve(state.context, psk_identity=state.public.psk_identity, authentication=Authentication.BOTH)
    if state.negotiation.suite.key_exchange.premaster is Premaster.RSA_PSK:
        return _decrypt(context, state.negotiation, state.transcript, None, None, state.public, config, psk.key)
    pre_master_secret = agree(state.ephemeral, state.public, psk.key)
    return _keys_agreed(context, state.negotiation, state.transcript, None, pre_master_secret)


def on_decrypted(state: states.AskDecryptPreMasterSecret, answer: Answered, config: Config) -> Step:
    return _decrypted(state, answer.value)


def on_decryption_refused(state: states.AskDecryptPreMasterSecret, refusal: Refused, config: Config) -> Step:
    """Go on as if nothing had happened: the peer must not learn why (§7.4.7.1, the one exception of the exit model)."""
    return _decrypted(state, b"")


def on_certificate_verify(
    state: states.AwaitCertificateVerify, received: Received[CertificateVerify], config: Config
) -> Step:
    digest = transcript_digest(key_type(state.client_key), state.transcript)
    verify(state.client_key, received.message.signature, digest)
    context = state.context
    if context.peer_trusted:
        context = evolve(context, authentication=Authentication.BOTH)
    return Step(
        states.AwaitClientChangeCipherSpec(
            context, state.negotiation, state.transcript.add(received.raw), state.master_secret
        )
    )


def on_change_cipher_spec(
    state: states.AwaitClientChangeCipherSpec, received: ChangeCipherSpecReceived, config: Config
) -> Step:
    negotiated = state.negotiation
    keys = derive_keys(negotiated, state.master_secret)
    following = states.AwaitClientFinished if negotiated.next_protocol is None else states.AwaitNextProtocol
    awaiting = following(state.context, negotiated, state.transcript, state.master_secret, keys.server_write)
    return Step(awaiting, (actions.InstallRead(keys.client_write),))


def on_next_protocol(state: states.AwaitNextProtocol, received: Received[NextProtocol], config: Config) -> Step:
    return Step(
        states.AwaitClientFinished(
            with_next_protocol(state.context, received.message),
            state.negotiation,
            state.transcript.add(received.raw),
            state.master_secret,
            state.write_keys,
        )
    )


def on_finished(state: states.AwaitClientFinished, received: Received[Finished], config: Config) -> Step:
    secret = keyed(state.master_secret)
    check_finished(received.message, secret, Role.CLIENT, state.transcript)
    flight = Flight(state.transcript.add(received.raw))
    session = new_session(state.context, state.negotiation, state.master_secret, config)
    if state.negotiation.new_ticket:
        resume.send_ticket(flight, session, config)
    verify_data = send_finished(flight, state.write_keys, secret, Role.SERVER)
    finished = FinishedPair(received.message.verify_data, verify_data, state.negotiation.encrypt_then_mac)
    security = state.negotiation.security_parameters(state.master_secret)
    done = ask_handshake_done(state.context, finished, security, session)
    return flight.then(done.state, *done.actions)


def _usable_key_type(chain: tuple[bytes, ...], offer: ClientOffer, config: Config) -> KeyType | None:
    """Return what kind of key the leaf holds; None if there is none, or on a curve the client does not list."""
    if not chain:
        return None
    key = own_public_key(chain, config)
    if offer.groups is not None and isinstance(key, EllipticCurvePublicKey) and curve_of(key) not in offer.groups:
        # RFC 4492 §5.3: "the public key in the server's certificate MUST respect the client's choice"
        return None
    return key_type(key)


def _send_hello(
    context: SessionContext,
    offer: ClientOffer,
    suite: CipherSuite,
    credentials: Credentials | None,
    transcript: Transcript,
    config: Config,
) -> Step:
    """Send ServerHello, Certificate and CertificateStatus, and ServerKeyExchange as far as it needs no signature."""
    new_ticket = offer.ticket is not None and config.tickets is not None
    # RFC 5077 §3.4: a server that hands out a ticket keeps no state, and says so with an empty session id
    session_id = b"" if new_ticket or config.session_store is None else config.random(32)
    server_random = new_random(config)
    negotiated, answered = choice.settle(
        offer,
        suite,
        context.profile,
        server_random=server_random,
        session_id=session_id,
        new_ticket=new_ticket,
        credentials=credentials,
    )
    flight = Flight(transcript)
    flight.actions += settled_actions(negotiated)
    flight.send(
        ServerHello(ProtocolVersion.TLS_1_0, server_random, session_id, suite.value, NULL_COMPRESSION, answered)
    )
    context = evolve(
        context,
        cipher_suite=suite.value,
        session_id=session_id,
        own_chain=() if credentials is None else credentials.chain,
        secure_renegotiation=negotiated.secure_renegotiation,
        extended_master_secret=negotiated.extended_master_secret,
        alpn_protocol=negotiated.alpn_protocol,
        authentication=Authentication.ANONYMOUS if credentials is None else Authentication.SERVER,
    )
    if credentials is not None:
        flight.send(Certificate(credentials.chain))
        if negotiated.status_request:
            flight.send(CertificateStatus(CertificateStatusType.OCSP, credentials.ocsp_response or b""))
    exchange = suite.key_exchange
    own_key = None if credentials is None else own_public_key(credentials.chain, config)
    ephemeral = generate_ephemeral(
        exchange, negotiated.groups, own_key, context.profile, config, finite_field=negotiated.dh_group
    )
    if ephemeral is None:
        return _request_certificate(flight, context, negotiated, None)
    if not exchange.signed:
        flight.send(server_key_exchange(ephemeral, None))
        return _request_certificate(flight, context, negotiated, ephemeral)
    algorithm = exchange.certificate
    assert algorithm is not None  # a signed exchange has a certificate
    digest = signed_digest(algorithm, negotiated.client_random, server_random, ephemeral.params)
    call = CryptDataCall(context, CryptOperation.SIGN, algorithm, digest)
    asked = states.AskSignServerKeyExchange(context, negotiated, flight.transcript, ephemeral)
    return flight.then(asked, actions.Ask(call))


def _request_certificate(
    flight: Flight, context: SessionContext, negotiated: Negotiation, ephemeral: Ephemeral | None
) -> Step:
    """End the server's flight, with CertificateRequest before ServerHelloDone if the client is to be asked."""
    # §7.4.4: "A non-anonymous server can optionally request a certificate"; PSK suites have no room for it (RFC 4279)
    exchange = negotiated.suite.key_exchange
    may_ask = exchange.certificate is not None and not exchange.premaster.psk
    if context.profile.verify is not Verify.NONE and may_ask:
        asked = states.AskGetCAList(context, negotiated, flight.transcript, ephemeral)
        return flight.then(asked, actions.Ask(GetCAListCall(context)))
    flight.send(ServerHelloDone())
    return flight.then(states.AwaitClientKeyExchange(context, negotiated, flight.transcript, ephemeral, None))


def _decrypt(
    context: SessionContext,
    negotiated: Negotiation,
    transcript: Transcript,
    ephemeral: Ephemeral | None,
    client_key: PublicKey | None,
    public: ClientPublic,
    config: Config,
    psk: bytes | None = None,
) -> Step:
    """Have the premaster secret decrypted: by the exit or, with a temporary key, here."""
    temporary = None if ephemeral is None else ephemeral.pair
    if isinstance(temporary, RSAPrivateKey):
        check_ciphertext_length(public.value, temporary.public_key())
    else:
        check_ciphertext_length(public.value, leaf_public_key(context.own_chain, None, config))
    # §7.4.7.1: drawn before anything is decrypted, and used without a trace if anything about it is wrong
    substitute = negotiated.client_version.to_bytes(2, "big") + config.random(46)
    asked = states.AskDecryptPreMasterSecret(context, negotiated, transcript, client_key, substitute, psk)
    if isinstance(temporary, RSAPrivateKey):
        return _decrypted(asked, decrypt_with_temporary_key(temporary, public.value))
    call = CryptDataCall(context, CryptOperation.DECRYPT, KeyType.RSA, public.value)
    return Step(asked, (actions.Ask(call),))


def _decrypted(state: states.AskDecryptPreMasterSecret, decrypted: bytes) -> Step:
    secret = checked_pre_master_secret(decrypted, state.substitute)
    if state.psk is not None:
        secret = with_pre_shared_key(secret, state.psk)
    return _keys_agreed(state.context, state.negotiation, state.transcript, state.client_key, secret)


def _keys_agreed(
    context: SessionContext,
    negotiated: Negotiation,
    transcript: Transcript,
    client_key: PublicKey | None,
    pre_master_secret: bytes,
) -> Step:
    """Derive the master secret and wait for the rest of the client's flight."""
    master_secret = derive_master_secret(negotiated, pre_master_secret, transcript)
    log = actions.LogSecret(negotiated.client_random, master_secret)
    if client_key is None:
        return Step(states.AwaitClientChangeCipherSpec(context, negotiated, transcript, master_secret), (log,))
    return Step(states.AwaitCertificateVerify(context, negotiated, transcript, master_secret, client_key), (log,))
