"""Console sessions of the documentation, typed into a shell: programs beside tlsexit, and servers in the background."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Final, Self

from tests.interop.process import free_port
from tests.support.pages import PROMPT, REST

TIMEOUT: Final = 120.0
"""Seconds for a command, and for a server until it listens."""

PORT: Final = "4433"
"""The port of the documentation, in whose place a free one is used."""


class Shell:
    """A folder, an environment that grows with each ``export``, and the servers that were started."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._environment = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONIOENCODING": "utf-8",
            "COLUMNS": "120",
        }
        self._port = str(free_port())
        self._servers: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for server in reversed(self._servers):
            server.kill()
            server.wait()

    def play(self, session: str) -> None:
        """Type the commands of a session and compare what they print; ``...`` stands for anything."""
        for item in session.removeprefix(PROMPT).split(f"\n{PROMPT}"):
            command, *printed = item.replace("\\\n", " ").rstrip("\n").split("\n")
            if command.startswith("export "):
                self._export(command)
            elif command.endswith(" &"):
                self._start(command.removesuffix(" &"))
            else:
                check(self._run(command), printed, command)

    def _run(self, command: str) -> list[str]:
        done = subprocess.run(
            ["bash", "-c", command.replace(PORT, self._port)],
            cwd=self._folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=TIMEOUT,
            check=False,
        )
        text = done.stdout.decode("utf-8", "replace")
        assert done.returncode == 0, f"{command}\n{text}"
        return text.splitlines()

    def _export(self, command: str) -> None:
        name = command.removeprefix("export ").partition("=")[0]
        (self._environment[name],) = self._run(f'{command}; printf "%s\\n" "${name}"')

    def _start(self, command: str) -> None:
        log = self._folder / f"server-{len(self._servers)}.log"
        with log.open("wb") as sink:
            self._servers.append(
                subprocess.Popen(
                    ["bash", "-c", f"exec {command.replace(PORT, self._port)}"],
                    cwd=self._folder,
                    env=self._environment,
                    stdin=subprocess.DEVNULL,
                    stdout=sink,
                    stderr=sink,
                )
            )
        deadline = time.monotonic() + TIMEOUT
        while "listening on" not in log.read_text(encoding="utf-8"):
            assert self._servers[-1].poll() is None, log.read_text(encoding="utf-8")
            assert time.monotonic() < deadline, command
            time.sleep(0.02)


def check(lines: list[str], printed: list[str], command: str) -> None:
    """Compare what was printed with what a page says; dots are any number of lines, at the end of a line its rest."""
    at = 0
    anywhere = False
    for expected in printed:
        if expected == REST:
            anywhere = True
            continue
        found = [n for n in range(at, len(lines) if anywhere else at + 1) if _same(lines[n : n + 1], expected)]
        assert found, f"{command}: no line {expected!r} among {lines[at:]}"
        at, anywhere = found[0] + 1, False
    assert anywhere or at == len(lines), f"{command}: more is printed: {lines[at:]}"


def _same(line: list[str], expected: str) -> bool:
    if not line:
        return False
    if expected.endswith(REST):
        return line[0].strip().startswith(expected.removesuffix(REST).strip())
    return line[0].strip() == expected.strip()
