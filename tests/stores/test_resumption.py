"""Whole resumptions through every store and through tickets (RFC 2246 §7.3, RFC 5077 §3, RFC 7627 §5.3)."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.interop.process import free_port
from tests.support.conversation import carries_data, refused
from tests.support.ends import DHE_RSA, ECDHE_RSA, RSA
from tests.support.forge import EMPTY_RENEGOTIATION_INFO, Forge
from tests.support.pair import End, pump
from tests.support.redis import redis_url
from tests.support.reunion import Reunion
from tests.support.sessions import demands
from tests.support.stores import KEY, Clock, Failures, session
from tests.support.traces import client_hello, resumed_trace
from tlsexit.alerts import AlertDescription, HandshakeFailure, IllegalParameter
from tlsexit.constants import Role
from tlsexit.exits.context import Authentication
from tlsexit.handshake.enums import ExtensionType
from tlsexit.handshake.extensions import Extension
from tlsexit.profile import Verify
from tlsexit.session import MemorySessionStore
from tlsexit.stores import SQLiteSessionStore, TicketKeys
from tlsexit.stores.redis import RedisSessionStore

MakeReunion = Callable[..., Reunion]
HOUR = 3600.0
EVERYWHERE = ["memory", "sqlite", "redis", "tickets"]


@pytest.fixture
def reunion(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock, failures: Failures) -> Iterator[MakeReunion]:
    """Make a reunion with the store or the tickets that the test is run with."""
    kind: str = getattr(request, "param", "tickets")
    if kind == "memory":
        yield lambda **elements: Reunion(clock, MemorySessionStore(clock), **elements)
    elif kind == "tickets":
        yield lambda **elements: Reunion(clock, None, TicketKeys(clock, interval=10 * HOUR), **elements)
    else:
        store: SQLiteSessionStore | RedisSessionStore
        if kind == "sqlite":
            store = SQLiteSessionStore(tmp_path / "sessions.db", KEY, clock=clock, timeout=20.0, on_error=failures)
        else:
            url = redis_url(request.getfixturevalue("redis_server").port)
            store = RedisSessionStore(url, KEY, clock=clock, timeout=20.0, on_error=failures)
        with closing(store):
            yield lambda **elements: Reunion(clock, store, **elements)
    assert failures == []


everywhere = pytest.mark.parametrize("reunion", EVERYWHERE, indirect=True)


# ------------------------------------------------------------------------------------------------ the same again


@everywhere
@pytest.mark.parametrize("suite", [RSA, DHE_RSA, ECDHE_RSA])
@pytest.mark.parametrize("size", [None, 1])
def test_resumption(suite: int, size: int | None, reunion: MakeReunion) -> None:
    """R2246-7.3-05, R2246-7.4.1.3-04: everything comes back, at both ends, whatever the stream is cut into."""
    made = reunion(suites=(suite,), size=size, client={"server_name": "localhost"})
    first = made.first()
    client, server = made.meet(first)
    for end in (client, server):
        context = end.connection.context
        assert context.resumed
        assert context.cipher_suite == suite
        assert context.server_name == "localhost"
        assert context.extended_master_secret
        assert context.authentication is Authentication.SERVER
    assert client.connection.context.peer_chain == server.connection.context.own_chain != ()
    assert client.connection.session == first


@everywhere
def test_the_client_is_known_again(reunion: MakeReunion) -> None:
    """Who it was, and that it was trusted."""
    made = reunion(server={"verify": Verify.REQUIRED})
    client, server = made.meet()
    again, other = made.meet(client.connection.session)
    assert again.connection.context.resumed
    assert other.connection.context.peer_chain == server.connection.context.peer_chain != ()
    assert other.connection.context.peer_trusted
    for end in (again, other):
        assert end.connection.context.authentication is Authentication.BOTH


@everywhere
def test_without_the_extended_master_secret(reunion: MakeReunion) -> None:
    made = reunion(client={"extended_master_secret": False})
    assert made.resumes(made.first())


@everywhere
def test_max_fragment_length_comes_back(reunion: MakeReunion) -> None:
    """RFC 6066 §4: it belongs to the session."""
    made = reunion(client={"max_fragment_length": 512})
    client, _ = made.meet(made.first())
    assert client.connection.context.resumed
    client.connection.send(bytes(2000))
    sent = client.connection.data_to_send()
    while sent:
        length = int.from_bytes(sent[3:5], "big")
        assert length <= 512 + 64  # and a little for MAC and padding
        sent = sent[5 + length :]


@everywhere
def test_again_and_again(reunion: MakeReunion) -> None:
    """R2246-F.1.4-02: as long as a session lives, which no resumption prolongs."""
    made = reunion()
    current = made.first()
    made.clock.now += 5 * HOUR
    for _ in range(4):
        client, _ = made.meet(current)
        assert client.connection.context.resumed
        assert client.connection.session is not None
        current = client.connection.session
        made.clock.now += 5 * HOUR - 1
    assert not made.resumes(current)


# ------------------------------------------------------------------------------------------------ something changed


@everywhere
@pytest.mark.parametrize(
    "change",
    [
        {"server_name": "server.example"},
        {"extended_master_secret": False},
        {"verify": Verify.ENFORCED},
    ],
    ids=lambda change: "-".join(change),
)
def test_a_client_that_wants_something_else(change: dict[str, Any], reunion: MakeReunion) -> None:
    """It does not offer the session, so the handshake is a full one (R6066-3-01, R7627-5.3-01)."""
    made = reunion(client={"server_name": "localhost"})
    first = made.first()
    made.client = {**made.client, **change}
    made.server = {"verify": Verify.OPTIONAL}  # so that the client that insists on being asked is asked
    assert not made.resumes(first)


@everywhere
def test_a_client_that_wants_another_suite(reunion: MakeReunion) -> None:
    made = reunion()
    first = made.first()
    made.suites = (DHE_RSA,)
    client, _ = made.meet(first)
    assert not client.connection.context.resumed
    assert client.connection.context.cipher_suite == DHE_RSA


@everywhere
@pytest.mark.parametrize(
    "fields",
    [
        {"version": 0x0300},
        {"version": 0x0302},
        {"server_name": "server.example"},
        {"server_name": None},
        {"cipher_suite": DHE_RSA},
        {"extended_master_secret": False},
        {"demands": b"others"},
    ],
    ids=lambda fields: "-".join(f"{name}={value}" for name, value in fields.items()),
)
def test_a_session_of_something_else(fields: dict[str, Any], reunion: MakeReunion) -> None:
    """What the server remembers does not fit what the client offers: a full handshake, and no alert.

    R2246-7.4.1.3-08, R6066-3-01, R7627-5.3-01 (the hello has the extension, the session does not).
    """
    made = reunion(client={"server_name": "localhost"})
    # the client offers both suites, so that the one remembered is among them; the server has RSA alone
    client, server = _with_client_suites(made, made.alter(made.first(), **fields), (RSA, DHE_RSA))
    assert client.connection.established, client.connection.error
    for end in (client, server):
        assert not end.connection.context.resumed
        assert end.connection.context.cipher_suite == RSA


def _with_client_suites(made: Reunion, offered: Any, suites: tuple[int, ...]) -> tuple[End, End]:
    """A meeting to which the client brings other suites than the server."""
    _, server = made.ends()
    made = replace(made, suites=suites)
    client, _ = made.ends(offered)
    pump(client, server)
    return client, server


@everywhere
def test_a_session_without_its_suite(reunion: MakeReunion) -> None:
    """R2246-7.4.1.2-17: the hello must list the suite of the session it offers."""
    made = reunion(suites=(RSA, DHE_RSA))
    offered = made.alter(made.first(), cipher_suite=DHE_RSA)
    client, server = _with_client_suites(made, offered, (RSA,))
    assert isinstance(server.connection.error, IllegalParameter)
    assert client.connection.closed


@everywhere
def test_a_session_with_another_kind_of_master_secret(reunion: MakeReunion) -> None:
    """R7627-5.3-01: the old session has it and the new hello does not: the server aborts."""
    made = reunion()
    offered = replace(made.first(), extended_master_secret=False)
    made.client = {"extended_master_secret": False}
    client, server = made.ends(offered)
    pump(client, server)
    assert isinstance(server.connection.error, HandshakeFailure)
    assert client.connection.closed


@everywhere
def test_a_certificate_is_required_now(reunion: MakeReunion) -> None:
    """The client had shown none; so it is asked."""
    made = reunion()
    first = made.first()
    made.server = {"verify": Verify.REQUIRED}
    client, server = made.meet(first)
    assert not server.connection.context.resumed
    assert client.connection.context.authentication is Authentication.BOTH


@everywhere
def test_the_secret_is_needed(reunion: MakeReunion) -> None:
    """Whoever has copied a session id or a ticket from the wire cannot go on."""
    made = reunion()
    client, server = made.ends(replace(made.first(), master_secret=bytes(48)))
    pump(client, server)
    assert client.connection.closed
    assert server.connection.closed


@everywhere
def test_a_fatal_alert(reunion: MakeReunion) -> None:
    """R2246-7.2-03: a store forgets the session; a ticket cannot be called back (RFC 5077 §5.1)."""
    made = reunion()
    first = made.first()
    client, server = made.meet(first)
    server.connection.receive_data(b"\x17\3\1\0\x20" + bytes(32))
    server.drive()
    pump(client, server)
    assert client.connection.session is None
    assert made.resumes(first) is (made.tickets is not None)


# ------------------------------------------------------------------------------------------------ several servers


@pytest.mark.parametrize("kind", ["sqlite", "redis", "tickets"])
def test_servers_that_share(kind: str, tmp_path: Path, request: pytest.FixtureRequest, clock: Clock) -> None:
    """A session made at one is resumed at the other."""
    servers: list[dict[str, Any]] = []
    for _ in range(2):
        if kind == "sqlite":
            servers.append({"store": SQLiteSessionStore(tmp_path / "sessions.db", KEY, clock=clock, timeout=20.0)})
        elif kind == "redis":
            url = redis_url(request.getfixturevalue("redis_server").port)
            servers.append({"store": RedisSessionStore(url, KEY, clock=clock, timeout=20.0)})
        else:
            servers.append({"tickets": TicketKeys(clock, rotate=not servers)})
    if kind == "tickets":
        servers[1]["tickets"].import_keys(servers[0]["tickets"].export_keys())
    first = Reunion(clock, **servers[0]).first()
    assert Reunion(clock, **servers[1]).resumes(first)
    for server in servers:
        if "store" in server:
            server["store"].close()


def test_a_store_that_is_down(clock: Clock, failures: Failures) -> None:
    """Handshakes go on, all of them full."""
    with RedisSessionStore(redis_url(free_port()), KEY, clock=clock, pause=0.0, on_error=failures) as store:
        made = Reunion(clock, store)
        first = made.first()
        assert first.session_id
        assert not made.resumes(first)
    assert failures.operations == ["put", "get", "put"]


def test_a_store_that_breaks(tmp_path: Path, clock: Clock, failures: Failures) -> None:
    with SQLiteSessionStore(tmp_path / "sessions.db", KEY, clock=clock, on_error=failures) as store:
        made = Reunion(clock, store)
        first = made.first()
        with closing(sqlite3.connect(tmp_path / "sessions.db")) as other, other:
            other.execute("DROP TABLE session")
        assert not made.resumes(first)
    assert failures.operations == ["get", "put"]


# ------------------------------------------------------------------------------------------------ ids and tickets


def test_a_server_with_both(clock: Clock) -> None:
    """Tickets for those who want them, and then no id (RFC 5077 §3.4); ids for the others."""
    store = MemorySessionStore(clock)
    made = Reunion(clock, store, TicketKeys(clock))
    with_ticket = made.first()
    assert with_ticket.ticket
    assert with_ticket.session_id == b""
    assert len(store) == 0
    made.client = {"session_tickets": False}
    with_id = made.first()
    assert with_id.ticket == b""
    assert len(store) == 1
    assert made.resumes(with_id)
    made.client = {}
    assert made.resumes(with_ticket)
    # an empty extension beside an id: the id it is
    assert made.resumes(with_id)


@pytest.mark.parametrize("ticket", [b"x", bytes(100), bytes(16_000)])
def test_a_ticket_hides_the_id(ticket: bytes, clock: Clock) -> None:
    """R5077-3.4-01, R5077-3.2-02: beside a ticket, even a bad one, the id is not looked up."""
    store = MemorySessionStore(clock)
    kept = session(clock)
    store.put(kept)
    _, server = Reunion(clock, store, TicketKeys(clock)).ends()
    extensions = (EMPTY_RENEGOTIATION_INFO, Extension(ExtensionType.SESSION_TICKET, ticket))
    forge = Forge(server, RSA, {"session_id": kept.session_id, "extensions": extensions})
    forge.play((client_hello,))
    assert forge.server_hello is not None
    assert forge.server_hello.session_id == b""
    assert not server.connection.context.resumed


def test_a_ticket_for_a_server_without_keys(clock: Clock) -> None:
    """It is ignored, and the id beside it is looked up; the answer has no such extension."""
    store = MemorySessionStore(clock)
    _, server = Reunion(clock, store).ends()
    kept = session(clock, demands=demands())
    store.put(kept)
    extensions = (EMPTY_RENEGOTIATION_INFO, Extension(ExtensionType.SESSION_TICKET, b"ticket"))
    forge = Forge(server, RSA, {"extensions": extensions}, session=kept).play(resumed_trace(Role.CLIENT))
    carries_data(forge)
    assert server.connection.context.resumed
    assert forge.server_hello is not None
    assert forge.server_hello.extensions == (EMPTY_RENEGOTIATION_INFO,)


def test_a_ticket_without_an_id(clock: Clock) -> None:
    """R5077-3.4-01: there is nothing to echo, so ServerHello has an empty id; the handshake is an abbreviated one."""
    keys = TicketKeys(clock)
    _, server = Reunion(clock, None, keys).ends()
    sealed = session(clock, session_id=b"", demands=demands())
    extensions = (EMPTY_RENEGOTIATION_INFO, Extension(ExtensionType.SESSION_TICKET, keys.seal(sealed)))
    forge = Forge(server, RSA, {"extensions": extensions}, session=sealed).play(resumed_trace(Role.CLIENT))
    carries_data(forge)
    assert server.connection.context.resumed
    assert forge.server_hello is not None
    assert forge.server_hello.session_id == b""


def test_a_ticket_of_a_session_that_must_not_be_resumed(clock: Clock) -> None:
    """The EMS rules hold for tickets that come from elsewhere too (R7627-5.3-01)."""
    keys = TicketKeys(clock)
    _, server = Reunion(clock, None, keys).ends()
    ticket = keys.seal(session(clock, extended_master_secret=True, demands=demands()))
    extensions = (EMPTY_RENEGOTIATION_INFO, Extension(ExtensionType.SESSION_TICKET, ticket))
    refused(Forge(server, RSA, {"extensions": extensions}).play((client_hello,)), AlertDescription.HANDSHAKE_FAILURE)
