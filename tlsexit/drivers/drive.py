"""Put a connection's or task's questions to an exit, and to the built-in PKI what the exit leaves.

:func:`run` and :func:`arun` are the same loop, once without and once with ``await``. An exit is any object with some
of the ten methods (``start_task`` … ``end_task``), plain or ``async``, each taking its call and returning ``Handled``,
``NotHandled`` or ``Failed``; or one function in the style of ``cftpkie``. What user code raises becomes ``Failed``,
and so does an answer that comes too late:

* ``exit_timeout``, in seconds, bounds every answer. Plain methods are then called in a thread of their own, and so is
  the built-in PKI; a thread cannot be stopped, so one whose time is up is left behind and its answer ignored.
* ``await_timeout`` bounds only what is awaited, where there is no ``exit_timeout``: nothing leaves the caller's thread.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Coroutine
from functools import partial
from hashlib import sha256
from typing import Any, Final, Protocol

from tlsexit.alerts import ExitTimeout, LocalError, PeerError
from tlsexit.drivers.threads import in_thread
from tlsexit.exits.answers import Answer, Failed, Handled, NotHandled, is_recognised
from tlsexit.exits.calls import EndTaskCall, ExitCall, StartHandshakeCall, StartTaskCall
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


def run(
    target: Questioner,
    exits: object,
    pki: Pki,
    *,
    exit_timeout: float | None = None,
    await_timeout: float | None = None,
) -> None:
    """Answer questions until none is pending. Methods that are ``async`` run to their end in a loop of their own."""
    while (call := target.pending_exit) is not None:
        if exit_timeout is None:
            answer = _answer_to(call, exits, pki, await_timeout)
        else:
            pending = in_thread(partial(_answer_to, call, exits, pki, exit_timeout), call.phase.value)
            try:
                answer = pending.result(exit_timeout)
            except TimeoutError:
                answer = Failed(cause=ExitTimeout(exit_timeout))
        _answer(target, call, answer)


async def arun(
    target: Questioner,
    exits: object,
    pki: Pki,
    *,
    exit_timeout: float | None = None,
    await_timeout: float | None = None,
) -> None:
    """Answer questions until none is pending, awaiting methods that are ``async``.

    A question that another ``arun`` is putting at the time is not put again: its answer is waited for.
    """
    while (call := target.pending_exit) is not None:
        if (answered := _being_put.get(id(call))) is not None:
            await answered.wait()
            continue
        answered = _being_put[id(call)] = asyncio.Event()
        try:
            if exit_timeout is not None:
                answer = await _within(ask_in_thread(call, exits, pki), exit_timeout)
            else:
                given = ask(call, exits, pki)
                answer = given if isinstance(given, Answer) else await finish(call, given, pki, await_timeout)
            _answer(target, call, answer)
        finally:
            del _being_put[id(call)]
            answered.set()


_being_put: Final[dict[int, asyncio.Event]] = {}
"""The questions that :func:`arun` is putting, by their identity: EndTask may be due from two sides at once."""


def ask(call: ExitCall, exits: object, pki: Pki) -> Answer | Awaitable[Any]:
    """Put one call to the exit, or to ``pki``; an ``async`` method's awaitable is returned for :func:`finish`."""
    if isinstance(call, StartTaskCall):
        call.task.trust = trust_of(exits, pki)
    elif isinstance(call, StartHandshakeCall) and getattr(pki, "live", False):
        # whom it trusts may be others than when the task started
        try:
            call.context.task.trust = trust_of(exits, pki)
        except Exception as error:
            return _failed(call, error)
    if not _enabled(call):
        return _fallback(call, pki)
    try:
        answer = _call(call, exits)
        if inspect.isawaitable(answer):
            return answer
    except (Exception, asyncio.CancelledError) as error:
        return _failed(call, error)
    return _settle(call, answer, pki)


def trust_of(exits: object, pki: Pki) -> bytes:
    """Return what stands for who decides on peers here: the exit by its name, the built-in PKI by its authorities.

    The name is that of the exit's class or function, or the exit's own ``trust_name``, where one class stands for many.

    A session is resumed only where it is the same, so that a store shared by two servers opens no way from one to the
    other. An exit that trusts differently from time to time separates its sessions with ``Config.session_context``.
    """
    own = getattr(exits, "trust_name", None)
    if isinstance(own, str):
        return sha256(b"\0" + own.encode() + b"\0" + getattr(pki, "fingerprint", b"")).digest()
    named = exits if isinstance(exits, type) or callable(exits) else type(exits)
    name = f"{getattr(named, '__module__', '')}.{getattr(named, '__qualname__', type(named).__qualname__)}"
    return sha256(name.encode() + b"\0" + getattr(pki, "fingerprint", b"")).digest()


async def ask_in_thread(call: ExitCall, exits: object, pki: Pki) -> Answer:
    """Do as :func:`ask` and :func:`finish`, with everything that is not ``async`` in a thread of its own."""
    name = call.phase.value
    if not _is_async(call, exits):
        given = await asyncio.wrap_future(in_thread(partial(ask, call, exits, pki), name))
        return given if isinstance(given, Answer) else await finish(call, given, pki)
    given = ask(call, exits, pki)
    if isinstance(given, Answer):
        return given
    answer = await _awaited(call, given)
    return await asyncio.wrap_future(in_thread(partial(_settle, call, answer, pki), name))


async def finish(call: ExitCall, pending: Awaitable[Any], pki: Pki, timeout: float | None = None) -> Answer:
    """Await what :func:`ask` returned, for ``timeout`` seconds at most, and turn it into an answer.

    A cancellation inside the exit fails the phase; one of the task that awaits this goes on outwards.
    """
    if timeout is not None:
        return await _within(finish(call, pending, pki), timeout, pending)
    return _settle(call, await _awaited(call, pending), pki)


async def _awaited(call: ExitCall, pending: Awaitable[Any]) -> Any:
    try:
        return await pending
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        return _failed(call, error)
    except Exception as error:
        return _failed(call, error)


def _answer(target: Questioner, call: ExitCall, answer: Answer) -> None:
    """Hand over an answer, unless ``target`` has ended meanwhile and asks something else by now."""
    if target.pending_exit is call:
        target.answer(answer)


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
        cause=LocalError(f"{call.phase.method} returned {kind}; an exit returns Handled, NotHandled or Failed")
    )


def _fallback(call: ExitCall, pki: Pki) -> Answer:
    if isinstance(call, (StartTaskCall, EndTaskCall)):
        # not handling StartTask is what switches the exit off
        return NotHandled()
    try:
        return pki.answer(call)
    except (Exception, asyncio.CancelledError) as error:
        # a PKI of one's own may fail too, and so does the built-in one over a profile that an exit has spoilt
        return _failed(call, error)


def _failed(call: ExitCall, error: BaseException) -> Failed:
    """An exception fails the phase; one of our own that means a recognised alert keeps it."""
    if isinstance(error, PeerError) and is_recognised(call.phase, error.description):
        return Failed(error.description, error)
    return Failed(cause=error)


def _enabled(call: ExitCall) -> bool:
    task = call.task if isinstance(call, (StartTaskCall, EndTaskCall)) else call.context.task
    return task.exit_enabled


def _answer_to(call: ExitCall, exits: object, pki: Pki, timeout: float | None) -> Answer:
    """Return the answer to one call, from this thread; ``timeout`` bounds what has to be awaited."""
    pending = ask(call, exits, pki)
    if isinstance(pending, Answer):
        return pending
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(finish(call, pending, pki, timeout))
    if inspect.iscoroutine(pending):
        pending.close()
    raise LocalError("an async exit under the blocking driver inside a running event loop; use the asyncio driver")


async def _within(work: Coroutine[Any, Any, Answer], seconds: float, awaited: object = None) -> Answer:
    """Return what ``work`` finds in time. What is late is cancelled and not waited for: it may not want to end."""
    task = asyncio.create_task(work)
    if inspect.iscoroutine(awaited):
        # cancelled before its first step, it would complain that nobody awaited it
        task.add_done_callback(lambda _: awaited.close())
    try:
        await asyncio.wait({task}, timeout=seconds)
    except asyncio.CancelledError:
        task.cancel()
        raise
    if not task.done():
        task.cancel()
        return Failed(cause=ExitTimeout(seconds))
    return Failed(cause=asyncio.CancelledError()) if task.cancelled() else task.result()


def _is_async(call: ExitCall, exits: object) -> bool:
    try:
        return inspect.iscoroutinefunction(getattr(exits, call.phase.method, None))
    except Exception:
        return False  # ask() meets it again, and reports it
