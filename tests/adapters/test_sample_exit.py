"""The sample exit in C at work: with the one command that it documents, in both roles, against OpenSSL over sockets."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.c_exits import compile_text, needs_compiler
from tests.support.command import PASSWORD, Files
from tests.support.command import run as tlsexit
from tests.support.ends import RSA, client_end, handshake, server_end
from tests.support.openssl_peer import s_client, s_server
from tests.support.pair import pump
from tests.support.pki import pki
from tests.support.serving import serving
from tests.support.sockets import receive
from tlsexit.adapters.clib import INCLUDE, SAMPLE, CExit
from tlsexit.alerts import AlertDescription, ExitFailed
from tlsexit.cli import codes
from tlsexit.constants import Role
from tlsexit.drivers.blocking import connect
from tlsexit.profile import Profile, Verify

SOURCE = SAMPLE.read_text(encoding="ascii")


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """Keys and certificates in files."""
    return Files(tmp_path_factory.mktemp("files"))


@pytest.fixture
def environment(files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What tells the sample to log; the log is in ``tmp_path``."""
    environment = {"PKIE_LOG": str(tmp_path / "log")}
    monkeypatch.setenv("PKIE_LOG", environment["PKIE_LOG"])
    return environment


def logged(folder: Path) -> list[str]:
    """The lines of the log, without references and counters."""
    text = (folder / "log").read_text(encoding="ascii")
    return [re.sub(r" (task|session|call)=\d+", "", line) for line in text.splitlines()]


def test_the_documented_command(tmp_path: Path) -> None:
    needs_compiler()
    found = re.search(r"^ \*     (cc .*)$", SOURCE, re.MULTILINE)
    assert found is not None
    command = found[1]
    for what, path in (("include", INCLUDE), ("sample", SAMPLE)):
        assert tlsexit("c-exit", what).out == f"{path}\n"
        command = command.replace(f"$(tlsexit c-exit {what})", str(path))
    command = (
        found[1].replace("$(tlsexit c-exit include)", str(INCLUDE)).replace("$(tlsexit c-exit sample)", str(SAMPLE))
    )
    done = subprocess.run(shlex.split(command), cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    CExit(tmp_path / "sample_exit.so")


def test_it_exports_one_function(sample_library: Path) -> None:
    done = subprocess.run(["nm", "-D", "--defined-only", sample_library], capture_output=True, text=True, check=True)
    assert [line.split()[-1] for line in done.stdout.splitlines()] == ["cftpkie"]


@pytest.mark.interop
def test_a_server_with_openssl(files: Files, tmp_path: Path, sample_library: Path, environment: dict[str, str]) -> None:
    """Chain, CA list and key come from the exit; two clients at the same time, then one that it refuses."""
    revoked = tmp_path / "revoked"
    revoked.write_text("00ff\n")
    environment |= {
        "PKIE_CHAIN": str(files.server_certificate),
        "PKIE_KEY": str(files.server_key),
        "PKIE_CA": str(files.ca),
        "PKIE_REVOKED": str(revoked),
        "PKIE_PARM": "set in C",
    }
    options = ("--exit", f"c:{sample_library}", "--www", "--verify", "required", "--ca-file", files.ca)
    with serving(*options, environment=environment) as server:
        client = ("-CAfile", files.ca, "-verify_return_error", "-cert", files.client)
        for ciphers in ("AES128-SHA", "ECDHE-RSA-AES256-SHA"):
            done = s_client(server.port, *client, ciphers=ciphers)
            assert "HTTP/1.0 200 OK" in done.output, done.output
            assert "Verify return code: 0 (ok)" in done.output
            assert "CN = RSA root" in done.output.partition("Acceptable client certificate CA names")[2]
        revoked.write_text(f"00ff\n{pki().client.certificate.serial_number:X}\n")
        done = s_client(server.port, *client)
        assert "sslv3 alert certificate revoked" in done.output, done.output
        server.wait_for("certificate_revoked")
    common = ["GetCAList role=S -> 0", "CheckCertificate role=S -> 1"]
    assert logged(tmp_path)[:15] == [
        "StartTask -> 0",
        "StartHandshake role=S -> 0",
        "GetCertificate role=S -> 0",
        *common,
        "CryptData role=S decrypt 256 bytes -> 0",
        "HandshakeDone role=S -> 0",
        "EndSession role=S -> 1",
        "StartHandshake role=S -> 0",
        "GetCertificate role=S -> 0",
        "CryptData role=S sign 36 bytes -> 0",
        *common,
        "HandshakeDone role=S -> 0",
        "EndSession role=S -> 1",
    ]
    ended = [line for line in logged(tmp_path) if not line.startswith("EndTask")]
    assert ended[-2:] == ["CheckCertificate role=S -> -1", "HandshakeAlert role=S alert=44 local -> 1"]


@pytest.mark.interop
def test_a_client_with_openssl(
    files: Files, tmp_path: Path, sample_library: Path, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PKIE_CHAIN", str(files.client))
    monkeypatch.setenv("PKIE_KEY", str(files.client))
    options = ("-cert", files.server, "-CAfile", files.ca, "-Verify", "1", "-verify_return_error")
    request = "GET / HTTP/1.0\r\n\r\n"
    with s_server(tmp_path / "server", *options) as server:
        address = f"localhost:{server.port}"
        arguments = ("connect", "--input", "--ca-file", files.ca, "--exit", f"c:{sample_library}", address)
        done = tlsexit(*arguments, given=request)
        assert done.status == codes.OK, done.err
        assert re.search("CN ?= ?client", done.out), done.out
        revoked = tmp_path / "revoked"
        revoked.write_text(f"000{pki().server.certificate.serial_number:x}\n")
        monkeypatch.setenv("PKIE_REVOKED", str(revoked))
        refused = tlsexit("connect", "--ca-file", files.ca, "--exit", f"c:{sample_library}", address)
    assert refused.status == codes.FAILED
    assert "CheckCertificate" in refused.problem
    assert "certificate_revoked" in refused.problem
    assert logged(tmp_path) == [
        "StartTask -> 0",
        "StartHandshake role=C -> 0",
        "CheckCertificate role=C -> 1",
        "GetCertificate role=C -> 0",
        "CryptData role=C sign 36 bytes -> 0",
        "HandshakeDone role=C -> 0",
        "EndSession role=C -> 1",
        "EndTask -> 1",
        "StartTask -> 0",
        "StartHandshake role=C -> 0",
        "CheckCertificate role=C -> -1",
        "HandshakeAlert role=C alert=44 local -> 1",
        "EndTask -> 1",
    ]


def test_areas_password_and_parm(
    tmp_path: Path, files: Files, sample_library: Path, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What StartTask and StartHandshake set, and where the areas lead."""
    monkeypatch.setenv("PKIE_PASSWORD", str(files.password))
    monkeypatch.setenv("PKIE_PARM", "für Elise")
    client, server = client_end(RSA), server_end(RSA, exits=CExit(sample_library))
    handshake(client, server)
    context = server.connection.context
    assert context.task.password == PASSWORD.encode()
    assert context.task.exit_reference == int.from_bytes(b"TASK", "big")
    assert (context.profile.parm, context.exit_reference) == ("für Elise", 1)
    assert context.task.public_area[:8] == (1).to_bytes(8, "little")
    assert context.private_area == (4).to_bytes(4, "little")
    completed: Any = server.events[0]
    assert completed.global_area == b"session 1, suite 002f, authentication S".ljust(64, b"\0")
    assert "session=1 role=S call=4 -> 0\n" in (tmp_path / "log").read_text()


def test_a_list_longer_than_the_room(
    tmp_path: Path, sample_library: Path, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sample asks for more room, and is asked once more."""
    (tmp_path / "many.pem").write_bytes(pki().root.pem * 1000)
    monkeypatch.setenv("PKIE_CA", str(tmp_path / "many.pem"))
    client, server = client_end(RSA), server_end(RSA, exits=CExit(sample_library), verify=Verify.REQUIRED)
    handshake(client, server)
    assert logged(tmp_path)[3:5] == ["GetCAList role=S -> 2", "GetCAList role=S -> 0"]
    received = client.connection.context.peer_ca_list
    assert received is not None
    assert received.certificate_authorities == (pki().root.certificate.subject.public_bytes(),) * 1000


@pytest.mark.parametrize(
    ("variable", "verify"), [("PKIE_CHAIN", Verify.NONE), ("PKIE_KEY", Verify.REQUIRED), ("PKIE_CA", Verify.REQUIRED)]
)
def test_files_that_are_not_there(
    variable: str,
    verify: Verify,
    tmp_path: Path,
    sample_library: Path,
    environment: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An error, never somebody let in."""
    monkeypatch.setenv(variable, str(tmp_path / "missing"))
    client = client_end(0x0033)
    server = server_end(0x0033, exits=CExit(sample_library), verify=verify)
    pump(client, server)
    assert isinstance(server.connection.error, ExitFailed)
    assert server.connection.error.description == AlertDescription.INTERNAL_ERROR


def test_a_revocation_list_that_cannot_be_read(
    tmp_path: Path, sample_library: Path, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PKIE_REVOKED", str(tmp_path / "missing"))
    client, server = client_end(RSA, exits=CExit(sample_library)), server_end(RSA)
    pump(client, server)
    assert isinstance(client.connection.error, ExitFailed)


@pytest.mark.interop
def test_a_crash_under_serve(files: Files, tmp_path: Path) -> None:
    """A library that crashes takes down its task: the session of another goes on, and the next client is served."""
    crash = "if (com->phase == PKI_GET_CERTIFICATE && com->server_name.length == 5) *(volatile int *)0 = 1;"
    body = f"{crash} return com->phase == PKI_START_TASK ? PKI_HANDLED : PKI_NOT_HANDLED;"
    source = f'#include "cftpkie.h"\nint cftpkie(struct pkicom *com) {{ {body} }}\n'
    library = compile_text(source, tmp_path / "crash.so")
    tasks = ("--max-tasks", "2", "--sessions-per-task", "1")
    with serving("--cert", files.server, "--echo", *tasks, "--exit", f"c:{library}") as server:
        client = Profile.client(server_name="localhost")
        with connect(("127.0.0.1", server.port), client, pki=pki().builtin(Role.CLIENT)) as established:
            server.wait_for("full handshake")
            crashed = s_client(server.port, "-servername", "crash")
            assert "no peer certificate available" in crashed.output
            established.sendall(b"still here")
            assert receive(established, 10) == b"still here"
            with connect(("127.0.0.1", server.port), client, pki=pki().builtin(Role.CLIENT)) as after:
                after.sendall(b"and here")
                assert receive(after, 8) == b"and here"
