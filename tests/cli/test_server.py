"""The server behind ``tlsexit serve``, in this process: modes, records of connections, and its end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from tests.support.pki import pki
from tlsexit.cli.desk import Mode, Plan, status_page
from tlsexit.cli.outcome import Outcome
from tlsexit.cli.server import Server
from tlsexit.constants import Role
from tlsexit.drivers.aio import open_connection
from tlsexit.policy import system_config
from tlsexit.profile import Profile, Verify
from tlsexit.trace import Entry

Client = Callable[[int], Awaitable[None]]


class Evening:
    """Everything a server told while it ran."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.outcomes: list[Outcome] = []
        self.entries: dict[int, list[Entry]] = {}
        self.listening = asyncio.Event()

    def report(self, line: str) -> None:
        self.lines.append(line)
        self.listening.set()

    @property
    def port(self) -> int:
        return int(self.lines[0].rpartition(":")[2])


def serve(client: Client, *, mode: Mode = Mode.COUNT, connections: int = 1) -> Evening:
    """Run a server until ``client`` has made so many connections to it."""

    async def scene() -> Evening:
        evening = Evening()

        def listener(number: int) -> Callable[[Entry], None]:
            return evening.entries.setdefault(number, []).append

        plan = Plan(
            profile=Profile.server(verify=Verify.OPTIONAL),
            config=system_config(),
            pki=pki().builtin(Role.SERVER),
            mode=mode,
            report=evening.report,
            on_end=evening.outcomes.append,
            listener=listener,
        )
        async with asyncio.timeout(30):
            running = asyncio.create_task(Server(plan, "127.0.0.1", 0, max_connections=connections).run())
            await evening.listening.wait()
            await client(evening.port)
            await running
        return evening

    return asyncio.run(scene())


async def exchange(port: int, data: bytes) -> bytes:
    """Send ``data`` and return what comes back until as much has come, or the server closes."""
    reader, writer = await open_connection(
        "127.0.0.1", port, Profile.client(server_name="localhost"), pki=pki().builtin(Role.CLIENT)
    )
    writer.write(data)
    answer = b""
    while data and len(answer) < len(data) and (piece := await reader.read(65536)):
        answer += piece
    writer.close()
    return answer


def test_every_connection_has_a_record_of_its_own() -> None:
    """Connections run at the same time; what they report is told apart."""

    async def client(port: int) -> None:
        answers = await asyncio.gather(*(exchange(port, b"%d" % n * 3000) for n in range(1, 6)))
        assert answers == [b"%d" % n * 3000 for n in range(1, 6)]

    evening = serve(client, mode=Mode.ECHO, connections=5)
    assert evening.lines[0] == f"listening on 127.0.0.1:{evening.port}"
    for number in range(1, 6):
        mine = [line for line in evening.lines if line.startswith(f"#{number} ")]
        assert len(mine) == 2
        assert mine[0].endswith("full handshake, authentication B")
        assert mine[1].endswith("closed after 3000 bytes in and 3000 bytes out")
    assert len(evening.outcomes) == 5
    assert all(outcome.completed and outcome.failed_end is None for outcome in evening.outcomes)
    # the numbers count from 1; 0 is the task itself
    assert evening.entries.keys() == set(range(6))
    for number in range(1, 6):
        hellos = [entry for entry in evening.entries[number] if "ClientHello" in repr(entry.seen)]
        assert len(hellos) >= 1
    assert {len(outcome.entries) for outcome in evening.outcomes} == {len(evening.outcomes[0].entries)}


def test_what_arrives_is_counted() -> None:
    async def client(port: int) -> None:
        reader, writer = await open_connection(
            "127.0.0.1", port, Profile.client(server_name="localhost"), pki=pki().builtin(Role.CLIENT)
        )
        writer.write(b"x" * 100_000)
        await writer.drain()
        writer.close()
        await writer.wait_closed()
        assert await reader.read() == b""

    assert serve(client).lines[-1].endswith("closed after 100000 bytes in and 0 bytes out")


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", b"HTTP/1.0 200 OK\r\n"),
        (b"HEAD / HTTP/1.0\n\n", b"HTTP/1.0 200 OK\r\n"),
        (b"BREW / HTTP/1.0\r\n\r\n", b"HTTP/1.0 405 Method Not Allowed\r\n"),
        (b"a" * 20_000, b"HTTP/1.0 400 Bad Request\r\n"),
    ],
)
def test_requests(request_: bytes, status: bytes) -> None:
    answers = []

    async def client(port: int) -> None:
        reader, writer = await open_connection(
            "127.0.0.1", port, Profile.client(server_name="localhost"), pki=pki().builtin(Role.CLIENT)
        )
        writer.write(request_)
        answers.append(await reader.read())
        writer.close()

    evening = serve(client, mode=Mode.WWW)
    assert answers[0].startswith(status)
    assert (b"<html>" in answers[0]) is request_.startswith(b"GET")
    assert evening.outcomes[0].failed_end is None


def test_a_client_that_asks_for_nothing_gets_nothing() -> None:
    async def client(port: int) -> None:
        assert await exchange(port, b"") == b""

    assert serve(client, mode=Mode.WWW).lines[-1].endswith("closed after 0 bytes in and 0 bytes out")


def test_failures_count_as_connections() -> None:
    async def client(port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.0\r\n\r\n")
        await reader.read()
        writer.close()
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.close()

    evening = serve(client, connections=2)
    assert sorted(line.split(": ", 1)[1] for line in evening.lines[1:]) == [
        "failed: the peer closed the connection during the handshake",
        "failed: unexpected_message(10): the client speaks plain HTTP, not TLS",
    ]
    assert not any(outcome.completed for outcome in evening.outcomes)


def test_a_status_page_tells_of_an_unfinished_connection_too() -> None:
    async def client(port: int) -> None:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.close()

    page = status_page(serve(client).outcomes[0])
    assert page.startswith("<!DOCTYPE html>")
    assert "HandshakeAlert" in page
