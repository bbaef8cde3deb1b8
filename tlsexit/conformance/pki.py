"""The certificates of a run: an authority for each kind of key, and what it has issued for both roles.

A target is told to trust ``ca.pem`` and given a certificate of the folder; the probes show the others. As the keys of
the authorities are there too, probes can issue certificates that are wrong in one point only. Nothing in the folder is
good for anything else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tlsexit.alerts import LocalError
from tlsexit.constants import Role
from tlsexit.crypto.keyops import PrivateKey
from tlsexit.crypto.suites import KeyType
from tlsexit.policy import load_identity
from tlsexit.policy.throwaway import Issued, ThrowawayAuthority, key_usage, throwaway_authority
from tlsexit.puppet import Credential, Credentials

HOSTS: Final = ("localhost", "127.0.0.1")
"""What the server certificates name."""

_AUTHORITIES: Final = {KeyType.RSA: "ca-rsa", KeyType.EC: "ca-ecdsa", KeyType.DSA: "ca-dss"}
_LEAVES: Final = {
    Role.SERVER: {KeyType.RSA: "rsa", KeyType.EC: "ecdsa", KeyType.DSA: "dss"},
    Role.CLIENT: {KeyType.RSA: "client", KeyType.EC: "clientec", KeyType.DSA: "clientdss"},
}
"""File names without their endings, ``.pem`` for the chain and ``.key`` for the key."""


@dataclass(frozen=True)
class Workshop:
    """Authorities with their keys, and what each end shows, by kind of key.

    ``authorities`` may be empty: certificates that somebody else has issued can be shown, but no others made.
    """

    authorities: Mapping[KeyType, ThrowawayAuthority] = field(repr=False)
    servers: Credentials = field(repr=False)
    clients: Credentials = field(repr=False)

    def shown_by(self, role: Role) -> Credentials:
        """What an end shows in ``role``."""
        return self.clients if role is Role.CLIENT else self.servers

    def trusted(self) -> tuple[x509.Certificate, ...]:
        """The certificates of the authorities."""
        return tuple(item.certificate for item in self.authorities.values())


def make_workshop() -> Workshop:
    """Return a new one, with keys of all kinds."""
    authorities = {
        # old software verifies DSA with SHA-1 alone
        kind: throwaway_authority(f"conformance CA {kind.value}", kind=kind, hash_name=_hash(kind))
        for kind in KeyType
    }
    servers, clients = {}, {}
    for kind, authority in authorities.items():
        servers[kind] = _credential(authority.issue("localhost", hosts=HOSTS, hash_name=_hash(kind)))
        usage = key_usage("digital_signature")
        clients[kind] = _credential(authority.issue("client", role=Role.CLIENT, usage=usage, hash_name=_hash(kind)))
    return Workshop(authorities, servers, clients)


@cache
def workshop() -> Workshop:
    """Return the one of this process, the same at every call."""
    return make_workshop()


def write_workshop(made: Workshop, folder: Path) -> None:
    """Write a workshop into ``folder``, which is made if need be; keys can be read by the owner only."""
    folder.mkdir(parents=True, exist_ok=True)
    together = b""
    for kind, authority in made.authorities.items():
        together += authority.pem
        (folder / f"{_AUTHORITIES[kind]}.pem").write_bytes(authority.pem)
        _write_key(folder / f"{_AUTHORITIES[kind]}.key", authority.key)
    (folder / "ca.pem").write_bytes(together)
    for role, names in _LEAVES.items():
        for kind, shown in made.shown_by(role).items():
            (folder / f"{names[kind]}.pem").write_bytes(_pem(shown.chain))
            _write_key(folder / f"{names[kind]}.key", shown.key)


def load_workshop(folder: Path) -> Workshop:
    """Return what :func:`write_workshop` has written; kinds of key that are missing are left out.

    Raises :class:`~tlsexit.alerts.LocalError` for a folder without any, and for files that cannot be read.
    """
    authorities = {}
    for kind, name in _AUTHORITIES.items():
        certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
        if certificate.is_file() and key.is_file():
            loaded = load_credential(certificate, key)
            authorities[kind] = ThrowawayAuthority(
                x509.load_der_x509_certificate(loaded.chain[0]), loaded.key, root=True
            )
    servers, clients = (
        {
            kind: load_credential(folder / f"{name}.pem", folder / f"{name}.key")
            for kind, name in _LEAVES[role].items()
            if (folder / f"{name}.pem").is_file()
        }
        for role in (Role.SERVER, Role.CLIENT)
    )
    if not servers and not clients:
        raise LocalError(f"{folder} has no certificates; `tlsexit conform pki {folder}` makes them")
    return Workshop(authorities, servers, clients)


def load_credential(certificate: Path, key: Path) -> Credential:
    """Return a chain with its key from PEM files; raises :class:`~tlsexit.alerts.LocalError` if that is impossible."""
    identity = load_identity("own", certificate, key)
    if identity.key is None:
        raise LocalError(f"{certificate}: there is no private key")
    return Credential(identity.chain, identity.key)


def _hash(kind: KeyType) -> str:
    return "sha1" if kind is KeyType.DSA else "sha256"


def _credential(issued: Issued) -> Credential:
    return Credential(issued.chain, issued.key)


def _pem(chain: Iterable[bytes]) -> bytes:
    return b"".join(x509.load_der_x509_certificate(der).public_bytes(Encoding.PEM) for der in chain)


def _write_key(file: Path, key: PrivateKey) -> None:
    file.touch(mode=0o600)
    # the traditional form, which every old program reads
    file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()))
