"""``tlsexit pki``: a key store from its making to its emptying, and a sentence for each mistake."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.command import PASSWORD, Files, run
from tests.support.ocsp import respond
from tests.support.pki import pki
from tlsexit.cli import codes
from tlsexit.keystore import KeyStore


@pytest.fixture
def store(tmp_path: Path, files: Files) -> Path:
    """A new store, with the password in ``files.password``."""
    folder = tmp_path / "store"
    assert run("pki", "create", folder, "--password-file", files.password).status == codes.OK
    return folder


def test_the_life_of_a_store(store: Path, files: Files) -> None:
    secret = ("--password-env", "STORE")
    env = {"STORE": PASSWORD, "KEY": PASSWORD}
    certificate = ("--cert", files.server_certificate, "--key", files.encrypted_key, "--key-password-env", "KEY")
    assert run("pki", "import", store, "own", *certificate, *secret, "--comment", "mine", env=env).status == codes.OK
    assert run("pki", "import", store, "root", "--ca-file", files.ca, "--inactive").status == codes.OK
    assert run("pki", "list", store).out == "own   identity   active    mine\nroot  authority  inactive\n"
    assert KeyStore.open(store, PASSWORD).certificates("own")[0].der == pki().server.chain[0]
    shown = run("pki", "show", store, "own", *secret, env=env)
    assert shown.out.startswith("CN=localhost, issued by CN=RSA root, until 2049-12-31, RSA")
    assert run("pki", "show", store, "root").out.startswith("CN=RSA root, self-signed")
    assert run("pki", "activate", store, "root").status == codes.OK
    assert run("pki", "deactivate", store, "own").status == codes.OK
    entries = run("pki", "list", store, "--json").json["entries"]
    assert [(item["id"], item["active"]) for item in entries] == [("own", False), ("root", True)]
    assert run("pki", "remove", store, "own").status == codes.OK
    assert [item.id for item in KeyStore.open(store).list()] == ["root"]


def test_an_ocsp_response(store: Path, tmp_path: Path) -> None:
    (tmp_path / "response.der").write_bytes(respond())
    assert run("pki", "import", store, "status", "--ocsp-file", tmp_path / "response.der").status == codes.OK
    assert run("pki", "list", store).out == "status  ocsp       active\n"
    serial = f"{pki().server.certificate.serial_number:X}"
    assert run("pki", "show", store, "status").out == f"serial number {serial}: good, until 2025-06-02\n"


def test_mistakes_are_one_sentence(store: Path, files: Files, tmp_path: Path) -> None:
    own = ("pki", "import", store, "own", "--cert", files.server)
    for arguments, told in (
        ((*own, "--password-file", files.wrong_password), "this is not the password of the key store"),
        (own, "needs a password; give --password-file, --password-fd or --password-env"),
        (("pki", "import", store, "own"), "name what to import with one of"),
        (("pki", "import", store, "own", "--ca-file", files.ca, "--key", files.server_key), "without --cert"),
        (("pki", "import", store, "a/b", "--ca-file", files.ca), "is no id"),
        (("pki", "create", store, "--password-file", files.password), "is a key store already"),
        (("pki", "list", tmp_path), "is no key store"),
        (("pki", "remove", store, "absent"), "has no entry absent"),
        (("pki", "show", store, "absent"), "has no entry absent"),
    ):
        ran = run(*arguments)
        assert (ran.status, ran.out) == (codes.USAGE, ""), arguments
        assert told in ran.problem
        assert PASSWORD not in ran.err


def test_a_terminal_is_asked_and_no_option_takes_a_password(
    tmp_path: Path, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is on a command line, everybody on the machine can read."""
    monkeypatch.setattr("tlsexit.cli.pki.on_terminal", lambda: True)
    folder = tmp_path / "store"
    ran = run("pki", "create", folder, given=f"{PASSWORD}\n{PASSWORD}\n")
    assert ran.status == codes.OK, ran.err
    assert PASSWORD not in ran.out + ran.err
    KeyStore.open(folder, PASSWORD)
    for command in ("create", "import", "show"):
        assert "--password " not in run("pki", command, "--help").out
