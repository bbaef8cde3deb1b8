"""The command line against OpenSSL's s_server and s_client, each as a process of its own."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.command import Files
from tests.support.pki import pki
from tests.support.serving import serving
from tlsexit.cli import codes
from tlsexit.constants import Role
from tlsexit.drivers.blocking import connect
from tlsexit.profile import Profile

OPENSSL = shutil.which("openssl") or "openssl"

LEVEL = "ALL:@SECLEVEL=0"
"""TLS 1.0 needs the lowest security level."""

TIMEOUT = 60


@pytest.fixture(autouse=True)
def _needs_openssl() -> None:
    """Skip, or fail where all peers must be there."""
    if shutil.which("openssl") is None:
        reason = "no openssl (install Debian's openssl)"
        if os.environ.get("TLSEXIT_REQUIRE_PEERS") == "1":
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)


@contextmanager
def s_server(*arguments: str | Path) -> Iterator[int]:
    """Run ``openssl s_server -www`` and return its port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [OPENSSL, "s_server", "-accept", f"127.0.0.1:{port}", "-tls1", "-cipher", LEVEL, "-www"]
    process = subprocess.Popen(
        [*command, *(str(item) for item in arguments)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + TIMEOUT
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                assert time.monotonic() < deadline, "s_server does not listen"
                time.sleep(0.05)
        yield port
    finally:
        process.kill()
        process.wait()


def tlsexit(*arguments: str | Path, given: str = "") -> subprocess.CompletedProcess[str]:
    """Run the command as a user would."""
    return subprocess.run(
        [sys.executable, "-m", "tlsexit", *(str(item) for item in arguments)],
        input=given,
        capture_output=True,
        text=True,
        encoding="utf-8",
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
        timeout=TIMEOUT,
        check=False,
    )


def s_client(port: int, files: Files, *arguments: str | Path, given: str = "") -> subprocess.CompletedProcess[str]:
    """Run ``openssl s_client``, which checks the server's certificate."""
    command = [OPENSSL, "s_client", "-connect", f"127.0.0.1:{port}", "-tls1", "-cipher", LEVEL, "-servername"]
    command += ["localhost", "-CAfile", str(files.ca), "-verify_return_error", "-ign_eof"]
    return subprocess.run(
        [*command, *(str(item) for item in arguments)],
        input=given,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )


@pytest.mark.interop
def test_connect_to_s_server(files: Files) -> None:
    with s_server("-cert", files.server) as port:
        ended = tlsexit("connect", "--resume", "--ladder", "--ca-file", files.ca, f"localhost:{port}")
    assert ended.returncode == codes.OK, ended.stderr
    assert ended.stderr == ""
    assert "├─ ClientHello ─" in ended.stdout
    assert re.search(r"Session +resumed\n", ended.stdout)


@pytest.mark.interop
def test_a_page_from_s_server(files: Files) -> None:
    """s_server sees the client's certificate and the suite that was asked for."""
    server = ("-cert", files.server, "-CAfile", files.ca, "-Verify", "1", "-verify_return_error")
    request = ("connect", "--input", "--cert", files.client, "--suites", "DHE-RSA-AES256-SHA", "--ca-file", files.ca)
    with s_server(*server) as port:
        ended = tlsexit(*request, f"localhost:{port}", given="GET / HTTP/1.0\r\n\r\n")
        without = tlsexit("connect", "--ca-file", files.ca, f"localhost:{port}")
    assert ended.returncode == codes.OK, ended.stderr
    assert ended.stdout.startswith("HTTP/1.0 200 ok")
    assert "Cipher is DHE-RSA-AES256-SHA" in ended.stdout
    assert "CN = client" in ended.stdout or "CN=client" in ended.stdout
    assert "both sides (B)" in ended.stderr
    assert without.returncode == codes.FAILED
    assert re.fullmatch(
        r"tlsexit: localhost:\d+: the peer sent handshake_failure\(40\) after our \w+\n", without.stderr
    )


@pytest.mark.interop
def test_s_client_at_serve(files: Files, tmp_path: Path) -> None:
    session = tmp_path / "session.pem"
    options = ("--www", "--verify", "optional", "--ca-file", files.ca, "--max-connections", "3")
    with serving("--cert", files.server, *options) as server:
        request = "GET / HTTP/1.0\r\n\r\n"
        first = s_client(server.port, files, "-cert", files.client, "-sess_out", session, given=request)
        again = s_client(server.port, files, "-sess_in", session, given=request)
        server.wait_for(r"#1 .*, full handshake, authentication B$")
        server.wait_for(r"#2 .*, resumed, authentication B$")
        assert first.returncode == again.returncode == 0, first.stderr
        assert "Verify return code: 0 (ok)" in first.stdout
        assert "HTTP/1.0 200 OK" in first.stdout
        assert "Reused, TLSv1" in again.stdout
        refused = subprocess.run(
            [OPENSSL, "s_client", "-connect", f"127.0.0.1:{server.port}", "-tls1_2"],
            input="",
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )
        assert refused.returncode != 0
        server.wait_for(r"#3 .*(failed|closed)")
        assert server.end() == codes.OK


@pytest.mark.interop
@pytest.mark.skipif(os.name == "nt", reason="sockets are not handed over there")
@pytest.mark.parametrize("options", [("-no_ticket",), ()], ids=["session-id", "ticket"])
def test_s_client_resumes_in_another_task(files: Files, tmp_path: Path, options: tuple[str, ...]) -> None:
    """A connection that keeps the first task busy sends the second one of s_client elsewhere."""
    session = tmp_path / "session.pem"
    tasks = ("--max-tasks", "2", "--sessions-per-task", "1", "--session-file", tmp_path / "sessions")
    exits = ("--exit", "tests.support.demo_exits:Diary")
    environment = {"DIARY": str(tmp_path)}
    with serving("--cert", files.server, "--www", *tasks, *exits, environment=environment) as server:
        request = "GET / HTTP/1.0\r\n\r\n"
        first = s_client(server.port, files, "-sess_out", session, *options, given=request)
        server.wait_for("#1 .* closed")
        with connect(("127.0.0.1", server.port), Profile.client(), pki=pki().builtin(Role.CLIENT), timeout=20):
            again = s_client(server.port, files, "-sess_in", session, *options, given=request)
        assert "New, TLSv1" in first.stdout
        assert "Reused, TLSv1" in again.stdout
        assert ("TLS session ticket:" in first.stdout) is (not options)
    places = [line.split() for file in tmp_path.glob("task-*.log") for line in file.read_text().splitlines()]
    begun = sorted((int(task), int(reference)) for phase, task, reference in places if phase == "StartHandshake")
    assert begun == [(1, 1), (1, 2), (2, 1)]


@pytest.mark.interop
@pytest.mark.skipif(os.name == "nt", reason="signals of Unix")
def test_s_client_hears_close_notify_when_serve_ends(files: Files) -> None:
    with serving("--cert", files.server, "--echo", "--drain-seconds", "0") as server:
        command = [OPENSSL, "s_client", "-connect", f"127.0.0.1:{server.port}", "-tls1", "-cipher", LEVEL, "-quiet"]
        client = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        assert client.stdin is not None
        assert client.stdout is not None
        client.stdin.write("hello\n")
        client.stdin.flush()
        assert client.stdout.readline() == "hello\n"
        server.signal(signal.SIGTERM)
        assert server.end() == codes.OK
        client.stdin.close()
        assert client.wait(TIMEOUT) == 0
        client.stdout.close()
