"""``openssl s_client`` and ``s_server`` at TLS 1.0, as processes of their own."""

from __future__ import annotations

import os
import shutil
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final

import pytest

from tests.interop.process import HOST, Command, Completed, Server, run, serve

LEVEL: Final = "@SECLEVEL=0"
"""TLS 1.0 needs the lowest security level."""

REQUEST: Final = "GET / HTTP/1.0\r\n\r\n"


def needs_program(name: str, package: str) -> None:
    """Skip, or fail where all peers must be there."""
    if shutil.which(name) is None:
        reason = f"no {name} (install {package})"
        if os.environ.get("TLSEXIT_REQUIRE_PEERS") == "1":
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)


def s_client(port: int, *options: str | Path, ciphers: str = "ALL") -> Completed:
    """Run a client that sends a request for a page and prints the answer."""
    needs_program("openssl", "Debian's openssl")
    command: Command = ["openssl", "s_client", "-connect", f"{HOST}:{port}", "-tls1", "-ign_eof"]
    return run([*command, "-cipher", f"{ciphers}:{LEVEL}", "-servername", "localhost", *options], send=REQUEST)


def s_server(log: Path, *options: str | Path, ciphers: str = "ALL") -> AbstractContextManager[Server]:
    """Run a server that answers requests with a page."""
    needs_program("openssl", "Debian's openssl")
    command: Command = ["openssl", "s_server", "-accept", f"{HOST}:{{port}}", "-tls1", "-www", *options]
    return serve([*command, "-cipher", f"{ciphers}:{LEVEL}"], log)
