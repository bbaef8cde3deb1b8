"""How the tests run a Redis server."""

from __future__ import annotations

from pathlib import Path

from tests.interop.process import HOST, Command


def redis_command(folder: Path) -> Command:
    """A server on loopback that forgets everything when it ends."""
    command: Command = ["redis-server", "--port", "{port}", "--bind", HOST, "--dir", folder]
    return [*command, "--save", "", "--appendonly", "no"]


def redis_url(port: int) -> str:
    """Where it is found."""
    return f"redis://{HOST}:{port}/0"
