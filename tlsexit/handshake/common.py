"""Steps that both roles and both kinds of handshake share."""

from __future__ import annotations

from functools import lru_cache
from hashlib import sha256
from hmac import compare_digest
from typing import Final, cast

from cryptography.exceptions import UnsupportedAlgorithm

from tlsexit.alerts import (
    AlertDescription,
    BadCertificate,
    DecryptError,
    ExitFailed,
    LocalError,
    PeerError,
    UnsupportedCertificate,
)
from tlsexit.config import Config
from tlsexit.constants import MAX_PLAINTEXT, ProtocolVersion, Role
from tlsexit.crypto.bulk import DirectionKeys
from tlsexit.crypto.keyops import PublicKey, key_type
from tlsexit.crypto.prf import KeyedPrf
from tlsexit.crypto.schedule import (
    ConnectionKeys,
    connection_keys,
    extended_master_secret,
    master_secret,
    verify_data,
)
from tlsexit.crypto.suites import KeyType
from tlsexit.exits.calls import HandshakeDoneCall
from tlsexit.exits.context import Authentication, SessionContext
from tlsexit.exits.forms import LIBRARY_ERRORS, certificate_key
from tlsexit.exits.phases import ExitPhase
from tlsexit.handshake import actions, states
from tlsexit.handshake.finished import Finished, NextProtocol
from tlsexit.handshake.flight import Flight, Step
from tlsexit.handshake.negotiation import FinishedPair, Negotiation, SecurityParameters
from tlsexit.handshake.transcript import Transcript
from tlsexit.session import Session
from tlsexit.values import evolve

_LONGEST_KEPT_CHAIN: Final = 2**14
"""Bytes of the peer's chain that a session keeps; of a longer one, the leaf: a store holds many sessions."""


_SETTLED: Final = (
    actions.FixVersion(ProtocolVersion.TLS_1_0),
    # a limit that an earlier handshake of the connection agreed on ends with its session
    actions.LimitFragments(MAX_PLAINTEXT),
)


def new_random(config: Config) -> bytes:
    """Return a hello random: four bytes of the clock's seconds, then 28 random bytes (§7.4.1.2)."""
    return (int(config.clock()) & 0xFFFFFFFF).to_bytes(4, "big") + config.random(28)


def leaf_public_key(chain: tuple[bytes, ...], wanted: KeyType | None, config: Config) -> PublicKey:
    """Return the key of the first certificate, the sender's own (§7.4.2).

    Raises :class:`BadCertificate` if it does not parse or the chain is too long, :class:`UnsupportedCertificate` if
    its key is of no kind usable here, or not ``wanted``, the kind that the suite's key exchange needs.
    """
    if len(chain) > config.max_chain_length:
        raise BadCertificate(f"{len(chain)} certificates in a chain; at most {config.max_chain_length} are read")
    try:
        key = certificate_key(chain[0])
    except UnsupportedAlgorithm as error:
        raise UnsupportedCertificate("the certificate's key is of an unknown kind") from error
    except LIBRARY_ERRORS as error:
        raise BadCertificate(f"the certificate's key does not parse: {error}") from error
    try:
        kind = key_type(key)
    except LocalError as error:
        raise UnsupportedCertificate("the certificate's key is of a kind TLS 1.0 has no use for") from error
    if wanted is not None and kind is not wanted:
        raise UnsupportedCertificate(f"the suite needs a certificate for {wanted.value}, this one is for {kind.value}")
    return cast(PublicKey, key)


def own_public_key(chain: tuple[bytes, ...], config: Config) -> PublicKey:
    """Return the key of the own chain; :class:`ExitFailed` for one that is not fit to be sent."""
    try:
        return leaf_public_key(chain, None, config)
    except PeerError as error:
        phase = ExitPhase.GET_CERTIFICATE.value
        raise ExitFailed(phase, AlertDescription.INTERNAL_ERROR, error.reason) from error


def transcript_digest(algorithm: KeyType, transcript: Transcript) -> bytes:
    """Return what CertificateVerify signs: MD5 and SHA-1 of all messages for RSA, SHA-1 for DSA and ECDSA (§7.4.8)."""
    return transcript.digest() if algorithm is KeyType.RSA else transcript.sha1()


def derive_master_secret(negotiated: Negotiation, pre_master_secret: bytes, transcript: Transcript) -> bytes:
    """Return the 48 bytes of §8.1, or of RFC 7627 §4 where agreed; the transcript then ends with ClientKeyExchange."""
    if negotiated.extended_master_secret:
        return extended_master_secret(pre_master_secret, transcript.digest())
    return master_secret(pre_master_secret, negotiated.client_random, negotiated.server_random)


def derive_keys(negotiated: Negotiation, secret: bytes | KeyedPrf) -> ConnectionKeys:
    """Return the keys of both directions (§6.3)."""
    return connection_keys(
        negotiated.suite,
        secret,
        negotiated.client_random,
        negotiated.server_random,
        encrypt_then_mac=negotiated.encrypt_then_mac,
    )


def send_finished(
    flight: Flight, keys: DirectionKeys, secret: bytes | KeyedPrf, sender: Role, next_protocol: bytes | None = None
) -> bytes:
    """Change the write keys and send Finished, its first message (§7.4.9); return the verify_data.

    A client that has been shown protocols puts its choice before it, padded to a multiple of 32 bytes.
    """
    flight.change_write_keys(keys)
    if next_protocol is not None:
        flight.send(NextProtocol(next_protocol, bytes(32 - (len(next_protocol) + 2) % 32)))
    data = verify_data(secret, sender, flight.transcript.digest())
    flight.send(Finished(data))
    return data


def check_finished(message: Finished, secret: bytes | KeyedPrf, sender: Role, transcript: Transcript) -> None:
    """Raise :class:`DecryptError` unless the peer's Finished covers the transcript as we have it (§7.4.9)."""
    if not compare_digest(message.verify_data, verify_data(secret, sender, transcript.digest())):
        raise DecryptError("Finished does not match the handshake")


def with_next_protocol(context: SessionContext, message: NextProtocol) -> SessionContext:
    """Return the context with the client's choice, which need not be one that it was shown."""
    return evolve(context, next_protocol=message.selected_protocol.decode("utf-8", "backslashreplace"))


def settled_actions(negotiated: Negotiation) -> tuple[actions.Action, ...]:
    """Return what both ends do as soon as ServerHello has settled it."""
    if negotiated.max_fragment_length is None:
        return _SETTLED
    return (_SETTLED[0], actions.LimitFragments(negotiated.max_fragment_length))


def new_session(context: SessionContext, negotiated: Negotiation, secret: bytes, config: Config) -> Session:
    """Return the session that this full handshake makes."""
    return Session(
        session_id=negotiated.session_id,
        version=ProtocolVersion.TLS_1_0,
        cipher_suite=negotiated.suite.value,
        master_secret=secret,
        created=config.clock(),
        extended_master_secret=negotiated.extended_master_secret,
        server_name=context.server_name,
        own_chain=context.own_chain,
        peer_chain=_worth_keeping(context),
        peer_trusted=context.peer_trusted,
        authentication=(context.authentication or Authentication.ANONYMOUS).value,
        max_fragment_length=negotiated.max_fragment_length,
        demands=peer_demands(context, config),
        psk_identity=context.psk_identity,
    )


def peer_demands(context: SessionContext, config: Config) -> bytes:
    """Return a digest of whom this side accepts: by profile, by exit and authorities, and by configuration.

    A session comes back only where it is the same, or resuming would get round CheckCertificate.
    """
    return _digest(context.profile.demands, context.task.trust, config.session_context)


@lru_cache(maxsize=256)
def _digest(*parts: bytes) -> bytes:
    """Return the digest of what a side accepts, remembered: it changes more seldom than a handshake comes."""
    return sha256(b"".join(parts)).digest()[:16]


def _worth_keeping(context: SessionContext) -> tuple[bytes, ...]:
    """Return as much of the peer's chain as a session keeps: nothing unproven, and nothing without bound."""
    if not context.peer_trusted:
        return ()
    return context.peer_chain if sum(map(len, context.peer_chain)) <= _LONGEST_KEPT_CHAIN else context.peer_chain[:1]


def ask_handshake_done(
    context: SessionContext, finished: FinishedPair, security: SecurityParameters, session: Session | None
) -> Step:
    """Both Finished messages are verified: ask HandshakeDone; ``session`` is what to remember afterwards."""
    asked = states.AskHandshakeDone(context, finished, security, session)
    return Step(asked, (actions.Ask(HandshakeDoneCall(context)),))
