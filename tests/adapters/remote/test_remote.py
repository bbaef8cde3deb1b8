"""An exit in another process: handshakes in both roles, time-outs, lost connections, and what a stranger sends."""

from __future__ import annotations

import asyncio
import json
import os
import re
import socket
import stat
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.support.ends import DHE_RSA, RSA, check_phases, client_end, handshake, server_end
from tests.support.pair import pump
from tests.support.pki import pki
from tests.support.remote import answering, raw, receive, send
from tlsexit.adapters.remote import ExitServer, RemoteExit, Signer
from tlsexit.adapters.remote.frames import MAX_FRAME, frame
from tlsexit.alerts import AlertDescription, AlertReceived, ExitFailed, LocalError
from tlsexit.constants import Role
from tlsexit.drivers.aio import open_connection, start_server
from tlsexit.exits.answers import Answer, Failed, Handled, NotHandled
from tlsexit.exits.calls import ExitCall, StartHandshakeResult, StartTaskCall, StartTaskResult
from tlsexit.exits.context import TaskContext
from tlsexit.policy import BuiltinPki
from tlsexit.profile import Profile, Verify

TASK = StartTaskCall(TaskContext(1))
NOBODY = BuiltinPki((), {"root": [pki().root.certificate]}, clock=lambda: 1_750_000_000)
"""A built-in PKI without keys, so that what works is the other process's."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where to listen; short, for such addresses have 108 bytes."""
    folder = Path("/tmp") if len(str(tmp_path)) > 80 else tmp_path
    return folder / f"exit-{os.getpid()}.sock"


class Diary:
    """Answers what can be answered without a key, and notes who asked."""

    def __init__(self) -> None:
        self.phases: list[tuple[str, Any]] = []

    def __getattr__(self, name: str) -> Any:
        if not name.startswith(("start", "get", "check", "crypt", "handshake", "end")):
            raise AttributeError(name)
        return self._note

    def _note(self, call: Any) -> Answer:
        task = getattr(call, "task", None) or call.context.task
        self.phases.append((call.phase.value, task.exit_reference))
        return NotHandled()

    def start_task(self, call: ExitCall) -> Answer:
        self._note(call)
        return Handled(StartTaskResult("task of mine", password="sesame"))

    def start_handshake(self, call: ExitCall) -> Answer:
        self._note(call)
        return Handled(StartHandshakeResult(77, {"parm": "set elsewhere"}))

    def handshake_done(self, call: Any) -> Answer:
        return Handled(f"session {call.context.exit_reference}".encode())


@pytest.mark.parametrize("suite", [RSA, DHE_RSA])
def test_a_remote_signer(path: Path, suite: int) -> None:
    """Both roles at once: certificates, signatures and the decryption come from two other processes."""
    other = path.with_suffix(".client")
    servers, clients = pki().server.identity("server"), pki().client.identity("client")
    with answering(Signer(servers), path), answering(Signer(clients), other):
        client = client_end(suite, exits=RemoteExit(other), builtin=NOBODY)
        server = server_end(suite, exits=RemoteExit(path), builtin=NOBODY, verify=Verify.REQUIRED)
        handshake(client, server)
        assert server.connection.context.peer_chain == pki().client.chain
        for end in (client, server):
            check_phases(end)
            end.exits.close()  # type: ignore[attr-defined]


def test_every_phase_goes_there(path: Path) -> None:
    diary = Diary()
    with answering(diary, path):
        exits = RemoteExit(path)
        client, server = client_end(RSA), server_end(RSA, exits=exits, verify=Verify.REQUIRED)
        handshake(client, server)
        context = server.connection.context
        assert (context.exit_reference, context.profile.parm) == (77, "set elsewhere")
        assert context.task.password == b"sesame"
        completed: Any = server.events[0]
        assert completed.global_area == b"session 77".ljust(64, b"\0")
        server.connection.close()
        server.drive()
        exits.close()
    assert diary.phases == [
        ("StartTask", None),
        ("StartHandshake", "task of mine"),
        ("GetCertificate", "task of mine"),
        ("GetCAList", "task of mine"),
        ("CheckCertificate", "task of mine"),
        ("CryptData", "task of mine"),
        ("EndSession", "task of mine"),
    ]


def test_refusals_come_back_with_their_reason(path: Path) -> None:
    class Strict(Diary):
        def check_certificate(self, call: Any) -> Answer:
            return Failed(AlertDescription.CERTIFICATE_REVOKED, LocalError("revoked last week"))

    with answering(Strict(), path):
        exits = RemoteExit(path)
        client, server = client_end(RSA, exits=exits), server_end(RSA)
        pump(client, server)
        exits.close()
    assert isinstance(server.connection.error, AlertReceived)
    assert server.connection.error.description == AlertDescription.CERTIFICATE_REVOKED
    assert isinstance(client.connection.error, ExitFailed)
    assert client.connection.error.reason == "revoked last week"


# -------------------------------------------------------------------------------------------------------- trouble


def silent(connection: socket.socket) -> None:
    """Answers StartTask and StartHandshake, and then says nothing more."""
    while message := receive(connection):
        asked = json.loads(message)
        if asked["phase"].startswith("Start"):
            send(connection, json.dumps({"id": asked["id"], "answer": "handled", "value": {}}).encode())


def test_no_answer_in_time(path: Path) -> None:
    """internal_error, and everything that is told afterwards takes its time too without changing anything."""
    with raw(path, silent):
        exits = RemoteExit(path, timeout=0.1)
        client, server = client_end(RSA), server_end(RSA, exits=exits)
        pump(client, server)
        exits.close()
    assert isinstance(client.connection.error, AlertReceived)
    assert client.connection.error.description == AlertDescription.INTERNAL_ERROR
    assert isinstance(server.connection.error, ExitFailed)
    assert server.connection.error.reason == f"{path}: no answer within 0.1 seconds"


@pytest.mark.parametrize("behaviour", ["silence", "failure", "end", "nonsense", "wrong secret"])
def test_decryption_leaves_no_trace(path: Path, behaviour: str) -> None:
    """The client cannot tell what went wrong, not even that anything was asked elsewhere (RFC 2246 §7.4.7.1)."""

    def serve(connection: socket.socket) -> None:
        while message := receive(connection):
            asked = json.loads(message)
            answer: dict[str, Any] = {"answer": "not_handled"}
            if asked["phase"] == "StartTask":
                answer = {"answer": "handled"}
            elif asked["phase"] == "CryptData":
                if behaviour == "end":
                    return
                if behaviour == "silence":
                    continue
                if behaviour == "nonsense":
                    send(connection, b"[")
                    return
                answer = {"answer": "failed", "alert": 49}
                if behaviour == "wrong secret":
                    answer = {"answer": "handled", "value": {"result": "AAAA"}}
            send(connection, json.dumps({"id": asked["id"], **answer}).encode())

    with raw(path, serve):
        exits = RemoteExit(path, timeout=0.3)
        client, server = client_end(RSA), server_end(RSA, exits=exits)
        pump(client, server)
        exits.close()
    assert isinstance(client.connection.error, AlertReceived)
    assert client.connection.error.description == AlertDescription.BAD_RECORD_MAC


def test_nobody_there(path: Path) -> None:
    with pytest.raises(ExitFailed, match=re.escape(f"{path}: No such file or directory")):
        client_end(RSA, exits=RemoteExit(path))


def test_a_server_that_comes_back(path: Path) -> None:
    """A session that begins while it is away fails; one that began before goes on; the next is served again."""
    signer = Signer(pki().server.identity("server"))
    exits = RemoteExit(path)
    with answering(signer, path):
        before, peer = server_end(RSA, exits=exits, builtin=NOBODY), client_end(RSA)
        handshake(peer, before)
        waiting = server_end(DHE_RSA, exits=exits, builtin=NOBODY)
    client = client_end(DHE_RSA)
    pump(client, waiting)
    assert isinstance(client.connection.error, AlertReceived)
    assert client.connection.error.description == AlertDescription.INTERNAL_ERROR
    before.connection.send(b"still here")
    pump(peer, before)
    assert peer.received == b"still here"
    with answering(signer, path):
        handshake(client_end(DHE_RSA), server_end(DHE_RSA, exits=exits, builtin=NOBODY))
        exits.close()


def test_a_stale_connection_is_no_failure(path: Path) -> None:
    """The other process was started anew between two questions: the question is asked again, once."""
    signer = Signer(pki().server.identity("server"))
    exits = RemoteExit(path)
    with answering(signer, path):
        server = server_end(RSA, exits=exits, builtin=NOBODY)
    with answering(signer, path):
        handshake(client_end(RSA), server)
        exits.close()


def test_a_connection_that_ends_at_the_question(path: Path) -> None:
    """As it looks when the other process ended just before: the question is asked again, over a new connection."""

    def serve(connection: socket.socket) -> None:
        asked = json.loads(receive(connection))
        send(connection, json.dumps({"id": asked["id"], "answer": "handled"}).encode())
        receive(connection)

    with raw(path, serve) as connections:
        exits = RemoteExit(path)
        assert [exits.start_task(TASK), exits.start_task(TASK)] == [Handled(StartTaskResult())] * 2
        exits.close()
    assert len(connections) == 2


def test_questions_are_not_repeated_for_ever(path: Path) -> None:
    with raw(path, lambda connection: receive(connection)) as connections:
        exits = RemoteExit(path)
        answer = exits.start_task(TASK)
    assert isinstance(answer, Failed)
    assert str(answer.cause) == f"{path}: the connection was lost"
    assert len(connections) == 1


def test_values_that_cannot_be_sent(path: Path) -> None:
    answer = RemoteExit(path).start_task(StartTaskCall(TaskContext(1, {"lock": threading.Lock()})))
    assert isinstance(answer, Failed)
    assert "cannot be sent" in str(answer.cause)


def test_answers_in_any_order(path: Path) -> None:
    """Ten sessions at once over one connection; whoever asked last is answered first."""

    class Slow(Diary):
        asked = 0

        async def check_certificate(self, call: Any) -> Answer:
            self.asked += 1
            await asyncio.sleep(0.3 / self.asked)
            return NotHandled()

    async def session(port: int, exits: RemoteExit) -> None:
        profile = Profile.client(server_name="localhost")
        builtin = pki().builtin(Role.CLIENT)
        _, writer = await open_connection("127.0.0.1", port, profile, pki=builtin, exits=exits)
        assert writer.get_extra_info("tls_context").exit_reference == 77
        writer.close()
        await writer.wait_closed()

    async def run(exits: RemoteExit) -> None:
        def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.close()

        served = Profile.server(verify=Verify.NONE)
        async with await start_server(handler, "127.0.0.1", 0, served, pki=pki().builtin(Role.SERVER)) as server:
            port = server.sockets[0].getsockname()[1]
            await asyncio.gather(*(session(port, exits) for _ in range(10)))
        async with asyncio.timeout(20):
            while [phase for phase, _ in slow.phases].count("EndTask") < 10:
                await asyncio.sleep(0.01)

    slow = Slow()
    with answering(slow, path):
        exits = RemoteExit(path)
        asyncio.run(run(exits))
        exits.close()
    assert slow.asked == 10


def test_an_exit_that_needs_its_loop(path: Path) -> None:
    """Blocking sockets and asyncio use the same exit, from any thread."""
    with answering(Diary(), path):
        exits = RemoteExit(path)
        answers = [exits.start_task(TASK)]

        async def inside() -> None:
            answer = exits.start_task(TASK)
            answers.append(answer if isinstance(answer, Handled) else await answer)  # type: ignore[misc]

        asyncio.run(inside())
        asyncio.run(inside())
        exits.close()
    assert answers == [Handled(StartTaskResult("task of mine", 0, b"sesame"))] * 3


# --------------------------------------------------------------------------------------------------- the other side


def test_only_this_user_may_connect(path: Path) -> None:
    with answering(Diary(), path):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not path.exists()


def test_a_socket_left_behind(path: Path) -> None:
    """By a process that was killed: nobody listens there, so it is replaced."""
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    with answering(Diary(), path):
        exits = RemoteExit(path)
        assert isinstance(exits.start_task(TASK), Handled)
        exits.close()


def test_an_address_that_is_taken(path: Path) -> None:
    async def serve() -> None:
        async with ExitServer(Diary(), path):
            pass

    with answering(Diary(), path), pytest.raises(LocalError, match="another process listens there"):
        asyncio.run(serve())
    path.write_text("a file of somebody's")
    with pytest.raises(LocalError, match="is there and is no socket"):
        asyncio.run(serve())
    assert path.read_text() == "a file of somebody's"
    path.unlink()


@pytest.mark.parametrize(
    "data",
    [
        b"\xff\xff\xff\xff",
        (MAX_FRAME + 1).to_bytes(4, "big"),
        b"\0\0\0\1[",
        b"\0\0\0\2[]",
        b"\0\0\0\5ab",
        b"\0\0\xc3\x50" + b"[" * 50_000,
    ],
)
def test_what_is_no_frame_ends_the_connection(path: Path, data: bytes) -> None:
    """Others are served as before."""
    with answering(Diary(), path):
        with socket.socket(socket.AF_UNIX) as stranger:
            stranger.settimeout(20)
            stranger.connect(str(path))
            stranger.sendall(data)
            if data.endswith(b"ab"):
                stranger.shutdown(socket.SHUT_WR)  # in the middle of a frame
            assert stranger.recv(1) == b""
        exits = RemoteExit(path)
        assert isinstance(exits.start_task(TASK), Handled)
        exits.close()


def test_questions_that_are_none_are_answered(path: Path) -> None:
    with answering(Diary(), path), socket.socket(socket.AF_UNIX) as stranger:
        stranger.settimeout(20)
        stranger.connect(str(path))
        for message in ({}, {"id": 5, "phase": "Lunch"}, {"id": 6, "phase": "CryptData", "task": {"reference": 1}}):
            send(stranger, json.dumps(message).encode())
        answers = [json.loads(receive(stranger)) for _ in range(3)]
    assert {answer["id"] for answer in answers} == {None, 5, 6}
    assert {answer["answer"] for answer in answers} == {"failed"}


def test_frames_have_a_limit() -> None:
    with pytest.raises(LocalError, match="a frame has 4194304 at most"):
        frame({"data": "x" * MAX_FRAME})


def test_the_key_stays_there(path: Path) -> None:
    """What an exit that returns a private key sends is a signature."""

    class Careless(Diary):
        def get_certificate(self, call: Any) -> Answer:
            return Handled(pki().server.chain)

        def crypt_data(self, call: Any) -> Answer:
            return Handled(pki().server.key)

    with answering(Careless(), path):
        exits = RemoteExit(path)
        handshake(client_end(DHE_RSA), server_end(DHE_RSA, exits=exits, builtin=NOBODY))
        exits.close()
