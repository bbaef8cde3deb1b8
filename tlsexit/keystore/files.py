"""The folder of a key store: whole files or none, one writer at a time, readable by the owner alone, and no links.

Who can write in the folder says whom to trust: it must be the owner alone. Files are opened without following links,
and links among them are refused, so that nothing outside the folder is read or overwritten by way of it.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from tlsexit.alerts import LocalError

LOCK: Final = "lock"
"""The file that writers lock. It stays: removing it would let two writers lock two files."""

_PRIVATE: Final = 0o600
_PATIENCE: Final = 10.0
"""Seconds to wait for another writer."""

_NO_LINK: Final = getattr(os, "O_NOFOLLOW", 0)

if sys.platform == "win32":
    import msvcrt

    def _try_lock(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _try_lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def make_private(folder: Path) -> None:
    """Make a folder that is for its owner alone, or make it so if it is there. Raises ``OSError``."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if os.name == "posix":
        folder.chmod(0o700)


def check_private(folder: Path) -> None:
    """Raise :class:`LocalError` if others may write in a folder. Raises ``OSError`` if there is none."""
    if os.name == "posix" and folder.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise LocalError(f"{folder}: others may write there, and so say whom to trust; forbid it with chmod go-w")


def check_own(file: Path) -> Path:
    """Return ``file``; :class:`LocalError` if it is a link, or something else that no key store has made."""
    try:
        mode = file.lstat().st_mode
    except OSError as error:
        raise LocalError(f"{file}: cannot be read: {error.strerror}") from error
    if not stat.S_ISREG(mode):
        raise LocalError(
            f"{file}: is {'a link' if stat.S_ISLNK(mode) else 'no file'}; a key store has files of its own"
        )
    return file


def read_own(file: Path) -> bytes:
    """Return the content of a file that is not a link; :class:`LocalError` if it is one. Raises ``OSError``."""
    try:
        descriptor = os.open(file, os.O_RDONLY | _NO_LINK | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except OSError as error:
        if error.errno == errno.ELOOP:
            check_own(file)
        raise
    with os.fdopen(descriptor, "rb") as stream:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise LocalError(f"{file}: is no file; a key store has files of its own")
        return stream.read()


@contextmanager
def locked(folder: Path, patience: float = _PATIENCE) -> Iterator[None]:
    """Keep every other writer out; the system lets go of the lock if this process dies.

    Waits up to ``patience`` seconds. Raises :class:`LocalError` if that is not enough, or the folder is not writable.
    """
    try:
        descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | _NO_LINK, _PRIVATE)
    except OSError as error:
        raise LocalError(f"{folder}: cannot be written: {error.strerror}") from error
    try:
        end = time.monotonic() + patience
        while True:
            try:
                _try_lock(descriptor)
                break
            except OSError as error:
                if time.monotonic() >= end:
                    raise LocalError(f"{folder}: another process is writing to this key store") from error
                time.sleep(0.02)
        yield
    finally:
        os.close(descriptor)


def write_whole(file: Path, data: bytes) -> None:
    """Write or replace a file so that a reader finds the old content or the new, even if this process dies.

    Raises :class:`LocalError`.
    """
    draft = file.with_name(f"{file.name}.{os.urandom(4).hex()}.new")
    try:
        try:
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _PRIVATE), "wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            os.replace(draft, file)
        except BaseException:
            with suppress(OSError):
                draft.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise LocalError(f"{file}: cannot be written: {error.strerror}") from error
    _sync_folder(file.parent)


def remove(file: Path) -> None:
    """Remove a file that may be gone already; :class:`LocalError` if that fails."""
    try:
        file.unlink(missing_ok=True)
    except OSError as error:
        raise LocalError(f"{file}: cannot be removed: {error.strerror}") from error


def _sync_folder(folder: Path) -> None:
    """Make the names in a folder durable, where the system can."""
    if sys.platform != "win32":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
