"""Profiles and key stores under ``serve`` and ``connect``: what goes before what, and where passwords come from."""

from __future__ import annotations

import os
import pickle
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from tests.support.command import PASSWORD, Files, Ran, run
from tests.support.listening import listening
from tests.support.ocsp import REVOKED, respond
from tests.support.pki import NOW, pki
from tests.support.serving import serving
from tlsexit.alerts import AlertDescription, LocalError
from tlsexit.cli import codes
from tlsexit.cli.pki_options import PkiSource
from tlsexit.keystore import KeyStore
from tlsexit.profile import Profile, Verify

EXITS = "tests.support.demo_exits"

PROFILES = """\
CFTSSL id=plain, direct=client, ciphlist=47
CFTSSL id=mutual, direct=client, verify=enforced, usercid=CLIENT, rootcid=ROOT, ciphlist=47
CFTSSL id=diagram, direct=client, trace=1
CFTSSL id=fields, direct=client, trace=2
CFTSSL id=mutual, direct=server, usercid=SERVER, rootcid=(ROOT), ciphlist=(53, 47), trace=1
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``profiles.txt``, and a ``store`` with what they name."""
    folder = tmp_path_factory.mktemp("profiles")
    (folder / "profiles.txt").write_text(PROFILES, encoding="utf-8")
    store = KeyStore.create(folder / "store", PASSWORD)
    store.add_identity("CLIENT", pki().client.identity("x"))
    store.add_identity("SERVER", pki().server.identity("x"))
    (folder / "ca.pem").write_bytes(pki().root.pem)
    store.import_authority("ROOT", folder / "ca.pem")
    return folder


def mutual(folder: Path, *more: str | Path) -> tuple[str | Path, ...]:
    return ("--profile-file", folder / "profiles.txt", "--profile", "mutual", "--key-store", folder / "store", *more)


def connect(address: str, *arguments: str | Path, env: dict[str, str] | None = None) -> Ran:
    return run("connect", *arguments, address, env=env)


def test_both_commands_from_one_file_and_store(folder: Path, files: Files) -> None:
    with serving(*mutual(folder, "--password-file", files.password), "--max-connections", "1") as server:
        ran = connect(f"localhost:{server.port}", *mutual(folder, "--password-env", "STORE"), env={"STORE": PASSWORD})
        assert ran.status == codes.OK, ran.err
        assert "both sides (B)" in ran.out
        assert "TLS_RSA_WITH_AES_128_CBC_SHA" in ran.out
        server.wait_for("authentication B$")
        server.wait_for("ClientHello")  # trace=1 draws a diagram
        assert server.end() == codes.OK


def test_an_option_goes_before_the_profile(folder: Path, files: Files) -> None:
    profile = ("--profile-file", folder / "profiles.txt", "--profile", "mutual")
    with listening() as server:
        ran = connect(server.address, *profile, "--ca-file", files.ca, "--cert", files.client)
        assert "did not ask for it" in ran.problem
        options = ("--verify", "none", "--suites", "AES256-SHA", "--ca-file", files.ca, "--cert", files.client)
        ran = connect(server.address, *profile, *options)
        assert ran.status == codes.OK, ran.err
        assert "TLS_RSA_WITH_AES_256_CBC_SHA" in ran.out


def test_the_trace_level_of_a_profile(folder: Path, files: Files) -> None:
    base = ("--ca-file", files.ca, "--profile-file", folder / "profiles.txt", "--profile")
    with listening() as server:
        plain = connect(server.address, *base, "plain")
        diagram = connect(server.address, *base, "diagram")
        fields = connect(server.address, *base, "fields")
    assert "─ ClientHello ─" in diagram.out
    assert "─ ClientHello ─" not in plain.out + fields.out
    assert "client_version" in fields.err
    assert "client_version" not in plain.err + diagram.err


def test_the_password_comes_from_a_descriptor(folder: Path) -> None:
    with listening(profile=Profile.server(verify=Verify.REQUIRED)) as server:
        reading, writing = os.pipe()
        os.write(writing, PASSWORD.encode() + b"\n")
        os.close(writing)
        ran = connect(server.address, *mutual(folder, "--password-fd", str(reading)))
        assert ran.status == codes.OK, ran.err
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(reading)
    ran = connect("localhost:1", *mutual(folder, "--password-fd", str(reading)))
    assert ran.problem == f"file descriptor {reading} (--password-fd) cannot be read: Bad file descriptor"
    reading, writing = os.pipe()
    os.close(writing)
    ran = connect("localhost:1", *mutual(folder, "--password-fd", str(reading)))
    assert ran.problem == f"file descriptor {reading} (--password-fd) holds no password"


def test_the_password_comes_from_a_terminal(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tlsexit.cli.pki_options.on_terminal", lambda: True)
    with listening(profile=Profile.server(verify=Verify.REQUIRED)) as server:
        ran = run("connect", *mutual(folder), server.address, given=PASSWORD + "\n")
        assert ran.status == codes.OK, ran.err
        assert PASSWORD not in ran.out + ran.err
    ran = run("connect", *mutual(folder), "localhost:1", given="battery staple\n")
    assert ran.status == codes.USAGE
    assert ran.err.endswith("this is not the password of the key store\n")


def test_the_password_comes_from_start_task(folder: Path) -> None:
    with listening(profile=Profile.server(verify=Verify.REQUIRED)) as server:
        ran = connect(server.address, *mutual(folder, "--exit", f"{EXITS}:Opener"))
        assert ran.status == codes.OK, ran.err
        assert "both sides (B)" in ran.out
        ran = connect(server.address, *mutual(folder, "--exit", f"{EXITS}:WrongOpener"))
        assert ran.status == codes.FAILED
        assert "the password is wrong" in ran.problem
        assert "battery" not in ran.out + ran.err


@pytest.mark.parametrize("where", [(), ("--in-process",)])
def test_start_task_opens_the_store_of_a_server(folder: Path, where: tuple[str, ...]) -> None:
    """In each task's own process; the wrong password is told where the handshake fails, and not shown."""
    for exits, told in (("Opener", "authentication B$"), ("WrongOpener", "failed: .*the password is wrong")):
        options = ("--exit", f"{EXITS}:{exits}", "--max-connections", "1", *where)
        with serving(*mutual(folder), *options) as server:
            address = f"localhost:{server.port}"
            connect(address, *mutual(folder, "--password-env", "STORE"), env={"STORE": PASSWORD})
            server.wait_for(told)
            assert server.end() == codes.OK
            assert "battery" not in "".join(server.lines) + server.errors()


def test_a_store_without_keys_needs_no_password(folder: Path, tmp_path: Path) -> None:
    store = KeyStore.create(tmp_path / "store", PASSWORD)
    store.import_authority("ROOT", folder / "ca.pem")
    with listening() as server:
        assert connect(server.address, "--key-store", store.folder).status == codes.OK


def test_revocation_lists(files: Files, tmp_path: Path) -> None:
    revoked = pki().root.revocation_list([pki().server.certificate], last_update=NOW, next_update=NOW + timedelta(9999))
    (tmp_path / "crl.pem").write_bytes(revoked.public_bytes(Encoding.PEM))
    with listening() as server:
        ran = connect(server.address, "--ca-file", files.ca, "--crl-file", tmp_path / "crl.pem")
    assert (ran.status, AlertDescription.CERTIFICATE_REVOKED.name.lower() in ran.problem) == (codes.FAILED, True)


def test_ocsp_responses(files: Files, tmp_path: Path) -> None:
    """A client judges by them, in a file or in the store; a server hands them out."""
    now = datetime.now(UTC)
    (tmp_path / "revoked.der").write_bytes(respond(REVOKED, since=now))
    (tmp_path / "good.der").write_bytes(respond(since=now))
    store = KeyStore.create(tmp_path / "store", PASSWORD)
    store.import_authority("ROOT", files.ca)
    store.import_ocsp_response("REVOKED", tmp_path / "revoked.der")
    with serving("--cert", files.server, "--ocsp-file", tmp_path / "good.der") as server:
        address = f"localhost:{server.port}"
        for options in (
            ("--ca-file", files.ca, "--ocsp-file", tmp_path / "revoked.der"),
            ("--key-store", store.folder),
        ):
            ran = connect(address, *options)
            assert (ran.status, "certificate_revoked(44)" in ran.problem) == (codes.FAILED, True)
        profile = tmp_path / "profiles.toml"
        profile.write_text("[client.a]\nstatus_request = true\n", encoding="utf-8")
        ran = connect(address, "--ca-file", files.ca, "--profile-file", profile, "--ladder")
        assert (ran.status, "CertificateStatus" in ran.out) == (codes.OK, True)


def test_mistakes_are_one_sentence(folder: Path, files: Files) -> None:
    file, store = folder / "profiles.txt", folder / "store"
    one = ("--profile-file", file, "--profile")
    secret = ("--password-file", files.password)
    cases: list[tuple[tuple[str | Path, ...], str]] = [
        (("--profile", "plain"), "--profile is of no use without --profile-file"),
        (("--profile-file", file), f"{file}: has several client profiles: plain, mutual, diagram, fields; name one"),
        ((*one, "other"), f"{file}: has no client profile other; there are plain, mutual, diagram, fields"),
        (("--profile-file", files.garbage), f"{files.garbage}, line 1: the command CFTSSL expected, not 'this'"),
        (
            (*one, "mutual"),
            "the profile mutual names the certificate CLIENT: give --key-store, or --cert",
        ),
        ((*one, "mutual", "--cert", files.client), "the profile mutual names authorities, ROOT: give --key-store"),
        (("--key-store", store, "--cert", files.client), "--key-store and --cert exclude each other"),
        (("--key-store", store, "--ca-file", files.ca), "--key-store and --ca-file exclude each other"),
        (("--key-store", store), f"{store}: needs a password; give --password-file, --password-fd or --password-env"),
        (("--key-store", files.folder), f"{files.folder}: is no key store"),
        (
            ("--key-store", store, "--password-file", files.wrong_password),
            f"{store}: this is not the password of the key store",
        ),
        ((*secret, "--password-fd", "0"), "--password-file and --password-fd exclude each other"),
        (("--crl-file", files.garbage), f"{files.garbage}: is not a revocation list"),
    ]
    for arguments, told in cases:
        ran = connect("localhost:1", *arguments)
        assert (ran.status, ran.out) == (codes.USAGE, ""), arguments
        assert ran.problem.startswith(told), ran.problem
        assert "battery" not in ran.err
    ran = run("serve", "--throw-away", files.folder, "--key-store", store, "0")
    assert ran.problem == "--throw-away and --key-store exclude each other"


def test_a_source_crosses_into_another_process(folder: Path) -> None:
    """As files and a password, which its repr does not show."""
    source = PkiSource(key_store=folder / "store", password=PASSWORD.encode())
    assert PASSWORD not in repr(source)
    assert pickle.loads(pickle.dumps(source)) == source
    source.build()
    with pytest.raises(LocalError, match="not the password"):
        PkiSource(key_store=folder / "store", password=b"x").build()
