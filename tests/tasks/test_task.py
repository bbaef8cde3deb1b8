"""Tasks: StartTask and EndTask, references, areas, the switch of the exit."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.ends import RSA, certificates
from tests.support.forge import Forge
from tests.support.pair import End
from tests.support.scripted import ScriptedExit
from tests.support.traces import server_trace
from tlsexit.alerts import ExitFailed, LocalError
from tlsexit.constants import Role
from tlsexit.drivers.drive import run
from tlsexit.exits.answers import Failed, Handled, NotHandled
from tlsexit.exits.calls import StartTaskResult
from tlsexit.exits.phases import ExitPhase
from tlsexit.policy import BuiltinPki, system_config
from tlsexit.profile import Profile
from tlsexit.tasks import Task

CLIENT = Profile.client(cipher_suites=(RSA,))


def started(answer: Handled | None = None) -> Task:
    """A task whose StartTask has had this answer."""
    task = Task(system_config())
    task.answer(answer or Handled())
    return task


def talk(task: Task, exits: object) -> End:
    """A client connection of the task that completes its handshake."""
    end = End(task.connection(CLIENT), exits, certificates(RSA).builtin(Role.CLIENT))
    end.connection.start()
    end.drive()
    Forge(end, RSA).play(server_trace(RSA))
    assert end.connection.established
    return end


def test_references_are_unique() -> None:
    assert len({Task(system_config()).context.reference for _ in range(10)}) == 10


def test_a_reference_may_come_from_elsewhere() -> None:
    """From whoever runs tasks in several processes."""
    task = Task(system_config(), reference=77, name="payments")
    assert task.context.reference == 77
    assert task.context.configuration == {"name": "payments"}


def test_start_task_is_asked_first() -> None:
    """With the configuration; nothing can be done before it is answered."""
    task = Task(system_config(), name="payments", port=6331)
    call = task.pending_exit
    assert call is not None
    assert call.phase is ExitPhase.START_TASK
    assert call.task.configuration == {"name": "payments", "port": 6331}
    with pytest.raises(LocalError, match="StartTask"):
        task.connection(CLIENT)
    task.answer(Handled())
    assert task.pending_exit is None
    assert task.exit_enabled
    with pytest.raises(LocalError, match="no exit is pending"):
        task.answer(Handled())


def test_what_start_task_returns() -> None:
    task = started(Handled(StartTaskResult("mine", 16, "sesame")))
    assert task.context.exit_reference == "mine"
    assert task.context.password == b"sesame"
    first, second = task.connection(CLIENT).context, task.connection(CLIENT).context
    assert first.private_area == second.private_area == bytes(16)
    first.private_area[0] = 1
    assert second.private_area == bytes(16)
    assert first.reference != second.reference
    assert first.task is second.task is task.context
    first.task.public_area[:3] = b"abc"
    assert second.task.public_area[:3] == b"abc"


def test_not_handled_switches_the_exit_off() -> None:
    """For every later phase of the task, EndTask included; the built-in PKI does it all."""
    exits = ScriptedExit({ExitPhase.START_TASK: NotHandled()})
    task = Task(system_config())
    run(task, exits, BuiltinPki())
    assert not task.exit_enabled
    talk(task, exits)
    task.end()
    run(task, exits, BuiltinPki())
    assert exits.phases == [ExitPhase.START_TASK]


def test_handled_switches_the_exit_on() -> None:
    exits = ScriptedExit()
    task = Task(system_config())
    run(task, exits, BuiltinPki())
    end = talk(task, exits)
    end.connection.close()
    end.drive()
    task.end()
    run(task, exits, BuiltinPki())
    assert [phase.value for phase in exits.phases] == [
        "StartTask",
        "StartHandshake",
        "CheckCertificate",
        "HandshakeDone",
        "EndSession",
        "EndTask",
    ]


@pytest.mark.parametrize(
    "answer",
    [
        Failed(),
        Failed(48),
        Failed(cause=OSError("no key store")),
        Handled("yes"),
        Handled(StartTaskResult(None, -1)),
        None,
    ],
)
def test_a_task_that_cannot_start(answer: Any) -> None:
    task = Task(system_config())
    with pytest.raises(ExitFailed, match="StartTask"):
        task.answer(answer)
    with pytest.raises(LocalError, match="ended"):
        task.connection(CLIENT)
    task.end()
    assert task.pending_exit is None


def test_end_task_once() -> None:
    task = started()
    task.end()
    call = task.pending_exit
    assert call is not None
    assert call.phase is ExitPhase.END_TASK
    task.end()
    again = task.pending_exit
    assert again is call
    task.answer(Failed())  # changes nothing
    for _ in range(2):
        assert task.pending_exit is None
        task.end()
    with pytest.raises(LocalError, match="ended"):
        task.connection(CLIENT)


def test_a_task_that_never_started_does_not_end() -> None:
    task = Task(system_config())
    task.end()
    with pytest.raises(LocalError):
        task.connection(CLIENT)


def test_connections_outlive_their_task() -> None:
    """EndTask is for the exit; what is established goes on."""
    exits = ScriptedExit()
    task = Task(system_config())
    run(task, exits, BuiltinPki())
    end = talk(task, exits)
    task.end()
    run(task, exits, BuiltinPki())
    end.connection.send(b"still here")
    assert end.connection.data_to_send() != b""


def test_tasks_do_not_share() -> None:
    """A public area is never shared by two tasks."""
    first, second = started(), started()
    first.context.public_area[0] = 1
    assert second.context.public_area == bytes(4096)


def test_addresses_are_shown_to_the_exit() -> None:
    connection = started().connection(CLIENT, remote_address=("192.0.2.1", 443), local_address=("192.0.2.2", 5555))
    assert connection.context.remote_address == ("192.0.2.1", 443)
    assert connection.context.local_address == ("192.0.2.2", 5555)
