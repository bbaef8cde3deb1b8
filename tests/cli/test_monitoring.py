"""``tlsexit serve`` over tasks: who serves whom, what a dead task leaves behind, and the end in order."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.cli.test_serve import EXITS, call, read
from tests.support.command import Files, run
from tests.support.pki import pki
from tests.support.serving import TIMEOUT, Serving, serving
from tlsexit.alerts import TlsError
from tlsexit.cli import codes
from tlsexit.constants import Role
from tlsexit.drivers.blocking import connect
from tlsexit.profile import Profile

pytestmark = pytest.mark.skipif(os.name == "nt", reason="sockets are not handed over there")


class Diaries:
    """What the exits of all tasks have written."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {"DIARY": str(folder)}

    def lines(self, task: int) -> list[list[str]]:
        """The lines of one task's, as words."""
        text = (self.folder / f"task-{task}.log").read_text(encoding="utf-8")
        return [line.split() for line in text.splitlines()]

    def count(self, phase: str) -> Counter[int]:
        """How often each task was called in a phase."""
        tasks = sorted(int(file.stem.removeprefix("task-")) for file in self.folder.glob("task-*.log"))
        return Counter({task: sum(words[0] == phase for words in self.lines(task)) for task in tasks})

    def pid(self, task: int) -> int:
        """The process of a task."""
        return int(self.lines(task)[0][2])


@pytest.fixture
def diaries(tmp_path: Path) -> Diaries:
    return Diaries(tmp_path)


TASKS = ("--max-tasks", "3", "--sessions-per-task", "1", "--echo", "--exit", f"{EXITS}:Crashing")


def test_three_tasks_and_one_is_killed(files: Files, diaries: Diaries) -> None:
    with serving("--cert", files.server, *TASKS, environment=diaries.environment) as server:
        clients = [call(server) for _ in range(3)]
        for number, tls in enumerate(clients):
            tls.sendall(b"%d" % number)
            assert read(tls, 1) == b"%d" % number
        assert diaries.count("StartTask") == {1: 1, 2: 1, 3: 1}
        os.kill(diaries.pid(2), signal.SIGKILL)
        server.wait_for(r"^#2 127\.0\.0\.1:\d+: failed: its task died: killed by SIGKILL$")
        with pytest.raises((TlsError, OSError)):
            clients[1].recv()
        for tls in (clients[0], clients[2]):
            tls.sendall(b"still there?")
            assert read(tls, 12) == b"still there?"
        with call(server) as late:
            late.sendall(b"new")
            assert read(late, 3) == b"new"
            assert diaries.count("StartHandshake") == {1: 1, 2: 1, 3: 1, 4: 1}
        for tls in (clients[0], clients[2]):
            tls.close()
        clients[1].abort()
        server.wait_for("#4 .* closed after 3 bytes")
        server.signal(signal.SIGTERM)
        assert server.end() == codes.OK
        pid = diaries.pid(2)
        assert server.errors() == f"warning: task 2 (pid {pid}): killed by SIGKILL; 1 session ended with it\n"
    assert diaries.count("EndTask") == {1: 1, 2: 0, 3: 1, 4: 1}


def test_an_exit_that_crashes_takes_its_task_only(files: Files, diaries: Diaries) -> None:
    with serving("--cert", files.server, *TASKS, environment=diaries.environment) as server:
        with call(server) as bystander:
            profile = Profile.client(server_name="crash.example")
            with pytest.raises((TlsError, OSError)):
                connect(("127.0.0.1", server.port), profile, pki=pki().builtin(Role.CLIENT), timeout=20)
            server.wait_for("^#2 .* failed: its task died: killed by SIGSEGV$")
            bystander.sendall(b"still there?")
            assert read(bystander, 12) == b"still there?"
        server.signal(signal.SIGTERM)
        assert server.end() == codes.OK
        assert "killed by SIGSEGV; 1 session ended with it" in (errors := server.errors())
        assert "in get_certificate" in errors


def test_connections_may_finish_after_a_signal(files: Files, diaries: Diaries) -> None:
    with serving("--cert", files.server, *TASKS, environment=diaries.environment) as server:
        clients = [call(server) for _ in range(2)]
        server.signal(signal.SIGTERM)
        server.wait_for("^ending: 2 connections may finish within 10 seconds; another signal ends at once$")
        with pytest.raises(ConnectionRefusedError):
            call(server)
        for tls in clients:
            tls.sendall(b"still there?")
            assert read(tls, 12) == b"still there?"
            tls.close()
        assert server.end() == codes.OK
        assert server.errors() == ""
    assert diaries.count("EndTask") == diaries.count("StartTask") == {1: 1, 2: 1}


def test_connections_are_closed_when_the_time_is_up(files: Files, diaries: Diaries) -> None:
    options = (*TASKS, "--drain-seconds", "0.5")
    with serving("--cert", files.server, *options, environment=diaries.environment) as server, call(server) as tls:
        server.signal(signal.SIGINT)
        server.wait_for("1 connection may finish within 0.5 seconds")
        assert tls.recv() == b""  # close_notify
        assert server.end() == codes.OK
        assert any("closed after 0 bytes" in line for line in server.lines)
    assert diaries.count("EndSession") == diaries.count("EndTask") == {1: 1}


@pytest.mark.parametrize("where", ["--in-process", "--max-tasks=1"])
def test_a_second_signal_ends_at_once(files: Files, where: str) -> None:
    options = ("--echo", "--drain-seconds", "600", where)
    with serving("--cert", files.server, *options) as server, call(server) as tls:
        tls.sendall(b"hello")
        assert read(tls, 5) == b"hello"
        server.signal(signal.SIGTERM)
        refused(server)
        tls.sendall(b"hello")
        assert read(tls, 5) == b"hello"
        server.signal(signal.SIGTERM)
        assert tls.recv() == b""
        assert server.end() == codes.OK
        assert any("closed after 10 bytes in" in line for line in server.lines)


def refused(server: Serving) -> None:
    """Wait until the server does not listen any more."""
    deadline = time.monotonic() + TIMEOUT
    while time.monotonic() < deadline:
        try:
            call(server).abort()
        except ConnectionRefusedError:
            return
        except (TlsError, OSError):
            pass  # accepted just before the end
        time.sleep(0.05)
    raise AssertionError("the server still listens")


def test_sessions_are_resumed_in_every_task(files: Files, diaries: Diaries, tmp_path: Path) -> None:
    options = (*TASKS, "--session-file", tmp_path / "sessions.sqlite")
    with serving("--cert", files.server, *options, environment=diaries.environment) as server, call(server) as first:
        first.sendall(b"x")
        assert read(first, 1) == b"x"
        with call(server, session=first.session) as second:
            assert second.context.resumed
    assert diaries.count("StartHandshake") == {1: 1, 2: 1}


def test_what_an_exit_prints_has_its_place(files: Files) -> None:
    """Between the lines about its connection, whichever process it is in."""
    options = ("--exit", f"{EXITS}:Talkative", "--max-connections", "1")
    with serving("--cert", files.server, *options) as server:
        call(server).close()
        assert server.end() == codes.OK
        assert server.errors() == "and complained\n"
    said = [line for line in server.lines[1:] if not line.startswith("#1 ")]
    assert sorted(said) == ["asked for a certificate", "asked for the last time: ö", "asked in a thread: ä"]
    assert server.lines.index("asked for a certificate") < server.lines.index("asked for the last time: ö")
    assert server.lines[1] == "asked for a certificate"


def test_an_exit_is_loaded_in_each_task(files: Files, diaries: Diaries) -> None:
    """And nowhere else: what it does to its process does not touch the server."""
    with serving("--cert", files.server, *TASKS, environment=diaries.environment) as server:
        with call(server), call(server):
            pass
        assert len({diaries.pid(1), diaries.pid(2), server.process.pid}) == 3


def test_options_that_do_not_go_together(files: Files) -> None:
    cases = [
        (("--in-process", "--live"), "--in-process and --live exclude each other"),
        (("--in-process", "--session-file", "x"), "--in-process and --session-file exclude each other"),
        (("--session-file", "x", "--no-resumption"), "--session-file is of no use with --no-resumption"),
        (("--live",), "--live needs a terminal"),
    ]
    for arguments, told in cases:
        ran = run("serve", "--cert", files.server, *arguments, "0")
        assert (ran.status, ran.out, ran.problem) == (codes.USAGE, "", told)
    ran = run("serve", "--cert", files.server, "--session-file", files.folder, "0")
    assert (ran.status, ran.out) == (codes.USAGE, "")
    assert ran.problem == f"{files.folder}: cannot be used for sessions: Is a directory"
    for option, value in (("--max-tasks", 65), ("--sessions-per-task", 0), ("--idle-minutes", 1442)):
        ran = run("serve", "--cert", files.server, option, str(value), "0")
        assert ran.status == codes.USAGE
        assert f"Invalid value for '{option}': {value} is not in the range" in ran.err


# ------------------------------------------------------------------------------------------------ live


def test_a_live_table_of_tasks_and_sessions(files: Files) -> None:
    """On a terminal: a row for each, renewed while data flows, and what else there is to say above it."""
    import pty  # not on Windows

    master, slave = pty.openpty()
    command = [sys.executable, "-m", "tlsexit", "serve", "--cert", str(files.server), "--echo", "--live", "0"]
    environment = {**os.environ, "COLUMNS": "150", "LINES": "40", "TERM": "xterm", "PYTHONIOENCODING": "utf-8"}
    process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, env=environment)
    os.close(slave)
    try:
        screen = Screen(master)
        port = int(screen.wait_for("listening on 127.0.0.1:", "\n"))
        with connect(
            ("127.0.0.1", port), Profile.client(server_name="localhost"), pki=pki().builtin(Role.CLIENT), timeout=20
        ) as tls:
            tls.sendall(b"x" * 5000)
            assert read(tls, 5000)
            screen.wait_for("full handshake, authentication S", "\n")
            row = screen.wait_for("127.0.0.1:", "\n", containing="5.0k")
            assert "ECDHE_RSA_WITH_AES_128_CBC_SHA" in row
        screen.wait_for("closed after 5000 bytes in", "\n")
        process.send_signal(signal.SIGTERM)
        assert process.wait(TIMEOUT) == codes.OK
    finally:
        process.kill()
        process.wait()
        os.close(master)


class Screen:
    """What a program writes to a terminal."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._text = ""

    def wait_for(self, start: str, end: str, containing: str = "") -> str:
        """Return the next text between two others that has something in it."""
        deadline = time.monotonic() + TIMEOUT
        while True:
            _, found, rest = self._text.partition(start)
            inside, ended, after = rest.partition(end)
            if found and ended:
                self._text = after
                if containing in inside:
                    return inside
                continue
            assert time.monotonic() < deadline, f"no {start!r} in {self._text!r}"
            if select.select([self._descriptor], [], [], 0.1)[0]:
                self._text += os.read(self._descriptor, 65536).decode("utf-8", "replace")
