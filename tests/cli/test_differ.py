"""``tlsexit fuzz differ``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.command import run


def test_it_shows_where_two_implementations_differ(tmp_path: Path) -> None:
    report, scripts = tmp_path / "report.json", tmp_path / "scripts"
    done = run("fuzz", "differ", "self", "ssl", "--examples", "120", "--json", str(report), "--out", str(scripts))
    assert done.status == 1
    found = json.loads(report.read_text())
    assert "R2246-6.2-01" in {item["about"] for item in found}
    assert f"120 scripts, {len(found)} kinds of difference" in done.out
    assert len(list(scripts.iterdir())) == len(found)
    replayed = run("replay", "self", str(scripts / "01.json"))
    assert "ClientHello" in replayed.out


def test_known_differences_are_no_failure(tmp_path: Path) -> None:
    report, known = tmp_path / "report.json", tmp_path / "known.toml"
    words = ("fuzz", "differ", "self", "ssl", "--examples", "80")
    run(*words, "--json", str(report))
    found = json.loads(report.read_text())
    assert found
    known.write_text("".join(f"[[difference]]\nabout = '{i['about']}'\nkinds = {i['kinds']}\n" for i in found))
    assert run(*words, "--known", str(known)).status == 0


def test_a_target_does_not_differ_from_itself() -> None:
    done = run("fuzz", "differ", "self", "self", "--examples", "150")
    assert (done.status, done.err) == (0, "")
    assert "150 scripts, 0 kinds of difference" in done.out


def test_clients() -> None:
    done = run("fuzz", "differ", "--clients", "self", "ssl", "--examples", "120")
    assert "R2246-6.2-01: empty_handshake" in done.out


@pytest.mark.parametrize("targets", [("localhost:1", "self"), ("self", "localhost:1")])
def test_who_cannot_be_reached_is_named(targets: tuple[str, str]) -> None:
    done = run("fuzz", "differ", *targets)
    assert done.status == 3
    assert "localhost:1 cannot be reached" in done.err


def test_without_hypothesis(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tlsexit.cli.fuzzing.find_spec", lambda name: None)
    done = run("fuzz", "differ", "self", "ssl")
    assert done.status == 2
    assert done.problem.startswith("fuzzing needs Hypothesis")


def test_mistakes(tmp_path: Path) -> None:
    wrong = tmp_path / "known.toml"
    wrong.write_text("difference = 1\n")
    other = tmp_path / "other.toml"
    other.write_text("[[\n")
    for words, said in (
        (("self",), "two targets"),
        (("self", "self:client"), "--clients"),
        (("self", "true --port"), "{port}"),
        (("self", "true '{port}"), "No closing quotation"),
        (("self", "ssl", "--known", str(wrong)), "no list of differences"),
        (("self", "ssl", "--known", str(other)), "no list of differences"),
        (("self", "ssl", "--known", str(tmp_path / "none")), "No such file"),
    ):
        done = run("fuzz", "differ", *words)
        assert done.status == 2
        assert said in done.err
