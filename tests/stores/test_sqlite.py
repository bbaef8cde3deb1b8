"""The SQLite store: its file, its bounds, its processes, and what is wrong with files."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.support.stores import KEY, Clock, Failures, session
from tlsexit.alerts import LocalError
from tlsexit.session import Session
from tlsexit.stores import SQLiteSessionStore

POSIX = pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX's")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "sessions.db"


class Stores:
    """Makes stores over one file and closes them all."""

    def __init__(self, path: Path, clock: Clock, failures: Failures) -> None:
        self.path = path
        self.defaults = {"clock": clock, "on_error": failures}
        self.made: list[SQLiteSessionStore] = []

    def __call__(self, **elements: Any) -> SQLiteSessionStore:
        store = SQLiteSessionStore(self.path, KEY, **{**self.defaults, **elements})
        self.made.append(store)
        return store


@pytest.fixture
def stores(path: Path, clock: Clock, failures: Failures) -> Iterator[Stores]:
    made = Stores(path, clock, failures)
    yield made
    for store in made.made:
        store.close()


def rows(path: Path) -> list[tuple[Any, ...]]:
    """What is in the file, read by SQLite without us."""
    with closing(sqlite3.connect(path)) as database:
        return database.execute("SELECT id, expires, sealed FROM session ORDER BY expires").fetchall()


def change(path: Path, statement: str, *values: Any) -> None:
    """Change the file behind the store's back."""
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(statement, values)


# ------------------------------------------------------------------------------------------------ the file


@POSIX
def test_the_owner_alone_reads_it(stores: Stores, clock: Clock) -> None:
    """The file and the two that SQLite puts beside it."""
    store = stores()
    store.put(session(clock))
    files = list(stores.path.parent.iterdir())
    assert {file.name for file in files} == {"sessions.db", "sessions.db-wal", "sessions.db-shm"}
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


@POSIX
def test_an_open_file_is_closed_to_others(stores: Stores) -> None:
    stores().close()
    stores.path.chmod(0o644)
    stores().close()
    assert stat.S_IMODE(stores.path.stat().st_mode) == 0o600


def test_a_restart(stores: Stores, clock: Clock) -> None:
    kept = session(clock)
    with stores() as store:
        store.put(kept)
    assert stores().get(kept.session_id) == kept


def test_nothing_is_readable_in_the_files(stores: Stores, clock: Clock) -> None:
    kept = session(clock, server_name="secret.example", peer_chain=(b"certificate",))
    stores().put(kept)
    for file in stores.path.parent.iterdir():
        content = file.read_bytes()
        for hidden in (kept.master_secret, b"secret.example", b"certificate"):
            assert hidden not in content


def test_the_path_is_always_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    """Not a private database in memory, and not another file once the process has moved elsewhere."""
    monkeypatch.chdir(tmp_path)
    with SQLiteSessionStore(":memory:", KEY, clock=clock) as store:
        store.put(session(clock))
    assert len(rows(tmp_path / ":memory:")) == 1


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(OSError):
        SQLiteSessionStore(tmp_path / "none" / "sessions.db", KEY)


def test_a_file_that_is_no_database(path: Path) -> None:
    """It is left as it was."""
    path.write_bytes(b"precious" * 1000)
    with pytest.raises(LocalError, match="not a database"):
        SQLiteSessionStore(path, KEY)
    assert path.read_bytes() == b"precious" * 1000


def test_a_database_of_somebody_else(path: Path) -> None:
    """It is not written to."""
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE precious (thing)")
    before = path.read_bytes()
    with pytest.raises(LocalError, match="not a session store"):
        SQLiteSessionStore(path, KEY)
    assert path.read_bytes() == before


def test_a_store_of_another_version(stores: Stores) -> None:
    stores().close()
    change(stores.path, "PRAGMA user_version = 99")
    with pytest.raises(LocalError, match="of this version"):
        stores()


def test_closing(stores: Stores, clock: Clock, failures: Failures) -> None:
    """A connection that ends later does not mind."""
    kept = session(clock)
    store = stores()
    store.put(kept)
    store.close()
    store.close()
    assert store.get(kept.session_id) is None
    store.put(session(clock, 1))
    store.remove(kept.session_id)
    assert len(store) == 0
    assert failures == []
    assert stores().get(kept.session_id) == kept


# ------------------------------------------------------------------------------------------------ bounds


def test_capacity(stores: Stores, clock: Clock) -> None:
    """The oldest go first."""
    store = stores(capacity=3)
    kept = []
    for number in range(10):
        kept.append(session(clock, number))
        store.put(kept[-1])
        clock.now += 1
        assert len(store) == min(number + 1, 3)
    assert [store.get(item.session_id) for item in kept] == [None] * 7 + kept[7:]


def test_the_expired_make_room(stores: Stores, clock: Clock) -> None:
    store = stores(lifetime=100.0)
    for number in range(5):
        store.put(session(clock, number))
    clock.now += 100
    store.put(session(clock, 9))
    assert [row[0] for row in rows(stores.path)] == [session(clock, 9).session_id]


def test_the_same_session_takes_one_place(stores: Stores, clock: Clock) -> None:
    store = stores(capacity=2)
    other = session(clock, 1)
    store.put(other)
    for _ in range(5):
        store.put(session(clock))
    assert store.get(other.session_id) == other


@pytest.mark.parametrize("capacity", [0, -1])
def test_no_room_at_all(capacity: int, path: Path) -> None:
    with pytest.raises(LocalError):
        SQLiteSessionStore(path, KEY, capacity=capacity)


# ------------------------------------------------------------------------------------------------ spoilt files


@pytest.mark.parametrize(
    "expression",
    ["x''", "x'00'", "zeroblob(3000)", "'text'", "12.5", "substr(sealed, 1, 60)", "sealed || x'00'"],
)
def test_spoilt_rows_are_removed(expression: str, stores: Stores, clock: Clock, failures: Failures) -> None:
    """All but those that name a key which is not ours: they may be somebody's."""
    store, kept, other = stores(), session(clock, 1), session(clock, 2)
    store.put(kept)
    store.put(other)
    change(stores.path, f"UPDATE session SET sealed = {expression} WHERE id = ?", kept.session_id)
    assert store.get(kept.session_id) is None
    assert store.get(other.session_id) == other
    assert len(rows(stores.path)) == (2 if "zeroblob" in expression else 1)
    assert failures == []


def test_a_row_under_another_id(stores: Stores, clock: Clock) -> None:
    store, kept = stores(), session(clock)
    store.put(kept)
    change(stores.path, "UPDATE session SET id = x'00'")
    assert store.get(b"\0") is None
    assert rows(stores.path) == []


def test_a_row_that_claims_to_live_longer(stores: Stores, clock: Clock) -> None:
    store, kept = stores(lifetime=100.0), session(clock)
    store.put(kept)
    change(stores.path, "UPDATE session SET expires = 1e18")
    clock.now += 100
    assert store.get(kept.session_id) is None


def test_a_table_that_is_gone(stores: Stores, clock: Clock, failures: Failures) -> None:
    """Then there is no store; handshakes go on."""
    store, kept = stores(), session(clock)
    change(stores.path, "DROP TABLE session")
    store.put(kept)
    assert store.get(kept.session_id) is None
    store.remove(kept.session_id)
    assert failures.operations == ["put", "get", "remove"]
    assert all(isinstance(error, sqlite3.Error) for _, error in failures)


def test_a_damaged_file(stores: Stores, clock: Clock) -> None:
    with stores() as store:
        store.put(session(clock))
    content = bytearray(stores.path.read_bytes())
    content[100:] = b"\xa5" * (len(content) - 100)
    stores.path.write_bytes(content)
    with pytest.raises(LocalError, match="damaged"):
        stores()


# ------------------------------------------------------------------------------------------------ several processes


def test_a_file_that_is_locked(stores: Stores, clock: Clock, failures: Failures) -> None:
    """Writing is given up after the time-out; reading does not wait at all; afterwards all is well."""
    store, kept = stores(timeout=0.05), session(clock, 1)
    store.put(kept)
    with closing(sqlite3.connect(stores.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        store.put(session(clock, 2))
        store.remove(kept.session_id)
        assert failures.operations == ["put", "remove"]
        assert store.get(kept.session_id) == kept
    store.remove(kept.session_id)
    assert store.get(kept.session_id) is None
    assert len(failures) == 2


PROGRAM = """
import sys
from dataclasses import replace
from tlsexit.stores import SQLiteSessionStore
from tlsexit.session import Session

path, number = sys.argv[1], int(sys.argv[2])
failures = []
with SQLiteSessionStore(
    path, bytes(range(32)), clock=lambda: 0.0, timeout=30.0, on_error=lambda *failure: failures.append(failure)
) as store:
    plain = Session(b"", 0x0301, 0x002F, bytes(48), 0.0)
    for step in range(50):
        session = replace(plain, session_id=b"%d-%d" % (number, step))
        store.put(session)
        assert store.get(session.session_id) == session, failures
        if step % 2:
            store.remove(session.session_id)
assert not failures, failures
"""


def test_processes(path: Path) -> None:
    """Started at once on a file that is not there yet, they make it together and lose nothing."""

    def run(number: int) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", PROGRAM, path, str(number)], capture_output=True, text=True, timeout=100, check=False
        )

    with ThreadPoolExecutor(5) as pool:
        for done in pool.map(run, range(5)):
            assert done.returncode == 0, done.stderr
    assert len(rows(path)) == 5 * 25


def test_a_server_writes_and_another_removes(stores: Stores, clock: Clock) -> None:
    """R2246-7.2-03: what one process invalidates no other resumes."""
    one, other = stores(), stores()
    kept: Session = session(clock)
    one.put(kept)
    assert other.get(kept.session_id) == kept
    other.remove(kept.session_id)
    assert one.get(kept.session_id) is None
