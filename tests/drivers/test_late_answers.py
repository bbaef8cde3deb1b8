"""Answers that come when the question is gone: they must not answer another one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.ends import RSA, certificates, client_end, server_end
from tests.support.pair import pump
from tlsexit.connection import Connection
from tlsexit.constants import Role
from tlsexit.drivers.drive import arun, run
from tlsexit.exits.answers import Answer, Failed, Handled, NotHandled
from tlsexit.exits.calls import CheckCertificateCall, HandshakeAlertCall
from tlsexit.policy import system_config
from tlsexit.profile import Profile
from tlsexit.tasks import Task

BUILTIN = certificates(RSA).builtin(Role.CLIENT)


class Closing:
    """An exit under which the connection is closed while it checks the certificate."""

    def __init__(self) -> None:
        self.phases: list[str] = []
        self.connection: Connection

    def start_task(self, call: object) -> Answer:
        return Handled()

    def check_certificate(self, call: CheckCertificateCall) -> Any:
        self.connection.close()
        return Failed(46)

    def handshake_alert(self, call: HandshakeAlertCall) -> Answer:
        self.phases.append("HandshakeAlert")
        return NotHandled()


class ClosingLater(Closing):
    async def check_certificate(self, call: CheckCertificateCall) -> Any:
        await asyncio.sleep(0)
        return super().check_certificate(call)


async def _arun(*arguments: Any) -> None:
    await arun(*arguments)


@pytest.mark.parametrize("shape", [Closing, ClosingLater])
@pytest.mark.parametrize("drive", [run, lambda *given: asyncio.run(_arun(*given))])
def test_the_new_question_is_asked(shape: type[Closing], drive: Callable[..., None]) -> None:
    exits = shape()
    task = Task(system_config())
    drive(task, exits, BUILTIN)
    exits.connection = task.connection(Profile.client(cipher_suites=(RSA,)))
    exits.connection.start()
    drive(exits.connection, exits, BUILTIN)
    server = server_end(RSA)
    server.connection.receive_data(exits.connection.data_to_send())
    server.drive()
    exits.connection.receive_data(server.connection.data_to_send())
    drive(exits.connection, exits, BUILTIN)
    assert exits.phases == ["HandshakeAlert"]
    assert exits.connection.closed
    assert exits.connection.error is None  # not the late refusal


def test_a_cancellation_inside_an_exit_is_a_failure() -> None:
    """CancelledError is no Exception, and still nothing but an exit that failed."""

    class Cancelled(Closing):
        def check_certificate(self, call: CheckCertificateCall) -> Any:
            raise asyncio.CancelledError

    client, server = client_end(RSA, exits=Cancelled()), server_end(RSA)
    pump(client, server)
    assert str(client.connection.error).startswith("CheckCertificate: failed (CancelledError)")


def test_the_cancellation_of_the_driver_goes_on_outwards() -> None:
    class Hanging(Closing):
        async def check_certificate(self, call: CheckCertificateCall) -> Any:
            await asyncio.Event().wait()

    async def scene() -> None:
        task = Task(system_config())
        exits = Hanging()
        await arun(task, exits, BUILTIN)
        connection = task.connection(Profile.client(cipher_suites=(RSA,)))
        connection.start()
        await arun(connection, exits, BUILTIN)
        server = server_end(RSA)
        server.connection.receive_data(connection.data_to_send())
        server.drive()
        connection.receive_data(server.connection.data_to_send())
        asked = connection.pending_exit
        work = asyncio.create_task(arun(connection, exits, BUILTIN))
        await asyncio.sleep(0)
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work
        assert connection.pending_exit is asked

    asyncio.run(scene())
