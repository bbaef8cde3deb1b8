"""Writing in the folder of a key store: whole files or none, one writer at a time, readable by the owner alone."""

from __future__ import annotations

import os
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

if sys.platform == "win32":
    import msvcrt

    def _try_lock(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _try_lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


@contextmanager
def locked(folder: Path, patience: float = _PATIENCE) -> Iterator[None]:
    """Keep every other writer out; the system lets go of the lock if this process dies.

    Waits up to ``patience`` seconds. Raises :class:`LocalError` if that is not enough, or the folder is not writable.
    """
    try:
        descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, _PRIVATE)
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
