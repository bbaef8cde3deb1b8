"""A server under a profile, with a key store and application exits, against ``openssl s_client``: what partners see."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from tests.support.command import PASSWORD, Files
from tests.support.ocsp import respond
from tests.support.openssl_peer import s_client
from tests.support.pki import pki
from tests.support.serving import Serving, serving
from tlsexit.keystore import KeyStore

DOORS = "tests.support.demo_application"

pytestmark = pytest.mark.interop

PROFILES = """\
CFTSSL id = p, direct = server, ciphlist = (53, 47), usercid = SERVER, rootcid = ROOT, parm = PART42 {more}
"""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> KeyStore:
    """A key store with the server's certificate, the clients' authority, and an OCSP response to staple."""
    folder = tmp_path_factory.mktemp("partners")
    store = KeyStore.create(folder / "store", PASSWORD)
    store.add_identity("SERVER", pki().server.identity("x"))
    store.add_identity("SPARE", pki().intermediate_server.identity("x"), active=False)
    (folder / "ca.pem").write_bytes(pki().root.pem)
    store.import_authority("ROOT", folder / "ca.pem")
    (folder / "status.der").write_bytes(respond(since=datetime.now(UTC)))
    store.import_ocsp_response("STATUS", folder / "status.der")
    now = datetime.now(UTC)
    revoked = pki().root.revocation_list([pki().client.certificate], last_update=now, next_update=now + timedelta(9))
    (folder / "crl.pem").write_bytes(revoked.public_bytes(Encoding.PEM))
    return store


@contextmanager
def partners(store: KeyStore, files: Files, more: str, *options: str | Path) -> Iterator[Serving]:
    file = store.folder.parent / "profiles.txt"
    file.write_text(PROFILES.format(more=more), encoding="utf-8")
    where = ("--profile-file", file, "--key-store", store.folder, "--password-file", files.password)
    with serving(*where, "--www", *options) as server:
        yield server


def client(files: Files) -> tuple[str | Path, ...]:
    return ("-CAfile", files.ca, "-verify_return_error", "-cert", files.client, "-key", files.client)


def test_a_partner_that_is_let_in(store: KeyStore, files: Files) -> None:
    with partners(store, files, ", dnuser = ('CN=nobody', 'CN=client/O=Example'), depth = 1") as server:
        seen = s_client(server.port, *client(files), "-status")
        server.wait_for("full handshake, authentication B$")
    assert "HTTP/1.0 200 OK" in seen.output
    assert "Verify return code: 0 (ok)" in seen.output
    assert "OCSP Response Status: successful" in seen.output
    assert "Cert Status: good" in seen.output


@pytest.mark.parametrize(
    ("more", "options", "alert"),
    [
        (", dnuser = 'CN=client/O=Elsewhere'", (), "access denied"),
        (", dnissuer = 'CN=somebody'", (), "access denied"),
        (", depth = 0", (), "unknown ca"),
        ("", ("--crl-file", "crl.pem"), "certificate revoked"),
    ],
)
def test_a_partner_that_is_kept_out(
    store: KeyStore, files: Files, more: str, options: tuple[str, ...], alert: str
) -> None:
    """By an alert in the handshake, which openssl names."""
    given = [store.folder.parent / item if item.endswith(".pem") else item for item in options]
    with partners(store, files, more, *given) as server:
        seen = s_client(server.port, *client(files))
        server.wait_for("failed: ")
    assert alert in seen.output
    assert "HTTP/1.0" not in seen.output


def test_a_partner_that_the_application_refuses(store: KeyStore, files: Files) -> None:
    """By close_notify after a complete handshake, and nothing before it."""
    with partners(store, files, "", "--application-exit", f"{DOORS}:Closed") as server:
        seen = s_client(server.port, *client(files), "-msg")
        server.wait_for("failed: the directory exit refuses the partner: closed today$")
    messages = [line for line in seen.output.splitlines() if line.startswith("<<< ")]
    assert any("Handshake [length 0010], Finished" in line for line in messages), messages
    assert messages[-1].endswith("Alert [length 0002], warning close_notify"), messages
    assert "HTTP/1.0" not in seen.output
