"""One step of the machine: look-up, error texts, and that it touches nothing but its sources."""

from __future__ import annotations

import pytest

from tests.support.ends import RSA
from tests.support.walk import places
from tlsexit.alerts import AlertDescription, ExitFailed, UnexpectedMessage
from tlsexit.constants import Role
from tlsexit.exits.calls import StartHandshakeCall
from tlsexit.exits.context import SessionContext, TaskContext
from tlsexit.handshake import states
from tlsexit.handshake.actions import Ask, Send
from tlsexit.handshake.finished import Finished
from tlsexit.handshake.hello import ClientHello, HelloRequest
from tlsexit.handshake.inputs import Answered, ChangeCipherSpecReceived, Received, Refused, Start
from tlsexit.handshake.machine import step
from tlsexit.handshake.table import TABLES
from tlsexit.policy import system_config
from tlsexit.profile import Profile

CONFIG = system_config()


def idle(role: Role) -> states.Idle:
    profile = Profile.client(cipher_suites=(RSA,)) if role is Role.CLIENT else Profile.server(cipher_suites=(RSA,))
    return states.Idle(SessionContext(task=TaskContext(1), reference=1, role=role, profile=profile))


@pytest.mark.parametrize("role", Role)
def test_the_first_step(role: Role) -> None:
    """Start leads to a question and to nothing else."""
    result = step(role, idle(role), Start(), CONFIG)
    (action,) = result.actions
    assert isinstance(action, Ask)
    assert isinstance(action.call, StartHandshakeCall)
    assert action.call.context is result.state.context


def test_states_can_be_gone_back_to() -> None:
    """A state is a value: the same question may be answered twice, differently, from the same state."""
    start = idle(Role.CLIENT)
    asked = step(Role.CLIENT, start, Start(), CONFIG)
    call = StartHandshakeCall(start.context)
    profiles = (start.context.profile, start.context.profile.changed({"cipher_suites": (0x33,)}))
    offered = []
    for profile in profiles:
        result = step(Role.CLIENT, asked.state, Answered(call, (None, profile)), CONFIG)
        (action,) = result.actions
        assert isinstance(action, Send)
        assert isinstance(action.message, ClientHello)
        offered.append(action.message.cipher_suites)
    assert offered == [(RSA,), (0x33,)]


@pytest.mark.parametrize(
    ("given", "name"),
    [
        (Received(Finished(bytes(12)), b""), "Finished"),
        (ChangeCipherSpecReceived(), "ChangeCipherSpec"),
        (Received(HelloRequest(), b""), "HelloRequest"),
    ],
)
def test_the_text_of_an_unexpected_message(given: Received[object] | ChangeCipherSpecReceived, name: str) -> None:
    """R2246-7.2.2-03: it says what came, and in which state."""
    with pytest.raises(UnexpectedMessage, match=f"{name} in state Idle"):
        step(Role.SERVER, idle(Role.SERVER), given, CONFIG)


def test_a_refusal_is_raised_as_it_is() -> None:
    error = ExitFailed("StartHandshake", AlertDescription.ACCESS_DENIED, "refused")
    start = idle(Role.CLIENT)
    asked = step(Role.CLIENT, start, Start(), CONFIG)
    with pytest.raises(ExitFailed) as caught:
        step(Role.CLIENT, asked.state, Refused(StartHandshakeCall(start.context), error), CONFIG)
    assert caught.value is error


def test_the_tables_name_states_that_exist() -> None:
    """And each state but Closed has a way out."""
    for role in Role:
        named = {state for state, _ in TABLES[role]}
        met = {state for who, state in places() if who is role}
        assert named == met - {states.Closed}


def test_no_state_of_one_role_in_the_table_of_the_other() -> None:
    both = {states.Idle, states.AskHandshakeDone, states.Established}
    tables = [{state for state, _ in TABLES[role]} for role in Role]
    assert tables[0] & tables[1] == both
