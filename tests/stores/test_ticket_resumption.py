"""The life of a ticket in whole handshakes: handed out, used, renewed, declined, taken back (RFC 5077 §3)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.support.conversation import carries_data, refused
from tests.support.ends import RSA, client_end, server_end
from tests.support.forge import EMPTY_RENEGOTIATION_INFO, Forge, Step, Trace
from tests.support.pair import End, pump
from tests.support.reunion import Reunion, handed_out, promised
from tests.support.sessions import demands
from tests.support.stores import Clock, session
from tests.support.traces import (
    SESSION_ID,
    client_trace,
    drop,
    insert,
    message,
    raw_message,
    resumed_trace,
    server_hello,
    server_trace,
    swap,
)
from tlsexit.alerts import AlertDescription
from tlsexit.constants import Role
from tlsexit.handshake.enums import ExtensionType, HandshakeType
from tlsexit.handshake.extensions import Extension, find
from tlsexit.handshake.finished import NewSessionTicket
from tlsexit.profile import Verify
from tlsexit.session import MemorySessionStore, Session
from tlsexit.stores import TicketKeys

HOUR = 3600.0
EMPTY_TICKET = Extension(ExtensionType.SESSION_TICKET, b"")


def reunion(clock: Clock, **elements: Any) -> Reunion:
    """A server whose keys seal for an hour and open for two more."""
    profiles = {name: elements.pop(name) for name in ("client", "server") if name in elements}
    keys = TicketKeys(clock, **{"interval": HOUR, "overlap": 2 * HOUR, "lifetime": 10 * HOUR, **elements})
    return Reunion(clock, None, keys, **profiles)


def offered_ticket(client: End) -> bytes | None:
    """The body of the session_ticket extension in the hello that a client has sent."""
    forge = Forge(client, RSA)
    assert forge.client_hello is not None
    return find(forge.client_hello.extensions, ExtensionType.SESSION_TICKET)


# ------------------------------------------------------------------------------------------------ handed out


def test_a_first_ticket(clock: Clock) -> None:
    """R5077-3.2-01, R5077-3.3-01: promised by an empty extension, sent once, under the server's Finished."""
    client, server = reunion(clock).meet()
    for end in (client, server):
        assert promised(end)
        (ticket,) = handed_out(end)
        assert ticket.ticket_lifetime_hint == 36_000
    taken = client.connection.session
    assert taken is not None
    assert taken.ticket == ticket.ticket != b""
    assert taken.session_id == b""


def test_nobody_asked(clock: Clock) -> None:
    """R5077-3.2-01: without the extension in the hello, neither the answer nor the message."""
    client, server = reunion(clock, client={"session_tickets": False}).meet()
    for end in (client, server):
        assert not promised(end)
        assert handed_out(end) == []
    assert client.connection.session is None


def test_no_ticket_counts_before_the_handshake_is_complete() -> None:
    """R5077-3.3-02: not before the server's Finished has been verified."""
    client = client_end(session_tickets=True)
    forge = Forge(client, RSA, {"extensions": (EMPTY_RENEGOTIATION_INFO, EMPTY_TICKET)})
    for step in with_ticket(server_trace(RSA), b"ticket"):
        assert client.connection.session is None
        forge.send(step)
    assert client.connection.session is not None
    assert client.connection.session.ticket == b"ticket"


def test_a_ticket_and_a_forged_finished() -> None:
    """R5077-3.3-02: then there is no session at all."""
    client = client_end(session_tickets=True)
    forge = Forge(client, RSA, {"extensions": (EMPTY_RENEGOTIATION_INFO, EMPTY_TICKET)})
    trace = with_ticket(drop(server_trace(RSA), "finished"), b"ticket")
    forge.play((*trace, raw_message(HandshakeType.FINISHED, bytes(12))))
    refused(forge, AlertDescription.DECRYPT_ERROR)
    assert client.connection.session is None


def with_ticket(trace: Trace, ticket: bytes, hint: int = 0) -> Trace:
    """A server's trace with NewSessionTicket in its place."""
    return insert(trace, new_session_ticket(ticket, hint), before="change_cipher_spec")


def new_session_ticket(ticket: bytes, hint: int = 0) -> Step:
    """The message."""
    return message("new_session_ticket", NewSessionTicket(hint, ticket))


# ------------------------------------------------------------------------------------------------ used and renewed


def test_a_current_key_needs_no_renewal(clock: Clock) -> None:
    made = reunion(clock)
    first = made.first()
    clock.now += HOUR - 1
    client, server = made.meet(first)
    for end in (client, server):
        assert end.connection.context.resumed
        assert not promised(end)
        assert handed_out(end) == []
    assert client.connection.session == first


@pytest.mark.parametrize("size", [None, 1])
def test_renewal_in_an_abbreviated_handshake(size: int | None, clock: Clock) -> None:
    """R5077-3.3-01: the key has aged, so the client gets a ticket of the new one, and the session goes on."""
    made = reunion(clock)
    made.size = size
    current = made.first()
    for _ in range(4):
        clock.now += 2 * HOUR
        client, server = made.meet(current)
        for end in (client, server):
            assert end.connection.context.resumed
            assert promised(end)
            assert len(handed_out(end)) == 1
        renewed = client.connection.session
        assert renewed is not None
        assert renewed.ticket not in (b"", current.ticket)
        assert replace(renewed, ticket=b"", ticket_received=0.0) == replace(current, ticket=b"", ticket_received=0.0)
        assert renewed.ticket_received == clock.now
        current = renewed
    # eight hours after the full handshake; no renewal gets past ten
    clock.now += 2 * HOUR
    assert not made.resumes(current)


def test_renewal_by_a_full_handshake(clock: Clock) -> None:
    """R5077-3.2-02: the key is gone; the handshake is full, and its ticket good again."""
    made = reunion(clock)
    first = made.first()
    clock.now += 3 * HOUR
    client, server = made.meet(first)
    for end in (client, server):
        assert not end.connection.context.resumed
        assert promised(end)
        assert len(handed_out(end)) == 1
    second = client.connection.session
    assert second is not None
    assert second.master_secret != first.master_secret
    assert made.resumes(second)


def test_an_old_ticket_stays_good_beside_its_successor(clock: Clock) -> None:
    """Several connections may have been opened with it at once."""
    made = reunion(clock)
    first = made.first()
    clock.now += HOUR
    assert made.resumes(first)
    assert made.resumes(first)


def test_keys_of_another_process(clock: Clock) -> None:
    """Not shared: a declined ticket, and no harm."""
    first = reunion(clock).first()
    assert not reunion(clock).resumes(first)


# ------------------------------------------------------------------------------------------------ hints


@pytest.mark.parametrize(("seconds", "used"), [(0, True), (299, True), (300, False), (-1, False)])
def test_a_client_keeps_to_the_hint(seconds: float, used: bool, clock: Clock) -> None:
    """R5077-3.3-02: dropped when it has passed, although the server would still take it."""
    made = reunion(clock, lifetime_hint=300)
    first = made.first()
    clock.now += seconds
    assert made.resumes(first) is used
    client, _ = made.ends(first)
    assert offered_ticket(client) == (first.ticket if used else b"")


def test_a_hint_of_zero(clock: Clock) -> None:
    """RFC 5077 §3.3: unspecified, so the client asks for as long as the server is willing."""
    made = reunion(clock, lifetime_hint=0)
    first = made.first()
    assert first.ticket_lifetime_hint == 0
    clock.now += 2.5 * HOUR
    assert made.resumes(first)
    clock.now += 0.5 * HOUR
    client, _ = made.ends(first)
    assert offered_ticket(client) == first.ticket
    assert not made.resumes(first)


def test_a_renewal_starts_the_hint_anew(clock: Clock) -> None:
    made = reunion(clock, lifetime_hint=5000)
    first = made.first()
    clock.now += 4000
    client, _ = made.meet(first)
    assert client.connection.context.resumed
    clock.now += 4000
    assert made.resumes(client.connection.session)
    assert not made.resumes(first)


# ------------------------------------------------------------------------------------------------ empty tickets


def test_an_empty_ticket(clock: Clock) -> None:
    """RFC 5077 §3.3: the server promised one and has none after all; the handshake stands, the client has nothing."""
    made = reunion(clock, max_size=0)
    client, server = made.meet()
    assert promised(server)
    assert [item.ticket for item in handed_out(client)] == [b""]
    assert client.connection.session is None


def test_a_chain_that_is_too_long_for_a_ticket(clock: Clock) -> None:
    """The bound is on the whole ticket: with the client's chain in it there is none."""
    size = len(reunion(clock).first().ticket)
    made = reunion(clock, max_size=size)
    assert made.first().ticket
    made.server = {"verify": Verify.REQUIRED}
    client, _ = made.meet()
    assert client.connection.session is None


@pytest.mark.parametrize("session_id", [b"", b"an old session"])
def test_an_empty_ticket_in_an_abbreviated_handshake(session_id: bytes) -> None:
    """The ticket is gone; an id, if there was one, remains."""
    old = held(session_id=session_id)
    client, forge = resuming_server(old)
    forge.hello["extensions"] = (EMPTY_RENEGOTIATION_INFO, EMPTY_TICKET)
    carries_data(forge.play(with_ticket(resumed_trace(Role.SERVER), b"")))
    kept = client.connection.session
    if session_id:
        assert kept is not None
        assert (kept.ticket, kept.session_id) == (b"", session_id)
    else:
        assert kept is None


# ------------------------------------------------------------------------------------------------ forged servers


def held(**fields: Any) -> Session:
    """A session with a ticket that a client holds, of no extended master secret."""
    return session(Clock(), **{"session_id": b"", "ticket": b"ticket", "demands": demands(), **fields})


def resuming_server(old: Session, **profile: Any) -> tuple[End, Forge]:
    """A client that offers a session, and a forged server that echoes whatever id it offered."""
    profile = {"session_tickets": True, "extended_master_secret": False, **profile}
    client = client_end(RSA, session=old, config={"clock": Clock()}, **profile)
    forge = Forge(client, RSA, session=old)
    assert forge.client_hello is not None
    forge.hello = {"session_id": forge.client_hello.session_id, "extensions": (EMPTY_RENEGOTIATION_INFO,)}
    return client, forge


def test_an_accepted_ticket() -> None:
    """R5077-3.4-01: a made-up id goes with the ticket, and its echo says that it was accepted."""
    client, forge = resuming_server(held())
    assert forge.client_hello is not None
    assert len(forge.client_hello.session_id) == 32
    assert find(forge.client_hello.extensions, ExtensionType.SESSION_TICKET) == b"ticket"
    carries_data(forge.play(resumed_trace(Role.SERVER)))
    assert client.connection.context.resumed


@pytest.mark.parametrize("session_id", [b"", SESSION_ID])
def test_a_declined_ticket(session_id: bytes) -> None:
    """R5077-3.2-02: any other id, or none, means a full handshake; the old session is not offered again by mistake."""
    client, forge = resuming_server(held())
    forge.session = None
    forge.hello["session_id"] = session_id
    carries_data(forge.play(server_trace(RSA)))
    assert not client.connection.context.resumed
    assert (client.connection.session is not None) == bool(session_id)


def test_a_declined_ticket_and_a_new_one() -> None:
    """R5077-3.3-01: the new one replaces it."""
    client, forge = resuming_server(held())
    forge.session = None
    forge.hello = {"session_id": b"", "extensions": (EMPTY_RENEGOTIATION_INFO, EMPTY_TICKET)}
    carries_data(forge.play(with_ticket(server_trace(RSA), b"another", 7)))
    kept = client.connection.session
    assert kept is not None
    assert (kept.ticket, kept.ticket_lifetime_hint) == (b"another", 7)


@pytest.mark.parametrize("abbreviated", [False, True])
def test_a_promise_that_is_not_kept(abbreviated: bool) -> None:
    """R5077-3.3-01: NewSessionTicket is sent exactly when ServerHello had the extension."""
    _, forge = resuming_server(held())
    forge.hello["extensions"] = (EMPTY_RENEGOTIATION_INFO, EMPTY_TICKET)
    if not abbreviated:
        forge.session, forge.hello["session_id"] = None, b""
    forge.play(resumed_trace(Role.SERVER) if abbreviated else server_trace(RSA))
    refused(forge, AlertDescription.UNEXPECTED_MESSAGE)


@pytest.mark.parametrize("abbreviated", [False, True])
def test_a_ticket_that_was_not_promised(abbreviated: bool) -> None:
    """R5077-3.3-01."""
    _, forge = resuming_server(held())
    if not abbreviated:
        forge.session, forge.hello["session_id"] = None, b""
    forge.play(with_ticket(resumed_trace(Role.SERVER) if abbreviated else server_trace(RSA), b"surprise"))
    refused(forge, AlertDescription.UNEXPECTED_MESSAGE)


@pytest.mark.parametrize("abbreviated", [False, True])
def test_a_ticket_too_late(abbreviated: bool) -> None:
    """R5077-3.3-01: it comes before ChangeCipherSpec, not behind it."""
    _, forge = resuming_server(held())
    forge.hello["extensions"] = (EMPTY_RENEGOTIATION_INFO, EMPTY_TICKET)
    if not abbreviated:
        forge.session, forge.hello["session_id"] = None, b""
    trace = with_ticket(resumed_trace(Role.SERVER) if abbreviated else server_trace(RSA), b"late")
    forge.play(swap(trace, "new_session_ticket", "change_cipher_spec"))
    refused(forge, AlertDescription.UNEXPECTED_MESSAGE)


def test_two_tickets() -> None:
    _, forge = resuming_server(held())
    forge.hello["extensions"] = (EMPTY_RENEGOTIATION_INFO, EMPTY_TICKET)
    trace = with_ticket(with_ticket(resumed_trace(Role.SERVER), b"one"), b"two")
    refused(forge.play(trace), AlertDescription.UNEXPECTED_MESSAGE)


def test_a_ticket_that_nobody_asked_for() -> None:
    """R5077-3.2-01: the client sent no extension, so the server must not answer it."""
    forge = Forge(client_end(RSA), RSA, {"extensions": (EMPTY_RENEGOTIATION_INFO, EMPTY_TICKET)})
    refused(forge.play((server_hello,)), AlertDescription.UNSUPPORTED_EXTENSION)


def test_a_full_handshake_after_an_echo() -> None:
    """R2246-7.3-06: the echo has settled that this is a resumption; a certificate comes too late."""
    _, forge = resuming_server(held())
    refused(forge.play(server_trace(RSA)[:2]), AlertDescription.UNEXPECTED_MESSAGE)


# ------------------------------------------------------------------------------------------------ an id beside a ticket


def test_a_server_that_gives_both() -> None:
    """The session has an id and a ticket, which is used first."""
    client = client_end(session_tickets=True)
    forge = Forge(client, RSA, {"extensions": (EMPTY_RENEGOTIATION_INFO, EMPTY_TICKET)})
    carries_data(forge.play(with_ticket(server_trace(RSA), b"ticket", 300)))
    both = client.connection.session
    assert both is not None
    assert (both.session_id, both.ticket) == (SESSION_ID, b"ticket")


@pytest.mark.parametrize(
    ("fields", "profile"),
    [
        ({"ticket_lifetime_hint": 300, "ticket_received": Clock().now - 300}, {}),
        ({}, {"session_tickets": False}),
        ({}, {"extensions": False}),
    ],
    ids=["its time has passed", "tickets are off", "extensions are off"],
)
def test_a_ticket_that_may_not_be_used_makes_way_for_the_id(fields: dict[str, Any], profile: dict[str, Any]) -> None:
    """R5077-3.3-02: the session goes on by its id, and the ticket is not sent."""
    old = held(session_id=SESSION_ID, **fields)
    client, forge = resuming_server(old, **profile)
    assert forge.client_hello is not None
    assert forge.client_hello.session_id == SESSION_ID
    assert find(forge.client_hello.extensions, ExtensionType.SESSION_TICKET) in (b"", None)
    carries_data(forge.play(resumed_trace(Role.SERVER)))
    assert client.connection.context.resumed
    assert client.connection.session == replace(old, ticket=b"")


@pytest.mark.parametrize("profile", [{"session_tickets": False}, {"extensions": False}], ids=lambda p: next(iter(p)))
def test_nothing_is_offered_of_a_session_with_only_a_ticket(profile: dict[str, Any]) -> None:
    _, forge = resuming_server(held(), **profile)
    assert forge.client_hello is not None
    assert forge.client_hello.session_id == b""


# ------------------------------------------------------------------------------------------------ renegotiation


def test_a_ticket_after_a_renegotiation(clock: Clock) -> None:
    """Each full handshake has a ticket of its own; the last is what the client keeps."""
    renegotiation = {"renegotiation": True}
    made = reunion(clock, client=renegotiation, server=renegotiation)
    client, server = made.meet()
    first = client.connection.session
    client.connection.renegotiate()
    client.drive()
    pump(client, server)
    second = client.connection.session
    assert first is not None
    assert second is not None
    assert client.connection.context.handshake_count == 2
    assert second.ticket != first.ticket
    assert second.master_secret != first.master_secret
    assert made.resumes(second)


def test_ids_from_a_server_without_tickets(clock: Clock) -> None:
    """A server with a store and without tickets gives ids to those who would like tickets."""
    store = MemorySessionStore(clock)
    client = client_end(session_tickets=True, config={"clock": clock})
    server = server_end(config={"clock": clock, "session_store": store})
    pump(client, server)
    assert client.connection.session is not None
    assert client.connection.session.session_id
    assert client.connection.session.ticket == b""


def test_a_forged_client_gets_its_ticket(clock: Clock) -> None:
    """R5077-3.3-01: NewSessionTicket comes after the client's Finished, before the server's ChangeCipherSpec."""
    server = server_end(config={"clock": clock, "tickets": TicketKeys(clock)})
    forge = Forge(server, RSA, {"extensions": (EMPTY_RENEGOTIATION_INFO, EMPTY_TICKET)})
    trace = client_trace(RSA)
    forge.play(trace[:-1])
    before = len(forge.messages)
    forge.play(trace[-1:])
    carries_data(forge)
    names = [type(item).__name__ for item in forge.messages[before:]]
    assert names == ["NewSessionTicket", "ChangeCipherSpec", "Finished"]
