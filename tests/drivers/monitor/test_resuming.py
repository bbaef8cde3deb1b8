"""Sessions that are resumed in another task than the one that made them."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from tests.support.monitoring import Scene, play, scene
from tlsexit.drivers.monitor import Limits, SessionEstablished
from tlsexit.drivers.monitor import monitor as monitor_module
from tlsexit.session import Session
from tlsexit.stores.tickets import TicketKeys

TWO = Limits(max_tasks=2, sessions_per_task=1)
TICKETS: dict[str, Any] = {"session_tickets": True}


async def resume(it: Scene, **elements: Any) -> bool:
    """Make a session in the first task, and try to resume it in the second."""
    first = await it.connect(**elements)
    assert await first.ask("hello") == "hello"
    second = await it.connect(first.connection.session, **elements)
    assert [(await client.task())[0] for client in (first, second)] == [1, 2]
    resumed = second.connection.context.resumed
    assert it.told(SessionEstablished)[-1].resumed is resumed
    for client in (first, second):
        await client.close()
    return resumed


def test_tickets_are_good_in_every_task(tmp_path: Path) -> None:
    async def work() -> None:
        async with scene(tmp_path, TWO) as it:
            assert await resume(it, **TICKETS)

    play(work())


def test_session_ids_are_known_to_their_own_task(tmp_path: Path) -> None:
    """Unless there is a file in which all tasks look."""

    async def work(expected: bool, **options: Any) -> None:
        async with scene(tmp_path, TWO, **options) as it:
            assert await resume(it) is expected

    play(work(False))
    play(work(True, session_file=tmp_path / "sessions"))
    # what was kept is sealed with a key that is gone with the monitor
    play(work(True, session_file=tmp_path / "sessions", tickets=False))


def test_without_tickets_there_are_none(tmp_path: Path) -> None:
    async def work() -> None:
        async with scene(tmp_path, TWO, tickets=False) as it:
            assert not await resume(it, **TICKETS)

    play(work())


def test_a_ticket_outlives_the_task_that_made_it(tmp_path: Path) -> None:
    async def work() -> None:
        async with scene(tmp_path, Limits(max_tasks=1)) as it:
            client = await it.connect(**TICKETS)
            reference, _ = await client.task()
            session = client.connection.session
            client.writer.write(b"kill\n")
            again = await connect_again(it, session)
            assert (await again.task())[0] != reference
            assert again.connection.context.resumed
            await again.close()
            client.writer.transport.abort()

    async def connect_again(it: Scene, session: Session | None) -> Any:
        await it.until(lambda: len(it.monitor.tasks) == 1 and it.monitor.tasks[0].reference == 2)
        return await it.connect(session, **TICKETS)

    play(work())


def test_keys_that_are_changed_later_reach_tasks_that_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two monitors, of two machines say, whose keys are shared by other means: a ticket of one is good at the other."""
    monkeypatch.setattr(monitor_module, "KEYS_PERIOD", 0.1)

    async def work() -> None:
        ours, theirs = TicketKeys(time.time), TicketKeys(time.time)
        one = Limits(max_tasks=1)
        async with scene(tmp_path, one, tickets=ours) as here, scene(tmp_path, one, tickets=theirs) as there:
            client = await here.connect(**TICKETS)
            assert await client.ask("hello") == "hello"
            await client.close()
            session = client.connection.session
            assert session is not None
            stranger = await there.connect(session, **TICKETS)
            assert not stranger.connection.context.resumed
            await stranger.close()
            theirs.import_keys(ours.export_keys())
            resumed = False
            while not resumed:
                await asyncio.sleep(0.1)
                again = await there.connect(session, **TICKETS)
                resumed = again.connection.context.resumed
                await again.close()

    play(work())
