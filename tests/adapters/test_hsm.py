"""Keys on a token of SoftHSM2: every kind of key in both roles, and handshakes during which the token is lost."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pkcs11
import pytest
from pkcs11 import Attribute, ObjectClass

from tests.support.ends import (
    DHE_DSS,
    DHE_RSA,
    ECDHE_ECDSA,
    ECDHE_RSA,
    RSA,
    check_phases,
    client_end,
    handshake,
    server_end,
)
from tests.support.pair import End, pump
from tests.support.pki import pki
from tests.support.softhsm import PIN, Token, key_attributes
from tlsexit.adapters.hsm import Pkcs11Exit
from tlsexit.alerts import AlertDescription, AlertReceived, ExitFailed, LocalError
from tlsexit.constants import Role
from tlsexit.crypto.keyops import PublicKey, encrypt
from tlsexit.crypto.suites import KeyType
from tlsexit.exits.answers import Answer, Failed, Handled, NotHandled
from tlsexit.exits.calls import CryptDataCall, CryptOperation, EndTaskCall, GetCertificateCall, StartTaskCall
from tlsexit.exits.context import SessionContext, TaskContext
from tlsexit.exits.forms import certificate_key
from tlsexit.policy import BuiltinPki
from tlsexit.profile import Profile, Verify

SECRET = b"\3\1" + bytes(46)
TASK = StartTaskCall(TaskContext(1))
WITHOUT_KEYS = BuiltinPki((), {"root": [pki(kind).root.certificate for kind in KeyType]}, clock=lambda: 1_750_000_000)
"""What answers beside the token: it trusts the test authorities and has nothing to show."""

SUITES = {RSA: "rsa", DHE_RSA: "rsa", ECDHE_RSA: "rsa", ECDHE_ECDSA: "ecdsa", DHE_DSS: "dsa"}
"""Suites, and the label of the key that a server needs for each."""


class Between:
    """Hands every call on, and does something before that of one phase."""

    def __init__(self, exits: object, method: str, act: Any) -> None:
        self._exits = exits
        self._method = method
        self._act = act

    def __getattr__(self, name: str) -> Any:
        if name == self._method:
            self._act()
        return getattr(self._exits, name)


def server(exits: object, suite: int = DHE_RSA, **profile: Any) -> End:
    return server_end(suite, exits=exits, builtin=WITHOUT_KEYS, **profile)


def make(token: Token, key: str = "rsa", **elements: Any) -> Pkcs11Exit:
    return Pkcs11Exit(token.uri(key), **{"pause": 0.0, **elements})


def writing(token: Token) -> Any:
    """A session that may add keys; whatever else is open on the tokens of the module is closed."""
    library = pkcs11.lib(str(token.module))
    library.reinitialize()
    return library.get_token(token_label=token.label).open(rw=True, user_pin=PIN)


@pytest.fixture
def spare(hsm: dict[str, Token]) -> Iterator[Token]:
    """A token to lose; it is there again afterwards."""
    yield hsm["spare"]
    hsm["spare"].put_back()
    pkcs11.lib(str(hsm["spare"].module)).reinitialize()


# --------------------------------------------------------------------------------------------------------- both roles


@pytest.mark.parametrize("suite", SUITES)
def test_a_server(hsm: dict[str, Token], suite: int) -> None:
    """Decryption for RSA, signatures for the others, all made on the token: the built-in PKI has no key."""
    own = server(make(hsm["server"], SUITES[suite]), suite)
    client = client_end(suite, server_name="localhost")
    handshake(client, own)
    assert own.connection.context.own_chain[0] == pki(own_kind(suite)).server.chain[0]


def own_kind(suite: int) -> KeyType:
    return {"rsa": KeyType.RSA, "ecdsa": KeyType.EC, "dsa": KeyType.DSA}[SUITES[suite]]


@pytest.mark.parametrize("suite", [RSA, ECDHE_ECDSA, DHE_DSS])
def test_a_client(hsm: dict[str, Token], suite: int) -> None:
    """CertificateVerify with each kind of key."""
    client = client_end(suite, exits=make(hsm["client"], SUITES[suite]), builtin=WITHOUT_KEYS)
    own = server_end(suite, verify=Verify.REQUIRED)
    handshake(client, own)
    assert own.connection.context.peer_chain[0] == pki(own_kind(suite)).client.chain[0]
    client.connection.close()
    client.drive()
    check_phases(client)


def test_the_chain_on_the_token(hsm: dict[str, Token]) -> None:
    """The certificate with the id of the key, and its issuer."""
    own = server(make(hsm["server"]))
    handshake(client_end(DHE_RSA), own)
    root = pki().root.certificate
    assert [item.subject for item in own.connection.context.own_certificates][1:] == [root.subject]


def test_a_chain_in_a_file(hsm: dict[str, Token], tmp_path: Path) -> None:
    (tmp_path / "chain.pem").write_bytes(pki().server.chain_pem)
    exits = Pkcs11Exit(hsm["server"].uri("rsa", x_certificate_file=str(tmp_path / "chain.pem")))
    own = server(exits)
    handshake(client_end(DHE_RSA), own)
    assert own.connection.context.own_chain == pki().server.chain


def test_what_the_token_does_not_have_is_left_to_the_built_in_pki(hsm: dict[str, Token]) -> None:
    """An ECDSA key on the token, an RSA key in a file, each for its suites; the same for a client."""
    exits = make(hsm["server"], "ecdsa")
    handshake(client_end(DHE_RSA), server_end(DHE_RSA, exits=exits))
    handshake(client_end(ECDHE_ECDSA), server_end(ECDHE_ECDSA, exits=exits))
    client = client_end(RSA, exits=make(hsm["client"], "ecdsa"))
    own = server_end(RSA, verify=Verify.REQUIRED)
    handshake(client, own)
    assert own.connection.context.peer_chain == pki().client.chain


# ----------------------------------------------------------------------------------------------------------- loss


@pytest.mark.parametrize("method", ["start_handshake", "get_certificate", "crypt_data"])
def test_a_token_lost_before_a_signature(spare: Token, hsm: dict[str, Token], method: str) -> None:
    """internal_error for the session at hand; those of another token and an established one do not notice."""
    exits = make(spare)
    before, peer = server(exits), client_end(DHE_RSA)
    handshake(peer, before)
    other = make(hsm["server"])
    handshake(client_end(DHE_RSA), server(other))

    own, client = server(Between(exits, method, spare.take_away)), client_end(DHE_RSA)
    pump(client, own)
    assert isinstance(client.connection.error, AlertReceived)
    assert client.connection.error.description == AlertDescription.INTERNAL_ERROR
    assert isinstance(own.connection.error, ExitFailed)
    assert own.connection.error.phase == "CryptData"
    check_phases(own)

    before.connection.send(b"still here")
    pump(peer, before)
    assert peer.received == b"still here"
    handshake(client_end(DHE_RSA), server(other))

    spare.put_back()
    after = server_end(DHE_RSA, exits=exits, builtin=WITHOUT_KEYS)
    handshake(client_end(DHE_RSA), after)


def test_a_token_lost_before_a_decryption(spare: Token) -> None:
    """The client sees what it sees after any premaster secret that does not decrypt (RFC 2246 §7.4.7.1)."""
    exits = make(spare)
    own, client = server(Between(exits, "crypt_data", spare.take_away), RSA), client_end(RSA)
    pump(client, own)
    assert isinstance(client.connection.error, AlertReceived)
    assert client.connection.error.description == AlertDescription.BAD_RECORD_MAC
    spare.put_back()
    handshake(client_end(RSA), server(exits, RSA))


@pytest.mark.parametrize("suite", [RSA, DHE_RSA])
@pytest.mark.parametrize("act", ["reinitialize", "finalize"])
def test_sessions_that_the_module_has_forgotten(hsm: dict[str, Token], suite: int, act: str) -> None:
    """The token is still there: a new session and a new login are all that is needed, at once."""
    exits = make(hsm["server"])
    library = pkcs11.lib(str(hsm["server"].module))
    own = server(Between(exits, "crypt_data", getattr(library, act)), suite)
    handshake(client_end(suite), own)


@pytest.mark.parametrize("suite", [RSA, DHE_RSA])
def test_a_login_that_ended(hsm: dict[str, Token], suite: int) -> None:
    """Two exits share the login of their process; when one ends its task, the other logs in anew."""
    one, two = make(hsm["server"]), make(hsm["server"])
    first, second = server(one, suite), server(two, suite)
    one.end_task(EndTaskCall(first.connection.context.task))
    handshake(client_end(suite), second)


def test_a_missing_token_is_not_looked_for_all_the_time(spare: Token) -> None:
    exits = make(spare, pause=3600.0)
    own = server(Between(exits, "crypt_data", spare.take_away))
    pump(client_end(DHE_RSA), own)
    spare.put_back()
    answer = exits.start_task(TASK)
    assert isinstance(answer, Failed)
    assert "was not there a moment ago" in str(answer.cause)


# ------------------------------------------------------------------------------------------------------ decryption


def decrypt(exits: Pkcs11Exit, ciphertext: bytes) -> Answer:
    context = SessionContext(
        task=TASK.task, reference=1, role=Role.SERVER, profile=Profile.server(), own_chain=pki().server.chain
    )
    answer = exits.crypt_data(CryptDataCall(context, CryptOperation.DECRYPT, KeyType.RSA, ciphertext))
    assert isinstance(answer, (Handled, NotHandled, Failed))
    return answer


def test_bad_padding(hsm: dict[str, Token]) -> None:
    """A failure, whose text is that of any other, and after which everything goes on as before."""
    exits = make(hsm["server"])
    assert exits.start_task(TASK) == Handled()
    public = certificate_key(pki().server.chain[0])
    assert isinstance(public, PublicKey)
    good = encrypt(public, SECRET)
    assert decrypt(exits, good) == Handled(SECRET)
    for bad in (bytes(255) + b"\2", b"\0" * 256, b"short", b""):
        answer = decrypt(exits, bad)
        assert isinstance(answer, Failed)
        assert isinstance(answer.cause, LocalError)
    assert decrypt(exits, good) == Handled(SECRET)


# ------------------------------------------------------------------------------------------------------- mistakes


def refusal(exits: Pkcs11Exit) -> str:
    """Why StartTask fails."""
    answer = exits.start_task(TASK)
    assert isinstance(answer, Failed)
    assert isinstance(answer.cause, LocalError)
    assert answer.alert_reason == AlertDescription.INTERNAL_ERROR
    return str(answer.cause)


def test_a_wrong_pin_is_tried_once(spare: Token) -> None:
    """A token locks itself after a few; so not even the right token would be asked again."""
    pkcs11.lib(str(spare.module)).reinitialize()  # nobody is logged in
    exits = make(spare, pin="1111")
    assert refusal(exits) == "spare-token/rsa: the PIN is wrong"
    spare.take_away()
    assert refusal(exits) == "spare-token/rsa: the PIN is wrong"
    assert "1111" not in repr(exits)


def test_without_a_pin(spare: Token) -> None:
    pkcs11.lib(str(spare.module)).reinitialize()
    assert "fits 0 private keys, not one (no PIN was given)" in refusal(Pkcs11Exit(spare.uri("rsa", pin_source="")))


def test_keys_and_tokens_that_are_not_there(hsm: dict[str, Token]) -> None:
    token = hsm["server"]
    assert refusal(make(token, "missing")) == "server-token/missing: the URI fits 0 private keys, not one"
    other = token.uri("rsa").replace("server-token", "no-token", 1)
    assert refusal(Pkcs11Exit(other)) == "no-token/rsa: the URI fits 0 tokens, not one"
    any_key = token.uri("rsa").replace(";object=rsa", "")
    assert refusal(Pkcs11Exit(any_key)) == "server-token: the URI fits 3 private keys, not one"


@pytest.mark.parametrize("key", ["rsa", "ecdsa", "dsa"])
def test_a_certificate_of_another_key(hsm: dict[str, Token], key: str) -> None:
    kind = {"rsa": KeyType.RSA, "ecdsa": KeyType.EC, "dsa": KeyType.DSA}[key]
    other = pki(kind).root.issue("other")
    assert "the key is not that of the certificate of CN=other" in refusal(
        make(hsm["server"], key, certificates=other.chain)
    )


def test_a_module_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "module.so").write_text("no module\n")
    exits = Pkcs11Exit(f"pkcs11:token=x?module-path={tmp_path}/module.so")
    assert "module.so: not a PKCS #11 module: " in refusal(exits)


def test_a_certificate_is_needed(hsm: dict[str, Token]) -> None:
    """A key whose id no certificate on the token has."""
    token = hsm["server"]
    with writing(token) as session:
        key: dict[Any, Any] = {Attribute.CLASS: ObjectClass.PRIVATE_KEY, Attribute.TOKEN: True, Attribute.PRIVATE: True}
        key |= {Attribute.LABEL: "lonely", Attribute.ID: b"\x77", Attribute.SIGN: True}
        session.create_object(key | key_attributes(pki().server.key))
    assert "no certificate with the id of the key is on the token; name a file" in refusal(make(token, "lonely"))
    handshake(client_end(DHE_RSA), server(make(token, "lonely", certificates=pki().server.chain)))


def test_get_certificate_before_start_task(hsm: dict[str, Token]) -> None:
    """A driver would never do that; whoever answers by hand is told."""
    context = SessionContext(task=TASK.task, reference=1, role=Role.SERVER, profile=Profile.server())
    with pytest.raises(LocalError, match="StartTask has not opened the token"):
        make(hsm["server"]).get_certificate(GetCertificateCall(context, (RSA,)))


@pytest.mark.parametrize("suite", [RSA, DHE_RSA])
def test_a_key_that_wants_its_pin_every_time(hsm: dict[str, Token], suite: int) -> None:
    """CKA_ALWAYS_AUTHENTICATE, as smart cards have it for keys that sign documents."""
    token, label = hsm["server"], f"careful-{suite}"
    with writing(token) as session:
        key: dict[Any, Any] = {Attribute.CLASS: ObjectClass.PRIVATE_KEY, Attribute.TOKEN: True, Attribute.PRIVATE: True}
        key |= {Attribute.LABEL: label, Attribute.SIGN: True, Attribute.ALWAYS_AUTHENTICATE: True}
        session.create_object(key | key_attributes(pki().server.key))
    exits = make(token, label, certificates=pki().server.chain)
    for _ in range(2):
        handshake(client_end(suite), server(exits, suite))
