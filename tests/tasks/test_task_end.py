"""The end of a task whose sessions still live: EndTask comes last (exit's EndSession and EndTask)."""

from __future__ import annotations

import gc

import pytest

from tests.support.ends import RSA, client_end
from tests.support.pair import End, pump
from tests.support.pki import pki
from tests.support.scripted import ScriptedExit
from tlsexit.alerts import LocalError
from tlsexit.constants import Role
from tlsexit.drivers.drive import run
from tlsexit.policy import system_config
from tlsexit.profile import Profile, Verify
from tlsexit.tasks import Task

PROFILE = Profile.server(cipher_suites=(RSA,), verify=Verify.NONE)
BUILTIN = pki().builtin(Role.SERVER)


def opened(exits: object) -> Task:
    task = Task(system_config())
    run(task, exits, BUILTIN)
    return task


def session(task: Task, exits: object) -> tuple[End, End]:
    """A client and the task's server, whose handshake is complete."""
    server = End(task.connection(PROFILE), exits, BUILTIN)
    server.connection.start()
    server.drive()
    client = client_end(RSA)
    pump(client, server)
    assert server.connection.established
    return client, server


def test_end_task_waits_for_every_session() -> None:
    exits = ScriptedExit()
    task = opened(exits)
    pairs = [session(task, exits) for _ in range(2)]
    assert task.live_sessions == 2
    task.end()
    with pytest.raises(LocalError, match="ended"):
        task.connection(PROFILE)
    for live, (client, server) in zip((1, 0), pairs, strict=True):
        assert task.pending_exit is None
        client.connection.close()
        client.drive()
        pump(client, server)
        assert task.live_sessions == live
    run(task, exits, BUILTIN)
    assert [phase.value for phase in exits.phases][-3:] == ["EndSession", "EndSession", "EndTask"]
    assert task.pending_exit is None


def test_forgotten_sessions_do_not_keep_a_task() -> None:
    exits = ScriptedExit()
    task = opened(exits)
    pairs = [session(task, exits) for _ in range(3)]
    assert task.live_sessions == 3
    for left in (2, 1, 0):
        pairs.pop()
        gc.collect()
        assert task.live_sessions == left
    task.end()
    assert task.pending_exit is not None


def test_end_task_waits_for_the_answer_to_the_last_question() -> None:
    exits = ScriptedExit()
    task = opened(exits)
    _, server = session(task, exits)
    task.end()
    server.connection.abort()
    assert task.pending_exit is None
    server.drive()
    assert task.pending_exit is not None


def test_connections_that_never_began_do_not_count() -> None:
    task = opened(None)
    idle = task.connection(PROFILE)
    task.end()
    assert task.pending_exit is not None
    assert not idle.closed
