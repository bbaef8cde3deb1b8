"""Put a connection's or task's questions to an exit, and to the built-in PKI what the exit leaves.

:func:`run` and :func:`arun` are the same loop, once without and once with ``await``. An exit is any object with some
of the ten methods (``start_task`` … ``end_task``), plain or ``async``, each taking its call and returning ``Handled``,
``NotHandled`` or ``Failed``; or one function in the style of ``cftpkie``. What user code raises becomes ``Failed``.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable
from typing import Any, Protocol, cast

from tlsexit.alerts import LocalError, PeerError
from tlsexit.exits.answers import Answer, Failed, Handled, NotHandled, is_recognised
from tlsexit.exits.calls import EndTaskCall, ExitCall, StartTaskCall
from tlsexit.exits.function import call_function


class Questioner(Protocol):
    """What asks: a :class:`~tlsexit.connection.Connection` or a :class:`~tlsexit.tasks.Task`."""

    @property
    def pending_exit(self) -> ExitCall | None: ...

    def answer(self, answer: Answer) -> None: ...


class Pki(Protocol):
    """What answers when the exit does not: :class:`~tlsexit.policy.BuiltinPki`, or anything like it."""

    def answer(self, call: ExitCall) -> Answer:
        """Answer one call."""


def run(target: Questioner, exits: object, pki: Pki) -> None:
    """Answer questions until none is pending. Methods that are ``async`` run to their end in a loop of their own."""
    while (call := target.pending_exit) is not None:
        answer = ask(call, exits, pki)
        if not isinstance(answer, (Handled, NotHandled, Failed)):
            answer = _run_to_end(finish(call, answer, pki))
        target.answer(answer)


async def arun(target: Questioner, exits: object, pki: Pki) -> None:
    """Answer questions until none is pending, awaiting methods that are ``async``."""
    while (call := target.pending_exit) is not None:
        answer = ask(call, exits, pki)
        if not isinstance(answer, (Handled, NotHandled, Failed)):
            answer = await finish(call, answer, pki)
        target.answer(answer)


def ask(call: ExitCall, exits: object, pki: Pki) -> Answer | Awaitable[Any]:
    """Put one call to the exit, or to ``pki``; an ``async`` method's awaitable is returned for :func:`finish`."""
    if not _enabled(call):
        return _fallback(call, pki)
    try:
        answer = _call(call, exits)
        if inspect.isawaitable(answer):
            return answer
    except Exception as error:
        return _failed(call, error)
    return _settle(call, answer, pki)


async def finish(call: ExitCall, pending: Awaitable[Any], pki: Pki) -> Answer:
    """Await what :func:`ask` returned, and turn it into an answer."""
    try:
        answer = await pending
    except Exception as error:
        return _failed(call, error)
    return _settle(call, answer, pki)


def _call(call: ExitCall, exits: object) -> Any:
    method = getattr(exits, call.phase.method, None)
    if method is not None:
        return method(call)
    if callable(exits) and not isinstance(exits, type):
        return call_function(exits, call)
    return NotHandled()


def _settle(call: ExitCall, answer: Any, pki: Pki) -> Answer:
    if isinstance(answer, NotHandled):
        return _fallback(call, pki)
    if isinstance(answer, (Handled, Failed)):
        return answer
    kind = type(answer).__name__
    return Failed(
        cause=TypeError(f"{call.phase.method} returned {kind}; an exit returns Handled, NotHandled or Failed")
    )


def _fallback(call: ExitCall, pki: Pki) -> Answer:
    if isinstance(call, (StartTaskCall, EndTaskCall)):
        # not handling StartTask is what switches the exit off
        return NotHandled()
    try:
        return pki.answer(call)
    except Exception as error:
        # a PKI of one's own may fail too, and so does the built-in one over a profile that an exit has spoilt
        return _failed(call, error)


def _failed(call: ExitCall, error: Exception) -> Failed:
    """An exception fails the phase; one of our own that means a recognised alert keeps it."""
    if isinstance(error, PeerError) and is_recognised(call.phase, error.description):
        return Failed(error.description, error)
    return Failed(cause=error)


def _enabled(call: ExitCall) -> bool:
    task = call.task if isinstance(call, (StartTaskCall, EndTaskCall)) else call.context.task
    return task.exit_enabled


def _run_to_end(work: Any) -> Answer:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return cast(Answer, asyncio.run(work))
    work.close()
    raise LocalError("an async exit under the blocking driver inside a running event loop; use the asyncio driver")
