"""What the adapters have in common: futures under every driver, and the thread for code that blocks."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future

import pytest

from tests.support.ends import RSA, check_phases, client_end, handshake, server_end
from tests.support.pair import pump
from tlsexit.adapters.elsewhere import ExitElsewhere, Worker
from tlsexit.alerts import ExitFailed, LocalError
from tlsexit.exits.answers import Answer, Failed, Handled, NotHandled
from tlsexit.exits.calls import ExitCall, StartTaskCall
from tlsexit.exits.context import TaskContext
from tlsexit.exits.phases import ExitPhase

CALL = StartTaskCall(TaskContext(1))


class Elsewhere(ExitElsewhere):
    """Answers in a worker, with what a test says."""

    def __init__(self, answer: Answer | BaseException) -> None:
        self.worker = Worker("test", every_call=False)
        self.answer = answer
        self.phases: list[ExitPhase] = []
        self.threads: set[int] = set()

    def submit(self, call: ExitCall) -> Future[Answer]:
        return self.worker.submit(lambda: self._answer(call))

    def _answer(self, call: ExitCall) -> Answer:
        self.phases.append(call.phase)
        self.threads.add(threading.get_ident())
        if isinstance(call, StartTaskCall):
            return Handled()
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer


@pytest.mark.parametrize("phase", ExitPhase)
def test_every_phase_has_its_method(phase: ExitPhase) -> None:
    exits = Elsewhere(NotHandled())
    assert getattr(exits, phase.method)(CALL) == Handled()


def test_a_handshake_without_a_loop() -> None:
    exits = Elsewhere(NotHandled())
    client, server = client_end(RSA, exits=exits), server_end(RSA)
    handshake(client, server)
    check_phases(client)
    assert len(exits.threads) == 1
    assert threading.get_ident() not in exits.threads


def in_a_loop(exits: Elsewhere) -> Answer:
    """Ask in a loop while the worker is busy, so that the answer has to be awaited."""
    busy = threading.Event()

    async def run() -> Answer:
        exits.worker.submit(lambda: busy.wait(10))
        pending = exits.start_task(CALL)
        busy.set()
        assert not isinstance(pending, (Handled, NotHandled, Failed))
        return await pending

    return asyncio.run(run())


def test_in_a_loop_it_is_awaited() -> None:
    assert in_a_loop(Elsewhere(NotHandled())) == Handled()


@pytest.mark.parametrize(
    ("error", "reason"), [(LocalError("the token is gone"), "the token is gone"), (KeyError("secret"), "KeyError")]
)
def test_errors_fail_the_phase(error: Exception, reason: str) -> None:
    """Our own keep their sentence; the text of others stays out."""
    client, server = client_end(RSA, exits=Elsewhere(error)), server_end(RSA)
    pump(client, server)
    assert isinstance(client.connection.error, ExitFailed)
    assert reason in client.connection.error.reason
    assert "secret" not in str(client.connection.error)


def test_errors_fail_the_phase_in_a_loop() -> None:
    class Failing(Elsewhere):
        def _answer(self, call: ExitCall) -> Answer:
            raise LocalError("the token is gone")

    answer = in_a_loop(Failing(NotHandled()))
    assert isinstance(answer, Failed)
    assert answer.alert_reason == 80


@pytest.mark.parametrize("every_call", [True, False])
def test_what_nobody_awaits_any_more(every_call: bool) -> None:
    worker = Worker("test", every_call=every_call)
    begin, made = threading.Event(), []
    first = worker.submit(lambda: begin.wait(10))
    abandoned = worker.submit(lambda: made.append("abandoned"))
    last = worker.submit(lambda: made.append("last"))
    assert abandoned.cancel()
    begin.set()
    assert first.result(10)
    last.result(10)
    assert made == (["abandoned", "last"] if every_call else ["last"])


def test_a_worker_goes_on_after_an_error() -> None:
    worker = Worker("test", every_call=True)
    with pytest.raises(ZeroDivisionError):
        worker.submit(lambda: 1 / 0).result(10)
    assert worker.submit(lambda: 5).result(10) == 5
