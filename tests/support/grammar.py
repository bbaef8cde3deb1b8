"""Which sequences of phases one session may have: the page about the exit, written out as words.

A letter a phase; a word for each complete handshake. A session is any number of complete handshakes (more than one only
with renegotiation), then one that is interrupted and ends with HandshakeAlert, or EndSession instead.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from tlsexit.constants import Role
from tlsexit.events import Observation, PhaseSeen
from tlsexit.exits.phases import ExitPhase

LETTERS: Final = {
    ExitPhase.START_HANDSHAKE: "S",
    ExitPhase.GET_CA_LIST: "L",
    ExitPhase.GET_CERTIFICATE: "C",
    ExitPhase.CHECK_CERTIFICATE: "K",
    ExitPhase.CRYPT_DATA: "X",
    ExitPhase.GET_PRE_SHARED_KEY: "P",
    ExitPhase.HANDSHAKE_DONE: "D",
    ExitPhase.HANDSHAKE_ALERT: "A",
    ExitPhase.END_SESSION: "E",
}

HANDSHAKES: Final = {
    Role.CLIENT: (
        "SD",  # abbreviated, or anonymous
        "SKD",  # server authenticated
        "SKCD",  # asked for a certificate, none to show
        "SKCXD",  # mutual
        "SPD",  # pre-shared key
        "SKPD",  # pre-shared key, and the server's certificate
    ),
    Role.SERVER: (
        "SD",  # abbreviated, or anonymous
        "SCXD",  # server authenticated; X decrypts (RSA) or signs (DHE, ECDHE)
        "SCLXD",  # RSA: the client was asked and has no certificate
        "SCLKXD",  # RSA, mutual
        "SCXLD",  # DHE, ECDHE: asked and none
        "SCXLKD",  # DHE, ECDHE: mutual
        "SPD",  # pre-shared key
        "SCPD",  # the same, after no certificate for the other suites was found
        "SCPXD",  # pre-shared key, and RSA
    ),
}


# a client's renegotiation may be declined with a warning; it has been asked StartHandshake by then
_AGAIN: Final = {Role.CLIENT: (*HANDSHAKES[Role.CLIENT], "S"), Role.SERVER: HANDSHAKES[Role.SERVER]}


def phases(seen: Iterable[Observation]) -> str:
    """The phases of a session that an observer saw being asked, as letters; those of the task left out."""
    return "".join(LETTERS[item.phase] for item in seen if isinstance(item, PhaseSeen) and item.answer is None)


def legal(role: Role, asked: str, *, over: bool) -> bool:
    """Whether ``asked`` may be all the phases of a session so far; ``over`` when the session has ended."""
    if not over:
        return _unfinished(role, asked)
    if not asked:
        return True  # closed before it was started
    if asked[-1] == "E":
        return _complete(role, asked[:-1])
    # HandshakeAlert interrupts a handshake; it never follows HandshakeDone
    return asked[-1] == "A" and _unfinished(role, asked[:-1]) and asked[-2:-1] not in ("", "D")


def _complete(role: Role, asked: str, words: tuple[str, ...] = ()) -> bool:
    """One or more complete handshakes."""
    return any(
        asked == word or (asked.startswith(word) and _complete(role, asked[len(word) :], _AGAIN[role]))
        for word in words or HANDSHAKES[role]
    )


def _unfinished(role: Role, asked: str, words: tuple[str, ...] = ()) -> bool:
    """Any number of complete handshakes, and the beginning of one more."""
    return any(
        word.startswith(asked) or (asked.startswith(word) and _unfinished(role, asked[len(word) :], _AGAIN[role]))
        for word in words or HANDSHAKES[role]
    )
