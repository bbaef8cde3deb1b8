"""Conversations as data: what the fuzzer says, move by move, so that it can be kept, replayed, shrunk and read.

A :class:`Script` prints as code that rebuilds it (:func:`~tlsexit.fuzzing.as_code`) and goes to JSON and back
(:mod:`tlsexit.fuzzing.scriptfile`). It holds nothing that depends on the target: random numbers, keys and lengths
follow when it is played.
"""

from __future__ import annotations

from dataclasses import dataclass

from tlsexit.constants import Role
from tlsexit.crypto.suites import SUITES
from tlsexit.fuzzing.mutation import Mutation


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
