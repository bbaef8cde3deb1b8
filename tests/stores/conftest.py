"""A clock for stores, an SQLite file, and a Redis server of the tests' own."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.interop.process import Server, serve
from tests.support.redis import redis_command, redis_url
from tests.support.stores import KEY, Clock, Failures
from tlsexit.stores import SealedSessionStore, SQLiteSessionStore

MakeStore = Callable[..., SealedSessionStore]


@pytest.fixture
def clock() -> Clock:
    """A clock that goes when it is told to."""
    return Clock()


@pytest.fixture
def failures() -> Failures:
    """What a store reports."""
    return Failures()


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A Redis server on a free port, which keeps nothing on disk.

    Without redis-server the test is skipped, or fails if TLSEXIT_REQUIRE_PEERS is 1.
    """
    if shutil.which("redis-server") is None:
        reason = "no redis-server (install Debian's redis-server)"
        if os.environ.get("TLSEXIT_REQUIRE_PEERS") == "1":
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("redis")
    with serve(redis_command(folder), folder / "log") as server:
        yield server


@pytest.fixture(params=["sqlite", "redis"])
def make_store(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock, failures: Failures) -> Iterator[MakeStore]:
    """Make a store of one kind; all that a test makes share one file or one server, and fail loudly."""
    made: list[SealedSessionStore] = []

    def make(key: bytes = KEY, **elements: Any) -> SealedSessionStore:
        elements = {"clock": clock, "on_error": failures, **elements}
        store: SealedSessionStore
        if request.param == "sqlite":
            store = SQLiteSessionStore(tmp_path / "sessions.db", key, **elements)
        else:
            from tlsexit.stores.redis import RedisSessionStore

            # machines slower than a quarter of a second are no failures here
            elements = {"timeout": 20.0, "prefix": f"{tmp_path}:", **elements}
            store = RedisSessionStore(redis_url(request.getfixturevalue("redis_server").port), key, **elements)
        made.append(store)
        return store

    yield make
    for store in made:
        store.close()
    assert failures == []
