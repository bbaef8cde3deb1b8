"""The folder of ``serve --throw-away``."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from tests.support.pki import START, faulty, pki
from tlsexit.cli import throwaway
from tlsexit.cli.problems import Problem
from tlsexit.cli.throwaway import CA, CLIENT, SERVER, throwaway_folder
from tlsexit.policy import TrustAnchors, load_authorities, load_identity
from tlsexit.policy.names import matches_server_name


def test_files_are_made_once_and_for_the_user_alone(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "demo"
    assert throwaway_folder(folder) is True
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert before.keys() == {CA, SERVER, CLIENT}
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in folder.iterdir())
    assert throwaway_folder(folder) is False
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_the_certificates_fit(tmp_path: Path) -> None:
    throwaway_folder(tmp_path)
    anchors = TrustAnchors(load_authorities(tmp_path / CA))
    for name in (SERVER, CLIENT):
        identity = load_identity("x", tmp_path / name)
        assert identity.key is not None
        assert anchors.issuers_of(identity.leaf)
    server = load_identity("x", tmp_path / SERVER).leaf
    assert all(matches_server_name(server, host) for host in throwaway.HOSTS)


def test_files_of_someone_else_are_not_touched(tmp_path: Path) -> None:
    """``--throw-away .`` in a folder with a server.pem must not overwrite a key."""
    (tmp_path / SERVER).write_bytes(b"precious")
    with pytest.raises(Problem, match=rf"has {SERVER} but not {CA}, {CLIENT}; name another folder"):
        throwaway_folder(tmp_path)
    assert (tmp_path / SERVER).read_bytes() == b"precious"
    assert [path.name for path in tmp_path.iterdir()] == [SERVER]


def test_expired_certificates_are_told(tmp_path: Path) -> None:
    throwaway_folder(tmp_path)
    expired = faulty().expired
    (tmp_path / SERVER).write_bytes(expired.chain_pem + expired.key_pem())
    assert expired.certificate.not_valid_before_utc == START
    with pytest.raises(Problem, match="have expired"):
        throwaway_folder(tmp_path)


def test_what_cannot_be_read_or_written_is_told(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_bytes(pki().root.pem)
    with pytest.raises(Problem, match=r"cannot be written \(--throw-away\)"):
        throwaway_folder(blocked / "folder")
    throwaway_folder(tmp_path)
    (tmp_path / SERVER).write_bytes(b"no longer a certificate")
    with pytest.raises(Problem, match="holds no certificate"):
        throwaway_folder(tmp_path)
