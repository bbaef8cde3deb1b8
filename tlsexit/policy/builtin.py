"""The built-in PKI: what answers when an exit declines, or when StartTask has switched the exit off.

It holds the identities and authorities of this side and follows the session's profile. It keeps no state of its own
between two calls, so that one object serves any number of tasks and sessions.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final

from cryptography.x509 import CertificateRevocationList

from tlsexit.alerts import AlertDescription, HandshakeFailure, LocalError, PeerError, UnknownPskIdentity
from tlsexit.constants import Role
from tlsexit.crypto.suites import SUITES, KeyType
from tlsexit.exits.answers import Answer, Failed, Handled, NotHandled
from tlsexit.exits.application import Identifiers
from tlsexit.exits.calls import (
    CheckCertificateCall,
    Credentials,
    CryptDataCall,
    EndSessionCall,
    EndTaskCall,
    ExitCall,
    GetCAListCall,
    GetCertificateCall,
    GetPreSharedKeyCall,
    HandshakeAlertCall,
    HandshakeDoneCall,
    PreSharedKey,
    StartHandshakeCall,
    StartTaskCall,
    Untrusted,
)
from tlsexit.exits.context import SessionContext
from tlsexit.exits.forms import CAList
from tlsexit.policy.certificates import CertificateLike, TrustAnchors, parsed
from tlsexit.policy.choice import CLIENT_CERTIFICATE_TYPES, client_identity, key_use, server_credentials
from tlsexit.policy.identify import authority_id
from tlsexit.policy.ocsp import check_stapled_response
from tlsexit.policy.responses import StoredResponses
from tlsexit.policy.revocation import RevocationList, RevocationLists
from tlsexit.policy.signatures import SignaturePolicy
from tlsexit.policy.store import Identity, IdentityFile
from tlsexit.policy.x509 import KeyUse, LeafDemands, check_chain
from tlsexit.profile import Profile, Verify
from tlsexit.values import evolve


class BuiltinPki:
    """Answers every phase from a key store and a profile.

    ``identities`` are what this side can show, in order of preference; ``authorities`` the certificates of the
    accepted authorities by the id that ``Profile.root_ca_ids`` names. An authority need not be self-signed.
    ``signature_policy`` judges the signatures in a path and the size of the authorities' keys; the size of an RSA key
    in the peer's own certificate is the profile's ``minimum_rsa_bits``. ``clock`` gives seconds since the epoch.

    ``pre_shared_keys`` are the keys of PSK suites by identity; a client uses the first whose identity is the server's
    hint, or else the first of all (RFC 4279 §5.2). An identity without a key is answered with unknown_psk_identity, so
    that anyone may find out which ones there are. With ``hide_psk_identities`` the handshake goes on with a random key
    and fails as with a wrong one, in bad_record_mac; RFC 4279 §2 allows either.

    ``ocsp_responses``, in DER, tell which of the peers' certificates are revoked; those about own ones are stapled.

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
        pre_shared_keys: Mapping[bytes, bytes] | None = None,
        hide_psk_identities: bool = False,
        ocsp_responses: Iterable[bytes] = (),
        check_key_usage: bool = True,
        allow_common_name: bool = False,
    ) -> None:
        self._pre_shared_keys = dict(pre_shared_keys or {})
        self._hide_psk_identities = hide_psk_identities
        self._identities: dict[str, Identity | IdentityFile] = {}
        for identity in identities:
            if identity.id in self._identities:
                raise LocalError(f"two identities have the id {identity.id}")
            self._identities[identity.id] = identity
        self._authorities = {id: TrustAnchors(items) for id, items in (authorities or {}).items()}
        self._anchors: dict[tuple[str, ...], TrustAnchors] = {}
        self._fingerprint: bytes | None = None
        self._revocation = RevocationLists(crls)
        self._responses = StoredResponses(ocsp_responses)
        self._policy = SignaturePolicy() if signature_policy is None else signature_policy
        self._clock = clock
        self._check_key_usage = check_key_usage
        self._allow_common_name = allow_common_name

    @property
    def fingerprint(self) -> bytes:
        """A digest of whom it trusts, revocations included: sessions are not resumed across two that differ."""
        if self._fingerprint is None:
            digest = sha256()
            for id in sorted(self._authorities):
                digest.update(id.encode() + b"\0")
                for item in sorted(item.der for item in self._authorities[id].certificates):
                    digest.update(sha256(item).digest())
            for item in sorted((*self._revocation.fingerprints, *self._responses.fingerprints)):
                digest.update(item)
            self._fingerprint = digest.digest()
        return self._fingerprint

    def identify(self, context: SessionContext) -> Identifiers:
        """Return the ids of the authority behind a trusted peer's certificate, and of the own certificate.

        An id is empty if the key store does not have the certificate in question.
        """
        found: Identifiers = {"peer_ca_id": "", "user_certificate_id": self._own_id(context)}
        if context.peer_trusted and context.peer_chain:
            ids = context.profile.root_ca_ids or tuple(self._authorities)
            found["peer_ca_id"] = authority_id(context.peer_chain, self._authorities, ids)
        return found

    def _own_id(self, context: SessionContext) -> str:
        if not context.own_chain:
            return ""
        if context.profile.user_certificate_id is not None:
            return context.profile.user_certificate_id
        for item in self._identities.values():
            # what a file holds is known if it has been opened, as that of the certificate in use has
            with suppress(LocalError):
                if item.open(context.task.password).chain[0] == context.own_chain[0]:
                    return item.id
        return ""

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
        profile, identities = call.context.profile, self._opened(call.context)
        if call.context.role is Role.CLIENT:
            identity = client_identity(call, identities)
            return Handled(() if identity is None else identity.chain)
        authorities = TrustAnchors() if call.trusted_authorities is None else self._anchors_for(profile)
        try:
            credentials = server_credentials(call, identities, authorities)
        except HandshakeFailure:
            if profile.user_certificate_id is None:
                raise
            credentials = Credentials(identities[0].chain)  # what the profile names is shown, fit or not
        anchors, at = self._all_anchors, datetime.fromtimestamp(self._clock(), UTC)
        response = self._responses.to_staple(credentials.chain, anchors, at=at, policy=self._policy)
        return Handled(evolve(credentials, ocsp_response=response))

    def _check_certificate(self, call: CheckCertificateCall) -> Answer:
        """Check the peer's chain; a server that only asked goes on with a bad one, but does not trust it."""
        profile, at = call.context.profile, datetime.fromtimestamp(self._clock(), UTC)
        try:
            path = check_chain(
                call.chain,
                self._anchors_for(profile),
                at=at,
                leaf=self._leaf_demands(call),
                policy=self._policy,
                depth=profile.depth,
                revocation=self._revocation,
            )
            self._responses.check_path(path, at=at, policy=self._policy)
            if call.ocsp_response is not None:
                check_stapled_response(call.ocsp_response, path, at=at, policy=self._policy)
        except PeerError as error:
            if call.context.role is Role.SERVER and profile.verify is Verify.OPTIONAL:
                return Handled(Untrusted(str(error)))
            raise
        return Handled()

    def _leaf_demands(self, call: CheckCertificateCall) -> LeafDemands:
        context, profile = call.context, call.context.profile
        checks_server = context.role is Role.CLIENT
        types: frozenset[KeyType] | None = None
        use: KeyUse | None = None
        if not checks_server:
            # RFC 2246 has a client certificate sign; the static Diffie-Hellman types are never asked for.
            types, use = frozenset(CLIENT_CERTIFICATE_TYPES.values()), KeyUse.SIGN
        elif context.cipher_suite is not None and call.chain:
            exchange = SUITES[context.cipher_suite].key_exchange
            types = None if exchange.certificate is None else frozenset({exchange.certificate})
            use = key_use(exchange, parsed(call.chain[0]))
        return LeafDemands(
            peer=context.role.peer,
            key_types=types,
            key_use=use if self._check_key_usage else None,
            minimum_rsa_bits=profile.minimum_rsa_bits,
            server_name=profile.server_name if checks_server else None,
            allow_common_name=checks_server and self._allow_common_name,
            dn_user=profile.dn_user,
            dn_issuer=profile.dn_issuer,
        )

    def _get_pre_shared_key(self, call: GetPreSharedKeyCall) -> Answer:
        """Return the key with the client's identity; a client's own choice follows the hint where it can."""
        keys = self._pre_shared_keys
        if call.identity is not None:
            # drawn whether it is needed or not: a known identity takes as long as an unknown one
            substitute = os.urandom(32)
            key = keys.get(call.identity, substitute if self._hide_psk_identities else None)
            if key is None:
                raise UnknownPskIdentity("the client's PSK identity is not known")
            return Handled(PreSharedKey(call.identity, key))
        if not keys:
            raise LocalError("no pre-shared key is configured")
        identity = call.hint if call.hint in keys else next(iter(keys))
        return Handled(PreSharedKey(identity, keys[identity]))

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

    @property
    def _all_anchors(self) -> TrustAnchors:
        return self._joined(tuple(self._authorities))

    def _anchors_for(self, profile: Profile) -> TrustAnchors:
        """Return the authorities the profile names, or all."""
        return self._joined(profile.root_ca_ids or tuple(self._authorities))

    def _joined(self, ids: tuple[str, ...]) -> TrustAnchors:
        """Return the authorities of these ids; the joined index is kept."""
        anchors = self._anchors.get(ids)
        if anchors is None:
            unknown = next((id for id in ids if id not in self._authorities), None)
            if unknown is not None:
                raise LocalError(f"the key store has no authority {unknown}")
            anchors = TrustAnchors(item for id in ids for item in self._authorities[id].certificates)
            self._anchors[ids] = anchors
        return anchors


_ANSWERS: Final[dict[type[Any], Callable[[BuiltinPki, Any], Answer]]] = {
    StartTaskCall: BuiltinPki._start_task,
    StartHandshakeCall: BuiltinPki._nothing,
    GetCAListCall: BuiltinPki._get_ca_list,
    GetCertificateCall: BuiltinPki._get_certificate,
    CheckCertificateCall: BuiltinPki._check_certificate,
    CryptDataCall: BuiltinPki._crypt_data,
    GetPreSharedKeyCall: BuiltinPki._get_pre_shared_key,
    HandshakeAlertCall: BuiltinPki._nothing,
    HandshakeDoneCall: BuiltinPki._handshake_done,
    EndSessionCall: BuiltinPki._nothing,
    EndTaskCall: BuiltinPki._nothing,
}
