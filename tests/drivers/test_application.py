"""One session as the application's exits see it, without a connection: what may go wrong and what comes of it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.support.application import Application, AsyncApplication
from tests.support.questions import context
from tlsexit.alerts import LocalError
from tlsexit.constants import Role
from tlsexit.drivers.application import ApplicationSession, complete
from tlsexit.exits.answers import Answer, Handled
from tlsexit.exits.application import Identifiers, PayloadRefused, TransportSecurity
from tlsexit.exits.calls import ExitCall, HandshakeDoneCall
from tlsexit.exits.context import SessionContext
from tlsexit.policy import BuiltinPki


class Nameless:
    """A PKI that has no names for certificates."""

    def answer(self, call: ExitCall) -> Answer:
        return Handled()


class Broken(Nameless):
    """A PKI that fails to name them."""

    def identify(self, context: SessionContext) -> Identifiers:
        raise ZeroDivisionError("secret")


def session(exits: object, pki: Any = None, area: object = b"", **options: Any) -> ApplicationSession:
    """A session whose handshake is complete."""
    made = ApplicationSession(exits, pki or BuiltinPki(), counts=lambda: (7, 9), **options)
    complete(made.begin(HandshakeDoneCall(context(Role.SERVER)), Handled(area)))
    return made


def test_methods_may_be_missing() -> None:
    class OnlyTheEnd:
        def __init__(self) -> None:
            self.calls: list[Any] = []

        def end_of_transfer(self, call: Any) -> None:
            self.calls.append(call)

    exits = OnlyTheEnd()
    made = session(exits)
    with made.payload("x"):
        pass
    complete(made.end(None))
    complete(made.end(None))
    (call,) = exits.calls
    assert (call.bytes_received, call.bytes_sent, call.normal) == (7, 9, True)


def test_nobody_is_asked_where_there_is_nobody() -> None:
    made = session(None)
    with made.payload("x"):
        pass
    assert made.end(None) is None
    assert made.refusal is None
    assert made.security.secured


def test_before_the_handshake_nothing_is_secured() -> None:
    made = ApplicationSession(None, BuiltinPki(), counts=lambda: (0, 0))
    assert made.security == TransportSecurity()
    assert made.end(None) is None


def test_a_pki_without_names() -> None:
    security = session(Application(), Nameless()).security
    assert (security.peer_ca_id, security.user_certificate_id) == ("", "")


def test_a_pki_that_fails_refuses() -> None:
    """An application that decides by ids is not asked without them."""
    exits = Application()
    made = session(exits, Broken())
    assert str(made.refusal) == "ZeroDivisionError"
    assert isinstance(made.failure, ZeroDivisionError)
    assert exits.calls == []


@pytest.mark.parametrize("area", [bytes(65), 5])
def test_a_global_area_that_does_not_fit_is_for_the_connection_to_refuse(area: object) -> None:
    exits = Application()
    made = session(exits, area=area)
    assert (exits.calls, made.refusal) == ([], None)


@pytest.mark.parametrize("kind", [Application, AsyncApplication])
@pytest.mark.parametrize("threads", [False, True])
@pytest.mark.parametrize("error", [asyncio.CancelledError(), ZeroDivisionError(), PayloadRefused("mine")])
def test_whatever_an_exit_raises_refuses(kind: type[Application], threads: bool, error: BaseException) -> None:
    made = session(kind(directory=error), threads=threads, limit=lambda: 10.0)
    assert made.refusal is not None
    assert made.failure is error


def test_a_property_that_fails() -> None:
    class Odd:
        @property
        def directory(self) -> Any:
            raise ZeroDivisionError

    assert "it failed (ZeroDivisionError)" in str(session(Odd()).refusal)


def test_an_async_exit_needs_the_asyncio_driver_inside_a_loop() -> None:
    async def inside() -> None:
        with pytest.raises(LocalError, match="under the blocking driver inside a running event loop"):
            session(AsyncApplication())

    asyncio.run(inside())


def test_a_session_that_is_over_opens_no_payload() -> None:
    made = session(Application())
    complete(made.end(None))
    with pytest.raises(LocalError, match="no session"), made.payload("late"):
        pytest.fail("opened")
