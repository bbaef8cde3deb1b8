"""asyncio's streams over TLS, on loopback: what becomes of the task and its exit when there is no good end."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from typing import Any

import pytest

from tests.support.pki import pki
from tests.support.scripted import AsyncScriptedExit, ScriptedExit
from tlsexit.alerts import AlertReceived, ExitFailed, TlsError
from tlsexit.constants import Role
from tlsexit.drivers.aio import TlsServer, end_task, open_connection, start_server
from tlsexit.drivers.drive import arun
from tlsexit.exits.answers import Failed
from tlsexit.exits.phases import ExitPhase
from tlsexit.policy import system_config
from tlsexit.profile import Profile, Verify
from tlsexit.tasks import Task

CLIENT = Profile.client()
SERVER = Profile.server(verify=Verify.NONE)
PKI = pki()

pytestmark = pytest.mark.timeout(20)


async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Keep the connection until the peer closes."""
    with suppress(TlsError):
        await reader.read()
    writer.close()


async def listen(exits: object = None, **options: Any) -> tuple[TlsServer, int]:
    server = await start_server(hold, "127.0.0.1", 0, SERVER, exits=exits, pki=PKI.builtin(Role.SERVER), **options)
    return server, server.sockets[0].getsockname()[1]


async def done(server: TlsServer) -> None:
    server.close()
    await asyncio.wait_for(server.wait_closed(), 5)


def names(exits: ScriptedExit) -> list[str]:
    return [phase.value for phase in exits.phases]


@pytest.mark.parametrize("shape", [ScriptedExit, AsyncScriptedExit])
def test_nobody_listens(shape: type[ScriptedExit]) -> None:
    async def scene() -> None:
        exits = shape()
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            with pytest.raises(ConnectionRefusedError):
                await open_connection("127.0.0.1", closed.getsockname()[1], CLIENT, exits=exits)
        assert names(exits) == ["StartTask", "EndTask"]

    asyncio.run(scene())


def test_a_port_in_use() -> None:
    async def scene() -> None:
        exits = ScriptedExit()
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            with pytest.raises(OSError, match="in use"):
                await start_server(hold, "127.0.0.1", taken.getsockname()[1], SERVER, exits=exits)
        assert names(exits) == ["StartTask", "EndTask"]

    asyncio.run(scene())


@pytest.mark.parametrize("shape", [ScriptedExit, AsyncScriptedExit])
def test_a_handshake_that_fails(shape: type[ScriptedExit]) -> None:
    """By the time the caller hears of it, the exit has heard of everything."""

    async def scene() -> None:
        server, port = await listen()
        exits = shape({ExitPhase.CHECK_CERTIFICATE: Failed(46)})
        with pytest.raises(ExitFailed):
            await open_connection("127.0.0.1", port, CLIENT, exits=exits, pki=PKI.builtin(Role.CLIENT))
        assert names(exits)[-3:] == ["CheckCertificate", "HandshakeAlert", "EndTask"]
        await done(server)

    asyncio.run(scene())


def test_giving_up() -> None:
    """A caller that is cancelled leaves nothing behind either."""

    async def scene() -> None:
        exits = ScriptedExit()
        with socket.socket() as silent:
            silent.bind(("127.0.0.1", 0))
            silent.listen()
            opening = open_connection("127.0.0.1", silent.getsockname()[1], CLIENT, exits=exits)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(opening, 0.05)
        assert names(exits) == ["StartTask", "StartHandshake", "HandshakeAlert", "EndTask"]

    asyncio.run(scene())


def test_hung_exits_and_the_server_closes() -> None:
    async def hang(_: object) -> None:
        await asyncio.Event().wait()

    class Hanging(ScriptedExit):
        def get_certificate(self, call: Any) -> Any:
            return hang(call)

    async def scene() -> None:
        exits = Hanging()
        failures: list[BaseException] = []
        server, port = await listen(exits, handshake_timeout=0.1, on_failure=failures.append)
        with pytest.raises((AlertReceived, OSError)):
            await open_connection("127.0.0.1", port, CLIENT, pki=PKI.builtin(Role.CLIENT))
        await done(server)
        assert names(exits) == ["StartTask", "StartHandshake", "HandshakeAlert", "EndTask"]
        assert [type(failure) for failure in failures] == [TimeoutError]

    asyncio.run(scene())


def test_an_on_failure_that_raises() -> None:
    def bad(error: BaseException) -> None:
        raise RuntimeError("the log is full")

    async def scene() -> None:
        reported: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: reported.append(context))
        server, port = await listen(on_failure=bad)
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.0\r\n\r\n")
        while not reported:
            await asyncio.sleep(0.01)
        await done(server)
        writer.close()
        assert [str(context["exception"]) for context in reported] == ["the log is full"]

    asyncio.run(scene())


def test_closing_connections_at_any_moment() -> None:
    async def scene() -> None:
        server, port = await listen()
        peers = [socket.create_connection(("127.0.0.1", port)) for _ in range(3)]
        for _ in range(10):
            await asyncio.sleep(0)
            server.close_connections()
        await done(server)
        for peer in peers:
            peer.close()

    asyncio.run(scene())


def test_the_host_is_checked() -> None:
    """The certificate speaks for localhost and 127.0.0.1, not for 127.0.0.2; a profile that names a host decides."""

    async def scene() -> None:
        server, port = await listen()

        async def reaches(host: str, profile: Profile = CLIENT, **options: Any) -> str | None:
            _, writer = await open_connection(host, port, profile, pki=PKI.builtin(Role.CLIENT), **options)
            name: str | None = writer.get_extra_info("tls_context").server_name
            writer.close()
            return name

        assert await reaches("127.0.0.1") == "127.0.0.1"
        assert await reaches("127.0.0.1", Profile.client(server_name="localhost")) == "localhost"
        with pytest.raises(ExitFailed, match=r"other\.example"):
            await reaches("127.0.0.1", Profile.client(server_name="other.example"))
        assert await reaches("127.0.0.1", check_host=False) is None
        await done(server)

        elsewhere, port = await _listen_on("127.0.0.2")
        with pytest.raises(ExitFailed, match=r"127\.0\.0\.2"):
            await reaches("127.0.0.2")
        assert await reaches("127.0.0.2", check_host=False) is None
        await done(elsewhere)

    asyncio.run(scene())


async def _listen_on(host: str) -> tuple[TlsServer, int]:
    server = await start_server(hold, host, 0, SERVER, pki=PKI.builtin(Role.SERVER))
    return server, server.sockets[0].getsockname()[1]


def test_a_task_that_is_ended_too_early() -> None:
    """EndTask waits for the last session, whose driver then asks it."""

    async def scene() -> None:
        exits = ScriptedExit()
        task = Task(system_config())
        await arun(task, exits, PKI.builtin(Role.SERVER))
        assert task.pending_exit is None
        server, port = await listen(exits, task=task)
        _, writer = await open_connection("127.0.0.1", port, CLIENT, pki=PKI.builtin(Role.CLIENT))
        await end_task(task, exits, PKI.builtin(Role.SERVER))
        assert "EndTask" not in names(exits)
        writer.close()
        await done(server)
        assert names(exits)[-2:] == ["EndSession", "EndTask"]

    asyncio.run(scene())
