"""``tlsexit conform``."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path

import pytest

from tests.support.command import run
from tlsexit.cli import codes
from tlsexit.conformance.probes import all_probes

pytestmark = pytest.mark.timeout(300)

FORM = "*/7.1/form"
TLSEXIT = [sys.executable, "-m", "tlsexit"]


def test_probes_tlsexit_itself(tmp_path: Path) -> None:
    """One configuration, with every report."""
    files = {name: tmp_path / name for name in ("r.json", "r.xml", "r.html")}
    ran = run(
        *("conform", "self", "server", "--probe", FORM, "--all", "--ladder"),
        *("--json", files["r.json"], "--junit", files["r.xml"], "--html", files["r.html"]),
    )
    assert ran.status == codes.OK, ran.err
    assert "pass   server/7.1/form" in ran.out
    assert "├─ ClientHello ─" in ran.out
    assert "§7.1" in ran.out
    document = json.loads(files["r.json"].read_text())
    assert document["summary"]["pass"] == 1
    assert files["r.xml"].read_text().startswith("<?xml")
    assert files["r.html"].read_text().startswith("<!DOCTYPE html>")


def test_compares_two_reports(tmp_path: Path) -> None:
    """Worse is a failure, the same is not."""
    good, bad = tmp_path / "a.json", tmp_path / "b.json"
    assert run("conform", "self", "server", "--probe", FORM, "--json", good).status == codes.OK
    bad.write_text(good.read_text().replace('"verdict": "pass"', '"verdict": "fail"'))
    same = run("conform", "--compare", good, good)
    assert (same.status, same.out) == (codes.OK, "nothing has changed\n")
    worse = run("conform", "--compare", good, bad)
    assert worse.status == codes.FAILED
    assert "server/7.1/form: pass → fail" in worse.out
    assert run("conform", "--compare", bad, good).status == codes.OK


def test_a_server_and_a_client_over_sockets(tmp_path: Path) -> None:
    """Both are started by the command, and show the certificates that were made for them."""
    folder = tmp_path / "pki"
    assert run("conform", "pki", folder).status == codes.OK
    assert "has certificates already" in run("conform", "pki", folder).problem
    own = ["--cert", str(folder / "rsa.pem"), "--key", str(folder / "rsa.key")]
    serve = [*TLSEXIT, "serve", *own, "--www", "127.0.0.1:{port}"]
    ran = run("conform", "server", "--pki", folder, "--probe", FORM, "--", *serve)
    assert ran.status == codes.OK, ran.err
    connect = [*TLSEXIT, "connect", "--input", "--ca-file", str(folder / "ca.pem"), "127.0.0.1:{port}"]
    ran = run("conform", "client", "--pki", folder, "--probe", FORM, "--", *connect)
    assert ran.status == codes.OK, ran.err


def test_lists_and_explains() -> None:
    """Probes by requirement, requirements by id."""
    ran = run("conform", "list", "--requirement", "R2246-7.1-01")
    assert "server/7.1/form  ChangeCipherSpec is one byte" in ran.out
    assert len(run("conform", "list").out.splitlines()) == len(all_probes())
    ran = run("conform", "explain", "R2246-7.1-01")
    assert "RFC 2246 §7.1" in ran.out
    assert "client/7.1/form" in ran.out
    assert "RFC 2246 §7.1" in run("conform", "explain", "client/7.1/form").out


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ("server localhost", "'localhost' is not an address; write HOST:PORT, as in example.org:443"),
        ("server serve now", "the command does not say where its port goes; write {port} in its place"),
        ("server 192.0.2.1:443", "192.0.2.1:443 is another machine; say --yes if it is yours"),
        ("client connect", "say where the client connects to: {port} in its command, or --listen"),
        ("self nobody", "there is no configuration nobody; there are"),
        ("self --probe nothing", "no probe is left"),
        ("self --requirement R1-1-01", "there is no requirement 'R1-1-01'"),
        ("explain nothing", "there is no requirement or probe 'nothing'"),
        ("self server client --json r.json", "--json is for one target"),
        ("self server --html nowhere/r.html", "nowhere/r.html: cannot be written: No such file or directory"),
        ("self server --junit .", ".: cannot be written: Is a directory"),
        (r"server localhost:1 --request \\x", r"--request: truncated \xXX escape"),
        (r"client --listen 0 --response \\u1234", "--response: ordinal not in range(256)"),
        ("self server --expected nowhere.toml", "nowhere.toml: cannot be read"),
        ("self server --pki nowhere", "nowhere has no certificates"),
        ("--compare nowhere.json nowhere.json", "nowhere.json: cannot be read"),
    ],
)
def test_mistakes(words: str, problem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One sentence each, and nothing is sent."""
    monkeypatch.chdir(tmp_path)
    ran = run("conform", *shlex.split(words), *(["--probe", FORM] if words.startswith("self server") else []))
    assert ran.status == codes.USAGE
    assert problem in ran.problem


def test_what_cannot_be_reached() -> None:
    """A status of its own."""
    ran = run("conform", "server", "127.0.0.1:1")
    assert ran.status == codes.NETWORK
    assert "refused" in ran.problem
    ran = run("conform", "server", "--", sys.executable, "-c", "print('no {port}')")
    assert ran.status == codes.NETWORK
    assert "does not listen on its port: no " in ran.problem
