"""Questions put to exits of every shape, and to the built-in PKI what they leave."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.pki import pki
from tests.support.scripted import AsyncScriptedExit, ScriptedExit
from tlsexit.alerts import AlertDescription, BadCertificate, LocalError, UnexpectedMessage
from tlsexit.constants import Role
from tlsexit.drivers.drive import arun, ask, finish, run
from tlsexit.exits.answers import Answer, Failed, Handled, NotHandled, ReturnCode
from tlsexit.exits.calls import (
    CheckCertificateCall,
    EndSessionCall,
    EndTaskCall,
    ExitCall,
    HandshakeDoneCall,
    StartTaskCall,
)
from tlsexit.exits.context import SessionContext, TaskContext
from tlsexit.exits.phases import ExitPhase
from tlsexit.profile import Profile

TASK = TaskContext(1)
CONTEXT = SessionContext(task=TASK, reference=1, role=Role.CLIENT, profile=Profile.client())
CHECK = CheckCertificateCall(CONTEXT, pki().server.chain)
PKI_ANSWER = Handled(b"from the built-in PKI")


class Target:
    """Something with questions: it asks a few, and keeps the answers."""

    def __init__(self, *calls: ExitCall) -> None:
        self.calls = list(calls)
        self.answers: list[Answer] = []

    @property
    def pending_exit(self) -> ExitCall | None:
        return self.calls[0] if self.calls else None

    def answer(self, answer: Answer) -> None:
        self.calls.pop(0)
        self.answers.append(answer)


class Builtin:
    """A PKI that always gives the same answer, and notes what it was asked."""

    def __init__(self, answer: Answer | Exception = PKI_ANSWER) -> None:
        self._answer = answer
        self.asked: list[ExitCall] = []

    def answer(self, call: ExitCall) -> Answer:
        self.asked.append(call)
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer


def run_both(exits: Callable[[], object], *calls: ExitCall, builtin: Answer | Exception = PKI_ANSWER) -> list[Answer]:
    """The answers of :func:`run` and of :func:`arun`, which must be the same."""
    first, second = Target(*calls), Target(*calls)
    run(first, exits(), Builtin(builtin))
    asyncio.run(arun(second, exits(), Builtin(builtin)))
    assert repr(first.answers) == repr(second.answers)
    return first.answers


def test_an_exit_object() -> None:
    """The method of the phase is called with the call."""
    assert run_both(lambda: ScriptedExit({ExitPhase.CHECK_CERTIFICATE: Handled("mine")}), CHECK) == [Handled("mine")]
    assert run_both(lambda: ScriptedExit({ExitPhase.CHECK_CERTIFICATE: Failed(48)}), CHECK) == [Failed(48)]


def test_an_async_exit_object() -> None:
    """Awaited, or run to its end where nobody awaits."""
    exits = lambda: AsyncScriptedExit({ExitPhase.CHECK_CERTIFICATE: Handled("mine")})  # noqa: E731
    assert run_both(exits, CHECK, EndSessionCall(CONTEXT)) == [Handled("mine"), PKI_ANSWER]


@pytest.mark.parametrize("exits", [None, object(), ScriptedExit(), AsyncScriptedExit(), 7])
def test_what_the_exit_leaves_goes_to_the_built_in_pki(exits: object) -> None:
    """Some phases handled, others not: both co-exist. No exit at all leaves everything."""
    assert run_both(lambda: exits, CHECK) == [PKI_ANSWER]


def test_a_function() -> None:
    """In the style of ``cftpkie``."""

    def exit_function(communication: Any) -> int:
        return ReturnCode.HANDLED if communication.phase is ExitPhase.CHECK_CERTIFICATE else ReturnCode.NOT_HANDLED

    assert run_both(lambda: exit_function, CHECK, HandshakeDoneCall(CONTEXT)) == [Handled(None), PKI_ANSWER]


def test_a_class_is_no_exit() -> None:
    """Whoever forgot to make an object gets an error, not an exit that is never asked."""
    (answer,) = run_both(lambda: ScriptedExit, CHECK)
    assert isinstance(answer, Failed)
    assert isinstance(answer.cause, TypeError)


@pytest.mark.parametrize(
    "error", [ValueError("no"), KeyError("no"), OSError("no"), LocalError("no"), UnexpectedMessage("no")]
)
@pytest.mark.parametrize("shape", [ScriptedExit, AsyncScriptedExit])
def test_what_an_exit_raises(error: Exception, shape: type[ScriptedExit]) -> None:
    """A failure with its cause; an alert of its own only if it is one that exits may name."""
    (answer,) = run_both(lambda: shape({ExitPhase.CHECK_CERTIFICATE: error}), CHECK)
    assert isinstance(answer, Failed)
    assert answer.alert_reason is None
    assert answer.cause is error


def test_an_error_that_means_an_alert() -> None:
    """A chain check of tlsexit's that an exit lets through keeps its alert."""
    (answer,) = run_both(lambda: ScriptedExit({ExitPhase.CHECK_CERTIFICATE: BadCertificate("no")}), CHECK)
    assert isinstance(answer, Failed)
    assert answer.alert_reason == AlertDescription.BAD_CERTIFICATE


@pytest.mark.parametrize("value", [None, True, 0, "handled", Handled, [Handled()]])
@pytest.mark.parametrize("shape", [ScriptedExit, AsyncScriptedExit])
def test_what_is_no_answer(value: object, shape: type[ScriptedExit]) -> None:
    exits = {ExitPhase.CHECK_CERTIFICATE: lambda call: value}
    (answer,) = run_both(lambda: shape(exits), CHECK)
    assert isinstance(answer, Failed)
    assert "check_certificate" in str(answer.cause)


def test_a_pki_that_raises() -> None:
    """One of somebody's own may; that fails the phase and no more."""
    (answer,) = run_both(lambda: None, CHECK, builtin=RuntimeError("no"))
    assert isinstance(answer, Failed)
    assert isinstance(answer.cause, RuntimeError)


@pytest.mark.parametrize("call", [StartTaskCall(TASK), EndTaskCall(TASK)])
def test_tasks_are_no_affair_of_the_built_in_pki(call: ExitCall) -> None:
    """Not handling StartTask switches the exit off; somebody else must not switch it on."""
    builtin = Builtin()
    target = Target(call)
    run(target, None, builtin)
    assert target.answers == [NotHandled()]
    assert builtin.asked == []


def test_an_exit_that_is_switched_off() -> None:
    """It is not asked, and the built-in PKI is."""
    context = SessionContext(
        task=TaskContext(2, exit_enabled=False), reference=1, role=Role.CLIENT, profile=Profile.client()
    )
    exits = ScriptedExit({ExitPhase.HANDSHAKE_DONE: Handled(b"mine")})
    target = Target(HandshakeDoneCall(context))
    run(target, exits, Builtin())
    assert target.answers == [PKI_ANSWER]
    assert exits.calls == []


def test_several_questions_in_a_row() -> None:
    exits = ScriptedExit()
    calls: list[ExitCall] = [CHECK, HandshakeDoneCall(CONTEXT), EndSessionCall(CONTEXT)]
    target = Target(*calls)
    run(target, exits, Builtin())
    assert exits.calls == calls
    assert len(target.answers) == 3


def test_async_exits_under_a_running_loop() -> None:
    """The blocking driver cannot wait there, and says so."""

    async def scene() -> None:
        run(Target(CHECK), AsyncScriptedExit(), Builtin())

    with pytest.raises(LocalError, match="asyncio driver"):
        asyncio.run(scene())


def test_asking_and_finishing_apart() -> None:
    """For an event loop's own driver: a plain answer comes at once, an awaitable is handed over."""
    assert ask(CHECK, ScriptedExit({ExitPhase.CHECK_CERTIFICATE: Handled(1)}), Builtin()) == Handled(1)

    async def scene() -> Answer:
        pending: Any = ask(CHECK, AsyncScriptedExit({ExitPhase.CHECK_CERTIFICATE: Handled(2)}), Builtin())
        assert not isinstance(pending, (Handled, NotHandled, Failed))
        return await finish(CHECK, pending, Builtin())

    assert asyncio.run(scene()) == Handled(2)


def test_a_future_is_awaited_too() -> None:
    """Any awaitable will do, as from an executor."""

    class Pooled:
        def check_certificate(self, call: ExitCall) -> Any:
            return asyncio.get_running_loop().run_in_executor(None, lambda: Handled("from a thread"))

    target = Target(CHECK)
    asyncio.run(arun(target, Pooled(), Builtin()))
    assert target.answers == [Handled("from a thread")]


def test_a_question_is_put_once_whoever_asks() -> None:
    """EndTask is due when the last session ends and when the task's owner says so; an exit may take its time then."""
    asked: list[ExitCall] = []

    class Slow:
        async def end_task(self, call: ExitCall) -> Answer:
            asked.append(call)
            await asyncio.sleep(0.01)
            return Handled()

    async def main() -> None:
        target = Target(EndTaskCall(TaskContext(1)))
        await asyncio.gather(*(arun(target, Slow(), Builtin()) for _ in range(3)))
        assert len(target.answers) == 1

    asyncio.run(main())
    assert len(asked) == 1


def test_a_question_whose_asker_is_gone_is_put_again() -> None:
    """Cancelled while the exit thought about it; the other one that waited for the answer asks."""
    asked: list[ExitCall] = []

    class Slow:
        async def end_task(self, call: ExitCall) -> Answer:
            asked.append(call)
            await asyncio.sleep(0.01)
            return Handled()

    async def main() -> None:
        target = Target(EndTaskCall(TaskContext(1)))
        first, second = (asyncio.create_task(arun(target, Slow(), Builtin())) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        await second
        assert len(target.answers) == 1

    asyncio.run(main())
    assert len(asked) == 2
