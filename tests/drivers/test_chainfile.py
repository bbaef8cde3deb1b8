"""The files in which chains are recorded: new, for their owner alone, never through a link, whole or not at all."""

from __future__ import annotations

import os
import resource
import stat
import subprocess
import time
from pathlib import Path

import pytest

from tests.support.pki import pki
from tlsexit.alerts import LocalError
from tlsexit.drivers.chainfile import record_chain

CHAIN = pki().intermediate_client.chain


@pytest.fixture
def still(monkeypatch: pytest.MonkeyPatch) -> str:
    """Time and chance stand still: the name of the next file, less its root."""
    monkeypatch.setattr(time, "gmtime", lambda: time.struct_time((2026, 1, 2, 3, 4, 5, 0, 0, 0)))
    monkeypatch.setattr(os, "urandom", lambda size: b"\xab" * size)
    return "20260102T030405Z.abababab.der"


def test_a_file_of_its_own(tmp_path: Path, still: str) -> None:
    path = Path(record_chain(str(tmp_path / "peer"), CHAIN))
    assert path == tmp_path / f"peer.{still}"
    assert path.read_bytes() == b"".join(CHAIN)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert Path(record_chain(f"{tmp_path}/", CHAIN)) == tmp_path / still


def test_openssl_reads_the_leaf(tmp_path: Path) -> None:
    path = record_chain(str(tmp_path / "peer"), CHAIN)
    command = ["openssl", "x509", "-inform", "DER", "-in", path, "-noout", "-subject"]
    assert "CN = client" in subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_no_name_is_used_twice(tmp_path: Path) -> None:
    paths = {record_chain(str(tmp_path / "peer"), CHAIN) for _ in range(50)}
    assert len(paths) == 50


@pytest.mark.parametrize("target", ["precious", "absent"])
def test_a_link_in_the_way_is_not_followed(tmp_path: Path, still: str, target: str) -> None:
    """Somebody who guesses the name gains nothing by it."""
    precious = tmp_path / "precious"
    precious.write_bytes(b"precious")
    (tmp_path / f"peer.{still}").symlink_to(tmp_path / target)
    with pytest.raises(LocalError, match="cannot be recorded: no name is free"):
        record_chain(str(tmp_path / "peer"), CHAIN)
    assert precious.read_bytes() == b"precious"
    assert not (tmp_path / "absent").exists()


def test_a_file_in_the_way_stays_and_another_name_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = iter([b"\1" * 4, b"\1" * 4, b"\2" * 4])
    monkeypatch.setattr(time, "gmtime", lambda: time.struct_time((2026, 1, 2, 3, 4, 5, 0, 0, 0)))
    monkeypatch.setattr(os, "urandom", lambda size: next(drawn))
    first, second = (record_chain(str(tmp_path / "peer"), chain) for chain in (CHAIN[:1], CHAIN))
    assert Path(first).read_bytes() == CHAIN[0]
    assert second.endswith("02020202.der")


def test_folders_in_which_others_may_write(tmp_path: Path) -> None:
    """They could take the file away and put another there; where the sticky bit keeps them from it, as in /tmp, not."""
    folder = tmp_path / "open"
    folder.mkdir()
    for mode in (0o777, 0o775):
        folder.chmod(mode)
        with pytest.raises(LocalError, match="others may write in this folder"):
            record_chain(str(folder / "peer"), CHAIN)
    folder.chmod(0o1777)
    assert Path(record_chain(str(folder / "peer"), CHAIN)).exists()


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(LocalError, match="cannot be recorded: No such file or directory"):
        record_chain(str(tmp_path / "none" / "peer"), CHAIN)
    (tmp_path / "file").touch()
    with pytest.raises(LocalError, match="cannot be recorded: Not a directory"):
        record_chain(str(tmp_path / "file" / "peer"), CHAIN)


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path) -> None:
    """A limit on the size of files stands in for it: the write fails half-way."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        with pytest.raises(LocalError, match="cannot be recorded: File too large"):
            record_chain(str(tmp_path / "peer"), CHAIN)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == []
