"""The command line, run in this process: what it printed and the status it ended with."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from click.testing import CliRunner

from tests.support.pki import END, START, pki
from tlsexit.cli.app import cli
from tlsexit.policy.throwaway import self_signed

PASSWORD: Final = "correct horse"

SENTENCE: Final = re.compile(r"tlsexit: [^\n]+\n")
"""One line, and it says who is talking."""


@dataclass(frozen=True)
class Ran:
    """A finished command."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output as JSON."""
        return json.loads(self.out)

    @property
    def problem(self) -> str:
        """The sentence that a failed command ends with, without the name in front; warnings may precede it."""
        line = self.err.splitlines(keepends=True)[-1]
        assert SENTENCE.fullmatch(line), self.err
        assert all(other.startswith("warning: ") for other in self.err.splitlines()[:-1]), self.err
        return line.removeprefix("tlsexit: ").rstrip("\n")


def run(*arguments: str | Path, given: bytes | str = b"", env: dict[str, str] | None = None) -> Ran:
    """Run ``tlsexit`` with these arguments and ``given`` on standard input; an exception that escapes is a failure."""
    result = CliRunner().invoke(cli, [str(item) for item in arguments], input=given, env=env)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Ran(result.exit_code, result.stdout, result.stderr)


class Files:
    """Keys and certificates in files: an RSA root, a server's and a client's, and some that are wrong."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        certificates = pki()
        server, client = certificates.server, certificates.client
        self.ca = self._write("ca.pem", certificates.root.pem)
        self.server = self._write("server.pem", server.chain_pem + server.key_pem())
        self.server_certificate = self._write("server-certificate.pem", server.chain_pem)
        self.server_key = self._write("server-key.pem", server.key_pem())
        self.encrypted_key = self._write("encrypted-key.pem", server.key_pem(PASSWORD.encode()))
        self.client = self._write("client.pem", client.chain_pem + client.key_pem())
        stranger = self_signed("stranger", hosts=("localhost",))
        self.stranger = self._write("stranger.pem", stranger.chain_pem + stranger.key_pem())
        self.stranger_key = self._write("stranger-key.pem", stranger.key_pem())
        other = certificates.root.issue(
            "other.example", key=server.key, hosts=("other.example",), not_before=START, not_after=END
        )
        self.other_name = self._write("other-name.pem", other.chain_pem + other.key_pem())
        self.garbage = self._write("garbage.pem", b"this is no certificate\n")
        self.missing = folder / "missing.pem"
        self.password = self._write("password.txt", f"{PASSWORD}\nsecond line\n".encode())
        self.wrong_password = self._write("wrong.txt", b"battery staple\n")
        self.empty = self._write("empty.txt", b"")

    def _write(self, name: str, data: bytes) -> Path:
        path = self.folder / name
        path.write_bytes(data)
        return path
