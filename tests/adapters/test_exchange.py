"""One call of ``cftpkie``: what the exit, played here by the test, is given, and what counts of its answer."""

from __future__ import annotations

import ctypes
from typing import Any

import pytest

from tests.support.exchange import CA_LIST, CHAIN, CONTEXT, TASK, ask, byte, put, text
from tlsexit.adapters import pkicom
from tlsexit.adapters.pkicom import Change, In, Out, PkiCom
from tlsexit.alerts import AlertLevel
from tlsexit.constants import Role
from tlsexit.crypto.suites import KeyType
from tlsexit.exits.answers import Handled, NotHandled, ReturnCode
from tlsexit.exits.calls import (
    CheckCertificateCall,
    Credentials,
    CryptDataCall,
    CryptOperation,
    EndSessionCall,
    ExitCall,
    GetCAListCall,
    GetCertificateCall,
    GetPreSharedKeyCall,
    HandshakeAlertCall,
    HandshakeDoneCall,
    PreSharedKey,
    StartHandshakeCall,
    StartHandshakeResult,
    StartTaskCall,
    StartTaskResult,
    Untrusted,
)
from tlsexit.exits.context import SessionContext, TaskContext
from tlsexit.exits.forms import ca_list_bytes, chain_bytes
from tlsexit.profile import Profile, Verify


def test_the_whole_context() -> None:
    seen: dict[str, Any] = {}

    def exit(com: PkiCom) -> int:
        for name, *_ in (*PkiCom._fields_, *pkicom.ProfileFields._fields_):
            value = getattr(com if hasattr(com, name) else com.profile, name)
            seen[name] = text(value) if isinstance(value, (In, Out)) else value
        seen["private_area"] = ctypes.string_at(com.private_area, com.private_area_length)
        seen["NUL"] = byte(com.remote_address.data + com.remote_address.length).value
        return ReturnCode.NOT_HANDLED

    assert ask(EndSessionCall(CONTEXT), exit) == NotHandled()
    expected = {
        "magic": pkicom.MAGIC,
        "version": 1,
        "size": ctypes.sizeof(PkiCom),
        "phase": 9,
        "task_reference": 7,
        "task_exit_reference": 70,
        "session_reference": 8,
        "session_exit_reference": 80,
        "public_area_length": 4096,
        "private_area": b"private",
        "role": 2,
        "handshake_count": 2,
        "remote_address": b"192.0.2.7",
        "remote_port": 40000,
        "local_address": b"::1",
        "local_port": 4433,
        "server_name": b"server.example",
        "peer_ca_list": ca_list_bytes(CA_LIST),
        "peer_chain": chain_bytes(CHAIN),
        "own_chain": chain_bytes(CHAIN),
        "session_id": bytes(range(32)),
        "cipher_suite": 0xC013,
        "authentication": ord("B"),
        "resumed": 1,
        "peer_trusted": 1,
        "id": b"PARTNERS",
        "cipher_suites": b"\x00\x2f\xc0\x13",
        "verify": 1,
        "user_certificate_id": b"own",
        "root_ca_ids": b"ROOT1\0ROOT2\0",
        "depth": 3,
        "dn_user": "O=Exämple\0".encode(),
        "dn_issuer": b"",
        "parm": b"free text",
        "changed": 0,
        "NUL": 0,
    }
    assert {name: seen[name] for name in expected} == expected


def test_nothing_is_known_yet() -> None:
    """Addresses, chains and names of a session that has just begun; and a reference that another kind of exit left."""
    task = TaskContext(1, exit_reference="not of C")
    context = SessionContext(task=task, reference=1, role=Role.CLIENT, profile=Profile.client())

    def exit(com: PkiCom) -> int:
        assert not com.private_area
        assert not com.peer_chain.data
        assert (com.role, com.remote_port, com.authentication, com.task_exit_reference) == (1, 0, 0, 0)
        return ReturnCode.HANDLED

    assert ask(HandshakeDoneCall(context), exit) == Handled(bytes(64))


@pytest.mark.parametrize(
    ("call", "given"),
    [
        (StartTaskCall(TASK), b"name=nightly\nsessions_per_task=3\n"),
        (GetCertificateCall(CONTEXT, ca_list=CA_LIST), ca_list_bytes(CA_LIST)),
        (CheckCertificateCall(CONTEXT, CHAIN), chain_bytes(CHAIN)),
        (CryptDataCall(CONTEXT, CryptOperation.SIGN, KeyType.RSA, bytes(range(36))), bytes(range(36))),
        (GetPreSharedKeyCall(CONTEXT, b"hint"), b"hint"),
        (GetPreSharedKeyCall(CONTEXT, b"hint", b"identity"), b"identity"),
        (GetCAListCall(CONTEXT), b""),
    ],
    ids=lambda item: type(item).__name__,
)
def test_inputs(call: ExitCall, given: bytes) -> None:
    def exit(com: PkiCom) -> int:
        assert text(com.input) == given
        return ReturnCode.NOT_HANDLED

    assert ask(call, exit) == NotHandled()


def test_what_only_some_phases_tell() -> None:
    def crypt(com: PkiCom) -> int:
        assert (com.operation, com.algorithm) == (2, 1)
        return 1

    def alert(com: PkiCom) -> int:
        assert (com.alert_level, com.alert_description, com.alert_remote) == (2, 48, 1)
        return 1

    def certificate(com: PkiCom) -> int:
        assert text(com.candidate_suites) == b"\0\x2f\0\x35"
        return 1

    def check(com: PkiCom) -> int:
        assert text(com.ocsp_response) == b"response"
        return 1

    for call, exit in (
        (CryptDataCall(CONTEXT, CryptOperation.DECRYPT, KeyType.RSA, b"c"), crypt),
        (HandshakeAlertCall(CONTEXT, AlertLevel.FATAL, 48, True), alert),
        (GetCertificateCall(CONTEXT, (0x2F, 0x35)), certificate),
        (CheckCertificateCall(CONTEXT, CHAIN, b"response"), check),
    ):
        assert ask(call, exit) == NotHandled()


def test_the_start_of_a_task() -> None:
    def exit(com: PkiCom) -> int:
        com.task_exit_reference = 2**64 - 1
        com.private_area_size = 100
        put(com.password, b"sesame")
        return 0

    assert ask(StartTaskCall(TASK), exit) == Handled(StartTaskResult(2**64 - 1, 100, b"sesame"))
    assert ask(StartTaskCall(TASK), lambda com: 0) == Handled(StartTaskResult(70, 0, None))


def test_every_change_of_the_profile() -> None:
    def exit(com: PkiCom) -> int:
        assert com.profile.parm.capacity >= 64
        put(com.profile.cipher_suites, b"\0\x35")
        put(com.profile.user_certificate_id, b"other")
        put(com.profile.root_ca_ids, b"ROOT3\0")
        put(com.profile.dn_user, b"CN=a\0CN=b")
        put(com.profile.dn_issuer, b"O=c\0")
        put(com.profile.parm, "für".encode())
        com.profile.verify, com.profile.depth = 2, 1
        com.profile.changed = int(~Change(0))
        com.session_exit_reference = 5
        return 0

    changes = {
        "cipher_suites": (0x35,),
        "verify": Verify.REQUIRED,
        "user_certificate_id": "other",
        "root_ca_ids": ("ROOT3",),
        "depth": 1,
        "dn_user": ("CN=a", "CN=b"),
        "dn_issuer": ("O=c",),
        "parm": "für",
    }
    call = StartHandshakeCall(CONTEXT)
    answer = ask(call, exit)
    assert answer == Handled(StartHandshakeResult(5, changes))
    assert isinstance(answer, Handled)
    _, profile = call.validate(answer.value)
    assert (profile.depth, profile.parm, profile.id) == (1, "für", "PARTNERS")


def test_a_change_without_its_bit_is_none() -> None:
    def exit(com: PkiCom) -> int:
        put(com.profile.parm, b"x")
        com.profile.depth = 0
        return 0

    assert ask(StartHandshakeCall(CONTEXT), exit) == Handled(StartHandshakeResult(80, {}))


def test_a_change_may_empty_an_element() -> None:
    def exit(com: PkiCom) -> int:
        com.profile.user_certificate_id.length = com.profile.dn_issuer.length = 0
        com.profile.changed = Change.USER_CERTIFICATE_ID | Change.DN_ISSUER
        return 0

    expected = {"user_certificate_id": None, "dn_issuer": ()}
    assert ask(StartHandshakeCall(CONTEXT), exit) == Handled(StartHandshakeResult(80, expected))


def test_answers_richer_than_bytes() -> None:
    def certificate(com: PkiCom) -> int:
        put(com.output, chain_bytes(CHAIN))
        put(com.staple, b"staple")
        com.chosen_suite = 0x35
        return 0

    def untrusted(com: PkiCom) -> int:
        com.untrusted = 1
        return 0

    def key(com: PkiCom) -> int:
        put(com.output, b"secret")
        put(com.psk_identity, b"me")
        return 0

    assert ask(GetCertificateCall(CONTEXT, (0x35,)), certificate) == Handled(
        Credentials(chain_bytes(CHAIN), 0x35, b"staple")
    )
    answer = ask(CheckCertificateCall(CONTEXT, CHAIN), untrusted)
    assert isinstance(answer, Handled)
    assert isinstance(answer.value, Untrusted)
    assert ask(GetPreSharedKeyCall(CONTEXT, b"hint"), key) == Handled(PreSharedKey(b"me", b"secret"))
    # a server's identity is the client's, whatever the exit writes
    assert ask(GetPreSharedKeyCall(CONTEXT, b"", b"you"), key) == Handled(PreSharedKey(b"you", b"secret"))


def test_areas_stay_where_they_are() -> None:
    task, addresses = TaskContext(1), []
    contexts = [
        SessionContext(task=task, reference=n, role=Role.CLIENT, profile=Profile.client(), private_area=bytearray(16))
        for n in (1, 2)
    ]

    def exit(com: PkiCom) -> int:
        byte(com.public_area).value += 1
        byte(com.public_area + 4095).value = 9
        byte(com.private_area).value += 1
        addresses.append((com.public_area, com.private_area))
        return 1

    for context in (*contexts, *contexts):
        ask(EndSessionCall(context), exit)
    assert task.public_area[0] == 4
    assert task.public_area[4095] == 9
    assert [context.private_area[0] for context in contexts] == [2, 2]
    assert len({public for public, _ in addresses}) == 1
    assert addresses[:2] == addresses[2:]
    assert addresses[0][1] != addresses[1][1]


def test_global_area() -> None:
    def exit(com: PkiCom) -> int:
        com.global_area[:] = range(64)
        return 0

    assert ask(HandshakeDoneCall(CONTEXT), exit) == Handled(bytes(range(64)))
