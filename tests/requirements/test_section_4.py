"""The presentation language on the line: numbers, vectors, signed and encrypted elements (RFC 2246 §4), and the PRF."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha1

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.dsa import DSAPublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import (
    Prehashed,
    decode_dss_signature,
    encode_dss_signature,
)
from cryptography.hazmat.primitives.hashes import SHA1

from tests.support.conversation import opposite, refused
from tests.support.ends import (
    DH_ANON,
    DHE_DSS,
    DHE_RSA,
    ECDHE_ECDSA,
    ECDHE_RSA,
    RSA,
    RSA_NULL,
    RSA_RC4,
    client_end,
    server_end,
)
from tests.support.forge import Forge
from tests.support.pki import pki
from tests.support.traces import (
    client_trace,
    put,
    raw_message,
    server_key_exchange_with,
    server_trace,
    split,
)
from tests.support.wiretap import Fields, TappedMessage, Wiretap, md5_sha1, rsa_block, tapped_ends
from tlsexit.alerts import AlertDescription
from tlsexit.constants import Role
from tlsexit.profile import Verify

MD5_NULL = 0x0001  # TLS_RSA_WITH_NULL_MD5
MD5_RC4 = 0x0004  # TLS_RSA_WITH_RC4_128_MD5
TRIPLE_DES = 0x000A  # TLS_RSA_WITH_3DES_EDE_CBC_SHA

AUTHENTICATED = [RSA, DHE_RSA, DHE_DSS, ECDHE_RSA, ECDHE_ECDSA]


def joined(suite: int) -> Wiretap:
    """A conversation with data both ways, read along; the client shows a certificate where the suite permits."""
    server = {} if suite == DH_ANON else {"verify": Verify.REQUIRED}
    return tapped_ends(suite, server=server).handshake().exchange()


def signed_params(message: TappedMessage, suite: int) -> tuple[bytes, bytes]:
    """The parameters of a ServerKeyExchange as they went over the line, and the signature behind them."""
    fields = message.fields
    if suite in (ECDHE_RSA, ECDHE_ECDSA):
        assert fields.number(1) == 3
        fields.take(2)
        fields.vector(1)
    else:
        for _ in range(3):
            assert fields.vector(2)
    params = message.body[: len(message.body) - len(fields.rest)]
    signature = fields.vector(2)
    fields.end()
    return params, signature


def test_numbers_are_big_endian() -> None:
    """R2246-4.1-01: the tap reads every length that way; the time is known here."""
    tap = tapped_ends(RSA, config={"clock": lambda: 0x0102_0304 + 0.5}).pump()
    assert tap.hellos[Role.CLIENT].random[:4] == b"\1\2\3\4"
    assert tap.hellos[Role.SERVER].random[:4] == b"\1\2\3\4"
    certificate = tap.message(11)
    assert certificate.fields.number(3) == len(certificate.body) - 3 > 255


@pytest.mark.parametrize("suite", [*AUTHENTICATED, DH_ANON])
def test_every_message_is_read_by_the_widths_declared(suite: int) -> None:
    """R2246-4.3-01, R2246-4.3-02, R2246-4.6.1-01, R2246-7.4-01: to the last byte, and nothing says which form it is."""
    tap = joined(suite)
    readers: dict[int, Callable[[TappedMessage], object]] = {
        1: lambda item: None,  # the tap has read the hellos already
        2: lambda item: None,
        11: lambda item: read_all(item, lambda fields: fields.vectors(3, 3)),
        12: lambda item: read_server_key_exchange(item, suite),
        13: lambda item: read_all(item, read_certificate_request),
        14: lambda item: read_all(item, lambda fields: None),
        15: lambda item: read_all(item, lambda fields: fields.vector(2)),
        16: lambda item: read_all(item, lambda fields: fields.vector(1 if suite in (ECDHE_RSA, ECDHE_ECDSA) else 2)),
        20: lambda item: read_all(item, lambda fields: fields.take(12)),
    }
    for item in tap.messages:
        readers[item.kind](item)
    assert tap.message(1).body[2:34] == tap.hellos[Role.CLIENT].random
    assert all(item.raw[:4] == b"\x14\0\0\x0c" for item in tap.messages if item.kind == 20)


def read_all(item: TappedMessage, read: Callable[[Fields], object]) -> None:
    fields = item.fields
    read(fields)
    fields.end()


def read_certificate_request(fields: Fields) -> None:
    assert fields.vector(1)
    assert all(name for name in fields.vectors(2, 2))


def read_server_key_exchange(item: TappedMessage, suite: int) -> None:
    if suite == DH_ANON:
        # R2246-7.4.3-06: no signature, not even its length
        read_all(item, lambda fields: [fields.vector(2) for _ in range(3)])
    else:
        signed_params(item, suite)


@pytest.mark.parametrize("suite", [RSA, DHE_RSA, ECDHE_RSA])
def test_rsa_signatures_on_the_line(suite: int) -> None:
    """R2246-4.7-01, R2246-4.7-02, R2246-7.4.3-05, R2246-7.4.8-03: block type 1 around 36 bytes, and nothing else."""
    tap = joined(suite)
    verify = tap.message(15)
    block = rsa_block(tap.leaf(Role.CLIENT), verify.fields.vector(2))
    assert block == b"\0\1" + b"\xff" * (len(block) - 39) + b"\0" + md5_sha1(tap.before(verify))
    if suite != RSA:
        params, signature = signed_params(tap.message(12), suite)
        covered = tap.hellos[Role.CLIENT].random + tap.hellos[Role.SERVER].random + params
        block = rsa_block(tap.leaf(Role.SERVER), signature)
        assert block == b"\0\1" + b"\xff" * (len(block) - 39) + b"\0" + md5_sha1(covered)


def test_dsa_signatures_on_the_line() -> None:
    """R2246-4.7-03, R2246-7.4.3-05, R2246-7.4.8-03: over the 20 bytes of SHA-1, as DER of r and s."""
    tap = joined(DHE_DSS)
    params, signature = signed_params(tap.message(12), DHE_DSS)
    check_dsa(
        tap.leaf(Role.SERVER),
        signature,
        tap.hellos[Role.CLIENT].random + tap.hellos[Role.SERVER].random + params,
    )
    verify = tap.message(15)
    check_dsa(tap.leaf(Role.CLIENT), verify.fields.vector(2), tap.before(verify))


def check_dsa(certificate: bytes, signature: bytes, data: bytes) -> None:
    key = x509.load_der_x509_certificate(certificate).public_key()
    assert isinstance(key, DSAPublicKey)
    key.verify(signature, sha1(data).digest(), Prehashed(SHA1()))
    assert encode_dss_signature(*decode_dss_signature(signature)) == signature  # minimal DER


@pytest.mark.parametrize("suite", [DHE_DSS, ECDHE_ECDSA])
def test_a_signature_that_is_not_der(suite: int) -> None:
    """R2246-4.7-03: SSL 3.0 sent r and s bare."""

    def bare(signature: bytes) -> bytes:
        r, s = decode_dss_signature(signature)
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")

    step = server_key_exchange_with(signature=bare)
    forge = Forge(client_end(suite), suite).play(put(server_trace(suite), "server_key_exchange", step))
    refused(forge, AlertDescription.DECRYPT_ERROR)


@pytest.mark.parametrize(("suite", "hash_size"), [(RSA_RC4, 20), (MD5_RC4, 16), (RSA_NULL, 20), (MD5_NULL, 16)])
def test_a_stream_cipher_adds_the_mac_alone(suite: int, hash_size: int) -> None:
    """R2246-4.7-04, R2246-6.2.3.1-04, R2246-6.2.3.1-05: as many bytes as content and MAC have, in one key stream."""
    tap = tapped_ends(suite).handshake()
    for size in (1, 2, 15, 16, 17, 300):
        tap.exchange(bytes(size), bytes(size))
    for item in tap.records:
        if item.protected:
            assert item.length == len(item.content) + hash_size
    assert len(tap.sent(Role.CLIENT, 23)) == 6


def test_the_encrypted_premaster_secret_on_the_line() -> None:
    """R2246-4.7-05, R2246-7.4.7.1-01, R2246-7.4.7.1-06, R2246-7.4.7.1-07: block type 2 to the certificate's key."""
    key = pki().server.key
    assert isinstance(key, RSAPrivateKey)
    d, n = key.private_numbers().d, key.public_key().public_numbers().n
    paddings, secrets = set(), set()
    for _ in range(10):
        body = tapped_ends(RSA).handshake().message(16).fields
        ciphertext = body.vector(2)
        body.end()
        assert len(ciphertext) == 256
        block = pow(int.from_bytes(ciphertext, "big"), d, n).to_bytes(256, "big")
        padding, secret = block[2:-49], block[-48:]
        assert block[:2] == b"\0\2"
        assert 0 not in padding
        assert block[-49] == 0
        assert secret[:2] == b"\3\1"
        paddings.add(padding)
        secrets.add(secret[2:])
    assert len(paddings) == len(secrets) == 10


def test_a_list_of_32767_suites() -> None:
    """R2246-4.4-01: 0xFFFE is a large length, not a negative one."""
    suites = (*(value for value in range(0x2000, 0x2000 + 32766)), RSA)
    server = server_end(RSA)
    forge = Forge(server, RSA, {"cipher_suites": suites}).play(split(client_trace(RSA), "client_hello", 2**14))
    assert forge.server_hello is not None
    assert forge.server_hello.cipher_suite == RSA
    assert server.connection.established


@pytest.mark.parametrize("role", Role)
def test_the_largest_length_there_is(role: Role) -> None:
    """R2246-4.4-01, R2246-7.4-05: refused by its header, with nothing set aside for it."""
    forge = opposite(role)
    forge.send_record(22, bytes([2 if role is Role.SERVER else 1]) + b"\xff\xff\xff" + bytes(10))
    refused(forge, AlertDescription.ILLEGAL_PARAMETER)


@pytest.mark.parametrize("method", [0x42, 0xFF])
def test_an_undeclared_compression_method(method: int) -> None:
    """R2246-4.5-01: in a field with a single value."""
    forge = Forge(client_end(RSA), RSA, {"compression_method": method}).play(server_trace(RSA)[:1])
    refused(forge, AlertDescription.ILLEGAL_PARAMETER)


@pytest.mark.parametrize(
    ("role", "suite", "name", "body"),
    [
        pytest.param(Role.SERVER, RSA, "certificate", b"\0\0\4\0\0\2!", id="certificate"),
        pytest.param(Role.SERVER, RSA, "certificate_request", b"\1\1\0\3\0\2!", id="name"),
        pytest.param(Role.SERVER, DHE_RSA, "server_key_exchange", b"\1\1!", id="dh_p"),
        pytest.param(Role.SERVER, DHE_RSA, "server_key_exchange", b"\0\1\7\0\1\2\0\1\4\1\0!", id="signature"),
        pytest.param(Role.CLIENT, DHE_RSA, "client_key_exchange", b"\0\2!", id="dh_Yc"),
        pytest.param(Role.CLIENT, RSA, "client_key_exchange", b"\1\0!", id="premaster secret"),
        pytest.param(Role.CLIENT, RSA, "certificate_verify", b"\1\0!", id="verify"),
    ],
)
def test_an_inner_length_beyond_the_message(role: Role, suite: int, name: str, body: bytes) -> None:
    """R2246-4.3-05: no byte behind the message is read for it, though there are some."""
    kinds = {
        "certificate": 11,
        "server_key_exchange": 12,
        "certificate_request": 13,
        "certificate_verify": 15,
        "client_key_exchange": 16,
    }
    honest = (
        client_trace(suite, certificate=name == "certificate_verify")
        if role is Role.CLIENT
        else server_trace(suite, request=True)
    )
    forge = opposite(role, suite, mutual=name == "certificate_verify").play(honest[: index(honest, name)])
    message = raw_message(kinds[name], body).build(forge)
    forge.send_record(22, message + bytes(300))
    refused(forge, AlertDescription.DECODE_ERROR)


def index(trace: tuple[object, ...], name: str) -> int:
    return next(at for at, step in enumerate(trace) if getattr(step, "name", "") == name)


@pytest.mark.parametrize("suite", [MD5_NULL, MD5_RC4, RSA_NULL, TRIPLE_DES, RSA])
def test_the_mac_of_the_suite_changes_nothing_else(suite: int) -> None:
    """R2246-5-09, R2246-3-01: the tap has one formula for Finished, and CertificateVerify is MD5 and SHA-1 always."""
    tap = joined(suite)
    assert len(tap.finished) == 2
    assert all(len(data) == 12 for _, data in tap.finished)
    verify = tap.message(15)
    assert rsa_block(tap.leaf(Role.CLIENT), verify.fields.vector(2))[-36:] == md5_sha1(tap.before(verify))


@pytest.mark.parametrize("group", ["modp1024", "ffdhe2048", "ffdhe4096"])
def test_premaster_secrets_longer_than_two_hash_blocks(group: str) -> None:
    """R2246-5-02: half of a secret of over 128 bytes is hashed before it keys HMAC; both ends and the tap agree."""
    tap = tapped_ends(DHE_RSA, server={"dh_group": group}).handshake().exchange()
    assert len(tap.message(16).fields.vector(2)) > 120
