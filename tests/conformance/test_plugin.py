"""The pytest plugin, in a pytest of its own as another project would run it."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tlsexit.conformance.pki import make_workshop, write_workshop

pytestmark = pytest.mark.timeout(300)

FORM = "*/7.1/form"


CREDULOUS = """
import contextlib, socket, ssl, sys

context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1
context.set_ciphers("ALL:@SECLEVEL=0")
while True:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as sock:
        with context.wrap_socket(sock) as secured:
            secured.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n")
            while secured.recv(4096):
                pass
"""
"""A client that connects again and again, and trusts anybody."""


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Certificates for the target."""
    folder = tmp_path_factory.mktemp("pki")
    write_workshop(make_workshop(), folder)
    return folder


def run(folder: Path, *words: str | Path) -> tuple[int, str]:
    """Run pytest in ``folder`` with the plugin; returns its status and what it printed."""
    command = [sys.executable, "-m", "pytest", "-p", "tlsexit.conformance.plugin", "-p", "no:cacheprovider", "-rA"]
    # the plugin is there twice where tlsexit is installed, and once where it is only on the path
    command += ["-p", "no:tlsexit", "-o", "addopts=", "--rootdir", str(folder), str(folder), *map(str, words)]
    ran = subprocess.run(command, capture_output=True, text=True, cwd=folder, timeout=280, check=False)
    return ran.returncode, ran.stdout + ran.stderr


def server(pki: Path) -> str:
    """The command of a server to probe."""
    own = ["--cert", str(pki / "rsa.pem"), "--key", str(pki / "rsa.key"), "--www", "127.0.0.1:{port}"]
    return shlex.join([sys.executable, "-m", "tlsexit", "serve", *own])


def test_probes_become_tests(pki: Path, tmp_path: Path) -> None:
    """With their ids, beside the tests of the project."""
    (tmp_path / "test_own.py").write_text("def test_own():\n    pass\n")
    status, said = run(tmp_path, "--tlsexit-server", server(pki), "--tlsexit-pki", pki, "--tlsexit-probe", FORM)
    assert status == 0, said
    assert "PASSED tlsexit::server/7.1/form" in said
    assert "2 passed" in said


def test_failures_skips_and_expectations(pki: Path, tmp_path: Path) -> None:
    """A trusting client fails a probe; one that does not apply is skipped; a listed one is an xfail."""
    (tmp_path / "client.py").write_text(CREDULOUS)
    probes = ["--tlsexit-probe", "client/7.2.2/stranger", "--tlsexit-probe", "client/7.4.1.1/*"]
    command = shlex.join([sys.executable, str(tmp_path / "client.py"), "{port}"])
    arguments = ["--tlsexit-client", command, "--tlsexit-pki", str(pki), *probes]
    status, said = run(tmp_path, *arguments)
    assert status == 1, said
    assert "FAILED tlsexit::client/7.2.2/stranger" in said
    assert "SKIPPED" in said
    assert "├─ ClientHello ─" in said
    assert "R2246-7.2.2-15 (RFC 2246 §7.2.2, MUST)" in said
    expected = tmp_path / "expected.toml"
    expected.write_text('"client/7.2.2/stranger" = "it is told to trust anybody"\n')
    status, said = run(tmp_path, *arguments, "--tlsexit-expected", expected)
    assert status == 0, said
    assert "XFAIL tlsexit::client/7.2.2/stranger - it is told to trust anybody" in said


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["--tlsexit-target", "nowhere"], "write HOST:PORT"),
        (["--tlsexit-server", "serve"], "write {port} where the port goes"),
        (["--tlsexit-server", "a {port}", "--tlsexit-client", "b {port}"], "exclude each other"),
        (["--tlsexit-target", "localhost:1", "--tlsexit-pki", "nowhere"], "nowhere has no certificates"),
    ],
)
def test_mistakes(words: list[str], problem: str, tmp_path: Path) -> None:
    """Pytest says what is wrong with its options."""
    status, said = run(tmp_path, *words)
    assert status == pytest.ExitCode.USAGE_ERROR, said
    assert problem in said


def test_a_target_that_cannot_be_reached(tmp_path: Path) -> None:
    """Every probe says so, at once."""
    status, said = run(tmp_path, "--tlsexit-target", "127.0.0.1:1", "--tlsexit-probe", FORM)
    assert status == 1
    assert "127.0.0.1:1: " in said


def test_nothing_without_a_target(tmp_path: Path) -> None:
    """The plugin leaves other people's tests alone."""
    (tmp_path / "test_own.py").write_text("def test_own():\n    pass\n")
    status, said = run(tmp_path)
    assert status == 0
    assert "1 passed" in said
