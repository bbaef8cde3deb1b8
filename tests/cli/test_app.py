"""The group of commands: help, version, and what is told when something is wrong with the call."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.support.command import run
from tlsexit.cli import codes

COMMANDS = ("handshake", "connect", "serve", "pki", "profile", "phases", "suites", "c-exit", "exit-server")

TESTERS = ("conform", "fuzz", "replay")
"""Those whose exit status tells about a target."""


def test_help_lists_the_commands_and_shows_how_to_begin() -> None:
    ran = run("--help")
    assert ran.status == codes.OK
    for name in (*COMMANDS, *TESTERS):
        assert f"\n  {name} " in ran.out
    assert "tlsexit handshake" in ran.out


@pytest.mark.parametrize("command", [(), *((name,) for name in COMMANDS)])
def test_every_help_has_examples_and_the_exit_statuses(command: tuple[str, ...]) -> None:
    ran = run(*command, "-h")
    assert ran.status == codes.OK
    assert ran.out.count("tlsexit ") > 1
    for code, meaning in codes.MEANINGS.items():
        assert f"{code:<4}{meaning}" in ran.out


def test_statuses_do_not_change() -> None:
    """Scripts rely on them."""
    assert (codes.OK, codes.FAILED, codes.USAGE, codes.NETWORK, codes.TRUNCATED) == (0, 1, 2, 3, 4)
    assert (codes.NOT_RESUMED, codes.INTERRUPTED) == (5, 130)


def test_version() -> None:
    ran = run("--version")
    assert (ran.status, ran.out) == (codes.OK, f"tlsexit {version('tlsexit')}\n")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("nonsense",), "No such command 'nonsense'"),
        (("handshake", "--nonsense"), "No such option"),
        (("handshake", "--verify", "perhaps"), "'perhaps' is not one of"),
        (("connect",), "Missing argument 'HOST:PORT'"),
        (("serve", "--max-connections", "0", "0"), "0 is not in the range"),
    ],
)
def test_a_wrong_call_is_explained(arguments: tuple[str, ...], told: str) -> None:
    ran = run(*arguments)
    assert ran.status == codes.USAGE
    assert told in ran.err
    assert "Traceback" not in ran.err


def test_an_interrupt_ends_quietly(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("tlsexit.cli.memory.throwaway_pkis", interrupted)
    ran = run("handshake")
    assert (ran.status, ran.out, ran.err) == (codes.INTERRUPTED, "", "\n")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_output_that_cannot_be_written() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "tlsexit", "suites"], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60
        )
    assert done.returncode == codes.USAGE
    assert done.stderr == "tlsexit: no space left on device\n"
