"""Tokens of SoftHSM2 for tests: in a folder of their own, filled with the test keys, and taken away on demand."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from glob import glob
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from cryptography.hazmat.primitives.asymmetric.dsa import DSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from tests.support.openssl_peer import needs_program
from tests.support.pki import pki
from tlsexit.crypto.keyops import PrivateKey
from tlsexit.crypto.suites import KeyType
from tlsexit.policy.throwaway import Issued

PIN: Final = "correct horse"
SO_PIN: Final = "battery staple"

P256: Final = bytes.fromhex("06082a8648ce3d030107")
"""secp256r1 as an ECParameters: its object identifier."""

KEYS: Final = {"rsa": KeyType.RSA, "ecdsa": KeyType.EC, "dsa": KeyType.DSA}
"""Labels of the keys on a token."""


@dataclass(frozen=True)
class Token:
    """A token with one key of each kind, for servers and clients alike, none of which can be exported."""

    folder: Path
    label: str
    module: Path

    def uri(self, key: str, *, pin_source: str | None = None, **query: str) -> str:
        """The URI of a key, with the PIN in a file."""
        source = f"file:{self.folder}/{self.label}.pin" if pin_source is None else pin_source
        more = "".join(f"&{name.replace('_', '-')}={quote(value)}" for name, value in query.items())
        path = f"pkcs11:token={quote(self.label)};object={key}?module-path={self.module}"
        return f"{path}&pin-source={quote(source)}{more}" if source else path + more

    def take_away(self) -> None:
        """Pull it out: module and sessions find it gone. Tokens of other labels stay."""
        for part in self._parts():
            part.rename(self.folder / "away" / part.name)

    def put_back(self) -> None:
        """Put it in again; what was open before is not."""
        for part in (self.folder / "away").iterdir():
            part.rename(self.folder / "tokens" / part.name)

    def _parts(self) -> list[Path]:
        tokens = (self.folder / "tokens").iterdir()
        return [part for part in tokens if self.label.encode() in (part / "token.object").read_bytes()]


def softhsm(folder: Path) -> Path:
    """Configure SoftHSM2 to keep its tokens in ``folder``, for this process and its children; return its module."""
    needs_program("softhsm2-util", "Debian's softhsm2")
    (folder / "tokens").mkdir()
    (folder / "away").mkdir()
    configuration = folder / "softhsm2.conf"
    configuration.write_text(f"directories.tokendir = {folder}/tokens\nobjectstore.backend = file\nlog.level = ERROR\n")
    os.environ["SOFTHSM2_CONF"] = str(configuration)
    return Path(sorted(glob("/usr/lib/softhsm/libsofthsm2.so") + glob("/usr/lib/*/softhsm/libsofthsm2.so"))[0])


def make_token(folder: Path, module: Path, label: str, role: str = "server") -> Token:
    """Make a token with keys and certificates for one role."""
    import pkcs11

    command = ["softhsm2-util", "--init-token", "--free", "--label", label, "--so-pin", SO_PIN, "--pin", PIN]
    subprocess.run(command, check=True, capture_output=True)
    (folder / f"{label}.pin").write_text(PIN + "\n")
    library = pkcs11.lib(str(module))
    library.reinitialize()
    with library.get_token(token_label=label).open(rw=True, user_pin=PIN) as session:
        for number, (name, kind) in enumerate(KEYS.items(), 1):
            issued = pki(kind).client if role == "client" else pki(kind).server
            fill(session, name, bytes([number]), issued)
        _certificate(session, "root", b"\xff", pki(KeyType.RSA).root.certificate)
    return Token(folder, label, module)


def fill(session: Any, label: str, id: bytes, issued: Issued) -> None:
    """Put a key and its certificate on the token of a session."""
    from pkcs11 import Attribute, ObjectClass

    attributes = {
        Attribute.CLASS: ObjectClass.PRIVATE_KEY,
        Attribute.TOKEN: True,
        Attribute.PRIVATE: True,
        Attribute.SENSITIVE: True,
        Attribute.EXTRACTABLE: False,
        Attribute.SIGN: True,
        Attribute.LABEL: label,
        Attribute.ID: id,
    }
    session.create_object(attributes | key_attributes(issued.key))
    _certificate(session, label, id, issued.certificate)


def key_attributes(key: PrivateKey) -> dict[Any, Any]:
    """The attributes of a private key that only its kind has."""
    from pkcs11 import Attribute
    from pkcs11 import KeyType as Kind

    if isinstance(key, RSAPrivateKey):
        rsa = key.private_numbers()
        return {
            Attribute.KEY_TYPE: Kind.RSA,
            Attribute.DECRYPT: True,
            Attribute.MODULUS: _big(rsa.public_numbers.n),
            Attribute.PUBLIC_EXPONENT: _big(rsa.public_numbers.e),
            Attribute.PRIVATE_EXPONENT: _big(rsa.d),
            Attribute.PRIME_1: _big(rsa.p),
            Attribute.PRIME_2: _big(rsa.q),
            Attribute.EXPONENT_1: _big(rsa.dmp1),
            Attribute.EXPONENT_2: _big(rsa.dmq1),
            Attribute.COEFFICIENT: _big(rsa.iqmp),
        }
    if isinstance(key, DSAPrivateKey):
        dsa = key.private_numbers()
        group = dsa.public_numbers.parameter_numbers
        return {
            Attribute.KEY_TYPE: Kind.DSA,
            Attribute.PRIME: _big(group.p),
            Attribute.SUBPRIME: _big(group.q),
            Attribute.BASE: _big(group.g),
            Attribute.VALUE: _big(dsa.x),
        }
    assert isinstance(key, EllipticCurvePrivateKey)
    value = key.private_numbers().private_value
    return {Attribute.KEY_TYPE: Kind.EC, Attribute.EC_PARAMS: P256, Attribute.VALUE: _big(value)}


def _certificate(session: Any, label: str, id: bytes, certificate: Any) -> None:
    from cryptography.hazmat.primitives.serialization import Encoding
    from pkcs11 import Attribute, CertificateType, ObjectClass

    session.create_object(
        {
            Attribute.CLASS: ObjectClass.CERTIFICATE,
            Attribute.CERTIFICATE_TYPE: CertificateType.X_509,
            Attribute.TOKEN: True,
            Attribute.LABEL: label,
            Attribute.ID: id,
            Attribute.SUBJECT: certificate.subject.public_bytes(),
            Attribute.VALUE: certificate.public_bytes(Encoding.DER),
        }
    )


def _big(value: int) -> bytes:
    return value.to_bytes((value.bit_length() + 7) // 8, "big")
