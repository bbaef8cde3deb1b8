"""What an exit changes in StartHandshake is what the handshake then goes by; what it may not change ends it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.ends import DHE_RSA, RSA, client_end, server_end
from tests.support.pair import End, pump
from tests.support.pki import NOW, pki
from tlsexit.alerts import AlertDescription, ExitFailed, TlsError
from tlsexit.constants import Role
from tlsexit.crypto.suites import KeyType
from tlsexit.exits.answers import Answer, Handled
from tlsexit.exits.application import TransportSecurity
from tlsexit.exits.calls import StartHandshakeCall, StartHandshakeResult, StartTaskCall
from tlsexit.exits.context import Authentication
from tlsexit.policy import BuiltinPki
from tlsexit.profile import CHANGEABLE, Verify


class Changer:
    """An exit that changes the profile, and leaves the rest."""

    def __init__(self, **changes: Any) -> None:
        self._changes = changes

    def start_task(self, call: StartTaskCall) -> Answer:
        return Handled()

    def start_handshake(self, call: StartHandshakeCall) -> Answer:
        return Handled(StartHandshakeResult(changes=self._changes))


def builtin(role: Role) -> BuiltinPki:
    """Two identities and two authorities."""
    certificates = pki()
    if role is Role.SERVER:
        below, direct = certificates.intermediate_server, certificates.server
    else:
        below, direct = certificates.intermediate_client, certificates.client
    authorities = {
        "root": [certificates.root.certificate],
        "other": [pki(KeyType.EC).root.certificate],
        "below": [certificates.intermediate.certificate],
    }
    return BuiltinPki([below.identity("below"), direct.identity("direct")], authorities, clock=NOW.timestamp)


def meet(changes: dict[str, Any], **elements: Any) -> tuple[End, End]:
    """A server whose exit makes the changes, and a client."""
    profile = {"verify": Verify.REQUIRED, "root_ca_ids": ("root",), **elements}
    client = client_end(RSA, DHE_RSA, builtin=builtin(Role.CLIENT), root_ca_ids=("root",))
    server = server_end(RSA, exits=Changer(**changes), builtin=builtin(Role.SERVER), **profile)
    pump(client, server)
    return client, server


def refusal(server: End) -> int:
    error = server.connection.error
    assert isinstance(error, ExitFailed)
    return error.description


def test_cipher_suites() -> None:
    _, server = meet({"cipher_suites": (DHE_RSA,)})
    assert server.connection.context.cipher_suite == DHE_RSA


def test_verify() -> None:
    client, server = meet({"verify": Verify.NONE})
    assert server.connection.context.authentication is Authentication.SERVER
    assert client.connection.context.own_chain == ()


@pytest.mark.parametrize("id", ["below", "direct"])
def test_user_certificate_id(id: str) -> None:
    client, _ = meet({"user_certificate_id": id})
    expected = pki().intermediate_server if id == "below" else pki().server
    assert client.connection.context.peer_chain == expected.chain


def test_root_ca_ids() -> None:
    _, server = meet({"root_ca_ids": ("below",)})
    assert server.connection.established
    client, server = meet({"root_ca_ids": ("other",)})
    assert not server.connection.established
    assert client.connection.context.own_chain == ()  # it has nothing from those whom the server now asks for


def test_depth() -> None:
    """The client shows the one below the intermediate, which comes first in its store."""
    _, server = meet({"depth": 2})
    assert server.connection.established
    _, server = meet({"depth": 1})
    assert refusal(server) == AlertDescription.UNKNOWN_CA


@pytest.mark.parametrize(
    "changes", [{"dn_user": ("CN=nobody", "CN=client/O=Elsewhere")}, {"dn_issuer": ("CN=nobody",)}]
)
def test_filters(changes: dict[str, Any]) -> None:
    _, server = meet(dict.fromkeys(changes, ("CN=nobody", "CN=client/O=example", "CN=RSA intermediate")))
    assert server.connection.established
    _, server = meet(changes)
    assert refusal(server) == AlertDescription.ACCESS_DENIED


def test_parm() -> None:
    _, server = meet({"parm": "changed"}, parm="as it was")
    context = server.connection.context
    assert TransportSecurity.of(context, bytes(64), {}).parm == "changed"


READ_ONLY = {
    "id": "other",
    "direction": Role.CLIENT,
    "certificate_file_root": "/tmp/x",
    "trace": 2,
    "server_preference": True,
    "remote_address": ("192.0.2.1", 1),
}


@pytest.mark.parametrize("name", READ_ONLY)
def test_what_is_read_only_ends_the_handshake(name: str) -> None:
    """Before a byte is sent but the alert; the error names the element."""
    assert name not in CHANGEABLE
    _, server = meet({name: READ_ONLY[name]})
    assert refusal(server) == AlertDescription.INTERNAL_ERROR
    assert name in str(server.connection.error)
    assert server.connection.context.profile.id == "default"


NAMES = st.sampled_from([*sorted(CHANGEABLE), "id", "direction", "colour", ""])
VALUES = st.none() | st.integers() | st.text(max_size=70) | st.lists(st.text(max_size=5)).map(tuple) | st.binary()


@given(st.dictionaries(NAMES, VALUES, max_size=3))
def test_any_change_is_taken_or_ends_the_handshake(changes: dict[str, Any]) -> None:
    _, server = meet(changes)
    assert server.connection.established or isinstance(server.connection.error, TlsError)
    assert server.connection.pending_exit is None
