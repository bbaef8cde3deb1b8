"""Where examples are kept from run to run: Hypothesis's own databases."""

from __future__ import annotations

from pathlib import Path

from hypothesis.database import DirectoryBasedExampleDatabase, ExampleDatabase


def on_disk(folder: Path) -> ExampleDatabase:
    """Return a database in a folder."""
    return DirectoryBasedExampleDatabase(folder)


def shared(url: str) -> ExampleDatabase:
    """Return a database in Redis, at ``redis://HOST:PORT/N``, which several machines can use at once."""
    from hypothesis.extra.redis import RedisExampleDatabase
    from redis import Redis

    return RedisExampleDatabase(Redis.from_url(url))
