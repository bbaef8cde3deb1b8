"""Conversations as data: what the fuzzer says, move by move, so that it can be kept, replayed, shrunk and read.

A :class:`Script` prints as code that rebuilds it (:func:`~tlsexit.fuzzing.as_code`) and goes to JSON and back. It holds
nothing that depends on the target: random numbers, keys and lengths follow when it is played.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from tlsexit.alerts import LocalError
from tlsexit.constants import Role
from tlsexit.crypto.suites import SUITES
from tlsexit.fuzzing.mutation import Kind, Mutation

FORMAT: Final = 1
"""The format of scripts in JSON."""


@dataclass(frozen=True, slots=True)
class Move:
    """One thing said: ``say`` is a word of :data:`tlsexit.fuzzing.words.WORDS`.

    ``mutation`` breaks the message, ``seal`` (of :data:`tlsexit.fuzzing.sealings.SEALINGS`) its records, ``size`` cuts
    it into records of so many bytes. ``data`` and ``amount`` are for words that want them. ``maybe``: said only where
    an honest end would say it.
    """

    say: str
    mutation: Mutation | None = None
    seal: str = ""
    size: int = 0
    data: bytes = b""
    amount: int = 0
    maybe: bool = False

    def __str__(self) -> str:
        parts = [self.say]
        if self.mutation is not None:
            parts.append(f"with {self.mutation}")
        if self.seal:
            parts.append(f"under {self.seal}")
        if self.size:
            parts.append(f"in records of {self.size} bytes")
        if self.amount:
            parts.append(f"({self.amount})")
        if self.data:
            parts.append(f"{len(self.data)} bytes")
        return " ".join(parts)


@dataclass(frozen=True, slots=True)
class Leg:
    """One connection; ``resume`` offers, or takes up, the session of the connection before."""

    moves: tuple[Move, ...]
    resume: bool = False


@dataclass(frozen=True, slots=True)
class Script:
    """What the fuzzer says as ``role``, over ``suite``.

    ``rich`` is whether its hello has the extensions of today or only renegotiation_info, ``tickets`` whether it asks
    for one as well. ``show_certificate``: whether a client that is asked has one.
    """

    role: Role
    suite: int
    legs: tuple[Leg, ...]
    rich: bool = False
    tickets: bool = False
    show_certificate: bool = True

    @property
    def size(self) -> int:
        """The number of moves, over all connections."""
        return sum(len(leg.moves) for leg in self.legs)

    def __str__(self) -> str:
        lines = [f"as {self.role.value} over {SUITES[self.suite].name}"]
        for leg in self.legs:
            lines.append("  connect" + (" and resume" if leg.resume else ""))
            lines += [f"    {move}" for move in leg.moves]
        return "\n".join(lines)


# ------------------------------------------------------------------------------------------------ JSON


def dump(script: Script) -> dict[str, Any]:
    """Return a script as what JSON can hold."""
    return {
        "format": FORMAT,
        "role": script.role.value,
        "suite": SUITES[script.suite].name,
        **_given(script, "rich", "tickets"),
        **({} if script.show_certificate else {"show_certificate": False}),
        "legs": [{**_given(leg, "resume"), "moves": [_dump_move(move) for move in leg.moves]} for leg in script.legs],
    }


def dumps(script: Script) -> str:
    """Return a script as JSON text."""
    return json.dumps(dump(script), indent=1)


def loads(text: str) -> Script:
    """Return the script that :func:`dumps` wrote; :class:`~tlsexit.alerts.LocalError` for anything else."""
    try:
        return load(json.loads(text))
    except json.JSONDecodeError as error:
        raise LocalError(f"not a script: {error}") from error


def load(value: Any) -> Script:
    """Return the script that :func:`dump` made; :class:`~tlsexit.alerts.LocalError` for anything else."""
    try:
        if value["format"] != FORMAT:
            raise LocalError(f"a script of format {value['format']}; this version reads {FORMAT}")
        suite = next(number for number, suite in SUITES.items() if suite.name == value["suite"])
        legs = tuple(
            Leg(tuple(_load_move(move) for move in leg["moves"]), bool(leg.get("resume"))) for leg in value["legs"]
        )
        return Script(
            Role(value["role"]),
            suite,
            legs,
            bool(value.get("rich")),
            bool(value.get("tickets")),
            bool(value.get("show_certificate", True)),
        )
    except (KeyError, TypeError, ValueError, AttributeError, StopIteration) as error:
        raise LocalError(f"not a script: {error!r}") from error


def _given(value: Any, *names: str) -> dict[str, Any]:
    """The fields that do not have their default, which is false or nothing."""
    return {name: getattr(value, name) for name in names if getattr(value, name)}


def _dump_move(move: Move) -> dict[str, Any]:
    found = {"say": move.say, **_given(move, "seal", "size", "amount", "maybe")}
    if move.data:
        found["data"] = move.data.hex()
    if move.mutation is not None:
        mutation = move.mutation
        found["mutation"] = {"kind": mutation.kind.value, "field": mutation.field, **_given(mutation, "amount")}
        if mutation.content:
            found["mutation"]["content"] = mutation.content.hex()
    return found


def _load_move(value: Mapping[str, Any]) -> Move:
    from tlsexit.fuzzing.sealings import SEALINGS
    from tlsexit.fuzzing.words import WORDS

    say, seal = str(value["say"]), str(value.get("seal", ""))
    if say not in WORDS or (seal and seal not in SEALINGS):
        raise LocalError(f"not a script: nobody can say {say!r}" + (f" under {seal!r}" if seal else ""))
    mutation = value.get("mutation")
    return Move(
        say,
        None
        if mutation is None
        else Mutation(
            Kind(mutation["kind"]),
            str(mutation["field"]),
            int(mutation.get("amount", 0)),
            bytes.fromhex(mutation.get("content", "")),
        ),
        seal,
        int(value.get("size", 0)),
        bytes.fromhex(value.get("data", "")),
        int(value.get("amount", 0)),
        bool(value.get("maybe")),
    )
