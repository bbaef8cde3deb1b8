"""From the premaster secret to the master secret, judged from outside (RFC 2246 §8, RFC 4346 §8.1.2, RFC 7627)."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.support.conversation import carries_data
from tests.support.ends import DH_ANON, DHE_RSA, ECDHE_RSA, RSA, client_end, server_end
from tests.support.forge import Forge, Step
from tests.support.pki import pki
from tests.support.traces import client_trace, put, server_key_exchange_with, server_trace
from tests.support.vectors import reference_prf
from tests.support.wiretap import md5_sha1, tapped_ends
from tlsexit.alerts import IllegalParameter
from tlsexit.constants import Role
from tlsexit.crypto.groups import NamedCurve, dh_group
from tlsexit.handshake import keyexchange as kx
from tlsexit.handshake.codec import encode
from tlsexit.handshake.keyexchange import ClientKeyExchange
from tlsexit.profile import Verify
from tlsexit.wire import build


@pytest.mark.parametrize("extended", [False, True])
@pytest.mark.parametrize("verify", [Verify.NONE, Verify.REQUIRED])
def test_the_master_secret_of_an_rsa_handshake(extended: bool, verify: Verify) -> None:
    """R2246-8.1-01, R7627-4-01: over both randoms, or over all messages up to ClientKeyExchange and none behind it."""
    profile = {"extended_master_secret": extended}
    tap = tapped_ends(RSA, client=dict(profile), server={**profile, "verify": verify}).handshake()
    key = pki().server.key
    assert isinstance(key, RSAPrivateKey)
    exchange = tap.message(16)
    numbers = key.private_numbers()
    block = pow(int.from_bytes(exchange.fields.vector(2), "big"), numbers.d, numbers.public_numbers.n)
    secret = block.to_bytes(256, "big")[-48:]
    client, server = tap.hellos[Role.CLIENT].random, tap.hellos[Role.SERVER].random
    if extended:
        session_hash = md5_sha1(tap.before(exchange) + exchange.raw)
        expected = reference_prf(secret, b"extended master secret", session_hash, 48)
    else:
        expected = reference_prf(secret, b"master secret", client + server, 48)
    assert tap.master_secret == expected


def stripped(value: int) -> bytes:
    """The bytes of a number without leading zeros."""
    return value.to_bytes((value.bit_length() + 7) // 8, "big")


@pytest.mark.parametrize("zeros", [1, 2])
@pytest.mark.parametrize("suite", [DHE_RSA, DH_ANON])
def test_a_short_shared_secret_at_the_server(suite: int, zeros: int) -> None:
    """R2246-8.1.2-01, R4346-8.1.2-01: Z as it is, less its leading zero bytes; one handshake in 256 has some."""
    group = dh_group("modp1024")

    def built(forge: Forge) -> bytes:
        params = forge.server_params
        assert isinstance(params, kx.ServerDHParams)
        p, ys = group.p, int.from_bytes(params.dh_Ys, "big")
        own, shared = 4, ys * ys % p
        while shared.bit_length() > 1024 - 8 * zeros or shared.bit_length() <= 1024 - 8 * zeros - 8:
            own, shared = own * 2 % p, shared * ys % p
        forge.pre_master_secret = stripped(shared)
        assert len(forge.pre_master_secret) == 128 - zeros
        number = stripped(own)
        return encode(ClientKeyExchange(len(number).to_bytes(2, "big") + number))

    trace = put(client_trace(suite), "client_key_exchange", Step("client_key_exchange", built, after=Forge.derive))
    carries_data(Forge(server_end(suite, dh_group="modp1024"), suite).play(trace))


class ShortSecretForge(Forge):
    """A server whose group makes half of the shared secrets half as long as the modulus: p = w^2 + w + 1, g = w."""

    w = 2**512 + 1
    p = w * w + w + 1

    def _read_client_key_exchange(self, message: ClientKeyExchange) -> bytes:
        # the server's own exponent is 1, so Z is the client's value: w, or w^2 = p - w - 1
        return stripped(int.from_bytes(message.body[2:], "big"))


def test_a_short_shared_secret_at_the_client() -> None:
    """R2246-8.1.2-01, R4346-8.1.2-01: 64 bytes of zeros in front of Z, and both ends agree."""
    w, p = ShortSecretForge.w, ShortSecretForge.p
    params = build(kx.SERVER_DH_PARAMS, kx.ServerDHParams(stripped(p), stripped(w), stripped(w)))
    trace = put(server_trace(DHE_RSA), "server_key_exchange", server_key_exchange_with(lambda forge: params))
    seen = set()
    for _ in range(200):
        forge = ShortSecretForge(client_end(DHE_RSA), DHE_RSA).play(trace)
        if isinstance(forge.target.connection.error, IllegalParameter):
            continue  # the client's value was w^3 = 1
        carries_data(forge)
        seen.add(len(forge.pre_master_secret))
        if len(seen) == 2:
            break
    assert seen == {65, 129}


def test_a_short_coordinate() -> None:
    """R4492-5.10-01: the x-coordinate keeps its leading zero byte."""

    def built(forge: Forge) -> bytes:
        params = forge.server_params
        assert isinstance(params, kx.ServerECDHParams)
        theirs = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), params.public)
        scalar = 1
        while True:
            scalar += 1
            own = ec.derive_private_key(scalar, ec.SECP256R1())
            forge.pre_master_secret = own.exchange(ec.ECDH(), theirs)
            if forge.pre_master_secret[0] == 0:
                break
        assert len(forge.pre_master_secret) == 32
        point = own.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        return encode(ClientKeyExchange(bytes([len(point)]) + point))

    trace = put(client_trace(ECDHE_RSA), "client_key_exchange", Step("client_key_exchange", built, after=Forge.derive))
    server = server_end(ECDHE_RSA, groups=(int(NamedCurve.SECP256R1),))
    carries_data(Forge(server, ECDHE_RSA).play(trace))
