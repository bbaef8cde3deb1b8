"""The machine's step, the round trip to an exit, and whole handshakes and transfers of every contender."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks.compare import ROWS, Row, contenders, prepare
from benchmarks.contenders.base import Handshake
from benchmarks.contenders.ours import builtin_pki, connected, new_task, profiles
from benchmarks.rounds import each_with
from tlsexit.connection import Connection
from tlsexit.constants import Role
from tlsexit.drivers.drive import ask, run
from tlsexit.exits.answers import Answer, Handled
from tlsexit.exits.calls import ExitCall, HandshakeDoneCall, StartHandshakeCall
from tlsexit.handshake.codec import HandshakeReader
from tlsexit.handshake.inputs import Received
from tlsexit.handshake.machine import step
from tlsexit.policy import system_config
from tlsexit.tasks import Task

ROUNDS = 50


def started(role: Role) -> Connection:
    """A connection that has been started, with StartHandshake answered."""
    profile = profiles(Handshake())[role is Role.SERVER]
    connection = new_task(role).connection(profile)
    connection.start()
    run(connection, None, builtin_pki(role))
    return connection


def test_machine_step(benchmark: BenchmarkFixture) -> None:
    """A ClientHello taken by a server that waits for it: the state is a value, so the step can be repeated."""
    benchmark.group = "machine step"
    hello = started(Role.CLIENT).data_to_send()[5:]
    reader = HandshakeReader(2**16)
    reader.feed(hello)
    complete = reader.next_message()
    assert complete is not None
    raw, message = complete
    state, config = started(Role.SERVER).state, system_config()
    benchmark(step, Role.SERVER, state, Received(message, raw), config)


class Exit:
    """An exit that answers one phase with nothing to say."""

    def handshake_done(self, call: ExitCall) -> Answer:
        """Handled."""
        return Handled()


@pytest.mark.parametrize("way", ["method", "through the driver", "through driver and connection"])
def test_exit_round_trip(benchmark: BenchmarkFixture, way: str) -> None:
    """What a phase costs that a Python method answers: the method alone, asked by the driver, with question and all."""
    benchmark.group = "exit round trip"
    exits, pki = Exit(), builtin_pki(Role.SERVER)
    task = Task(system_config())
    run(task, _Willing(), pki)
    connection = task.connection(profiles(Handshake())[1])
    connection.start()
    call = connection.pending_exit
    assert isinstance(call, StartHandshakeCall)
    done = HandshakeDoneCall(call.context)
    if way == "method":
        benchmark(exits.handshake_done, done)
    elif way == "through the driver":
        benchmark(ask, done, exits, pki)
    else:
        each_with(benchmark, lambda waiting: run(waiting, _Willing(), pki), lambda: _waiting(task), 2000)


class _Willing:
    """An exit that is on and handles every session's start."""

    def start_task(self, call: ExitCall) -> Answer:
        """Handled."""
        return Handled()

    def start_handshake(self, call: ExitCall) -> Answer:
        """Handled."""
        return Handled()


def _waiting(task: Task) -> Connection:
    connection = task.connection(profiles(Handshake())[1])
    connection.start()
    return connection


def test_new_connection(benchmark: BenchmarkFixture) -> None:
    """A connection made and started, up to its first question."""
    benchmark.group = "new connection"
    benchmark(_waiting, new_task(Role.SERVER))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.title)
@pytest.mark.parametrize("name", ["tlsexit", "openssl"])
def test_row(benchmark: BenchmarkFixture, row: Row, name: str) -> None:
    """One row of the comparison. Ratios are better taken from ``benchmarks.compare``, which interleaves."""
    benchmark.group = row.title
    unit = prepare(contenders(row, tlslite=False)[name], row.work)
    cleanups: list[Callable[[], object]] = []

    def one() -> None:
        cleanup = unit()
        if cleanup is not None:
            cleanups.append(cleanup)

    def tidy() -> None:
        while cleanups:
            cleanups.pop()()

    if isinstance(row.work, Handshake):
        each_with(benchmark, one, tidy, ROUNDS)
    else:
        benchmark(one)
    tidy()


def test_close(benchmark: BenchmarkFixture) -> None:
    """close_notify sent, received and answered."""
    benchmark.group = "close"
    each_with(benchmark, lambda pair: pair.close(), lambda: connected(Handshake()), ROUNDS)
