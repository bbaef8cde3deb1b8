"""The asyncio protocol on a transport of the test's own: who is told what, and in which order, when things go wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, cast

import pytest

from tests.support.ends import RSA, certificates, client_end
from tests.support.pair import End
from tlsexit.alerts import LocalError, TruncatedError
from tlsexit.connection import Connection
from tlsexit.constants import Role
from tlsexit.drivers.drive import arun
from tlsexit.drivers.protocol import Address, TlsProtocol
from tlsexit.drivers.transport import TlsTransport
from tlsexit.exits.answers import Answer, Handled, NotHandled
from tlsexit.exits.calls import CheckCertificateCall, EndSessionCall, GetCertificateCall, HandshakeAlertCall
from tlsexit.policy import system_config
from tlsexit.profile import Profile, Verify
from tlsexit.tasks import Task

pytestmark = pytest.mark.timeout(20)


class Wire(asyncio.Transport):
    """A raw transport: keeps what is written; with ``stuck`` a peer that does not read, so that close() never ends."""

    def __init__(self, protocol: TlsProtocol, *, stuck: bool = False) -> None:
        super().__init__()
        self._protocol = protocol
        self._stuck = stuck
        self._lost = False
        self.written = bytearray()
        self.reading = True
        self.aborted = asyncio.Event()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += data

    def take(self) -> bytes:
        data, self.written = bytes(self.written), bytearray()
        return data

    def close(self) -> None:
        if not self._stuck:
            self.lose()

    def can_write_eof(self) -> bool:
        return False

    def abort(self) -> None:
        self.aborted.set()
        self.lose()

    def lose(self, error: Exception | None = None) -> None:
        if not self._lost:
            self._lost = True
            asyncio.get_running_loop().call_soon(self._protocol.connection_lost, error)

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default

    def get_write_buffer_size(self) -> int:
        return 0

    def get_write_buffer_limits(self) -> tuple[int, int]:
        return (100, 400)


class Application(asyncio.Protocol):
    """Notes what it is told; ``on_data`` runs with each piece of data."""

    def __init__(self) -> None:
        self.told: list[object] = []
        self.on_data: Callable[[], None] = lambda: None
        self.transport: TlsTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(TlsTransport, transport)
        self.told.append("made")

    def data_received(self, data: bytes) -> None:
        self.told.append(data)
        self.on_data()

    def eof_received(self) -> None:
        self.told.append("eof")

    def connection_lost(self, error: Exception | None) -> None:
        self.told.append(("lost", type(error)))

    def pause_writing(self) -> None:
        self.told.append("pause")

    def resume_writing(self) -> None:
        self.told.append("resume")


class Diary:
    """An exit that notes the last questions."""

    def __init__(self) -> None:
        self.phases: list[str] = []

    def start_task(self, call: object) -> Answer:
        return Handled()

    def handshake_alert(self, call: HandshakeAlertCall) -> Answer:
        self.phases.append("HandshakeAlert")
        return NotHandled()

    def end_session(self, call: EndSessionCall) -> Answer:
        self.phases.append("EndSession")
        return NotHandled()


class Hanging(Diary):
    """Never answers GetCertificate, but notes if it is cancelled."""

    async def get_certificate(self, call: GetCertificateCall) -> Answer:
        try:
            await asyncio.Event().wait()
        finally:
            self.phases.append("cancelled")
        return NotHandled()


class Scene:
    """A server's protocol, and a client that is driven by hand."""

    def __init__(self, exits: object = None, application: Application | None = None, **profile: Any) -> None:
        self.exits = exits or Diary()
        self.application = application or Application()
        self.outcomes: list[object] = []
        self.reported: list[dict[str, Any]] = []
        self.profile = Profile.server(**{"cipher_suites": (RSA,), "verify": Verify.NONE, **profile})
        self.pki = certificates(RSA).builtin(Role.SERVER)
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: self.reported.append(context))

    async def start(self, *, stuck: bool = False, began: bool = True, **options: Any) -> Scene:
        task = Task(system_config())
        await arun(task, self.exits, self.pki)

        def connect(remote: Address, local: Address) -> Connection:
            return task.connection(self.profile)

        self.protocol = TlsProtocol(
            self.application, connect, self.exits, self.pki, **{"on_outcome": self.outcomes.append, **options}
        )
        self.wire = Wire(self.protocol, stuck=stuck)
        if began:
            self.protocol.connection_made(self.wire)
        return self

    def pump(self, client: End) -> None:
        """Carry bytes both ways until there are none."""
        while data := client.connection.data_to_send():
            self.protocol.data_received(data)
            client.connection.receive_data(self.wire.take())
            client.drive()

    async def over(self) -> None:
        await asyncio.wait_for(self.protocol.over, 5)

    async def meet(self, **profile: Any) -> End:
        """Complete a handshake."""
        client = client_end(RSA, **profile)
        self.pump(client)
        assert client.connection.established
        return client


def play(scene: Coroutine[Any, Any, None]) -> None:
    asyncio.run(scene)


def test_a_hung_exit_is_cancelled_when_the_handshake_times_out() -> None:
    async def scene() -> None:
        diary = Hanging()
        it = await Scene(diary).start(stuck=True, handshake_timeout=0.05, shutdown_timeout=0.05)
        it.pump(client_end(RSA))
        assert diary.phases == []
        await it.over()
        assert it.wire.aborted.is_set()
        assert sorted(diary.phases) == ["HandshakeAlert", "cancelled"]
        assert [type(outcome) for outcome in it.outcomes] == [TimeoutError]

    play(scene())


@pytest.mark.parametrize("started", [False, True])
@pytest.mark.parametrize("end", ["lose", "abort", "close"])
def test_a_hung_exit_is_cancelled_when_the_connection_ends(end: str, started: bool) -> None:
    async def scene() -> None:
        diary = Hanging()
        it = await Scene(diary).start()
        it.pump(client_end(RSA))
        if started:
            await asyncio.sleep(0)
        {"lose": it.wire.lose, "abort": it.protocol.abort, "close": it.protocol.close}[end]()
        await it.over()
        await asyncio.sleep(0)
        assert set(diary.phases) - {"cancelled"} == {"HandshakeAlert"}
        assert "cancelled" in diary.phases or not started
        assert isinstance(it.outcomes[0], Exception)

    play(scene())


def test_an_exit_that_hangs_at_the_very_end() -> None:
    """Nothing else would end the connection; the exit's time is up like that of any other."""

    class Slow:
        def start_task(self, call: object) -> Answer:
            return Handled()

        async def end_session(self, call: EndSessionCall) -> Answer:
            await asyncio.Event().wait()
            return NotHandled()

    async def scene() -> None:
        it = await Scene(Slow()).start(handshake_timeout=0.05)
        await it.meet()
        it.wire.lose(ConnectionResetError())
        await it.over()
        assert it.application.told == ["made", ("lost", TruncatedError)]

    play(scene())


@pytest.mark.parametrize("awaited", [False, True])
def test_a_cancellation_inside_the_exit_fails_the_phase(awaited: bool) -> None:
    class Cancelled(Diary):
        def get_certificate(self, call: GetCertificateCall) -> Any:
            if not awaited:
                raise asyncio.CancelledError
            return self._wait()

        async def _wait(self) -> Answer:
            await asyncio.sleep(0)
            raise asyncio.CancelledError

    async def scene() -> None:
        diary = Cancelled()
        it = await Scene(diary).start()
        it.pump(client_end(RSA))
        await it.over()
        assert diary.phases == ["HandshakeAlert"]
        assert "GetCertificate: failed (CancelledError)" in str(it.outcomes[0])

    play(scene())


def test_tasks_that_start_eagerly() -> None:
    """A task may have ended by the time it has been created."""

    def eager(loop: asyncio.AbstractEventLoop, work: Any, **_: Any) -> Any:
        future: asyncio.Future[Any] = loop.create_future()
        try:
            work.send(None)
        except StopIteration as end:
            future.set_result(end.value)
            return future
        raise AssertionError("the exit waited")

    class Quick(Diary):
        async def get_certificate(self, call: GetCertificateCall) -> Answer:
            return NotHandled()

        async def check_certificate(self, call: CheckCertificateCall) -> Answer:
            return NotHandled()

    async def scene() -> None:
        it = await Scene(Quick()).start()
        loop = asyncio.get_running_loop()
        loop.set_task_factory(eager)
        try:
            await it.meet()
        finally:
            loop.set_task_factory(None)
        assert it.application.told == ["made"]

    play(scene())


def test_a_peer_that_never_reads_the_end() -> None:
    """After a failure, the transport gets some time for the alert, and no more."""

    async def scene() -> None:
        it = await Scene().start(stuck=True, shutdown_timeout=0.05)
        it.protocol.data_received(b"GET / HTTP/1.0\r\n\r\n")
        assert not it.wire.aborted.is_set()
        await it.over()
        assert it.wire.aborted.is_set()

    play(scene())


def test_callbacks_that_raise() -> None:
    """They are reported, and the end comes all the same."""

    def bad(outcome: object) -> None:
        raise RuntimeError("the log is full")

    class Bad(Application):
        def connection_lost(self, error: Exception | None) -> None:
            raise RuntimeError("lost as well")

    async def scene() -> None:
        it = await Scene(application=Bad()).start(on_outcome=bad)
        await it.meet()
        it.wire.lose()
        await it.over()
        assert [str(context["exception"]) for context in it.reported] == ["the log is full", "lost as well"]

    play(scene())


def test_an_application_that_cannot_begin() -> None:
    class Bad(Application):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            raise RuntimeError("no memory")

    async def scene() -> None:
        diary = Diary()
        it = await Scene(diary, Bad()).start()
        it.pump(client_end(RSA))
        await it.over()
        assert it.wire.aborted.is_set()
        assert [str(outcome) for outcome in it.outcomes] == ["no memory"]
        assert it.application.told == []
        assert diary.phases == ["EndSession"]

    play(scene())


def test_closing_before_there_is_a_transport() -> None:
    async def scene() -> None:
        it = await Scene().start(began=False)
        it.protocol.close()
        it.protocol.abort()
        it.protocol.connection_made(it.wire)
        await it.over()
        assert isinstance(it.outcomes[0], LocalError)
        assert it.wire.take() == b""

    play(scene())


def test_no_data_after_close() -> None:
    async def scene() -> None:
        it = await Scene().start()
        client = await it.meet()
        it.application.on_data = lambda: it.application.transport.close()
        client.connection.send(b"0123456789")  # two records: 1/n-1
        it.protocol.data_received(client.connection.data_to_send())
        await it.over()
        assert it.application.told == ["made", b"0", ("lost", type(None))]

    play(scene())


def test_no_data_while_paused() -> None:
    async def scene() -> None:
        it = await Scene().start()
        client = await it.meet()
        it.application.on_data = lambda: it.application.transport.pause_reading()
        client.connection.send(b"0123456789")
        client.connection.close()
        it.protocol.data_received(client.connection.data_to_send())
        await asyncio.sleep(0)
        assert it.application.told == ["made", b"0"]
        it.application.transport.resume_reading()
        await asyncio.sleep(0)
        assert it.application.told == ["made", b"0", b"123456789"]
        it.application.transport.resume_reading()
        await it.over()
        assert it.application.told == ["made", b"0", b"123456789", "eof", ("lost", type(None))]

    play(scene())


def test_writing_during_a_renegotiation() -> None:
    """§7.4.9: nothing may be sent between our ChangeCipherSpec and the end; it waits, is counted, and arrives."""

    async def scene() -> None:
        waiting = asyncio.Event()

        class Slow(Diary):
            calls = 0

            async def handshake_done(self, call: object) -> Answer:
                self.calls += 1
                if self.calls == 2:
                    await waiting.wait()
                return NotHandled()

        it = await Scene(Slow(), renegotiation=True).start()
        client = client_end(RSA, renegotiation=True)
        it.pump(client)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert it.application.told == ["made"]
        client.connection.receive_data(it.wire.take())
        client.connection.renegotiate()
        client.drive()
        it.pump(client)
        for piece in (b"a" * 300, b"b" * 300_000, b"c" * 300):
            it.application.transport.write(piece)
        assert it.application.transport.get_write_buffer_size() >= 300_600
        assert it.application.told == ["made", "pause"]
        it.application.transport.close()
        assert it.wire.take() == b""
        waiting.set()
        await it.over()
        client.connection.receive_data(it.wire.take())
        client.drive()
        assert client.received == b"a" * 300 + b"b" * 300_000 + b"c" * 300
        assert client.connection.peer_closed

    play(scene())
