"""What a phase costs that a Python method answers, beyond the method itself."""

from __future__ import annotations

import statistics

from benchmarks.contenders.base import Handshake
from benchmarks.contenders.ours import builtin_pki, profiles
from benchmarks.measure import interleave
from tlsexit.constants import Role
from tlsexit.drivers.drive import run
from tlsexit.exits.answers import Answer, Handled
from tlsexit.exits.calls import ExitCall, HandshakeDoneCall, StartHandshakeCall
from tlsexit.policy import system_config
from tlsexit.tasks import Task

TARGET = 3.0
"""Microseconds."""


class Exit:
    """An exit that is on, and answers with nothing to say."""

    def start_task(self, call: ExitCall) -> Answer:
        """Handled."""
        return Handled()

    def handshake_done(self, call: ExitCall) -> Answer:
        """Handled."""
        return Handled()


class Asking:
    """What asks one question over and over, and checks the answer as a connection does."""

    def __init__(self, call: ExitCall) -> None:
        self.call = call
        self.pending_exit: ExitCall | None = call

    def answer(self, answer: Answer) -> None:
        """Take the answer; nothing is pending any more."""
        assert isinstance(answer, Handled)
        self.call.validate(answer.value)
        self.pending_exit = None


def measure(rounds: int) -> float:
    """Return microseconds of CPU from a question that is pending to an answer that has been checked."""
    exits, pki = Exit(), builtin_pki(Role.SERVER)
    task = Task(system_config())
    run(task, exits, pki)
    connection = task.connection(profiles(Handshake())[1])
    connection.start()
    call = connection.pending_exit
    assert isinstance(call, StartHandshakeCall)
    done = HandshakeDoneCall(call.context)
    asking = Asking(done)

    def method() -> None:
        exits.handshake_done(done)

    def round_trip() -> None:
        asking.pending_exit = done
        run(asking, exits, pki)

    samples = interleave({"method": method, "round trip": round_trip}, rounds, 0.02)
    pairs = zip(samples["round trip"].by_round.values(), samples["method"].by_round.values(), strict=True)
    return statistics.median(a - b for a, b in pairs) * 1e6
