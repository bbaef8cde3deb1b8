"""A thread of its own for a piece of work that may never end."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from contextvars import copy_context
from threading import Thread
from typing import TypeVar

T = TypeVar("T")


def in_thread(work: Callable[[], T], name: str) -> Future[T]:
    """Start ``work`` in a new thread called ``name`` and return the future of its result.

    The thread is a daemon, unlike those of an executor, which Python and ``asyncio.run`` would wait for at the end:
    nothing can stop a thread that hangs, so it must at least not keep the process alive. Context variables are those
    of the caller. Whatever ``work`` raises, an interrupt included, is raised by ``result()``.
    """
    future: Future[T] = Future()
    # nobody can cancel it any more: what has been started goes on
    future.set_running_or_notify_cancel()

    def call() -> None:
        try:
            result = work()
        except BaseException as error:
            future.set_exception(error)
        else:
            future.set_result(result)

    Thread(target=copy_context().run, args=(call,), name=name, daemon=True).start()
    return future
