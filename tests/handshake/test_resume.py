"""What a client offers of a session (whole resumptions are in the conversations and beside the stores)."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from tests.support.ends import DHE_RSA, RSA
from tests.support.sessions import old_session
from tests.support.walk import places
from tlsexit.constants import Role
from tlsexit.exits.context import SessionContext, TaskContext
from tlsexit.handshake import states
from tlsexit.handshake.actions import InstallRead
from tlsexit.handshake.common import peer_demands
from tlsexit.handshake.finished import NewSessionTicket
from tlsexit.handshake.inputs import ChangeCipherSpecReceived
from tlsexit.handshake.machine import step
from tlsexit.handshake.resume import offerable, offered_session_id, with_ticket
from tlsexit.policy import system_config
from tlsexit.profile import Profile, Verify
from tlsexit.session import Session

CONFIG = system_config(clock=lambda: 5000.0, random=lambda size: b"r" * size)


def context(**elements: Any) -> SessionContext:
    profile = Profile.client(**{"cipher_suites": (RSA,), **elements})
    return SessionContext(task=TaskContext(1), reference=1, role=Role.CLIENT, profile=profile)


def session(**fields: Any) -> Session:
    """A session that this client made, under the demands that it still has."""
    return old_session(**{"demands": peer_demands(context(), CONFIG), "created": 4000.0, **fields})


def test_nothing_to_offer() -> None:
    assert offerable(None, context(), CONFIG) is None
    assert offered_session_id(None, CONFIG) == b""


def test_a_session_to_offer() -> None:
    """R2246-7.4.1.2-17: with its suite among those offered."""
    assert offerable(session(), context(), CONFIG) == session()
    assert offered_session_id(session(), CONFIG) == session().session_id


@pytest.mark.parametrize(
    "fields",
    [
        {"version": 0x0302},
        {"cipher_suite": DHE_RSA},
        {"server_name": "other.example"},
        {"max_fragment_length": 512},
        {"session_id": b""},
    ],
)
def test_sessions_that_are_not_offered(fields: dict[str, Any]) -> None:
    """R2246-7.4.1.3-11, R2246-7.4.1.2-17, R6066-3-01."""
    assert offerable(session(**fields), context(), CONFIG) is None


@pytest.mark.parametrize(
    "elements",
    [
        {"cipher_suites": (DHE_RSA,)},
        {"server_name": "other.example"},
        {"verify": Verify.ENFORCED},
        {"depth": 0},
    ],
)
def test_profiles_that_do_not_want_it(elements: dict[str, Any]) -> None:
    """What the session would bring back is not what the profile demands."""
    assert offerable(session(), context(**elements), CONFIG) is None


def test_an_extended_master_secret_is_not_given_up() -> None:
    """R7627-5.3-01: without the extension in the hello the server would have to abort."""
    extended = session(extended_master_secret=True)
    assert offerable(extended, context(), CONFIG) == extended
    assert offerable(extended, context(extended_master_secret=False), CONFIG) is None


@pytest.mark.parametrize(("hint", "age", "usable"), [(0, 10**6, True), (100, 99, True), (100, 100, False)])
def test_the_life_of_a_ticket(hint: int, age: float, usable: bool) -> None:
    """R5077-3.3-02."""
    ticketed = session(ticket=b"ticket", ticket_lifetime_hint=hint, ticket_received=5000.0 - age)
    wanted = context(session_tickets=True)
    offered = offerable(ticketed, wanted, CONFIG)
    assert offered == (ticketed if usable else replace(ticketed, ticket=b""))
    # R5077-3.4-01: a made-up id beside a ticket, whose echo says that it was accepted
    assert offered_session_id(offered, CONFIG) == (b"r" * 32 if usable else ticketed.session_id)


def test_a_ticket_arrives() -> None:
    """R5077-3.3-01: it is dated by this side's clock."""
    kept = with_ticket(session(), NewSessionTicket(300, b"new"), CONFIG)
    assert (kept.ticket, kept.ticket_lifetime_hint, kept.ticket_received) == (b"new", 300, 5000.0)


def test_the_order_in_an_abbreviated_handshake() -> None:
    """R2246-7.3-05, R2246-7.4.9-07: the server changes keys first, and the client's Finished covers the server's."""
    where = places()[Role.CLIENT, states.AwaitResumedServerChangeCipherSpec][0]
    changed = step(Role.CLIENT, where.state, ChangeCipherSpecReceived(), where.config)
    assert [type(action) for action in changed.actions] == [InstallRead]
    assert isinstance(changed.state, states.AwaitResumedServerFinished)
    server = places()[Role.SERVER, states.AwaitResumedClientChangeCipherSpec][0]
    assert isinstance(server.state, states.AwaitResumedClientChangeCipherSpec)
    assert server.state.transcript.messages[-1][:1] == b"\x14"


def test_a_chain_that_does_not_parse_never_counted_and_keeps_nothing_from_being_offered() -> None:
    broken = session(peer_chain=(b"no certificate",))
    assert offerable(broken, context(), CONFIG) == broken


def test_a_certificate_whose_time_cannot_be_read_counts_as_expired(monkeypatch: pytest.MonkeyPatch) -> None:
    class Unreadable:
        @property
        def not_valid_after_utc(self) -> datetime:
            raise ValueError("no time")

    monkeypatch.setattr("tlsexit.handshake.resume.load_certificate", lambda der: Unreadable())
    assert offerable(session(own_chain=(b"a certificate without a time",)), context(), CONFIG) is None
