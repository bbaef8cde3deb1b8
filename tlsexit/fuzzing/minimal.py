"""The smallest script that still shows something: what Hypothesis does for values, done for conversations.

Whatever finds a script, the sweep or a strategy, it is made smaller in the same way, by trying it with less: fewer
connections, fewer moves, plainer moves, plainer hellos.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from tlsexit.fuzzing.script import Leg, Move, Script


def minimal(script: Script, shows: Callable[[Script], bool], *, attempts: int = 400) -> Script:
    """Return the smallest script reached from ``script`` for which ``shows`` still holds, in so many attempts."""
    left = attempts
    smaller = True
    while smaller:
        smaller = False
        for candidate in _less(script):
            if left <= 0:
                return script
            left -= 1
            if shows(candidate):
                script = candidate
                smaller = True
                break
    return script


def _less(script: Script) -> Iterator[Script]:
    """Yield scripts that say less, those that leave out most first."""
    legs = script.legs
    for at in range(len(legs)):
        if len(legs) > 1:
            yield replace(script, legs=(*legs[:at], *legs[at + 1 :]))
    for at, leg in enumerate(legs):
        for moves in _fewer(leg.moves):
            yield _with(script, at, replace(leg, moves=moves))
    for name, plain in (("rich", False), ("tickets", False), ("show_certificate", True)):
        if getattr(script, name) is not plain:
            yield replace(script, **{name: plain})  # type: ignore[arg-type]
    for at, leg in enumerate(legs):
        if leg.resume:
            yield _with(script, at, replace(leg, resume=False))
        for place, move in enumerate(leg.moves):
            for plainer in _plainer(move):
                yield _with(script, at, replace(leg, moves=(*leg.moves[:place], plainer, *leg.moves[place + 1 :])))


def _with(script: Script, at: int, leg: Leg) -> Script:
    return replace(script, legs=(*script.legs[:at], leg, *script.legs[at + 1 :]))


def _fewer(moves: tuple[Move, ...]) -> Iterator[tuple[Move, ...]]:
    """Yield sublists: without the second half, the first, ever smaller pieces, single moves last."""
    size = len(moves)
    piece = size
    while piece > 1:
        piece = (piece + 1) // 2
        # from the end: what follows the point is what matters least
        for start in range(size - piece, -1, -piece):
            yield (*moves[:start], *moves[start + piece :])


def _plainer(move: Move) -> Iterator[Move]:
    if move.mutation is not None:
        yield replace(move, mutation=None)
    if move.seal:
        yield replace(move, seal="")
    if move.size:
        yield replace(move, size=0)
    if len(move.data) > 1:
        yield replace(move, data=move.data[: len(move.data) // 2])
