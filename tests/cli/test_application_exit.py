"""``--application-exit`` of ``serve`` and ``connect``: partners let in and refused, and what is told about it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import Files, run
from tests.support.listening import listening
from tests.support.pki import pki
from tests.support.serving import serving
from tlsexit.cli import codes
from tlsexit.constants import Role
from tlsexit.drivers.blocking import connect
from tlsexit.profile import Profile

DOORS = "tests.support.demo_application"


def told(file: Path) -> list[Any]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("where", [(), ("--in-process",)])
def test_a_server_with_application_exits(files: Files, tmp_path: Path, where: tuple[str, ...]) -> None:
    log, record = tmp_path / "log", tmp_path / "peer"
    profiles = tmp_path / "profiles.toml"
    profiles.write_text(f'[server.inbox]\nparm = "PART42"\ncertificate_file_root = "{record}"\n', encoding="utf-8")
    options: tuple[str | Path, ...] = (
        "--cert",
        files.server,
        "--ca-file",
        files.ca,
        "--profile-file",
        profiles,
        "--echo",
        *where,
    )
    exits = ("--application-exit", f"{DOORS}:Doorman", "--max-connections", "1")
    with serving(*options, *exits, environment={"DOORMAN": str(log)}) as server:
        builtin, profile = pki().builtin(Role.CLIENT), Profile.client(server_name="localhost")
        with connect(("127.0.0.1", server.port), profile, pki=builtin, timeout=20) as tls:
            tls.sendall(b"x")
            assert tls.recv() == b"x"
        assert server.end() == codes.OK
    (first, directory), *rest = told(log)
    assert first == "directory"
    chain_file = directory.pop("peer_chain_file")
    assert Path(chain_file).read_bytes() == b"".join(pki().client.chain)
    assert directory == {
        "secured": True,
        "role": "S",
        "authentication": "B",
        "cipher_suite": tls.context.cipher_suite,
        "profile_id": "inbox",
        "parm": "PART42",
        "peer_ca_id": "trusted",
        "user_certificate_id": "own",
        "global_area": None,
    }
    assert rest == [
        ["file", {"action": "open", "name": "echo", "normal": True}],
        ["file", {"action": "close", "name": "echo", "normal": True}],
        ["end", {"normal": True, "received": 1, "sent": 1}],
    ]


@pytest.mark.parametrize("where", [(), ("--in-process",)])
def test_a_server_that_refuses(files: Files, where: tuple[str, ...]) -> None:
    options = ("--application-exit", f"{DOORS}:Closed", "--max-connections", "1", *where)
    with serving("--cert", files.server, *options) as server:
        builtin, profile = pki().builtin(Role.CLIENT), Profile.client(server_name="localhost")
        with connect(("127.0.0.1", server.port), profile, pki=builtin, timeout=20) as tls:
            assert tls.recv() == b""
            assert tls.connection.peer_closed
        server.wait_for("#1 .*: failed: the directory exit refuses the partner: closed today$")
        assert server.end() == codes.OK


def test_a_client_that_refuses(files: Files) -> None:
    with listening() as server:
        ran = run("connect", "--ca-file", files.ca, "--application-exit", f"{DOORS}:Closed", server.address)
    assert ran.status == codes.FAILED
    assert ran.problem == f"{server.address}: the directory exit refuses the partner: closed today"
    assert server.errors == []  # it has seen close_notify


def test_a_payload_that_is_refused(files: Files) -> None:
    with serving("--cert", files.server, "--application-exit", f"{DOORS}:Full", "--max-connections", "1") as server:
        address = f"127.0.0.1:{server.port}"
        ran = run("connect", "--ca-file", files.ca, "--input", "--linger", "0.2", address, given=b"x")
        assert (ran.status, ran.out) == (codes.OK, "")
        server.wait_for("#1 .*: failed: the file exit refuses to open count: no room$")
        assert server.end() == codes.OK
    with listening() as there:
        options = ("--ca-file", files.ca, "--application-exit", f"{DOORS}:Full", "--input")
        ran = run("connect", *options, there.address, given=b"x")
        assert ran.status == codes.FAILED
        assert ran.err.endswith(f"tlsexit: {there.address}: the file exit refuses to open input: no room\n")
        assert ran.out == ""


def test_an_object_that_is_not_there(files: Files) -> None:
    ran = run("connect", "--ca-file", files.ca, "--application-exit", f"{DOORS}:Nobody", "localhost:1")
    assert (ran.status, ran.problem) == (codes.USAGE, f"{DOORS} has no 'Nobody'")
