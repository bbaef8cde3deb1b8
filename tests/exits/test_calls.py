"""The questions: what each shows an exit, and which answers it takes."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.support.pki import pki
from tlsexit.alerts import LocalError
from tlsexit.constants import Role
from tlsexit.crypto.keyops import encrypt, sign, verify
from tlsexit.crypto.suites import KeyType
from tlsexit.exits.calls import (
    CheckCertificateCall,
    Credentials,
    CryptDataCall,
    CryptOperation,
    EndSessionCall,
    GetCAListCall,
    GetCertificateCall,
    GetPreSharedKeyCall,
    HandshakeDoneCall,
    PreSharedKey,
    StartHandshakeCall,
    StartHandshakeResult,
    StartTaskCall,
    StartTaskResult,
    Untrusted,
)
from tlsexit.exits.context import SessionContext, TaskContext
from tlsexit.exits.forms import CAList, chain_bytes
from tlsexit.profile import Profile, Verify

NAME = pki().root.certificate.subject
SERVER_CHAIN = pki().server.chain


def context(role: Role = Role.SERVER, **fields: Any) -> SessionContext:
    profile = fields.pop("profile", Profile.server() if role is Role.SERVER else Profile.client())
    return SessionContext(task=TaskContext(1), reference=1, role=role, profile=profile, **fields)


# ------------------------------------------------------------------------------------------------ StartTask


@pytest.mark.parametrize(
    "result",
    [StartTaskResult(), StartTaskResult("ref", 100, "pw"), StartTaskResult(7, 0, b"pw"), StartTaskResult(7, 2**20)],
)
def test_start_task(result: StartTaskResult) -> None:
    assert StartTaskCall(TaskContext(1)).validate(result) is result
    assert StartTaskCall(TaskContext(1)).validate(None) == StartTaskResult()


@pytest.mark.parametrize(
    "value",
    [
        StartTaskResult(private_area_size=-1),
        StartTaskResult(private_area_size=2**20 + 1),
        StartTaskResult(private_area_size=True),
        StartTaskResult(private_area_size="10"),  # type: ignore[arg-type]
        StartTaskResult(password=7),  # type: ignore[arg-type]
        {"reference": 1},
        b"",
    ],
)
def test_wrong_answers_to_start_task(value: object) -> None:
    with pytest.raises(LocalError):
        StartTaskCall(TaskContext(1)).validate(value)


def test_the_password_is_not_shown() -> None:
    assert "sesame" not in repr(StartTaskResult(password="sesame"))


# ------------------------------------------------------------------------------------------------ StartHandshake


def test_start_handshake() -> None:
    call = StartHandshakeCall(context())
    assert call.validate(None) == (None, call.context.profile)
    reference, profile = call.validate(StartHandshakeResult("mine", {"depth": 1}))
    assert reference == "mine"
    assert profile.depth == 1


@pytest.mark.parametrize(
    "changes",
    [{"id": "other"}, {"direction": Role.CLIENT}, {"depth": 99}, {"depth": "3"}, {"nothing": 1}, 7, [("depth", 1)]],
)
def test_wrong_changes(changes: Any) -> None:
    with pytest.raises(LocalError):
        StartHandshakeCall(context()).validate(StartHandshakeResult(changes=changes))


# ------------------------------------------------------------------------------------------------ own certificates


def test_get_ca_list() -> None:
    assert GetCAListCall(context()).validate(((1, 64), [NAME])) == CAList((1, 64), (NAME.public_bytes(),))
    with pytest.raises(LocalError):
        GetCAListCall(context()).validate(None)


def test_get_certificate_of_a_server() -> None:
    call = GetCertificateCall(context(), (0x2F, 0x33))
    assert call.ca_list_bytes is None
    assert call.authorities == ()
    for value in (SERVER_CHAIN, chain_bytes(SERVER_CHAIN), [pki().server.certificate], Credentials(SERVER_CHAIN)):
        assert call.validate(value).chain == SERVER_CHAIN
    assert call.validate(Credentials(SERVER_CHAIN, cipher_suite=0x33)).cipher_suite == 0x33


def test_credentials_of_an_exits_own_class_become_ours() -> None:
    class Labelled(Credentials):
        label = "from the vault"

    call = GetCertificateCall(context(), (0x33, 0x2F))
    stapled = Labelled(SERVER_CHAIN, 0x2F, b"response", (b"sct",), True)
    answer = call.validate(stapled)
    assert type(answer) is Credentials
    assert answer == Credentials(SERVER_CHAIN, 0x2F, b"response", (b"sct",), True)


def test_get_certificate_of_a_client() -> None:
    """The CA list in the form in which the server sent it, and as names."""
    asked = CAList((1,), (NAME.public_bytes(),))
    call = GetCertificateCall(context(Role.CLIENT), ca_list=asked)
    assert call.authorities == (NAME.public_bytes(),)
    assert call.ca_list_bytes == b"\1\1" + bytes([0, len(NAME.public_bytes()) + 2, 0, len(NAME.public_bytes())]) + (
        NAME.public_bytes()
    )
    assert call.validate(()).chain == ()
    assert call.validate(pki().client.chain).chain == pki().client.chain


@pytest.mark.parametrize(
    "value",
    [
        (),
        b"\0\0\0",
        None,
        [b"no certificate"],
        (SERVER_CHAIN[0][:-1],),
        Credentials(None),
        Credentials(SERVER_CHAIN, cipher_suite=0x35),
        SERVER_CHAIN[0],
    ],
)
def test_what_a_server_cannot_show(value: object) -> None:
    """R2246-7.4.2-13."""
    with pytest.raises(LocalError):
        GetCertificateCall(context(), (0x2F,)).validate(value)


@pytest.mark.parametrize(("kind", "number"), [(KeyType.RSA, 1), (KeyType.DSA, 2), (KeyType.EC, 64)])
def test_a_client_shows_a_type_that_was_asked_for(kind: KeyType, number: int) -> None:
    """R2246-7.4.6-04."""
    chain = pki(kind).client.chain
    assert GetCertificateCall(context(Role.CLIENT), ca_list=CAList((number,), ())).validate(chain).chain == chain
    others = tuple({1, 2, 64} - {number})
    with pytest.raises(LocalError, match="did not ask"):
        GetCertificateCall(context(Role.CLIENT), ca_list=CAList(others, ())).validate(chain)


# ------------------------------------------------------------------------------------------------ CheckCertificate


def test_check_certificate() -> None:
    call = CheckCertificateCall(context(Role.CLIENT), SERVER_CHAIN)
    assert call.chain_bytes == chain_bytes(SERVER_CHAIN)
    assert call.certificates == (pki().server.certificate,)
    assert call.validate(None) is None


@pytest.mark.parametrize("value", [True, b"yes", "yes", 0])
def test_wrong_answers_to_check_certificate(value: object) -> None:
    with pytest.raises(LocalError):
        CheckCertificateCall(context(), SERVER_CHAIN).validate(value)


def test_untrusted_is_for_optional_only() -> None:
    optional = context(profile=Profile.server(verify=Verify.OPTIONAL))
    assert CheckCertificateCall(optional, SERVER_CHAIN).validate(Untrusted("no")) == Untrusted("no")
    for other in (context(), context(Role.CLIENT), context(profile=Profile.server(verify=Verify.NONE))):
        with pytest.raises(LocalError, match="optional"):
            CheckCertificateCall(other, SERVER_CHAIN).validate(Untrusted("no"))


# ------------------------------------------------------------------------------------------------ CryptData


@pytest.mark.parametrize("kind", KeyType)
def test_the_engine_signs_with_the_key(kind: KeyType) -> None:
    """The exact input: 36 bytes for RSA, 20 for DSA and ECDSA; the key or the result, both will do."""
    digest = bytes(range(36 if kind is KeyType.RSA else 20))
    key = pki(kind).server.key
    call = CryptDataCall(context(own_chain=pki(kind).server.chain), CryptOperation.SIGN, kind, digest)
    signature = call.validate(key)
    verify(key.public_key(), signature, digest)
    assert call.validate(signature) == signature
    assert call.validate(bytearray(signature)) == signature


def test_the_engine_decrypts_with_the_key() -> None:
    key = pki().server.key
    ciphertext = encrypt(key.public_key(), b"premaster")
    call = CryptDataCall(context(own_chain=SERVER_CHAIN), CryptOperation.DECRYPT, KeyType.RSA, ciphertext)
    assert call.validate(key) == b"premaster"
    assert call.validate(b"premaster") == b"premaster"


@pytest.mark.parametrize(
    ("value", "what"),
    [
        (pki(KeyType.EC).server.key, "RSA"),
        (pki().root.key, "does not belong"),
        (pki().server.key.public_key(), "bytes or a private key"),
        (Ed25519PrivateKey.generate(), "bytes or a private key"),
        (None, "bytes or a private key"),
        ("signature", "bytes or a private key"),
    ],
)
def test_keys_that_do_not_fit(value: object, what: str) -> None:
    """Said in one sentence that shows nothing of the key."""
    call = CryptDataCall(context(own_chain=SERVER_CHAIN), CryptOperation.SIGN, KeyType.RSA, bytes(36))
    with pytest.raises(LocalError, match=what):
        call.validate(value)


@pytest.mark.parametrize("kind", KeyType)
@pytest.mark.parametrize("how", ["short", "long", "empty", "too long for the message", "another key", "another digest"])
def test_signatures_that_the_peer_would_refuse(kind: KeyType, how: str) -> None:
    """Found here, where it can be said that the exit has the wrong key; a wrong CRT signature would give it away."""
    digest = bytes(range(36 if kind is KeyType.RSA else 20))
    call = CryptDataCall(context(own_chain=pki(kind).server.chain), CryptOperation.SIGN, kind, digest)
    good = call.validate(pki(kind).server.key)
    value = {
        "short": good[:-1],
        "long": good + b"\0",
        "empty": b"",
        "too long for the message": bytes(70_000),
        "another key": sign(pki(kind).root.key, digest),
        "another digest": sign(pki(kind).server.key, digest[::-1]),
    }[how]
    with pytest.raises(LocalError, match=r"does not verify|1 to 65535 bytes"):
        call.validate(value)


def test_what_is_signed_is_not_shown() -> None:
    call = CryptDataCall(context(), CryptOperation.DECRYPT, KeyType.RSA, b"the ciphertext")
    assert "the ciphertext" not in repr(call)


# ------------------------------------------------------------------------------------------------ the others


@pytest.mark.parametrize("key", [b"k", bytes(65535)])
def test_pre_shared_keys(key: bytes) -> None:
    psk = PreSharedKey(b"me", key)
    assert GetPreSharedKeyCall(context()).validate(psk) is psk
    assert repr(key) not in repr(psk)


@pytest.mark.parametrize(
    "value", [None, b"key", PreSharedKey(b"", b""), PreSharedKey(b"", bytes(2**16)), PreSharedKey(bytes(2**16), b"k")]
)
def test_what_is_no_pre_shared_key(value: object) -> None:
    with pytest.raises(LocalError):
        GetPreSharedKeyCall(context()).validate(value)


def test_handshake_done_and_end_session() -> None:
    assert HandshakeDoneCall(context()).validate(b"area") == b"area" + bytes(60)
    EndSessionCall(context()).validate(object())  # any answer will do
