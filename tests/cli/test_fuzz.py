"""``tlsexit fuzz`` and ``tlsexit replay``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests import faults
from tlsexit.cli import codes
from tlsexit.cli import fuzz as command
from tlsexit.cli.app import cli


def run(*words: str) -> Result:
    return CliRunner().invoke(cli, list(words))


@pytest.mark.parametrize("configuration", ["server-everything", "client-everything"])
def test_nothing_is_found_in_tlsexit_itself(configuration: str, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    result = run("fuzz", "self", configuration, "--examples", "200", "--json", str(report))
    assert result.exit_code == codes.OK, result.output
    found = json.loads(report.read_text())
    assert found["conversations"] >= 200
    assert not found["findings"]


def test_a_finding_is_written_reported_and_replayed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fault = faults.target(faults.FAULTS["alert-level-ignored"])
    monkeypatch.setattr(command, "own_target", lambda name, made: fault)
    page = tmp_path / "report.html"
    out = tmp_path / "findings"
    result = run("fuzz", "self", "--examples", "150", "--out", str(out), "--html", str(page))
    assert result.exit_code == codes.FAILED, result.output
    (file,) = sorted(out.iterdir())[:1]
    assert "R2246-7.2-02" in result.output
    assert f"tlsexit replay self {file}" in result.output
    assert "R2246-7.2-02" in page.read_text()
    again = run("replay", "self", str(file))
    assert again.exit_code == codes.FAILED
    assert "Alert" in again.output
    assert "accepted" in again.output
    corpus = run("fuzz", "self", "--examples", "30", "--corpus", str(out))
    assert corpus.exit_code == codes.FAILED
    monkeypatch.undo()
    healthy = run("replay", "self", str(file))
    assert healthy.exit_code == codes.OK, healthy.output
    assert "nothing is wrong" in healthy.output


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("fuzz", "self", "nowhere"), "no configuration nowhere"),
        (("fuzz", "server", "no-port"), "port"),
        (("fuzz", "server", "--examples", "1", "a", "command"), "{port}"),
        (("fuzz", "client"), "--listen"),
        (("replay", "self", "/does/not/exist.json"), "No such file"),
    ],
)
def test_mistakes_are_told_in_one_line(words: tuple[str, ...], said: str) -> None:
    result = run(*words)
    assert result.exit_code == codes.USAGE
    assert said in result.output
    assert len(result.output.strip().splitlines()) <= 4


def test_a_target_that_is_not_there(tmp_path: Path) -> None:
    result = run("fuzz", "server", "127.0.0.1:1", "--examples", "1")
    assert result.exit_code == codes.NETWORK
    assert "cannot be reached" in result.output


def test_a_script_is_for_one_role(tmp_path: Path) -> None:
    file = tmp_path / "script.json"
    file.write_text('{"format": 1, "role": "client", "suite": "TLS_RSA_WITH_AES_128_CBC_SHA", "legs": []}')
    result = run("replay", "self", str(file), "client-everything")
    assert result.exit_code == codes.USAGE
    assert "a script for a server" in result.output


def test_examples_are_kept_on_disk(tmp_path: Path) -> None:
    result = run("fuzz", "self", "client", "--examples", "60", "--database", str(tmp_path / "examples"))
    assert result.exit_code == codes.OK, result.output
