"""A new handshake under asyncio, started by either end (RFC 2246 §7.4.1.1, RFC 5746)."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.ends import RSA
from tests.support.streams import close, connect, scene, serving
from tlsexit.alerts import LocalError
from tlsexit.drivers.transport import TlsTransport
from tlsexit.profile import Profile, Verify

pytestmark = pytest.mark.timeout(30)

CLIENT = Profile.client(cipher_suites=(RSA,), renegotiation=True)
SERVER = Profile.server(cipher_suites=(RSA,), verify=Verify.NONE, renegotiation=True)


def renegotiate(writer: asyncio.StreamWriter) -> None:
    """Begin a new handshake."""
    transport = writer.transport
    assert isinstance(transport, TlsTransport)
    transport.renegotiate()


def handshakes(writer: asyncio.StreamWriter) -> int:
    """How many there have been."""
    count: int = writer.get_extra_info("tls_context").handshake_count
    return count


@pytest.mark.parametrize("opener", ["client", "server"])
def test_data_goes_on(opener: str) -> None:
    """Written before, during and after: all of it arrives, in order."""
    counted: list[int] = []
    data = bytes(range(256)) * 2**11

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if opener == "server":
            renegotiate(writer)
        received = await reader.readexactly(len(data) + 3)
        counted.append(handshakes(writer))
        writer.write(received)
        await writer.drain()
        writer.close()

    async def work() -> None:
        async with serving(serve, profile=SERVER) as port:
            reader, writer = await connect(port, profile=CLIENT)
            writer.write(b"one")
            if opener == "client":
                renegotiate(writer)
            writer.write(data)
            assert await reader.readexactly(3 + len(data)) == b"one" + data
            assert handshakes(writer) == 2
            await close(writer)

    scene(work)
    assert counted == [2]


def test_not_without_leave() -> None:
    async def work() -> None:
        async with serving() as port:
            _, writer = await connect(port)
            with pytest.raises(LocalError, match="does not allow"):
                renegotiate(writer)
            await close(writer)

    scene(work)
