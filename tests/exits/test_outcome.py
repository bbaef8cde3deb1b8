"""From any answer to a value or to ExitFailed, whose text shows nothing of what was handed over."""

from __future__ import annotations

import pytest
from hypothesis import given

from tests.support import answers
from tests.support.pki import pki
from tlsexit.alerts import AlertDescription, BadCertificate, ExitFailed
from tlsexit.constants import Role
from tlsexit.crypto.suites import KeyType
from tlsexit.exits.answers import Failed, Handled, NotHandled
from tlsexit.exits.calls import CheckCertificateCall, CryptDataCall, CryptOperation, GetCertificateCall
from tlsexit.exits.context import SessionContext, TaskContext
from tlsexit.exits.outcome import outcome
from tlsexit.profile import Profile

CONTEXT = SessionContext(task=TaskContext(1), reference=1, role=Role.SERVER, profile=Profile.server())
GET = GetCertificateCall(CONTEXT, (0x2F,))
CHECK = CheckCertificateCall(CONTEXT, pki().client.chain)
CRYPT = CryptDataCall(CONTEXT, CryptOperation.DECRYPT, KeyType.RSA, bytes(256))


def test_a_good_answer() -> None:
    assert outcome(CHECK, Handled()) is None
    assert outcome(GET, Handled(pki().server.chain)).chain == pki().server.chain


@pytest.mark.parametrize(
    ("answer", "alert", "text"),
    [
        (NotHandled(), 80, "nobody handled"),
        (Failed(), 80, "failed"),
        (Failed(cause=KeyError("x")), 80, "KeyError"),
        (Failed(48), 48, "refused"),
        (Failed(AlertDescription.ACCESS_DENIED), 49, "refused"),
        (Failed(42, BadCertificate("the signature is wrong")), 42, "the signature is wrong"),
        (Failed(10), 80, "10 is not one of the recognised"),
        (Failed(256), 80, "256"),
        (Failed("48"), 80, "str"),  # type: ignore[arg-type]
        (Handled("yes"), 80, "str"),
        (True, 80, "bool"),
        (None, 80, "NoneType"),
        (Handled, 80, "type"),
    ],
)
def test_everything_else(answer: object, alert: int, text: str) -> None:
    """The phase by name, the alert, and a sentence."""
    with pytest.raises(ExitFailed, match=text) as caught:
        outcome(CHECK, answer)
    assert caught.value.phase == "CheckCertificate"
    assert caught.value.description == alert


def test_the_cause_is_kept() -> None:
    """For the log of whoever wrote the exit."""
    cause = ValueError("what went wrong")
    with pytest.raises(ExitFailed) as caught:
        outcome(CHECK, Failed(cause=cause))
    assert caught.value.__cause__ is cause
    assert "what went wrong" not in str(caught.value)


@given(answers.answers)
def test_any_answer(answer: object) -> None:
    """A value or ExitFailed; and no secrets in its text."""
    for call in (GET, CHECK, CRYPT):
        try:
            outcome(call, answer)
        except ExitFailed as error:
            shown = f"{error} {error!r}"
        else:
            shown = ""
        assert answers.SECRET not in shown
