"""How tasks end on purpose: when they are idle, when the monitor drains, and when it is gone."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.monitored import calls
from tests.support.monitoring import TIMEOUT, Client, Scene, play, scene
from tests.tasks.test_placement import Clock
from tlsexit.drivers.monitor import Limits, SessionEnded, TaskEnded, TaskStarted, TaskState

THREE = Limits(max_tasks=3, sessions_per_task=1)


async def closed(client: Client) -> bool:
    """Wait for the end, and say whether it was announced (close_notify)."""
    async with asyncio.timeout(TIMEOUT):
        assert await client.reader.read() == b""
        client.writer.close()
        await client.writer.wait_closed()
    return client.connection.peer_closed


# ------------------------------------------------------------------------------------------------ idle tasks


def test_idle_tasks_are_shut_and_created_again_when_needed(tmp_path: Path) -> None:
    clock = Clock()

    async def work() -> None:
        limits = Limits(max_tasks=2, sessions_per_task=1, idle_minutes=5)
        async with scene(tmp_path, limits, clock=clock) as it:
            first, second = await it.connect(), await it.connect()
            clock.now += 1000
            await first.close()
            await it.until(lambda: it.told(SessionEnded))
            clock.now += 299
            await asyncio.sleep(0.6)
            assert len(it.monitor.tasks) == 2
            clock.now += 1
            await it.until(lambda: it.told(TaskEnded))
            (ended,) = it.told(TaskEnded)
            assert (ended.task, ended.reason) == (1, None)
            assert calls(tmp_path)[1]["EndTask"] == 1
            assert await second.ask("still there") == "still there"
            third = await it.connect()
            assert (await third.task())[0] == 3
            for client in (second, third):
                await client.close()

    play(work())


def test_permanent_tasks_stay(tmp_path: Path) -> None:
    clock = Clock()

    async def work() -> None:
        async with scene(tmp_path, Limits(max_tasks=1), clock=clock) as it:
            clock.now += 1e9
            await asyncio.sleep(0.6)
            assert not it.told(TaskEnded)

    play(work())


# ------------------------------------------------------------------------------------------------ draining


def test_a_drain_lets_sessions_finish(tmp_path: Path) -> None:
    """Nobody else gets in, tasks without a session end at once, and EndTask is called once in each."""

    async def work() -> None:
        async with scene(tmp_path, THREE) as it:
            clients = [await it.connect() for _ in range(3)]
            await clients[0].close()
            await it.until(lambda: it.told(SessionEnded))
            it.monitor.drain(30)
            await it.until(lambda: it.told(TaskEnded))
            assert [event.task for event in it.told(TaskEnded)] == [1]
            assert {task.state for task in it.monitor.tasks} == {TaskState.ENDING}
            with pytest.raises(OSError):
                await it.connect()
            for client in clients[1:]:
                assert await client.ask("still there") == "still there"
                await client.close()
            await it.monitor.wait()
            assert {(event.task, event.reason) for event in it.told(TaskEnded)} == {(1, None), (2, None), (3, None)}

    play(work())
    assert all(counts["StartTask"] == counts["EndTask"] == 1 for counts in calls(tmp_path).values())


def test_what_has_not_finished_in_time_is_closed_in_order(tmp_path: Path) -> None:
    async def work() -> None:
        async with scene(tmp_path, THREE) as it:
            clients = [await it.connect() for _ in range(2)]
            _, writer = await asyncio.open_connection("127.0.0.1", it.port)  # in the middle of a handshake
            await it.until(lambda: len(it.told(TaskStarted)) == 3)
            began = time.monotonic()
            it.monitor.drain(1.0)
            assert all([await closed(client) for client in clients])
            assert time.monotonic() - began >= 1.0
            await it.monitor.wait()
            assert {event.reason for event in it.told(TaskEnded)} == {None}
            assert len(it.told(SessionEnded)) == 3
            writer.close()

    play(work())
    told = calls(tmp_path)
    assert [told[task]["EndSession"] for task in (1, 2)] == [1, 1]
    assert [told[task]["EndTask"] for task in (1, 2, 3)] == [1, 1, 1]


def test_a_second_drain_shortens_the_first(tmp_path: Path) -> None:
    async def work() -> None:
        async with scene(tmp_path, THREE) as it:
            client = await it.connect()
            it.monitor.drain(600)
            it.monitor.drain(900)
            assert await client.ask("still there") == "still there"
            it.monitor.drain(0)
            assert await closed(client)
            await it.monitor.wait()

    play(work())
    assert calls(tmp_path)[1]["EndTask"] == 1


def test_a_task_that_does_not_end_is_killed(tmp_path: Path) -> None:
    async def work() -> None:
        async with scene(tmp_path, THREE, end_timeout=0.5) as it:
            client = await it.connect()
            client.writer.write(b"hang\n")
            await asyncio.sleep(0.3)
            it.monitor.drain(0)
            await it.monitor.wait()
            assert [event.reason for event in it.told(TaskEnded)] == ["killed: it did not end in time"]
            client.writer.transport.abort()

    play(work())


def test_a_process_that_goes_on_after_its_task_is_not_waited_for(tmp_path: Path) -> None:
    """An exit has left a thread behind, say."""

    async def work() -> None:
        async with scene(tmp_path, Limits(max_tasks=1), settings={"kind": "lingering"}, end_timeout=600) as it:
            it.monitor.drain(0)
            await it.monitor.wait()
            assert [event.reason for event in it.told(TaskEnded)] == [None]

    play(work())


def test_a_monitor_can_be_killed_with_all_its_tasks(tmp_path: Path) -> None:
    async def work() -> None:
        async with scene(tmp_path, THREE) as it:
            clients = [await it.connect() for _ in range(2)]
            it.monitor.kill()
            await it.monitor.wait()
            assert [event.reason for event in it.told(TaskEnded)] == ["killed by the monitor"] * 2
            for client in clients:
                client.writer.transport.abort()

    play(work())
    assert all(counts["EndTask"] == 0 for counts in calls(tmp_path).values())


def test_a_task_that_starts_during_a_drain_ends_too(tmp_path: Path) -> None:
    async def work() -> None:
        it = Scene(tmp_path, THREE)
        starting = asyncio.create_task(it.monitor.start())
        await asyncio.sleep(0)
        it.monitor.drain(0)
        await starting
        await it.monitor.wait()
        assert [event.reason for event in it.told(TaskEnded)] == [None]

    play(work())
    told = calls(tmp_path)[1]
    assert (told["StartTask"], told["EndTask"]) == (1, 1)


# ------------------------------------------------------------------------------------------------ without a monitor

_PROGRAM = """
import asyncio, pathlib, signal, sys
from tests.support.monitoring import Scene
from tlsexit.drivers.monitor import Limits

async def main():
    scene = Scene(pathlib.Path(sys.argv[1]), Limits(max_tasks=1))
    async with scene.monitor:
        await scene.listen()
        print(scene.port, flush=True)
        await scene.monitor.wait()

signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background is born without
asyncio.run(main())
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_tasks_do_not_outlive_their_monitor(tmp_path: Path, number: int) -> None:
    """They close their sessions, are asked EndTask, and go."""
    Scene(tmp_path)  # for its certificate, which the other process finds
    process = subprocess.Popen(
        [sys.executable, "-c", _PROGRAM, str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[3],
    )
    assert process.stdout is not None
    assert process.stderr is not None
    port = int(process.stdout.readline())

    async def work() -> int:
        client = await Client.connect(port)
        _, pid = await client.task()
        process.send_signal(number)
        assert await closed(client)
        return pid

    pid = asyncio.run(work())
    process.wait(TIMEOUT)
    process.stdout.close()
    process.stderr.close()
    deadline = time.monotonic() + TIMEOUT
    while _lives(pid):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert calls(tmp_path)[1]["EndTask"] == 1


def _lives(pid: int) -> bool:
    """Whether there is such a process; one that nobody waits for is as good as gone."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")
    return not (stat.exists() and stat.read_text().rpartition(")")[2].split()[0] == "Z")


def test_what_a_terminal_sends_is_for_the_monitor(tmp_path: Path) -> None:
    """A worker ignores the signals that a terminal or a service manager sends to all processes at once."""

    async def work() -> None:
        async with scene(tmp_path, Limits(max_tasks=1)) as it:
            client = await it.connect()
            _, pid = await client.task()
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                os.kill(pid, number)
            assert await client.ask("still there") == "still there"
            await client.close()

    play(work())
