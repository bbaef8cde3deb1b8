"""Certificates that are wrong in one point, as credentials for :func:`~tlsexit.conformance.actions.connect`."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.serialization import Encoding

from tlsexit.constants import Role
from tlsexit.crypto.keyops import PrivateKey
from tlsexit.crypto.suites import KeyType
from tlsexit.policy.throwaway import Issued, ThrowawayAuthority, generate_key, throwaway_authority
from tlsexit.puppet import Credential, Credentials

if TYPE_CHECKING:
    from tlsexit.conformance.talk import Talk

Shown = Callable[["Talk"], Credentials]
"""What the puppet shows in a conversation."""


@cache
def leaf_key(kind: KeyType) -> PrivateKey:
    """Return a key for end-entity certificates, the same at every call."""
    return generate_key(kind)


def authority(talk: Talk, kind: KeyType = KeyType.RSA) -> ThrowawayAuthority:
    """Return the authority that the target trusts, with its key; ends the conversation if there is none."""
    made = None if talk.terms.authority is None else talk.terms.authority.authorities.get(kind)
    if made is None:
        talk.inapplicable(f"there is no {kind.value} authority's key to issue certificates with")
    found: ThrowawayAuthority = made
    return found


def issue(talk: Talk, kind: KeyType = KeyType.RSA, *, issuer: KeyType | None = None, **fields: Any) -> Issued:
    """Return a certificate for the puppet's role that is right but for ``fields``, those of ``issue``."""
    role = talk.probe.tests.peer
    hosts = ("localhost", "127.0.0.1") if role is Role.SERVER else ()
    given = {"hosts": hosts, "role": role, "key": leaf_key(kind), **fields}
    return authority(talk, issuer or kind).issue(role.value, **given)


def issued(kind: KeyType = KeyType.RSA, *, issuer: KeyType | None = None, **fields: Any) -> Shown:
    """Show a certificate that :func:`issue` makes."""

    def shown(talk: Talk) -> Credentials:
        made = issue(talk, kind, issuer=issuer, **fields)
        return {kind: Credential(made.chain, made.key)}

    return shown


def chain(arrange: Callable[[Talk, Issued], tuple[bytes, ...]], kind: KeyType = KeyType.RSA) -> Shown:
    """Show a right certificate in a chain that ``arrange`` makes."""

    def shown(talk: Talk) -> Credentials:
        made = issue(talk, kind)
        return {kind: Credential(arrange(talk, made), made.key)}

    return shown


def der(made: Issued | ThrowawayAuthority) -> bytes:
    """The certificate itself."""
    return made.certificate.public_bytes(Encoding.DER)


@cache
def unrelated() -> ThrowawayAuthority:
    """Return an authority that has nothing to do with anything."""
    return throwaway_authority("unrelated authority", key=leaf_key(KeyType.RSA))
