"""Hypothesis strategies for whole conversations."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from tlsexit.constants import Role
from tlsexit.fuzzing.departures import Category, Plan, insertions
from tlsexit.fuzzing.mutation import Kind, Mutation
from tlsexit.fuzzing.plans import handshake
from tlsexit.fuzzing.script import Leg, Move, Script
from tlsexit.fuzzing.strategies import breakages
from tlsexit.fuzzing.words import WORDS

_LONGEST: Final = 12


def one_departure(plans: tuple[Plan, ...]) -> SearchStrategy[Script]:
    """Return a strategy for the plans with one thing changed, each kind of change equally often."""
    by_category: dict[Category, list[Script]] = {category: [] for category in Category}
    for plan in plans:
        for departure in plan.departures():
            by_category[departure.category].append(departure.script)
    return st.one_of(*(st.sampled_from(scripts) for scripts in by_category.values() if scripts))


@st.composite
def broken_messages(draw: st.DrawFn, plans: tuple[Plan, ...]) -> Script:
    """Draw a plan with a message broken in any place: a cut at any byte, any bit turned over, any length a lie."""
    plan = draw(st.sampled_from([plan for plan in plans if plan.specimens]))
    (number, at), raw = draw(st.sampled_from(sorted(plan.specimens.items())))
    script = plan.script
    mutation = draw(breakages(raw, sender=script.role, suite=script.suite))
    leg = script.legs[number]
    moves = (*leg.moves[:at], replace(leg.moves[at], mutation=mutation), *leg.moves[at + 1 :])
    return replace(script, legs=(*script.legs[:number], replace(leg, moves=moves), *script.legs[number + 1 :]))


def moves(role: Role) -> SearchStrategy[Move]:
    """Return a strategy for anything that ``role`` can say."""
    names = [name for name, word in WORDS.items() if word.speaker in (None, role) and name != "wire"]
    mutation = st.builds(
        Mutation,
        st.sampled_from([Kind.TRUNCATED, Kind.FLIPPED]),
        st.sampled_from(["ClientHello", "ServerHello", "Certificate", "ClientKeyExchange", "Finished"]),
        st.integers(1, 64),
    )
    return st.one_of(
        st.sampled_from(names).map(Move),
        st.sampled_from(insertions(role)),
        st.builds(Move, st.just("record"), data=st.binary(max_size=40), amount=st.integers(0, 255)),
        st.builds(Move, st.just("wire"), data=st.binary(min_size=1, max_size=40)),
        st.builds(Move, st.just("alert"), amount=st.integers(0, 2**16 - 1)),
        st.builds(Move, st.just("data"), data=st.binary(min_size=1, max_size=200)),
        st.builds(Move, st.just("finished"), mutation=mutation),
    )


@st.composite
def wild(draw: st.DrawFn, plans: tuple[Plan, ...]) -> Script:
    """Draw a conversation that begins honestly and goes on in any way."""
    plan = draw(st.sampled_from(plans))
    script = plan.script
    honest = handshake(script.role)
    begun = honest[: draw(st.integers(0, len(honest)))]
    said = draw(st.lists(moves(script.role), min_size=1, max_size=_LONGEST))
    return replace(script, legs=(Leg((*begun, *said)),))


@st.composite
def two_departures(draw: st.DrawFn, plans: tuple[Plan, ...]) -> Script:
    """Draw a plan with one thing changed, and something else put in between."""
    script = draw(one_departure(plans))
    number = draw(st.integers(0, len(script.legs) - 1))
    leg = script.legs[number]
    at = draw(st.integers(0, len(leg.moves)))
    extra = draw(moves(script.role))
    changed = replace(leg, moves=(*leg.moves[:at], extra, *leg.moves[at:]))
    return replace(script, legs=(*script.legs[:number], changed, *script.legs[number + 1 :]))


def scripts(plans: tuple[Plan, ...]) -> SearchStrategy[Script]:
    """Return a strategy for conversations that depart from ``plans``: by one thing, by two, or for good."""
    strategies = [one_departure(plans), two_departures(plans), wild(plans)]
    if any(plan.specimens for plan in plans):
        strategies.insert(1, broken_messages(plans))
    return st.one_of(strategies)
