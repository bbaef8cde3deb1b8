"""Groups and key agreement against RFC 2409, RFC 7748, NIST, OpenSSL, tlslite-ng and plain arithmetic."""

from __future__ import annotations

import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric import dh
from cryptography.hazmat.primitives.serialization import load_der_private_key
from hypothesis import given
from hypothesis import strategies as st

from tlsexit.alerts import IllegalParameter, InsufficientSecurity, LocalError
from tlsexit.crypto.groups import (
    DH_GROUP_NAMES,
    DHKeyPair,
    DHParameters,
    ECDHKeyPair,
    NamedCurve,
    check_dh_parameters,
    dh_group,
)

needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="the openssl command is not installed")

BY_THE_BACKEND = dh_group("ffdhe2048")
BY_PYTHON = DHParameters(2**521 - 1, 3)
"""A prime that is not a safe prime, as in the groups that DSA-style generators made: no library knows it."""

BOTH_WAYS = pytest.mark.parametrize("params", [BY_THE_BACKEND, BY_PYTHON], ids=["backend", "python"])

WEIERSTRASS = [curve for curve in NamedCurve if curve is not NamedCurve.X25519]


def openssl(*arguments: str) -> bytes:
    """What an openssl command prints."""
    return subprocess.run(["openssl", *arguments], capture_output=True, check=True).stdout


def modulus_size(params: DHParameters) -> int:
    """In bytes."""
    return (params.bits + 7) // 8


# ---------------------------------------------------------------------------------------------- finite fields


@needs_openssl
@pytest.mark.parametrize("name", [name for name in DH_GROUP_NAMES if name not in ("export512", "modp1024")])
def test_groups_of_openssl(name: str) -> None:
    """RFC 3526 and RFC 7919: a key made by OpenSSL in its group of that name says p and g."""
    group = name.replace("modp", "modp_")
    key = load_der_private_key(
        openssl("genpkey", "-algorithm", "DH", "-pkeyopt", f"group:{group}", "-outform", "DER"), None
    )
    assert isinstance(key, dh.DHPrivateKey)
    numbers = key.parameters().parameter_numbers()
    assert dh_group(name) == DHParameters(numbers.p, numbers.g)


@pytest.mark.parametrize("bits", [2048, 3072, 4096, 6144, 8192])
def test_groups_of_tlslite_ng(bits: int) -> None:
    """RFC 7919 appendix A."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it imports asyncore
        from tlslite import mathtls
    g, p = getattr(mathtls, f"FFDHE{bits}")
    assert dh_group(f"ffdhe{bits}") == DHParameters(p, g)


def test_group_of_rfc_2409() -> None:
    """RFC 2409 §6.2, the Second Oakley Group."""
    prime = """
    FFFFFFFF FFFFFFFF C90FDAA2 2168C234 C4C6628B 80DC1CD1 29024E08 8A67CC74 020BBEA6 3B139B22 514A0879 8E3404DD
    EF9519B3 CD3A431B 302B0A6D F25F1437 4FE1356D 6D51C245 E485B576 625E7EC6 F44C42E9 A637ED6B 0BFF5CB6 F406B7ED
    EE386BFB 5A899FA5 AE9F2411 7C4B1FE6 49286651 ECE65381 FFFFFFFF FFFFFFFF
    """
    assert dh_group("modp1024") == DHParameters(int.from_bytes(bytes.fromhex(prime), "big"), 2)


@needs_openssl
def test_export_group_is_a_safe_prime() -> None:
    """R2246-C-02: a 512-bit prime for the export suites."""
    p = dh_group("export512").p
    assert p.bit_length() == 512
    for number in (p, (p - 1) // 2):
        assert openssl("prime", str(number)).endswith(b"is prime\n")


def test_unknown_group() -> None:
    with pytest.raises(LocalError, match=r"ffdhe1024 is unknown; there are .*ffdhe2048"):
        dh_group("ffdhe1024")


@pytest.mark.parametrize("name", DH_GROUP_NAMES[:4])
def test_both_ends_agree(name: str) -> None:
    """R2246-8.1.2-01."""
    client, server = DHKeyPair.generate(dh_group(name)), DHKeyPair.generate(dh_group(name))
    assert client.public != server.public
    assert client.agree(server.public) == server.agree(client.public)
    # a public value may come with leading zeros
    assert client.agree(bytes(3) + server.public) == server.agree(client.public)


@BOTH_WAYS
def test_leading_zeros_are_stripped(params: DHParameters) -> None:
    """R4346-8.1.2-01: one handshake in 256 has them."""
    pair = DHKeyPair.generate(params)
    ours = int.from_bytes(pair.public, "big")
    exponent, z = 2, ours * ours % params.p
    while z.bit_length() > params.bits - 9:
        exponent, z = exponent + 1, z * ours % params.p
    premaster = pair.agree(DHKeyPair.from_private(params, exponent).public)
    assert len(premaster) < modulus_size(params)
    assert int.from_bytes(premaster, "big") == z
    assert premaster[0] != 0


@given(st.integers(2, 2**64), st.integers(2, 2**64))
def test_agreed_value(ours: int, theirs: int) -> None:
    """R2246-8.1.2-01: Z itself, computed another way."""
    z = pow(BY_PYTHON.g, ours * theirs, BY_PYTHON.p)
    pair = DHKeyPair.from_private(BY_PYTHON, ours)
    peer = DHKeyPair.from_private(BY_PYTHON, theirs)
    assert int.from_bytes(pair.public, "big") == pow(BY_PYTHON.g, ours, BY_PYTHON.p)
    assert pair.agree(peer.public) == z.to_bytes((z.bit_length() + 7) // 8, "big")


@BOTH_WAYS
@pytest.mark.parametrize(
    "value",
    [lambda p: 0, lambda p: 1, lambda p: p - 1, lambda p: p, lambda p: p + 2, lambda p: p * p],
    ids=["0", "1", "p-1", "p", "p+2", "p*p"],
)
def test_degenerate_public_values(params: DHParameters, value: Callable[[int], int]) -> None:
    """R5246-F.1.1.3-01: 2..p-2 and nothing else."""
    number = value(params.p)
    with pytest.raises(IllegalParameter, match=r"2\.\.p-2"):
        DHKeyPair.generate(params).agree(number.to_bytes((number.bit_length() + 7) // 8, "big"))


def test_value_that_leads_nowhere() -> None:
    """A peer's value of small order, possible where p is not a safe prime: Z would be known to everybody."""
    p = 2**521 - 1
    third = next(pow(base, (p - 1) // 3, p) for base in range(2, 100) if pow(base, (p - 1) // 3, p) != 1)
    with pytest.raises(IllegalParameter):
        DHKeyPair.from_private(BY_PYTHON, 6).agree(third.to_bytes(66, "big"))


def test_whatever_the_backend_refuses_is_the_peers_fault() -> None:
    """Here it refuses because the key is of another group than the value."""
    params = dh_group("ffdhe3072")
    key = dh.DHParameterNumbers(BY_THE_BACKEND.p, BY_THE_BACKEND.g).parameters().generate_private_key()
    with pytest.raises(IllegalParameter, match="outside the group"):
        DHKeyPair(params, key, key.public_key().public_numbers().y).agree(DHKeyPair.generate(params).public)


@pytest.mark.parametrize(
    "params", [DHParameters(2**1024, 2), DHParameters(0, 2), DHParameters(23, 1), DHParameters(23, 22)]
)
def test_impossible_groups(params: DHParameters) -> None:
    """Neither checked nor computed with."""
    with pytest.raises(IllegalParameter):
        check_dh_parameters(params, 0, 8192)
    with pytest.raises(IllegalParameter):
        DHKeyPair.generate(params)


@pytest.mark.parametrize(("bits", "minimum", "maximum"), [(2048, 2048, 2048), (512, 512, 512), (2048, 1024, 8192)])
def test_group_size_within_bounds(bits: int, minimum: int, maximum: int) -> None:
    """R2246-D.4-02."""
    check_dh_parameters(dh_group("ffdhe2048" if bits == 2048 else "export512"), minimum, maximum)


def test_small_group() -> None:
    """R2246-D.4-02, R2246-C-02: Logjam."""
    with pytest.raises(InsufficientSecurity, match="512 bits, 1024 at least"):
        check_dh_parameters(dh_group("export512"), 1024, 8192)


def test_large_group() -> None:
    """R2246-D.4-02: the work grows with the cube of the size."""
    with pytest.raises(IllegalParameter, match="16384 bits, 8192 at most"):
        check_dh_parameters(DHParameters(2**16384 - 1, 2), 1024, 8192)


def test_secrets_are_not_shown() -> None:
    pair = DHKeyPair.from_private(BY_PYTHON, 123456789)
    assert "123456789" not in repr(pair)


def test_no_deprecation_warning_reaches_the_user() -> None:
    """cryptography deprecates Diffie-Hellman and single DES; a user of tlsexit could do nothing about it."""
    program = """
from tlsexit.crypto import bulk, groups, suites
params = groups.dh_group("ffdhe2048")
pair = groups.DHKeyPair.generate(params)
pair.agree(pair.public)
for suite in suites.SUITES.values():
    bulk.new_encryptor(bulk.DirectionKeys(suite, b"", bytes(suite.cipher.expanded_key), bytes(suite.cipher.iv_size)))
"""
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True)


# ------------------------------------------------------------------------------------------- elliptic curves


@pytest.mark.parametrize("curve", NamedCurve)
def test_both_ends_agree_on_a_curve(curve: NamedCurve) -> None:
    client, server = ECDHKeyPair.generate(curve), ECDHKeyPair.generate(curve)
    assert client.public != server.public
    assert client.agree(server.public) == server.agree(client.public)


@pytest.mark.parametrize(
    ("curve", "public", "secret"),
    [
        (NamedCurve.SECP256R1, 65, 32),
        (NamedCurve.SECP384R1, 97, 48),
        (NamedCurve.SECP521R1, 133, 66),
        (NamedCurve.X25519, 32, 32),
    ],
)
def test_sizes(curve: NamedCurve, public: int, secret: int) -> None:
    """R4492-5.7-01: uncompressed; R4492-5.10-01: the length of the field, whatever the value."""
    pair = ECDHKeyPair.generate(curve)
    assert len(pair.public) == public
    assert curve is NamedCurve.X25519 or pair.public[0] == 4
    assert len(pair.agree(ECDHKeyPair.generate(curve).public)) == secret


def test_published_vector_p256() -> None:
    """NIST CAVS 14.1, ECC CDH primitive, P-256, count 0."""
    peer = bytes.fromhex(
        "04"
        "700c48f77f56584c5cc632ca65640db91b6bacce3a4df6b42ce7cc838833d287"
        "db71e509e3fd9b060ddb20ba5c51dcc5948d46fbf640dfe0441782cab85fa4ac"
    )
    secret = bytes.fromhex("7d7dc5f71eb29ddaf80d6214632eeae03d9058af1fb6d22ed80badb62bc1a534")
    agreed = bytes.fromhex("46fc62106420ff012e54a434fbdd2d25ccc5852060561e68040dd7778997bd7b")
    assert ECDHKeyPair.from_private(NamedCurve.SECP256R1, secret).agree(peer) == agreed


def test_published_vector_x25519() -> None:
    """RFC 7748 §5.2, the first iteration."""
    nine = bytes([9]) + bytes(31)
    agreed = bytes.fromhex("422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079")
    assert ECDHKeyPair.from_private(NamedCurve.X25519, nine).agree(nine) == agreed


@pytest.mark.parametrize("curve", WEIERSTRASS)
def test_leading_zeros_of_the_coordinate_stay(curve: NamedCurve) -> None:
    """R4492-5.10-01: the opposite of finite fields. Agreeing with 1 * G gives back one's own x-coordinate."""
    generator = ECDHKeyPair.from_private(curve, b"\x01").public
    size = len(generator) // 2
    scalar = 2
    while (pair := ECDHKeyPair.from_private(curve, scalar.to_bytes(4, "big"))).public[1] != 0:
        scalar += 1
    assert pair.agree(generator) == pair.public[1 : 1 + size]
    assert pair.agree(generator)[0] == 0


@pytest.mark.parametrize("curve", WEIERSTRASS)
def test_invalid_points(curve: NamedCurve) -> None:
    """R4492-5.7-01: on the curve, uncompressed, of the right length, and not the point at infinity."""
    pair = ECDHKeyPair.generate(curve)
    good = ECDHKeyPair.generate(curve).public
    size = len(good) // 2
    compressed = bytes([2 + (good[-1] & 1)]) + good[1 : 1 + size]
    hybrid = bytes([6 + (good[-1] & 1)]) + good[1:]
    off_curve = good[:-1] + bytes([good[-1] ^ 1])
    for bad in (b"", b"\0", b"\4", compressed, hybrid, off_curve, good[:-1], good + b"\0", b"\4" + bytes(2 * size)):
        with pytest.raises(IllegalParameter):
            pair.agree(bad)


@pytest.mark.parametrize("bad", [b"", bytes(31), bytes(33), bytes(32), b"\1" + bytes(31)])
def test_invalid_x25519_values(bad: bytes) -> None:
    """RFC 8422 §5.11: the all-zero result is refused; 0 and 1 lead to it."""
    with pytest.raises(IllegalParameter):
        ECDHKeyPair.generate(NamedCurve.X25519).agree(bad)


def test_secret_scalar_is_not_shown() -> None:
    assert "1234" not in repr(ECDHKeyPair.from_private(NamedCurve.SECP256R1, (1234).to_bytes(2, "big")))
