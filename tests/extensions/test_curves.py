"""Curves and point formats (RFC 4492 §4, §5.1; RFC 8422): which curve is used, and when no ECC suite can be."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from tests.support.conversation import carries_data, refused
from tests.support.ends import DHE_RSA, ECDHE_ECDSA, ECDHE_RSA, RSA, client_end, handshake, server_end
from tests.support.forge import EMPTY_RENEGOTIATION_INFO, Forge
from tests.support.keys import builtin
from tests.support.pair import pump
from tests.support.pki import END, HOSTS, START, pki
from tests.support.scripted import ScriptedExit
from tests.support.traces import client_trace, server_trace
from tlsexit.alerts import AlertDescription, LocalError
from tlsexit.constants import Role
from tlsexit.crypto.groups import NamedCurve
from tlsexit.crypto.suites import KeyType
from tlsexit.events import MessageSeen
from tlsexit.exits.answers import Handled
from tlsexit.exits.phases import ExitPhase
from tlsexit.handshake import keyexchange as kx
from tlsexit.handshake.enums import ExtensionType
from tlsexit.handshake.extensions import Extension, find
from tlsexit.policy import BuiltinPki, Identity
from tlsexit.profile import Profile

ECDH_ANON = 0xC018
ECDHE_PSK = 0xC035
P256, P384, P521, X25519 = NamedCurve


def groups(*values: int) -> Extension:
    """supported_groups with these values."""
    body = b"".join(value.to_bytes(2, "big") for value in values)
    return Extension(ExtensionType.SUPPORTED_GROUPS, len(body).to_bytes(2, "big") + body)


def formats(*values: int) -> Extension:
    """ec_point_formats with these values."""
    return Extension(ExtensionType.EC_POINT_FORMATS, bytes([len(values), *values]))


def answer_to(*extensions: Extension, suites: tuple[int, ...] = (ECDHE_RSA,), **profile: Any) -> Forge:
    """A server that has ``suites`` reacts to a hello with the same suites, the last of them, and these extensions."""
    hello = {"extensions": (EMPTY_RENEGOTIATION_INFO, *extensions), "cipher_suites": suites}
    return Forge(server_end(*suites, **profile), suites[-1], hello).play(client_trace(suites[-1]))


def curve_of(forge: Forge) -> int:
    """The curve in the server's parameters."""
    assert isinstance(forge.server_params, kx.ServerECDHParams)
    return forge.server_params.named_curve


# ------------------------------------------------------------------------------------------------ the curve


@pytest.mark.parametrize("suite", [ECDHE_RSA, ECDHE_ECDSA, ECDH_ANON], ids=hex)
@pytest.mark.parametrize("curve", NamedCurve)
def test_every_curve(suite: int, curve: NamedCurve) -> None:
    """RFC 4492 §5.1.1, RFC 8422 §5.1.1: both ends on each, the certificate's curve being none of ours to choose."""
    offered = (curve, P256) if suite == ECDHE_ECDSA else (curve,)  # P-256 for the certificate
    client, server = client_end(suite, groups=offered), server_end(suite, groups=(curve,))
    handshake(client, server, size=1 if curve is P521 else None)
    sent = [item.message for item in server.seen if isinstance(item, MessageSeen) and item.sent]
    message = next(item for item in sent if isinstance(item, kx.ServerKeyExchange))
    assert message.body[:3] == bytes([3, 0, curve])


@pytest.mark.parametrize(
    ("client", "server", "expected"),
    [
        ((P256, X25519), (X25519, P256), X25519),
        ((P384, P256), (P256, P384), P256),
        ((P521,), tuple(NamedCurve), P521),
        ((1, 22, 26, 30, 256, 0xFFFF, P384), tuple(NamedCurve), P384),
        ((P256, P256), (P256,), P256),
    ],
)
def test_the_servers_favourite(client: tuple[int, ...], server: tuple[int, ...], expected: int) -> None:
    """R4492-4-01: of the client's list; what is unknown in it is skipped."""
    forge = answer_to(groups(*client), groups=server)
    assert curve_of(forge) == expected
    carries_data(forge)


@pytest.mark.parametrize("extensions", [(), (formats(0),)])
def test_a_client_that_lists_no_curves(extensions: tuple[Extension, ...]) -> None:
    """RFC 4492 §4: "the server is free to choose any one of the elliptic curves"."""
    forge = answer_to(*extensions, groups=(P384, P256))
    assert curve_of(forge) == P384
    carries_data(forge)


@pytest.mark.parametrize("curves", [(1,), (P521,), (0x0A0A, 256)])
def test_no_curve_in_common(curves: tuple[int, ...]) -> None:
    """R4492-4-01: another suite then, and none at all is handshake_failure."""
    for suites in ((ECDHE_RSA, DHE_RSA), (ECDHE_RSA, ECDH_ANON, ECDHE_PSK, RSA)):
        forge = answer_to(groups(*curves), formats(0), suites=suites, groups=(P256, X25519))
        assert forge.target.connection.context.cipher_suite == suites[-1]
        carries_data(forge)
    for suite in (ECDHE_RSA, ECDHE_ECDSA, ECDH_ANON):
        forge = answer_to(groups(*curves), suites=(suite,), groups=(P256, X25519))
        refused(forge, AlertDescription.HANDSHAKE_FAILURE)


def test_two_ends_without_a_curve_in_common() -> None:
    """R4492-4-01."""
    client, server = client_end(ECDHE_RSA, RSA, groups=(P256,)), server_end(ECDHE_RSA, RSA, groups=(X25519,))
    handshake(client, server)
    assert client.connection.context.cipher_suite == RSA


@pytest.mark.parametrize("values", [(), (0,), (22,), (P256, 30), (256,)])
def test_curves_that_a_profile_cannot_have(values: tuple[int, ...]) -> None:
    """Noticed when the profile is made, not in the handshake."""
    with pytest.raises(LocalError, match="groups"):
        Profile.server(groups=values)


# ------------------------------------------------------------------------------------------------ point formats


@pytest.mark.parametrize("values", [(0,), (0, 1, 2), (2, 1, 0), (7, 0, 255)])
def test_uncompressed_among_the_formats(values: tuple[int, ...]) -> None:
    """R4492-5.1.2-01: the server answers with its own list, uncompressed alone."""
    forge = answer_to(groups(P256), formats(*values))
    assert forge.server_hello is not None
    assert find(forge.server_hello.extensions, ExtensionType.EC_POINT_FORMATS) == b"\1\0"
    carries_data(forge)


@pytest.mark.parametrize("values", [(1,), (1, 2), (255,)])
def test_no_uncompressed_points(values: tuple[int, ...]) -> None:
    """R4492-4-01, R4492-5.1.2-01: against the rule, and fatal beside a curve that anybody knows (RFC 8422 §5.1.2)."""
    for suites in ((ECDHE_RSA,), (ECDHE_RSA, RSA), (RSA,)):
        refused(answer_to(groups(P256), formats(*values), suites=suites), AlertDescription.ILLEGAL_PARAMETER)
    for listed in ((), (groups(1, 0x0A0A),)):
        forge = answer_to(*listed, formats(*values), suites=(ECDHE_RSA, RSA))
        assert forge.target.connection.context.cipher_suite == RSA
        carries_data(forge)
        refused(answer_to(*listed, formats(*values)), AlertDescription.HANDSHAKE_FAILURE)


def test_formats_are_answered_with_ecc_suites_only() -> None:
    """R4492-5.1.2-01; supported_groups is never answered (RFC 4492 §5.2)."""
    forge = answer_to(groups(P256), formats(0), suites=(RSA,))
    assert forge.server_hello is not None
    assert forge.server_hello.extensions == (EMPTY_RENEGOTIATION_INFO,)
    assert answer_to(groups(P256)).server_hello.extensions == (EMPTY_RENEGOTIATION_INFO,)  # type: ignore[union-attr]


@pytest.mark.parametrize("values", [(1,), (1, 2)])
def test_a_server_without_uncompressed_points(values: tuple[int, ...]) -> None:
    """R4492-5.1.2-01, seen from the client."""
    forge = Forge(client_end(ECDHE_RSA), ECDHE_RSA, {"extensions": (formats(*values),)}).play(server_trace(ECDHE_RSA))
    refused(forge, AlertDescription.ILLEGAL_PARAMETER)


@pytest.mark.parametrize("extensions", [(formats(0),), (formats(2, 0),), (groups(P256), formats(0)), ()])
def test_what_a_client_lets_a_server_answer(extensions: tuple[Extension, ...]) -> None:
    """RFC 4492 §5.2; some servers answer supported_groups too, as RFC 8446 later lets them."""
    carries_data(Forge(client_end(ECDHE_RSA), ECDHE_RSA, {"extensions": extensions}).play(server_trace(ECDHE_RSA)))


# ------------------------------------------------------------------------------------------------ the certificate


def ec_identity(curve: ec.EllipticCurve) -> Identity:
    """A server certificate with a key on this curve."""
    key = ec.generate_private_key(curve)
    root = pki(KeyType.EC).root
    return root.issue("localhost", key=key, hosts=HOSTS, not_before=START, not_after=END).identity(curve.name)


def shown_by(
    server: BuiltinPki, suites: tuple[int, ...], client: tuple[int, ...], own: tuple[int, ...] = (X25519,)
) -> str:
    """The suite that comes about, or the alert, if the client lists these curves and the server these."""
    end = client_end(*suites, groups=client, builtin=builtin(Role.CLIENT))
    other = server_end(*suites, groups=own, builtin=server)
    pump(end, other)
    if not end.connection.established:
        assert "handshake_failure" in str(end.connection.error)
        return "handshake_failure"
    return f"{end.connection.context.cipher_suite:04X}"


def test_the_curve_of_the_certificate() -> None:
    """R4492-4-01, RFC 4492 §5.3: it must be in the client's list; the server's own favourites are for ECDHE."""
    own = builtin(Role.SERVER, identities=[ec_identity(ec.SECP384R1()), pki(KeyType.RSA).server.identity("rsa")])
    both = (ECDHE_ECDSA, ECDHE_RSA)
    assert shown_by(own, both, (X25519, P384)) == "C009"
    assert shown_by(own, both, (X25519, P256)) == "C013"
    assert shown_by(own, (ECDHE_ECDSA,), (X25519, P384)) == "C009"
    assert shown_by(own, (ECDHE_ECDSA,), (X25519, P256)) == "handshake_failure"


def test_a_curve_that_nobody_lists() -> None:
    """R4492-4-01: a key on a curve without a number among ours serves clients that list nothing."""
    own = builtin(Role.SERVER, identities=[ec_identity(ec.SECP256K1())])
    assert shown_by(own, (ECDHE_ECDSA,), tuple(NamedCurve)) == "handshake_failure"
    client = client_end(ECDHE_ECDSA, extensions=False, builtin=builtin(Role.CLIENT))
    handshake(client, server_end(ECDHE_ECDSA, builtin=own))


def test_an_exit_that_shows_another_curve() -> None:
    """R4492-4-01: whoever chose the certificate, the suite is not for it."""
    chain = ec_identity(ec.SECP521R1()).chain
    for suites, expected in (((ECDHE_ECDSA,), None), ((ECDHE_ECDSA, ECDH_ANON), ECDH_ANON)):
        exits = ScriptedExit({ExitPhase.GET_CERTIFICATE: Handled(chain)})
        client = client_end(*suites, groups=(P256,), builtin=builtin(Role.CLIENT))
        server = server_end(*suites, exits=exits)
        pump(client, server)
        assert exits.last(ExitPhase.GET_CERTIFICATE).groups == (P256,)
        if expected is None:
            assert "handshake_failure" in str(client.connection.error)
        else:
            assert client.connection.context.cipher_suite == expected
