"""``tlsexit exit-server``: a key in one process, sessions in another, OpenSSL as their peer."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.command import Files, run
from tests.support.openssl_peer import REQUEST, s_client, s_server
from tests.support.serving import serving
from tlsexit.cli import codes

TIMEOUT = 60


@contextmanager
def exit_server(*arguments: str | Path, folder: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run an exit server on a socket in ``folder``; its process, and the exit that others name."""
    path = folder / "s"
    command = [sys.executable, "-m", "tlsexit", "exit-server", *map(str, arguments), str(path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == f"listening on {path}\n"
        yield process, f"unix:{path}"
    finally:
        process.kill()
        process.communicate()


@pytest.mark.interop
def test_a_server_without_its_key(files: Files, tmp_path: Path) -> None:
    """Decryption and signature are made elsewhere; when the other process is gone, the alert is the one that fits."""
    key = ("--cert", files.server)
    with exit_server(*key, folder=tmp_path) as (process, spec), serving("--exit", spec, "--www") as server:
        for ciphers in ("AES128-SHA", "ECDHE-RSA-AES128-SHA"):
            done = s_client(server.port, "-CAfile", files.ca, "-verify_return_error", ciphers=ciphers)
            assert "HTTP/1.0 200 OK" in done.output, done.output
        process.send_signal(signal.SIGTERM)
        assert process.wait(TIMEOUT) == codes.OK
        done = s_client(server.port, "-CAfile", files.ca)
        assert "alert internal error" in done.output, done.output
        with exit_server(*key, folder=tmp_path):
            assert "HTTP/1.0 200 OK" in s_client(server.port, "-CAfile", files.ca).output


@pytest.mark.interop
def test_a_client_without_its_key(files: Files, tmp_path: Path) -> None:
    """With a key that is encrypted, whose password only the other process knows."""
    key = ("--cert", files.client, "--password-file", files.password)
    options = ("-cert", files.server, "-CAfile", files.ca, "-Verify", "1", "-verify_return_error")
    with exit_server(*key, folder=tmp_path) as (_, spec), s_server(tmp_path / "log", *options) as server:
        arguments = ("--input", "--ca-file", files.ca, "--exit", spec, f"localhost:{server.port}")
        done = run("connect", *arguments, given=REQUEST)
    assert done.status == codes.OK, done.err
    assert "both sides (B)" in done.err


def test_any_exit_can_be_elsewhere(files: Files, tmp_path: Path) -> None:
    with exit_server("--exit", "tests.support.demo_exits:Refuser", folder=tmp_path) as (_, spec):
        done = run("handshake", "--client-exit", spec)
    assert done.status == codes.FAILED
    assert "certificate_revoked" in done.out


def test_mistakes(files: Files, tmp_path: Path) -> None:
    path = tmp_path / "s"
    for arguments in ((), ("--cert", files.server, "--exit", "a:b")):
        ran = run("exit-server", *arguments, path)
        assert (ran.status, ran.problem) == (codes.USAGE, "name what answers with one of --cert and --exit")
    ran = run("exit-server", "--cert", files.server, tmp_path / "no" / "folder")
    assert ran.status == codes.NETWORK
    assert "cannot listen on" in ran.problem
    path.write_text("a file")
    ran = run("exit-server", "--cert", files.server, path)
    assert (ran.status, ran.problem) == (codes.USAGE, f"{path}: is there and is no socket")
    path.unlink()
    with socket.socket(socket.AF_UNIX) as taken:
        taken.bind(str(path))
        taken.listen()
        ran = run("exit-server", "--cert", files.server, path)
    assert (ran.status, ran.problem) == (codes.USAGE, f"{path}: another process listens there")


def test_a_socket_that_nobody_listens_on(files: Files, tmp_path: Path) -> None:
    ran = run("serve", "--exit", f"unix:{tmp_path}/s", "--in-process", "0")
    assert ran.status == codes.FAILED
    assert f"{tmp_path}/s: No such file or directory" in ran.problem
    assert (
        run("serve", "--exit", "unix:", "--in-process", "0").problem == "write unix:SOCKET, as in unix:/run/signer.sock"
    )
