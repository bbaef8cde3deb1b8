"""Sessions in an SQLite file, for several processes on one machine and across restarts."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import ClassVar, Final

from tlsexit.alerts import LocalError
from tlsexit.stores.base import OnError, SealedSessionStore, log_error

_APPLICATION_ID: Final = 0x544C5365
"""Marks the file as ours, so that nobody else's database is written to."""

_SCHEMA_VERSION: Final = 1

_SCHEMA: Final = f"""
BEGIN IMMEDIATE;
CREATE TABLE session (id BLOB PRIMARY KEY, expires REAL NOT NULL, sealed BLOB NOT NULL);
CREATE INDEX session_expires ON session (expires);
PRAGMA application_id = {_APPLICATION_ID};
PRAGMA user_version = {_SCHEMA_VERSION};
COMMIT;
"""

_OPENING_TIMEOUT: Final = 10.0
"""Seconds for opening, which no handshake waits for: several processes may be creating the file at the same time."""


@dataclass(frozen=True, slots=True)
class _Handle:
    """A connection to the database; no process uses another's, not even its parent's."""

    database: sqlite3.Connection
    process: int = field(default_factory=os.getpid)
    lock: Lock = field(default_factory=Lock)


class SQLiteSessionStore(SealedSessionStore):
    """A session store in the file ``path``, which is made if it is not there, readable and writable by its owner only.

    ``key`` and the other elements are those of :class:`~tlsexit.stores.base.SealedSessionStore`. At most ``capacity``
    sessions are kept: the oldest go first, in use or not. An operation that other processes keep waiting for more than
    ``timeout`` seconds is given up, as any that fails.

    Several processes may open the file, threads may share a store, and a process that forks may go on with it in both.
    A closed store knows no session and keeps none. Raises :class:`LocalError` if the file is something else, and
    ``OSError`` or ``sqlite3.Error`` if it cannot be opened.
    """

    ERRORS: ClassVar[tuple[type[Exception], ...]] = (sqlite3.Error, OSError, LocalError)

    def __init__(
        self,
        path: str | os.PathLike[str],
        key: bytes,
        *,
        old_keys: Iterable[bytes] = (),
        context: bytes = b"",
        clock: Callable[[], float] = time.time,
        capacity: int = 20_000,
        lifetime: float = 86_400.0,
        timeout: float = 0.25,
        on_error: OnError = log_error,
    ) -> None:
        super().__init__(key, old_keys=old_keys, context=context, clock=clock, lifetime=lifetime, on_error=on_error)
        if capacity < 1:
            raise LocalError("a session store has room for at least one session")
        self._path = Path(path).absolute()
        self._capacity = capacity
        self._timeout = timeout
        self._inherited: list[_Handle] = []
        self._handle: _Handle | None = self._open()

    def close(self) -> None:
        """Close the file; safe to repeat."""
        handle, self._handle = self._handle, None
        if handle is not None and handle.process == os.getpid():
            with handle.lock:
                handle.database.close()

    def __len__(self) -> int:
        """How many sessions the file holds, expired ones that nobody has come across included."""
        handle = self._own_handle()
        if handle is None:
            return 0
        with handle.lock:
            return _count(handle.database)

    def _load(self, session_id: bytes) -> object:
        handle = self._own_handle()
        if handle is None:
            return None
        with handle.lock:
            row = handle.database.execute("SELECT sealed FROM session WHERE id = ?", (session_id,)).fetchone()
        return None if row is None else row[0]

    def _save(self, session_id: bytes, sealed: bytes, expires: float) -> None:
        handle = self._own_handle()
        if handle is None:
            return
        with handle.lock, handle.database as database:  # the latter commits, or rolls back
            database.execute("BEGIN IMMEDIATE")
            database.execute("INSERT OR REPLACE INTO session VALUES (?, ?, ?)", (session_id, expires, sealed))
            database.execute("DELETE FROM session WHERE expires <= ?", (self._clock(),))
            surplus = _count(database) - self._capacity
            if surplus > 0:
                oldest = "SELECT rowid FROM session ORDER BY expires, rowid LIMIT ?"
                database.execute(f"DELETE FROM session WHERE rowid IN ({oldest})", (surplus,))

    def _delete(self, session_id: bytes) -> None:
        handle = self._own_handle()
        if handle is not None:
            with handle.lock:
                handle.database.execute("DELETE FROM session WHERE id = ?", (session_id,))

    def _own_handle(self) -> _Handle | None:
        handle = self._handle
        if handle is not None and handle.process != os.getpid():
            # forked: the parent's connection must be neither used nor closed here
            self._inherited.append(handle)
            handle = self._handle = self._open()
        return handle

    def _open(self) -> _Handle:
        os.close(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600))
        # before SQLite makes its other two files, which get the same mode
        self._path.chmod(0o600)
        database = sqlite3.connect(self._path, timeout=_OPENING_TIMEOUT, isolation_level=None, check_same_thread=False)
        try:
            self._prepare(database)
        except BaseException:
            database.close()
            raise
        return _Handle(database)

    def _prepare(self, database: sqlite3.Connection) -> None:
        try:
            _set_up(database)
            found = (_pragma(database, "application_id"), _pragma(database, "user_version"))
            if found != (_APPLICATION_ID, _SCHEMA_VERSION):
                raise LocalError(f"{self._path}: not a session store of this version")
            # sessions can be lost without harm, the file must not break: no waiting for the disk at each commit
            database.execute("PRAGMA synchronous = NORMAL")
            database.execute("PRAGMA secure_delete = ON")
            database.execute(f"PRAGMA busy_timeout = {round(self._timeout * 1000)}")
        except sqlite3.OperationalError:
            raise
        except sqlite3.DatabaseError as error:
            raise LocalError(f"{self._path}: not a database, or a damaged one") from error
        # damaged text would raise when read; as bytes it is found not to open, like any damage
        database.text_factory = bytes


def _set_up(database: sqlite3.Connection) -> None:
    """Make the table in a new, empty file; leave any other alone."""
    deadline = time.monotonic() + _OPENING_TIMEOUT
    while _is_empty(database):
        try:
            # readers do not wait for writers then
            database.execute("PRAGMA journal_mode = WAL")
            database.executescript(_SCHEMA)
        except sqlite3.OperationalError:
            if database.in_transaction:
                database.rollback()
            # another process was faster: then the file is no longer empty, or will not be for long
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def _is_empty(database: sqlite3.Connection) -> bool:
    return _pragma(database, "schema_version") == 0 and _pragma(database, "application_id") == 0


def _pragma(database: sqlite3.Connection, name: str) -> int:
    value: int = database.execute(f"PRAGMA {name}").fetchone()[0]
    return value


def _count(database: sqlite3.Connection) -> int:
    number: int = database.execute("SELECT count(*) FROM session").fetchone()[0]
    return number
