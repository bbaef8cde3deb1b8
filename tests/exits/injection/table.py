"""The matrix: every question an exit is asked, every bad thing it can do, and what must follow."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from tests.exits.injection.outcomes import Outcome, outcomes
from tests.support.ends import ECDHE_RSA, RSA
from tests.support.grammar import LETTERS
from tlsexit.alerts import AlertDescription
from tlsexit.constants import Role
from tlsexit.exits.phases import ExitPhase

PSK: Final = 0x008C  # TLS_PSK_WITH_AES_128_CBC_SHA
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
        for outcome in outcomes(question.name, question.role):
            yield Cell(question, outcome)
