"""Keys, passwords, files, addresses and exits as the options name them: what is wrong is told in one sentence."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, NoEncryption
from cryptography.hazmat.primitives.serialization.pkcs12 import serialize_key_and_certificates

from tests.support.command import PASSWORD, Files, Ran, run
from tests.support.pki import pki
from tlsexit.cli import codes
from tlsexit.cli.options import exit_pin, load_exit, parse_address, parse_listening_address
from tlsexit.cli.problems import Problem

EXITS = "tests.support.demo_exits"


@pytest.fixture(scope="module")
def nobody() -> Iterator[str]:
    """An address where nobody listens."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{held.getsockname()[1]}"


def attempt(nobody: str, files: Files, *arguments: str | Path, env: dict[str, str] | None = None) -> Ran:
    """Connect with these credentials to where nobody is: they are read before that is found out."""
    return run("connect", "--ca-file", files.ca, *arguments, nobody, env=env)


# ------------------------------------------------------------------------------------------------ keys


def test_keys_are_read_from_wherever_they_are(nobody: str, files: Files) -> None:
    """In the certificate's file, beside it, encrypted with the password from a file or the environment."""
    certificate, key = files.server_certificate, files.encrypted_key
    for arguments in (
        ("--cert", files.server),
        ("--cert", certificate, "--key", files.server_key),
        ("--cert", certificate, "--key", key, "--password-file", files.password),
        ("--cert", certificate, "--key", key, "--password-env", "THE_PASSWORD"),
    ):
        ran = attempt(nobody, files, *arguments, env={"THE_PASSWORD": PASSWORD})
        assert (ran.status, ran.problem) == (codes.NETWORK, f"{nobody}: connection refused")


@pytest.mark.parametrize("password", [None, PASSWORD])
def test_pkcs12_is_read(nobody: str, files: Files, tmp_path: Path, password: str | None) -> None:
    issued = pki().client
    protection = NoEncryption() if password is None else BestAvailableEncryption(password.encode())
    file = tmp_path / "client.p12"
    file.write_bytes(serialize_key_and_certificates(b"client", issued.key, issued.certificate, None, protection))
    given = () if password is None else ("--password-file", files.password)
    assert attempt(nobody, files, "--cert", file, *given).status == codes.NETWORK
    if password is not None:
        ran = attempt(nobody, files, "--cert", file)
        assert (ran.status, ran.problem) == (
            codes.USAGE,
            f"{file}: needs a password; give --password-file or --password-env",
        )
        ran = attempt(nobody, files, "--cert", file, "--password-file", files.wrong_password)
        assert ran.status == codes.USAGE
        assert "the password is wrong" in ran.problem
    ran = attempt(nobody, files, "--cert", file, "--key", files.server_key)
    assert ran.status == codes.USAGE
    assert "PKCS#12, which holds its own key" in ran.problem


def test_a_wrong_credential_is_one_sentence(nobody: str, files: Files, tmp_path: Path) -> None:
    certificate, key, encrypted = files.server_certificate, files.server_key, files.encrypted_key
    no_such = "No such file or directory"
    cases: list[tuple[tuple[str | Path, ...], str]] = [
        (("--cert", files.missing), f"{files.missing}: cannot be read (--cert): {no_such}"),
        (("--cert", certificate, "--key", files.missing), f"{files.missing}: cannot be read (--key): {no_such}"),
        (("--cert", tmp_path), f"{tmp_path}: cannot be read (--cert): Is a directory"),
        (("--cert", files.garbage), f"{files.garbage}: holds no certificate in PEM"),
        (("--cert", key), f"{key}: holds no certificate in PEM"),
        (("--cert", certificate, "--key", files.garbage), f"{files.garbage}: holds no private key in PEM"),
        (("--cert", certificate), f"{certificate}: holds no private key; name its file with --key"),
        (("--cert", certificate, "--key", files.stranger_key), f"{files.stranger_key}: identity own: the private key"),
        (("--key", key), "--key is of no use without --cert"),
        (("--cert", certificate, "--key", encrypted), f"{encrypted}: needs a password; give --password-file or"),
        (
            ("--cert", certificate, "--key", encrypted, "--password-file", files.wrong_password),
            f"{encrypted}: the private key does not open: wrong password?",
        ),
        (
            ("--cert", certificate, "--key", encrypted, "--password-file", files.missing),
            f"{files.missing}: cannot be read (--password-file): {no_such}",
        ),
        (
            ("--cert", certificate, "--key", encrypted, "--password-file", files.empty),
            f"{files.empty}: the password file is empty",
        ),
        (
            ("--cert", certificate, "--key", encrypted, "--password-env", "NO_SUCH_VARIABLE"),
            "the environment variable NO_SUCH_VARIABLE (--password-env) is not set",
        ),
        (
            ("--cert", files.server, "--password-env", "X", "--password-file", files.password),
            "--password-env and --password-file exclude each other",
        ),
        (("--key-log", tmp_path), f"{tmp_path}: cannot be written (--key-log): Is a directory"),
    ]
    for arguments, told in cases:
        ran = attempt(nobody, files, *arguments)
        assert (ran.status, ran.out) == (codes.USAGE, ""), arguments
        assert ran.problem.startswith(told)
        assert PASSWORD not in ran.err


def test_wrong_authorities_are_one_sentence(nobody: str, files: Files) -> None:
    for file, told in (
        (files.missing, f"{files.missing}: cannot be read: No such file or directory"),
        (files.garbage, f"{files.garbage}: holds no certificate in PEM"),
    ):
        ran = run("connect", "--ca-file", file, nobody)
        assert (ran.status, ran.problem) == (codes.USAGE, told)


def test_no_option_takes_a_password() -> None:
    """What is on a command line, everybody on the machine can read."""
    for command in ("connect", "serve"):
        ran = run(command, "--help")
        assert "--password " not in ran.out
        assert "--password-env NAME" in ran.out


def test_a_terminal_is_asked_for_the_password(nobody: str, files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def prompt(text: str, **options: object) -> str:
        asked.append((text, options))
        return PASSWORD

    monkeypatch.setattr("tlsexit.cli.options.on_terminal", lambda: True)
    monkeypatch.setattr("click.prompt", prompt)
    ran = attempt(nobody, files, "--cert", files.server_certificate, "--key", files.encrypted_key)
    assert ran.status == codes.NETWORK
    assert asked == [(f"Password for {files.encrypted_key}", {"hide_input": True, "err": True})]
    # a key that is not encrypted needs none
    assert attempt(nobody, files, "--cert", files.server).status == codes.NETWORK
    assert len(asked) == 1


# ------------------------------------------------------------------------------------------------ addresses


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("example.org:443", ("example.org", 443)),
        ("192.0.2.7:65535", ("192.0.2.7", 65535)),
        ("[::1]:443", ("::1", 443)),
        ("[fe80::1%eth0]:1", ("fe80::1%eth0", 1)),
    ],
)
def test_addresses_to_connect_to(text: str, expected: tuple[str, int]) -> None:
    assert parse_address(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("4433", ("127.0.0.1", 4433)),
        ("0", ("127.0.0.1", 0)),
        ("localhost:0", ("localhost", 0)),
        ("[::]:443", ("::", 443)),
        ("0.0.0.0:443", ("0.0.0.0", 443)),
    ],
)
def test_addresses_to_listen_on(text: str, expected: tuple[str, int]) -> None:
    assert parse_listening_address(text, "127.0.0.1") == expected


@pytest.mark.parametrize("text", ["", "localhost", ":443", "::1:443", "[]:443", "65536", "localhost:http", "-1"])
def test_wrong_addresses_to_listen_on(text: str) -> None:
    with pytest.raises(Problem, match=r"port number from 0|is not an address to listen on"):
        parse_listening_address(text, "127.0.0.1")


# ------------------------------------------------------------------------------------------------ exits


def test_an_exit_in_a_file_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "an_exit_of_mine.py").write_text("class Mine:\n    def start_task(self, call):\n        return None\n")
    found = load_exit(f"{tmp_path / 'an_exit_of_mine.py'}:Mine")
    assert type(found).__name__ == "Mine"
    monkeypatch.delitem(sys.modules, "an_exit_of_mine")


def test_an_exit_in_the_current_directory_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [item for item in sys.path if item not in ("", os.getcwd())])
    monkeypatch.chdir(tmp_path)
    (tmp_path / "an_exit_nearby.py").write_text("answer = object()\n")
    assert load_exit("an_exit_nearby:answer") is sys.modules["an_exit_nearby"].answer
    monkeypatch.delitem(sys.modules, "an_exit_nearby")


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("import no_such_package\n", "cannot be imported: No module named 'no_such_package'"),
        ("1 / 0\n", "cannot be imported: ZeroDivisionError: division by zero"),
        ("class\n", "cannot be imported: SyntaxError"),
    ],
)
def test_an_exit_that_cannot_be_imported(
    source: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "a_broken_exit.py").write_text(source)
    with pytest.raises(Problem, match=told):
        load_exit(f"{tmp_path / 'a_broken_exit.py'}:X")


def test_no_exit_is_no_exit() -> None:
    assert load_exit(None) is None


@pytest.mark.parametrize("name", ["", ":", "module:", ":Object", "module"])
def test_what_does_not_name_an_exit(name: str) -> None:
    with pytest.raises(Problem, match="does not name an exit"):
        load_exit(name)


def test_the_pin_of_a_token(monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked for at the terminal, and only if nothing else says where it is."""
    asked: list[str] = []

    def prompt(text: str, **options: object) -> str:
        assert options["hide_input"]
        asked.append(text)
        return "1234"

    monkeypatch.setattr("click.prompt", prompt)
    uri = f"pkcs11:token=t;object=k?module-path={__file__}"
    assert exit_pin(uri) is None
    monkeypatch.setattr("tlsexit.cli.options.on_terminal", lambda: True)
    assert exit_pin(uri) == "1234"
    assert exit_pin(f"{uri}&pin-source=env:PIN") is None
    assert exit_pin("tests.support.demo_exits:Refuser") is None
    assert exit_pin(None) is None
    assert asked == ["PIN of t/k"]
    with pytest.raises(Problem, match="is not an attribute here"):
        exit_pin("pkcs11:tokn=t")


# ------------------------------------------------------------------------------------------------ amounts


@pytest.mark.parametrize("amount", ["nan", "inf", "1e20"])
@pytest.mark.parametrize("option", ["--timeout", "--linger", "--exit-timeout"])
def test_no_clock_counts_that_far(amount: str, option: str, nobody: str, files: Files) -> None:
    ran = attempt(nobody, files, option, amount)
    assert ran.status == codes.USAGE
    assert f"{amount} is not a number up to a thousand million" in ran.err


def test_an_empty_name_is_none(nobody: str, files: Files) -> None:
    ran = attempt(nobody, files, "--servername", "")
    assert (ran.status, ran.problem) == (codes.USAGE, "a host name has at least one character")
