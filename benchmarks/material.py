"""Keys, certificates and the Diffie-Hellman group, made once and given to every contender alike."""

from __future__ import annotations

import atexit
import shutil
import tempfile
import warnings
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import dh
from cryptography.hazmat.primitives.serialization import Encoding, ParameterFormat
from cryptography.utils import CryptographyDeprecationWarning

from tlsexit.constants import Role
from tlsexit.crypto.groups import dh_group
from tlsexit.policy.throwaway import Issued, ThrowawayAuthority, throwaway_authority

HOST = "localhost"
"""What the server's certificate is for; every client that checks host names checks this one."""

DH_GROUP = "ffdhe2048"


@dataclass(frozen=True)
class Material:
    """A root, an intermediate and a certificate for each role, RSA 2048 and SHA-256 throughout, also as PEM files.

    Chains are sent without the root, which the other side has.
    """

    root: ThrowawayAuthority
    server: Issued
    client: Issued
    folder: Path

    def issued(self, role: Role) -> Issued:
        """The certificate of one role."""
        return self.server if role is Role.SERVER else self.client

    @property
    def root_file(self) -> Path:
        """The root in PEM."""
        return self.folder / "root.pem"

    @property
    def dh_file(self) -> Path:
        """The group of DHE suites as PKCS#3 PEM."""
        return self.folder / "dh.pem"

    def chain_file(self, role: Role) -> Path:
        """A role's chain in PEM."""
        return self.folder / f"{role.value}.pem"

    def key_file(self, role: Role) -> Path:
        """A role's private key in PEM."""
        return self.folder / f"{role.value}.key"


@cache
def material() -> Material:
    """Return the material of this run; the files go when the process ends."""
    folder = Path(tempfile.mkdtemp(prefix="tlsexit-benchmarks-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    root = throwaway_authority()
    intermediate = root.authority("intermediate")
    made = Material(
        root,
        intermediate.issue(HOST, hosts=[HOST]),
        intermediate.issue("client", role=Role.CLIENT),
        folder,
    )
    made.root_file.write_bytes(root.pem)
    for role in Role:
        made.chain_file(role).write_bytes(made.issued(role).chain_pem)
        made.key_file(role).write_bytes(made.issued(role).key_pem())
    group = dh_group(DH_GROUP)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CryptographyDeprecationWarning)
        parameters = dh.DHParameterNumbers(group.p, group.g).parameters()
    made.dh_file.write_bytes(parameters.parameter_bytes(Encoding.PEM, ParameterFormat.PKCS3))
    return made
