"""``tlsexit c-exit``: where the files for exits in C are."""

from __future__ import annotations

from pathlib import Path

from tests.support.command import run
from tlsexit.cli import codes


def test_the_folder_for_the_compiler() -> None:
    ran = run("c-exit", "include")
    assert (ran.status, ran.err) == (codes.OK, "")
    assert (Path(ran.out.rstrip("\n")) / "cftpkie.h").is_file()


def test_the_sample() -> None:
    assert Path(run("c-exit", "sample").out.rstrip("\n")).read_text().startswith("/*\n * sample_exit.c")


def test_anything_else() -> None:
    assert run("c-exit", "header").status == codes.USAGE
