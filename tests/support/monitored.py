"""A service for monitors in tests, which does what a client asks it to: the worst included."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import time
from collections import Counter
from pathlib import Path
from threading import Thread
from typing import Any

from tlsexit.alerts import LocalError
from tlsexit.drivers.monitor import Service, Worker
from tlsexit.drivers.monitor.messages import MAX_LINE
from tlsexit.exits.answers import Answer, Failed, Handled, NotHandled
from tlsexit.exits.calls import ExitCall
from tlsexit.exits.context import TaskContext
from tlsexit.policy import BuiltinPki, load_identity
from tlsexit.profile import Profile, Verify


class Diary:
    """An exit that writes its calls to a file of its task, and marks the areas it is given."""

    def __init__(self, folder: Path, worker: Worker) -> None:
        self._file = folder / f"task-{worker.reference}.log"

    def write(self, line: str) -> None:
        with self._file.open("a", encoding="utf-8") as stream:
            stream.write(line + "\n")

    def start_task(self, call: ExitCall) -> Answer:
        self.write(f"StartTask {_task(call).reference} {os.getpid()} {_task(call).configuration['name']}")
        return Handled()

    def start_handshake(self, call: Any) -> Answer:
        area = call.context.task.public_area
        area[0] += 1  # shared by the sessions of this task, and by nobody else
        self.write(f"StartHandshake {call.context.task.reference} {call.context.reference} {area[0]}")
        return NotHandled()

    def end_session(self, call: Any) -> Answer:
        self.write(f"EndSession {call.context.task.reference} {call.context.reference}")
        return Handled()

    def end_task(self, call: ExitCall) -> Answer:
        self.write(f"EndTask {_task(call).reference} {os.getpid()}")
        return Handled()


class Failing:
    """Its StartTask fails in every task whose reference is in a file's list."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "failing"

    def start_task(self, call: ExitCall) -> Answer:
        listed = self._file.read_text().split() if self._file.exists() else []
        return Failed() if str(_task(call).reference) in listed or "all" in listed else Handled()


def _task(call: Any) -> TaskContext:
    context: TaskContext = call.task
    return context


def diaries(folder: Path) -> dict[int, list[str]]:
    """The lines of each task's diary."""
    return {
        int(file.stem.removeprefix("task-")): file.read_text(encoding="utf-8").splitlines()
        for file in folder.glob("task-*.log")
    }


def calls(folder: Path) -> dict[int, Counter[str]]:
    """How often each phase was called, by task."""
    return {task: Counter(line.split()[0] for line in lines) for task, lines in diaries(folder).items()}


def service(worker: Worker, *, pem: Path, folder: Path, kind: str = "diary", **elements: Any) -> Service:
    """Make the service: an echo with the certificate in ``pem``."""
    if kind == "raises":
        raise ZeroDivisionError("division by zero")
    if kind == "nothing":
        return None  # type: ignore[return-value]
    if kind == "slow":
        time.sleep(60)
    if kind == "lingering":
        Thread(target=time.sleep, args=(60,)).start()
    if kind == "busy":
        Thread(target=time.sleep, args=(60,)).start()
        raise ZeroDivisionError("division by zero, while something goes on")
    exits: dict[str, Any] = {"diary": Diary(folder, worker), "failing": Failing(folder)}
    worker.tell({"made": worker.reference})

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            answer = await obey(line.decode().strip(), worker)
            writer.write(answer.encode() + b"\n")
            await writer.drain()
        writer.close()

    return Service(
        profile=Profile.server(verify=Verify.NONE, **elements),
        handler=handle,
        exits=exits.get(kind),
        pki=BuiltinPki([load_identity("own", pem)]),
        configuration={"name": "diary"},
    )


async def made_later(worker: Worker, **settings: Any) -> Service:
    """The same, made by a coroutine."""
    await asyncio.sleep(0)
    return service(worker, **settings)


async def obey(order: str, worker: Worker) -> str:
    """Do what the client wants."""
    if order == "task":
        return f"{worker.reference} {os.getpid()}"
    if order == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if order == "crash":
        ctypes.string_at(0)  # as a faulty exit in C does
    if order == "exit":
        os._exit(7)
    if order == "hang":
        time.sleep(600)
    if order == "raise":
        raise ZeroDivisionError("division by zero")
    if order == "files":
        return str(len(os.listdir("/dev/fd")))
    if order == "full":
        import resource  # not on Windows

        with open("/dev/null", encoding="ascii") as lowest:
            resource.setrlimit(resource.RLIMIT_NOFILE, (lowest.fileno(), resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    if order == "tell too much":
        try:
            worker.tell("x" * MAX_LINE)
        except LocalError as error:
            return str(error)
    if order == "nonsense":
        worker._writer.write(b"[]\n")  # type: ignore[attr-defined]
    return order
