"""The same chains put to ``openssl verify``: both sides accept, or both refuse."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tests.support.pki import NOW, faulty, intermediate_authority, pki, server_leaf
from tlsexit.alerts import PeerError
from tlsexit.constants import Role
from tlsexit.crypto.suites import KeyType
from tlsexit.policy import KeyUse, LeafDemands, SignaturePolicy, TrustAnchors, check_chain
from tlsexit.policy.throwaway import Issued, self_signed

OPENSSL = shutil.which("openssl")

pytestmark = pytest.mark.skipif(OPENSSL is None, reason="needs the openssl program")

ANYTHING = SignaturePolicy(hashes=frozenset({"md5", "sha1", "sha256", "sha384", "sha512"}))


def _pem(certificates: Sequence[x509.Certificate]) -> bytes:
    return b"".join(item.public_bytes(Encoding.PEM) for item in certificates)


def openssl_accepts(
    issued: Issued, anchors: Sequence[x509.Certificate], folder: Path, *, host: str | None, purpose: str = "sslserver"
) -> bool:
    """Run ``openssl verify`` at the lowest security level, so that it judges the chain and not the strength."""
    (folder / "leaf.pem").write_bytes(_pem([issued.certificate]))
    (folder / "sent.pem").write_bytes(_pem(issued.above))
    (folder / "anchors.pem").write_bytes(_pem(anchors))
    command = [str(OPENSSL), "verify", "-auth_level", "0", "-attime", str(int(NOW.timestamp())), "-purpose", purpose]
    command += ["-no-CApath", "-no-CAstore", "-CAfile", "anchors.pem"]
    command += ["-untrusted", "sent.pem"] if issued.above else []
    command += ["-verify_hostname", host] if host is not None else []
    return subprocess.run([*command, "leaf.pem"], cwd=folder, capture_output=True, timeout=30).returncode == 0


def we_accept(
    issued: Issued, anchors: Sequence[x509.Certificate], *, host: str | None, peer: Role = Role.SERVER
) -> bool:
    leaf = LeafDemands(peer=peer, server_name=host)
    try:
        check_chain(issued.chain, TrustAnchors(anchors), at=NOW, leaf=leaf, policy=ANYTHING)
    except PeerError:
        return False
    return True


def _two_levels() -> Issued:
    return server_leaf(intermediate_authority(pki().intermediate, "lower", number=2))


def _other_order() -> Issued:
    issued = _two_levels()
    return Issued(issued.certificate, issued.key, tuple(reversed(issued.above)))


def _gap() -> Issued:
    issued = _two_levels()
    return Issued(issued.certificate, issued.key, issued.above[1:])


def _constrained(host: str) -> Issued:
    authority = pki().root.authority(
        "constrained",
        extensions=[(x509.NameConstraints([x509.DNSName("good.example")], None), True)],
        not_before=pki().root.certificate.not_valid_before_utc,
        not_after=pki().root.certificate.not_valid_after_utc,
    )
    return authority.issue(hosts=[host], not_before=NOW)


def _critical() -> Issued:
    odd = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")
    return pki().root.issue(hosts=["localhost"], extensions=[(odd, True)], not_before=NOW)


CASES: list[tuple[str, Callable[[], Issued], str | None, bool]] = [
    ("good", lambda: pki().server, "localhost", True),
    ("intermediate", lambda: pki().intermediate_server, "localhost", True),
    ("two intermediates", _two_levels, "localhost", True),
    ("misordered", _other_order, "localhost", True),
    ("gap", _gap, "localhost", False),
    ("other name", lambda: pki().server, "other.example", False),
    ("SHA-1, RSA", lambda: faulty().signed_with("sha1"), "localhost", True),
    ("MD5, RSA", lambda: faulty().signed_with("md5"), "localhost", True),
    ("SHA-512, RSA", lambda: faulty().signed_with("sha512"), "localhost", True),
    ("forged", lambda: faulty().forged, None, False),
    ("unknown authority", lambda: faulty().unknown_authority, None, False),
    ("expired", lambda: faulty().expired, None, False),
    ("not yet valid", lambda: faulty().not_yet_valid, None, False),
    ("wrong purpose", lambda: faulty().wrong_purpose, None, False),
    ("issued by a leaf", lambda: faulty().issued_by_a_leaf, None, False),
    ("issuer without keyCertSign", lambda: faulty().issuer_without_cert_sign, None, False),
    ("path too long", lambda: faulty().path_too_long, None, False),
    ("permitted name", lambda: _constrained("a.good.example"), "a.good.example", True),
    ("name not permitted", lambda: _constrained("bad.example"), "bad.example", False),
    ("critical extension", _critical, None, False),
    ("self-signed stranger", self_signed, None, False),
]


@pytest.mark.parametrize(("make", "host", "expected"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_openssl_agrees(make: Callable[[], Issued], host: str | None, expected: bool, tmp_path: Path) -> None:
    """R2246-7.2.2-12, R2246-7.2.2-15, R2246-7.4.2-10, R2246-7.4.2-11, against an independent judge."""
    issued, anchors = make(), [pki().root.certificate]
    assert openssl_accepts(issued, anchors, tmp_path, host=host) is expected
    assert we_accept(issued, anchors, host=host) is expected


@pytest.mark.parametrize(
    ("kind", "hash_name"),
    [(KeyType.EC, "sha256"), (KeyType.EC, "sha1"), (KeyType.DSA, "sha256"), (KeyType.DSA, "sha1")],
)
def test_openssl_agrees_on_other_keys(kind: KeyType, hash_name: str, tmp_path: Path) -> None:
    issued, anchors = faulty().signed_with(hash_name, kind), [pki(kind).root.certificate]
    assert openssl_accepts(issued, anchors, tmp_path, host="localhost")
    assert we_accept(issued, anchors, host="localhost")


def test_openssl_agrees_on_a_client(tmp_path: Path) -> None:
    anchors = [pki().root.certificate]
    for issued, expected in ((pki().client, True), (pki().server, False)):
        assert openssl_accepts(issued, anchors, tmp_path, host=None, purpose="sslclient") is expected
        assert we_accept(issued, anchors, host=None, peer=Role.CLIENT) is expected


@pytest.mark.parametrize("hash_name", ["md5", "sha1", "sha256"])
def test_what_openssl_makes_is_accepted(hash_name: str, tmp_path: Path) -> None:
    """A chain made by the openssl program, with nothing of ours in it but the check."""

    def openssl(*arguments: str) -> None:
        subprocess.run([str(OPENSSL), *arguments], cwd=tmp_path, check=True, capture_output=True, timeout=60)

    key = ("-newkey", "rsa:2048", "-nodes", f"-{hash_name}")
    authority = ("-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign")
    openssl("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/O=Test/CN=CA", *authority)
    openssl("req", "-new", *key, "-keyout", "leaf.key", "-out", "leaf.csr", "-subj", "/CN=localhost")
    (tmp_path / "leaf.ext").write_text(
        "basicConstraints=CA:FALSE\nkeyUsage=critical,digitalSignature\n"
        "extendedKeyUsage=serverAuth\nsubjectAltName=DNS:localhost,IP:127.0.0.1\n"
    )
    issuer = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", f"-{hash_name}", "-extfile", "leaf.ext")
    openssl("x509", "-req", "-in", "leaf.csr", "-out", "leaf.pem", *issuer)
    root = x509.load_pem_x509_certificate((tmp_path / "ca.pem").read_bytes())
    leaf = x509.load_pem_x509_certificate((tmp_path / "leaf.pem").read_bytes())
    demands = LeafDemands(
        peer=Role.SERVER, server_name="127.0.0.1", key_use=KeyUse.SIGN, key_types=frozenset({KeyType.RSA})
    )
    path = check_chain([leaf], TrustAnchors([root]), at=leaf.not_valid_before_utc, leaf=demands, policy=ANYTHING)
    assert [item.certificate for item in path] == [leaf, root]


def test_openssl_accepts_what_is_thrown_away(tmp_path: Path) -> None:
    """The re-signed certificates of :mod:`tlsexit.policy.throwaway` are well-formed in the eyes of another parser."""
    for hash_name in ("md5", "sha1"):
        (tmp_path / "leaf.pem").write_bytes(_pem([faulty().signed_with(hash_name).certificate]))
        command = [str(OPENSSL), "x509", "-in", "leaf.pem", "-noout", "-text"]
        text = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, timeout=30).stdout
        assert text.count(f"Signature Algorithm: {hash_name}WithRSAEncryption".encode()) == 2
