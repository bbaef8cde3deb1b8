"""Questions and answers as JSON: what is sent arrives as it was, and anything else is refused in one sentence."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.exchange import CA_LIST, CHAIN, CONTEXT, TASK
from tests.support.pki import pki
from tlsexit.adapters.remote.messages import answer_from, call_from, encode, failed, handled, question
from tlsexit.alerts import AlertLevel, LocalError
from tlsexit.constants import Role
from tlsexit.crypto.suites import KeyType
from tlsexit.exits.answers import Failed, Handled, NotHandled
from tlsexit.exits.calls import (
    CheckCertificateCall,
    Credentials,
    CryptDataCall,
    CryptOperation,
    EndSessionCall,
    EndTaskCall,
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
from tlsexit.exits.phases import ExitPhase
from tlsexit.profile import Profile, Verify

FULL = replace(
    CONTEXT,
    alpn_protocol="http/1.1",
    next_protocol="spdy/3",
    psk_identity=b"me",
    secure_renegotiation=True,
    extended_master_secret=True,
    private_area=bytearray(),
)
BARE = SessionContext(
    task=TaskContext(1),
    reference=1,
    role=Role.CLIENT,
    profile=Profile.client(trusted_authorities=((1, bytes(20)), (0, b"")), alpn=("http/1.1",)),
)

CALLS: list[ExitCall] = [
    StartTaskCall(TASK),
    EndTaskCall(TASK),
    *(
        call
        for context in (FULL, BARE)
        for call in (
            StartHandshakeCall(context),
            GetCAListCall(context),
            GetCertificateCall(context, (0x2F, 0x35), (23,), ((2, b"name"),)),
            GetCertificateCall(context, ca_list=CA_LIST),
            CheckCertificateCall(context, CHAIN, b"response", (b"sct",)),
            CheckCertificateCall(context, CHAIN),
            CryptDataCall(context, CryptOperation.SIGN, KeyType.EC, bytes(20)),
            GetPreSharedKeyCall(context, b"hint"),
            GetPreSharedKeyCall(context, b"", b"identity"),
            HandshakeAlertCall(context, AlertLevel.FATAL, 40, True),
            HandshakeDoneCall(context),
            EndSessionCall(context),
        )
    ),
]


def parts(call: Any) -> tuple[Any, ...]:
    """What a call says; tasks are compared by what is sent of them."""
    task = call.task if isinstance(call, (StartTaskCall, EndTaskCall)) else call.context.task
    own = (task.reference, task.exit_reference, task.configuration)
    if not isinstance(call, (StartTaskCall, EndTaskCall)):
        call = replace(call, context=replace(call.context, task=TASK))
    else:
        call = replace(call, task=TASK)
    return (own, type(call), *(getattr(call, item.name) for item in fields(call)))


@pytest.mark.parametrize("call", CALLS, ids=lambda call: type(call).__name__)
def test_a_question_arrives_as_it_was_asked(call: ExitCall) -> None:
    sent = json.dumps(question(call))
    assert parts(call_from(json.loads(sent))) == parts(call)


def test_nothing_of_a_session_is_left_out() -> None:
    """What a session context has learnt to tell since, these tests have to learn too."""
    unset = [
        item.name
        for item in fields(SessionContext)
        if getattr(FULL, item.name) in (None, (), b"", False) and item.name != "private_area"
    ]
    assert unset == []


def test_every_phase_can_be_asked() -> None:
    assert {call.phase for call in CALLS} == set(ExitPhase)


VALUES: list[tuple[ExitCall, Any]] = [
    (StartTaskCall(TASK), StartTaskResult(5, 0, b"sesame")),
    (StartTaskCall(TASK), StartTaskResult()),
    (GetCAListCall(FULL), CA_LIST),
    (GetCertificateCall(FULL, (0x2F,)), Credentials(CHAIN, 0x2F, b"response", (b"sct",), True)),
    (GetCertificateCall(FULL, (0x2F,)), Credentials(CHAIN)),
    (CheckCertificateCall(FULL, CHAIN), None),
    (CheckCertificateCall(FULL, CHAIN), Untrusted("a stranger")),
    (CryptDataCall(BARE, CryptOperation.SIGN, KeyType.RSA, bytes(36)), b"signature"),
    (CryptDataCall(FULL, CryptOperation.SIGN, KeyType.RSA, bytes(36)), pki().server.key),
    (GetPreSharedKeyCall(FULL), PreSharedKey(b"me", b"secret")),
    (HandshakeDoneCall(FULL), b"partner 42"),
    (HandshakeDoneCall(FULL), None),
    (HandshakeAlertCall(FULL, AlertLevel.FATAL, 40, True), None),
    (EndSessionCall(FULL), None),
    (EndTaskCall(TASK), None),
]


@pytest.mark.parametrize(("call", "value"), VALUES, ids=lambda item: type(item).__name__)
def test_a_value_means_the_same_at_both_ends(call: ExitCall, value: Any) -> None:
    """A private key does not travel: its signature does."""
    canonical = call.validate(value)
    answer = answer_from(call, json.loads(json.dumps(handled(call, canonical))))
    assert isinstance(answer, Handled)
    assert call.validate(answer.value) == canonical


def test_changes_of_the_profile() -> None:
    call = StartHandshakeCall(FULL)
    value = StartHandshakeResult("mine", {"verify": Verify.REQUIRED, "depth": 1, "dn_user": ("CN=a",), "parm": "x"})
    answer = answer_from(call, json.loads(json.dumps(handled(call, call.validate(value)))))
    assert isinstance(answer, Handled)
    assert call.validate(answer.value) == call.validate(value)
    short = {"answer": "handled", "value": {"changes": {"depth": 2, "root_ca_ids": ["ROOT9"]}}}
    answer = answer_from(call, short)
    assert isinstance(answer, Handled)
    assert call.validate(answer.value)[1].root_ca_ids == ("ROOT9",)


def test_refusals() -> None:
    call = CheckCertificateCall(FULL, CHAIN)
    answer = answer_from(call, failed(44, "revoked" * 100))
    assert answer == Failed(44)
    assert isinstance(answer, Failed)
    assert len(str(answer.cause)) == 300
    assert answer_from(call, {"answer": "failed"}) == Failed(80)
    assert answer_from(call, {"answer": "not_handled"}) == NotHandled()


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"answer": "yes"},
        {"answer": "handled", "value": 5},
        {"answer": "handled", "value": {}},
        {"answer": "handled", "value": {"result": 5}},
        {"answer": "handled", "value": {"result": "not base64!"}},
    ],
)
def test_answers_that_are_none(message: dict[str, Any]) -> None:
    with pytest.raises(LocalError):
        answer_from(CryptDataCall(FULL, CryptOperation.SIGN, KeyType.RSA, bytes(36)), message)


def test_values_that_json_has_not() -> None:
    with pytest.raises(LocalError, match="object cannot be sent to an exit elsewhere"):
        encode(object())


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=10,
)


@given(st.sampled_from(CALLS), st.data())
def test_any_question(call: ExitCall, data: st.DataObject) -> None:
    """With one member replaced by anything: a call, or a LocalError."""
    message = json.loads(json.dumps(question(call)))
    target = data.draw(st.sampled_from([part for part in (message, message["task"], message.get("session")) if part]))
    name = data.draw(st.sampled_from(sorted(target)))
    target[name] = data.draw(JSON)
    with suppress(LocalError):
        call_from(message)


@given(st.sampled_from([call for call, _ in VALUES]), JSON, JSON)
def test_any_answer(call: ExitCall, kind: Any, value: Any) -> None:
    names = ("result", "chain", "ca_list", "identity", "key", "global_area", "untrusted", "password", "changes")
    for message in (
        {"answer": kind, "value": value},
        {"answer": "handled", "value": dict.fromkeys(names, value)},
        {"answer": "failed", "alert": value, "reason": kind},
    ):
        with suppress(LocalError):
            answer_from(call, message)
