"""The folder of a key store and its files: for the owner alone, and never reached through a link."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.pki import pki
from tlsexit.alerts import LocalError
from tlsexit.keystore import KeyStore
from tlsexit.keystore.files import write_whole

PASSWORD = "secret"


@pytest.fixture
def store(tmp_path: Path) -> KeyStore:
    """A store with one authority and one identity."""
    store = KeyStore.create(tmp_path / "store", PASSWORD)
    (tmp_path / "ca.pem").write_bytes(pki().root.pem)
    store.import_authority("ROOT", tmp_path / "ca.pem")
    store.add_identity("OWN", pki().server.identity("x"))
    return store


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_folder_that_is_there_becomes_private(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    folder.mkdir()
    folder.chmod(0o777)
    store = KeyStore.create(folder, PASSWORD)
    assert mode(folder) == 0o700
    assert {mode(file) for file in folder.iterdir()} == {0o600}
    assert store.list() == ()


def test_a_folder_that_will_not_do_keeps_its_mode(tmp_path: Path) -> None:
    (tmp_path / "other").touch()
    tmp_path.chmod(0o755)
    with pytest.raises(LocalError, match="is not empty"):
        KeyStore.create(tmp_path, PASSWORD)
    assert mode(tmp_path) == 0o755


@pytest.mark.parametrize("open_to", [0o720, 0o702, 0o777, 0o1777])
def test_nobody_else_may_say_whom_to_trust(store: KeyStore, open_to: int) -> None:
    store.folder.chmod(open_to)
    with pytest.raises(LocalError, match="others may write there, and so say whom to trust; forbid it with chmod go-w"):
        KeyStore.open(store.folder, PASSWORD)
    store.folder.chmod(0o755)  # reading does no harm: the private keys are encrypted
    KeyStore.open(store.folder, PASSWORD)


def as_link(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


def as_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def as_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize("turn", [as_link, as_folder, as_pipe])
def test_an_index_that_is_no_file_of_the_store(store: KeyStore, turn: Callable[[Path], None]) -> None:
    turn(store.folder / "index.toml")
    with pytest.raises(LocalError, match=r"index\.toml: (is a link|is no file|cannot be read: Is a directory)"):
        KeyStore.open(store.folder, PASSWORD)


@pytest.mark.parametrize("id", ["ROOT", "OWN"])
@pytest.mark.parametrize("turn", [as_link, as_folder, as_pipe])
def test_an_entry_that_is_no_file_of_the_store(store: KeyStore, id: str, turn: Callable[[Path], None]) -> None:
    turn(store.folder / store.entry(id).file)
    with pytest.raises(LocalError, match=r"is (a link|no file); a key store has files of its own"):
        store.certificates(id)
    with pytest.raises(LocalError, match=r"is (a link|no file); a key store has files of its own"):
        store.pki()


def test_an_entry_whose_file_is_missing_or_damaged(store: KeyStore) -> None:
    file = store.folder / store.entry("OWN").file
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(LocalError, match=rf"{file.name}: is not PKCS#12, or the password is wrong"):
        store.certificates("OWN")
    file.unlink()
    with pytest.raises(LocalError, match=rf"{file.name}: cannot be read: No such file or directory"):
        store.pki()
    assert store.remove("OWN").id == "OWN"  # which mends the store
    store.pki()


def test_a_lock_that_is_a_link_is_not_opened(store: KeyStore, tmp_path: Path) -> None:
    (store.folder / "lock").unlink()
    (store.folder / "lock").symlink_to(tmp_path / "absent")
    with pytest.raises(LocalError, match="cannot be written"):
        store.deactivate("ROOT")
    assert not (tmp_path / "absent").exists()


def test_replacing_replaces_a_link_and_not_what_it_leads_to(tmp_path: Path) -> None:
    (tmp_path / "precious").write_bytes(b"precious")
    (tmp_path / "file").symlink_to(tmp_path / "precious")
    write_whole(tmp_path / "file", b"new")
    assert (tmp_path / "precious").read_bytes() == b"precious"
    assert (tmp_path / "file").read_bytes() == b"new"
    assert not (tmp_path / "file").is_symlink()
    assert mode(tmp_path / "file") == 0o600


def test_a_full_disk_changes_nothing(store: KeyStore) -> None:
    """A limit on the size of files stands in for it."""
    resource = pytest.importorskip("resource")
    before = {file.name: file.read_bytes() for file in store.folder.iterdir()}
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        with pytest.raises(LocalError, match="cannot be written: File too large"):
            store.add_identity("NEW", pki().client.identity("x"))
        with pytest.raises(LocalError, match="cannot be written: File too large"):
            store.deactivate("ROOT")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert {file.name: file.read_bytes() for file in store.folder.iterdir()} == before
