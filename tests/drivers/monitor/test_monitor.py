"""A monitor over real sockets and processes: where sessions go, and what is called in which task."""

from __future__ import annotations

import asyncio
import os
import socket
from pathlib import Path
from typing import Any

import pytest

from tests.support.monitored import calls, diaries, made_later
from tests.support.monitoring import Client, Scene, play, scene
from tlsexit.alerts import LocalError
from tlsexit.drivers.monitor import (
    CannotServe,
    Limits,
    Monitor,
    SessionEnded,
    SessionEstablished,
    TaskEnded,
    TaskStarted,
    TaskTold,
)

ONE = Limits(max_tasks=1)
THREE = Limits(max_tasks=3, sessions_per_task=2)


def test_sessions_go_where_the_policy_says(tmp_path: Path) -> None:
    """Six fill three tasks in order of their creation, further ones spread; each process has a task of its own."""

    async def work() -> None:
        async with scene(tmp_path, THREE) as it:
            clients = [await it.connect() for _ in range(9)]
            places = [await client.task() for client in clients]
            assert [reference for reference, _ in places] == [1, 1, 2, 2, 3, 3, 1, 2, 3]
            assert len(set(places)) == len({pid for _, pid in places}) == 3
            assert os.getpid() not in {pid for _, pid in places}
            assert [status.sessions for status in it.monitor.tasks] == [3, 3, 3]
            assert {(status.reference, status.pid) for status in it.monitor.tasks} == set(places)
            assert [event.task for event in it.told(TaskStarted)] == [1, 2, 3]
            assert all(event.exit_enabled for event in it.told(TaskStarted))
            await clients[2].close()
            await it.until(lambda: it.told(SessionEnded))
            again = await it.connect()
            assert (await again.task())[0] == 2
            for client in (again, *clients):
                await client.close()
            await it.until(lambda: len(it.told(SessionEnded)) == 10)
            assert not it.monitor.sessions
        assert {(event.task, event.reason) for event in it.told(TaskEnded)} == {(1, None), (2, None), (3, None)}

    play(work())
    told = calls(tmp_path)
    assert told.keys() == {1, 2, 3}
    assert all(counts["StartTask"] == counts["EndTask"] == 1 for counts in told.values())
    for reference, lines in diaries(tmp_path).items():
        # references are unique within the task, its public area is its own, and EndTask is the last call
        begun = [line.split()[1:] for line in lines if line.startswith("StartHandshake")]
        assert begun == [[str(reference), str(number), str(number)] for number in range(1, len(begun) + 1)]
        assert lines[0].startswith(f"StartTask {reference} ")
        assert lines[0].endswith(" diary")  # the configuration
        assert lines[-1].startswith(f"EndTask {reference} ")
    assert [told[reference]["EndSession"] for reference in (1, 2, 3)] == [3, 4, 3]


def test_the_first_task_is_started_before_anybody_comes(tmp_path: Path) -> None:
    async def work() -> None:
        async with scene(tmp_path, ONE) as it:
            assert [status.reference for status in it.monitor.tasks] == [1]
            assert [event.value for event in it.told(TaskTold)] == [{"made": 1}]
            client = await it.connect()
            await client.close()
            await it.until(lambda: it.told(SessionEnded))
            (established,) = it.told(SessionEstablished)
            assert (established.session, established.task, established.reference) == (1, 1, 1)
            (ended,) = it.told(SessionEnded)
            assert (ended.session, ended.task, ended.established, ended.reason) == (1, 1, True, None)

    play(work())
    assert calls(tmp_path)[1]["StartTask"] == 1


def test_a_service_may_be_named_or_made_by_a_coroutine(tmp_path: Path) -> None:
    async def work(named: Any) -> None:
        async with scene(tmp_path, ONE, service=named) as it:
            client = await it.connect()
            assert await client.ask("hello") == "hello"
            await client.close()

    play(work("tests.support.monitored:service"))
    play(work(made_later))


def test_bytes_are_counted(tmp_path: Path) -> None:
    async def work() -> None:
        async with scene(tmp_path, ONE, hang_timeout=0.8) as it:
            client = await it.connect()
            for _ in range(3):
                assert await client.ask("x" * 1000) == "x" * 1000
            while not it.monitor.sessions[0].received == it.monitor.sessions[0].sent == 3003:
                await asyncio.sleep(0.05)
            host, port = client.writer.get_extra_info("sockname")
            assert it.monitor.sessions[0].peer == f"{host}:{port}"
            await client.ask("y")
            await client.close()
            await it.until(lambda: it.told(SessionEnded))
            (ended,) = it.told(SessionEnded)
            assert (ended.received, ended.sent) == (3005, 3005)
            (task,) = it.monitor.tasks
            assert (task.handshakes, task.failed, task.received, task.sent) == (1, 0, 3005, 3005)

    play(work())


def test_a_handshake_that_fails_is_told_and_counted(tmp_path: Path) -> None:
    async def work() -> None:
        async with scene(tmp_path, ONE) as it:
            reader, writer = await asyncio.open_connection("127.0.0.1", it.port)
            writer.write(b"GET / HTTP/1.0\r\n\r\n")
            await reader.read()
            writer.close()
            await it.until(lambda: it.told(SessionEnded))
            (ended,) = it.told(SessionEnded)
            assert not ended.established
            assert ended.reason == "unexpected_message(10): the client speaks plain HTTP, not TLS"
            assert it.monitor.tasks[0].failed == 1
            client = await it.connect()
            assert await client.ask("hello") == "hello"
            await client.close()

    play(work())


def test_more_sessions_than_the_monitor_serves_wait_to_be_accepted(tmp_path: Path) -> None:
    async def work() -> None:
        async with scene(tmp_path, ONE, max_sessions=2) as it:
            first, second = await it.connect(), await it.connect()
            third = asyncio.create_task(it.connect())
            await asyncio.sleep(0.3)
            assert len(it.monitor.sessions) == 2
            assert not third.done()
            await first.close()
            client = await third
            assert await client.ask("hello") == "hello"
            await client.close()
            await second.close()

    play(work())


def test_sockets_accepted_elsewhere_are_served_too(tmp_path: Path) -> None:
    async def work() -> None:
        async with scene(tmp_path, ONE) as it:
            with socket.create_server(("127.0.0.1", 0)) as listener:
                client = asyncio.create_task(Client.connect(listener.getsockname()[1]))
                await asyncio.sleep(0)
                sock, _ = await asyncio.to_thread(listener.accept)
                it.monitor.serve(sock)
                assert await (await client).ask("hello") == "hello"
                await (await client).close()

    play(work())


@pytest.mark.skipif(not Path("/dev/fd").exists(), reason="no /dev/fd to count open files in")
def test_hundreds_of_sockets_leave_nothing_behind(tmp_path: Path) -> None:
    """Descriptors are handed over under load, and closed at both ends."""

    async def files(it: Scene) -> list[int]:
        clients = [await it.connect() for _ in range(2)]
        assert {(await client.task())[0] for client in clients} == {1, 2}
        counts = [int(await client.ask("files")) for client in clients]
        for client in clients:
            await client.close()
        await it.until(lambda: not it.monitor.sessions)
        return [*counts, len(os.listdir("/dev/fd"))]

    async def one(port: int, number: int) -> None:
        if number % 3:
            # most say nothing, or not TLS
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET /" if number % 2 else b"")
            await writer.drain()
            writer.close()
            await writer.wait_closed()
        else:
            client = await Client.connect(port)
            assert await client.ask(str(number)) == str(number)
            await client.close()

    async def work() -> None:
        async with scene(tmp_path, Limits(max_tasks=2, sessions_per_task=1)) as it:
            before = await files(it)
            for start in range(0, 300, 60):
                await asyncio.gather(*(one(it.port, start + number) for number in range(60)))
            await it.until(lambda: not it.monitor.sessions)
            assert len(it.told(SessionEnded)) == 302
            assert len({event.task for event in it.told(SessionEnded)}) == 2
            assert await files(it) == before

    before = len(os.listdir("/dev/fd"))
    play(work())
    assert len(os.listdir("/dev/fd")) == before


# ------------------------------------------------------------------------------------------------ misuse


def test_a_listener_that_fails_changes_nothing(tmp_path: Path) -> None:
    """And neither does a service that tells too much."""

    def fail(event: object) -> None:
        raise ZeroDivisionError("division by zero")

    async def work() -> None:
        reported: list[Any] = []
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: reported.append(context))
        it = Scene(tmp_path, ONE)
        monitor = Monitor(it.service, it.settings, limits=ONE, on_event=fail)
        async with monitor:
            ((_, it.port),) = await monitor.listen("127.0.0.1", 0)
            client = await it.connect()
            assert await client.ask("tell too much") == "a told value has at most 8388608 bytes as JSON"
            assert await client.ask("hello") == "hello"
            await client.close()
        assert {context["message"] for context in reported} == {"on_event of a monitor failed"}

    play(work())


def test_what_no_worker_could_have_is_refused() -> None:
    def local() -> None:
        """Nobody else can import this."""

    for wrong in (local, lambda worker: None, "nothing", "module:", ":name"):
        with pytest.raises(LocalError, match="service"):
            Monitor(wrong)  # type: ignore[arg-type]
    with pytest.raises(LocalError, match="the settings of a service cannot be sent to another process"):
        Monitor("a:b", {"lock": local})
    for option in ("max_sessions", "start_timeout", "hang_timeout", "end_timeout"):
        wrong_option: dict[str, Any] = {option: 0}
        with pytest.raises(LocalError, match="positive"):
            Monitor("a:b", **wrong_option)


def test_settings_and_keys_are_in_no_text(tmp_path: Path) -> None:
    """Neither where processes are listed nor in what the objects show of themselves."""

    async def work() -> None:
        async with scene(tmp_path, ONE, settings={"cipher_suites": (47,)}) as it:
            (task,) = it.monitor.tasks
            listed = Path(f"/proc/{task.pid}/cmdline")
            if listed.exists():
                for file in (listed, Path(f"/proc/{task.pid}/environ")):
                    assert b"own.pem" not in file.read_bytes()

    play(work())


def test_a_monitor_listens_between_start_and_drain(tmp_path: Path) -> None:
    async def work() -> None:
        it = Scene(tmp_path, ONE)
        with pytest.raises(LocalError, match="between start and drain"):
            await it.listen()
        async with it.monitor:
            with pytest.raises(LocalError, match="started once"):
                await it.monitor.start()
            it.monitor.drain(0)
            with pytest.raises(LocalError, match="between start and drain"):
                await it.listen()
            await it.monitor.wait()

    play(work())


@pytest.mark.parametrize(
    ("service", "settings", "reason"),
    [
        ("nowhere:service", {}, "nowhere cannot be imported: No module named 'nowhere'"),
        ("tests.support.monitored:nothing", {}, "tests.support.monitored has no function 'nothing'"),
        ("tests.support.monitored:service", {"kind": "raises"}, ".* failed: ZeroDivisionError: division by zero"),
        ("tests.support.monitored:service", {"kind": "busy"}, ".* failed: .* while something goes on"),
        ("tests.support.monitored:service", {"kind": "nothing"}, ".* returned NoneType, not a Service"),
        ("tests.support.monitored:service", {"kind": "failing"}, "StartTask: failed"),
    ],
)
def test_a_first_task_that_cannot_start_is_the_end(
    tmp_path: Path, service: str, settings: dict[str, Any], reason: str
) -> None:
    (tmp_path / "failing").write_text("all")

    async def work() -> None:
        it = Scene(tmp_path, ONE, service=service, settings=settings)
        with pytest.raises(CannotServe, match=reason):
            await it.monitor.start()
        assert it.monitor.tasks == ()
        await it.monitor.wait()

    play(work())
