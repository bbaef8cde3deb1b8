"""The page about resumption does what it says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.support.ends import RSA, client_end, handshake, server_end
from tlsexit.stores import SQLiteSessionStore

PAGE = (Path(__file__).parents[2] / "docs" / "resumption.md").read_text(encoding="utf-8")
EXAMPLES: list[str] = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def test_the_examples_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server with a file and tickets resumes by both; keys that were imported open the other's tickets."""
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for example in EXAMPLES:
        exec(example, names)
    assert (tmp_path / "session.key").stat().st_mode & 0o777 == 0o600
    assert callable(names["fetch"])
    assert isinstance(names["store"], SQLiteSessionStore)
    shared = {"session_store": names["store"], "tickets": names["config"].tickets}
    with names["store"]:
        for tickets in (False, True):
            session = None
            for _ in range(2):
                client = client_end(RSA, session=session, session_tickets=tickets)
                handshake(client, server_end(RSA, config=shared))
                resumed, session = client.connection.context.resumed, client.connection.session
            assert resumed
            assert session is not None
            assert bool(session.ticket) is tickets
    assert names["elsewhere"].open(names["keys"].seal(session)) is not None
