"""The file in which a peer's chain is recorded (the profile's ``certificate_file_root``): DER, leaf first.

The certificates follow each other; tools that expect one read the leaf. Each session has a file of its own, which is
made anew, is readable by its owner alone, and never follows a link. Nobody but the owner of the folder, root, or, where
the sticky bit keeps others from taking files away, any user may be able to write there.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from tlsexit.alerts import LocalError

_FLAGS: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
_ATTEMPTS: Final = 8
_HAS_DIRECTORIES: Final = os.open in os.supports_dir_fd


def record_chain(root: str, chain: Sequence[bytes]) -> str:
    """Write a chain to a new file whose name begins with ``root``, and return its path.

    The name goes on with the time in UTC and eight random digits: ``root.20261125T120000Z.5f0c2a91.der``. Raises
    :class:`LocalError` if that is impossible, and leaves no part of a file behind.
    """
    path = Path(root + ("x" if root.endswith(os.sep) else ""))  # a root that is a folder has files without a prefix
    prefix = "" if root.endswith(os.sep) else path.name + "."
    try:
        with _folder(path.parent) as descriptor:
            for _ in range(_ATTEMPTS):
                name = f"{prefix}{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}.{os.urandom(4).hex()}.der"
                with suppress(FileExistsError):
                    _write(path.parent, descriptor, name, b"".join(chain))
                    return str(path.parent / name)
    except OSError as error:
        raise LocalError(f"{path.parent}: the peer's chain cannot be recorded: {error.strerror}") from error
    raise LocalError(f"{path.parent}: the peer's chain cannot be recorded: no name is free")


@contextmanager
def _folder(folder: Path) -> Iterator[int | None]:
    """Open a folder that others cannot tamper with; None where the system does not open folders."""
    if not _HAS_DIRECTORIES:
        yield None
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        mode = os.fstat(descriptor).st_mode
        if mode & (stat.S_IWGRP | stat.S_IWOTH) and not mode & stat.S_ISVTX:
            raise LocalError(f"{folder}: the peer's chain cannot be recorded: others may write in this folder")
        yield descriptor
    finally:
        os.close(descriptor)


def _write(folder: Path, descriptor: int | None, name: str, data: bytes) -> None:
    target = name if descriptor is not None else str(folder / name)
    file = os.open(target, _FLAGS, 0o600, dir_fd=descriptor)
    try:
        with os.fdopen(file, "wb") as stream:
            stream.write(data)
    except BaseException:
        with suppress(OSError):
            os.unlink(target, dir_fd=descriptor)
        raise
