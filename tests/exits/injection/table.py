"""The matrix: every question an exit is asked, every bad thing it can do, and what must follow."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.exits.injection.secrets import PASSWORD, SECRET
from tests.support.ends import ECDHE_RSA, RSA
from tests.support.grammar import LETTERS
from tests.support.pki import pki
from tlsexit.alerts import AlertDescription
from tlsexit.constants import Role
from tlsexit.crypto.keyops import sign
from tlsexit.crypto.suites import KeyType
from tlsexit.exits.answers import Failed, Handled
from tlsexit.exits.calls import (
    Credentials,
    CryptDataCall,
    PreSharedKey,
    StartHandshakeResult,
    StartTaskResult,
    Untrusted,
)
from tlsexit.exits.phases import ExitPhase
from tlsexit.profile import Verify

PSK: Final = 0x008C  # TLS_PSK_WITH_AES_128_CBC_SHA
HANG: Final = "never answers"
PING: Final = b"is anybody there?"
PHASES: Final = {letter: phase for phase, letter in LETTERS.items()}


@dataclass(frozen=True)
class Question:
    """A question at one end. ``before`` are the phases asked before it in the session, by the letters of the grammar.

    ``refused`` is where the other end refuses, so that HandshakeAlert is asked.
    """

    name: str
    phase: ExitPhase
    role: Role | None
    before: str = ""
    suite: int = RSA
    mutual: bool = False
    refused: bool = False

    @property
    def of_task(self) -> bool:
        return self.role is None

    @property
    def decides(self) -> bool:
        """Whether the answer has a consequence; the last questions only inform."""
        return self.phase not in (ExitPhase.HANDSHAKE_ALERT, ExitPhase.END_SESSION, ExitPhase.END_TASK)

    @property
    def decrypts(self) -> bool:
        return self.name == "CryptData (decrypt)"


QUESTIONS: Final = (
    Question("StartTask", ExitPhase.START_TASK, None),
    *(Question("StartHandshake", ExitPhase.START_HANDSHAKE, role) for role in Role),
    Question("GetCAList", ExitPhase.GET_CA_LIST, Role.SERVER, "SC", mutual=True),
    Question("GetCertificate", ExitPhase.GET_CERTIFICATE, Role.SERVER, "S"),
    Question("GetCertificate", ExitPhase.GET_CERTIFICATE, Role.CLIENT, "SK", mutual=True),
    Question("CheckCertificate", ExitPhase.CHECK_CERTIFICATE, Role.CLIENT, "S"),
    Question("CheckCertificate", ExitPhase.CHECK_CERTIFICATE, Role.SERVER, "SCL", mutual=True),
    Question("CryptData (decrypt)", ExitPhase.CRYPT_DATA, Role.SERVER, "SC"),
    Question("CryptData (sign)", ExitPhase.CRYPT_DATA, Role.SERVER, "SC", suite=ECDHE_RSA),
    Question("CryptData (sign)", ExitPhase.CRYPT_DATA, Role.CLIENT, "SKC", mutual=True),
    *(Question("GetPreSharedKey", ExitPhase.GET_PRE_SHARED_KEY, role, "S", suite=PSK) for role in Role),
    Question("HandshakeAlert", ExitPhase.HANDSHAKE_ALERT, Role.CLIENT, "SKCX", mutual=True, refused=True),
    Question("HandshakeAlert", ExitPhase.HANDSHAKE_ALERT, Role.SERVER, "SC", refused=True),
    Question("HandshakeDone", ExitPhase.HANDSHAKE_DONE, Role.CLIENT, "SK"),
    Question("HandshakeDone", ExitPhase.HANDSHAKE_DONE, Role.SERVER, "SCX"),
    Question("EndSession", ExitPhase.END_SESSION, Role.CLIENT, "SKD"),
    Question("EndSession", ExitPhase.END_SESSION, Role.SERVER, "SCXD"),
    Question("EndTask", ExitPhase.END_TASK, None),
)


@dataclass(frozen=True)
class Outcome:
    """Something bad. ``act`` takes the call and returns what the exit returns, or raises; :data:`HANG` never returns.

    ``alert`` is what the peer hears, None if nothing; ``says`` what this end's error says, as a regular expression.
    ``function`` is for an exit in the style of ``cftpkie``, whose return code ``act`` returns.
    """

    name: str
    act: Callable[[Any], Any]
    says: str
    alert: AlertDescription | None = AlertDescription.INTERNAL_ERROR
    function: bool = False
    profile: dict[str, Any] = field(default_factory=dict)

    @property
    def interrupts(self) -> bool:
        """Whether it is not the exit's failure, but somebody who wants the program to end."""
        return self.alert is None

    @property
    def hangs(self) -> bool:
        return self.name == "no answer in time"


def _raising(error: BaseException) -> Callable[[Any], Any]:
    def act(call: Any) -> Any:
        raise error

    return act


def _answering(value: object) -> Callable[[Any], Any]:
    return lambda call: Handled(value)


def _overflow(call: Any) -> Any:
    area = call.task.public_area if hasattr(call, "task") else call.context.private_area
    area += SECRET
    return Handled()


ALWAYS: Final = (
    Outcome("error, access_denied named", lambda call: Failed(49), r"refused", AlertDescription.ACCESS_DENIED),
    Outcome("error, alert 10 named", lambda call: Failed(10), r"10 is not one of the recognised alert reasons"),
    Outcome("error, text named as alert", lambda call: Failed(SECRET), r"bytes is not one of the recognised"),  # type: ignore[arg-type]
    Outcome("error, no alert named", lambda call: Failed(), r"\w+: failed;"),
    Outcome("exception", _raising(OSError("the token is gone")), r"failed \(OSError\)"),
    Outcome("CancelledError", _raising(asyncio.CancelledError()), r"failed \(CancelledError\)"),
    Outcome("KeyboardInterrupt", _raising(KeyboardInterrupt()), r"", None),
    Outcome("SystemExit", _raising(SystemExit(3)), r"", None),
    Outcome("no answer in time", lambda call: HANG, r"no answer within"),
    Outcome("returns something else", lambda call: SECRET, r"returned bytes; an exit returns Handled"),
    Outcome("returns nothing", lambda call: None, r"returned NoneType; an exit returns Handled"),
    Outcome("function, no execution code", lambda call: SECRET, r"the exit function returned bytes", function=True),
    Outcome("function, code 7", lambda call: 7, r"the exit function returned 7", function=True),
    Outcome("writes beyond its area", _overflow, r"failed \(BufferError\)"),
)
"""Whatever the question."""

_WRONG = Outcome("value of a wrong type", _answering({SECRET: PASSWORD}), r"")
_DER = pki().server.chain[0]
_LIST = bytes([1, 1]) + (2 + len(_DER)).to_bytes(2, "big") + len(_DER).to_bytes(2, "big") + _DER
_CHAIN = (3 + len(_DER)).to_bytes(3, "big") + len(_DER).to_bytes(3, "big") + _DER
_ED25519 = Ed25519PrivateKey.generate()


def _elements(**changes: Any) -> Callable[[Any], Any]:
    return _answering(StartHandshakeResult(changes=changes))


_CERTIFICATE = (
    Outcome("chain, cut short", _answering(_CHAIN[:-1]), r"certificate chain"),
    Outcome("chain, a byte too many", _answering(_CHAIN + b"\0"), r"certificate chain"),
    Outcome("certificate, empty", _answering((b"",)), r"certificate chain"),
    Outcome("certificate, not DER", _answering((SECRET,)), r"not a usable certificate"),
    Outcome("certificate, cut short", _answering((_DER[:-1],)), r"not a usable certificate"),
    Outcome("chain of 20 certificates", _answering((_DER,) * 20), r"at most 16"),
    Outcome("chain of 17 MB", _answering((_DER, bytes(17 * 2**20))), r"certificate chain"),
    Outcome("chain, text in it", _answering(("CN=localhost",)), r"certificates or their DER bytes"),
    Outcome("OCSP response, text", _answering(Credentials((_DER,), ocsp_response="good")), r"OCSP response"),  # type: ignore[arg-type]
    Outcome("SCTs, an empty one", _answering(Credentials((_DER,), sct_list=(b"",))), r"SCTs"),
)

_SIGN = (
    Outcome("key of another certificate", _answering(pki().root.key), r"does not belong to the certificate"),
    Outcome("key of another kind", _answering(pki(KeyType.EC).server.key), r"needs a key for RSA"),
    Outcome("key that TLS 1.0 does not know", _answering(_ED25519), r"bytes or a private key"),
    Outcome("public key", _answering(pki().server.key.public_key()), r"bytes or a private key"),
)

_SIGNATURE = (
    Outcome("signature, a byte short", lambda call: Handled(_signature(call)[:-1]), r"does not verify"),
    Outcome("signature, a byte long", lambda call: Handled(_signature(call) + b"\0"), r"does not verify"),
    Outcome("signature, empty", _answering(b""), r"1 to 65535 bytes"),
    Outcome("signature of 70 000 bytes", _answering(bytes(70_000)), r"1 to 65535 bytes"),
    Outcome("signature by another key", lambda call: Handled(sign(pki().root.key, call.data)), r"does not verify"),
)

_DECRYPTED = (
    Outcome("premaster secret, empty", _answering(b""), r""),
    Outcome("premaster secret, a byte short", _answering(b"\3\1" + SECRET[:45]), r""),
    Outcome("premaster secret, a byte long", _answering(b"\3\1" + SECRET[:47]), r""),
    Outcome("premaster secret, version of SSL 3.0", _answering(b"\3\0" + SECRET[:46]), r""),
    Outcome("premaster secret, another one", _answering(b"\3\1" + SECRET[:46]), r""),
)

_SPECIFIC: Final[dict[str, tuple[Outcome, ...]]] = {
    "StartTask": (
        replace(_WRONG, says=r"StartTask answers with StartTaskResult, not dict"),
        Outcome("private area of 1 MB and a byte", _answering(StartTaskResult(None, 2**20 + 1)), r"private area"),
        Outcome("private area of -1 bytes", _answering(StartTaskResult(None, -1)), r"private area"),
        Outcome("private area, no number", _answering(StartTaskResult(None, SECRET)), r"private area"),  # type: ignore[arg-type]
        Outcome("password, no text", _answering(StartTaskResult(password=[PASSWORD])), r"password is bytes or str"),  # type: ignore[arg-type]
    ),
    "StartHandshake": (
        replace(_WRONG, says=r"StartHandshake answers with StartHandshakeResult, not dict"),
        Outcome("changes, no mapping", _answering(StartHandshakeResult(changes=SECRET)), r"mapping"),  # type: ignore[arg-type]
        Outcome("changes the profile's id", _elements(id="another"), r"id"),
        Outcome("changes the direction", _elements(direction=Role.CLIENT), r"direction"),
        Outcome("changes an unknown element", _elements(colour="red"), r"colour"),
        Outcome("depth of 11", _elements(depth=11), r"depth"),
        Outcome("cipher suites, text", _elements(cipher_suites="47"), r""),
    ),
    "GetCAList": (
        replace(_WRONG, says=r"a CA list is wire bytes or a pair .*, not dict"),
        Outcome("CA list, empty", _answering(b""), r"CA list"),
        Outcome("CA list, cut short", _answering(_LIST[:-1]), r"CA list"),
        Outcome("CA list, a byte too many", _answering(_LIST + b"\0"), r"CA list"),
        Outcome("CA list, no types", _answering(((), (pki().root.certificate.subject,))), r"CA list"),
        Outcome("CA list, no names", _answering(((1,), ())), r"CA list"),
        Outcome("CA list, type 300", _answering(((300,), (pki().root.certificate.subject,))), r"CA list"),
        Outcome("CA list, a name that is no DER", _answering(((1,), (SECRET,))), r"not a DER Name"),
    ),
    "GetCertificate": (
        replace(_WRONG, name="chain, a number", act=_answering(7), says=r", not int"),
        *_CERTIFICATE,
    ),
    "CheckCertificate": (
        replace(_WRONG, says=r"CheckCertificate answers Handled\(\) or .*, not dict"),
        Outcome("Untrusted where trust is required", _answering(Untrusted("no")), r"verify=optional only"),
        Outcome("True instead of nothing", _answering(True), r", not bool"),
    ),
    "CryptData (sign)": (replace(_WRONG, says=r"bytes or a private key, not dict"), *_SIGN, *_SIGNATURE),
    "CryptData (decrypt)": (replace(_WRONG, says=r"bytes or a private key, not dict"), *_SIGN, *_DECRYPTED),
    "GetPreSharedKey": (
        replace(_WRONG, says=r"GetPreSharedKey answers with PreSharedKey, not dict"),
        Outcome("error, unknown_psk_identity named", lambda call: Failed(115), r"refused", AlertDescription(115)),
        Outcome("key, empty", _answering(PreSharedKey(b"me", b"")), r"1 to 65535 bytes"),
        Outcome("key of 65 536 bytes", _answering(PreSharedKey(b"me", bytes(65_536))), r"1 to 65535 bytes"),
        Outcome("identity of 65 536 bytes", _answering(PreSharedKey(bytes(65_536), SECRET)), r"65535"),
        Outcome("key, text", _answering(PreSharedKey(b"me", PASSWORD)), r"are bytes"),  # type: ignore[arg-type]
    ),
    "HandshakeDone": (
        replace(_WRONG, says=r"the global area is bytes, not dict"),
        Outcome("global area of 65 bytes", _answering(SECRET + bytes(65 - len(SECRET))), r"64 bytes, not 65"),
        Outcome("global area, text", _answering(PASSWORD), r"bytes, not str"),
    ),
}
"""By the question's name."""

_ONE_ROLE: Final[dict[tuple[str, Role], tuple[Outcome, ...]]] = {
    ("GetCertificate", Role.SERVER): (
        Outcome("chain, empty", _answering(()), r"at least its own certificate"),
        Outcome("suite that was not offered", _answering(Credentials((_DER,), 0x0033)), r"not among the candidates"),
        Outcome(
            "certificate of another kind",
            _answering(pki(KeyType.EC).server.chain),
            r"fits the certificate",
            AlertDescription.HANDSHAKE_FAILURE,
        ),
    ),
    ("GetCertificate", Role.CLIENT): (
        Outcome(
            "chain, empty, where the profile enforces one",
            _answering(()),
            r"no certificate to show",
            AlertDescription.HANDSHAKE_FAILURE,
            profile={"verify": Verify.ENFORCED},
        ),
        Outcome("certificate of a kind not asked for", _answering(pki(KeyType.EC).client.chain), r"did not ask for"),
    ),
}


def _signature(call: CryptDataCall) -> bytes:
    return sign(pki().server.key, call.data)


@dataclass(frozen=True)
class Cell:
    """One question, one outcome, and what must follow."""

    question: Question
    outcome: Outcome

    @property
    def id(self) -> str:
        role = "" if self.question.role is None else f"{self.question.role.value}-"
        return f"{role}{self.question.name}-{self.outcome.name}"

    @property
    def alert(self) -> AlertDescription | None:
        """The fatal alert that the peer hears."""
        if not self.question.decides or self.question.of_task or self.outcome.interrupts:
            return None
        # whatever it was: what looks to the peer like a wrong premaster secret (§7.4.7.1)
        return AlertDescription.BAD_RECORD_MAC if self.question.decrypts else self.outcome.alert

    @property
    def afterwards(self) -> tuple[ExitPhase, ...]:
        """What is asked for the same session, after the failure."""
        if self.question.of_task or not self.question.decides:
            return ()
        done = self.question.phase is ExitPhase.HANDSHAKE_DONE
        return (ExitPhase.END_SESSION,) if done else (ExitPhase.HANDSHAKE_ALERT,)

    @property
    def asked(self) -> tuple[ExitPhase, ...]:
        """Every phase asked for the session."""
        if self.question.of_task:
            return ()
        return (*(PHASES[letter] for letter in self.question.before), self.question.phase, *self.afterwards)


def cells() -> Iterator[Cell]:
    """The whole matrix, question by question."""
    for question in QUESTIONS:
        for outcome in outcomes(question):
            yield Cell(question, outcome)


def outcomes(question: Question) -> tuple[Outcome, ...]:
    """Every bad outcome that ``question`` can have."""
    mine = _SPECIFIC.get(question.name, ())
    if question.role is not None:
        mine += _ONE_ROLE.get((question.name, question.role), ())
    return (*ALWAYS, *mine)
