"""TLS under asyncio, on loopback: every kind of end, failures, time-outs."""

from __future__ import annotations

import asyncio
import socket
import time
from contextlib import suppress

import pytest

from tests.support.scripted import AsyncScriptedExit, ScriptedExit
from tests.support.streams import LOOPBACK, SERVER, close, connect, echo, raw_serving, scene, serving
from tlsexit.alerts import AlertReceived, ExitFailed, TlsError, TruncatedError
from tlsexit.drivers.aio import start_server
from tlsexit.exits.answers import Failed
from tlsexit.exits.phases import ExitPhase
from tlsexit.policy import BuiltinPki

pytestmark = pytest.mark.timeout(30)


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
