"""The application's exits under asyncio: who is let in, what they are told, and what their failures cost."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.application import Application, AsyncApplication, Making
from tests.support.ends import RSA
from tests.support.pki import pki
from tlsexit.alerts import TlsError
from tlsexit.constants import Role
from tlsexit.drivers.aio import open_connection, start_server
from tlsexit.drivers.application import ApplicationSession
from tlsexit.exits.application import (
    DirectoryCall,
    EndOfTransferCall,
    FileCall,
    PayloadRefused,
    Refused,
    SessionRefused,
)
from tlsexit.profile import Profile, Verify

CLIENT = Profile.client(cipher_suites=(RSA,), id="calling", server_name="localhost", renegotiation=True)
SERVER = Profile.server(cipher_suites=(RSA,), id="called", verify=Verify.REQUIRED, renegotiation=True)
BOTH = pytest.mark.parametrize("making", [Application, AsyncApplication])

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]

pytestmark = pytest.mark.timeout(30)


def session_of(writer: asyncio.StreamWriter) -> ApplicationSession:
    session: ApplicationSession = writer.get_extra_info("tls_application")
    return session


class Evening:
    """A server that answers with what it gets, each session in a payload; and what became of it."""

    def __init__(self, application: object, profile: Profile = SERVER, **options: Any) -> None:
        self.failures: list[BaseException] = []
        self.reports: list[BaseException] = []
        self.handled = 0
        self._application = application
        self._profile = profile
        self._options = options

    def _report(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self.reports.append(context.get("exception") or RuntimeError(context["message"]))

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.handled += 1
        try:
            async with session_of(writer).apayload("echo"):
                while data := await reader.read(1000):
                    writer.write(data)
        except TlsError:
            pass  # the application hears of it
        finally:
            writer.close()

    def spend(self, client: Callable[[int], Awaitable[None]]) -> None:
        """Let ``client`` use the server's port, then end the server."""

        async def scene() -> None:
            loop = asyncio.get_running_loop()
            loop.set_exception_handler(
                lambda _, context: self.reports.append(context.get("exception") or RuntimeError(context["message"]))
            )
            server = await start_server(
                self._handle,
                "127.0.0.1",
                0,
                self._profile,
                pki=pki().builtin(Role.SERVER),
                application_exits=self._application,
                on_failure=self.failures.append,
                **self._options,
            )
            async with asyncio.timeout(20), server:
                await client(server.sockets[0].getsockname()[1])

        asyncio.run(scene())


async def call(port: int, application: object = None, **options: Any) -> Streams:
    return await open_connection(
        "127.0.0.1", port, CLIENT, pki=pki().builtin(Role.CLIENT), application_exits=application, **options
    )


async def hang_up(writer: asyncio.StreamWriter) -> None:
    writer.close()
    await writer.wait_closed()


async def exchange(port: int, application: object = None) -> None:
    reader, writer = await call(port, application)
    writer.write(b"hello")
    assert await reader.readexactly(5) == b"hello"
    await hang_up(writer)


@BOTH
def test_what_both_applications_are_told(making: Making) -> None:
    ours, theirs = making(), making()
    evening = Evening(theirs)
    evening.spend(lambda port: exchange(port, ours))
    assert evening.failures == evening.reports == []
    assert theirs.names == ["Directory", "File", "File", "EndOfTransfer"]
    assert ours.names == ["Directory", "EndOfTransfer"]
    security = theirs.one(DirectoryCall).security
    assert (security.secured, security.peer_ca_id, security.user_certificate_id) == (True, "root", "own")
    assert theirs.one(DirectoryCall).partner.remote_address[0] == "127.0.0.1"
    ended = theirs.one(EndOfTransferCall)
    assert (ended.normal, ended.bytes_received, ended.bytes_sent, ended.reason) == (True, 5, 5, "")
    assert [item.bytes_received for item in theirs.calls if isinstance(item, FileCall)] == [0, 5]
    assert ours.one(EndOfTransferCall).normal


@BOTH
@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (Refused("not today"), "not today"),
        (False, "it gives no reason"),
        (ZeroDivisionError("secret"), r"it failed (ZeroDivisionError)"),
        ("yes", "it returned str"),
    ],
)
def test_a_server_refuses_before_any_application_data(making: Making, answer: Any, told: str) -> None:
    """The client sees a complete handshake, then close_notify; what it has sent reaches nobody. The next is served."""
    theirs = making(directory=lambda call: answer if call.partner.session_reference == 1 else None)
    evening = Evening(theirs)

    async def client(port: int) -> None:
        reader, writer = await call(port)
        writer.write(b"too early")
        assert await reader.read() == b""
        assert writer.get_extra_info("tls_connection").peer_closed
        await hang_up(writer)
        assert (evening.handled, theirs.names) == (0, ["Directory"])
        await exchange(port)

    evening.spend(client)
    (failure,) = evening.failures
    assert isinstance(failure, SessionRefused)
    assert str(failure).startswith(f"the directory exit refuses the partner: {told}")
    assert evening.handled == 1
    assert theirs.names == ["Directory", "Directory", "File", "File", "EndOfTransfer"]


@BOTH
def test_a_client_refuses(making: Making) -> None:
    async def client(port: int) -> None:
        with pytest.raises(SessionRefused, match="wrong server"):
            await call(port, making(directory=Refused("wrong server")))

    evening = Evening(None)
    evening.spend(client)
    assert evening.failures == evening.reports == []


@BOTH
def test_a_payload_is_refused_and_the_session_goes_on(making: Making) -> None:
    ours = making(file=lambda call: call.name != "big")

    async def client(port: int) -> None:
        reader, writer = await call(port, ours)
        with pytest.raises(PayloadRefused, match="refuses to open big"):
            async with session_of(writer).apayload("big"):
                pytest.fail("opened")
        async with session_of(writer).apayload("small"):
            writer.write(b"x")
            assert await reader.readexactly(1) == b"x"
        await hang_up(writer)

    Evening(None).spend(client)
    assert [(item.name, item.action.value) for item in ours.calls if isinstance(item, FileCall)] == [
        ("big", "open"),
        ("small", "open"),
        ("small", "close"),
    ]


@BOTH
def test_an_end_that_is_not_normal_is_told_with_its_reason(making: Making) -> None:
    theirs = making()

    async def client(port: int) -> None:
        _, writer = await call(port)
        writer.transport.abort()

    Evening(theirs).spend(client)
    ended = theirs.one(EndOfTransferCall)
    assert (ended.normal, ended.reason) == (False, "the connection ended without close_notify; data may be missing")
    assert theirs.names == ["Directory", "File", "File", "EndOfTransfer"]
    *_, closed, _ = theirs.calls
    assert isinstance(closed, FileCall)
    assert (closed.normal, closed.reason) == (False, ended.reason)


def test_a_payload_that_stays_open_does_not_keep_the_end_for_ever() -> None:
    theirs = Application()
    told: list[str] = []

    async def scene() -> None:
        done = asyncio.Event()

        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            async with session_of(writer).apayload("slow"):
                await done.wait()
            told.extend(theirs.names)
            writer.close()

        server = await start_server(
            handle,
            "127.0.0.1",
            0,
            SERVER,
            pki=pki().builtin(Role.SERVER),
            application_exits=theirs,
            handshake_timeout=0.5,
        )
        async with asyncio.timeout(20):
            _, writer = await call(server.sockets[0].getsockname()[1])
            await hang_up(writer)
            server.close()
            await server.wait_closed()
            done.set()
            while not told:
                await asyncio.sleep(0.01)

    asyncio.run(scene())
    assert told == ["Directory", "File", "EndOfTransfer", "File"]


def test_the_end_of_one_that_fails_is_reported() -> None:
    evening = Evening(Application(end_of_transfer=ZeroDivisionError("division")))
    evening.spend(exchange)
    assert [type(item) for item in evening.reports] == [ZeroDivisionError]


def test_data_that_comes_while_directory_thinks_is_kept() -> None:
    """And its close_notify too: what the client sent at once is all there when it is let in."""
    let_in = asyncio.Event()

    class Thinking(Application):
        async def directory(self, call: DirectoryCall) -> None:
            await let_in.wait()

    received = bytearray()

    async def scene() -> None:
        done = asyncio.Event()

        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            received.extend(await reader.read())
            writer.close()
            done.set()

        server = await start_server(
            handle, "127.0.0.1", 0, SERVER, pki=pki().builtin(Role.SERVER), application_exits=Thinking()
        )
        async with asyncio.timeout(20), server:
            _, writer = await call(server.sockets[0].getsockname()[1])
            writer.write(b"a" * 300_000)
            writer.close()
            await asyncio.sleep(0.05)
            let_in.set()
            await done.wait()

    asyncio.run(scene())
    assert received == b"a" * 300_000


def test_a_server_that_closes_does_not_wait_for_directory() -> None:
    """The exit is cancelled, the session ends, and nothing is left behind."""
    ended: list[str] = []

    class Thinking(Application):
        async def directory(self, call: DirectoryCall) -> None:
            try:
                await asyncio.sleep(20)
            finally:
                ended.append("cancelled")

    async def scene() -> None:
        server = await start_server(
            lambda reader, writer: ended.append("handled"),
            "127.0.0.1",
            0,
            SERVER,
            pki=pki().builtin(Role.SERVER),
            application_exits=Thinking(),
        )
        async with asyncio.timeout(10):
            _, writer = await call(server.sockets[0].getsockname()[1])
            server.close()
            server.close_connections()
            await server.wait_closed()
            writer.transport.abort()

    asyncio.run(scene())
    assert ended == ["cancelled"]


def test_a_peer_that_has_gone_while_directory_thought() -> None:
    class Thinking(Application):
        async def directory(self, call: DirectoryCall) -> None:
            await asyncio.sleep(0.2)

    theirs = Thinking()

    async def client(port: int) -> None:
        _, writer = await call(port)
        writer.transport.abort()
        while not theirs.calls or theirs.names[-1] != "EndOfTransfer":
            await asyncio.sleep(0.01)

    Evening(theirs).spend(client)
    ended = theirs.one(EndOfTransferCall)
    assert (ended.normal, ended.reason) == (False, "the connection ended without close_notify; data may be missing")


@pytest.mark.parametrize("options", [{"exit_timeout": 0.2}, {"handshake_timeout": 0.4}])
def test_a_late_directory_refuses(options: dict[str, Any]) -> None:
    class Waiting:
        async def directory(self, call: DirectoryCall) -> None:
            await asyncio.sleep(20)

    evening = Evening(Waiting(), **options)

    async def client(port: int) -> None:
        try:
            reader, _ = await call(port)
            assert await reader.read() == b""
        except TlsError:
            assert "handshake_timeout" in options

    evening.spend(client)
    (failure,) = evening.failures
    assert "within 0." in str(failure)
    assert evening.handled == 0


def test_a_plain_directory_that_hangs_holds_nobody_up() -> None:
    """With ``exit_timeout`` it has a thread of its own; the loop goes on serving others meanwhile."""
    woken = threading.Event()
    theirs = Application(directory=lambda call: woken.wait(20) if call.partner.session_reference == 1 else None)
    evening = Evening(theirs, exit_timeout=1.0)

    async def client(port: int) -> None:
        reader, writer = await call(port)
        await exchange(port)
        assert await reader.read() == b""
        await hang_up(writer)

    evening.spend(client)
    woken.set()
    (failure,) = evening.failures
    assert str(failure).startswith("the directory exit refuses the partner: it failed (no answer within 1 ")


@BOTH
def test_a_renegotiation_asks_again(making: Making) -> None:
    """Whoever is refused then is gone."""
    theirs = making(directory=lambda call: call.partner.handshake_count == 1)
    evening = Evening(theirs)

    async def client(port: int) -> None:
        reader, writer = await call(port)
        writer.write(b"x")
        assert await reader.readexactly(1) == b"x"
        writer.get_extra_info("tls_connection").renegotiate()
        writer.write(b"y")  # goes out with the new hello, before the refusal
        assert await reader.readexactly(1) == b"y"
        assert await reader.read() == b""
        await hang_up(writer)

    evening.spend(client)
    assert [item.partner.handshake_count for item in theirs.calls if isinstance(item, DirectoryCall)] == [1, 2]
    ended = theirs.one(EndOfTransferCall)
    assert (ended.normal, ended.bytes_received) == (False, 2)
    assert ended.reason == "the directory exit refuses the partner: it gives no reason"


def test_a_chain_that_cannot_be_recorded_ends_the_session(tmp_path: Path) -> None:
    theirs = Application()
    root = tmp_path / "folder" / "peer"
    evening = Evening(theirs, Profile.server(cipher_suites=(RSA,), certificate_file_root=str(root)))

    async def client(port: int) -> None:
        reader, writer = await call(port)
        assert await reader.read() == b""
        await hang_up(writer)
        root.parent.mkdir(mode=0o700)
        await exchange(port)

    evening.spend(client)
    assert [type(item) for item in evening.failures] == [SessionRefused]
    assert theirs.one(DirectoryCall).security.peer_chain_file == str(next(root.parent.iterdir()))
