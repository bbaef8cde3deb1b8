"""The key store: what it keeps, who can read it, what two writers do to each other, and a sentence for each mistake."""

from __future__ import annotations

import stat
import subprocess
import threading
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.hazmat.primitives.serialization.pkcs12 import load_pkcs12
from hypothesis import given
from hypothesis import strategies as st

from tests.support.pki import NOW, leaf_key, pki
from tlsexit.alerts import LocalError
from tlsexit.crypto.suites import KeyType
from tlsexit.keystore import Entry, KeyStore, Kind
from tlsexit.keystore.files import locked
from tlsexit.keystore.index import parse_index
from tlsexit.policy import Identity, load_identity
from tlsexit.policy.throwaway import self_signed

PASSWORD = "open sésame"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files to import."""
    folder = tmp_path_factory.mktemp("files")
    issued = pki().intermediate_server
    (folder / "chain.pem").write_bytes(issued.chain_pem)
    (folder / "key.pem").write_bytes(issued.key_pem(b"of the file"))
    (folder / "other-key.pem").write_bytes(self_signed(key=pki().root.key).key_pem())
    (folder / "ca.pem").write_bytes(pki().root.pem + pki(KeyType.EC).root.pem)
    revoked = pki().root.revocation_list([pki().client.certificate], last_update=NOW, next_update=NOW + timedelta(1))
    (folder / "crl.der").write_bytes(revoked.public_bytes(Encoding.DER))
    return folder


@pytest.fixture
def store(tmp_path: Path) -> KeyStore:
    """A new store."""
    return KeyStore.create(tmp_path / "store", PASSWORD)


def with_identity(store: KeyStore, id: str = "own", *, replace: bool = False) -> Entry:
    return store.add_identity(id, pki().server.identity("x"), replace=replace)


def test_a_new_store_is_empty_and_private(store: KeyStore) -> None:
    assert store.list() == ()
    assert stat.S_IMODE(store.folder.stat().st_mode) == 0o700
    assert KeyStore.open(store.folder, PASSWORD.encode()).list() == ()


def test_what_is_imported_is_listed_in_order(store: KeyStore, made: Path) -> None:
    store.import_identity("own", made / "chain.pem", made / "key.pem", "of the file", comment='say "é" \\ 😀')
    store.import_authority("partners", made / "ca.pem", active=False)
    store.import_revocation_lists("revoked", made / "crl.der")
    assert [(item.id, item.kind, item.active, item.comment) for item in KeyStore.open(store.folder).list()] == [
        ("own", Kind.IDENTITY, True, 'say "é" \\ 😀'),
        ("partners", Kind.AUTHORITY, False, ""),
        ("revoked", Kind.CRL, True, ""),
    ]
    assert [item.der for item in store.certificates("own")] == list(pki().intermediate_server.chain)
    assert [item.name for item in store.certificates("partners")] == ["CN=RSA root", "CN=ECDSA root"]
    (crl,) = store.revocation_lists("revoked")
    assert pki().client.certificate.serial_number in crl
    for file in store.folder.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file


@pytest.mark.parametrize("kind", KeyType)
def test_an_identity_comes_back_with_its_key(store: KeyStore, kind: KeyType) -> None:
    """In a file that anything reads which reads PKCS#12."""
    entry = store.add_identity("own", pki(kind).intermediate_client.identity("x"))
    data = (store.folder / entry.file).read_bytes()
    bag = load_pkcs12(data, PASSWORD.encode())
    assert bag.cert is not None
    assert bag.cert.friendly_name == b"own"
    identity = load_identity("x", store.folder / entry.file, password=PASSWORD)
    assert identity.chain == pki(kind).intermediate_client.chain
    assert identity.key is not None
    assert identity.key.public_key() == leaf_key(kind).public_key()


def test_pkcs12_can_be_imported(store: KeyStore) -> None:
    entry = with_identity(store)
    store.import_identity("again", store.folder / entry.file, password=PASSWORD)
    assert store.certificates("again")[0].der == pki().server.chain[0]


def test_entries_are_switched_and_removed(store: KeyStore) -> None:
    entry = with_identity(store)
    assert not store.deactivate("own").active
    assert not store.entry("own").active
    assert store.activate("own") == store.entry("own") == entry
    assert store.remove("own") == entry
    assert store.list() == ()
    assert not (store.folder / entry.file).exists()


def test_replacing_leaves_the_new_file_alone(store: KeyStore) -> None:
    old = with_identity(store)
    with pytest.raises(LocalError, match="has an entry own already"):
        store.add_identity("own", pki(KeyType.EC).server.identity("x"))
    assert store.certificates("own")[0].der == pki().server.chain[0]
    new = store.add_identity("own", pki(KeyType.EC).server.identity("x"), replace=True)
    assert store.certificates("own")[0].der == pki(KeyType.EC).server.chain[0]
    assert not (store.folder / old.file).exists()
    assert {file.name for file in store.folder.iterdir()} == {"index.toml", "lock", new.file}


def test_concurrent_writers_lose_nothing(store: KeyStore, made: Path) -> None:
    """Each writer has a store of its own, as in a process of its own."""
    failures: list[Exception] = []

    def write(number: int) -> None:
        try:
            mine = KeyStore.open(store.folder)
            for turn in range(5):
                mine.import_authority(f"ca-{number}-{turn}", made / "ca.pem")
                mine.deactivate(f"ca-{number}-{turn}")
        except Exception as error:
            failures.append(error)

    writers = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        store.list()  # a reader finds a whole index at any moment
    for writer in writers:
        writer.join()
    assert not failures
    assert {item.id for item in store.list()} == {f"ca-{n}-{turn}" for n in range(4) for turn in range(5)}
    assert not any(item.active for item in store.list())


def test_a_writer_does_not_wait_for_ever(store: KeyStore) -> None:
    with (
        locked(store.folder),
        pytest.raises(LocalError, match="another process is writing"),
        locked(store.folder, patience=0.05),
    ):
        pass


# Mistakes


def test_only_an_empty_folder_becomes_a_store(store: KeyStore, made: Path, tmp_path: Path) -> None:
    with pytest.raises(LocalError, match="is a key store already"):
        KeyStore.create(store.folder, PASSWORD)
    with pytest.raises(LocalError, match="is not empty"):
        KeyStore.create(made, PASSWORD)
    with pytest.raises(LocalError, match="has a password"):
        KeyStore.create(tmp_path / "new", "")
    with pytest.raises(LocalError, match="not text in UTF-8"):
        KeyStore.create(tmp_path / "new", b"\xff")
    with pytest.raises(LocalError, match="cannot be made"):
        KeyStore.create(made / "ca.pem", PASSWORD)
    with pytest.raises(LocalError, match="is no key store"):
        KeyStore.open(tmp_path)


def test_the_wrong_password_is_told_at_once_and_kept_out_of_the_error(store: KeyStore) -> None:
    with pytest.raises(LocalError, match="is not the password of the key store") as caught:
        KeyStore.open(store.folder, "battery staple")
    assert "battery" not in str(caught.value)
    assert PASSWORD not in repr(store)


def test_private_keys_need_the_password(store: KeyStore) -> None:
    with_identity(store)
    without = KeyStore.open(store.folder)
    with pytest.raises(LocalError, match="need the password"):
        with_identity(without, "second")
    with pytest.raises(LocalError, match="need the password"):
        without.certificates("own")
    assert [item.id for item in store.list()] == ["own"]


def test_what_fits_nothing_is_refused(store: KeyStore, made: Path) -> None:
    with pytest.raises(LocalError, match=r"other-key\.pem: identity own: the private key is not that of CN=localhost"):
        store.import_identity("own", made / "chain.pem", made / "other-key.pem")
    with pytest.raises(LocalError, match="has no private key"):
        store.import_identity("own", made / "chain.pem")
    with pytest.raises(LocalError, match="wrong password"):
        store.import_identity("own", made / "chain.pem", made / "key.pem", "wrong")
    with pytest.raises(LocalError, match="holds no certificate"):
        store.import_authority("ca", made / "key.pem")
    with pytest.raises(LocalError, match="is not a revocation list"):
        store.import_revocation_lists("crl", made / "ca.pem")
    root = pki().root.certificate.public_bytes(Encoding.DER)
    with pytest.raises(LocalError, match="goes on after a self-signed certificate"):
        store.add_identity("own", Identity("own", (root, root), pki().root.key))
    assert store.list() == ()


@pytest.mark.parametrize("id", ["", "a/b", "..", "-a", "a\n", "é", "a" * 65])
def test_an_id_is_a_plain_word(store: KeyStore, made: Path, id: str) -> None:
    with pytest.raises(LocalError, match="is no id"):
        store.import_authority(id, made / "ca.pem")
    with pytest.raises(LocalError, match="has no entry"):
        store.activate(id)


@pytest.mark.parametrize("comment", ["two\nlines", "\x7f", "\ud800", "a" * 257])
def test_a_comment_is_one_printable_line(store: KeyStore, made: Path, comment: str) -> None:
    with pytest.raises(LocalError, match="a comment is one line"):
        store.import_authority("ca", made / "ca.pem", comment=comment)


def test_unknown_ids_and_wrong_kinds(store: KeyStore, made: Path) -> None:
    store.import_authority("ca", made / "ca.pem")
    store.import_revocation_lists("crl", made / "crl.der")
    for method in (store.activate, store.deactivate, store.remove, store.entry, store.certificates):
        with pytest.raises(LocalError, match=r"store: has no entry absent$"):
            method("absent")
    with pytest.raises(LocalError, match="has no certificates"):
        store.certificates("crl")
    with pytest.raises(LocalError, match="not a revocation list"):
        store.revocation_lists("ca")
    with pytest.raises(LocalError, match="is an authority and cannot become an identity"):
        with_identity(store, "ca", replace=True)


ENTRY = '[entries.a]\nkind = "authority"\nfile = "a.pem"\nactive = true\ncomment = ""\n'


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("version", "\xff", "not TOML"),
        ("version = 1", "version = 2", "its version is 2, not 1"),
        ("[password]", "[word]", "password is not a table"),
        ('salt = "', 'salt = "x', "the salt of the password is not there"),
        ("check", "cheque", "the check of the password is not there"),
        ("[entries.a]", "[entries]", "kind is not a table"),
        ('file = "a.pem"', 'file = "../a.pem"', "is not the name of a file in the key store"),
        ('file = "a.pem"', "", "other elements"),
        ("active = true", "active = 1", "the active of a is 1"),
        ('kind = "authority"', 'kind = "enemy"', "the kind of a is 'enemy'"),
        ("[entries.a]", '[entries."a b"]', "'a b' is no id"),
        ("active = true", "active = true\nactive = true", "not TOML"),
        ("active = true", "active = " + "[" * 5000, "not TOML"),
        ("version = 1", "version = " + "1" * 5000, "not TOML"),
    ],
)
def test_a_damaged_index_is_one_sentence(store: KeyStore, old: str, new: str, complaint: str) -> None:
    index = store.folder / "index.toml"
    text = index.read_text() + ENTRY
    index.write_text(text)
    assert [item.id for item in store.list()] == ["a"]
    index.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(LocalError) as caught:
        KeyStore.open(store.folder)
    message = str(caught.value)
    assert message.startswith(f"{index}: is damaged: ")
    assert complaint in message
    assert "\n" not in message


def test_a_cut_index_is_never_taken_for_a_whole_one(store: KeyStore) -> None:
    index = store.folder / "index.toml"
    index.write_bytes(b"\xff")
    with pytest.raises(LocalError, match="is damaged: not text"):
        store.list()
    index.write_bytes(b"")
    with pytest.raises(LocalError, match="is damaged: its version"):
        store.list()


@given(st.binary(max_size=60) | st.text('[]{}="\n.x1#versionpasswordentries \\', max_size=80).map(str.encode))
def test_any_index_is_one_or_an_error_of_ours(data: bytes) -> None:
    with suppress(LocalError):
        parse_index(data)


def test_the_openssl_program_reads_an_identity(store: KeyStore) -> None:
    entry = with_identity(store)
    command = ["openssl", "pkcs12", "-in", str(store.folder / entry.file), "-nodes", "-passin", f"pass:{PASSWORD}"]
    try:
        ran = subprocess.run(command, capture_output=True, timeout=60, check=False)
    except FileNotFoundError:
        pytest.skip("needs the openssl program")
    assert ran.returncode == 0, ran.stderr
    assert b"CN=localhost" in ran.stdout.replace(b" ", b"")
