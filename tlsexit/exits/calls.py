"""One frozen dataclass a phase: the question put to an exit, and the check of its answer.

``call.validate(value)`` turns what a :class:`~tlsexit.exits.answers.Handled` carries, wire bytes or Python objects,
into the one canonical form the machine uses, or raises :class:`~tlsexit.alerts.LocalError`, which ends the handshake
with internal_error: an exit's mistake is never the peer's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, ClassVar, Final

from cryptography import x509

from tlsexit.alerts import AlertLevel, LocalError, PeerError
from tlsexit.constants import Role
from tlsexit.crypto.keyops import PrivateKey, PublicKey, decrypt, key_type, sign, verify
from tlsexit.crypto.suites import SUITES, KeyType
from tlsexit.exits.context import MAX_PRIVATE_AREA_SIZE, SessionContext, TaskContext, padded_global_area
from tlsexit.exits.forms import (
    SIGNING_CERTIFICATE_TYPES,
    CAList,
    ca_list_bytes,
    ca_list_from,
    certificate_key,
    chain_bytes,
    chain_from,
    load_certificate,
)
from tlsexit.exits.phases import ExitPhase
from tlsexit.profile import Profile, Verify
from tlsexit.values import quicken

MAX_SCT_BYTES: Final = 2**15
"""What the SCTs of a ServerHello may take up: half of its extensions, which share 2^16-1 bytes."""


class CryptOperation(Enum):
    """What CryptData asks of the private key."""

    SIGN = "sign"
    DECRYPT = "decrypt"


@dataclass(frozen=True, slots=True)
class StartTaskResult:
    """What an exit may return from StartTask: its task reference, bytes of private area per session, password."""

    reference: Any = None
    private_area_size: int = 0
    password: bytes | str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class StartHandshakeResult:
    """What an exit may return from StartHandshake: its session reference and the profile elements it changes."""

    reference: Any = None
    changes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Credentials:
    """A chain and what goes with it, for GetCertificate: an answer richer than the chain alone.

    ``chain`` is wire bytes or certificates, leaf first. A server may name the candidate ``cipher_suite`` that this
    chain is meant for, and staple a DER ``ocsp_response`` (RFC 6066 §8) and SCTs (RFC 6962 §3.3), which are sent if
    the client asked. ``used_trusted_ca_keys`` tells the client that its list decided the choice (RFC 6066 §6).
    """

    chain: Any
    cipher_suite: int | None = None
    ocsp_response: bytes | None = None
    sct_list: tuple[bytes, ...] = ()
    used_trusted_ca_keys: bool = False


@dataclass(frozen=True, slots=True)
class Untrusted:
    """CheckCertificate's "go on, but do not call it authenticated", for a server that only asks (``optional``)."""

    reason: str


@dataclass(frozen=True, slots=True)
class StartTaskCall:
    """A task has been created. ``Handled(StartTaskResult(...))`` switches the exit on, ``NotHandled()`` off."""

    task: TaskContext
    phase: ClassVar = ExitPhase.START_TASK

    def validate(self, value: object) -> StartTaskResult:
        if value is None:
            return StartTaskResult()
        if not isinstance(value, StartTaskResult):
            raise LocalError(f"StartTask answers with StartTaskResult, not {type(value).__name__}")
        size = value.private_area_size
        if type(size) is not int or not 0 <= size <= MAX_PRIVATE_AREA_SIZE:
            raise LocalError(f"a private area has 0 to {MAX_PRIVATE_AREA_SIZE} bytes")
        if value.password is not None and not isinstance(value.password, (bytes, str)):
            raise LocalError("the key store's password is bytes or str")
        return value


@dataclass(frozen=True, slots=True)
class StartHandshakeCall:
    """A session opens, before any byte of it. ``Handled(StartHandshakeResult(...))`` or ``Handled()``."""

    context: SessionContext
    phase: ClassVar = ExitPhase.START_HANDSHAKE

    def validate(self, value: object) -> tuple[Any, Profile]:
        """Return the exit's session reference and the profile to use."""
        if value is None:
            value = StartHandshakeResult()
        if not isinstance(value, StartHandshakeResult):
            raise LocalError(f"StartHandshake answers with StartHandshakeResult, not {type(value).__name__}")
        if not isinstance(value.changes, Mapping):
            raise LocalError("the changes of StartHandshake are a mapping of profile elements")
        try:
            return value.reference, self.context.profile.changed(value.changes)
        except (TypeError, AttributeError) as error:
            raise LocalError("a changed profile element has a value of the wrong type") from error


@dataclass(frozen=True, slots=True)
class GetCAListCall:
    """A server builds its CertificateRequest. ``Handled`` carries wire bytes or (types, names)."""

    context: SessionContext
    phase: ClassVar = ExitPhase.GET_CA_LIST

    def validate(self, value: object) -> CAList:
        return ca_list_from(value)


@dataclass(frozen=True, slots=True)
class GetCertificateCall:
    """The own chain is needed. ``Handled`` carries it in wire bytes, as certificates, or in :class:`Credentials`.

    ``candidate_suites`` (server) are the suites both sides have, in the order of choice: the first that fits the
    leaf's key is taken. ``groups`` are the curves that an ECDSA certificate may use, empty for any; and
    ``trusted_authorities`` the (type, identifier) pairs of trusted_ca_keys, None if the client sent none. ``ca_list``
    (client) is what the server asked for; a client without a fitting certificate answers with an empty chain, which
    is sent as such.
    """

    context: SessionContext
    candidate_suites: tuple[int, ...] = ()
    groups: tuple[int, ...] = ()
    trusted_authorities: tuple[tuple[int, bytes], ...] | None = None
    ca_list: CAList | None = field(default=None, repr=False)
    phase: ClassVar = ExitPhase.GET_CERTIFICATE

    @property
    def without_certificate(self) -> bool:
        """Whether a candidate suite needs no certificate, so that an empty chain is an answer: "take that one"."""
        return any(SUITES[value].key_exchange.certificate is None for value in self.candidate_suites)

    @property
    def ca_list_bytes(self) -> bytes | None:
        """The CA list as the server sent it, in the form of GetCAList; None for a server."""
        return None if self.ca_list is None else ca_list_bytes(self.ca_list)

    @property
    def authorities(self) -> tuple[bytes, ...]:
        """The DER names in the CA list."""
        return () if self.ca_list is None else self.ca_list.certificate_authorities

    def validate(self, value: object) -> Credentials:
        credentials = value if isinstance(value, Credentials) else Credentials(value)
        chain = chain_from(credentials.chain)
        if not chain and self.context.role is Role.SERVER and not self.without_certificate:
            raise LocalError("a server's chain holds at least its own certificate")
        if credentials.cipher_suite is not None and credentials.cipher_suite not in self.candidate_suites:
            raise LocalError(f"suite {credentials.cipher_suite:#06x} is not among the candidates")
        if chain:
            self._check_leaf(chain[0])
        _check_companions(credentials)
        # of our own class, whatever an exit has made of it
        return Credentials(
            chain,
            credentials.cipher_suite,
            credentials.ocsp_response,
            credentials.sct_list,
            credentials.used_trusted_ca_keys,
        )

    def _check_leaf(self, der: bytes) -> None:
        """Refuse a certificate that this handshake cannot use: the peer would be told that it is wrong."""
        try:
            key = certificate_key(der)
        except Exception as error:  # cryptography's own list: ValueError, UnsupportedAlgorithm, InvalidVersion, ...
            raise LocalError("the leaf of the chain is not a usable certificate") from error
        kind = key_type(key)
        if self.ca_list is not None and SIGNING_CERTIFICATE_TYPES[kind] not in self.ca_list.certificate_types:
            # §7.4.4: the "types of certificates requested"
            raise LocalError(f"the server did not ask for a certificate for {kind.value}")


def _check_companions(credentials: Credentials) -> None:
    """Refuse what CertificateStatus and the extension for SCTs have no room for, asked for or not."""
    response: Any = credentials.ocsp_response
    sct_list: Any = credentials.sct_list
    if response is not None and not (isinstance(response, bytes) and 1 <= len(response) < 2**24 - 4):
        raise LocalError("an OCSP response is DER, of less than 2^24 bytes")
    if not (isinstance(sct_list, tuple) and all(isinstance(sct, bytes) and sct for sct in sct_list)):
        raise LocalError("SCTs are a tuple of bytes, none of them empty")
    if sum(2 + len(sct) for sct in sct_list) > MAX_SCT_BYTES:
        raise LocalError(f"SCTs have {MAX_SCT_BYTES} bytes at most, each with two more for its length")


@dataclass(frozen=True, slots=True)
class CheckCertificateCall:
    """The peer's chain arrived. ``Handled()`` accepts it; ``Failed(alert_reason)`` refuses it.

    A client that asked for them also sees the server's stapled DER ``ocsp_response`` and its SCTs.
    """

    context: SessionContext
    chain: tuple[bytes, ...] = field(repr=False)
    ocsp_response: bytes | None = field(default=None, repr=False)
    sct_list: tuple[bytes, ...] = ()
    phase: ClassVar = ExitPhase.CHECK_CERTIFICATE

    @property
    def chain_bytes(self) -> bytes:
        """The chain in the wire form of the Certificate body."""
        return chain_bytes(self.chain)

    @property
    def certificates(self) -> tuple[x509.Certificate, ...]:
        """The chain as objects, leaf first; ``BadCertificate`` if one does not parse."""
        return tuple(load_certificate(der) for der in self.chain)

    def validate(self, value: object) -> Untrusted | None:
        if value is None:
            return None
        if isinstance(value, Untrusted):
            if self.context.profile.verify is not Verify.OPTIONAL:
                raise LocalError("Untrusted is an answer for verify=optional only")
            return value
        raise LocalError(f"CheckCertificate answers Handled() or Handled(Untrusted(...)), not {type(value).__name__}")


@dataclass(frozen=True, slots=True)
class CryptDataCall:
    """A private-key operation. ``Handled`` carries the result bytes, or the private key and tlsexit does it.

    ``data`` is the exact input: for an RSA signature the 36 bytes MD5 || SHA-1, to be padded as PKCS #1 type 1
    without DigestInfo; for DSA and ECDSA the 20 bytes SHA-1, the result being DER; for decryption the ciphertext.
    """

    context: SessionContext
    operation: CryptOperation
    algorithm: KeyType
    data: bytes = field(repr=False)
    phase: ClassVar = ExitPhase.CRYPT_DATA

    def validate(self, value: object) -> bytes:
        if isinstance(value, (bytes, bytearray, memoryview)):
            result = bytes(value)
            if self.operation is CryptOperation.SIGN:
                self._check_signature(result)
            return result
        if not isinstance(value, PrivateKey):
            raise LocalError(f"CryptData answers with bytes or a private key, not {type(value).__name__}")
        if key_type(value) is not self.algorithm:
            raise LocalError(f"CryptData needs a key for {self.algorithm.value}")
        if self.context.own_chain and value.public_key() != certificate_key(self.context.own_chain[0]):
            raise LocalError("the private key does not belong to the certificate that was sent")
        return sign(value, self.data) if self.operation is CryptOperation.SIGN else decrypt(value, self.data)

    def _check_signature(self, signature: bytes) -> None:
        """Refuse what the peer would refuse, with the reason that only this side can tell.

        Besides, one wrong RSA signature made with the Chinese remainder theorem gives the key away (Lenstra 1996).
        """
        if not 1 <= len(signature) < 2**16:
            raise LocalError("a signature has 1 to 65535 bytes")
        if self.context.own_chain:
            key = certificate_key(self.context.own_chain[0])
            assert isinstance(key, PublicKey)  # GetCertificate takes no other
            try:
                verify(key, signature, self.data)
            except PeerError as error:
                raise LocalError("the signature does not verify with the certificate that was sent") from error


@dataclass(frozen=True, slots=True)
class PreSharedKey:
    """A key both sides know (RFC 4279): its identity, and 1 to 65 535 bytes."""

    identity: bytes
    key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class GetPreSharedKeyCall:
    """A PSK suite needs its key: a question beside the ten phases. ``Handled`` carries a :class:`PreSharedKey`.

    A client chooses one, perhaps by the server's ``hint``; a server looks up the ``identity`` that the client sent.
    ``Failed(115)``, unknown_psk_identity, is recognised here besides the usual reasons.
    """

    context: SessionContext
    hint: bytes = b""
    identity: bytes | None = None
    phase: ClassVar = ExitPhase.GET_PRE_SHARED_KEY

    def validate(self, value: object) -> PreSharedKey:
        if not isinstance(value, PreSharedKey):
            raise LocalError(f"GetPreSharedKey answers with PreSharedKey, not {type(value).__name__}")
        parts: tuple[Any, ...] = (value.key, value.identity)
        if not all(isinstance(part, bytes) for part in parts):
            raise LocalError("a pre-shared key and its identity are bytes")
        if not 1 <= len(value.key) < 2**16 or len(value.identity) >= 2**16:
            raise LocalError("a pre-shared key has 1 to 65535 bytes, its identity at most 65535")
        return value


@dataclass(frozen=True, slots=True)
class HandshakeAlertCall:
    """The handshake failed. The session's context is destroyed afterwards; nothing more is asked for it."""

    context: SessionContext
    level: AlertLevel
    description: int
    remote: bool
    phase: ClassVar = ExitPhase.HANDSHAKE_ALERT

    def validate(self, value: object) -> None:
        return None


@dataclass(frozen=True, slots=True)
class HandshakeDoneCall:
    """Both Finished messages are verified. ``Handled`` may carry up to 64 bytes of global area."""

    context: SessionContext
    phase: ClassVar = ExitPhase.HANDSHAKE_DONE

    def validate(self, value: object) -> bytes:
        return padded_global_area(value)


@dataclass(frozen=True, slots=True)
class EndSessionCall:
    """An established session is released."""

    context: SessionContext
    phase: ClassVar = ExitPhase.END_SESSION

    def validate(self, value: object) -> None:
        return None


@dataclass(frozen=True, slots=True)
class EndTaskCall:
    """A task ends."""

    task: TaskContext
    phase: ClassVar = ExitPhase.END_TASK

    def validate(self, value: object) -> None:
        return None


ExitCall = (
    StartTaskCall
    | StartHandshakeCall
    | GetCAListCall
    | GetCertificateCall
    | CheckCertificateCall
    | CryptDataCall
    | GetPreSharedKeyCall
    | HandshakeAlertCall
    | HandshakeDoneCall
    | EndSessionCall
    | EndTaskCall
)

quicken(__name__)
