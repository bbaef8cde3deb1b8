"""The Redis store: what a real server keeps, and what becomes of handshakes when there is none."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.interop.process import HOST, Server, free_port, serve
from tests.support.redis import redis_command, redis_url
from tests.support.stores import KEY, Clock, Failures, session
from tlsexit.alerts import LocalError
from tlsexit.stores.redis import RedisSessionStore


@pytest.fixture
def prefix(tmp_path: Path) -> str:
    """What keeps the tests out of each other's way on one server."""
    return f"{tmp_path}:"


@pytest.fixture
def observer(redis_server: Server) -> Iterator[redis.Redis]:
    """The server seen by another client."""
    with closing(redis.Redis.from_url(redis_url(redis_server.port))) as client:
        yield client


def store_at(port: int, clock: Clock, failures: Failures, **elements: Any) -> RedisSessionStore:
    """A store whose server is there or not, with a time-out that a busy machine keeps."""
    return RedisSessionStore(redis_url(port), KEY, **{"clock": clock, "on_error": failures, "timeout": 5.0, **elements})


def test_redis_lets_sessions_expire(
    redis_server: Server, observer: redis.Redis, prefix: str, clock: Clock, failures: Failures
) -> None:
    """Each has what is left of its lifetime to live, in Redis's own time."""
    kept = session(clock)
    with store_at(redis_server.port, clock, failures, prefix=prefix, lifetime=1000.0) as store:
        clock.now += 400
        store.put(kept)
    left = observer.pttl(prefix.encode() + kept.session_id)
    assert 590_000 < left <= 600_000


def test_expiry_by_redis(redis_server: Server, prefix: str, clock: Clock, failures: Failures) -> None:
    kept = session(clock)
    with store_at(redis_server.port, clock, failures, prefix=prefix, lifetime=0.05) as store:
        store.put(kept)
        deadline = time.monotonic() + 10
        while store.get(kept.session_id) is not None:
            assert time.monotonic() < deadline
            time.sleep(0.01)
    assert failures == []


def test_redis_sees_ciphertext(
    redis_server: Server, observer: redis.Redis, prefix: str, clock: Clock, failures: Failures
) -> None:
    kept = session(clock, server_name="secret.example")
    with store_at(redis_server.port, clock, failures, prefix=prefix) as store:
        store.put(kept)
    content = observer.get(prefix.encode() + kept.session_id)
    assert isinstance(content, bytes)
    assert kept.master_secret not in content
    assert b"secret.example" not in content


@pytest.mark.parametrize("content", [b"", b"garbage", bytes(500)])
def test_spoilt_sessions(
    content: bytes, redis_server: Server, observer: redis.Redis, prefix: str, clock: Clock, failures: Failures
) -> None:
    """Removed, but for those that name a key which is not ours."""
    name = prefix.encode() + b"id"
    observer.set(name, content)
    with store_at(redis_server.port, clock, failures, prefix=prefix) as store:
        assert store.get(b"id") is None
    assert observer.exists(name) == (1 if len(content) > 28 else 0)
    assert failures == []


def test_a_key_of_another_type(
    redis_server: Server, observer: redis.Redis, prefix: str, clock: Clock, failures: Failures
) -> None:
    observer.lpush(prefix.encode() + b"id", b"list")
    with store_at(redis_server.port, clock, failures, prefix=prefix) as store:
        assert store.get(b"id") is None
    assert failures.operations == ["get"]


def test_sessions_go_when_redis_is_full(tmp_path: Path, redis_server: Server, clock: Clock, failures: Failures) -> None:
    """Bounding is Redis's affair: it evicts what it likes to stay within its memory."""
    limit = ["--maxmemory", "2mb", "--maxmemory-policy", "allkeys-lru"]
    with (
        serve([*redis_command(tmp_path), *limit], tmp_path / "log") as server,
        store_at(server.port, clock, failures) as store,
    ):
        kept = [session(clock, number, peer_chain=(bytes(10_000),)) for number in range(400)]
        for item in kept:
            store.put(item)
        found = [item for item in kept if store.get(item.session_id) == item]
        assert 0 < len(found) < 200
    assert failures == []


# ------------------------------------------------------------------------------------------------ Redis is down


def test_nobody_listens(clock: Clock, failures: Failures) -> None:
    with store_at(free_port(), clock, failures, pause=0.0) as store:
        store.put(session(clock))
        assert store.get(session(clock).session_id) is None
        store.remove(session(clock).session_id)
    assert failures.operations == ["put", "get", "remove"]
    assert all(isinstance(error, redis.ConnectionError) for _, error in failures)


def test_nobody_answers(clock: Clock, failures: Failures) -> None:
    """Connections that are accepted and left alone: the time-out is all that it costs, and not several of them."""
    with socket.create_server((HOST, 0)) as silent:
        port = silent.getsockname()[1]
        with store_at(port, clock, failures, timeout=0.1) as store:
            started = time.monotonic()
            assert store.get(b"id") is None
            assert 0.05 < time.monotonic() - started < 2
    assert failures.operations == ["get"]
    assert isinstance(failures[0][1], redis.TimeoutError)


def test_a_pause_after_a_failure(clock: Clock, failures: Failures) -> None:
    """A server that is down is not asked by every handshake."""
    with store_at(free_port(), clock, failures, pause=60.0) as store:
        for number in range(50):
            store.put(session(clock, number))
            assert store.get(session(clock, number).session_id) is None
    assert failures.operations == ["put"]


def test_pauses_grow_until_it_answers(
    redis_server: Server, tmp_path: Path, clock: Clock, failures: Failures, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that hangs holds up an event loop less and less often; one that is back is used as before."""
    now = [0.0]
    monkeypatch.setattr("tlsexit.stores.redis.monotonic", lambda: now[0])
    place = tmp_path / "socket"
    url = f"unix://{place}"
    with RedisSessionStore(url, KEY, clock=clock, on_error=failures, timeout=5.0, longest_pause=8.0) as store:

        def tried(seconds: int) -> list[int]:
            """At which of the next seconds the server was asked, in vain."""
            found = []
            for second in range(seconds):
                before = len(failures)
                store.put(session(clock))
                found += [second] * (len(failures) - before)
                now[0] += 1.0
            return found

        assert tried(24) == [0, 1, 3, 7, 15, 23]
        now[0] += 8.0
        with serve([*redis_command(tmp_path), "--unixsocket", place], tmp_path / "log"):
            assert tried(2) == []
        assert tried(4) == [0, 1, 3]


def test_redis_comes_and_goes(redis_server: Server, tmp_path: Path, clock: Clock, failures: Failures) -> None:
    """Nothing is needed to come back: what is put then is got again."""
    place = tmp_path / "socket"
    command = [*redis_command(tmp_path), "--unixsocket", place]
    url = f"unix://{place}"
    with RedisSessionStore(url, KEY, clock=clock, on_error=failures, timeout=5.0, pause=0.0) as store:
        store.put(session(clock, 1))
        with serve(command, tmp_path / "log-1"):
            assert store.get(session(clock, 1).session_id) is None
            store.put(session(clock, 2))
            assert store.get(session(clock, 2).session_id) is not None
        assert store.get(session(clock, 2).session_id) is None
        with serve(command, tmp_path / "log-2"):
            store.put(session(clock, 3))
            assert store.get(session(clock, 3).session_id) == session(clock, 3)
    assert failures.operations == ["put", "get"]


def test_a_wrong_password(redis_server: Server, tmp_path: Path, clock: Clock, failures: Failures) -> None:
    """One more way to be down; the right one is not shown by the report."""
    command = [*redis_command(tmp_path), "--requirepass", "right-one"]
    with serve(command, tmp_path / "log") as server:
        for password, works in (("wrong-one", False), ("right-one", True)):
            url = f"redis://:{password}@{HOST}:{server.port}/0"
            with RedisSessionStore(url, KEY, clock=clock, on_error=failures, timeout=5.0) as store:
                store.put(session(clock))
                assert (store.get(session(clock).session_id) is not None) is works
    assert failures.operations == ["put"]
    assert "-one" not in str(failures[0][1])


@pytest.mark.parametrize("elements", [{"timeout": 0.0}, {"timeout": -1.0}, {"pause": -1.0}, {"pause": 61.0}], ids=str)
def test_elements_that_make_no_sense(elements: dict[str, float], clock: Clock, failures: Failures) -> None:
    with pytest.raises(LocalError):
        store_at(6379, clock, failures, **elements)
