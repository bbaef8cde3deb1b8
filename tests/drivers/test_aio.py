"""TLS under asyncio, on loopback: streams, flow control, exits that wait."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.support.ends import DHE_RSA, RSA
from tests.support.pki import pki
from tests.support.scripted import AsyncScriptedExit, ScriptedExit
from tests.support.streams import LOOPBACK, close, connect, echo, scene, serving
from tlsexit.alerts import AlertDescription, AlertReceived
from tlsexit.exits.answers import Handled
from tlsexit.exits.context import Authentication
from tlsexit.exits.phases import ExitPhase
from tlsexit.policy import BuiltinPki, system_config
from tlsexit.profile import Profile, Verify
from tlsexit.tasks import Task

pytestmark = pytest.mark.timeout(30)


# ------------------------------------------------------------------------------------------------ data


@pytest.mark.parametrize("size", [1, 1000, 2**14 + 1, 3_000_000])
def test_data_both_ways(size: int) -> None:
    """R2246-10-01: both directions at once, any amount."""

    async def work() -> None:
        async with serving() as port:
            reader, writer = await connect(port)
            data = bytes(i & 0xFF for i in range(size))

            async def send() -> None:
                for start in range(0, size, 100_000):
                    writer.write(data[start : start + 100_000])
                    await writer.drain()

            sending = asyncio.create_task(send())
            assert await reader.readexactly(size) == data
            await sending
            await close(writer)

    scene(work)


def test_lines() -> None:
    """asyncio's own streams do the rest."""

    async def work() -> None:
        async with serving() as port:
            reader, writer = await connect(port)
            writer.writelines([b"one\n", b"two\n"])
            assert await reader.readline() == b"one\n"
            assert await reader.readuntil(b"o\n") == b"two\n"
            assert not writer.can_write_eof()  # R2246-7.2.1-02: no half-close
            await close(writer)

    scene(work)


def test_several_connections_at_once() -> None:
    async def work() -> None:
        async with serving() as port:
            ends = await asyncio.gather(*(connect(port) for _ in range(10)))
            for number, (_, writer) in enumerate(ends):
                writer.write(b"%d" % number)
            for number, (reader, _) in enumerate(ends):
                assert await reader.readexactly(1) == b"%d" % number
            for _, writer in ends:
                await close(writer)

    scene(work)


def test_flow_control() -> None:
    """A peer that does not read stops the writer, and its memory is bounded on both sides."""

    async def work() -> None:
        proceed = asyncio.Event()
        got: list[int] = []

        async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await proceed.wait()
            while data := await reader.read(2**16):
                got.append(len(data))
            writer.close()

        async with serving(slow) as port:
            _, writer = await connect(port)
            sent = 0

            async def fill() -> None:
                nonlocal sent
                while sent < 2**28:
                    writer.write(bytes(2**18))
                    sent += 2**18
                    await writer.drain()

            with pytest.raises(TimeoutError):
                await asyncio.wait_for(fill(), 0.3)
            assert writer.transport.get_write_buffer_size() < 2**22
            proceed.set()
            await writer.drain()
            writer.close()
            await writer.wait_closed()
            while sum(got) < sent:
                await asyncio.sleep(0.01)

    scene(work)


# ------------------------------------------------------------------------------------------------ exits


@pytest.mark.parametrize("shape", [ScriptedExit, AsyncScriptedExit])
def test_exits(shape: type[ScriptedExit]) -> None:
    """Plain or ``async``, the same phases in the same order on both sides."""

    async def work() -> None:
        ours, theirs = shape({ExitPhase.HANDSHAKE_DONE: Handled(b"area")}), shape()
        async with serving(exits=theirs) as port:
            reader, writer = await connect(port, exits=ours)
            writer.write(b"ping")
            assert await reader.readexactly(4) == b"ping"
            assert writer.get_extra_info("tls_global_area") == b"area".ljust(64, b"\0")
            await close(writer)
            for _ in range(200):
                if ours.phases[-1] is ExitPhase.END_TASK:
                    break
                await asyncio.sleep(0.01)
        assert [phase.value for phase in ours.phases] == [
            "StartTask",
            "StartHandshake",
            "CheckCertificate",
            "HandshakeDone",
            "EndSession",
            "EndTask",
        ]
        assert [phase.value for phase in theirs.phases] == [
            "StartTask",
            "StartHandshake",
            "GetCertificate",
            "CryptData",
            "HandshakeDone",
            "EndSession",
            "EndTask",
        ]

    scene(work)


def test_a_slow_exit_holds_up_nobody_else() -> None:
    """While one connection's exit waits, others go on."""

    async def work() -> None:
        class SlowOnce(AsyncScriptedExit):
            """Waits in the first session until it is released."""

            release = asyncio.Event()

            async def check_certificate(self, call: Any) -> Any:
                if call.context.reference == 1:
                    await self.release.wait()
                return Handled()

        exits = SlowOnce()
        task = Task(system_config())
        task.answer(Handled())
        async with serving() as port:
            first = asyncio.create_task(connect(port, exits=exits, task=task))
            await asyncio.sleep(0.05)
            _, second = await connect(port, exits=exits, task=task)
            assert not first.done()
            exits.release.set()
            _, writer = await first
            await close(second)
            await close(writer)

    scene(work)


def test_data_that_arrives_while_an_exit_waits() -> None:
    """It is neither lost nor looked at too early."""

    async def work() -> None:
        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"x" * 200_000)
            writer.close()

        exits = AsyncScriptedExit(delay=0.05)
        async with serving(talk) as port:
            reader, writer = await connect(port, exits=exits)
            assert await reader.read() == b"x" * 200_000
            await close(writer)

    scene(work)


def test_the_peer_leaves_while_an_exit_waits() -> None:
    """The answer comes too late; the exit hears of the end, once."""

    async def work() -> None:
        exits = AsyncScriptedExit(delay=0.05)
        failures: list[BaseException] = []
        async with serving(exits=exits, on_failure=failures.append) as port:
            _, writer = await asyncio.open_connection(LOOPBACK, port)
            writer.close()
            await writer.wait_closed()
            while not failures:
                await asyncio.sleep(0.01)
        assert exits.phases.count(ExitPhase.HANDSHAKE_ALERT) == 1
        assert ExitPhase.END_SESSION not in exits.phases

    scene(work)


# ------------------------------------------------------------------------------------------------ facts


def test_facts() -> None:
    """What a writer knows of its connection."""

    async def work() -> None:
        async with serving() as port:
            _, writer = await connect(port)
            assert writer.get_extra_info("peername") == (LOOPBACK, port)
            context = writer.get_extra_info("tls_context")
            assert context.cipher_suite == RSA
            assert context.authentication is Authentication.SERVER
            assert context.remote_address == (LOOPBACK, port)
            assert writer.get_extra_info("tls_connection").established
            assert writer.get_extra_info("tls_global_area") == bytes(64)
            assert writer.get_extra_info("nothing", "default") == "default"
            await close(writer)

    scene(work)


def test_resumption() -> None:
    """R2246-7.3-05: the connections of a server share its sessions."""

    async def work() -> None:
        async with serving() as port:
            _, writer = await connect(port)
            session = writer.get_extra_info("tls_connection").session
            await close(writer)
            _, writer = await connect(port, session=session)
            assert writer.get_extra_info("tls_context").resumed
            await close(writer)

    scene(work)


def test_mutual_authentication() -> None:
    async def work() -> None:
        seen: list[Any] = []

        async def look(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            seen.append(writer.get_extra_info("tls_context"))
            writer.close()

        profile = Profile.server(cipher_suites=(DHE_RSA,), verify=Verify.REQUIRED)
        async with serving(look, profile) as port:
            reader, writer = await connect(port, Profile.client(cipher_suites=(DHE_RSA,)))
            assert await reader.read() == b""
            await close(writer)
        assert seen[0].authentication is Authentication.BOTH
        assert seen[0].peer_chain == pki().client.chain

    scene(work)


def test_no_certificate_where_one_is_required() -> None:
    """R2246-7.4.6-03: the client may be told after its own Finished; it is told all the same."""

    async def work() -> None:
        profile = Profile.server(cipher_suites=(RSA,), verify=Verify.REQUIRED)
        async with serving(echo, profile) as port:
            with pytest.raises(AlertReceived) as caught:
                await connect(port, pki=BuiltinPki((), {"root": [pki().root.certificate]}))
            assert caught.value.description == AlertDescription.HANDSHAKE_FAILURE

    scene(work)
