"""``tlsexit serve --in-process``: one task in this process, under asyncio."""

from __future__ import annotations

import asyncio
from itertools import count

from tlsexit.cli.desk import Desk, Plan, address
from tlsexit.cli.signals import Signals
from tlsexit.connection import Connection
from tlsexit.drivers.drive import arun
from tlsexit.drivers.protocol import SHUTDOWN_TIMEOUT, Address, TlsProtocol
from tlsexit.drivers.sessions import Outcome, Sessions
from tlsexit.drivers.transport import TlsTransport


class Server:
    """Serves until it is told to stop, or has served ``max_connections``.

    Told by a signal, it lets connections finish within ``drain_seconds``; a second signal closes them.
    """

    def __init__(
        self, plan: Plan, host: str, port: int, *, max_connections: int | None = None, drain_seconds: float = 0.0
    ) -> None:
        self._plan = plan
        self._host = host
        self._port = port
        self._max_connections = max_connections
        self._drain_seconds = max(0.0, drain_seconds)
        self._desk = Desk(plan)
        self._task = self._desk.make_task(plan.config)
        self._sessions = Sessions(
            self._desk.handle,
            self._task,
            plan.exits,
            self._desk.pki,
            handshake_timeout=plan.timeout,
            exit_timeout=plan.exit_timeout,
            shutdown_timeout=SHUTDOWN_TIMEOUT,
            application_exits=plan.application_exits,
        )
        self._numbers = count(1)
        self._ended = 0
        self._stop = asyncio.Event()
        self._enough = asyncio.Event()

    async def run(self) -> None:
        """Serve. Raises ``OSError`` if the address cannot be listened on, ``ExitFailed`` if StartTask fails."""
        plan = self._plan
        await arun(self._task, plan.exits, self._desk.pki, exit_timeout=plan.exit_timeout)
        try:
            server = await asyncio.get_running_loop().create_server(self._protocol, self._host, self._port)
            for sock in server.sockets:
                plan.report(f"listening on {address(*sock.getsockname()[:2])}")
            try:
                with Signals(self._stop.set, self._enough.set):
                    await self._stop.wait()
                    server.close()
                    await self._drain()
            finally:
                server.close()
                self._sessions.close()
                await self._sessions.wait()
                await self._sessions.finish_handlers(SHUTDOWN_TIMEOUT)
        finally:
            await self._sessions.end_task()

    async def _drain(self) -> None:
        """Wait until all connections are over, the time is up, or nobody wants to wait any more."""
        waits = {asyncio.ensure_future(self._sessions.wait()), asyncio.ensure_future(self._enough.wait())}
        _, left = await asyncio.wait(waits, timeout=self._drain_seconds, return_when=asyncio.FIRST_COMPLETED)
        for wait in left:
            wait.cancel()

    def _protocol(self) -> TlsProtocol:
        number = next(self._numbers)
        made: list[Connection] = []

        def connect(remote: Address, local: Address) -> Connection:
            made.append(self._desk.connect(self._task, number, remote, local))
            return made[0]

        def outcome(result: Outcome) -> None:
            if not isinstance(result, TlsTransport) and made:
                self._desk.on_failure(made[0], result)

        return self._sessions.protocol(connect, on_outcome=outcome, on_over=self._on_over)

    def _on_over(self) -> None:
        self._ended += 1
        if self._max_connections is not None and self._ended >= self._max_connections:
            self._enough.set()
            self._stop.set()
