"""Strategies from grammars: legal by construction, shrinking to what is smallest, printing as code."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import find, given, settings
from hypothesis import strategies as st

from tlsexit.fuzzing import STRUCTURES, Structure, as_code, from_grammar, register
from tlsexit.handshake import certificate, extensions, finished, hello, keyexchange, v2hello
from tlsexit.handshake.hello import CLIENT_HELLO, ClientHello
from tlsexit.records import grammar, record
from tlsexit.wire import Enumerated, Leaf, Message, Opaque, Uint, Variant, Vector, build, parse

every_structure = pytest.mark.parametrize("structure", STRUCTURES, ids=str)

NAMES: dict[str, Any] = {
    name: found
    for module in (certificate, extensions, finished, hello, keyexchange, v2hello, grammar, record)
    for name, found in vars(module).items()
    if isinstance(found, type)
}


@every_structure
@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_a_value_prints_as_code_that_rebuilds_it(structure: Structure, data: st.DataObject) -> None:
    value = data.draw(from_grammar(structure.grammar))
    assert eval(as_code(value), dict(NAMES)) == value


def test_values_shrink_to_the_plainest() -> None:
    hello = find(from_grammar(CLIENT_HELLO), lambda value: value.client_version > 767 and bool(value.extensions))
    assert hello == ClientHello(768, bytes(32), b"", (0,), (0,), (extensions.Extension(0, b""),))


@pytest.mark.parametrize("size", [0, 41, 2**16 - 1], ids=str)
def test_bounds_are_reached(size: int) -> None:
    leaf = Opaque(0, 2**16 - 1)
    assert len(find(from_grammar(leaf), lambda value: len(value) >= size)) >= size


def test_a_list_is_sometimes_full() -> None:
    full = find(from_grammar(CLIENT_HELLO), lambda value: len(value.cipher_suites) == 2**15 - 1)
    assert full.cipher_suites == (0,) * (2**15 - 1)


def test_no_extension_comes_twice() -> None:
    @settings(max_examples=200)
    @given(from_grammar(CLIENT_HELLO))
    def check(value: ClientHello) -> None:
        kinds = [item.extension_type for item in value.extensions or ()]
        assert len(kinds) == len(set(kinds))

    check()


def test_lists_of_lists_keep_within_their_bounds() -> None:
    leaf = Vector(Vector(Opaque(1, 255), 4, 300), 10, 255)

    @settings(max_examples=200)
    @given(from_grammar(leaf))
    def check(value: tuple[tuple[bytes, ...], ...]) -> None:
        assert parse(leaf, build(leaf, value)) == value

    check()


def test_a_tag_without_a_case_takes_the_default_and_no_other() -> None:
    leaf = extensions.SERVER_NAME
    other = find(from_grammar(leaf), lambda value: value.name_type != 0)
    assert other == extensions.ServerName(1, b"")
    closed = Variant(extensions.ServerName, Enumerated(1, {3, 9}), {3: Opaque(0, 4)}, Opaque(1, 1))
    assert find(from_grammar(closed), lambda value: value.name_type != 3) == extensions.ServerName(9, b"\0")


def test_a_leaf_of_ones_own() -> None:
    class Even(Leaf[int]):
        def decode(self, data: bytes, offset: int, end: int) -> tuple[int, int]:
            return data[offset] * 2, offset + 1

        def encode(self, value: int) -> bytes:
            return bytes([value // 2])

    leaf = Vector(Even(), 1, 3)
    with pytest.raises(LookupError, match="Even"):
        from_grammar(leaf)
    register(Even, lambda leaf: st.integers(0, 255).map(lambda n: 2 * n), lambda leaf: (1, 1))
    assert find(from_grammar(leaf), lambda value: len(value) == 3) == (0, 0, 0)


def test_what_a_dataclass_hides_is_in_its_code() -> None:
    secret = keyexchange.PreMasterSecret(0x0301, bytes(46))
    assert "random" not in repr(secret)
    assert as_code(secret) == f"PreMasterSecret(client_version=769, random={bytes(46)!r})"
    assert as_code([(b"a" * 100,)]) == "[(b'a' * 100,)]"


def test_every_kind_of_leaf_has_a_strategy() -> None:
    kinds = {type(leaf) for structure in STRUCTURES for leaf in _inside(structure.grammar)}
    assert {Uint, Enumerated, Opaque, Vector, Message, Variant} <= kinds


def _inside(leaf: Any) -> list[Any]:
    inner = [*getattr(leaf, "fields", {}).values(), *getattr(leaf, "cases", {}).values()]
    inner += [getattr(leaf, name) for name in ("element", "field", "tag") if hasattr(leaf, name)]
    return [leaf, *(deeper for part in inner for deeper in _inside(part))]
