"""Strategies for what is wrong: broken messages, with the mutation that broke them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from tlsexit.constants import HANDSHAKE_HEADER_LENGTH, Role
from tlsexit.fuzzing.expected import Expected
from tlsexit.fuzzing.mutation import Kind, Mutation, mutations, outlook
from tlsexit.handshake.codec import encode


@dataclass(frozen=True, slots=True)
class Broken:
    """A message with one thing wrong: the honest one in wire form, what was done, the result, the fitting answer."""

    honest: bytes
    mutation: Mutation
    raw: bytes
    expected: Expected


def breakages(raw: bytes, *, sender: Role, suite: int | None = None) -> SearchStrategy[Mutation]:
    """Return a strategy for mutations that apply to this message, header included.

    One of those worth a try, a cut at any byte, or any one bit turned over.
    """
    worth_a_try = mutations(raw, sender=sender, suite=suite)
    strategies = [st.sampled_from(worth_a_try)]
    size = len(raw) - HANDSHAKE_HEADER_LENGTH
    if size:
        name = st.just(worth_a_try[0].message)
        strategies.append(st.builds(Mutation, st.just(Kind.TRUNCATED), name, st.integers(1, size)))
        strategies.append(st.builds(Mutation, st.just(Kind.FLIPPED), name, st.integers(0, 8 * size - 1)))
    return st.one_of(strategies)


def broken(message: Any, *, sender: Role, suite: int | None = None) -> SearchStrategy[Broken]:
    """Return a strategy for ways to break ``message``, a dataclass of :mod:`tlsexit.handshake`.

    ``sender`` and ``suite`` are as for :func:`~tlsexit.fuzzing.layout.lay_out`.
    """
    raw = encode(message)

    def done(mutation: Mutation) -> Broken:
        changed = mutation.apply(raw, sender=sender, suite=suite)
        return Broken(raw, mutation, changed, outlook(mutation, changed, sender=sender, suite=suite))

    return breakages(raw, sender=sender, suite=suite).map(done)
