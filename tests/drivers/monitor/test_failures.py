"""What becomes of tasks that die, hang or cannot start: their own sessions end, and nobody else notices."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from tests.support.monitored import calls
from tests.support.monitoring import Client, Scene, play, scene
from tlsexit.alerts import TlsError
from tlsexit.drivers.monitor import (
    CannotServe,
    Limits,
    SessionEnded,
    TaskEnded,
    TaskStarted,
    TaskState,
)
from tlsexit.drivers.monitor import monitor as monitor_module
from tlsexit.tasks import backoff

THREE = Limits(max_tasks=3, sessions_per_task=2)
TWO = Limits(max_tasks=2, sessions_per_task=1)


async def ends(client: Client) -> None:
    """The connection ends without close_notify: its task is dead."""
    with pytest.raises((TlsError, OSError)):
        await client.reader.read()
    client.writer.close()
    with pytest.raises((TlsError, OSError)):
        await client.writer.wait_closed()


async def failed(it: Scene, count: int = 1) -> TaskEnded:
    """Wait until so many tasks have ended badly and return the last of them."""
    await it.until(lambda: len([event for event in it.told(TaskEnded) if event.reason]) == count)
    return [event for event in it.told(TaskEnded) if event.reason][-1]


def test_one_of_three_tasks_is_killed_under_load(tmp_path: Path) -> None:
    """Its sessions end, a new task takes its place, and the data of all others goes on without a gap."""

    async def load(client: Client, stop: asyncio.Event) -> int:
        rounds = 0
        while not stop.is_set():
            text = f"{rounds:5}" * 1000
            assert await client.ask(text.strip()) == text.strip()
            rounds += 1
        return rounds

    async def work() -> None:
        async with scene(tmp_path, THREE) as it:
            clients = [await it.connect() for _ in range(6)]
            places = [await client.task() for client in clients]
            victim = places[2][1]
            doomed = [client for client, (_, pid) in zip(clients, places, strict=True) if pid == victim]
            others = [client for client in clients if client not in doomed]
            stop = asyncio.Event()
            loads = [asyncio.create_task(load(client, stop)) for client in others]
            dying = [asyncio.create_task(load(client, stop)) for client in doomed]
            await asyncio.sleep(0.2)
            os.kill(victim, signal.SIGKILL)
            event = await failed(it)
            assert (event.task, event.pid, event.reason, event.lost) == (2, victim, "killed by SIGKILL", 2)
            assert str(event) == f"task 2 (pid {victim}): killed by SIGKILL; 2 sessions ended with it"
            await it.until(lambda: len(it.told(TaskStarted)) == 4)
            for outcome in await asyncio.gather(*dying, return_exceptions=True):
                assert isinstance(outcome, (TlsError, OSError, AssertionError))
            # the replacement serves
            late = [await it.connect() for _ in range(2)]
            assert {(await client.task())[0] for client in late} == {4}
            stop.set()
            assert all(rounds > 0 for rounds in await asyncio.gather(*loads))
            await it.until(lambda: len(it.told(SessionEnded)) >= 2)
            lost = it.told(SessionEnded)
            assert {(item.task, item.reason, item.died) for item in lost} == {
                (2, "its task died: killed by SIGKILL", True)
            }
            assert len(lost) == 2
            for client in (*others, *late):
                await client.close()
            for client in doomed:
                client.writer.transport.abort()
            await it.until(lambda: not it.monitor.sessions)

    play(work())
    told = calls(tmp_path)
    assert [told[task]["StartTask"] for task in (1, 2, 3, 4)] == [1, 1, 1, 1]
    # a process that is killed cannot say good-bye; all others do, once
    assert [told[task]["EndTask"] for task in (1, 2, 3, 4)] == [1, 0, 1, 1]


@pytest.mark.parametrize(
    ("order", "reason"),
    [("crash", "killed by SIGSEGV"), ("exit", "ended with status 7"), ("nonsense", "killed: it sent nonsense")],
)
def test_a_task_that_dies_of_itself_is_replaced(
    tmp_path: Path, order: str, reason: str, capfd: pytest.CaptureFixture[str]
) -> None:
    async def work() -> None:
        async with scene(tmp_path, TWO) as it:
            first, second = await it.connect(), await it.connect()
            first.writer.write(order.encode() + b"\n")
            event = await failed(it)
            assert (event.task, event.reason, event.lost, event.retry_in) == (1, reason, 1, 0)
            await ends(first)
            assert await second.ask("still there") == "still there"
            third = await it.connect()
            assert (await third.task())[0] == 3
            for client in (second, third):
                await client.close()

    play(work())
    errors = capfd.readouterr().err
    # where a crash was, for whoever wrote the exit
    assert ("Fatal Python error: Segmentation fault" in errors and "in obey" in errors) is (order == "crash")


def test_a_handler_that_fails_ends_its_session_only(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    async def work() -> None:
        async with scene(tmp_path, Limits(max_tasks=1)) as it:
            first, second = await it.connect(), await it.connect()
            assert await first.ask("raise") == ""
            assert await second.ask("still there") == "still there"
            for client in (first, second):
                await client.close()
            assert not it.told(TaskEnded)

    play(work())
    assert "the handler of a session failed" in capfd.readouterr().err


def test_a_task_that_hangs_is_ended_and_tells_where(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    async def work() -> None:
        async with scene(tmp_path, TWO, hang_timeout=1.0) as it:
            first, second = await it.connect(), await it.connect()
            first.writer.write(b"hang\n")
            event = await failed(it)
            assert event.reason == "ended by its watchdog: no sign of life for 1 seconds"
            await ends(first)
            assert await second.ask("still there") == "still there"
            await second.close()
            await it.until(lambda: len(it.told(TaskStarted)) == 3)

    play(work())
    assert "in obey" in capfd.readouterr().err


def test_a_process_that_is_stopped_is_killed(tmp_path: Path) -> None:
    """Its own watchdog stands still with it."""

    async def work() -> None:
        async with scene(tmp_path, TWO, hang_timeout=0.5) as it:
            client = await it.connect()
            _, pid = await client.task()
            os.kill(pid, signal.SIGSTOP)
            event = await failed(it)
            assert event.reason is not None
            assert event.reason.startswith("killed: no sign of life for ")
            await ends(client)

    play(work())


@pytest.mark.skipif(sys.platform != "linux", reason="what becomes of a descriptor without room differs")
def test_a_task_without_room_for_a_socket_goes_on(tmp_path: Path) -> None:
    async def work() -> None:
        async with scene(tmp_path, Limits(max_tasks=1), settings={"kind": "without files"}) as it:
            first = await it.connect()
            assert await first.ask("full") == "full"
            with pytest.raises((TlsError, OSError)):
                await it.connect()
            await it.until(lambda: bool(it.told(SessionEnded)))  # the client may hear of it first
            (ended,) = it.told(SessionEnded)
            assert (ended.task, ended.begun, ended.reason) == (1, False, "the task has too many open files")
            assert await first.ask("still there") == "still there"
            await first.close()
            await it.until(lambda: len(it.told(SessionEnded)) == 2)
            again = await it.connect()
            assert await again.ask("hello") == "hello"
            await again.close()

    play(work())


def test_a_session_that_a_dead_task_never_saw_goes_elsewhere(tmp_path: Path) -> None:
    """Its socket had been handed over, but had not arrived."""

    async def work() -> None:
        async with scene(tmp_path, Limits(max_tasks=2, sessions_per_task=2)) as it:
            first = await it.connect()
            _, pid = await first.task()
            os.kill(pid, signal.SIGSTOP)
            second = asyncio.create_task(it.connect())
            await it.until(lambda: it.monitor.tasks[0].sessions == 2)
            os.kill(pid, signal.SIGKILL)
            assert (await failed(it)).lost == 1
            await ends(first)
            client = await second
            assert (await client.task())[0] == 2
            await client.close()

    play(work())


def test_a_task_that_does_not_start_in_time_is_given_up(tmp_path: Path) -> None:
    async def work() -> None:
        it = Scene(tmp_path, TWO, start_timeout=2.0, settings={"kind": "slow"})
        with pytest.raises(CannotServe, match=r"the first task: (ended by its watchdog|killed): not started"):
            await it.monitor.start()

    play(work())


def test_sessions_of_a_task_that_cannot_start_go_elsewhere(tmp_path: Path) -> None:
    """StartTask fails in the second task: the session that it was made for is served by the third, or by the first."""
    (tmp_path / "failing").write_text("2")

    async def work() -> None:
        async with scene(tmp_path, TWO, settings={"kind": "failing"}) as it:
            first, second = await it.connect(), await it.connect()
            assert [(await client.task())[0] for client in (first, second)] == [1, 3]
            event = await failed(it)
            assert (event.task, event.lost) == (2, 0)
            assert event.reason == "cannot start: StartTask: failed"
            for client in (first, second):
                await client.close()

    play(work())


def test_when_no_other_task_can_start_those_that_run_share_the_load(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Starts are put off longer and longer meanwhile, and nobody waits for them."""
    monkeypatch.setattr(backoff, "FIRST_DELAY", 30.0)

    async def work() -> None:
        async with scene(tmp_path, TWO, settings={"kind": "failing"}) as it:
            (tmp_path / "failing").write_text("all")
            clients = [await it.connect() for _ in range(4)]
            assert [(await client.task())[0] for client in clients] == [1, 1, 1, 1]
            event = await failed(it, 3)
            assert event.retry_in == 30.0
            assert str(event).endswith("; no new task for 30 seconds")
            assert [task.state for task in it.monitor.tasks] == [TaskState.RUNNING]
            for client in clients:
                await client.close()

    play(work())


def test_when_no_task_can_start_any_more_the_monitor_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backoff, "FIRST_DELAY", 0.0)
    monkeypatch.setattr(backoff, "MAX_FAILED_STARTS", 3)

    async def work() -> None:
        async with scene(tmp_path, Limits(max_tasks=1), settings={"kind": "failing"}) as it:
            client = await it.connect()
            (tmp_path / "failing").write_text("all")
            client.writer.write(b"kill\n")
            await ends(client)
            with pytest.raises(CannotServe, match="StartTask: failed"):
                await it.monitor.wait()
            assert it.monitor.tasks == ()
            assert len(it.told(TaskEnded)) == 4
            with pytest.raises(OSError):
                await it.connect()

    play(work())


def test_a_connection_that_finds_no_task_is_not_kept_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backoff, "FIRST_DELAY", 30.0)
    monkeypatch.setattr(monitor_module, "WAITING_TIMEOUT", 0.5)

    async def work() -> None:
        async with scene(tmp_path, Limits(max_tasks=1)) as it:
            for number in (1, 2):
                client = await it.connect()
                client.writer.write(b"kill\n")
                await failed(it, number)
                await ends(client)
            # both starts have been used up that are made at once
            with pytest.raises((TlsError, OSError)):
                await it.connect()
            await it.until(lambda: it.told(SessionEnded)[-1].task is None)
            assert it.told(SessionEnded)[-1].reason == "no task for it within 0.5 seconds"
            assert it.told(SessionEnded)[-1].task is None

    play(work())
