"""Key exchange messages, CertificateVerify and Finished with wrong contents (RFC 2246 §7.4.3 to §7.4.9)."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA1

from tests.support.conversation import carries_data, honest, opposite, refused
from tests.support.ends import DH_ANON, DHE_DSS, DHE_RSA, ECDHE_ECDSA, ECDHE_RSA, client_end, server_end
from tests.support.forge import Forge, Step, Trace
from tests.support.pki import authority_key
from tests.support.traces import (
    alter,
    client_public_value,
    client_trace,
    finished,
    hello_request,
    put,
    raw_message,
    server_key_exchange_with,
    server_params,
    server_trace,
)
from tlsexit.alerts import AlertDescription
from tlsexit.constants import Role
from tlsexit.crypto.groups import dh_group
from tlsexit.crypto.keyops import sign
from tlsexit.crypto.schedule import verify_data
from tlsexit.crypto.suites import KeyType
from tlsexit.handshake import keyexchange as kx
from tlsexit.handshake.certificate import CertificateVerify
from tlsexit.handshake.codec import encode
from tlsexit.handshake.finished import Finished
from tlsexit.wire import build

P = dh_group("ffdhe2048").p


def server_says(step: Step, suite: int = DHE_RSA) -> Forge:
    """A forged server with another ServerKeyExchange."""
    return Forge(client_end(suite), suite).play(put(server_trace(suite), "server_key_exchange", step))


def number(value: int) -> bytes:
    return value.to_bytes(max(1, (value.bit_length() + 7) // 8), "big")


def dh_params(p: int, g: int, ys: int) -> Callable[[Forge], bytes]:
    return lambda forge: build(kx.SERVER_DH_PARAMS, kx.ServerDHParams(number(p), number(g), number(ys)))


# ------------------------------------------------------------------------------------------------ ServerKeyExchange


@pytest.mark.parametrize("suite", [DHE_RSA, DHE_DSS, ECDHE_RSA, ECDHE_ECDSA])
@pytest.mark.parametrize(
    "spoil",
    [
        lambda s: s[:-1] + bytes([s[-1] ^ 1]),
        lambda s: bytes(len(s)),
        lambda s: b"",
        lambda s: s + b"\0",
        lambda s: s[1:],
    ],
    ids=["one bit", "zeros", "empty", "longer", "shorter"],
)
def test_a_spoilt_signature(suite: int, spoil: Callable[[bytes], bytes]) -> None:
    """R2246-7.4.3-05, R2246-7.2.2-18."""
    refused(server_says(server_key_exchange_with(signature=spoil), suite), AlertDescription.DECRYPT_ERROR)


def test_a_signature_by_another_key() -> None:
    """R2246-7.4.2-09: the key is that of the first certificate."""

    def built(forge: Forge) -> bytes:
        params = server_params(forge)
        signature = sign(authority_key(KeyType.RSA), forge.params_digest(params))
        return encode(kx.build_server_key_exchange(params, signature))

    refused(server_says(Step("server_key_exchange", built)), AlertDescription.DECRYPT_ERROR)


@pytest.mark.parametrize("what", ["randoms", "params"])
def test_a_signature_over_something_else(what: str) -> None:
    """R2246-7.4.3-05: it covers both randoms and the parameters, so none of them can be replayed."""

    def built(forge: Forge) -> bytes:
        params = server_params(forge)
        if what == "params":
            return encode(
                kx.build_server_key_exchange(server_params(forge), sign(forge.own_key, forge.params_digest(params)))
            )
        old, forge.client_hello = forge.client_hello, None
        signature = sign(forge.own_key, forge.params_digest(params))
        forge.client_hello = old
        return encode(kx.build_server_key_exchange(params, signature))

    refused(server_says(Step("server_key_exchange", built)), AlertDescription.DECRYPT_ERROR)


def test_a_signature_with_digest_info() -> None:
    """R2246-4.7-02: the 36 bytes stand in the PKCS #1 block by themselves; SHA-1 with DigestInfo is TLS 1.2."""

    def built(forge: Forge) -> bytes:
        params = server_params(forge)
        key = forge.own_key
        assert isinstance(key, RSAPrivateKey)
        signature = key.sign(b"".join(forge.randoms) + params, PKCS1v15(), SHA1())
        return encode(kx.build_server_key_exchange(params, signature))

    refused(server_says(Step("server_key_exchange", built)), AlertDescription.DECRYPT_ERROR)


@pytest.mark.parametrize("suite", [DHE_RSA, ECDHE_RSA])
def test_no_signature(suite: int) -> None:
    """R2246-7.4.3-05: its length at least must be there."""
    step = Step("server_key_exchange", lambda forge: encode(kx.ServerKeyExchange(server_params(forge))))
    refused(server_says(step, suite), AlertDescription.DECODE_ERROR)


def test_a_signature_from_an_anonymous_server() -> None:
    """R2246-7.4.3-06: not even its length may be there."""
    step = Step("server_key_exchange", lambda forge: encode(kx.ServerKeyExchange(server_params(forge) + b"\0\0")))
    refused(server_says(step, DH_ANON), AlertDescription.DECODE_ERROR)


@pytest.mark.parametrize("ys", [0, 1, P - 1, P, P + 1, 2**2048], ids=["0", "1", "p-1", "p", "p+1", "2^2048"])
@pytest.mark.parametrize("suite", [DHE_RSA, DH_ANON])
def test_degenerate_public_values_of_a_server(suite: int, ys: int) -> None:
    """R5246-F.1.1.3-01: they would fix the premaster secret."""
    refused(server_says(server_key_exchange_with(dh_params(P, 2, ys)), suite), AlertDescription.ILLEGAL_PARAMETER)


@pytest.mark.parametrize("g", [0, 1, P - 1, P], ids=["0", "1", "p-1", "p"])
def test_degenerate_generators(g: int) -> None:
    """R5246-F.1.1.3-01."""
    refused(server_says(server_key_exchange_with(dh_params(P, g, 4))), AlertDescription.ILLEGAL_PARAMETER)


@pytest.mark.parametrize("bits", [16, 512, 768, 1023])
def test_small_groups(bits: int) -> None:
    """R2246-C-02, R2246-D.4-02, Logjam (CVE-2015-4000): 512 bits outside an export suite."""
    step = server_key_exchange_with(dh_params(2**bits - 1, 2, 4))
    refused(server_says(step), AlertDescription.INSUFFICIENT_SECURITY)


@pytest.mark.parametrize("p", [2**8193 + 1, 2**16000 + 1, 2**2047], ids=["huge", "absurd", "even"])
def test_impossible_groups(p: int) -> None:
    """R2246-D.4-02: a modulus costs by its cube; an even one is none."""
    refused(server_says(server_key_exchange_with(dh_params(p, 2, 4))), AlertDescription.ILLEGAL_PARAMETER)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\0\0\0\1\2\0\1\4",
        b"\0\1\7\0\0\0\1\4",
        b"\0\1\7\0\1\2\0\0",
        b"\0\1\7\0\1\2",
        b"\xff\xff\7",
        b"\0\1\7\0\1\2\0\1",
    ],
)
@pytest.mark.parametrize("suite", [DHE_RSA, DH_ANON])
def test_parameters_that_do_not_parse(suite: int, body: bytes) -> None:
    """R2246-7.4.3-03."""
    refused(server_says(raw_message(12, body), suite), AlertDescription.DECODE_ERROR)


@pytest.mark.parametrize("curve", [0, 1, 22, 26, 30, 0xFF01, 0xFFFF])
def test_curves_that_were_not_offered(curve: int) -> None:
    """R4492-5.4-01."""
    point = b"\4" + bytes(64)
    encoded = build(kx.SERVER_ECDH_PARAMS, kx.ServerECDHParams(3, curve, point))
    step = server_key_exchange_with(lambda forge: encoded)
    refused(server_says(step, ECDHE_RSA), AlertDescription.ILLEGAL_PARAMETER)


def test_a_curve_that_the_profile_leaves_out() -> None:
    """R4492-5.4-01: known, but not offered."""
    client = client_end(ECDHE_RSA, groups=(29,))
    forge = Forge(client, ECDHE_RSA)
    forge.groups = (23,)
    refused(forge.play(server_trace(ECDHE_RSA)), AlertDescription.ILLEGAL_PARAMETER)


@pytest.mark.parametrize("kind", [0, 1, 2, 255])
def test_explicit_curves(kind: int) -> None:
    """R4492-5.4-01: named curves only."""
    refused(server_says(raw_message(12, bytes([kind]) + bytes(80)), ECDHE_RSA), AlertDescription.ILLEGAL_PARAMETER)


BAD_POINTS = {
    "off the curve": b"\4" + b"\1" * 64,
    "infinity": b"\0",
    "compressed": b"\2" + b"\1" * 32,
    "short": b"\4" + b"\1" * 63,
    "no format": b"\1" * 64,
}


@pytest.mark.parametrize("name", BAD_POINTS)
@pytest.mark.parametrize("role", Role)
def test_points_that_are_none(role: Role, name: str) -> None:
    """R4492-5.7-01: invalid-curve attacks recover keys."""
    point = BAD_POINTS[name]
    if role is Role.SERVER:
        encoded = build(kx.SERVER_ECDH_PARAMS, kx.ServerECDHParams(3, 23, point))
        forge = server_says(server_key_exchange_with(lambda forge: encoded), ECDHE_RSA)
    else:
        forge = Forge(server_end(ECDHE_RSA, groups=(23,)), ECDHE_RSA)
        step = raw_message(16, bytes([len(point)]) + point)
        forge.play(put(client_trace(ECDHE_RSA), "client_key_exchange", step))
    refused(forge, AlertDescription.ILLEGAL_PARAMETER)


@pytest.mark.parametrize("role", Role)
def test_the_zero_of_x25519(role: Role) -> None:
    """RFC 7748 §6.1: a point of small order leads to zero, whatever the other key."""
    if role is Role.SERVER:
        encoded = build(kx.SERVER_ECDH_PARAMS, kx.ServerECDHParams(3, 29, bytes(32)))
        forge = server_says(server_key_exchange_with(lambda forge: encoded), ECDHE_RSA)
    else:
        forge = Forge(server_end(ECDHE_RSA, groups=(29,)), ECDHE_RSA)
        forge.play(put(client_trace(ECDHE_RSA), "client_key_exchange", raw_message(16, b"\x20" + bytes(32))))
    refused(forge, AlertDescription.ILLEGAL_PARAMETER)


# ------------------------------------------------------------------------------------------------ ClientKeyExchange


@pytest.mark.parametrize("yc", [0, 1, P - 1, P, 2**2048], ids=["0", "1", "p-1", "p", "2^2048"])
@pytest.mark.parametrize("suite", [DHE_RSA, DH_ANON])
def test_degenerate_public_values_of_a_client(suite: int, yc: int) -> None:
    """R5246-F.1.1.3-01."""
    trace = put(client_trace(suite), "client_key_exchange", client_public_value(number(yc)))
    refused(Forge(server_end(suite), suite).play(trace), AlertDescription.ILLEGAL_PARAMETER)


@pytest.mark.parametrize("body", [b"", b"\0", b"\0\0", b"\0\2\5", b"\0\1\5\0"])
@pytest.mark.parametrize("suite", [DHE_RSA, DH_ANON])
def test_client_values_that_do_not_parse(suite: int, body: bytes) -> None:
    """R2246-7.4.7.2-01, R2246-7.4.7.2-02: the empty, implicit form needs a Diffie-Hellman certificate."""
    trace = put(client_trace(suite), "client_key_exchange", raw_message(16, body))
    refused(Forge(server_end(suite), suite).play(trace), AlertDescription.DECODE_ERROR)


def test_a_public_value_with_leading_zeros() -> None:
    """A number is a number, however many zeros stand before it."""
    trace = alter(
        client_trace(DHE_RSA),
        "client_key_exchange",
        lambda data: (
            b"\x10"
            + (len(data) - 4 + 3).to_bytes(3, "big")
            + (len(data) - 6 + 3).to_bytes(2, "big")
            + bytes(3)
            + data[6:]
        ),
    )
    carries_data(Forge(server_end(DHE_RSA), DHE_RSA).play(trace))


# ------------------------------------------------------------------------------------------------ CertificateVerify


def client_proves(signature: Callable[[Forge], bytes]) -> Forge:
    """A forged client with this CertificateVerify."""
    step = Step("certificate_verify", lambda forge: encode(CertificateVerify(signature(forge))))
    return opposite(Role.CLIENT, mutual=True).play(put(honest(Role.CLIENT, mutual=True), "certificate_verify", step))


def test_certificate_verify_by_another_key() -> None:
    """R2246-7.4.8-05."""
    forge = client_proves(lambda forge: sign(authority_key(KeyType.RSA), forge.transcript_digest()))
    refused(forge, AlertDescription.DECRYPT_ERROR)


@pytest.mark.parametrize("keep", [slice(1, None), slice(None, -1), slice(0, 1)], ids=["hello", "key exchange", "most"])
def test_certificate_verify_over_fewer_messages(keep: slice) -> None:
    """R2246-7.4.8-03: from ClientHello up to, not including, itself."""

    def signature(forge: Forge) -> bytes:
        whole = forge.transcript
        forge.transcript = type(whole)(whole.messages[keep])
        signed = sign(forge.own_key, forge.transcript_digest())
        forge.transcript = whole
        return signed

    refused(client_proves(signature), AlertDescription.DECRYPT_ERROR)


def test_certificate_verify_from_another_handshake() -> None:
    """R2246-7.4.8-03: the server's random makes every transcript new."""
    earlier: list[bytes] = []
    for _ in range(2):
        forge = client_proves(lambda forge: earlier[0] if earlier else _kept(earlier, forge))
    refused(forge, AlertDescription.DECRYPT_ERROR)


def _kept(earlier: list[bytes], forge: Forge) -> bytes:
    earlier.append(sign(forge.own_key, forge.transcript_digest()))
    return earlier[0]


@pytest.mark.parametrize("spoilt", [b"", b"\0", bytes(256), bytes(512)])
def test_certificate_verify_that_is_no_signature(spoilt: bytes) -> None:
    """R2246-7.2.2-18."""
    refused(client_proves(lambda forge: spoilt), AlertDescription.DECRYPT_ERROR)


@pytest.mark.parametrize("body", [b"", b"\0", b"\0\2\1", b"\0\1\1\0"])
def test_certificate_verify_that_does_not_parse(body: bytes) -> None:
    """R2246-7.4.1.2-21."""
    trace = put(honest(Role.CLIENT, mutual=True), "certificate_verify", raw_message(15, body))
    refused(opposite(Role.CLIENT, mutual=True).play(trace), AlertDescription.DECODE_ERROR)


# ------------------------------------------------------------------------------------------------ Finished


def with_finished(data: Callable[[Forge], bytes], role: Role) -> Forge:
    """A forge whose Finished has this verify_data."""
    step = Step("finished", lambda forge: raw_message(20, data(forge)).build(forge))
    return opposite(role).play(put(honest(role), "finished", step))


def right(forge: Forge) -> bytes:
    return finished.build(forge)[4:]


@pytest.mark.parametrize("at", range(12))
@pytest.mark.parametrize("role", Role)
def test_every_byte_of_finished_counts(role: Role, at: int) -> None:
    """R2246-7.4.9-03, R2246-7.2.2-18."""

    def spoilt(forge: Forge) -> bytes:
        data = bytearray(right(forge))
        data[at] ^= 0x80
        return bytes(data)

    refused(with_finished(spoilt, role), AlertDescription.DECRYPT_ERROR)


@pytest.mark.parametrize("length", [0, 1, 11, 13, 36])
@pytest.mark.parametrize("role", Role)
def test_the_length_of_finished(role: Role, length: int) -> None:
    """R2246-7.4.9-04, R2246-3-01: 12 bytes, not SSL 3.0's 36."""
    forge = with_finished(lambda forge: (right(forge) * 3)[:length], role)
    refused(forge, AlertDescription.DECODE_ERROR)


@pytest.mark.parametrize("role", Role)
def test_finished_with_the_label_of_the_other_side(role: Role) -> None:
    """R2246-7.4.9-05: each side has a label of its own, so a reflected Finished proves nothing."""
    forge = with_finished(
        lambda forge: verify_data(forge.master_secret, forge.role.peer, forge.transcript.digest()), role
    )
    refused(forge, AlertDescription.DECRYPT_ERROR)


def test_the_server_reflects_finished() -> None:
    """R2246-7.4.9-07: the second Finished covers the first."""
    forge = opposite(Role.SERVER)
    forge.play(honest(Role.SERVER)[:-1])
    seen = next(item for item in forge.messages if isinstance(item, Finished))
    forge.send(raw_message(20, seen.verify_data))
    refused(forge, AlertDescription.DECRYPT_ERROR)


@pytest.mark.parametrize("role", Role)
def test_finished_over_fewer_messages(role: Role) -> None:
    """R2246-7.4.9-06: every handshake message with its header."""

    def short(forge: Forge) -> bytes:
        transcript = type(forge.transcript)(forge.transcript.messages[:-1])
        return verify_data(forge.master_secret, forge.role, transcript.digest())

    refused(with_finished(short, role), AlertDescription.DECRYPT_ERROR)


@pytest.mark.parametrize("role", Role)
def test_finished_under_another_master_secret(role: Role) -> None:
    """R2246-7.4.9-03."""
    forge = with_finished(lambda forge: verify_data(bytes(48), forge.role, forge.transcript.digest()), role)
    refused(forge, AlertDescription.DECRYPT_ERROR)


def test_the_hello_request_is_not_hashed() -> None:
    """R2246-7.4.1.1-07, R2246-7.4.9-06: if it were, Finished would not match."""
    trace: Trace = honest(Role.SERVER)
    carries_data(opposite(Role.SERVER).play((trace[0], hello_request, *trace[1:])))
