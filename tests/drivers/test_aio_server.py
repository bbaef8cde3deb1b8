"""A server's task and its connections: who ends what, and when (the exit's StartTask and EndTask)."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.pki import pki
from tlsexit.alerts import LocalError
from tlsexit.constants import Role
from tlsexit.crypto.suites import KeyType
from tlsexit.drivers.aio import TlsServer, end_task, open_connection, start_server
from tlsexit.drivers.drive import arun
from tlsexit.drivers.sessions import Sessions
from tlsexit.exits.answers import Answer, Handled, NotHandled
from tlsexit.exits.calls import EndSessionCall, EndTaskCall, HandshakeAlertCall, StartTaskCall
from tlsexit.policy import BuiltinPki, system_config
from tlsexit.profile import Profile, Verify
from tlsexit.tasks import Task

SERVER = Profile.server(verify=Verify.NONE)
CLIENT = Profile.client(server_name="localhost")


class Diary:
    """An exit that notes the phases at the ends of things."""

    def __init__(self) -> None:
        self.phases: list[str] = []

    def _note(self, phase: str) -> None:
        self.phases.append(phase)

    def start_task(self, call: StartTaskCall) -> Answer:
        self._note("StartTask")
        return Handled()

    def end_session(self, call: EndSessionCall) -> Answer:
        self._note("EndSession")
        return NotHandled()

    def handshake_alert(self, call: HandshakeAlertCall) -> Answer:
        self._note("HandshakeAlert")
        return NotHandled()

    def end_task(self, call: EndTaskCall) -> Answer:
        self._note("EndTask")
        return NotHandled()


def builtin(role: Role) -> BuiltinPki:
    return pki(KeyType.RSA).builtin(role)


async def listen(diary: Diary, task: Task | None = None) -> tuple[TlsServer, int]:
    """A server that keeps its connections open."""

    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await start_server(
        hold, "127.0.0.1", 0, SERVER, exits=diary, pki=builtin(Role.SERVER), config=system_config(), task=task
    )
    return server, server.sockets[0].getsockname()[1]


async def connect(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await open_connection("127.0.0.1", port, CLIENT, pki=builtin(Role.CLIENT))


def test_the_task_ends_after_the_last_connection() -> None:
    async def scene() -> list[str]:
        diary = Diary()
        server, port = await listen(diary)
        _, writer = await connect(port)
        server.close()
        waiting = asyncio.create_task(server.wait_closed())
        await asyncio.sleep(0.05)
        assert not waiting.done()
        assert diary.phases == ["StartTask"]
        writer.close()
        await asyncio.wait_for(waiting, 5)
        return diary.phases

    assert asyncio.run(scene()) == ["StartTask", "EndSession", "EndTask"]


def test_connections_are_closed_with_close_notify_on_request() -> None:
    async def scene() -> tuple[bytes, list[str]]:
        diary = Diary()
        server, port = await listen(diary)
        reader, writer = await connect(port)
        server.close()
        server.close_connections()
        await asyncio.wait_for(server.wait_closed(), 5)
        received = await asyncio.wait_for(reader.read(), 5)  # TruncatedError without close_notify
        writer.close()
        return received, diary.phases

    assert asyncio.run(scene()) == (b"", ["StartTask", "EndSession", "EndTask"])


def test_a_handshake_that_is_going_on_is_closed_too() -> None:
    async def scene() -> list[str]:
        diary = Diary()
        server, port = await listen(diary)
        _, raw = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.sleep(0.05)
        server.close()
        server.close_connections()
        await asyncio.wait_for(server.wait_closed(), 5)
        raw.close()
        return diary.phases

    assert asyncio.run(scene()) == ["StartTask", "HandshakeAlert", "EndTask"]


def test_a_given_task_is_left_to_the_caller() -> None:
    async def scene() -> list[str]:
        diary = Diary()
        task = Task(system_config())
        await arun(task, diary, builtin(Role.SERVER))
        server, port = await listen(diary, task)
        _, writer = await connect(port)
        writer.close()
        server.close()
        await asyncio.wait_for(server.wait_closed(), 5)
        assert diary.phases == ["StartTask", "EndSession"]
        await end_task(task, diary, builtin(Role.SERVER))
        return diary.phases

    assert asyncio.run(scene()) == ["StartTask", "EndSession", "EndTask"]


def test_connections_of_an_ended_task_fail_at_once() -> None:
    """Neither end hangs, and nothing but the reason is told."""

    async def scene() -> list[BaseException]:
        failures: list[BaseException] = []
        task = Task(system_config())
        await arun(task, None, builtin(Role.SERVER))
        task.end()
        await arun(task, None, builtin(Role.SERVER))

        async def never(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            raise AssertionError("no connection was made")

        server = await start_server(
            never, "127.0.0.1", 0, SERVER, pki=builtin(Role.SERVER), task=task, on_failure=failures.append
        )
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(LocalError, match="the task has ended"):
            await asyncio.wait_for(open_connection("127.0.0.1", port, CLIENT, pki=builtin(Role.CLIENT), task=task), 5)
        while not failures:
            await asyncio.sleep(0.01)
        server.close()
        server.close_connections()
        await asyncio.wait_for(server.wait_closed(), 5)
        return failures

    (failure,) = asyncio.run(scene())
    assert str(failure) == "the task has ended"


def test_a_connection_that_is_dropped_before_it_is_made() -> None:
    """A loop that is being closed cancels the accepting of a connection half way; nobody waits for it then."""

    async def work() -> None:
        task = Task(system_config())
        task.answer(Handled())
        sessions = Sessions(lambda *_: None, task, None, BuiltinPki(), handshake_timeout=5, shutdown_timeout=5)
        protocol = sessions.protocol(lambda remote, local: task.connection(Profile.server()))
        await asyncio.wait_for(sessions.wait(), 5)
        assert len(sessions) == 0
        sessions.close()
        assert protocol.closing

    asyncio.run(work())
