"""What peers and tlsexit agree on beyond RFC 2246, or without: extensions, renegotiation, the SSL 2.0 hello."""

from __future__ import annotations

from typing import Any

import pytest

from tests.interop.engine import engine_client, engine_server
from tests.interop.peers.all import PEERS, FindPeer
from tests.interop.suites import SUITES
from tests.interop.workshop import Pki
from tlsexit import TruncatedError
from tlsexit.alerts import UnexpectedMessage

pytestmark = pytest.mark.interop

AES = SUITES[0x002F]
HTTP = "http/1.1"
WITHOUT: dict[str, dict[str, Any]] = {
    "no-extended-master-secret": {"extended_master_secret": False},
    "no-encrypt-then-mac": {"encrypt_then_mac": False},
}


@pytest.mark.parametrize("elements", [*WITHOUT.values(), {"extensions": False}], ids=[*WITHOUT, "no-extensions"])
@pytest.mark.parametrize("name", PEERS)
def test_servers_without(name: str, elements: dict[str, Any], peer: FindPeer, pki: Pki) -> None:
    with peer(name).start_server(AES, tickets=True) as server:
        result = engine_client(server.host, server.port, [AES.number], pki, **elements)
    assert b"200 ok" in result.received.lower()
    # OpenSSL 1.0.2 is older than RFC 7627
    expected = name != "node4" and elements == WITHOUT["no-encrypt-then-mac"]
    assert result.context.extended_master_secret is expected


@pytest.mark.parametrize("elements", WITHOUT.values(), ids=WITHOUT)
@pytest.mark.parametrize("name", PEERS)
def test_clients_without(name: str, elements: dict[str, Any], peer: FindPeer, pki: Pki) -> None:
    with engine_server([AES.number], pki, certificate="rsa", **elements) as server:
        done = peer(name).run_client(server.port, AES)
    assert done.answered, done.output
    expected = name != "node4" and elements == WITHOUT["no-encrypt-then-mac"]
    assert [result.context.extended_master_secret for result in server.results] == [expected]


@pytest.mark.parametrize("name", PEERS)
def test_server_chooses_among_all(name: str, peer: FindPeer, pki: Pki) -> None:
    with peer(name).start_server(AES) as server:
        result = engine_client(server.host, server.port, list(SUITES), pki)
    assert result.suite == AES.number


@pytest.mark.parametrize("name", PEERS)
def test_choice_for_client(name: str, peer: FindPeer, pki: Pki) -> None:
    with engine_server(list(SUITES), pki, certificate="rsa") as server:
        done = peer(name).run_client(server.port, AES)
    assert done.answered, done.output
    assert [result.suite for result in server.results] == [AES.number]


@pytest.mark.parametrize("name", ["openssl", "gnutls", "nss", "mbedtls", "jsse", "tlslite"])
def test_alpn_with_servers(name: str, peer: FindPeer, pki: Pki) -> None:
    """RFC 7301 §3.2: the server takes one of what the client offers."""
    with peer(name, alpn=HTTP).start_server(AES) as server:
        result = engine_client(server.host, server.port, [AES.number], pki, alpn=("spdy/3", HTTP))
    assert result.context.alpn_protocol == HTTP


@pytest.mark.parametrize("name", ["openssl", "gnutls", "mbedtls", "jsse", "tlslite"])
def test_alpn_with_clients(name: str, peer: FindPeer, pki: Pki) -> None:
    with engine_server([AES.number], pki, certificate="rsa", alpn=("spdy/3", HTTP)) as server:
        done = peer(name, alpn=HTTP).run_client(server.port, AES)
    assert done.answered, done.output
    assert [result.context.alpn_protocol for result in server.results] == [HTTP]


@pytest.mark.parametrize(("name", "length"), [("openssl", 512), ("gnutls", 1024), ("mbedtls", 1024), ("jsse", 512)])
def test_short_records_with_servers(name: str, length: int, peer: FindPeer, pki: Pki) -> None:
    """RFC 6066 §4: short records, agreed on and kept to by both.

    GnuTLS and mbedTLS do not fragment their Certificate message, of some 850 bytes, whatever was agreed.
    """
    with peer(name).start_server(AES) as server:
        result = engine_client(server.host, server.port, [AES.number], pki, max_fragment_length=length)
    assert b"200 ok" in result.received.lower()


@pytest.mark.parametrize("name", ["mbedtls", "node4", "nss"])
def test_renegotiation_started_by_servers(name: str, peer: FindPeer, pki: Pki) -> None:
    """RFC 2246 §7.4.1.1, under RFC 5746. JSSE's server only begins one, and closes before it is complete."""
    certificate = "client" if name == "nss" else None
    with peer(name, renegotiate=True).start_server(AES) as server:
        result = engine_client(server.host, server.port, [AES.number], pki, renegotiation=True, client_cert=certificate)
    assert b"200 ok" in result.received.lower()
    assert result.context.handshake_count == 2


@pytest.mark.parametrize("name", ["gnutls", "mbedtls"])
def test_renegotiation_started_by_clients(name: str, peer: FindPeer, pki: Pki) -> None:
    with engine_server([AES.number], pki, certificate="rsa", renegotiation=True) as server:
        done = peer(name, renegotiate=True).run_client(server.port, AES)
    assert done.answered, done.output
    assert [result.context.handshake_count for result in server.results] == [2]


@pytest.mark.parametrize("name", ["gnutls", "mbedtls"])
def test_renegotiation_refused_to_clients(name: str, peer: FindPeer, pki: Pki) -> None:
    """Unless the profile allows it, a second ClientHello is answered with no_renegotiation (RFC 2246 §7.2.2).

    Neither client goes on then: GnuTLS's asks again until it is cut off, mbedTLS's hangs up.
    """
    with engine_server([AES.number], pki, certificate="rsa") as server:
        done = peer(name, renegotiate=True).run_client(server.port, AES)
    assert not done.answered
    (outcome,) = server.outcomes
    assert isinstance(outcome, UnexpectedMessage if name == "gnutls" else TruncatedError)


def test_v2_hello_from_client(peer: FindPeer, pki: Pki) -> None:
    """RFC 2246 appendix E: a client that opens in the SSL 2.0 format gets its TLS 1.0 handshake."""
    with engine_server([AES.number], pki, certificate="rsa") as server:
        done = peer("jsse", v2_hello=True).run_client(server.port, AES)
    assert done.answered, done.output
    assert [result.suite for result in server.results] == [AES.number]


@pytest.mark.parametrize("name", ["gnutls", "jsse"])
def test_v2_hello_to_server(name: str, peer: FindPeer, pki: Pki) -> None:
    with peer(name, v2_hello=True).start_server(AES) as server:
        result = engine_client(server.host, server.port, [AES.number], pki, v2_client_hello=True)
    assert b"200 OK" in result.received
