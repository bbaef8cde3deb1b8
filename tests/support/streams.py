"""Clients and servers under asyncio, on loopback, for a test's coroutine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

from tests.support.ends import RSA
from tests.support.pki import pki
from tlsexit.alerts import TlsError
from tlsexit.constants import Role
from tlsexit.drivers.aio import open_connection, start_server
from tlsexit.profile import Profile, Verify

CLIENT = Profile.client(cipher_suites=(RSA,))
SERVER = Profile.server(cipher_suites=(RSA,), verify=Verify.NONE)
PATIENCE = 5.0
LOOPBACK = "127.0.0.1"

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def scene(work: Callable[[], Awaitable[None]]) -> None:
    """Run a test's coroutine within bounds."""

    async def bounded() -> None:
        await asyncio.wait_for(work(), PATIENCE)

    asyncio.run(bounded())


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(2**16):
        writer.write(data)
        await writer.drain()
    writer.close()


@asynccontextmanager
async def serving(handler: Handler = echo, profile: Profile = SERVER, **options: Any) -> AsyncIterator[int]:
    """A server on some port; ``handler`` has each connection."""
    options.setdefault("pki", pki().builtin(Role.SERVER))
    async with await start_server(handler, LOOPBACK, 0, profile, **options) as server:
        yield server.sockets[0].getsockname()[1]


@asynccontextmanager
async def raw_serving(handler: Handler) -> AsyncIterator[int]:
    """A server without TLS."""
    async with await asyncio.start_server(handler, LOOPBACK, 0) as server:
        yield server.sockets[0].getsockname()[1]


async def connect(port: int, profile: Profile = CLIENT, **options: Any) -> Streams:
    options.setdefault("pki", pki().builtin(Role.CLIENT))
    return await open_connection(LOOPBACK, port, profile, **options)


async def close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(TlsError, ConnectionError):
        await writer.wait_closed()
