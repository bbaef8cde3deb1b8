"""The harness itself, proven without tlsexit: every peer in both roles against OpenSSL's command line tools."""

from __future__ import annotations

import pytest

from tests.interop.peers.all import PEERS, FindPeer
from tests.interop.peers.base import ClientRun, Peer, Resumption
from tests.interop.suites import SUITES

pytestmark = pytest.mark.interop

AES = SUITES[0x002F]
RESUMPTIONS = [None, *Resumption]
OTHERS = [name for name in PEERS if name != "openssl"]


def converse(
    server: Peer, client: Peer, *, client_cert: bool = False, resume: Resumption | None = None
) -> tuple[ClientRun, str]:
    """The client's run and the server's output."""
    with server.start_server(AES, client_auth=client_cert, tickets=resume is Resumption.TICKET) as running:
        done = client.run_client(running.port, AES, client_cert=client_cert, resume=resume)
        return done, running.output


@pytest.mark.parametrize("resume", RESUMPTIONS, ids=lambda resume: resume.value if resume else "plain")
@pytest.mark.parametrize("name", PEERS)
def test_server_against_openssl(name: str, resume: Resumption | None, peer: FindPeer) -> None:
    done, log = converse(peer(name), peer("openssl"), resume=resume)
    assert done.answered, f"{done.output}\n{log}"
    assert [report.suite for report in done.reports] == [AES.number] * (2 if resume else 1)
    assert [report.resumed for report in done.reports] == ([False, True] if resume else [False]), done.output


@pytest.mark.parametrize("resume", RESUMPTIONS, ids=lambda resume: resume.value if resume else "plain")
@pytest.mark.parametrize("name", OTHERS)
def test_client_against_openssl(name: str, resume: Resumption | None, peer: FindPeer) -> None:
    done, log = converse(peer("openssl"), peer(name), resume=resume)
    assert done.answered, f"{done.output}\n{log}"
    assert {report.suite for report in done.reports} <= {AES.number, None}
    assert [report.resumed for report in done.reports] == ([False, True] if resume else [False]), done.output


@pytest.mark.parametrize("name", PEERS)
def test_client_certificate_against_openssl(name: str, peer: FindPeer) -> None:
    for server, client in ((name, "openssl"), ("openssl", name)):
        done, log = converse(peer(server), peer(client), client_cert=True)
        assert done.answered, f"{server} <- {client}: {done.output}\n{log}"


@pytest.mark.parametrize("name", PEERS)
def test_server_demands_the_certificate(name: str, peer: FindPeer) -> None:
    """Without this the test above would prove nothing."""
    with peer(name).start_server(AES, client_auth=True) as running:
        assert not peer("openssl").run_client(running.port, AES).answered
