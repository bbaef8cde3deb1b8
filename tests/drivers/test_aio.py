"""TLS under asyncio, on loopback: streams, exits that wait, time-outs, flow control, every kind of end."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from tests.support.ends import DHE_RSA, RSA
from tests.support.pki import pki
from tests.support.scripted import AsyncScriptedExit, ScriptedExit
from tlsexit.alerts import AlertDescription, AlertReceived, ExitFailed, TlsError, TruncatedError
from tlsexit.constants import Role
from tlsexit.drivers.aio import open_connection, start_server
from tlsexit.exits.answers import Failed, Handled
from tlsexit.exits.context import Authentication
from tlsexit.exits.phases import ExitPhase
from tlsexit.policy import BuiltinPki, system_config
from tlsexit.profile import Profile, Verify
from tlsexit.tasks import Task

CLIENT = Profile.client(cipher_suites=(RSA,))
SERVER = Profile.server(cipher_suites=(RSA,), verify=Verify.NONE)
PATIENCE = 5.0
LOOPBACK = "127.0.0.1"

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]

pytestmark = pytest.mark.timeout(30)


def scene(work: Callable[[], Awaitable[None]]) -> None:
    """Run a test's coroutine within bounds."""

    async def bounded() -> None:
        await asyncio.wait_for(work(), PATIENCE)

    asyncio.run(bounded())


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(2**16):
        writer.write(data)
        await writer.drain()
    writer.close()


@asynccontextmanager
async def serving(handler: Handler = echo, profile: Profile = SERVER, **options: Any) -> AsyncIterator[int]:
    """A server on some port; ``handler`` has each connection."""
    options.setdefault("pki", pki().builtin(Role.SERVER))
    async with await start_server(handler, LOOPBACK, 0, profile, **options) as server:
        yield server.sockets[0].getsockname()[1]


@asynccontextmanager
async def raw_serving(handler: Handler) -> AsyncIterator[int]:
    """A server without TLS."""
    async with await asyncio.start_server(handler, LOOPBACK, 0) as server:
        yield server.sockets[0].getsockname()[1]


async def connect(port: int, profile: Profile = CLIENT, **options: Any) -> Streams:
    options.setdefault("pki", pki().builtin(Role.CLIENT))
    return await open_connection(LOOPBACK, port, profile, **options)


async def close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(TlsError, ConnectionError):
        await writer.wait_closed()


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


# ------------------------------------------------------------------------------------------------ the end


def test_close_notify_is_the_end() -> None:
    """R2246-7.2.1-01, R2246-7.2.1-02: an empty read on the other side."""

    async def work() -> None:
        async def farewell(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"goodbye")
            writer.close()

        async with serving(farewell) as port:
            reader, writer = await connect(port)
            assert await reader.read() == b"goodbye"
            assert reader.at_eof()
            await writer.wait_closed()

    scene(work)


def test_the_client_closes_first() -> None:
    async def work() -> None:
        ends: list[bytes] = []

        async def wait(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            ends.append(await reader.read())
            writer.close()

        async with serving(wait) as port:
            _, writer = await connect(port)
            writer.write(b"the last words")
            writer.close()
            writer.close()
            await writer.wait_closed()
            writer.write(b"too late")  # dropped, as asyncio's own transports do
            assert writer.is_closing()
        assert ends == [b"the last words"]

    scene(work)


def test_truncation() -> None:
    """R2246-7.2.1-06: an error from the reader, not an end."""

    async def work() -> None:
        async def cut(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"half of it")
            await writer.drain()
            await reader.readexactly(1)
            writer.transport.abort()

        async with serving(cut) as port:
            reader, writer = await connect(port)
            assert await reader.readexactly(10) == b"half of it"
            writer.write(b"!")
            with pytest.raises((TruncatedError, ConnectionError)):
                await reader.read()
            await close(writer)

    scene(work)


def test_a_transport_that_ends_without_close_notify() -> None:
    """R2246-7.2.1-06, with an orderly end of the transport below."""

    async def work() -> None:
        writers: list[asyncio.StreamWriter] = []

        async def keep(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writers.append(writer)
            with suppress(TlsError, ConnectionError):
                await reader.read()
            writer.close()

        async with serving(keep) as port:
            reader, writer = await connect(port)
            while not writers:
                await asyncio.sleep(0.001)
            below = writers[0].get_extra_info("socket")
            assert below is not None
            below.shutdown(socket.SHUT_WR)
            with pytest.raises(TruncatedError):
                await reader.read()
            await close(writer)

    scene(work)


def test_a_record_that_does_not_authenticate() -> None:
    """R2246-7.2.2-04: the error on this side, the alert on the other."""

    async def work() -> None:
        seen: list[Exception] = []

        async def wait(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                await reader.read()
            except TlsError as error:
                seen.append(error)
            writer.close()

        async with serving(wait) as port:
            reader, writer = await connect(port)
            with writer.get_extra_info("socket").dup() as below:
                below.send(b"\x17\3\1\0\x20" + bytes(32))
            with pytest.raises(AlertReceived, match="bad_record_mac"):
                await reader.read()
            await close(writer)
        assert "bad_record_mac" in str(seen[0])

    scene(work)


# ------------------------------------------------------------------------------------------------ failures


def test_a_handshake_that_fails_here() -> None:
    async def work() -> None:
        failures: list[BaseException] = []
        untrusting = BuiltinPki()
        async with serving(on_failure=failures.append) as port:
            with pytest.raises(ExitFailed) as caught:
                await connect(port, pki=untrusting)
            assert caught.value.phase == "CheckCertificate"
            while not failures:
                await asyncio.sleep(0.001)
        assert isinstance(failures[0], AlertReceived)
        assert failures[0].description == caught.value.description

    scene(work)


def test_a_handshake_that_fails_there() -> None:
    async def work() -> None:
        failures: list[BaseException] = []
        exits = ScriptedExit({ExitPhase.GET_CERTIFICATE: Failed(49)})
        async with serving(exits=exits, on_failure=failures.append) as port:
            with pytest.raises(AlertReceived, match="access_denied"):
                await connect(port)
        assert isinstance(failures[0], ExitFailed)
        assert exits.phases[-2:] == [ExitPhase.HANDSHAKE_ALERT, ExitPhase.END_TASK]

    scene(work)


def test_nobody_listens() -> None:
    """The network's own error; and a task that was started is ended."""

    async def work() -> None:
        with socket.socket() as placeholder:
            placeholder.bind((LOOPBACK, 0))
            port = placeholder.getsockname()[1]
        exits = ScriptedExit()
        with pytest.raises(OSError, match=r"refused|Connect call failed"):
            await connect(port, exits=exits)
        assert exits.phases == [ExitPhase.START_TASK, ExitPhase.END_TASK]

    scene(work)


def test_a_peer_that_hangs_up() -> None:
    async def work() -> None:
        async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readexactly(5)
            writer.close()

        async with raw_serving(hang_up) as port:
            with pytest.raises((TruncatedError, ConnectionError)):
                await connect(port)

    scene(work)


def test_a_peer_that_is_no_tls() -> None:
    async def work() -> None:
        async def shout(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"220 mail.example ESMTP\r\n")
            with suppress(ConnectionError):
                await reader.read()
            writer.close()

        async with raw_serving(shout) as port:
            with pytest.raises(TlsError, match="protocol_version"):
                await connect(port)

    scene(work)


def test_a_task_that_cannot_start() -> None:
    async def work() -> None:
        exits = ScriptedExit({ExitPhase.START_TASK: Failed()})
        with pytest.raises(ExitFailed, match="StartTask"):
            await connect(1, exits=exits)
        with pytest.raises(ExitFailed, match="StartTask"):
            await start_server(echo, LOOPBACK, 0, SERVER, exits=exits)

    scene(work)


# ------------------------------------------------------------------------------------------------ time


def test_a_server_that_says_nothing() -> None:
    """The handshake's time-out, on the client's side."""

    async def work() -> None:
        async def silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with suppress(ConnectionError):
                await reader.read()
            writer.close()

        async with raw_serving(silence) as port:
            exits = ScriptedExit()
            start = time.monotonic()
            with pytest.raises(TimeoutError):
                await connect(port, exits=exits, handshake_timeout=0.1)
            assert time.monotonic() - start < 2
            assert exits.phases[-2:] == [ExitPhase.HANDSHAKE_ALERT, ExitPhase.END_TASK]

    scene(work)


def test_a_client_that_says_nothing() -> None:
    """And on the server's; its handler never hears of it."""

    async def work() -> None:
        failures: list[BaseException] = []
        handled: list[object] = []

        async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            handled.append(reader)

        async with serving(handler, handshake_timeout=0.1, on_failure=failures.append) as port:
            reader, writer = await asyncio.open_connection(LOOPBACK, port)
            told = await reader.read()
            writer.close()
        assert told == b"\x15\3\1\0\2\1\x5a\x15\3\1\0\2\1\0"  # user_canceled, close_notify
        assert isinstance(failures[0], TimeoutError)
        assert handled == []

    scene(work)


def test_an_exit_that_is_too_slow() -> None:
    """The time-out includes the exits."""

    async def work() -> None:
        async with serving() as port:
            with pytest.raises(TimeoutError):
                await connect(port, exits=AsyncScriptedExit(delay=0.1), handshake_timeout=0.15)

    scene(work)


def test_cancelling() -> None:
    """Whoever gives up waiting leaves nothing behind."""

    async def work() -> None:
        async def silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with suppress(ConnectionError):
                await reader.read()
            writer.close()

        async with raw_serving(silence) as port:
            exits = ScriptedExit()
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(connect(port, exits=exits), 0.1)
            for _ in range(100):
                if exits.phases[-1] is ExitPhase.END_TASK:
                    break
                await asyncio.sleep(0.01)
            assert exits.phases[-2:] == [ExitPhase.HANDSHAKE_ALERT, ExitPhase.END_TASK]

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
