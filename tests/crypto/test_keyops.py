"""Signatures and RSA encryption, checked by the openssl command in both directions (RFC 2246 §4.7)."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from contextlib import suppress
from functools import cache
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, padding, rsa, utils
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from tlsexit.alerts import DecryptError, LocalError
from tlsexit.crypto.keyops import PrivateKey, PublicKey, decrypt, encrypt, key_type, sign, verify
from tlsexit.crypto.suites import KeyType

needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="the openssl command is not installed")

MESSAGE = b"handshake messages"
KINDS = pytest.mark.parametrize("kind", KeyType)


@cache
def private_key(kind: KeyType) -> PrivateKey:
    """One key of each kind."""
    if kind is KeyType.RSA:
        return rsa.generate_private_key(65537, 1024)
    if kind is KeyType.DSA:
        return dsa.generate_private_key(1024)
    return ec.generate_private_key(ec.SECP256R1())


def rsa_key() -> rsa.RSAPrivateKey:
    """The RSA key."""
    key = private_key(KeyType.RSA)
    assert isinstance(key, rsa.RSAPrivateKey)
    return key


def digest(kind: KeyType) -> bytes:
    """What a key of that kind signs (R2246-4.7-02, R2246-4.7-03)."""
    sha1 = hashlib.sha1(MESSAGE).digest()
    return hashlib.md5(MESSAGE).digest() + sha1 if kind is KeyType.RSA else sha1


@cache
def signature_of(kind: KeyType) -> bytes:
    """One signature of each kind: DSA's and ECDSA's differ every time."""
    return sign(private_key(kind), digest(kind))


def pkeyutl(folder: Path, key: PrivateKey, *arguments: str, **files: bytes) -> bytes:
    """Run ``openssl pkeyutl`` with the key as key.pem and public.pem, and ``files`` beside them."""
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    for name, content in {"key.pem": private, "public.pem": public, **files}.items():
        (folder / name).write_bytes(content)
    return subprocess.run(["openssl", "pkeyutl", *arguments], capture_output=True, check=True, cwd=folder).stdout


def options(kind: KeyType) -> tuple[str, str]:
    """How pkeyutl is told which digest it is given."""
    return ("-pkeyopt", "digest:md5-sha1" if kind is KeyType.RSA else "digest:sha1")


def signed_block(block: bytes) -> bytes:
    """The raw RSA operation on a block as long as the modulus."""
    numbers = rsa_key().private_numbers()
    n = numbers.public_numbers.n
    return pow(int.from_bytes(block, "big"), numbers.d, n).to_bytes(128, "big")


@KINDS
def test_key_type(kind: KeyType) -> None:
    key = private_key(kind)
    assert key_type(key) is kind
    assert key_type(key.public_key()) is kind
    assert isinstance(key, PrivateKey)
    assert isinstance(key.public_key(), PublicKey)


@pytest.mark.parametrize("other", [ed25519.Ed25519PrivateKey.generate(), ed25519.Ed25519PrivateKey, b"key", None])
def test_key_type_of_something_else(other: object) -> None:
    with pytest.raises(LocalError, match="not a kind of key TLS"):
        key_type(other)


@needs_openssl
@KINDS
def test_openssl_verifies(kind: KeyType, tmp_path: Path) -> None:
    """R2246-4.7-02, R2246-4.7-03: openssl's md5-sha1 has no DigestInfo either."""
    key = private_key(kind)
    files = {"digest": digest(kind), "signature": sign(key, digest(kind))}
    arguments = ("-verify", "-pubin", "-inkey", "public.pem", "-in", "digest", "-sigfile", "signature")
    assert b"Verified Successfully" in pkeyutl(tmp_path, key, *arguments, *options(kind), **files)


@needs_openssl
@KINDS
def test_openssl_signs(kind: KeyType, tmp_path: Path) -> None:
    """R2246-4.7-02, R2246-4.7-03."""
    key = private_key(kind)
    signature = pkeyutl(tmp_path, key, "-sign", "-inkey", "key.pem", "-in", "d", *options(kind), d=digest(kind))
    verify(key.public_key(), signature, digest(kind))


def test_rsa_signature_block() -> None:
    """R2246-4.7-01, R2246-4.7-02: block type 1, all the padding, then the 36 bytes and nothing around them."""
    signature = sign(rsa_key(), digest(KeyType.RSA))
    numbers = rsa_key().public_key().public_numbers()
    block = pow(int.from_bytes(signature, "big"), numbers.e, numbers.n).to_bytes(128, "big")
    assert len(signature) == 128
    assert block == b"\0\1" + b"\xff" * (128 - 3 - 36) + b"\0" + digest(KeyType.RSA)


def test_dsa_signature_is_der() -> None:
    """R2246-4.7-03: a SEQUENCE of two INTEGERs."""
    for kind in (KeyType.DSA, KeyType.EC):
        signature = sign(private_key(kind), digest(kind))
        assert utils.encode_dss_signature(*utils.decode_dss_signature(signature)) == signature


@KINDS
def test_wrong_digest(kind: KeyType) -> None:
    signature = sign(private_key(kind), digest(kind))
    with pytest.raises(DecryptError):
        verify(private_key(kind).public_key(), signature, bytes(len(digest(kind))))


@KINDS
@given(st.data())
def test_wrong_signature(kind: KeyType, data: st.DataObject) -> None:
    """One bit, a shorter one, a longer one, anything: always decrypt_error."""
    good = signature_of(kind)
    position = data.draw(st.integers(0, 8 * len(good) - 1))
    flipped = (int.from_bytes(good, "big") ^ 1 << position).to_bytes(len(good), "big")
    wrong = data.draw(st.sampled_from([flipped, good[:-1], good + b"\0", b"\0" + good, b""]) | st.binary(max_size=200))
    with pytest.raises(DecryptError):
        verify(private_key(kind).public_key(), wrong, digest(kind))


@pytest.mark.parametrize(
    "block",
    [
        b"\0\0" + bytes(89) + b"\0" + digest(KeyType.RSA),
        b"\0\2" + b"\x11" * 89 + b"\0" + digest(KeyType.RSA),
        b"\0\1" + b"\xff" * 88 + b"\0" + digest(KeyType.RSA) + b"\0",
        b"\0\1" + b"\xff" * 8 + b"\0" + digest(KeyType.RSA) + bytes(81),
        b"\0\1" + b"\xff" * 88 + b"\xfe\0" + digest(KeyType.RSA),
    ],
    ids=["type 0", "type 2", "byte behind", "much behind", "wrong padding"],
)
def test_wrong_block(block: bytes) -> None:
    """R2246-4.7-02: type 0 of §4.7 is not accepted, nor anything that leaves room to forge in."""
    assert len(block) == 128
    with pytest.raises(DecryptError):
        verify(rsa_key().public_key(), signed_block(block), digest(KeyType.RSA))


def test_digest_info_is_refused() -> None:
    """R2246-4.7-02: a signature as TLS 1.2 has it is not one of TLS 1.0."""
    signature = rsa_key().sign(MESSAGE, padding.PKCS1v15(), SHA1())
    with pytest.raises(DecryptError):
        verify(rsa_key().public_key(), signature, digest(KeyType.RSA))


@KINDS
def test_only_digests_are_signed(kind: KeyType) -> None:
    for length in {0, 19, 20, 21, 35, 36, 37} - {len(digest(kind))}:
        with pytest.raises(LocalError, match=rf"signs {len(digest(kind))} bytes here, not {length}"):
            sign(private_key(kind), bytes(length))


def test_key_too_short_to_sign() -> None:
    """36 bytes and 11 of padding do not fit in 32; the primes are 2^128 - 159 and 2^128 - 173."""
    p, q, e = 2**128 - 159, 2**128 - 173, 65537
    d = pow(e, -1, (p - 1) * (q - 1))
    public = rsa.RSAPublicNumbers(e, p * q)
    key = rsa.RSAPrivateNumbers(p, q, d, d % (p - 1), d % (q - 1), pow(q, -1, p), public).private_key()
    with pytest.raises(LocalError, match="256 bits cannot sign 36 bytes"):
        sign(key, digest(KeyType.RSA))


@needs_openssl
def test_openssl_decrypts(tmp_path: Path) -> None:
    """R2246-4.7-05."""
    secret = bytes(range(48))
    encrypted = encrypt(rsa_key().public_key(), secret)
    assert len(encrypted) == 128
    assert pkeyutl(tmp_path, rsa_key(), "-decrypt", "-inkey", "key.pem", "-in", "c", c=encrypted) == secret


@needs_openssl
def test_openssl_encrypts(tmp_path: Path) -> None:
    """R2246-4.7-05."""
    secret = bytes(range(48))
    encrypted = pkeyutl(tmp_path, rsa_key(), "-encrypt", "-pubin", "-inkey", "public.pem", "-in", "s", s=secret)
    assert decrypt(rsa_key(), encrypted) == secret


def test_encryption_block() -> None:
    """R2246-4.7-05: block type 2, random padding without zeros, all the room used."""
    numbers = rsa_key().private_numbers()
    encrypted = encrypt(rsa_key().public_key(), bytes(48))
    block = pow(int.from_bytes(encrypted, "big"), numbers.d, numbers.public_numbers.n).to_bytes(128, "big")
    assert block[:2] == b"\0\2"
    assert 0 not in block[2:-49]
    assert block[-49:] == bytes(49)


@given(st.binary(min_size=128, max_size=128))
def test_bad_ciphertext_fails_in_one_way(ciphertext: bytes) -> None:
    """R2246-7.4.7.1: ValueError, or from a backend with implicit rejection some other bytes."""
    with suppress(ValueError):
        assert decrypt(rsa_key(), ciphertext) != bytes(48)


@pytest.mark.parametrize("length", [0, 127, 129])
def test_ciphertext_of_another_length(length: int) -> None:
    with pytest.raises(ValueError, match="length"):
        decrypt(rsa_key(), bytes(length))


def test_encrypting_too_much() -> None:
    with pytest.raises(LocalError, match="1024 bits cannot encrypt 118 bytes"):
        encrypt(rsa_key().public_key(), bytes(118))


@pytest.mark.parametrize("kind", [KeyType.DSA, KeyType.EC])
def test_only_rsa_encrypts(kind: KeyType) -> None:
    key = private_key(kind)
    with pytest.raises(LocalError, match=f"{kind.value} keys cannot encrypt"):
        encrypt(key.public_key(), bytes(48))
    with pytest.raises(LocalError, match=f"{kind.value} keys cannot decrypt"):
        decrypt(key, bytes(128))


def test_an_rsa_signature_without_its_leading_zero() -> None:
    """R2246-4.7-01: a signature is as long as the modulus, even where dropping a zero leaves the same number."""
    key = rsa_key()
    numbered = (number.to_bytes(36, "big") for number in range(100_000))
    data, signature = next((data, made) for data in numbered if (made := sign(key, data))[0] == 0)
    verify(key.public_key(), signature, data)
    with pytest.raises(DecryptError):
        verify(key.public_key(), signature[1:], data)
