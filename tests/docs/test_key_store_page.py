"""docs/key-store.md: its examples work, and its tables say what is so."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from tests.support.command import run
from tests.support.pages import DOCS, blocks, play
from tests.support.pki import NOW, pki
from tlsexit.alerts import AlertDescription
from tlsexit.keystore import Kind, LivePki
from tlsexit.policy import BuiltinPki

PAGE = "key-store.md"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with the files that the page speaks of."""
    monkeypatch.chdir(tmp_path)
    server, root = pki().server, pki().root
    (tmp_path / "password.txt").write_text("secret\n", encoding="utf-8")
    (tmp_path / "ours.pem").write_bytes(server.chain_pem + server.key_pem())
    (tmp_path / "ca.pem").write_bytes(root.pem)
    revoked = root.revocation_list([], last_update=NOW, next_update=NOW + timedelta(1))
    (tmp_path / "crl.pem").write_bytes(revoked.public_bytes(Encoding.PEM))
    return tmp_path


def test_the_life_of_a_store(folder: Path) -> None:
    (session,) = blocks(PAGE, "console")
    play(session)
    assert [item["id"] for item in run("pki", "list", "--json", "store").json["entries"]] == ["ROOT1", "REVOKED"]


def test_the_example_in_python(folder: Path) -> None:
    (example,) = blocks(PAGE, "python")
    names: dict[str, Any] = {}
    exec(example, names)
    assert isinstance(names["pki"], BuiltinPki)
    assert isinstance(names["live"], LivePki)


def test_the_alerts_have_their_numbers() -> None:
    page = (DOCS / PAGE).read_text(encoding="utf-8")
    named = re.findall(r"`(\w+)\((\d+)\)` \|$", page, re.MULTILINE)
    assert len(named) > 5
    for name, number in named:
        assert AlertDescription[name.upper()] == int(number)


def test_every_kind_of_file_is_named() -> None:
    page = (DOCS / PAGE).read_text(encoding="utf-8")
    assert len(re.findall(r"^\| `ID\.", page, re.MULTILINE)) == len(Kind)
