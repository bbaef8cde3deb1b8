"""ECDH with the key of the server's certificate (RFC 4492 §2.1, §2.3): a client can, a server never chooses it."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from tests.support.conversation import carries_data, refused
from tests.support.ends import ECDHE_ECDSA, check_phases, client_end, handshake, server_end
from tests.support.forge import Forge, Trace
from tests.support.grammar import phases
from tests.support.keys import builtin
from tests.support.pair import pump
from tests.support.pki import END, HOSTS, START, pki
from tests.support.traces import (
    client_hello,
    insert,
    message,
    put,
    raw_message,
    server_key_exchange_with,
    server_params,
    server_trace,
    split,
)
from tlsexit.alerts import AlertDescription
from tlsexit.constants import Role
from tlsexit.crypto.groups import ECDHKeyPair, NamedCurve
from tlsexit.crypto.suites import DEFAULT_SUITES, SUITES, KeyType
from tlsexit.handshake.certificate import Certificate
from tlsexit.policy.throwaway import Issued, key_usage

FIXED = [value for value, suite in SUITES.items() if suite.key_exchange.fixed]
ECDH_ECDSA, ECDH_RSA = 0xC004, 0xC00E

CURVES = {
    NamedCurve.SECP256R1: ec.SECP256R1(),
    NamedCurve.SECP384R1: ec.SECP384R1(),
    NamedCurve.SECP521R1: ec.SECP521R1(),
}


@cache
def leaf(curve: str = "secp256r1", *, above: KeyType = KeyType.EC, usage: str = "key_agreement") -> Issued:
    """A server certificate whose key may agree on a secret."""
    curves: dict[str, ec.EllipticCurve] = {item.name: item for item in (*CURVES.values(), ec.SECP256K1())}
    key = ec.generate_private_key(curves[curve])
    return pki(above).root.issue(
        "localhost", key=key, hosts=HOSTS, usage=key_usage(usage), not_before=START, not_after=END
    )


def static_server(issued: Issued, suite: int = ECDH_ECDSA, **profile: Any) -> Forge:
    """A forged server that holds the key of this certificate, and a client with this profile."""
    own = builtin(Role.CLIENT, identities=[pki(KeyType.EC).client.identity("own")])
    client = client_end(suite, builtin=own, **profile)
    forge = Forge(client, suite)
    key = issued.key
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    numbers = {curve.name: number for number, curve in CURVES.items()}
    forge.key_pair = ECDHKeyPair(numbers.get(key.curve.name, NamedCurve.SECP256R1), key)
    return forge


def trace(issued: Issued, suite: int = ECDH_ECDSA, *, request: bool = False) -> Trace:
    """The honest server's side, with this certificate."""
    return put(server_trace(suite, request=request), "certificate", message("certificate", Certificate(issued.chain)))


@pytest.mark.parametrize("suite", FIXED, ids=lambda suite: SUITES[suite].name)
def test_every_suite(suite: int) -> None:
    """RFC 4492 §2.1, §2.3, §5.7: no ServerKeyExchange, the client's point, the whole x-coordinate."""
    issued = leaf(above=KeyType.RSA if SUITES[suite].key_exchange.rfc_name == "ECDH_RSA" else KeyType.EC)
    forge = static_server(issued, suite)
    forge.play(trace(issued, suite))
    carries_data(forge)
    assert phases(forge.target.seen) == "SKD"
    check_phases(forge.target)


@pytest.mark.parametrize("curve", CURVES)
def test_every_curve_that_a_certificate_may_have(curve: NamedCurve) -> None:
    """RFC 4492 §5.3: the certificate's curve decides; X25519 is in none of TLS 1.0's time."""
    issued = leaf(CURVES[curve].name)
    carries_data(static_server(issued).play(trace(issued)))


def test_in_tiny_records() -> None:
    """R2246-6.2.1-05."""
    issued = leaf()
    cut = trace(issued)
    for name in ("server_hello", "certificate", "server_hello_done", "finished"):
        cut = split(cut, name, 1)
    carries_data(static_server(issued).play(cut))


def test_with_a_client_certificate() -> None:
    """RFC 4492 §3.2: ECDSA_sign goes with these suites too; a fixed client key does not exist here."""
    issued = leaf()
    forge = static_server(issued)
    forge.play(trace(issued, request=True))
    carries_data(forge)
    assert phases(forge.target.seen) == "SKCXD"
    assert forge.peer_chain == pki(KeyType.EC).client.chain


@pytest.mark.parametrize(("curve", "groups"), [("secp384r1", (23, 29)), ("secp256k1", (23, 24, 25, 29))])
def test_a_curve_that_was_not_offered(curve: str, groups: tuple[int, ...]) -> None:
    """R4492-4-01: the client's list binds the certificate as well."""
    issued = leaf(curve)
    refused(static_server(issued, groups=groups).play(trace(issued)), AlertDescription.UNSUPPORTED_CERTIFICATE)


def test_a_key_that_may_only_sign() -> None:
    """R2246-7.4.2-08, RFC 4492 §2: keyUsage, where there is one, must allow keyAgreement (R2246-7.4.2-06)."""
    issued = leaf(usage="digital_signature")
    forge = static_server(issued).play(trace(issued))
    assert "keyAgreement" in str(forge.target.connection.error)
    # and the other way round
    client = client_end(ECDHE_ECDSA)
    forge = Forge(client, ECDHE_ECDSA).play(trace(leaf(), ECDHE_ECDSA))
    assert "digitalSignature" in str(client.connection.error)


@pytest.mark.parametrize("kind", [KeyType.RSA, KeyType.DSA])
def test_a_key_of_another_kind(kind: KeyType) -> None:
    """R2246-7.4.2-03."""
    forge = static_server(leaf()).play(trace(pki(kind).server))
    refused(forge, AlertDescription.UNSUPPORTED_CERTIFICATE)


def test_a_server_key_exchange() -> None:
    """RFC 4492 §5.4: "not sent"; a temporary key would be unsigned."""
    step = server_key_exchange_with(server_params)
    issued = leaf()
    forge = static_server(issued).play(insert(trace(issued), step, after="certificate"))
    refused(forge, AlertDescription.UNEXPECTED_MESSAGE)


def test_no_certificate() -> None:
    """R2246-7.4.2-01."""
    forge = static_server(leaf()).play((server_trace(ECDH_ECDSA)[0], raw_message(14, b"")))
    refused(forge, AlertDescription.UNEXPECTED_MESSAGE)


@pytest.mark.parametrize("suite", FIXED, ids=hex)
def test_a_server_never_chooses_it(suite: int) -> None:
    """CryptData signs and decrypts; it has no operation for an agreement."""
    server = server_end(suite, ECDHE_ECDSA, builtin=builtin(Role.SERVER, KeyType.EC))
    client = client_end(suite, ECDHE_ECDSA, builtin=builtin(Role.CLIENT, KeyType.EC))
    handshake(client, server)
    assert client.connection.context.cipher_suite == ECDHE_ECDSA
    only = server_end(suite, builtin=builtin(Role.SERVER, KeyType.EC))
    refused(Forge(only, suite).play((client_hello,)), AlertDescription.HANDSHAKE_FAILURE)


def test_not_by_default() -> None:
    """No forward secrecy: whoever gets the certificate's key reads everything."""
    assert not set(FIXED) & set(DEFAULT_SUITES)
    assert [SUITES[value].weak for value in FIXED] == [True, True, False, False, False] * 2


def test_two_connections_have_two_secrets() -> None:
    """RFC 4492 §2.1: the client's pair is new each time, so the keys are."""
    issued = leaf()
    forges = [static_server(issued).play(trace(issued)) for _ in range(2)]
    assert forges[0].pre_master_secret != forges[1].pre_master_secret
    assert len(forges[0].pre_master_secret) == 32  # leading zeros and all


def test_certificates_of_our_own_are_for_signing() -> None:
    """The server's built-in choice does not take a certificate for agreement to sign with."""
    server = server_end(ECDHE_ECDSA, builtin=builtin(Role.SERVER, identities=[leaf().identity("fixed")]))
    client = client_end(ECDHE_ECDSA)
    pump(client, server)
    assert "handshake_failure" in str(client.connection.error)
