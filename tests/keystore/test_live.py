"""A key store that changes while a task goes on: the next handshake goes by what is in it then."""

from __future__ import annotations

import shutil
import socket
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from tests.support.ends import RSA
from tests.support.pki import NOW, pki
from tlsexit.alerts import AlertDescription, ExitFailed, TlsError
from tlsexit.constants import Role
from tlsexit.drivers.blocking import TlsSocket, wrap_socket
from tlsexit.drivers.drive import run
from tlsexit.keystore import KeyStore, LivePki
from tlsexit.policy import system_config
from tlsexit.profile import Profile, Verify
from tlsexit.session import Session
from tlsexit.tasks import Task
from tlsexit.trace import WatchedPki

PASSWORD = "secret"
PKI = pki()  # before there are threads
CLIENT = Profile.client(cipher_suites=(RSA,))
SERVER = Profile.server(cipher_suites=(RSA,), verify=Verify.REQUIRED)

pytestmark = pytest.mark.timeout(60)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with two identities and the clients' authority, and a revocation list beside it."""
    folder = tmp_path_factory.mktemp("live")
    store = KeyStore.create(folder / "store", PASSWORD)
    store.add_identity("FIRST", PKI.server.identity("x"))
    store.add_identity("SECOND", PKI.intermediate_server.identity("x"))
    (folder / "ca.pem").write_bytes(PKI.root.pem)
    store.import_authority("ROOT", folder / "ca.pem")
    revoked = PKI.root.revocation_list([PKI.client.certificate], last_update=NOW, next_update=NOW + timedelta(1))
    (folder / "crl.pem").write_bytes(revoked.public_bytes(Encoding.PEM))
    return folder


class Serving:
    """A task that goes on, with a key store that may change between two connections."""

    def __init__(self, store: KeyStore) -> None:
        self.store = store
        self.live = LivePki(KeyStore.open(store.folder, PASSWORD), clock=NOW.timestamp)
        self.pki = WatchedPki(self.live)
        self.task = Task(system_config(clock=NOW.timestamp))
        self.error: BaseException | None = None
        run(self.task, None, self.pki)

    def _serve(self, sock: socket.socket) -> None:
        try:
            with wrap_socket(sock, SERVER, pki=self.pki, task=self.task) as tls:
                while data := tls.recv():
                    tls.sendall(data)
        except (TlsError, OSError) as error:
            self.error = error

    def call(self, session: Session | None = None) -> TlsSocket:
        """Connect, exchange a byte and hang up; return the closed socket. Raises what the client meets."""
        near, far = socket.socketpair()
        for sock in (near, far):
            sock.settimeout(20)
        self.error = None
        server = threading.Thread(target=self._serve, args=(far,), daemon=True)
        server.start()
        try:
            options: dict[str, Any] = {"config": system_config(clock=NOW.timestamp), "session": session}
            with wrap_socket(near, CLIENT, pki=PKI.builtin(Role.CLIENT), **options) as tls:
                tls.sendall(b"x")
                assert tls.recv() == b"x"
            return tls
        finally:
            near.close()
            server.join(20)


@pytest.fixture
def serving(made: Path, tmp_path: Path) -> Serving:
    """A task over a copy of the store."""
    return Serving(KeyStore.open(shutil.copytree(made / "store", tmp_path / "store"), PASSWORD))


def test_an_identity_that_is_deactivated_is_not_shown_again(serving: Serving) -> None:
    assert serving.call().context.peer_chain == PKI.server.chain
    serving.store.deactivate("FIRST")
    assert serving.call().context.peer_chain == PKI.intermediate_server.chain
    serving.store.activate("FIRST")
    assert serving.call().context.peer_chain == PKI.server.chain


def test_an_authority_that_is_removed_vouches_for_nobody_and_for_no_session(serving: Serving) -> None:
    first = serving.call()
    assert serving.call(first.session).context.resumed
    serving.store.deactivate("ROOT")
    with pytest.raises(TlsError):
        serving.call(first.session)
    assert "no authority is configured" in str(serving.error)
    serving.store.activate("ROOT")
    assert serving.call(first.session).context.resumed  # whom the store trusts is as it was


def test_a_client_that_is_revoked_resumes_nothing(serving: Serving, made: Path) -> None:
    first = serving.call()
    assert serving.call(first.session).context.resumed
    serving.store.import_revocation_lists("REVOKED", made / "crl.pem")
    with pytest.raises(TlsError, match="certificate_revoked"):
        serving.call(first.session)


def test_a_change_that_trusts_nobody_else_lets_sessions_live(serving: Serving) -> None:
    first = serving.call()
    serving.store.deactivate("SECOND")
    assert serving.call(first.session).context.resumed


def test_the_store_is_read_and_decrypted_only_when_it_changes(
    serving: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    decrypted: list[str] = []
    pki_of, load = KeyStore.pki, __import__("tlsexit.policy.store", fromlist=["x"]).load_identity

    def counting_pki(self: KeyStore, **options: Any) -> Any:
        read.append("store")
        return pki_of(self, **options)

    def counting_load(id: str, *arguments: Any) -> Any:
        decrypted.append(id)
        return load(id, *arguments)

    monkeypatch.setattr(KeyStore, "pki", counting_pki)
    monkeypatch.setattr("tlsexit.policy.store.load_identity", counting_load)
    for _ in range(3):
        serving.call()
    assert (read, sorted(decrypted)) == ([], ["FIRST", "SECOND"])
    serving.store.deactivate("SECOND")
    serving.call()
    assert (read, sorted(decrypted)) == (["store"], ["FIRST", "SECOND"])


def test_a_store_that_is_damaged_ends_handshakes_until_it_is_mended(serving: Serving) -> None:
    index = serving.store.folder / "index.toml"
    content = index.read_bytes()
    index.write_bytes(content[:20])
    with pytest.raises(TlsError, match="internal_error"):
        serving.call()
    assert isinstance(serving.error, ExitFailed)
    assert serving.error.description == AlertDescription.INTERNAL_ERROR
    assert f"{index}: is damaged" in str(serving.error.__cause__)
    index.write_bytes(content)
    assert serving.call().context.peer_chain == PKI.server.chain


def test_a_store_that_is_not_there(tmp_path: Path, made: Path) -> None:
    folder = shutil.copytree(made / "store", tmp_path / "store")
    store = KeyStore.open(folder)
    (folder / "index.toml").unlink()
    with pytest.raises(TlsError, match=r"index\.toml: cannot be read: No such file"):
        LivePki(store)
