"""Tickets from rotating keys with every peer: renewed, declined, empty, without a hint (RFC 5077 §3)."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.interop.engine import EngineServer, Result, engine_client, engine_server
from tests.interop.peers.all import PEERS, FindPeer
from tests.interop.peers.base import REQUEST, Resumption
from tests.interop.peers.openssl import report
from tests.interop.process import Completed, run
from tests.interop.suites import SUITES
from tests.interop.workshop import Pki
from tlsexit.alerts import HandshakeFailure, IllegalParameter
from tlsexit.session import Session
from tlsexit.stores import TicketKeys

pytestmark = pytest.mark.interop

AES = SUITES[0x002F]
INTERVAL = 1000.0


@contextmanager
def ticket_server(pki: Pki, *, suites: tuple[int, ...] = (AES.number,), **keys: Any) -> Iterator[EngineServer]:
    """A tlsexit server whose ticket keys are an interval older after each connection; ``keys`` are their elements."""
    servers: list[EngineServer] = []

    def clock() -> float:
        return time.time() + INTERVAL * sum(len(server.outcomes) for server in servers)

    tickets = TicketKeys(clock, interval=INTERVAL, **keys)
    with engine_server(suites, pki, certificate="rsa", tickets=tickets) as server:
        servers.append(server)
        yield server


def resumed(results: list[Result]) -> list[bool]:
    """Which of the connections were resumed."""
    return [result.resumed for result in results]


# ------------------------------------------------------------------------------------------------ their clients


@pytest.mark.parametrize("name", PEERS)
def test_clients_and_a_renewed_ticket(name: str, peer: FindPeer, pki: Pki) -> None:
    """R5077-3.3-01: NewSessionTicket in an abbreviated handshake, since the key has aged."""
    with ticket_server(pki) as server:
        done = peer(name).run_client(server.port, AES, resume=Resumption.TICKET)
    assert done.answered, done.output
    assert resumed(server.results) == [False, True], done.output


def others(*names: str) -> list[str]:
    """All peers but these."""
    return [name for name in PEERS if name not in names]


@pytest.mark.parametrize("name", others("tlslite"))
def test_clients_and_a_declined_ticket(name: str, peer: FindPeer, pki: Pki) -> None:
    """R5077-3.2-02: the key is gone, so the handshake is full.

    tlslite-ng's client takes it for granted that its ticket is accepted.
    """
    with ticket_server(pki, overlap=0.0) as server:
        done = peer(name).run_client(server.port, AES, resume=Resumption.TICKET)
    assert "200 ok" in done.output.lower()  # NSS's tool exits with 1 if nothing was resumed
    assert resumed(server.results) == [False, False]


@pytest.mark.parametrize("name", PEERS)
def test_clients_and_a_hint_of_zero(name: str, peer: FindPeer, pki: Pki) -> None:
    """RFC 5077 §3.3: unspecified. JSSE and tlslite-ng take it for "expired" and do not come back with the ticket."""
    with ticket_server(pki, lifetime_hint=0) as server:
        done = peer(name).run_client(server.port, AES, resume=Resumption.TICKET)
    assert done.answered, done.output
    assert resumed(server.results) == [False, name not in ("jsse", "tlslite")]


@pytest.mark.parametrize("name", others("openssl", "tlslite"))
def test_clients_and_an_empty_ticket(name: str, peer: FindPeer, pki: Pki) -> None:
    """RFC 5077 §3.3: promised, and then none: two full handshakes.

    s_client has no session to offer then, and is tried below; tlslite-ng's fails as with a declined ticket.
    """
    with ticket_server(pki, max_size=0) as server:
        done = peer(name).run_client(server.port, AES, resume=Resumption.TICKET)
    assert "200 ok" in done.output.lower()
    assert resumed(server.results) == [False, False]


# ------------------------------------------------------------------------------------------------ their servers


@pytest.mark.parametrize("name", PEERS)
def test_servers_that_were_restarted(name: str, peer: FindPeer, pki: Pki) -> None:
    """R5077-3.2-02: their new keys do not open the old ticket; the full handshake brings a new one, which is good.

    tlslite-ng's program has fixed keys, so that it resumes at once.
    """
    session = None
    outcomes = []
    for starts in range(2):
        with peer(name).start_server(AES, tickets=True) as server:
            for _ in range(2):
                result = engine_client(
                    server.host, server.port, [AES.number], pki, session=session, session_tickets=True
                )
                session = result.session
                assert session is not None, f"start {starts} of {name}: {server.output}"
                assert session.ticket
                outcomes.append(result.resumed)
    assert outcomes == [False, True, name == "tlslite", True]


@pytest.mark.parametrize("name", PEERS)
def test_servers_without_tickets(name: str, peer: FindPeer, pki: Pki) -> None:
    """A client that would take tickets resumes by id."""
    outcomes = []
    session = None
    with peer(name).start_server(AES, tickets=False) as server:
        for _ in range(2):
            result = engine_client(server.host, server.port, [AES.number], pki, session=session, session_tickets=True)
            session = result.session
            assert session is not None
            outcomes.append((result.resumed, bool(session.ticket), bool(session.session_id)))
    assert outcomes == [(False, False, True), (True, False, True)]


@pytest.mark.parametrize("name", others("nss"))
def test_servers_and_garbage(name: str, peer: FindPeer, pki: Pki) -> None:
    """R5077-3.2-02: a ticket that nobody sealed leads to a full handshake. (NSS sends illegal_parameter.)"""
    with peer(name).start_server(AES, tickets=True) as server:
        first = engine_client(server.host, server.port, [AES.number], pki, session_tickets=True)
        assert first.session is not None
        spoilt = replace(first.session, ticket=first.session.ticket[::-1])
        second = engine_client(server.host, server.port, [AES.number], pki, session=spoilt, session_tickets=True)
    assert not second.resumed
    assert b"200 ok" in second.received.lower()


# ------------------------------------------------------------------------------------------------ OpenSSL, step by step


WITHOUT_EXTENDED_MASTER_SECRET = """
openssl_conf = all
[all]
ssl_conf = ssl
[ssl]
system_default = defaults
[defaults]
Options = -ExtendedMasterSecret
"""
"""A configuration of OpenSSL: s_client has no option for it."""


class SClient:
    """``openssl s_client``, which keeps its session in a file from one run to the next."""

    def __init__(self, port: int, pki: Pki, folder: Path) -> None:
        self.port = port
        self.pki = pki
        self.file = folder / "session.pem"

    def __call__(self, *options: str, suite: str = "AES128-SHA", extended_master_secret: bool = True) -> Completed:
        """Connect and ask, offering the session of the run before."""
        without = self.file.with_name("without-ems.cnf")
        without.write_text(WITHOUT_EXTENDED_MASTER_SECRET)
        command = ["openssl", "s_client", "-connect", f"127.0.0.1:{self.port}", "-tls1", "-ign_eof"]
        command += ["-cipher", f"{suite}:@SECLEVEL=0", "-servername", "localhost"]
        if self.file.exists():
            command += ["-sess_in", str(self.file)]
        environment = {} if extended_master_secret else {"OPENSSL_CONF": str(without)}
        return run([*command, "-CAfile", self.pki.ca, "-sess_out", self.file, *options], environment, send=REQUEST)

    @property
    def ticket(self) -> str:
        """The first line of the ticket in the file, in hexadecimal; empty if there is none."""
        shown = run(["openssl", "sess_id", "-in", self.file, "-noout", "-text"]).output
        found = re.search(r"TLS session ticket:\s+0000 - (.*)", shown)
        return found[1] if found else ""


def reused(done: Completed) -> bool:
    """Whether s_client says that it resumed."""
    found = report(done.output)
    assert found is not None, done.output
    assert found.resumed is not None
    return found.resumed


@pytest.fixture
def folder(tmp_path: Path, peer: FindPeer) -> Path:
    """Where s_client keeps its session; no openssl, no test."""
    peer("openssl")
    return tmp_path


def test_openssl_client_over_several_keys(pki: Pki, folder: Path) -> None:
    """It takes each renewed ticket, and with the last of them it resumes after the first key has gone.

    -reconnect makes five more connections with the session of the one before.
    """
    with ticket_server(pki, overlap=INTERVAL) as server:
        SClient(server.port, pki, folder)("-reconnect")
    assert resumed(server.results) == [False, True, True, True, True, True]


def test_openssl_client_and_an_empty_ticket(pki: Pki, folder: Path) -> None:
    """With neither ticket nor id it has no session to write."""
    with ticket_server(pki, max_size=0) as server:
        client = SClient(server.port, pki, folder)
        assert [reused(client()), reused(client())] == [False, False]
        assert not client.file.exists()


def test_openssl_client_keeps_its_ticket(pki: Pki, folder: Path) -> None:
    """While the key is current none is renewed."""
    with engine_server([AES.number], pki, certificate="rsa", tickets=True) as server:
        client = SClient(server.port, pki, folder)
        seen, tickets = [], []
        for _ in range(3):
            seen.append(reused(client()))
            tickets.append(client.ticket)
    assert seen == [False, True, True]
    assert len(set(tickets)) == 1
    assert tickets[0]


def test_openssl_client_without_tickets(pki: Pki, folder: Path) -> None:
    """-no_ticket: the server that has both falls back on ids."""
    with ticket_server(pki) as server:
        client = SClient(server.port, pki, folder)
        seen = [reused(client("-no_ticket")) for _ in range(3)]
        assert client.ticket == ""
    assert seen == [False, True, True]
    assert all(result.context.session_id for result in server.results)


def test_openssl_client_that_stops_using_tickets(pki: Pki, folder: Path) -> None:
    """Its session has a ticket only, which it does not send then."""
    with ticket_server(pki) as server:
        client = SClient(server.port, pki, folder)
        seen = [reused(client()), reused(client("-no_ticket"))]
    assert seen == [False, False]


def test_openssl_client_with_an_expired_session(pki: Pki, folder: Path) -> None:
    """The key opens the ticket, the session in it is too old."""
    with ticket_server(pki, lifetime=INTERVAL / 2, overlap=10 * INTERVAL) as server:
        client = SClient(server.port, pki, folder)
        assert [reused(client()), reused(client())] == [False, False]
    assert resumed(server.results) == [False, False]


def test_openssl_client_with_another_suite(pki: Pki, folder: Path) -> None:
    """R2246-7.4.1.2-17: it offers its session without the session's suite, which OpenSSL's server refuses as we do."""
    with ticket_server(pki, suites=(0x002F, 0x0035)) as server:
        client = SClient(server.port, pki, folder)
        assert not reused(client())
        done = client(suite="AES256-SHA")
    assert "illegal parameter" in done.output
    assert isinstance(server.outcomes[1], IllegalParameter)


def test_openssl_client_with_another_name(pki: Pki, folder: Path) -> None:
    """R6066-3-01: the ticket is good, the name is not the session's: a full handshake."""
    with ticket_server(pki) as server:
        client = SClient(server.port, pki, folder)
        assert [reused(client()), reused(client("-servername", "other.example"))] == [False, False]
    assert resumed(server.results) == [False, False]


def test_openssl_client_drops_the_extended_master_secret(pki: Pki, folder: Path) -> None:
    """R7627-5.3-01: the session has it, the new hello does not: the server aborts."""
    with ticket_server(pki) as server:
        client = SClient(server.port, pki, folder)
        assert not reused(client())
        done = client(extended_master_secret=False)
    assert "handshake failure" in done.output
    assert isinstance(server.outcomes[1], HandshakeFailure)


def test_openssl_client_adds_the_extended_master_secret(pki: Pki, folder: Path) -> None:
    """R7627-5.3-01: the hello has it, the session does not: a full handshake."""
    with ticket_server(pki) as server:
        client = SClient(server.port, pki, folder)
        assert [reused(client(extended_master_secret=False)), reused(client())] == [False, False]
    assert [result.context.extended_master_secret for result in server.results] == [False, True]


def test_openssl_client_and_the_longest_ticket(pki: Pki, folder: Path) -> None:
    """As long as we make them, and it comes back in a hello of more than one record."""
    keys = TicketKeys(time.time)

    class Padded:
        """Tickets that are as long as they may get."""

        lifetime_hint = 0

        def seal(self, session: Session) -> bytes:
            short = len(keys.seal(replace(session, peer_chain=(b"x",))))
            ticket = keys.seal(replace(session, peer_chain=(bytes(16_000 - short + 1),)))
            assert len(ticket) == 16_000
            return ticket

        def open(self, ticket: bytes) -> tuple[Session, bool] | None:
            return keys.open(ticket)

    with engine_server([AES.number], pki, certificate="rsa", tickets=Padded()) as server:
        client = SClient(server.port, pki, folder)
        assert [reused(client()), reused(client())] == [False, True]
    assert resumed(server.results) == [False, True]
