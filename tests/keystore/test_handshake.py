"""Handshakes answered from a key store: the password comes from StartTask, the verdict from the peer's certificate."""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from tests.support.ends import DHE_RSA, RSA, client_end, handshake, server_end
from tests.support.pair import End, pump
from tests.support.pki import END, HOSTS, NOW, START, faulty, leaf_key, pki
from tlsexit.alerts import AlertDescription, AlertReceived, ExitFailed
from tlsexit.crypto.suites import KeyType
from tlsexit.exits.answers import Answer, Handled
from tlsexit.exits.calls import StartTaskCall, StartTaskResult
from tlsexit.keystore import KeyStore
from tlsexit.policy import BuiltinPki
from tlsexit.policy.throwaway import Issued
from tlsexit.profile import Verify

PASSWORD = "open sesame"


class Opener:
    """An exit that knows the password of the key store, and nothing else."""

    def __init__(self, password: str) -> None:
        self._password = password

    def start_task(self, call: StartTaskCall) -> Answer:
        return Handled(StartTaskResult(password=self._password))


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> KeyStore:
    """A store with both sides' certificates and their authority."""
    tmp_path = tmp_path_factory.mktemp("original")
    store = KeyStore.create(tmp_path / "store", PASSWORD)
    store.add_identity("server", pki().server.identity("x"))
    store.add_identity("client", pki().intermediate_client.identity("x"))
    (tmp_path / "ca.pem").write_bytes(pki().root.pem)
    store.import_authority("root", tmp_path / "ca.pem")
    return store


@pytest.fixture
def store(original: KeyStore, tmp_path: Path) -> KeyStore:
    """A copy of it: a store is no more than its files."""
    return KeyStore.open(shutil.copytree(original.folder, tmp_path / "store"))


def locked_pki(store: KeyStore) -> BuiltinPki:
    """What answers from the store without its password."""
    return KeyStore.open(store.folder).pki(clock=NOW.timestamp)


@pytest.mark.parametrize("suite", [RSA, DHE_RSA])
def test_the_password_of_start_task_opens_the_store(store: KeyStore, suite: int) -> None:
    """Mutual authentication: each side decrypts its own identity when the handshake first needs it."""
    client = client_end(
        suite, exits=Opener(PASSWORD), builtin=locked_pki(store), user_certificate_id="client", root_ca_ids=("root",)
    )
    server = server_end(
        suite,
        exits=Opener(PASSWORD),
        builtin=locked_pki(store),
        verify=Verify.REQUIRED,
        user_certificate_id="server",
        root_ca_ids=("root",),
    )
    handshake(client, server)
    assert server.connection.context.peer_chain == pki().intermediate_client.chain
    assert client.connection.context.peer_chain == pki().server.chain


@pytest.mark.parametrize("exits", [None, Opener("battery staple")])
def test_without_the_right_password_the_handshake_ends(store: KeyStore, exits: Opener | None) -> None:
    client = client_end(builtin=locked_pki(store))
    server = server_end(exits=exits, builtin=locked_pki(store))
    pump(client, server)
    assert isinstance(client.connection.error, AlertReceived)
    assert client.connection.error.description == AlertDescription.INTERNAL_ERROR
    assert isinstance(server.connection.error, ExitFailed)
    assert "password" in str(server.connection.error.__cause__ or server.connection.error)
    assert "battery" not in str(server.connection.error)


def test_the_password_of_the_store_goes_before_that_of_the_task(store: KeyStore) -> None:
    opened = KeyStore.open(store.folder, PASSWORD).pki(clock=NOW.timestamp)
    server = server_end(exits=Opener("battery staple"), builtin=opened, user_certificate_id="server")
    handshake(client_end(builtin=locked_pki(store)), server)


def test_only_active_entries_are_used(store: KeyStore) -> None:
    store.deactivate("server")
    opened = KeyStore.open(store.folder, PASSWORD)
    server = server_end(builtin=opened.pki(clock=NOW.timestamp), user_certificate_id="server")
    pump(client_end(builtin=locked_pki(store)), server)
    assert server.connection.error is not None
    assert "the key store has no identity server" in str(server.connection.error.__cause__)
    store.activate("server")
    store.deactivate("root")
    server = server_end(builtin=opened.pki(clock=NOW.timestamp), user_certificate_id="server")
    client = client_end(builtin=locked_pki(store))
    pump(client, server)
    assert sent_alert(client, server) == AlertDescription.UNKNOWN_CA


def revoked() -> Issued:
    """A good certificate, which is on the list of :func:`with_revocation_list`."""
    return pki().root.issue("revoked", key=leaf_key(KeyType.RSA), hosts=HOSTS, not_before=START, not_after=END)


def sent_alert(client: End, server: End) -> int | None:
    """The alert with which the client ended the handshake, as both sides have it."""
    error, received = client.connection.error, server.connection.error
    assert isinstance(error, ExitFailed)
    assert isinstance(received, AlertReceived)
    assert received.description == error.description
    return error.description


def refusal(store: KeyStore, issued: Issued) -> int | None:
    """The alert that a client with the store sends to a server with this certificate."""
    shown = BuiltinPki([issued.identity("own")], clock=NOW.timestamp)
    client, server = client_end(builtin=locked_pki(store)), server_end(builtin=shown, user_certificate_id="own")
    pump(client, server)
    return sent_alert(client, server)


@pytest.mark.parametrize(
    ("fault", "alert"),
    [("expired", 45), ("not_yet_valid", 45), ("unknown_authority", 48), ("wrong_purpose", 43), ("sign_only", 43)],
)
def test_each_fault_has_its_alert(store: KeyStore, fault: str, alert: int) -> None:
    """R2246-7.2.2-10 and the alerts around it: out of date is 45, an unknown CA 48, an unfit key usage 43."""
    assert refusal(store, getattr(faulty(), fault)) == alert


def test_a_revoked_certificate_is_refused_while_its_list_is_active(store: KeyStore, tmp_path: Path) -> None:
    """R2246-7.2.2-11: certificate_revoked(44), by a list in the store."""
    issued = revoked()
    crl = pki().root.revocation_list([issued.certificate], last_update=NOW, next_update=NOW + timedelta(1))
    (tmp_path / "crl.pem").write_bytes(crl.public_bytes(Encoding.PEM))
    store.import_revocation_lists("crl", tmp_path / "crl.pem")
    assert refusal(store, issued) == 44
    store.deactivate("crl")
    shown = BuiltinPki([issued.identity("own")], clock=NOW.timestamp)
    handshake(client_end(builtin=locked_pki(store)), server_end(builtin=shown))
    with_option = KeyStore.open(store.folder).pki(clock=NOW.timestamp, crls=[crl])
    client, server = client_end(builtin=with_option), server_end(builtin=shown)
    pump(client, server)
    assert sent_alert(client, server) == 44
