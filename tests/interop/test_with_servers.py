"""tlsexit as the client of every peer's server (RFC 2246 §7.3, figures 1 and 2)."""

from __future__ import annotations

import pytest

from tests.interop.engine import engine_client
from tests.interop.matrix import Case, Role, Variant, sharing, tried
from tests.interop.peers.all import PEERS, FindPeer
from tests.interop.peers.base import Peer, certificate_for_client
from tests.interop.process import Server
from tests.interop.suites import SUITES, Suite
from tests.interop.variants import check_agreement, our_elements, their_features
from tests.interop.workshop import Pki
from tlsexit import AlertDescription, AlertReceived, TlsError, TruncatedError

pytestmark = pytest.mark.interop

AES = SUITES[0x002F]


def converse(server: Server, case: Case, pki: Pki, peer: Peer) -> None:
    """One connection, or two for a resumption, with everything that both sides say of them compared."""
    authenticated = case.variant.authenticates
    # one that may be asked for in the second handshake
    own = certificate_for_client(case.suite) if authenticated or case.variant is Variant.PEER_RENEGOTIATES else None
    tickets = case.variant.tickets
    session = None
    for resumed in (False, True) if case.variant.resumes else (False,):
        before = len(server.output)
        result = engine_client(
            server.host,
            server.port,
            [case.suite.number],
            pki,
            client_cert=own,
            session=session,
            session_tickets=tickets,
            renegotiate=case.variant is Variant.WE_RENEGOTIATE,
            **our_elements(case),
        )
        session = result.session
        assert session is not None
        assert bool(session.ticket) is tickets
        report = peer.server_report(result.received.decode("utf-8", "replace"), server.output[before:])
        assert b"200 ok" in result.received.lower()
        assert (result.suite, result.resumed) == (case.suite.number, resumed)
        assert report.suite in (case.suite.number, None)
        assert report.resumed in (resumed, None)
        check_agreement(case, result)
        if authenticated:
            assert report.client_certificate is not False


@pytest.mark.parametrize("case", tried(Role.SERVER), ids=str)
def test_conversation(case: Case, peer: FindPeer, pki: Pki) -> None:
    other = peer(case.peer, **their_features(case))
    demanded = case.variant.authenticates
    # most servers hand out tickets to those who want one
    tickets = case.variant is not Variant.RESUMPTION
    with other.start_server(case.suite, client_auth=demanded, tickets=tickets) as server:
        try:
            converse(server, case, pki, other)
        except (TlsError, OSError, AssertionError) as error:
            error.add_note(f"{case.peer} said:\n{server.output}")
            raise


@pytest.mark.parametrize(
    ("name", "suite"), sharing(Role.SERVER, ["jsse", "mbedtls", "node4", "tlslite"], [0x0005, 0x002F, 0x0033]), ids=str
)
def test_long_request(name: str, suite: Suite, peer: FindPeer, pki: Pki) -> None:
    """Data of many records reaches those servers that read a request to its end (R2246-6.2.1-01)."""
    with peer(name).start_server(suite) as server:
        result = engine_client(server.host, server.port, [suite.number], pki, padding=100_000)
        assert b"200 OK" in result.received, server.output


@pytest.mark.parametrize("name", PEERS)
def test_no_suite_in_common(name: str, peer: FindPeer, pki: Pki) -> None:
    """The server answers an offer that it cannot take with handshake_failure (RFC 2246 §7.4.1.3)."""
    with peer(name).start_server(AES) as server, pytest.raises(AlertReceived) as refused:
        engine_client(server.host, server.port, [0x0035], pki)
    assert refused.value.description == AlertDescription.HANDSHAKE_FAILURE


@pytest.mark.parametrize("name", PEERS)
def test_no_certificate_to_show(name: str, peer: FindPeer, pki: Pki) -> None:
    """A client without a certificate sends an empty list, and the server that demands one ends it (§7.4.6).

    Which alert it sends differs: handshake_failure, bad_certificate, decode_error, or none at all; tlslite-ng looks
    only after the handshake, so that there it shows in the missing answer.
    """
    with peer(name).start_server(AES, client_auth=True) as server:
        try:
            received = engine_client(server.host, server.port, [AES.number], pki).received
        except (AlertReceived, TruncatedError, OSError):
            received = b""
    assert received == b""
