"""Scripts in JSON: what a report keeps and ``tlsexit replay`` reads."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from tlsexit.alerts import LocalError
from tlsexit.constants import Role
from tlsexit.crypto.suites import SUITES
from tlsexit.fuzzing.mutation import Kind, Mutation
from tlsexit.fuzzing.script import Leg, Move, Script
from tlsexit.fuzzing.sealings import SEALINGS
from tlsexit.fuzzing.words import WORDS

FORMAT: Final = 1
"""The format of scripts in JSON."""


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
