"""The application's exits under the blocking driver: who is let in, what they are told, what their failures cost."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.support.application import Application, AsyncApplication, Making
from tests.support.ends import RSA
from tests.support.pki import pki
from tlsexit.alerts import TlsError
from tlsexit.constants import Role
from tlsexit.drivers.blocking import TlsSocket, wrap_socket
from tlsexit.exits.answers import Answer, Handled
from tlsexit.exits.application import (
    DirectoryCall,
    EndOfTransferCall,
    FileAction,
    FileCall,
    PayloadRefused,
    Refused,
    SessionRefused,
    TransportSecurity,
)
from tlsexit.exits.calls import HandshakeDoneCall, StartTaskCall
from tlsexit.exits.context import Authentication
from tlsexit.policy import system_config
from tlsexit.profile import Profile, Verify

PKI = pki()  # before there are threads
CLIENT = Profile.client(cipher_suites=(RSA,), id="calling", parm="for the client")
SERVER = Profile.server(cipher_suites=(RSA,), id="called", parm="for the server", verify=Verify.REQUIRED)
BOTH = pytest.mark.parametrize("making", [Application, AsyncApplication])

pytestmark = pytest.mark.timeout(30)


class Area:
    """An exit that fills the global area."""

    def start_task(self, call: StartTaskCall) -> Answer:
        return Handled()

    def handshake_done(self, call: HandshakeDoneCall) -> Answer:
        return Handled(b"area of the exit")


class Server:
    """A server in a thread: what it read until the end, and what it ended with."""

    def __init__(self, sock: socket.socket, application: object, profile: Profile, options: dict[str, Any]) -> None:
        self.read = b""
        self.error: BaseException | None = None
        self.security: TransportSecurity | None = None
        self._thread = threading.Thread(target=self._serve, args=(sock, application, profile, options), daemon=True)
        self._thread.start()

    def _serve(self, sock: socket.socket, application: object, profile: Profile, options: dict[str, Any]) -> None:
        try:
            tls = wrap_socket(
                sock,
                profile,
                pki=PKI.builtin(Role.SERVER),
                application_exits=application,
                **{"exits": Area()} | options,
            )
            with tls, tls.application.payload("echo"):
                self.security = tls.transport_security
                while data := tls.recv():
                    self.read += data
                    tls.sendall(data * 2)
        except (TlsError, OSError) as error:
            self.error = error

    def join(self) -> None:
        self._thread.join(20)
        assert not self._thread.is_alive()


@contextmanager
def served(application: object, profile: Profile = SERVER, **options: Any) -> Iterator[tuple[socket.socket, Server]]:
    near, far = socket.socketpair()
    with near, far:
        for sock in (near, far):
            sock.settimeout(10)
        server = Server(far, application, profile, options)
        try:
            yield near, server
        finally:
            server.join()


def call(sock: socket.socket, application: object = None, profile: Profile = CLIENT, **options: Any) -> TlsSocket:
    return wrap_socket(sock, profile, pki=PKI.builtin(Role.CLIENT), application_exits=application, **options)


def read(tls: TlsSocket, size: int) -> bytes:
    """Read so many bytes, which may come in several records."""
    data = b""
    while len(data) < size and (piece := tls.recv()):
        data += piece
    return data


@BOTH
def test_what_both_applications_are_told(making: Making) -> None:
    ours, theirs = making(), making()
    with served(theirs) as (sock, server), call(sock, ours) as tls:
        tls.sendall(b"hello")
        assert len(read(tls, 10)) == 10
        assert tls.transport_security.secured
    server.join()
    assert server.error is None
    assert theirs.names == ["Directory", "File", "File", "EndOfTransfer"]
    assert ours.names == ["Directory", "EndOfTransfer"]
    security = theirs.one(DirectoryCall).security
    assert security == TransportSecurity(
        secured=True,
        role=Role.SERVER,
        authentication=Authentication.BOTH,
        cipher_suite=RSA,
        profile_id="called",
        parm="for the server",
        peer_ca_id="root",
        user_certificate_id="own",
        global_area=b"area of the exit".ljust(64, b"\0"),
    )
    assert security.fields() == {
        "secured": True,
        "role": "S",
        "authentication": "B",
        "cipher_suite": RSA.to_bytes(2, "big"),
        "profile_id": "called",
        "parm": "for the server",
        "peer_ca_id": "root",
        "user_certificate_id": "own",
        "peer_chain_file": "",
        "global_area": b"area of the exit".ljust(64, b"\0"),
    }
    assert server.security == security
    assert ours.one(DirectoryCall).security.fields()["role"] == "C"
    partner = theirs.one(DirectoryCall).partner
    assert partner.peer_chain == PKI.client.chain
    assert (partner.session_reference, partner.handshake_count) == (1, 1)
    opened, closed = (item for item in theirs.calls if isinstance(item, FileCall))
    assert (opened.action, opened.name, opened.bytes_received) == (FileAction.OPEN, "echo", 0)
    assert (closed.action, closed.bytes_received, closed.bytes_sent, closed.normal) == (FileAction.CLOSE, 5, 10, True)
    ended = theirs.one(EndOfTransferCall)
    assert (ended.normal, ended.bytes_received, ended.bytes_sent, ended.reason) == (True, 5, 10, "")
    ended = ours.one(EndOfTransferCall)
    assert (ended.normal, ended.bytes_received, ended.bytes_sent, ended.reason) == (True, 10, 5, "")


@BOTH
@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (Refused("not today"), "not today"),
        (False, "it gives no reason"),
        (ZeroDivisionError("secret"), r"it failed \(ZeroDivisionError\)"),
        (5, "it returned int"),
    ],
)
def test_a_server_refuses_before_any_application_data(making: Making, answer: Any, told: str) -> None:
    """The peer sees a complete handshake and then close_notify; nothing of what it sends gets through."""
    theirs = making(directory=answer)
    with served(theirs) as (sock, server), call(sock) as tls:
        with suppress(TlsError, OSError):
            tls.sendall(b"too early")
        assert tls.recv() == b""
        assert tls.connection.peer_closed
    assert isinstance(server.error, SessionRefused)
    assert "secret" not in str(server.error)
    with pytest.raises(SessionRefused, match=f"the directory exit refuses the partner: {told}"):
        raise server.error
    assert server.read == b""
    assert theirs.names == ["Directory"]  # where nothing began, nothing ends


@BOTH
def test_a_client_refuses(making: Making) -> None:
    with served(None) as (sock, server), pytest.raises(SessionRefused, match="wrong server"):
        call(sock, making(directory=Refused("wrong server")))
    assert (server.error, server.read) == (None, b"")  # closed by close_notify


@BOTH
def test_a_payload_is_refused_and_the_session_goes_on(making: Making) -> None:
    ours = making(file=lambda call: Refused("no room") if call.name == "big" else None)
    with served(None) as (sock, _), call(sock, ours) as tls:
        with (
            pytest.raises(PayloadRefused, match="the file exit refuses to open big: no room"),
            tls.application.payload("big"),
        ):
            pytest.fail("opened")
        with tls.application.payload("small"):
            tls.sendall(b"x")
            assert read(tls, 2) == b"xx"
        with pytest.raises(ZeroDivisionError), tls.application.payload("broken"):
            raise ZeroDivisionError
    files = [item for item in ours.calls if isinstance(item, FileCall)]
    assert [(item.name, item.action.value, item.normal, item.reason) for item in files] == [
        ("big", "open", True, ""),
        ("small", "open", True, ""),
        ("small", "close", True, ""),
        ("broken", "open", True, ""),
        ("broken", "close", False, "ZeroDivisionError"),
    ]
    with pytest.raises(TlsError, match="no session"), tls.application.payload("late"):
        pytest.fail("opened")


def test_an_end_that_is_not_normal_is_told_with_its_reason() -> None:
    theirs = Application()
    with served(theirs) as (sock, server):
        tls = call(sock)
        tls.sendall(b"half")
        assert len(read(tls, 8)) == 8
        sock.close()
    assert server.error is not None
    ended = theirs.one(EndOfTransferCall)
    assert (ended.normal, ended.bytes_received, ended.reason) == (False, 4, str(server.error))
    ours = Application()
    with served(None) as (sock, _):
        call(sock, ours).abort()
    assert (ours.one(EndOfTransferCall).normal, ours.one(EndOfTransferCall).reason) == (
        False,
        "the connection was aborted",
    )
    ours = Application()
    with served(None) as (sock, _), pytest.raises(ZeroDivisionError), call(sock, ours):
        raise ZeroDivisionError
    ended = ours.one(EndOfTransferCall)
    assert (ended.normal, ended.reason) == (False, "ZeroDivisionError")


def test_end_of_transfer_and_closing_payloads_may_fail() -> None:
    """Nothing changes by it; the failure is kept."""
    ours = Application(end_of_transfer=ZeroDivisionError("division"))
    with served(None) as (sock, server), call(sock, ours) as tls:
        tls.sendall(b"x")
        assert read(tls, 2) == b"xx"
    assert server.error is None
    assert isinstance(tls.application.failure, ZeroDivisionError)


def test_a_late_directory_refuses() -> None:
    """An ``async`` one within the socket's time-out, a plain one in a thread of its own within ``exit_timeout``."""

    async def never(_: DirectoryCall) -> None:
        await sleep_for_long()

    class Waiting:
        directory = staticmethod(never)

    with served(Waiting(), exit_timeout=0.2) as (sock, server), call(sock) as tls:
        assert tls.recv() == b""
    assert "no answer within" in str(server.error)
    woken = threading.Event()
    with (
        served(Application(directory=lambda call: woken.wait(20)), exit_timeout=0.2) as (sock, server),
        call(sock) as tls,
    ):
        assert tls.recv() == b""
    woken.set()
    assert "no answer within" in str(server.error)


async def sleep_for_long() -> None:
    import asyncio

    await asyncio.sleep(20)


def test_a_session_of_its_own_fails_and_no_other() -> None:
    """One task, two sessions: the second goes on while the first is refused."""
    refused = threading.Event()

    def once(call: DirectoryCall) -> Any:
        if not refused.is_set():
            refused.set()
            return ZeroDivisionError()
        return None

    theirs = Application(directory=once)
    with served(theirs) as (first, server), served(theirs) as (second, other):
        with call(first) as tls:
            assert tls.recv() == b""
        with call(second) as tls:
            tls.sendall(b"x")
            assert read(tls, 2) == b"xx"
    assert isinstance(server.error, SessionRefused)
    assert other.error is None


def test_a_resumed_session_is_told_the_same(tmp_path: Path) -> None:
    config = system_config()
    theirs, ours = Application(), Application()
    session = None
    for _ in range(2):
        with served(theirs, config=config) as (sock, server), call(sock, ours, session=session) as tls:
            session = tls.session
            time.sleep(0)
        assert server.error is None
    assert tls.context.resumed
    first, second = (item.security for item in theirs.calls if isinstance(item, DirectoryCall))
    assert first == second
    first, second = (item.security for item in ours.calls if isinstance(item, DirectoryCall))
    assert first == second


def test_the_chain_is_recorded_where_the_profile_asks(tmp_path: Path) -> None:
    profile = Profile.server(cipher_suites=(RSA,), certificate_file_root=str(tmp_path / "peer"))
    theirs = Application()
    for _ in range(2):
        with served(theirs, profile) as (sock, _), call(sock):
            pass
    files = [item.security.peer_chain_file for item in theirs.calls if isinstance(item, DirectoryCall)]
    assert len(set(files)) == 2
    assert {str(item) for item in tmp_path.iterdir()} == set(files)
    assert Path(files[0]).read_bytes() == b"".join(PKI.client.chain)
    assert all(item.security.peer_chain_file == files[-1] for item in theirs.calls[-2:])


def test_a_chain_that_cannot_be_recorded_ends_the_session(tmp_path: Path) -> None:
    """The profile wants the evidence: without it there is no session, and no application is asked."""
    profile = Profile.server(cipher_suites=(RSA,), certificate_file_root=str(tmp_path / "none" / "peer"))
    theirs = Application()
    with served(theirs, profile) as (sock, server), call(sock) as tls:
        assert tls.recv() == b""
    assert isinstance(server.error, SessionRefused)
    assert "the peer's chain cannot be recorded: No such file or directory" in str(server.error)
    assert theirs.calls == []
