"""Exits as one function, in the style of ``cftpkie``: a structure in, an execution code out."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.ends import RSA, client_end, handshake, server_end
from tests.support.pki import pki
from tlsexit.alerts import LocalError
from tlsexit.constants import Role
from tlsexit.crypto.suites import KeyType
from tlsexit.exits.answers import Failed, Handled, NotHandled, ReturnCode
from tlsexit.exits.calls import (
    CheckCertificateCall,
    Credentials,
    CryptDataCall,
    CryptOperation,
    ExitCall,
    GetCertificateCall,
    StartHandshakeCall,
    StartHandshakeResult,
    StartTaskCall,
    StartTaskResult,
)
from tlsexit.exits.context import SessionContext, TaskContext
from tlsexit.exits.forms import CAList
from tlsexit.exits.function import Communication, call_function
from tlsexit.exits.phases import ExitPhase
from tlsexit.profile import Profile, Verify

TASK = TaskContext(1)
CONTEXT = SessionContext(task=TASK, reference=1, role=Role.CLIENT, profile=Profile.client())
CA_LIST = CAList((1,), (pki().root.certificate.subject.public_bytes(),))


def given(call: ExitCall) -> Communication:
    """What the function sees of a call."""
    seen: list[Communication] = []

    def function(communication: Communication) -> int:
        seen.append(communication)
        return ReturnCode.NOT_HANDLED

    assert call_function(function, call) == NotHandled()
    return seen[0]


def test_what_the_function_sees() -> None:
    """The phase's input in wire form, and the call itself."""
    asked = given(GetCertificateCall(CONTEXT, ca_list=CA_LIST))
    assert asked.phase is ExitPhase.GET_CERTIFICATE
    assert asked.input is not None
    assert asked.input[:2] == b"\1\1"
    assert asked.task is TASK
    assert asked.context is CONTEXT
    check = CheckCertificateCall(CONTEXT, pki().server.chain)
    assert given(check).input == check.chain_bytes
    crypt = CryptDataCall(CONTEXT, CryptOperation.SIGN, KeyType.RSA, bytes(36))
    assert given(crypt).input == bytes(36)
    assert given(crypt).call is crypt
    start = given(StartTaskCall(TASK))
    assert (start.context, start.input) == (None, None)


@pytest.mark.parametrize(
    ("code", "answer"),
    [(0, Handled(b"output")), (1, NotHandled()), (-1, Failed(42)), (ReturnCode.HANDLED, Handled(b"output"))],
)
def test_execution_codes(code: int, answer: object) -> None:
    def function(communication: Communication) -> int:
        communication.output = b"output"
        communication.alert_reason = 42
        return code

    assert call_function(function, GetCertificateCall(CONTEXT)) == answer


@pytest.mark.parametrize("code", [2, -2, None, "0", b"", 0.5])
def test_codes_that_mean_nothing(code: Any) -> None:
    """The function's mistake: a failure that says so."""
    answer = call_function(lambda communication: code, GetCertificateCall(CONTEXT))
    assert isinstance(answer, Failed)
    assert isinstance(answer.cause, LocalError)


def test_a_key_returned_by_mistake_is_not_shown() -> None:
    """The key instead of the code: the text names its type alone."""
    answer = call_function(lambda communication: b"hunter2", GetCertificateCall(CONTEXT))  # type: ignore[arg-type,return-value]
    assert isinstance(answer, Failed)
    assert "hunter2" not in str(answer.cause)
    assert "bytes" in str(answer.cause)


def test_handled_with_a_reason_to_refuse() -> None:
    """In CheckCertificate that can only mean a refusal."""

    def function(communication: Communication) -> int:
        communication.alert_reason = 49
        return 0

    assert call_function(function, CheckCertificateCall(CONTEXT, pki().server.chain)) == Failed(49)


def test_the_results_of_the_two_starts() -> None:
    def function(communication: Communication) -> int:
        communication.reference = "mine"
        communication.private_area_size = 10
        communication.password = "sesame"
        communication.changes = {"depth": 1}
        return 0

    assert call_function(function, StartTaskCall(TASK)) == Handled(StartTaskResult("mine", 10, "sesame"))
    assert call_function(function, StartHandshakeCall(CONTEXT)) == Handled(StartHandshakeResult("mine", {"depth": 1}))


def test_secrets_are_not_shown() -> None:
    communication = given(CryptDataCall(CONTEXT, CryptOperation.SIGN, KeyType.RSA, b"to be signed"))
    communication.output = b"the key"
    communication.password = "sesame"
    for secret in ("to be signed", "the key", "sesame"):
        assert secret not in repr(communication)


@pytest.mark.parametrize("role", Role)
def test_a_function_that_does_it_all(role: Role) -> None:
    """The reference implementation's shape: certificates, CA list, keys, checks, the global area; mutual RSA."""
    issued = pki().client if role is Role.CLIENT else pki().server
    phases: list[ExitPhase] = []

    def cftpkie(communication: Communication) -> int:
        phases.append(communication.phase)
        match communication.phase:
            case ExitPhase.GET_CA_LIST:
                communication.output = ((1,), [pki().root.certificate.subject])
            case ExitPhase.GET_CERTIFICATE:
                communication.output = issued.chain
            case ExitPhase.CRYPT_DATA:
                communication.output = issued.key
            case ExitPhase.HANDSHAKE_DONE:
                communication.output = b"partner 42"
            case _:
                pass
        return ReturnCode.HANDLED

    client = client_end(RSA, exits=cftpkie if role is Role.CLIENT else None)
    server = server_end(RSA, exits=cftpkie if role is Role.SERVER else None, verify=Verify.REQUIRED)
    handshake(client, server)
    end = client if role is Role.CLIENT else server
    completed: Any = end.events[0]
    assert completed.global_area == b"partner 42".ljust(64, b"\0")
    end.connection.close()
    end.drive()
    # the order of the manual
    expected = {
        Role.CLIENT: "StartTask StartHandshake CheckCertificate GetCertificate CryptData HandshakeDone EndSession",
        Role.SERVER: "StartTask StartHandshake GetCertificate GetCAList CheckCertificate CryptData HandshakeDone "
        "EndSession",
    }
    assert " ".join(phase.value for phase in phases) == expected[role]


def test_credentials_from_a_function() -> None:
    """A chain that comes with its suite."""

    def function(communication: Communication) -> int:
        communication.output = Credentials(pki().server.chain, cipher_suite=RSA)
        return 0

    answer = call_function(function, GetCertificateCall(CONTEXT, (RSA,)))
    assert isinstance(answer, Handled)
