"""Exported keys (RFC 5705) and channel bindings (RFC 5929), held against the PRF and against OpenSSL."""

from __future__ import annotations

import hashlib
import hmac
import ssl
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from tests.support.ends import (
    DH_ANON,
    DHE_RSA,
    ECDHE_ECDSA,
    ECDHE_RSA,
    RSA,
    certificates,
    client_end,
    handshake,
    server_end,
)
from tests.support.keys import builtin
from tests.support.pair import End, pump
from tests.support.pki import END, HOSTS, START, leaf_key, pki
from tests.support.scripted import ScriptedExit
from tests.support.sessions import Sessions
from tests.support.stdlib import StdlibEnd, context, talk
from tlsexit.alerts import LocalError
from tlsexit.bindings import channel_binding, export_keying_material
from tlsexit.constants import Role
from tlsexit.crypto.suites import SUITES, KeyType
from tlsexit.exits.answers import Handled
from tlsexit.exits.forms import load_certificate
from tlsexit.exits.phases import ExitPhase
from tlsexit.handshake import states

LABEL = b"EXPERIMENTAL tlsexit"
RESERVED = {b"master secret", b"extended master secret", b"key expansion", b"client finished", b"server finished"}


def joined(suite: int = RSA, *, resumed: bool = False, **profile: Any) -> tuple[End, End]:
    """Two ends of a connection."""
    store = Sessions()
    client, server = client_end(suite, **profile), server_end(suite, config={"session_store": store}, **profile)
    handshake(client, server)
    if resumed:
        client = client_end(suite, session=client.connection.session, **profile)
        server = server_end(suite, config={"session_store": store}, **profile)
        handshake(client, server)
        assert client.connection.context.resumed
    return client, server


def with_openssl(role: Role, suite: int, end: End, session: ssl.SSLSession | None = None) -> StdlibEnd:
    """Join ``end`` with OpenSSL in ``role``."""
    other = StdlibEnd(context(role, certificates(suite), SUITES[suite].openssl_name), role, session)
    talk(end, other)
    assert end.connection.established, end.connection.error
    return other


# ------------------------------------------------------------------------------------------------ exporters


@pytest.mark.parametrize("resumed", [False, True])
@pytest.mark.parametrize("suite", [RSA, DHE_RSA])
def test_both_ends_export_the_same(suite: int, resumed: bool) -> None:
    """RFC 5705 §4: for any length, with and without a context."""
    client, server = joined(suite, resumed=resumed)
    seen = set()
    for context_ in (None, b"", b"context", bytes(2**16 - 1)):
        for length in (1, 20, 100):
            material = export_keying_material(client.connection, LABEL, length, context_)
            assert material == export_keying_material(server.connection, LABEL, length, context_)
            assert len(material) == length
            seen.add(material)
    assert len({item for item in seen if len(item) > 1}) == 8


def test_the_formula() -> None:
    """RFC 5705 §4: PRF(master_secret, label, client_random + server_random [+ length + context])."""
    client, _ = joined()
    state = client.connection.state
    assert isinstance(state, states.Established)
    security = state.security
    seed = security.client_random + security.server_random + b"\0\7context"
    half = security.master_secret[:24], security.master_secret[24:]

    def p_hash(name: str, secret: bytes, data: bytes, length: int) -> bytes:
        a, out = data, b""
        while len(out) < length:
            a = hmac.digest(secret, a, name)
            out += hmac.digest(secret, a + data, name)
        return out[:length]

    streams = zip(p_hash("md5", half[0], LABEL + seed, 40), p_hash("sha1", half[1], LABEL + seed, 40), strict=True)
    assert export_keying_material(client.connection, LABEL, 40, b"context") == bytes(a ^ b for a, b in streams)


def test_two_connections_export_different_keys() -> None:
    """RFC 5705 §4: both randoms are in it, so a resumption gives new ones too."""
    materials = [
        export_keying_material(client.connection, LABEL, 32)
        for client in (joined()[0], joined()[0], joined(resumed=True)[0])
    ]
    assert len(set(materials)) == 3


@pytest.mark.parametrize("label", sorted(RESERVED))
def test_labels_of_tls_itself(label: bytes) -> None:
    """RFC 5705 §4: reserved; some would give away everything. RFC 7627 §4 adds one to the list."""
    client, _ = joined()
    with pytest.raises(LocalError, match="belongs to TLS"):
        export_keying_material(client.connection, label, 48)


def test_a_context_that_is_too_long() -> None:
    client, _ = joined()
    with pytest.raises(LocalError, match="65535"):
        export_keying_material(client.connection, LABEL, 32, bytes(2**16))


def test_without_the_extended_master_secret() -> None:
    """RFC 7627 §5.4: exported keys would be the same on both sides of a triple handshake."""
    client, server = joined(extended_master_secret=False)
    with pytest.raises(LocalError, match="extended master secret"):
        export_keying_material(client.connection, LABEL, 32)
    material = export_keying_material(client.connection, LABEL, 32, allow_legacy=True)
    assert material == export_keying_material(server.connection, LABEL, 32, allow_legacy=True)


@pytest.mark.parametrize("take", [lambda c: export_keying_material(c, LABEL, 32), channel_binding])
def test_only_of_an_established_connection(take: Callable[[Any], bytes]) -> None:
    """Before both Finished nothing is proven; afterwards the keys are forgotten."""
    client, server = client_end(), server_end()
    with pytest.raises(LocalError, match="not complete"):
        take(client.connection)
    handshake(client, server)
    assert take(client.connection)
    client.connection.close()
    with pytest.raises(LocalError):
        take(client.connection)


# ------------------------------------------------------------------------------------------------ tls-unique


@pytest.mark.parametrize("suite", [RSA, ECDHE_RSA, ECDHE_ECDSA], ids=hex)
@pytest.mark.parametrize("role", Role)
def test_tls_unique_agrees_with_openssl(role: Role, suite: int) -> None:
    """RFC 5929 §3.1: the client's Finished of a full handshake."""
    end = client_end(suite, server_name="localhost") if role is Role.SERVER else server_end(suite)
    other = with_openssl(role, suite, end)
    assert channel_binding(end.connection) == other.tls.get_channel_binding("tls-unique")
    assert len(channel_binding(end.connection)) == 12


def test_tls_unique_of_a_resumption_agrees_with_openssl() -> None:
    """RFC 5929 §3.1: the server's Finished, which comes first then. OpenSSL as the client, by id."""
    store = Sessions()
    first = with_openssl(Role.CLIENT, RSA, server_end(config={"session_store": store}))
    server = server_end(config={"session_store": store})
    second = with_openssl(Role.CLIENT, RSA, server, first.tls.session)
    assert second.tls.session_reused
    assert server.connection.context.resumed
    state: Any = server.connection.state
    assert channel_binding(server.connection) == state.finished.server
    assert channel_binding(server.connection) == second.tls.get_channel_binding("tls-unique")


def test_tls_unique_of_a_resumption_with_a_server_that_is_openssl() -> None:
    """RFC 5929 §3.1, from the other side."""
    client = client_end(server_name="localhost")
    first = with_openssl(Role.SERVER, RSA, client)  # OpenSSL forgets the sessions of connections that are gone
    assert not first.tls.session_reused
    again = client_end(server_name="localhost", session=client.connection.session)
    other = with_openssl(Role.SERVER, RSA, again)
    assert other.tls.session_reused
    assert again.connection.context.resumed
    assert channel_binding(again.connection) == other.tls.get_channel_binding("tls-unique")


def test_tls_unique_after_a_renegotiation() -> None:
    """RFC 5929 §3.1: of "the most recent" handshake."""
    client, server = joined(renegotiation=True)
    first = channel_binding(client.connection)
    client.connection.renegotiate()
    client.drive()
    with pytest.raises(LocalError, match="not complete"):
        channel_binding(client.connection)
    pump(client, server)
    assert channel_binding(client.connection) == channel_binding(server.connection) != first


# ------------------------------------------------------------------------------------------------ tls-server-end-point


@pytest.mark.parametrize(
    ("hash_name", "expected"),
    [("md5", "sha256"), ("sha1", "sha256"), ("sha256", "sha256"), ("sha384", "sha384"), ("sha512", "sha512")],
)
def test_the_hash_of_the_servers_certificate(hash_name: str, expected: str) -> None:
    """RFC 5929 §4.1: the hash of its signature, with SHA-256 in place of MD5 and SHA-1."""
    issued = pki().root.issue(
        "localhost", key=leaf_key(KeyType.RSA), hosts=HOSTS, not_before=START, not_after=END, hash_name=hash_name
    )
    server = server_end(builtin=builtin(Role.SERVER, identities=[issued.identity("own")]))
    client = client_end(exits=ScriptedExit({ExitPhase.CHECK_CERTIFICATE: Handled()}))
    handshake(client, server)
    binding = hashlib.new(expected, issued.certificate.public_bytes(Encoding.DER)).digest()
    for end in (client, server):
        assert channel_binding(end.connection, "tls-server-end-point") == binding


def test_the_hash_outlives_a_resumption() -> None:
    """RFC 5929 §4.1: the certificate is that of the session."""
    client, server = joined(resumed=True)
    leaf = client.connection.context.peer_chain[0]
    assert load_certificate(leaf) == pki().server.certificate
    for end in (client, server):
        assert channel_binding(end.connection, "tls-server-end-point") == hashlib.sha256(leaf).digest()


def test_no_end_point_without_a_certificate() -> None:
    client, server = joined(DH_ANON)
    for end in (client, server):
        with pytest.raises(LocalError, match="no certificate"):
            channel_binding(end.connection, "tls-server-end-point")


def test_other_kinds_of_binding() -> None:
    """RFC 5929 has a third, tls-unique-for-telnet, and RFC 9266 one for TLS 1.3."""
    client, _ = joined()
    for kind in ("tls-unique-for-telnet", "tls-exporter", ""):
        with pytest.raises(LocalError, match="unknown"):
            channel_binding(client.connection, kind)
