"""Every way to depart from an honest conversation by one thing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from itertools import chain, zip_longest
from typing import Final

from tlsexit.alerts import AlertDescription, AlertLevel
from tlsexit.constants import Role
from tlsexit.fuzzing.layout import kind_of
from tlsexit.fuzzing.mutation import Kind, Mutation, mutations
from tlsexit.fuzzing.play import Place, Rehearsal
from tlsexit.fuzzing.script import Move, Script
from tlsexit.fuzzing.sealings import SEALINGS
from tlsexit.fuzzing.turns import HANDSHAKE
from tlsexit.fuzzing.words import WORDS, tricks_for


class Category(Enum):
    """Kinds of departures."""

    TRICK = "trick"
    """A message is made dishonestly."""

    RECORD = "record"
    """The records of a message are wrong, or cut."""

    ORDER = "order"
    """A message is left out, said twice, or before its turn."""

    INSERTED = "inserted"
    """Something is said in between."""

    BROKEN = "broken"
    """A field of a message is broken."""


@dataclass(frozen=True, slots=True)
class Departure:
    """A script with one thing wrong; ``what`` names it without saying in which conversation.

    ``first`` is whether it belongs to those that find most with least.
    """

    script: Script
    category: Category
    what: tuple[str, ...]
    first: bool = False


@dataclass(frozen=True)
class Plan:
    """An honest script with what an honest run of it has shown, by place (connection, move).

    ``specimens`` are the handshake messages sent, in wire form; ``suited`` the tricks and sealings that are there what
    they claim to be.
    """

    script: Script
    specimens: Mapping[Place, bytes] = field(default_factory=dict, repr=False)
    suited: Mapping[Place, frozenset[str]] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, rehearsal: Rehearsal) -> Plan:
        """Return what has been rehearsed as a plan."""
        return cls(rehearsal.played.script, rehearsal.specimens, rehearsal.suited)

    def departures(self) -> Iterator[Departure]:
        """Yield every departure from the script."""
        for number in range(len(self.script.legs)):
            yield from self._of_leg(number)

    def _of_leg(self, number: int) -> Iterator[Departure]:
        script = self.script
        moves = script.legs[number].moves
        # what ends this connection may show in the next
        later = "and later" if number + 1 < len(script.legs) else ""

        def made(category: Category, first: bool, changed: tuple[Move, ...], *what: str) -> Departure:
            legs = (*script.legs[:number], replace(script.legs[number], moves=changed), *script.legs[number + 1 :])
            return Departure(replace(script, legs=legs), category, (*what, later), first)

        for at, move in enumerate(moves):
            if move.maybe and self.specimens and (number, at) not in self.specimens:
                continue  # an honest end does not say it here
            before, after = moves[:at], moves[at + 1 :]
            stage = _stage(moves, at)
            suited = self.suited.get((number, at))
            for name in tricks_for(script.role, move.say):
                if suited is not None and name not in suited:
                    continue
                rest = after[1:] if name == "finished_around_change_cipher_spec" else after
                yield made(Category.TRICK, not later, (*before, Move(name), *rest), name, stage)
            for name in SEALINGS:
                if suited is not None and name not in suited:
                    continue
                first = not later and (move.say in ("finished", "data") or name.startswith("version"))
                yield made(Category.RECORD, first, (*before, replace(move, seal=name), *after), name, move.say)
            if move.say in HANDSHAKE:
                for size in (1, 5):
                    cut = replace(move, size=size)
                    yield made(Category.RECORD, size == 1, (*before, cut, *after), f"size {size}", move.say)
                yield made(Category.ORDER, not later, (*before, *after), "drop", move.say, stage)
                again = replace(move, maybe=False)
                yield made(Category.ORDER, not later, (*before, move, again, *after), "repeat", move.say, stage)
                if after and after[0].say in HANDSHAKE:
                    early = replace(after[0], maybe=False)
                    yield made(Category.ORDER, not later, (*before, early, move, *after[1:]), "swap", move.say, stage)
            for extra in insertions(script.role):
                first = stage in _PLACES.get(extra.say, _USUAL) and (not later or extra.say == "alert")
                yield made(Category.INSERTED, first, (*before, extra, move, *after), _name(extra), stage)
            tried = set[tuple[str, str, str]]()
            for mutation in self._mutations(number, at):
                which = str(mutation.amount) if mutation.kind is Kind.FLIPPED else ""
                kind = (mutation.kind.value, kind_of(mutation.field), which)
                what = (*kind[:2], str(mutation.amount), mutation.content.hex())
                changed = (*before, replace(move, mutation=mutation), *after)
                yield made(Category.BROKEN, kind not in tried and not later, changed, *what, stage)
                tried.add(kind)

    def _mutations(self, number: int, at: int) -> tuple[Mutation, ...]:
        raw = self.specimens.get((number, at))
        return () if raw is None else mutations(raw, sender=self.script.role, suite=self.script.suite)


def _stage(moves: tuple[Move, ...], at: int) -> str:
    """Where in a conversation something is: before the keys change, before Finished, behind it, or once more."""
    said = [move.say for move in moves[:at]]
    if said.count("finished") > 1 or (said.count("finished") and moves[at].say in HANDSHAKE):
        return "again"
    if "finished" in said:
        return "established"
    if "change_cipher_spec" in said:
        return "keyed"
    return f"before {moves[at].say}"


def _name(move: Move) -> str:
    return f"{move.say} {move.amount}" if move.amount else move.say


def insertions(role: Role) -> tuple[Move, ...]:
    """Return what may be put between two moves: all that has no place in a handshake, and messages out of turn."""
    found = [Move("data", data=b"early"), Move("record", data=b"?", amount=99)]
    found += [Move("alert", amount=level << 8 | number) for level, number in ALERTS]
    found += [Move(name) for name, word in WORDS.items() if not word.message and name not in _WITH_ARGUMENT]
    for name, word in WORDS.items():
        if word.message in HANDSHAKE and word.speaker in (None, role) and word.expected is None:
            found.append(Move(name))
    return tuple(found)


_USUAL: Final = frozenset({"established"})

_PLACES: Final = {
    **dict.fromkeys(HANDSHAKE, frozenset({"before change_cipher_spec", "before server_hello_done"})),
    "hello_request": frozenset({"before certificate", "established"}),
    "data": frozenset({"before change_cipher_spec", "keyed"}),
    "change_cipher_spec": frozenset(
        {"before client_key_exchange", "before certificate_verify", "before server_hello_done", "established"}
    ),
    "endless_message": frozenset({"before certificate", "before client_key_exchange", "before server_key_exchange"}),
    "empty_handshake": frozenset({"before client_key_exchange", "before server_hello_done", "established"}),
    "oversized_record": frozenset({"established"}),
}
"""Where an insertion finds most, by what is inserted; elsewhere it is tried later."""

_WITH_ARGUMENT: Final = frozenset({"data", "alert", "record", "wire"})

ALERTS: Final = (
    (AlertLevel.FATAL, AlertDescription.HANDSHAKE_FAILURE),
    (AlertLevel.FATAL, AlertDescription.USER_CANCELED),
    (AlertLevel.FATAL, 200),
    (AlertLevel.WARNING, AlertDescription.USER_CANCELED),
    (AlertLevel.WARNING, 200),
    (0, AlertDescription.USER_CANCELED),
    (3, AlertDescription.UNEXPECTED_MESSAGE),
)
"""Alerts worth a try, as level and description."""


def sweep(plans: tuple[Plan, ...]) -> Iterator[Script]:
    """Yield one script for each departure that differs from all before it, the categories by turns.

    What finds most comes first, then the rest; then, in rounds, the same departures from the other plans.
    """
    yield from (plan.script for plan in plans)
    lines: dict[tuple[int, Category], list[Script]] = {}
    seen: dict[tuple[object, ...], int] = {}
    for plan in plans:
        for departure in plan.departures():
            key = (departure.category, *departure.what)
            seen[key] = seen.get(key, -1) + 1
            depth = 0 if departure.first and not seen[key] else 1 + seen[key]
            lines.setdefault((depth, departure.category), []).append(departure.script)
    for depth in range(max((depth for depth, _ in lines), default=-1) + 1):
        rows = [_spread(lines.get((depth, category), [])) for category in Category]
        yield from (script for script in chain.from_iterable(zip_longest(*rows)) if script is not None)


def _spread(scripts: list[Script]) -> list[Script]:
    """Return a list in an order in which neighbours are far apart, the same at every call."""
    step = max(1, round(len(scripts) * 0.618))
    while step > 1 and _divides(step, len(scripts)):
        step -= 1
    return [scripts[place * step % len(scripts)] for place in range(len(scripts))]


def _divides(step: int, size: int) -> bool:
    """Whether steps of this size miss some of ``size`` places."""
    while size:
        step, size = size, step % size
    return step > 1
