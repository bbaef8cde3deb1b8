"""Loading identities and authorities: every form of file, and one clear sentence for each thing that can be wrong."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)
from cryptography.hazmat.primitives.serialization.pkcs12 import serialize_key_and_certificates

from tests.support.pki import END, START, leaf_key, pki
from tlsexit.alerts import LocalError
from tlsexit.crypto.suites import KeyType
from tlsexit.policy import Identity, IdentityFile, load_authorities, load_identity
from tlsexit.policy.certificates import parsed
from tlsexit.policy.store import ordered_chain
from tlsexit.policy.throwaway import Issued

PASSWORD = b"open sesame"


def write_pem(folder: Path, issued: Issued, password: bytes | None = None) -> tuple[Path, Path]:
    chain, key = folder / "chain.pem", folder / "key.pem"
    chain.write_bytes(issued.chain_pem)
    key.write_bytes(issued.key_pem(password))
    return chain, key


def write_pkcs12(folder: Path, issued: Issued, password: bytes | None = PASSWORD) -> Path:
    file = folder / "identity.p12"
    protection: KeySerializationEncryption = NoEncryption() if password is None else BestAvailableEncryption(password)
    strangers = [pki(KeyType.EC).root.certificate]
    others = [*strangers, pki().root.certificate, *reversed(issued.above)]
    file.write_bytes(serialize_key_and_certificates(b"x", issued.key, issued.certificate, others, protection))
    return file


@pytest.mark.parametrize("kind", KeyType)
@pytest.mark.parametrize("password", [None, PASSWORD])
def test_pkcs8(kind: KeyType, password: bytes | None, tmp_path: Path) -> None:
    issued = pki(kind).intermediate_server
    identity = load_identity("a", *write_pem(tmp_path, issued, password), password)
    assert identity.chain == issued.chain
    assert identity.key is not None
    assert identity.key.public_key() == issued.key.public_key()


@pytest.mark.parametrize("kind", KeyType)
@pytest.mark.parametrize("encrypted", [False, True])
def test_traditional_keys(kind: KeyType, encrypted: bool, tmp_path: Path) -> None:
    chain, key = write_pem(tmp_path, pki(kind).server)
    protection: KeySerializationEncryption = BestAvailableEncryption(PASSWORD) if encrypted else NoEncryption()
    key.write_bytes(leaf_key(kind).private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, protection))
    assert load_identity("a", chain, key, PASSWORD if encrypted else None).key is not None


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs the openssl program")
@pytest.mark.parametrize("cipher", [(), ("-aes128", "-passout", "pass:x"), ("-des3", "-passout", "pass:x")])
def test_what_openssl_writes(cipher: tuple[str, ...], tmp_path: Path) -> None:
    """Keys and PKCS#12 from the openssl program; its EC files start with a block of parameters."""

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=tmp_path, check=True, capture_output=True, timeout=60)

    openssl("ecparam", "-name", "prime256v1", "-genkey", "-out", "plain.pem")
    openssl("req", "-x509", "-new", "-key", "plain.pem", "-subj", "/CN=a", "-out", "cert.pem")
    openssl("ec", "-in", "plain.pem", "-out", "key.pem", *cipher)
    openssl("pkcs12", "-export", "-inkey", "plain.pem", "-in", "cert.pem", "-out", "a.p12", "-passout", "pass:x")
    plain = load_identity("a", tmp_path / "cert.pem", tmp_path / "plain.pem")
    other = load_identity("a", tmp_path / "cert.pem", tmp_path / "key.pem", "x")
    bag = load_identity("a", tmp_path / "a.p12", password="x")
    assert plain.chain == other.chain == bag.chain
    assert plain.key is not None
    assert other.key is not None
    assert bag.key is not None


def test_one_file_may_hold_chain_and_key(tmp_path: Path) -> None:
    issued = pki().intermediate_server
    both = tmp_path / "both.pem"
    both.write_bytes(issued.key_pem() + issued.chain_pem)
    identity = load_identity("a", both)
    assert identity.chain == issued.chain
    assert identity.key is not None


def test_a_chain_without_key_is_for_an_exit_that_holds_it(tmp_path: Path) -> None:
    chain, _ = write_pem(tmp_path, pki().server)
    assert load_identity("a", chain).key is None


def test_a_password_for_what_is_not_encrypted_is_ignored(tmp_path: Path) -> None:
    assert load_identity("a", *write_pem(tmp_path, pki().server), PASSWORD).key is not None


@pytest.mark.parametrize("password", [None, PASSWORD])
def test_pkcs12_is_put_in_order(password: bytes | None, tmp_path: Path) -> None:
    """R2246-7.4.2-10: the bag has no order, the chain has; what does not belong to it is left out."""
    issued = pki().intermediate_server
    identity = load_identity("a", write_pkcs12(tmp_path, issued, password), password=password)
    assert [parsed(item).name for item in identity.chain] == ["CN=localhost", "CN=RSA intermediate", "CN=RSA root"]
    assert identity.key is not None


def test_ordered_chain_stops_where_the_issuer_is_missing() -> None:
    issued = pki().intermediate_server
    assert ordered_chain(issued.certificate, [pki().root.certificate]) == issued.chain[:1]


# What is wrong, by file


def test_a_missing_file(tmp_path: Path) -> None:
    chain, key = write_pem(tmp_path, pki().server)
    with pytest.raises(LocalError, match=r"absent\.pem: cannot be read"):
        load_identity("a", tmp_path / "absent.pem", key)
    with pytest.raises(LocalError, match=r"absent\.pem: cannot be read"):
        load_identity("a", chain, tmp_path / "absent.pem")
    with pytest.raises(LocalError, match=r"absent\.pem: cannot be read"):
        load_authorities(tmp_path / "absent.pem")


@pytest.mark.parametrize("content", [b"", b"junk", b"\x02\x01\x00"])
def test_not_pem(content: bytes, tmp_path: Path) -> None:
    chain, _ = write_pem(tmp_path, pki().server)
    broken = tmp_path / "broken.pem"
    broken.write_bytes(content)
    with pytest.raises(LocalError, match=r"broken\.pem: holds no certificate in PEM"):
        load_identity("a", broken)
    with pytest.raises(LocalError, match=r"broken\.pem: holds no certificate in PEM"):
        load_authorities(broken)
    with pytest.raises(LocalError, match=r"broken\.pem: holds no private key in PEM"):
        load_identity("a", chain, broken)


def test_damaged_pem(tmp_path: Path) -> None:
    chain, key = write_pem(tmp_path, pki().server)
    broken = tmp_path / "broken.pem"
    broken.write_bytes(chain.read_bytes().replace(b"MII", b"AAA"))
    with pytest.raises(LocalError, match=r"broken\.pem: a certificate in it does not parse"):
        load_identity("a", broken, key)
    broken.write_bytes(key.read_bytes().replace(b"MII", b"AAA"))
    with pytest.raises(LocalError, match=r"broken\.pem: the private key does not parse"):
        load_identity("a", chain, broken)


def test_wrong_password(tmp_path: Path) -> None:
    chain, key = write_pem(tmp_path, pki().server, PASSWORD)
    with pytest.raises(LocalError, match=r"key\.pem: the private key does not open: wrong password"):
        load_identity("a", chain, key, b"guess")
    with pytest.raises(LocalError, match=r"key\.pem: the private key is encrypted and there is no password"):
        load_identity("a", chain, key)
    bag = write_pkcs12(tmp_path, pki().server)
    with pytest.raises(LocalError, match=r"identity\.p12: is not PKCS#12, or the password is wrong"):
        load_identity("a", bag, password=b"guess")
    with pytest.raises(LocalError, match=r"identity\.p12: needs a password"):
        load_identity("a", bag)


def test_a_password_is_never_in_the_error(tmp_path: Path) -> None:
    chain, key = write_pem(tmp_path, pki().server, PASSWORD)
    with pytest.raises(LocalError) as caught:
        load_identity("a", chain, key, b"a guess")
    assert "guess" not in str(caught.value)


def test_key_of_another_certificate(tmp_path: Path) -> None:
    chain, key = write_pem(tmp_path, pki().server)
    key.write_bytes(pki(KeyType.EC).server.key_pem())
    with pytest.raises(LocalError, match=r"key\.pem: identity a: the private key is not that of CN=localhost"):
        load_identity("a", chain, key)


def test_pkcs12_beside_a_key_file(tmp_path: Path) -> None:
    with pytest.raises(LocalError, match=r"identity\.p12: .* holds its own key"):
        load_identity("a", write_pkcs12(tmp_path, pki().server), tmp_path / "key.pem", PASSWORD)


def test_pkcs12_without_a_key(tmp_path: Path) -> None:
    file = tmp_path / "bag.p12"
    certificates = [pki().root.certificate]
    file.write_bytes(serialize_key_and_certificates(b"x", None, None, certificates, NoEncryption()))
    with pytest.raises(LocalError, match=r"bag\.p12: holds no certificate with its private key"):
        load_identity("a", file)


def ed25519() -> tuple[Ed25519PrivateKey, x509.Certificate]:
    key, name = Ed25519PrivateKey.generate(), x509.Name([])
    builder = x509.CertificateBuilder(name, name, key.public_key(), 7).not_valid_before(START).not_valid_after(END)
    return key, builder.sign(key, None)


def test_a_key_that_tls_1_0_has_no_use_for(tmp_path: Path) -> None:
    key, certificate = ed25519()
    chain, file, bag = tmp_path / "chain.pem", tmp_path / "key.pem", tmp_path / "bag.p12"
    chain.write_bytes(certificate.public_bytes(Encoding.PEM))
    file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    bag.write_bytes(serialize_key_and_certificates(b"x", key, certificate, None, NoEncryption()))
    for certificates, key_file in ((chain, file), (chain, None), (bag, None)):
        with pytest.raises(LocalError, match=r"TLS 1\.0 has no use for"):
            load_identity("a", certificates, key_file)


# Identities


def test_a_chain_must_be_in_order() -> None:
    """R2246-7.4.2-09, R2246-7.4.2-10."""
    leaf, intermediate = pki().intermediate_server.chain
    root = pki().root.certificate.public_bytes(Encoding.DER)
    Identity("a", (leaf, intermediate, root))
    with pytest.raises(LocalError, match="identity a: CN=RSA root comes after CN=localhost without being its issuer"):
        Identity("a", (leaf, root, intermediate))
    with pytest.raises(LocalError, match="the chain is empty"):
        Identity("a", ())
    with pytest.raises(LocalError, match="a certificate is unusable"):
        Identity("a", (b"junk",))


def test_the_key_is_in_no_repr() -> None:
    assert repr(pki().server.identity("a")) == "Identity(id='a')"


# Files opened on first need


def test_a_file_is_opened_once(tmp_path: Path) -> None:
    chain, key = write_pem(tmp_path, pki().server, PASSWORD)
    source = IdentityFile("a", chain, key)
    first = source.open(PASSWORD)
    chain.unlink()
    key.unlink()
    assert source.open(PASSWORD) is first
    assert first.open(b"whatever") is first


def test_a_file_is_not_read_before_it_is_needed(tmp_path: Path) -> None:
    source = IdentityFile("a", tmp_path / "absent.pem")
    with pytest.raises(LocalError, match="cannot be read"):
        source.open()


def test_the_password_of_one_task_does_not_serve_another(tmp_path: Path) -> None:
    source = IdentityFile("a", *write_pem(tmp_path, pki().server, PASSWORD))
    source.open(PASSWORD)
    with pytest.raises(LocalError, match="wrong password"):
        source.open(b"guess")
    with pytest.raises(LocalError, match="no password"):
        source.open()


def test_an_own_password_goes_before_the_task_s(tmp_path: Path) -> None:
    source = IdentityFile("a", *write_pem(tmp_path, pki().server, PASSWORD), PASSWORD.decode())
    assert source.open(b"guess") is source.open()
    assert "sesame" not in repr(source)


# Authorities


def test_a_file_with_many_authorities(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    roots = [pki(kind).root for kind in KeyType]
    file.write_bytes(b"# authorities\n" + b"\n".join(item.pem for item in roots))
    assert load_authorities(file) == tuple(item.certificate.public_bytes(Encoding.DER) for item in roots)
