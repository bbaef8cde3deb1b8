"""Targets over sockets: found, started, awaited, and never waited for without end."""

from __future__ import annotations

import shlex
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from tests.conformance.test_runner import terms
from tlsexit.conformance import targets
from tlsexit.conformance.discovery import NotConforming, discover
from tlsexit.conformance.targets import ClientTarget, CommandServerTarget, ServerTarget, Throttle, Unreachable
from tlsexit.constants import Role

LISTEN = "import socket,sys; s=socket.create_server(('127.0.0.1',int(sys.argv[1])));"


def python(code: str, *more: str) -> list[str]:
    """A program in Python that gets the port as its first argument."""
    return [sys.executable, "-c", code, "{port}", *more]


@pytest.fixture
def silent() -> Iterator[int]:
    """The port of a server that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        held: list[socket.socket] = []

        def serve() -> None:
            with suppress(OSError):
                while True:
                    held.append(listener.accept()[0])

        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
        for sock in held:
            sock.close()


def test_a_server_that_says_nothing_ends_the_discovery(silent: int) -> None:
    """After one wait, not after hundreds."""
    with pytest.raises(NotConforming, match="no cipher suite is accepted"):
        discover(ServerTarget("127.0.0.1", silent), terms(patience=0.2, quiet=0.1))


def test_a_server_that_is_not_there() -> None:
    """Says why."""
    lane = ServerTarget("127.0.0.1", 1).lane()
    with pytest.raises(Unreachable, match="refused"):
        lane.open()


@pytest.mark.parametrize(
    ("host", "local"),
    [("localhost", True), ("127.0.0.9", True), ("::1", True), ("192.0.2.1", False), ("a.example", False)],
)
def test_tells_this_machine_from_others(host: str, local: bool) -> None:
    """So that nothing is sent elsewhere without a question."""
    target = ServerTarget(host, 443)
    assert target.local == local
    assert target.name == (f"[{host}]:443" if ":" in host else f"{host}:443")


def test_a_command_is_started_restarted_and_ended() -> None:
    """On another port each time it has to be."""
    target = CommandServerTarget(python(LISTEN + "[s.accept()[0].sendall(b'hello') for _ in iter(int, 1)]"))
    with target.running():
        transport = target.lane().open()
        assert transport.receive(5.0) == b"hello"
        transport.close()
        first = target.port
        assert target.restart()
        transport = target.lane().open()
        assert transport.receive(5.0) == b"hello"
        transport.close()
    with pytest.raises(Unreachable):
        ServerTarget("127.0.0.1", first).lane().open()


def test_a_command_that_fails_shows_what_it_said() -> None:
    """As often as it is tried."""
    target = CommandServerTarget(python("print('no such certificate')"))
    with pytest.raises(Unreachable, match="no such certificate"):
        target.start()
    with pytest.raises(Unreachable, match=r"cannot be started: No such file or directory$"):
        CommandServerTarget(["/nowhere/server", "{port}"]).start()


CALL = "import socket,sys; socket.create_connection(('127.0.0.1',int(sys.argv[1]))).sendall(b'hello')"


def test_a_client_is_started_for_each_connection() -> None:
    """Unless it comes back by itself."""
    lane = ClientTarget(python(CALL)).lane()
    for _ in range(2):
        transport = lane.open()
        assert transport.receive(5.0) == b"hello"
        transport.close()
    lane.close()
    lane = ClientTarget(python(f"exec({CALL!r}); " * 2 + "import time; time.sleep(60)")).lane()
    for _ in range(2):
        transport = lane.open()
        assert transport.receive(5.0) == b"hello"
        transport.close()
    lane.close()


def test_a_client_without_a_command_is_awaited() -> None:
    """At the address that was given."""
    port = targets.free_port()
    target = ClientTarget(host="127.0.0.1", port=port, timeout=5.0)
    assert (target.tests, target.lanes) == (Role.CLIENT, 1)
    lane = target.lane()
    with socket.create_connection(("127.0.0.1", port)) as sock:
        sock.sendall(b"hello")
        transport = lane.open()
        assert transport.receive(5.0) == b"hello"
        transport.close()
    lane.close()


def test_a_client_that_does_not_come() -> None:
    """What it said is in the error."""
    lane = ClientTarget(
        python("print('I know no such host', flush=True); import time; time.sleep(60)"), timeout=2.0
    ).lane()
    with pytest.raises(Unreachable, match="no client has connected within 2 s: I know no such host"):
        lane.open()
    lane.close()


def test_lanes() -> None:
    """Several only where each can have a port of its own."""
    assert ClientTarget(shlex.split("client {port}")).lanes > 1
    assert ClientTarget(shlex.split("client 4433"), port=4433).lanes == 1


def test_a_rate_holds_over_all_lanes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each turn comes an interval after the one before; without a rate nobody waits."""
    slept: list[float] = []
    monkeypatch.setattr(time, "monotonic", lambda: 100.0)
    monkeypatch.setattr(time, "sleep", slept.append)
    throttle = Throttle(10.0)
    for _ in range(3):
        throttle.wait()
    assert slept == pytest.approx([0.0, 0.1, 0.2])
    Throttle(None).wait()
    assert len(slept) == 3
