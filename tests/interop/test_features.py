"""What peers and tlsexit agree on beyond the matrix: no extensions, short records, a refusal, the SSL 2.0 hello."""

from __future__ import annotations

import pytest

from tests.interop.engine import engine_client, engine_server
from tests.interop.peers.all import PEERS, FindPeer
from tests.interop.suites import SUITES
from tests.interop.workshop import Pki
from tlsexit import TruncatedError
from tlsexit.alerts import UnexpectedMessage

pytestmark = pytest.mark.interop

AES = SUITES[0x002F]


@pytest.mark.parametrize("name", PEERS)
def test_servers_without_extensions(name: str, peer: FindPeer, pki: Pki) -> None:
    """RFC 5746 §3.4: its SCSV is all that is left."""
    with peer(name).start_server(AES, tickets=True) as server:
        result = engine_client(server.host, server.port, [AES.number], pki, extensions=False)
    assert b"200 ok" in result.received.lower()
    assert not result.context.extended_master_secret
    assert result.context.secure_renegotiation


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


@pytest.mark.parametrize(("name", "length"), [("openssl", 512), ("gnutls", 1024), ("mbedtls", 1024), ("jsse", 512)])
def test_short_records_with_servers(name: str, length: int, peer: FindPeer, pki: Pki) -> None:
    """RFC 6066 §4: short records, agreed on and kept to by both.

    GnuTLS and mbedTLS do not fragment their Certificate message, of some 850 bytes, whatever was agreed.
    """
    with peer(name).start_server(AES) as server:
        result = engine_client(server.host, server.port, [AES.number], pki, max_fragment_length=length)
    assert b"200 ok" in result.received.lower()


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
