"""A public key infrastructure for tests: made once a run, valid from 2000 to 2049, keys reused where they may be.

``pki(KeyType.RSA)`` gives a root, an intermediate and leaves for both roles, of one kind of key; ``faulty`` has one
spoilt certificate for each thing that can be wrong with one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache

from tlsexit.constants import Role
from tlsexit.crypto.keyops import PrivateKey
from tlsexit.crypto.suites import KeyType
from tlsexit.policy import BuiltinPki, TrustAnchors
from tlsexit.policy.throwaway import Issued, ThrowawayAuthority, generate_key, key_usage, throwaway_authority

START = datetime(2000, 1, 1, tzinfo=UTC)
END = datetime(2049, 12, 31, 23, 59, 59, tzinfo=UTC)
NOW = datetime(2025, 6, 1, 12, tzinfo=UTC)
"""The time of the checks in tests."""

HOSTS = ("localhost", "server.example", "127.0.0.1")
"""What the server leaves are certified for."""


@cache
def leaf_key(kind: KeyType) -> PrivateKey:
    """The key that all leaves of a kind share, to save time."""
    return generate_key(kind)


def authority_key(kind: KeyType, number: int = 0) -> PrivateKey:
    """A key for authorities; different numbers give different keys."""
    return _authority_key(kind, number)


@cache
def _authority_key(kind: KeyType, number: int) -> PrivateKey:
    return generate_key(kind)


@dataclass(frozen=True)
class Pki:
    """Certificates of one kind of key. ``server`` and ``client`` are issued by the root, the others below it."""

    kind: KeyType
    root: ThrowawayAuthority
    intermediate: ThrowawayAuthority
    server: Issued
    client: Issued
    intermediate_server: Issued
    intermediate_client: Issued
    anchors: TrustAnchors = field(repr=False)

    def builtin(self, role: Role, *, intermediate: bool = False) -> BuiltinPki:
        """The built-in PKI of one side: its own identity ``own``, and the root as authority ``root``."""
        if role is Role.SERVER:
            own = self.intermediate_server if intermediate else self.server
        else:
            own = self.intermediate_client if intermediate else self.client
        return BuiltinPki([own.identity("own")], {"root": [self.root.certificate]}, clock=NOW.timestamp)


def root_authority(name: str, kind: KeyType = KeyType.RSA, number: int = 0) -> ThrowawayAuthority:
    """A root over the whole period."""
    return throwaway_authority(name, key=authority_key(kind, number), not_before=START, not_after=END)


def intermediate_authority(
    above: ThrowawayAuthority, name: str, *, number: int = 1, path_length: int | None = None
) -> ThrowawayAuthority:
    """An RSA authority under another one."""
    return above.authority(
        name,
        key=authority_key(KeyType.RSA, number),
        path_length=path_length,
        not_before=START,
        not_after=END,
    )


def server_leaf(above: ThrowawayAuthority, kind: KeyType = KeyType.RSA) -> Issued:
    """A good server certificate."""
    return above.issue("localhost", key=leaf_key(kind), hosts=HOSTS, not_before=START, not_after=END)


def client_leaf(above: ThrowawayAuthority, kind: KeyType = KeyType.RSA) -> Issued:
    """A good client certificate, ``O=Example, CN=client``."""
    return above.issue(
        "client",
        organization="Example",
        key=leaf_key(kind),
        role=Role.CLIENT,
        usage=key_usage("digital_signature"),
        not_before=START,
        not_after=END,
    )


def pki(kind: KeyType = KeyType.RSA) -> Pki:
    """The certificates of one kind of key, authorities included; the same ones at every call."""
    return _pki(kind)


@cache
def _pki(kind: KeyType) -> Pki:
    root = root_authority(f"{kind.value} root", kind)
    intermediate = root.authority(
        f"{kind.value} intermediate", key=authority_key(kind, 1), not_before=START, not_after=END
    )
    return Pki(
        kind,
        root,
        intermediate,
        server_leaf(root, kind),
        client_leaf(root, kind),
        server_leaf(intermediate, kind),
        client_leaf(intermediate, kind),
        TrustAnchors([root.certificate]),
    )


class Faulty:
    """Server chains under the RSA root, each with one fault that its name tells."""

    def __init__(self) -> None:
        self.root = pki().root
        self._key = leaf_key(KeyType.RSA)

    @property
    def expired(self) -> Issued:
        """Valid until the end of 2010."""
        return self.root.issue(
            hosts=HOSTS, key=self._key, not_before=START, not_after=datetime(2010, 12, 31, tzinfo=UTC)
        )

    @property
    def not_yet_valid(self) -> Issued:
        """Valid from 2040."""
        return self.root.issue(hosts=HOSTS, key=self._key, not_before=datetime(2040, 1, 1, tzinfo=UTC), not_after=END)

    @property
    def wrong_purpose(self) -> Issued:
        """Certified for a client."""
        return self.root.issue(hosts=HOSTS, key=self._key, role=Role.CLIENT, not_before=START, not_after=END)

    @property
    def encipher_only(self) -> Issued:
        """keyUsage without digitalSignature."""
        return self._with_usage("key_encipherment")

    @property
    def sign_only(self) -> Issued:
        """keyUsage without keyEncipherment."""
        return self._with_usage("digital_signature")

    def _with_usage(self, *bits: str) -> Issued:
        return self.root.issue(hosts=HOSTS, key=self._key, usage=key_usage(*bits), not_before=START, not_after=END)

    @property
    def issued_by_a_leaf(self) -> Issued:
        """Issued by an end-entity certificate."""
        leaf = pki().server
        return server_leaf(ThrowawayAuthority(leaf.certificate, leaf.key))

    @property
    def issuer_without_cert_sign(self) -> Issued:
        """Issued by a CA whose keyUsage lacks keyCertSign."""
        authority = self.root.authority(
            "no certificates",
            key=authority_key(KeyType.RSA, 1),
            usage=key_usage("crl_sign"),
            not_before=START,
            not_after=END,
        )
        return server_leaf(authority)

    @property
    def path_too_long(self) -> Issued:
        """An intermediate under one whose path length is 0."""
        upper = intermediate_authority(self.root, "last but one", number=2, path_length=0)
        return server_leaf(intermediate_authority(upper, "one too many", number=3))

    @property
    def forged(self) -> Issued:
        """Names the root as issuer, signed with another key."""
        return server_leaf(root_authority("RSA root", number=9))

    @property
    def unknown_authority(self) -> Issued:
        """Issued by a root that nobody knows."""
        return server_leaf(root_authority("unknown root", number=9))

    def signed_with(self, hash_name: str, kind: KeyType = KeyType.RSA) -> Issued:
        """A good certificate but for the hash it is signed with."""
        return pki(kind).root.issue(
            hosts=HOSTS, key=leaf_key(kind), not_before=START, not_after=END, hash_name=hash_name
        )


@cache
def faulty() -> Faulty:
    """The spoilt certificates."""
    return Faulty()
