"""Work in a thread of its own: its result, what it raises, and that it keeps nobody waiting."""

from __future__ import annotations

import threading
from contextvars import ContextVar

import pytest

from tlsexit.drivers.threads import in_thread

NAME: ContextVar[str] = ContextVar("NAME")


def test_a_result_from_another_thread() -> None:
    """Named after the phase, a daemon, in the caller's context."""
    NAME.set("mine")

    def work() -> tuple[threading.Thread, str]:
        return threading.current_thread(), NAME.get()

    thread, name = in_thread(work, "CryptData").result(5)
    assert thread is not threading.current_thread()
    assert thread.daemon
    assert (thread.name, name) == ("CryptData", "mine")


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt(), SystemExit(3)])
def test_what_it_raises(error: BaseException) -> None:
    """An interrupt is not lost in the thread."""

    def work() -> None:
        raise error

    with pytest.raises(type(error)) as caught:
        in_thread(work, "CryptData").result(5)
    assert caught.value is error


def test_what_hangs_is_left_behind() -> None:
    release = threading.Event()
    future = in_thread(release.wait, "CryptData")
    with pytest.raises(TimeoutError):
        future.result(0.01)
    assert not future.cancel()
    release.set()
    assert future.result(5)
