"""§7.2.2: the alerts about certificates."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from cryptography.x509 import ObjectIdentifier, UnrecognizedExtension

from tlsexit.conformance.actions import Do, Send, before, connect, expect, handshake, onwards, refused
from tlsexit.conformance.certificates import Shown, authority, chain, der, issue, issued, leaf_key, unrelated
from tlsexit.conformance.expect import Alternative, alert, completed, refusal
from tlsexit.conformance.model import Group, Probe
from tlsexit.conformance.needs import ASKS, AUTHORITY, REQUIRED
from tlsexit.conformance.talk import Talk
from tlsexit.crypto.suites import KeyType
from tlsexit.handshake.enums import ClientCertificateType
from tlsexit.puppet import Credential, Credentials
from tlsexit.puppet.steps import certificate_message

section = Group("7.2.2")

_UNKNOWN: Final = UnrecognizedExtension(ObjectIdentifier("1.3.6.1.4.1.99999.1"), b"\x05\x00")

_TYPES: Final = {
    KeyType.RSA: ClientCertificateType.RSA_SIGN,
    KeyType.DSA: ClientCertificateType.DSS_SIGN,
    KeyType.EC: ClientCertificateType.ECDSA_SIGN,
}


def _moment(days: int) -> datetime:
    return datetime.now(UTC) + timedelta(days=days)


def valid(start: int, end: int) -> Shown:
    """A certificate valid between two days, counted from today."""

    def shown(talk: Talk) -> Credentials:
        return issued(not_before=_moment(start), not_after=_moment(end))(talk)

    return shown


def from_a_stranger(talk: Talk) -> Credentials:
    """A right certificate of an authority that nobody trusts."""
    role = talk.probe.tests.peer
    made = unrelated().issue(role.value, key=leaf_key(KeyType.RSA), role=role, hosts=("localhost", "127.0.0.1"))
    return {KeyType.RSA: Credential((*made.chain, der(unrelated())), made.key)}


def self_signed(talk: Talk) -> Credentials:
    """A certificate that vouches for itself."""
    return {KeyType.RSA: Credential((der(unrelated()),), unrelated().key)}


def without_intermediate(talk: Talk) -> Credentials:
    """A leaf whose issuer is not in the chain."""
    middle = authority(talk).authority("intermediate", key=leaf_key(KeyType.RSA))
    made = middle.issue("localhost", key=leaf_key(KeyType.RSA), role=talk.probe.tests.peer, hosts=("localhost",))
    return {KeyType.RSA: Credential((der(made),), made.key)}


def of_a_type_not_asked_for(talk: Talk) -> None:
    """Show a certificate of a kind that the server's list does not have."""
    request = talk.puppet.request
    assert request is not None
    kind = next((kind for kind, number in _TYPES.items() if number not in request.certificate_types), None)
    if kind is None:
        talk.inapplicable("the server takes certificates of every type")
    made = issue(talk, kind)
    talk.puppet.credentials = {kind: Credential(made.chain, made.key)}


def _wrong() -> Iterator[Probe]:
    """Certificates that nobody accepts, to both roles."""
    cases: tuple[tuple[str, str, str, Shown, tuple[Alternative, ...]], ...] = (
        (
            "bad-signature",
            "a certificate whose signature is wrong in one bit",
            "R2246-7.2.2-09",
            chain(lambda talk, leaf: (der(leaf)[:-1] + bytes([der(leaf)[-1] ^ 1]),)),
            (),
        ),
        ("expired", "a certificate that has expired", "R2246-7.2.2-12", valid(-20, -10), ()),
        (
            "not-yet-valid",
            "a certificate that is not valid yet",
            "R2246-7.2.2-12",
            valid(10, 20),
            (alert(46).noted("certificate_unknown"),),
        ),
        (
            "critical-extension",
            "a certificate with a critical extension that nobody knows",
            "R2246-7.2.2-13",
            issued(extensions=((_UNKNOWN, True),)),
            (alert(43, 47, 48).noted("another certificate alert"),),
        ),
        ("stranger", "a certificate of an unknown authority", "R2246-7.2.2-15", from_a_stranger, ()),
        ("self-signed", "a certificate that vouches for itself", "R2246-7.2.2-15", self_signed, (alert(43),)),
        ("no-intermediate", "a chain without its intermediate", "R2246-7.2.2-15", without_intermediate, ()),
    )
    for name, title, requirement, shown, more in cases:
        fields: dict[str, Any] = {
            "connect": connect(credentials=shown),
            "conversation": (handshake(), expect(refusal(), *more)),
        }
        yield section.server(name, f"{title} is refused", requirement, needs=(AUTHORITY, REQUIRED), **fields)
        yield section.client(name, f"{title} is refused", requirement, needs=(AUTHORITY,), **fields)


PROBES: Final = (
    *_wrong(),
    section.server(
        "unsupported-certificate",
        "a client's certificate of a type that was not asked for is refused",
        "R2246-7.2.2-10",
        needs=(AUTHORITY, ASKS),
        conversation=(
            before("certificate"),
            Do(of_a_type_not_asked_for),
            Send(certificate_message),
            onwards("client_key_exchange"),
            refused(),
        ),
    ),
    section.client(
        "another-host",
        "a server's certificate for another host",
        "R2246-7.2.2-13",
        level="SHOULD",
        needs=(AUTHORITY,),
        connect=connect(credentials=issued(hosts=("elsewhere.example",))),
        conversation=(handshake(), expect(refusal(), completed().noted("the application may look at the name itself"))),
    ),
)
