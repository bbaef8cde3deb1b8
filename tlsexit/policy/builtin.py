"""The built-in PKI: what answers when an exit declines, or when StartTask has switched the exit off.

It holds the identities and authorities of this side and follows the session's profile. It keeps no state of its own
between two calls, so that one object serves any number of tasks and sessions.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.x509 import CertificateRevocationList

from tlsexit.alerts import AlertDescription, HandshakeFailure, LocalError, PeerError
from tlsexit.constants import Role
from tlsexit.crypto.suites import SUITES, KeyExchange, KeyType, Premaster
from tlsexit.exits.answers import Answer, Failed, Handled, NotHandled
from tlsexit.exits.calls import (
    CheckCertificateCall,
    CryptDataCall,
    EndSessionCall,
    EndTaskCall,
    ExitCall,
    GetCAListCall,
    GetCertificateCall,
    HandshakeAlertCall,
    HandshakeDoneCall,
    StartHandshakeCall,
    StartTaskCall,
    Untrusted,
)
from tlsexit.exits.context import SessionContext
from tlsexit.exits.forms import CAList
from tlsexit.policy.certificates import CertificateLike, ParsedCertificate, TrustAnchors, name_key, parsed
from tlsexit.policy.names import matches_server_name
from tlsexit.policy.revocation import RevocationList, RevocationLists
from tlsexit.policy.signatures import SignaturePolicy
from tlsexit.policy.store import Identity, IdentityFile
from tlsexit.policy.x509 import KeyUse, LeafDemands, allows, check_chain, leaf_key_type
from tlsexit.profile import Profile, Verify

CLIENT_CERTIFICATE_TYPES: Final = {1: KeyType.RSA, 2: KeyType.DSA, 64: KeyType.EC}
"""``rsa_sign``, ``dss_sign`` (RFC 2246 §7.4.4) and ``ecdsa_sign`` (RFC 4492 §5.5): the types a client may sign with."""

EXPORT_RSA_BITS: Final = 512
"""Longest key that an export suite may encrypt with; a longer one signs a temporary key (RFC 2246 §7.4.3)."""


class BuiltinPki:
    """Answers every phase from a key store and a profile.

    ``identities`` are what this side can show, in order of preference; ``authorities`` the certificates of the
    accepted authorities by the id that ``Profile.root_ca_ids`` names. An authority need not be self-signed.
    ``signature_policy`` judges the signatures in a path and the size of the authorities' keys; the size of an RSA key
    in the peer's own certificate is the profile's ``minimum_rsa_bits``. ``clock`` gives seconds since the epoch.

    ``check_key_usage`` holds the peer's keyUsage against the key exchange (R2246-7.4.2-06, -07): a certificate that
    may only encipher cannot sign, and the reverse. Many of TLS 1.0's time are careless there, hence the switch.
    ``allow_common_name`` compares the host name with the CN of a certificate that has no dNSName.

    Raises :class:`LocalError` for two identities with one id, and for an authority that does not parse.
    """

    def __init__(
        self,
        identities: Iterable[Identity | IdentityFile] = (),
        authorities: Mapping[str, Iterable[CertificateLike]] | None = None,
        crls: Iterable[RevocationList | CertificateRevocationList] = (),
        signature_policy: SignaturePolicy | None = None,
        clock: Callable[[], float] = time.time,
        *,
        check_key_usage: bool = True,
        allow_common_name: bool = False,
    ) -> None:
        self._identities: dict[str, Identity | IdentityFile] = {}
        for identity in identities:
            if identity.id in self._identities:
                raise LocalError(f"two identities have the id {identity.id}")
            self._identities[identity.id] = identity
        self._authorities = {id: TrustAnchors(items) for id, items in (authorities or {}).items()}
        self._anchors: dict[tuple[str, ...], TrustAnchors] = {}
        self._revocation = RevocationLists(crls)
        self._policy = SignaturePolicy() if signature_policy is None else signature_policy
        self._clock = clock
        self._check_key_usage = check_key_usage
        self._allow_common_name = allow_common_name

    def answer(self, call: ExitCall) -> Answer:
        """Return the answer to any phase; a refusal carries its alert and the exception that tells why."""
        try:
            return _ANSWERS[type(call)](self, call)
        except PeerError as error:
            return Failed(error.description, error)
        except LocalError as error:
            return Failed(AlertDescription.INTERNAL_ERROR, error)

    def _start_task(self, call: StartTaskCall) -> Answer:
        return NotHandled()

    def _nothing(self, call: ExitCall) -> Answer:
        return Handled()

    def _handshake_done(self, call: HandshakeDoneCall) -> Answer:
        return Handled(b"")

    def _get_ca_list(self, call: GetCAListCall) -> Answer:
        anchors = self._anchors_for(call.context.profile)
        names = tuple(dict.fromkeys(item.subject for item in anchors.certificates))
        if not names:
            raise LocalError("no authority is configured whose certificates the client could show")
        return Handled(CAList(tuple(CLIENT_CERTIFICATE_TYPES), names))

    def _get_certificate(self, call: GetCertificateCall) -> Answer:
        if call.context.role is Role.SERVER:
            return Handled(self._server_identity(call).chain)
        identity = self._client_identity(call)
        return Handled(() if identity is None else identity.chain)

    def _server_identity(self, call: GetCertificateCall) -> Identity:
        """Return the profile's identity, or the first that fits a candidate suite, one with the right name first."""
        context = call.context
        chosen = self._opened(context)
        if context.profile.user_certificate_id is not None:
            return chosen[0]
        name = context.server_name
        named = [item for item in chosen if name is not None and matches_server_name(item.leaf, name)]
        for group in (named, chosen):
            for value in call.candidate_suites:
                for identity in group:
                    if _fits(identity.leaf, SUITES[value].key_exchange):
                        return identity
        raise HandshakeFailure("no identity has a certificate for any of the cipher suites in common")

    def _client_identity(self, call: GetCertificateCall) -> Identity | None:
        """Return the first identity that the server's list admits (R2246-7.4.4-05, -08, R2246-7.4.6-02, -04)."""
        types = () if call.ca_list is None else call.ca_list.certificate_types
        accepted = {kind for value, kind in CLIENT_CERTIFICATE_TYPES.items() if value in types}
        names = {name_key(name) for name in call.authorities}
        for identity in self._opened(call.context):
            leaf = identity.leaf
            issuers = {name_key(item.issuer) for item in identity.certificates}
            known = not names or not names.isdisjoint(issuers)  # servers that accept any authority list none
            if known and leaf_key_type(leaf) in accepted and allows(leaf, KeyUse.SIGN):
                return identity
        return None

    def _check_certificate(self, call: CheckCertificateCall) -> Answer:
        """Check the peer's chain; a server that only asked goes on with a bad one, but does not trust it."""
        profile = call.context.profile
        try:
            check_chain(
                call.chain,
                self._anchors_for(profile),
                at=datetime.fromtimestamp(self._clock(), UTC),
                leaf=self._leaf_demands(call),
                policy=self._policy,
                depth=profile.depth,
                revocation=self._revocation,
            )
        except PeerError as error:
            if call.context.role is Role.SERVER and profile.verify is Verify.OPTIONAL:
                return Handled(Untrusted(str(error)))
            raise
        return Handled()

    def _leaf_demands(self, call: CheckCertificateCall) -> LeafDemands:
        context, profile = call.context, call.context.profile
        demands = LeafDemands(
            peer=context.role.peer,
            minimum_rsa_bits=profile.minimum_rsa_bits,
            dn_user=profile.dn_user,
            dn_issuer=profile.dn_issuer,
        )
        if context.role is Role.SERVER:
            # RFC 2246 has a client certificate sign; the static Diffie-Hellman types are never asked for.
            return replace(
                demands,
                key_types=frozenset(CLIENT_CERTIFICATE_TYPES.values()),
                key_use=KeyUse.SIGN if self._check_key_usage else None,
            )
        demands = replace(demands, server_name=profile.server_name, allow_common_name=self._allow_common_name)
        if context.cipher_suite is None or not call.chain:
            return demands
        exchange = SUITES[context.cipher_suite].key_exchange
        return replace(
            demands,
            key_types=None if exchange.certificate is None else frozenset({exchange.certificate}),
            key_use=key_use(exchange, parsed(call.chain[0])) if self._check_key_usage else None,
        )

    def _crypt_data(self, call: CryptDataCall) -> Answer:
        own = call.context.own_chain
        for identity in self._opened(call.context):
            if own and identity.chain[0] == own[0]:
                if identity.key is None:
                    raise LocalError(f"identity {identity.id} has no private key in the key store")
                return Handled(identity.key)
        raise LocalError("the key store has no private key for the certificate that was sent")

    def _opened(self, context: SessionContext) -> Sequence[Identity]:
        """Return the identities that the profile allows, decrypted with the task's password where need be."""
        id, password = context.profile.user_certificate_id, context.task.password
        if id is None:
            return [item.open(password) for item in self._identities.values()]
        if id not in self._identities:
            raise LocalError(f"the key store has no identity {id}")
        return [self._identities[id].open(password)]

    def _anchors_for(self, profile: Profile) -> TrustAnchors:
        """Return the authorities the profile names, or all; the joined index is kept."""
        ids = profile.root_ca_ids or tuple(self._authorities)
        anchors = self._anchors.get(ids)
        if anchors is None:
            unknown = next((id for id in ids if id not in self._authorities), None)
            if unknown is not None:
                raise LocalError(f"the key store has no authority {unknown}")
            anchors = TrustAnchors(item for id in ids for item in self._authorities[id].certificates)
            self._anchors[ids] = anchors
        return anchors


def key_use(exchange: KeyExchange, leaf: ParsedCertificate) -> KeyUse | None:
    """Return what the server's key does in a key exchange (R2246-7.4.2-03, -04); None if it does nothing."""
    if exchange is KeyExchange.RSA_EXPORT:
        key = leaf.public_key
        short = isinstance(key, RSAPublicKey) and key.key_size <= EXPORT_RSA_BITS
        return KeyUse.ENCIPHER if short else KeyUse.SIGN
    if exchange.signed:
        return KeyUse.SIGN
    return KeyUse.ENCIPHER if exchange.premaster in {Premaster.RSA, Premaster.RSA_PSK} else None


def _fits(leaf: ParsedCertificate, exchange: KeyExchange) -> bool:
    if exchange.certificate is None or leaf_key_type(leaf) is not exchange.certificate:
        return False
    use = key_use(exchange, leaf)
    return use is None or allows(leaf, use)


_ANSWERS: Final[dict[type[Any], Callable[[BuiltinPki, Any], Answer]]] = {
    StartTaskCall: BuiltinPki._start_task,
    StartHandshakeCall: BuiltinPki._nothing,
    GetCAListCall: BuiltinPki._get_ca_list,
    GetCertificateCall: BuiltinPki._get_certificate,
    CheckCertificateCall: BuiltinPki._check_certificate,
    CryptDataCall: BuiltinPki._crypt_data,
    HandshakeAlertCall: BuiltinPki._nothing,
    HandshakeDoneCall: BuiltinPki._handshake_done,
    EndSessionCall: BuiltinPki._nothing,
    EndTaskCall: BuiltinPki._nothing,
}
