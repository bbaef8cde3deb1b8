"""The leaves of the presentation language (RFC 2246 §4), each alone, nested, and inside stock construct structures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import construct
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tlsexit.alerts import DecodeError, IllegalParameter, LocalError, PeerError
from tlsexit.handshake.codec import GRAMMARS
from tlsexit.wire import (
    Enumerated,
    Fixed,
    Leaf,
    Message,
    Opaque,
    OptionalTail,
    Rest,
    RestOf,
    Uint,
    Variant,
    Vector,
    WireError,
    build,
    parse,
    parse_prefix,
)


@dataclass(frozen=True, slots=True)
class Pair:
    number: int
    text: bytes


@dataclass(frozen=True, slots=True)
class Tree:
    version: int
    seal: bytes
    pairs: tuple[Pair, ...]
    extra: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class Choice:
    kind: int
    content: Any


PAIR = Message(Pair, number=Uint(3), text=Opaque(1, 20))
TREE = Message(
    Tree, version=Uint(2), seal=Fixed(4), pairs=Vector(PAIR, 0, 300), extra=OptionalTail(Vector(Uint(2), 2, 8))
)
CHOICE = Variant(Choice, Uint(1), {1: Uint(2), 2: Opaque(0, 255)})
OPEN_CHOICE = Variant(Choice, Uint(1), {1: Uint(2)}, default=Opaque(2, 3))

pairs = st.builds(Pair, st.integers(0, 2**24 - 1), st.binary(min_size=1, max_size=20))
trees = st.builds(
    Tree,
    st.integers(0, 2**16 - 1),
    st.binary(min_size=4, max_size=4),
    st.lists(pairs, max_size=12).map(tuple),
    st.none() | st.lists(st.integers(0, 2**16 - 1), min_size=1, max_size=4).map(tuple),
)
choices = st.one_of(
    st.builds(Choice, st.just(1), st.integers(0, 2**16 - 1)), st.builds(Choice, st.just(2), st.binary(max_size=255))
)


def uints(size: int) -> st.SearchStrategy[int]:
    return st.integers(0, 2 ** (8 * size) - 1)


# grammar, values, and whether it fixes its own end
LEAVES: dict[str, tuple[Leaf[Any], st.SearchStrategy[Any], bool]] = {
    **{f"uint{8 * size}": (Uint(size), uints(size), True) for size in (1, 2, 3, 4, 8)},
    "enumerated": (Enumerated(2, {3, 770}), st.sampled_from([3, 770]), True),
    "fixed": (Fixed(12), st.binary(min_size=12, max_size=12), True),
    "fixed empty": (Fixed(0), st.just(b""), True),
    "rest of": (RestOf(Opaque(1, 255)), st.lists(st.binary(min_size=1, max_size=20), max_size=4).map(tuple), False),
    "rest": (Rest(), st.binary(max_size=30), False),
    "opaque<0..32>": (Opaque(0, 32), st.binary(max_size=32), True),
    "opaque<1..2^16-1>": (Opaque(1, 2**16 - 1), st.binary(min_size=1, max_size=400), True),
    "opaque<1..2^24-1>": (Opaque(1, 2**24 - 1), st.binary(min_size=1, max_size=400), True),
    "uint8<1..255>": (Vector(Uint(1), 1, 255), st.lists(uints(1), min_size=1, max_size=255).map(tuple), True),
    "uint16<2..2^16-1>": (Vector(Uint(2), 2, 2**16 - 1), st.lists(uints(2), min_size=1).map(tuple), True),
    "uint24<0..30>": (Vector(Uint(3), 0, 30), st.lists(uints(3), max_size=10).map(tuple), True),
    "uint32<0..40>": (Vector(Uint(4), 0, 40), st.lists(uints(4), max_size=10).map(tuple), True),
    "uint64<0..80>": (Vector(Uint(8), 0, 80), st.lists(uints(8), max_size=10).map(tuple), True),
    "enumerated<0..8>": (
        Vector(Enumerated(1, {1, 2}), 0, 8),
        st.lists(st.sampled_from([1, 2]), max_size=8).map(tuple),
        True,
    ),
    "opaque<0..9><0..99>": (
        Vector(Opaque(0, 9), 0, 99),
        st.lists(st.binary(max_size=9), max_size=9).map(tuple),
        True,
    ),
    "struct": (PAIR, pairs, True),
    "struct with a tail": (TREE, trees, False),
    "variant": (CHOICE, choices, True),
}

every_leaf = pytest.mark.parametrize(("grammar", "values", "closed"), LEAVES.values(), ids=LEAVES)
closed_leaves = pytest.mark.parametrize(
    ("grammar", "values"), [leaf[:2] for leaf in LEAVES.values() if leaf[2]], ids=[k for k, v in LEAVES.items() if v[2]]
)
examples = settings(max_examples=60, deadline=None)


@every_leaf
@examples
@given(data=st.data())
def test_build_then_parse(
    grammar: Leaf[Any], values: st.SearchStrategy[Any], closed: bool, data: st.DataObject
) -> None:
    value = data.draw(values)
    assert parse(grammar, build(grammar, value)) == value


def by_field(grammar: Message[Any], value: Any) -> bytes:
    """Return the wire form of a structure, one field after the other: what its single expression has to equal."""
    return b"".join(leaf.encode(getattr(value, name)) for name, leaf in grammar.fields.items())


def from_fields(grammar: Message[Any], raw: bytes) -> object:
    """Return the fields that ``raw`` holds and where they end, one after the other; None if they do not parse."""
    values: list[object] = []
    offset = 0
    for leaf in grammar.fields.values():
        try:
            value, offset = leaf.decode(raw, offset, len(raw))
        except WireError:
            return None
        values.append(value)
    return grammar.cls(*values), offset


STRUCTURES = {name: leaf for name, (leaf, _, _) in LEAVES.items() if isinstance(leaf, Message)}
STRUCTURES |= {cls.__name__: leaf for cls, leaf in GRAMMARS.values() if isinstance(leaf, Message)}


@pytest.mark.parametrize("grammar", STRUCTURES.values(), ids=STRUCTURES)
@examples
@given(raw=st.binary(max_size=120), front=st.integers(0, 40))
def test_a_structure_is_its_fields(grammar: Message[Any], raw: bytes, front: int) -> None:
    """Reading and writing a structure as a whole is reading and writing its fields in order, wherever it stands."""
    expected = from_fields(grammar, raw)
    try:
        found, stop = grammar.decode(bytes(front) + raw + b"behind", front, front + len(raw))
    except WireError:
        assert expected is None
        return
    assert expected == (found, stop - front)
    assert grammar.encode(found) == by_field(grammar, found)


@closed_leaves
@examples
@given(data=st.data())
def test_every_strict_prefix_is_a_decode_error(
    grammar: Leaf[Any], values: st.SearchStrategy[Any], data: st.DataObject
) -> None:
    raw = build(grammar, data.draw(values))
    for size in range(len(raw)):
        with pytest.raises(DecodeError):
            parse(grammar, raw[:size])


@closed_leaves
@examples
@given(data=st.data(), more=st.binary(min_size=1, max_size=1))
def test_one_byte_more_is_a_decode_error(
    grammar: Leaf[Any], values: st.SearchStrategy[Any], data: st.DataObject, more: bytes
) -> None:
    with pytest.raises(DecodeError, match="1 bytes left over"):
        parse(grammar, build(grammar, data.draw(values)) + more)


@every_leaf
@examples
@given(raw=st.binary(max_size=60))
def test_any_bytes_are_a_value_or_an_alert(
    grammar: Leaf[Any], values: st.SearchStrategy[Any], closed: bool, raw: bytes
) -> None:
    try:
        value = parse(grammar, raw)
    except PeerError:
        return
    assert build(grammar, value) == raw


@every_leaf
@examples
@given(data=st.data(), before=st.binary(max_size=5))
def test_leaves_work_inside_a_stock_struct(
    grammar: Leaf[Any], values: st.SearchStrategy[Any], closed: bool, data: st.DataObject, before: bytes
) -> None:
    """A leaf takes just its own bytes from the stream and leaves the rest to what follows."""
    value = data.draw(values)
    stock = construct.Struct("before" / construct.Bytes(len(before)), "leaf" / grammar, "after" / construct.GreedyBytes)
    after = b"behind" if closed else b""
    raw = before + build(grammar, value) + after
    assert stock.build({"before": before, "leaf": value, "after": after}) == raw
    parsed = stock.parse(raw)
    assert (parsed.before, parsed.leaf, parsed.after) == (before, value, after)


def test_fixed_sizes_are_known_to_construct() -> None:
    assert construct.Struct("a" / Uint(3), "b" / Fixed(5)).sizeof() == 8


def test_construct_errors_stay_construct_errors_in_a_stock_struct() -> None:
    stock = construct.Struct("a" / Opaque(2, 4))
    with pytest.raises(construct.ConstructError):
        stock.parse(b"\x03ab")
    with pytest.raises(construct.ConstructError):
        stock.build({"a": b"x"})


@pytest.mark.parametrize(
    ("leaf", "raw", "value"),
    [
        # R2246-4.1-01, R2246-4.4-01: big-endian and never negative
        (Uint(2), "ff01", 0xFF01),
        (Uint(3), "800000", 0x800000),
        # R2246-4.3-02: the prefix is as wide as the ceiling needs
        (Opaque(0, 255), "02aabb", b"\xaa\xbb"),
        (Opaque(0, 256), "0002aabb", b"\xaa\xbb"),
        (Opaque(0, 2**16 - 1), "0002aabb", b"\xaa\xbb"),
        (Opaque(0, 2**16), "000002aabb", b"\xaa\xbb"),
        # §4.3's own example: uint16 longer<0..800>, "zero to 400 unsigned integers"
        (Vector(Uint(2), 0, 800), "000400010002", (1, 2)),
        # R2246-4.3-05: the length counts bytes
        (Vector(Opaque(1, 255), 0, 255), "0501aa02bbcc", (b"\xaa", b"\xbb\xcc")),
        (PAIR, "0000ff0161", Pair(255, b"a")),
        (TREE, "0301" + "73656c66" + "0005" + "0000070162", Tree(0x0301, b"self", (Pair(7, b"b"),))),
        (TREE, "0301" + "73656c66" + "0000" + "020009", Tree(0x0301, b"self", (), (9,))),
        (CHOICE, "010102", Choice(1, 0x0102)),
        (CHOICE, "02020102", Choice(2, b"\x01\x02")),
        (OPEN_CHOICE, "09020102", Choice(9, b"\x01\x02")),
    ],
)
def test_bytes_written_by_hand(leaf: Leaf[Any], raw: str, value: object) -> None:
    assert parse(leaf, bytes.fromhex(raw)) == value
    assert build(leaf, value) == bytes.fromhex(raw)


@pytest.mark.parametrize(
    ("leaf", "raw", "reason"),
    [
        (Uint(2), "00", "2 bytes expected, 1 left"),
        (Fixed(3), "0000", "3 bytes expected, 2 left"),
        (Opaque(0, 300), "00", "a 2-byte length expected, 1 bytes left"),
        (Opaque(2, 4), "01aa", "length 1 is outside <2..4>"),
        (Opaque(2, 4), "05aaaaaaaaaa", "length 5 is outside <2..4>"),
        (Opaque(2, 4), "03aabb", "length 3 announced, 2 bytes left"),
        (Opaque(0, 2**16 - 1), "8001aa", "length 32769 announced, 1 bytes left"),
        (Vector(Uint(2), 0, 9), "03000102", "length 3 is not a multiple of 2"),
        (Vector(Uint(3), 0, 9), "0400010203", "1: 3 bytes expected, 1 left"),
        (Vector(Opaque(0, 9), 0, 9), "0301aa05aabbccddee", "1: length 5 announced, 0 bytes left"),
        (TREE, "0301" + "00000000" + "0005" + "0000070262", "pairs.0.text: length 2 announced, 1 bytes left"),
        (TREE, "0301" + "00000000" + "0000" + "03000102", "extra: length 3 is not a multiple of 2"),
        (CHOICE, "", "kind: 1 bytes expected, 0 left"),
        (CHOICE, "0101", "content: 2 bytes expected, 1 left"),
    ],
)
def test_what_does_not_match_is_a_decode_error_that_says_where(leaf: Leaf[Any], raw: str, reason: str) -> None:
    """R2246-4.3-03, R2246-4.3-04, R2246-4.3-05: an inner vector never reaches beyond what encloses it."""
    with pytest.raises(DecodeError) as caught:
        parse(leaf, bytes.fromhex(raw), "Thing")
    assert caught.value.reason == f"Thing: {reason}"


@pytest.mark.parametrize(
    ("leaf", "raw", "reason"),
    [
        (Enumerated(1, {3}), "04", "4 is not a value of this type"),
        (Vector(Enumerated(1, {3}), 0, 9), "020304", "1: 4 is not a value of this type"),
        (CHOICE, "030000", "kind: 3 is not a value of this type"),
    ],
)
def test_undeclared_values_are_illegal_parameters(leaf: Leaf[Any], raw: str, reason: str) -> None:
    """R2246-4.5-01."""
    with pytest.raises(IllegalParameter) as caught:
        parse(leaf, bytes.fromhex(raw))
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    ("leaf", "value", "reason"),
    [
        (Uint(1), 256, "256 does not fit"),
        (Uint(1), -1, "-1 does not fit"),
        (Fixed(3), b"four", "3 bytes expected, not 4"),
        (Opaque(1, 3), b"", r"length 0 is outside <1\.\.3>"),
        (Opaque(1, 3), b"four", r"length 4 is outside <1\.\.3>"),
        (Vector(Uint(2), 2, 4), (), r"length 0 is outside <2\.\.4>"),
        (Vector(Uint(2), 2, 4), (1, 2, 3), r"length 6 is outside <2\.\.4>"),
        (Vector(Uint(2), 2, 4), (65536,), "a value does not fit in 2 bytes"),
        (Vector(Uint(2), 2, 4), (-1,), "a value does not fit in 2 bytes"),
        (Vector(Opaque(1, 3), 0, 9), (b"ok", b""), r"1: length 0 is outside <1\.\.3>"),
        (Enumerated(1, {3}), 4, "4 is not a value"),
        (PAIR, Pair(2**24, b"a"), "number: 16777216 does not fit"),
        (PAIR, Pair(1, b""), r"text: length 0 is outside <1\.\.20>"),
        (CHOICE, Choice(3, b""), "kind: 3 is not a value"),
        (CHOICE, Choice(1, 65536), "content: 65536 does not fit"),
        (OPEN_CHOICE, Choice(256, b"ab"), "kind: 256 does not fit"),
    ],
)
def test_what_has_no_wire_form_is_the_callers_mistake(leaf: Leaf[Any], value: object, reason: str) -> None:
    """R2246-4.3-03: the bounds hold when building as well."""
    with pytest.raises(LocalError, match=f"Thing: {reason}"):
        build(leaf, value, "Thing")


@pytest.mark.parametrize("leaf", [Opaque(0, 9), Fixed(3), Rest()])
def test_a_number_is_not_bytes(leaf: Leaf[Any]) -> None:
    """``bytes(3)`` would be three zeros."""
    with pytest.raises(TypeError):
        build(leaf, 3)


@pytest.mark.parametrize("kind", [bytearray, memoryview])
def test_any_kind_of_buffer_can_be_built_from(kind: type[Any]) -> None:
    built = build(TREE, Tree(1, kind(b"seal"), (Pair(2, kind(b"x")),)))
    assert built == bytes.fromhex("0001" + "7365616c" + "0005" + "0000020178")
    assert type(built) is bytes
    assert build(Rest(), kind(b"xyz")) == b"xyz"


@pytest.mark.parametrize("bounds", [(-1, 3), (4, 3)])
def test_bounds_make_sense(bounds: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="is not a range"):
        Opaque(*bounds)


def test_a_prefix_is_parsed_where_something_else_follows() -> None:
    assert parse_prefix(PAIR, bytes.fromhex("0000010161" + "ffff")) == (Pair(1, b"a"), 5)
    with pytest.raises(DecodeError):
        parse_prefix(PAIR, bytes.fromhex("00000102"))


class Flipped(Uint):
    """A number written with all its bits flipped."""

    def decode(self, data: bytes, offset: int, end: int) -> tuple[int, int]:
        value, stop = super().decode(data, offset, end)
        return value ^ 0xFF, stop

    def encode(self, value: int) -> bytes:
        return super().encode(value ^ 0xFF)


class Reversed(Opaque):
    """Bytes written back to front."""

    def decode(self, data: bytes, offset: int, end: int) -> tuple[bytes, int]:
        value, stop = super().decode(data, offset, end)
        return value[::-1], stop

    def encode(self, value: bytes) -> bytes:
        return super().encode(value[::-1])


class Marked(Message[Pair]):
    """A structure with a mark before it."""

    def decode(self, data: bytes, offset: int, end: int) -> tuple[Pair, int]:
        return super().decode(data, offset + 1, end)

    def encode(self, value: Pair) -> bytes:
        return b"!" + super().encode(value)


@pytest.mark.parametrize(
    ("leaf", "value", "raw"),
    [
        (Flipped(1), 1, "fe"),
        (Reversed(0, 9), b"ab", "026261"),
        (Marked(Pair, number=Uint(1), text=Opaque(0, 9)), Pair(1, b"a"), "21010161"),
    ],
)
def test_a_leaf_of_ones_own_is_asked_wherever_it_stands(leaf: Leaf[Any], value: object, raw: str) -> None:
    wire = bytes.fromhex(raw)
    vector = Vector(leaf, 0, 99)
    message = Message(Choice, kind=leaf, content=leaf)
    for grammar, whole, spelt in (
        (leaf, value, wire),
        (vector, (value, value), bytes([2 * len(wire)]) + 2 * wire),
        (message, Choice(value, value), 2 * wire),  # type: ignore[arg-type]
    ):
        assert build(grammar, whole) == spelt
        assert parse(grammar, spelt) == whole
