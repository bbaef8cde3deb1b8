"""Properties that hold for every grammar of the handshake (RFC 2246 §4, §7.4; R2246-7.4.1.2-21)."""

from __future__ import annotations

import importlib
import pkgutil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tlsexit import handshake
from tlsexit.alerts import DecodeError, PeerError
from tlsexit.fuzzing import STRUCTURES, Structure, from_grammar
from tlsexit.handshake.hello import ClientHello, ServerHello
from tlsexit.wire import Leaf, Message, Variant, build, parse

every_grammar = pytest.mark.parametrize("structure", STRUCTURES, ids=str)
every_exact_grammar = pytest.mark.parametrize("structure", [s for s in STRUCTURES if s.exact], ids=str)
examples = settings(max_examples=40, deadline=None)

PICK = st.integers(0, 2**32)


def test_every_grammar_is_tried_here() -> None:
    """A dataclass with a grammar anywhere in the package takes part in the properties, alone or inside another."""
    tried: set[type] = set()

    def visit(leaf: Leaf[object]) -> None:
        if isinstance(leaf, (Message, Variant)):
            tried.add(leaf.cls)
        inner = [*getattr(leaf, "fields", {}).values(), *getattr(leaf, "cases", {}).values()]
        inner += [getattr(leaf, name) for name in ("element", "field") if hasattr(leaf, name)]
        for part in inner:
            visit(part)

    for structure in STRUCTURES:
        visit(structure.grammar)
    for module in pkgutil.iter_modules(handshake.__path__, "tlsexit.handshake."):
        for name, found in vars(importlib.import_module(module.name)).items():
            if isinstance(found, (Message, Variant)) and found.cls.__module__ == module.name:
                assert found.cls in tried, f"{module.name}.{name} has no strategy"


@every_grammar
@examples
@given(data=st.data())
def test_what_is_built_parses_to_the_same_value(structure: Structure, data: st.DataObject) -> None:
    value = data.draw(from_grammar(structure.grammar))
    assert parse(structure.grammar, build(structure.grammar, value)) == value


@every_exact_grammar
@examples
@given(data=st.data(), where=PICK)
def test_a_strict_prefix_is_a_decode_error(structure: Structure, data: st.DataObject, where: int) -> None:
    """R2246-7.4.1.2-21: "missing or surplus bytes are an error"; a hello may end before its extensions."""
    value = data.draw(from_grammar(structure.grammar))
    raw = build(structure.grammar, value)
    if not raw:
        return
    cut = raw[: where % len(raw)]
    without_extensions = None
    if isinstance(value, (ClientHello, ServerHello)) and value.extensions is not None:
        without_extensions = len(raw) - 2 - sum(4 + len(e.extension_data) for e in value.extensions)
    if len(cut) == without_extensions:
        assert parse(structure.grammar, cut).extensions is None
        return
    with pytest.raises(DecodeError):
        parse(structure.grammar, cut)


@every_exact_grammar
@examples
@given(data=st.data(), more=st.binary(min_size=1, max_size=1))
def test_one_byte_more_is_a_decode_error(structure: Structure, data: st.DataObject, more: bytes) -> None:
    """R2246-7.4.1.2-21; for hellos R4366-2.1-01: an exact fit or decode_error."""
    raw = build(structure.grammar, data.draw(from_grammar(structure.grammar)))
    with pytest.raises(DecodeError):
        parse(structure.grammar, raw + more)


@every_grammar
@settings(max_examples=100, deadline=None)
@given(raw=st.binary(max_size=120))
def test_any_bytes_are_a_value_or_an_alert(structure: Structure, raw: bytes) -> None:
    """And a value has one spelling only, so that nothing is read that could not have been written."""
    try:
        value = parse(structure.grammar, raw)
    except PeerError:
        return
    assert build(structure.grammar, value) == raw


@every_grammar
@examples
@given(data=st.data(), where=PICK, mask=st.integers(1, 255))
def test_a_changed_byte_gives_a_value_or_an_alert(
    structure: Structure, data: st.DataObject, where: int, mask: int
) -> None:
    """Mutations of legal texts get deeper into a grammar than random bytes do."""
    raw = bytearray(build(structure.grammar, data.draw(from_grammar(structure.grammar))))
    if not raw:
        return
    raw[where % len(raw)] ^= mask
    try:
        value = parse(structure.grammar, bytes(raw))
    except PeerError:
        return
    assert build(structure.grammar, value) == raw
