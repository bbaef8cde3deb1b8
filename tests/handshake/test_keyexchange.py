"""ServerKeyExchange and ClientKeyExchange bodies (RFC 2246 §7.4.3, §7.4.7; RFC 4279, RFC 4492, RFC 5489)."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import md5, sha1
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from tests.support import captures
from tests.support.captures import Captured
from tlsexit.alerts import DecodeError, IllegalParameter, LocalError
from tlsexit.crypto.keyops import PublicKey, verify
from tlsexit.handshake import keyexchange as kx
from tlsexit.wire import Leaf, build, parse


def _ecdh(m: Captured) -> kx.ServerECDHParams:
    return kx.ServerECDHParams(m.fields["curve_type"], m.fields["named_curve"], m.hex("public"))


def _dh(m: Captured) -> kx.ServerDHParams:
    return kx.ServerDHParams(m.hex("dh_p"), m.hex("dh_g"), m.hex("dh_Ys"))


Shape = tuple[Leaf[Any], Callable[[Captured], Any]]

# recording -> grammar, and tlslite-ng's reading as tlsexit's value
SERVER: dict[str, Shape] = {
    "openssl-dhe-rsa-client-certificate": (kx.SERVER_DH_PARAMS, _dh),
    "gnutls-client-dhe-dss": (kx.SERVER_DH_PARAMS, _dh),
    "gnutls-server-client-certificate": (kx.SERVER_DH_PARAMS, _dh),
    "tlslite-dhe-rsa": (kx.SERVER_DH_PARAMS, _dh),
    "openssl-1.0.2-dhe-rsa": (kx.SERVER_DH_PARAMS, _dh),
    "openssl-dh-anon": (kx.SERVER_DH_PARAMS, _dh),
    "openssl-ecdhe-rsa-extensions": (kx.SERVER_ECDH_PARAMS, _ecdh),
    "openssl-ecdhe-ecdsa-resumption": (kx.SERVER_ECDH_PARAMS, _ecdh),
    "nss-server": (kx.SERVER_ECDH_PARAMS, _ecdh),
    "mbedtls-ecdhe-ecdsa": (kx.SERVER_ECDH_PARAMS, _ecdh),
    "jsse-v2hello": (kx.SERVER_ECDH_PARAMS, _ecdh),
    "jsse-export": (
        kx.SERVER_RSA_PARAMS,
        lambda m: kx.ServerRSAParams(m.hex("rsa_modulus"), m.hex("rsa_exponent")),
    ),
    "openssl-psk": (kx.SERVER_PSK_HINT, lambda m: kx.ServerPskHint(b"kitchen")),
    "openssl-rsa-psk": (kx.SERVER_PSK_HINT, lambda m: kx.ServerPskHint(b"kitchen")),
    "openssl-dhe-psk": (kx.SERVER_DH_PSK_PARAMS, lambda m: kx.ServerDHPskParams(b"kitchen", _dh(m))),
    "openssl-ecdhe-psk": (kx.SERVER_ECDH_PSK_PARAMS, lambda m: kx.ServerECDHPskParams(b"kitchen", _ecdh(m))),
}

_CIPHERTEXT: Shape = (
    kx.ENCRYPTED_PRE_MASTER_SECRET,
    lambda m: kx.EncryptedPreMasterSecret(m.hex("pre_master_secret")),
)
_YC: Shape = (kx.CLIENT_DIFFIE_HELLMAN_PUBLIC, lambda m: kx.ClientDiffieHellmanPublic(m.hex("dh_Yc")))
_POINT: Shape = (kx.CLIENT_EC_DIFFIE_HELLMAN_PUBLIC, lambda m: kx.ClientECDiffieHellmanPublic(m.hex("ecdh_Yc")))

CLIENT: dict[str, Shape] = {
    **dict.fromkeys(
        (
            "openssl-no-client-certificate",
            "openssl-null-renegotiation",
            "openssl-ticket-resumption",
            "openssl-1.0.2-null-next-protocol",
            "gnutls-null",
            "nss-client",
            "jsse-export",
            "jsse-null-hello-request",
        ),
        _CIPHERTEXT,
    ),
    **dict.fromkeys((source for source, shape in SERVER.items() if shape[0] is kx.SERVER_DH_PARAMS), _YC),
    **dict.fromkeys((source for source, shape in SERVER.items() if shape[0] is kx.SERVER_ECDH_PARAMS), _POINT),
    "openssl-psk": (kx.CLIENT_PSK_IDENTITY, lambda m: kx.ClientPskIdentity(b"spoon")),
    "openssl-rsa-psk": (kx.CLIENT_RSA_PSK, lambda m: kx.ClientRSAPsk(b"spoon", _CIPHERTEXT[1](m))),
    "openssl-dhe-psk": (kx.CLIENT_DH_PSK, lambda m: kx.ClientDHPsk(b"spoon", _YC[1](m))),
    "openssl-ecdhe-psk": (kx.CLIENT_ECDH_PSK, lambda m: kx.ClientECDHPsk(b"spoon", _POINT[1](m))),
}


def test_every_captured_key_exchange_is_tried_below() -> None:
    assert {m.source for m in captures.of_kind("server_key_exchange")} == set(SERVER)
    assert {m.source for m in captures.of_kind("client_key_exchange")} == set(CLIENT)


@pytest.mark.parametrize("source", SERVER)
def test_captured_server_key_exchange(source: str) -> None:
    """R2246-7.4.3-03, R2246-7.4.3-04, R2246-7.4.3-06, R4492-5.4-01."""
    grammar, fields = SERVER[source]
    captured = captures.find(source, "server_key_exchange")
    signature = bytes.fromhex(captured.fields["signature"]) if "signature" in captured.fields else None
    message = kx.ServerKeyExchange(captured.body)

    params, signed, found = kx.parse_server_key_exchange(grammar, message, signed=signature is not None)

    assert params == fields(captured)
    assert found == signature
    assert signed == captured.body[: len(captured.body) - (0 if signature is None else 2 + len(signature))]
    # and the other direction, from tlslite-ng's fields
    assert kx.build_server_key_exchange(build(grammar, fields(captured)), signature) == message


@pytest.mark.parametrize("source", CLIENT)
def test_captured_client_key_exchange(source: str) -> None:
    """R2246-7.4.7.1-06, R2246-7.4.7.2-01, R4492-5.7-01."""
    grammar, fields = CLIENT[source]
    captured = captures.find(source, "client_key_exchange")
    message = kx.ClientKeyExchange(captured.body)
    assert kx.parse_client_key_exchange(grammar, message) == fields(captured)
    assert kx.build_client_key_exchange(grammar, fields(captured)) == message


@pytest.mark.parametrize("source", [s for s in SERVER if "anon" not in s and "psk" not in s])
def test_the_bytes_returned_are_the_bytes_signed(source: str) -> None:
    """R2246-7.4.3-05: the peer's own signature verifies over both randoms and exactly these bytes."""
    (flow, *_) = captures.connections(source)
    by_kind = {m.kind: m for m in reversed(flow)}
    hello = by_kind.get("client_hello") or by_kind["v2_client_hello"]
    message = kx.ServerKeyExchange(by_kind["server_key_exchange"].body)
    _, params, signature = kx.parse_server_key_exchange(SERVER[source][0], message, signed=True)
    assert signature is not None

    data = hello.hex("random") + by_kind["server_hello"].hex("random") + params
    leaf = bytes.fromhex(by_kind["certificate"].fields["certificate_list"][0])
    key = x509.load_der_x509_certificate(leaf).public_key()
    assert isinstance(key, PublicKey)
    digest = sha1(data).digest()
    verify(key, signature, md5(data).digest() + digest if isinstance(key, RSAPublicKey) else digest)


DH = "0001" + "17" + "0001" + "05" + "0001" + "08"


@pytest.mark.parametrize("tail", ["00", "0000", "0001ff"])
def test_nothing_follows_anonymous_parameters(tail: str) -> None:
    """R2246-7.4.3-06: "not even a length"."""
    message = kx.ServerKeyExchange(bytes.fromhex(DH + tail))
    with pytest.raises(DecodeError, match=f"{len(tail) // 2} bytes left over"):
        kx.parse_server_key_exchange(kx.SERVER_DH_PARAMS, message, signed=False)


@pytest.mark.parametrize("tail", ["", "00", "0001", "0001ff00"])
def test_a_signature_is_there_and_ends_the_message(tail: str) -> None:
    """R2246-4.7-01, R2246-7.4.1.2-21."""
    message = kx.ServerKeyExchange(bytes.fromhex(DH + tail))
    with pytest.raises(DecodeError, match="signed_params"):
        kx.parse_server_key_exchange(kx.SERVER_DH_PARAMS, message, signed=True)


@pytest.mark.parametrize(
    ("grammar", "body"),
    [
        (kx.SERVER_DH_PARAMS, "0000" + "0001" + "05" + "0001" + "08"),
        (kx.SERVER_DH_PARAMS, "0001" + "17" + "0000" + "0001" + "08"),
        (kx.SERVER_DH_PARAMS, "0001" + "17" + "0001" + "05" + "0000"),
        (kx.SERVER_DH_PARAMS, "0001" + "17" + "0001" + "05"),
        (kx.SERVER_RSA_PARAMS, "0000" + "0001" + "03"),
        (kx.SERVER_RSA_PARAMS, "0001" + "0f" + "0000"),
        (kx.SERVER_ECDH_PARAMS, "03" + "0017" + "00"),
        (kx.SERVER_ECDH_PARAMS, "03" + "00"),
    ],
)
def test_malformed_parameters(grammar: Leaf[Any], body: str) -> None:
    """R2246-7.4.3-03, R2246-7.4.3-04: "at least one byte" each."""
    with pytest.raises(DecodeError):
        kx.parse_server_key_exchange(grammar, kx.ServerKeyExchange(bytes.fromhex(body)), signed=False)


@pytest.mark.parametrize("curve_type", [0, 1, 2, 4, 255])
def test_only_named_curves(curve_type: int) -> None:
    """R4492-5.4-01."""
    message = kx.ServerKeyExchange(bytes([curve_type]) + bytes.fromhex("0017" + "0104"))
    with pytest.raises(IllegalParameter, match=f"curve_type: {curve_type} "):
        kx.parse_server_key_exchange(kx.SERVER_ECDH_PARAMS, message, signed=False)
    with pytest.raises(LocalError):
        build(kx.SERVER_ECDH_PARAMS, kx.ServerECDHParams(curve_type, 23, b"\x04"))


@pytest.mark.parametrize(
    ("grammar", "body"),
    [
        (kx.CLIENT_DIFFIE_HELLMAN_PUBLIC, ""),  # R2246-7.4.7.2-02: implicit, without a DH certificate to imply it
        (kx.CLIENT_DIFFIE_HELLMAN_PUBLIC, "0000"),
        (kx.CLIENT_DIFFIE_HELLMAN_PUBLIC, "0001"),
        (kx.CLIENT_DIFFIE_HELLMAN_PUBLIC, "000108ff"),
        (kx.CLIENT_EC_DIFFIE_HELLMAN_PUBLIC, ""),
        (kx.CLIENT_EC_DIFFIE_HELLMAN_PUBLIC, "00"),
        (kx.ENCRYPTED_PRE_MASTER_SECRET, "11" * 64),  # R2246-7.4.7.1-06: as SSL 3.0 sent it, without its length
        (kx.ENCRYPTED_PRE_MASTER_SECRET, ""),
        (kx.CLIENT_RSA_PSK, "0000"),
        (kx.CLIENT_DH_PSK, "0001" + "61" + "0000"),
    ],
)
def test_malformed_client_key_exchanges(grammar: Leaf[Any], body: str) -> None:
    with pytest.raises(DecodeError, match=r"^decode_error\(50\): ClientKeyExchange"):
        kx.parse_client_key_exchange(grammar, kx.ClientKeyExchange(bytes.fromhex(body)))


def test_the_premaster_secret_is_48_bytes_and_never_printed() -> None:
    """R2246-7.4.7.1-01, R2246-4.3-01."""
    secret = kx.PreMasterSecret(0x0301, b"\xee" * 46)
    raw = build(kx.PRE_MASTER_SECRET, secret)
    assert raw == b"\x03\x01" + b"\xee" * 46
    assert parse(kx.PRE_MASTER_SECRET, raw) == secret
    assert "\\xee" not in repr(secret)
    for wrong in (raw[:-1], raw + b"\0"):
        with pytest.raises(DecodeError) as caught:
            parse(kx.PRE_MASTER_SECRET, wrong)
        assert "ee" not in str(caught.value).replace("decode", "")
