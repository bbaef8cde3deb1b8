"""A folder with an authority and certificates to try things out with, for ``serve --throw-away``."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from tlsexit.cli.problems import Problem, usage_problems
from tlsexit.constants import Role
from tlsexit.policy import load_identity
from tlsexit.policy.throwaway import Issued, throwaway_authority

CA: Final = "ca.pem"
SERVER: Final = "server.pem"
CLIENT: Final = "client.pem"

HOSTS: Final = ("localhost", "127.0.0.1", "::1")
"""What the server's certificate is for."""


def throwaway_folder(folder: Path) -> bool:
    """Make sure that the folder has all three files; return whether they were made now.

    Existing files are used and never overwritten. Raises :class:`Problem` if some are missing, or have expired.
    """
    present = [name for name in (CA, SERVER, CLIENT) if (folder / name).exists()]
    if not present:
        _make(folder)
        return True
    missing = [name for name in (CA, SERVER, CLIENT) if name not in present]
    if missing:
        raise Problem(f"{folder}: has {', '.join(present)} but not {', '.join(missing)}; name another folder")
    with usage_problems():
        leaf = load_identity("server", folder / SERVER).leaf
    if leaf.not_after < datetime.now(UTC):
        raise Problem(f"{folder}: the throw-away certificates have expired; remove the folder to have new ones made")
    return False


def _make(folder: Path) -> None:
    root = throwaway_authority()
    server = root.issue("localhost", hosts=HOSTS)
    client = root.issue("throw-away client", role=Role.CLIENT)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _write(folder / CA, root.pem)
        _write(folder / SERVER, _with_key(server))
        _write(folder / CLIENT, _with_key(client))
    except OSError as error:
        raise Problem(f"{folder}: cannot be written (--throw-away): {error.strerror}") from error


def _with_key(issued: Issued) -> bytes:
    return issued.chain_pem + issued.key_pem()


def _write(file: Path, data: bytes) -> None:
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
        stream.write(data)
