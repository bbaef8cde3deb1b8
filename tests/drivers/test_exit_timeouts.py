"""Exits that do not answer: the time each has, what becomes of it afterwards, and the end that waits for nobody."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from tests.drivers.test_drive import CHECK, CONTEXT, PKI_ANSWER, Builtin, Target
from tests.support.ends import RSA, certificates, client_end
from tests.support.scripted import ScriptedExit
from tests.support.sockets import CLIENT, beside, client, echo, served
from tests.support.streams import LOOPBACK, close, connect, scene, serving
from tlsexit.alerts import AlertReceived, ExitFailed, ExitTimeout, TlsError
from tlsexit.constants import Role
from tlsexit.drivers.aio import end_task, open_connection
from tlsexit.drivers.blocking import wrap_socket
from tlsexit.drivers.drive import arun, run
from tlsexit.exits.answers import Answer, Failed, Handled, NotHandled
from tlsexit.exits.calls import EndSessionCall, ExitCall
from tlsexit.exits.phases import ExitPhase
from tlsexit.policy import system_config
from tlsexit.profile import Profile
from tlsexit.tasks import Task

pytestmark = pytest.mark.timeout(30)

SHORT = 0.03


class Stuck(ScriptedExit):
    """Hangs in one phase until it is released; ``threads`` are those that were met there."""

    def __init__(self, phase: ExitPhase) -> None:
        super().__init__({phase: self._hang})
        self.release = threading.Event()
        self.threads: list[threading.Thread] = []

    def _hang(self, call: ExitCall) -> Answer:
        self.threads.append(threading.current_thread())
        assert self.release.wait(20)
        return Handled(b"much too late")


class StuckAsync:
    """The same with ``async`` methods."""

    def __init__(self, phase: ExitPhase) -> None:
        self._phase = phase
        self.cancelled = 0

    def __getattr__(self, name: str) -> Any:
        if name == self._phase.method:
            return self._hang
        if name == ExitPhase.START_TASK.method:
            return lambda call: Handled()
        raise AttributeError(name)

    async def _hang(self, call: ExitCall) -> Answer:
        try:
            await asyncio.Event().wait()
        finally:
            self.cancelled += 1
        return NotHandled()


class Stubborn(StuckAsync):
    """One that does not even want to be cancelled."""

    async def _hang(self, call: ExitCall) -> Answer:
        while True:
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(20)
                return NotHandled()


@pytest.fixture
def stuck() -> Iterator[Callable[[ExitPhase], Stuck]]:
    made: list[Stuck] = []

    def make(phase: ExitPhase) -> Stuck:
        made.append(Stuck(phase))
        return made[-1]

    yield make
    for exits in made:
        exits.release.set()
        for thread in exits.threads:
            thread.join(5)


def too_late(answer: Answer) -> bool:
    return isinstance(answer, Failed) and answer.alert_reason is None and isinstance(answer.cause, ExitTimeout)


# ------------------------------------------------------------------------------------------------ the two loops


def _arun(target: Target, exits: object, pki: Any, **limits: float) -> None:
    asyncio.run(arun(target, exits, pki, **limits))


@pytest.mark.parametrize("drive", [run, _arun])
def test_a_plain_exit_that_hangs(drive: Callable[..., None], stuck: Callable[[ExitPhase], Stuck]) -> None:
    """The next question is asked all the same, and the late answer is nobody's."""
    exits = stuck(ExitPhase.CHECK_CERTIFICATE)
    target = Target(CHECK, EndSessionCall(CONTEXT))
    drive(target, exits, Builtin(), exit_timeout=SHORT)
    exits.release.set()
    exits.threads[0].join(5)
    assert too_late(target.answers[0])
    assert target.answers[1:] == [PKI_ANSWER]
    assert exits.threads[0].daemon
    assert exits.threads[0] is not threading.current_thread()


@pytest.mark.parametrize("limits", [{"exit_timeout": SHORT}, {"await_timeout": SHORT}])
@pytest.mark.parametrize("drive", [run, _arun])
def test_an_async_exit_that_hangs(drive: Callable[..., None], limits: dict[str, float]) -> None:
    exits = StuckAsync(ExitPhase.CHECK_CERTIFICATE)
    target = Target(CHECK, EndSessionCall(CONTEXT))
    drive(target, exits, Builtin(), **limits)
    assert too_late(target.answers[0])
    assert target.answers[1:] == [PKI_ANSWER]
    deadline = time.monotonic() + 5
    while not exits.cancelled and time.monotonic() < deadline:
        time.sleep(0.001)  # its loop may be in a thread of its own
    assert exits.cancelled == 1


def test_an_async_exit_that_will_not_end() -> None:
    """Nobody waits for it, where its loop is in a thread of its own."""
    target = Target(CHECK)
    run(target, Stubborn(ExitPhase.CHECK_CERTIFICATE), Builtin(), exit_timeout=SHORT)
    assert too_late(target.answers[0])


@pytest.mark.parametrize("drive", [run, _arun])
def test_a_pki_that_hangs(drive: Callable[..., None]) -> None:
    """One of somebody's own may, and is asked in a thread too; after an ``async`` exit as well."""
    release = threading.Event()

    class Hanging:
        def answer(self, call: ExitCall) -> Answer:
            assert release.wait(20)
            return Handled()

    class Declining:
        async def check_certificate(self, call: ExitCall) -> Answer:
            return NotHandled()

    for exits in (None, ScriptedExit(), Declining()):
        target = Target(CHECK)
        drive(target, exits, Hanging(), exit_timeout=SHORT)
        assert too_late(target.answers[0])
    release.set()


@pytest.mark.parametrize("drive", [run, _arun])
@pytest.mark.parametrize("answer", [Handled(1), NotHandled(), Failed(46), ValueError("no"), "nonsense"])
def test_answers_in_time(drive: Callable[..., None], answer: Any) -> None:
    """Threads change nothing about the answers."""
    expected, found = Target(CHECK), Target(CHECK)
    exits = ScriptedExit({ExitPhase.CHECK_CERTIFICATE: answer})
    run(expected, exits, Builtin())
    drive(found, exits, Builtin(), exit_timeout=10)
    assert repr(found.answers) == repr(expected.answers)


@pytest.mark.parametrize("drive", [run, _arun])
def test_an_interrupt_in_the_thread_goes_on_outwards(drive: Callable[..., None]) -> None:
    exits = ScriptedExit({ExitPhase.CHECK_CERTIFICATE: KeyboardInterrupt()})
    with pytest.raises(KeyboardInterrupt):
        drive(Target(CHECK), exits, Builtin(), exit_timeout=10)


# ------------------------------------------------------------------------------------------------ blocking sockets


def test_a_handshake_over_a_socket(stuck: Callable[[ExitPhase], Stuck]) -> None:
    exits = stuck(ExitPhase.CHECK_CERTIFICATE)
    with beside(served(echo)) as (sock, peer):
        with pytest.raises(ExitFailed, match=r"no answer within 0\.03 s; internal_error\(80\) sent") as caught:
            client(sock, exits=exits, exit_timeout=SHORT)
        assert isinstance(caught.value.__cause__, TimeoutError)
    assert [str(error) for error in peer.errors] == ["the peer sent internal_error(80)"]


def test_the_sockets_time_out_bounds_async_exits() -> None:
    """The peer is told all the same, in no time."""
    with beside(served(echo)) as (sock, peer):
        sock.settimeout(0.3)
        with pytest.raises(ExitFailed, match="no answer within") as caught:
            client(sock, exits=StuckAsync(ExitPhase.CHECK_CERTIFICATE))
        assert isinstance(caught.value.__cause__, ExitTimeout)
    assert [str(error) for error in peer.errors] == ["the peer sent internal_error(80)"]


def test_the_reason_survives_a_peer_that_has_gone() -> None:
    """The alert has nowhere to go; what the caller hears is still the exit's failure, and its cause."""
    failure = ValueError("no")

    def fail(call: ExitCall) -> Answer:
        near.close()
        raise failure

    near, far = socket.socketpair()
    with far:
        far.settimeout(5)
        exits = ScriptedExit({ExitPhase.GET_CERTIFICATE: fail})
        near.sendall(client_end(RSA).connection.data_to_send())
        with pytest.raises(ExitFailed, match="GetCertificate") as caught:
            wrap_socket(far, Profile.server(cipher_suites=(RSA,)), exits=exits)
    assert caught.value.__cause__ is failure


@pytest.mark.parametrize("phase", [ExitPhase.HANDSHAKE_ALERT, ExitPhase.END_SESSION, ExitPhase.END_TASK])
def test_the_last_questions_hold_up_nobody(phase: ExitPhase, stuck: Callable[[ExitPhase], Stuck]) -> None:
    exits = stuck(phase)
    with beside(served(echo)) as (sock, _):
        if phase is ExitPhase.HANDSHAKE_ALERT:
            with pytest.raises(ExitFailed):
                client(sock, exits=exits, exit_timeout=SHORT, profile=Profile.client(root_ca_ids=("nobody's",)))
        else:
            client(sock, exits=exits, exit_timeout=SHORT).close()
        assert sock.fileno() == -1
    assert len(exits.threads) == 1
    assert exits.phases[-1] is ExitPhase.END_TASK


def test_the_peer_hears_of_the_end_before_the_exit_does() -> None:
    """A plain exit that hangs without ``exit_timeout`` holds up its own thread, and not the connection."""
    near, far = socket.socketpair()
    near.settimeout(5)
    seen: list[bytes] = []

    def look(call: ExitCall) -> Answer:
        seen.append(near.recv(100))
        return Handled()

    with near:
        far.settimeout(5)
        exits = ScriptedExit({ExitPhase.HANDSHAKE_ALERT: look})
        near.sendall(b"\x16\3\1\0\4\x0e\0\0\0")
        server = certificates(RSA).builtin(Role.SERVER)
        with pytest.raises(TlsError):
            wrap_socket(far, Profile.server(), exits=exits, pki=server)
    assert seen == [b"\x15\3\1\0\2\2\x0a"]  # fatal, unexpected_message


def test_the_socket_is_closed_before_the_exit_hears_of_it() -> None:
    descriptors: list[int] = []

    def look(call: ExitCall) -> Answer:
        descriptors.append(tls.fileno())
        return Handled()

    with beside(served(echo)) as (sock, _):
        tls = client(sock, exits=ScriptedExit({ExitPhase.END_SESSION: look}))
        tls.close()
    assert descriptors == [-1]


# ------------------------------------------------------------------------------------------------ asyncio


def test_a_plain_exit_does_not_hold_up_the_loop(stuck: Callable[[ExitPhase], Stuck]) -> None:
    """While one session's exit hangs in its thread, another one goes through."""
    exits = stuck(ExitPhase.CHECK_CERTIFICATE)

    async def work() -> None:
        async with serving() as port:
            hanging = asyncio.create_task(connect(port, exits=exits, exit_timeout=1.0))
            while not exits.threads:
                await asyncio.sleep(0)
            _, writer = await connect(port)
            await close(writer)
            assert not hanging.done()
            with pytest.raises(ExitFailed, match="no answer within 1 s"):
                await hanging

    scene(work)


@pytest.mark.parametrize("shape", ["plain", "async", "async, without exit_timeout"])
@pytest.mark.parametrize("phase", [ExitPhase.START_TASK, ExitPhase.END_TASK])
def test_a_task_that_hangs(shape: str, phase: ExitPhase, stuck: Callable[[ExitPhase], Stuck]) -> None:
    exits: Any = stuck(phase) if shape == "plain" else StuckAsync(phase)
    limits: dict[str, Any] = {"handshake_timeout": 0.3} if "without" in shape else {"exit_timeout": 0.3}

    async def work() -> None:
        if phase is ExitPhase.START_TASK:
            with pytest.raises(ExitFailed, match="StartTask: no answer"):
                await open_connection(LOOPBACK, 1, CLIENT, exits=exits, **limits)
            return
        async with serving(exits=exits, **limits) as port:
            _, writer = await connect(port)
            await close(writer)

    scene(work)


def test_ending_a_task_by_hand() -> None:
    async def work() -> None:
        task = Task(system_config())
        task.answer(Handled())
        await end_task(task, StuckAsync(ExitPhase.END_TASK), Builtin(), await_timeout=SHORT)
        assert task.pending_exit is None

    scene(work)


@pytest.mark.parametrize("phase", [ExitPhase.HANDSHAKE_ALERT, ExitPhase.END_SESSION])
def test_the_last_questions_under_asyncio(phase: ExitPhase, stuck: Callable[[ExitPhase], Stuck]) -> None:
    """The server is over in time, and has told its client before its exit hung."""
    exits = stuck(phase)

    async def work() -> None:
        async with serving(exits=exits, exit_timeout=SHORT) as port:
            if phase is ExitPhase.HANDSHAKE_ALERT:
                with pytest.raises(AlertReceived):
                    await connect(port, Profile.client(cipher_suites=(0x0034,)))
            else:
                _, writer = await connect(port)
                await close(writer)

    scene(work)
    assert len(exits.threads) == 1


def test_the_alert_leaves_before_a_plain_exit_hears_of_it() -> None:
    async def work() -> None:
        seen: list[bytes] = []

        def look(call: ExitCall) -> Answer:
            seen.append(near.recv(100))
            return Handled()

        async with serving(exits=ScriptedExit({ExitPhase.HANDSHAKE_ALERT: look})) as port:
            with socket.socket() as near:
                await asyncio.to_thread(near.connect, (LOOPBACK, port))
                near.settimeout(5)
                near.sendall(b"\x16\3\1\0\4\x0e\0\0\0")
                while not seen:
                    await asyncio.sleep(0.001)
        assert seen == [b"\x15\3\1\0\2\2\x0a"]

    scene(work)
