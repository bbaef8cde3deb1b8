"""The command line with keys on a token, against OpenSSL over sockets; the PIN never on the command line."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pkcs11
import pytest

from tests.support.command import run as tlsexit
from tests.support.openssl_peer import REQUEST, s_client, s_server
from tests.support.pki import pki
from tests.support.serving import serving
from tests.support.softhsm import KEYS, PIN, Token
from tlsexit.cli import codes
from tlsexit.crypto.suites import KeyType

pytestmark = pytest.mark.interop

CIPHERS = {
    "AES128-SHA": "rsa",
    "DHE-RSA-AES128-SHA": "rsa",
    "ECDHE-RSA-AES128-SHA": "rsa",
    "ECDHE-ECDSA-AES128-SHA": "ecdsa",
    "DHE-DSS-AES128-SHA": "dsa",
}


@pytest.fixture(scope="module")
def ca(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The roots of all kinds."""
    file = tmp_path_factory.mktemp("ca") / "ca.pem"
    file.write_bytes(b"".join(pki(kind).root.pem for kind in KeyType))
    return file


@pytest.mark.parametrize("ciphers", CIPHERS)
def test_a_server(hsm: dict[str, Token], ca: Path, ciphers: str) -> None:
    uri = hsm["server"].uri(CIPHERS[ciphers])
    with serving("--exit", uri, "--www", "--suites", ciphers) as server:
        done = s_client(server.port, "-CAfile", ca, "-verify_return_error", ciphers=ciphers)
    assert "HTTP/1.0 200 OK" in done.output, done.output
    assert f"Cipher    : {ciphers}" in done.output
    assert "Verify return code: 0 (ok)" in done.output
    operation = "decrypt" if ciphers == "AES128-SHA" else "sign"
    assert re.search(rf"CryptData \({operation}, \w+\): handled", done.output)


@pytest.mark.parametrize("key", KEYS)
def test_a_client(hsm: dict[str, Token], ca: Path, key: str, tmp_path: Path) -> None:
    (tmp_path / "server.pem").write_bytes(pki().server.chain_pem + pki().server.key_pem())
    options = ("-cert", tmp_path / "server.pem", "-CAfile", ca, "-Verify", "1", "-verify_return_error")
    with s_server(tmp_path / "log", *options) as server:
        uri = hsm["client"].uri(key)
        done = tlsexit("connect", "--input", "--ca-file", ca, "--exit", uri, f"localhost:{server.port}", given=REQUEST)
    assert done.status == codes.OK, done.err
    assert re.search("CN ?= ?client", done.out)
    assert "both sides (B)" in done.err


def test_a_token_lost_and_found_again(hsm: dict[str, Token], ca: Path) -> None:
    """The server goes on; each client gets the alert that fits, and the first after the token's return is served."""
    token = hsm["spare"]
    with serving("--exit", token.uri("rsa"), "--www") as server:

        def page(ciphers: str) -> str:
            return s_client(server.port, "-CAfile", ca, ciphers=ciphers).output

        assert "HTTP/1.0 200 OK" in page("ECDHE-RSA-AES128-SHA")
        token.take_away()
        try:
            assert "alert internal error" in page("ECDHE-RSA-AES128-SHA")
            assert "alert bad record mac" in page("AES128-SHA")
        finally:
            token.put_back()
        deadline = time.monotonic() + 30
        while "HTTP/1.0 200 OK" not in (said := page("ECDHE-RSA-AES128-SHA")):
            assert time.monotonic() < deadline, said
        assert "HTTP/1.0 200 OK" in page("AES128-SHA")


def test_a_pin_in_the_environment(hsm: dict[str, Token], ca: Path) -> None:
    uri = hsm["server"].uri("rsa", pin_source="env:TOKEN_PIN")
    with serving("--exit", uri, "--www", environment={"TOKEN_PIN": PIN}) as server:
        assert "HTTP/1.0 200 OK" in s_client(server.port, "-CAfile", ca).output


def test_a_wrong_pin(hsm: dict[str, Token]) -> None:
    """One sentence; nothing is served."""
    uri = hsm["spare"].uri("rsa", pin_source="env:TOKEN_PIN")
    pkcs11.lib(str(hsm["spare"].module)).reinitialize()
    done = tlsexit("serve", "--exit", uri, "0", env={"TOKEN_PIN": "1111"})
    assert done.status == codes.FAILED
    assert "spare-token/rsa: the PIN is wrong" in done.problem
    assert "1111" not in done.err


def test_a_pin_on_the_command_line() -> None:
    done = tlsexit("serve", "--exit", "pkcs11:token=t?module-path=/dev/null&pin-value=1111", "0")
    assert done.status == codes.USAGE
    assert "a PIN does not belong into a PKCS #11 URI" in done.problem
    assert "1111" not in done.err
