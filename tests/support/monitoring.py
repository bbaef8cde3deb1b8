"""A running monitor, its clients, and what it told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, Self, TypeVar

from tests.support.monitored import service
from tests.support.pki import pki
from tlsexit.connection import Connection
from tlsexit.constants import Role
from tlsexit.drivers.aio import open_connection
from tlsexit.drivers.monitor import Event, Limits, Monitor
from tlsexit.profile import Profile
from tlsexit.session import Session

TIMEOUT: Final = 60.0
"""Seconds for anything."""

E = TypeVar("E")


class Client:
    """A connection to a monitor's port."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def connect(cls, port: int, session: Session | None = None, **elements: Any) -> Self:
        reader, writer = await open_connection(
            "127.0.0.1",
            port,
            Profile.client(server_name="localhost", **elements),
            pki=pki().builtin(Role.CLIENT),
            session=session,
        )
        return cls(reader, writer)

    @property
    def connection(self) -> Connection:
        connection: Connection = self.writer.get_extra_info("tls_connection")
        return connection

    async def ask(self, order: str) -> str:
        """Send an order and return the answer; empty if the connection has ended."""
        self.writer.write(order.encode() + b"\n")
        return (await self.reader.readline()).decode().strip()

    async def task(self) -> tuple[int, int]:
        """The reference and the process id of the task that serves this connection."""
        reference, pid = (await self.ask("task")).split()
        return int(reference), int(pid)

    async def close(self) -> None:
        self.writer.close()
        await self.writer.wait_closed()


class Scene:
    """A monitor of an echo service, and everything it has told."""

    def __init__(self, folder: Path, limits: Limits | None = None, **options: Any) -> None:
        self.folder = folder
        pem = folder / "own.pem"
        if not pem.exists():
            pem.write_bytes(pki().server.chain_pem + pki().server.key_pem())
        self.service = options.pop("service", service)
        self.settings = {"pem": pem, "folder": folder, **options.pop("settings", {})}
        self.events: list[Event] = []
        self._news = asyncio.Event()
        self.monitor = Monitor(self.service, self.settings, limits=limits, on_event=self._on_event, **options)
        self.port = 0

    def _on_event(self, event: Event) -> None:
        self.events.append(event)
        self._news.set()

    def told(self, kind: type[E]) -> list[E]:
        """The events of one kind so far."""
        return [event for event in self.events if isinstance(event, kind)]

    async def until(self, condition: Callable[[], Any]) -> None:
        """Wait until something has come about, which is looked at after each event."""
        async with asyncio.timeout(TIMEOUT):
            while not condition():
                self._news.clear()
                await self._news.wait()

    async def listen(self) -> None:
        ((_, self.port),) = await self.monitor.listen("127.0.0.1", 0)

    async def connect(self, session: Session | None = None, **elements: Any) -> Client:
        return await Client.connect(self.port, session, **elements)


@asynccontextmanager
async def scene(folder: Path, limits: Limits | None = None, **options: Any) -> AsyncIterator[Scene]:
    """A scene whose monitor runs and listens."""
    made = Scene(folder, limits, **options)
    async with asyncio.timeout(TIMEOUT), made.monitor:
        await made.listen()
        yield made


def play(work: Coroutine[Any, Any, None]) -> None:
    """Run a test's coroutine to its end."""
    asyncio.run(work)
