"""Hypothesis strategies from grammars: whatever :mod:`tlsexit.wire` can declare gets values for nothing.

::

    from_grammar(CLIENT_HELLO).example()      # ClientHello(client_version=771, random=b"...", ...)

A value is legal on the wire by construction: nothing is drawn and thrown away. It need not be sensible: suites,
versions and certificates are numbers and bytes. :mod:`.tuned` has strategies for values that make sense together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from tlsexit.fuzzing.code import Repeated, Run
from tlsexit.wire import Enumerated, Fixed, Leaf, Message, Opaque, OptionalTail, Rest, RestOf, Uint, Variant, Vector

T = TypeVar("T")

_LONGEST: Final = 2**16
"""Bytes to which a field is stretched now and then; where more are allowed, this many say no more."""


_IDLE: Final = (st.booleans(),) * 16


@dataclass(frozen=True, slots=True)
class _Reach:
    """How far values go: ``usual`` bytes over the floor of a field, ``few`` elements over that of a list.

    ``stretched`` is whether a field may, now and then, be exactly as short or as long as its bounds allow. Inside a
    list it may not: the whole list has to stay within bounds of its own.
    """

    usual: int
    few: int
    stretched: bool = True

    def inside(self, leaf: Vector[Any]) -> _Reach:
        """The same for the elements of a list, as far as the fewest of them fit in."""
        reach = _Reach(self.usual, self.few, False)
        while (reach.usual or reach.few) and _least(leaf, reach) * _sizes(leaf.element, reach)[1] > leaf.ceiling:
            reach = _Reach(reach.usual // 2, reach.few // 2, False)
        return reach


Maker = Callable[[Any], SearchStrategy[Any]]

_OWN: Final[dict[type[Leaf[Any]], tuple[Maker, Callable[[Any], tuple[int, int]]]]] = {}


def register(
    kind: type[Leaf[T]], make: Callable[[Any], SearchStrategy[T]], sizes: Callable[[Any], tuple[int, int]]
) -> None:
    """Tell how values of a leaf of your own are made: ``make(leaf)`` returns a strategy.

    ``sizes(leaf)`` returns the fewest and the most bytes that such a value takes on the wire.
    """
    _OWN[kind] = make, sizes


def from_grammar(grammar: Leaf[T], *, usual: int = 40, few: int = 5) -> SearchStrategy[T]:
    """Return a strategy for the values of ``grammar``.

    Byte strings have at most ``usual`` bytes more than they must, lists of structures ``few`` elements; both are
    sometimes exactly at a bound, up to 64 KiB. Everything shrinks towards zeros and towards what is shortest.

    Raises :class:`LookupError` for a kind of leaf that is neither tlsexit's own nor :func:`registered <register>`.
    """
    return _values(grammar, _Reach(usual, few))


def _values(leaf: Leaf[Any], reach: _Reach) -> SearchStrategy[Any]:
    if type(leaf) in _OWN:
        return _OWN[type(leaf)][0](leaf)
    match leaf:
        case Enumerated():
            return st.sampled_from(sorted(leaf.values))
        case Uint():
            return st.integers(0, 256**leaf.size - 1)
        case Fixed():
            return st.binary(min_size=leaf.size, max_size=leaf.size)
        case Rest():
            return _opaque(0, _LONGEST, reach)
        case Opaque():
            return _opaque(leaf.floor, leaf.ceiling, reach)
        case Vector():
            return _vector(leaf, reach)
        case RestOf():
            return st.lists(_values(leaf.element, _Reach(reach.usual, reach.few, False)), max_size=reach.few).map(tuple)
        case OptionalTail():
            return st.none() | _values(leaf.field, reach)
        case Message():
            return st.builds(leaf.cls, **{name: _values(field, reach) for name, field in leaf.fields.items()})
        case Variant():
            return st.one_of(*_cases(leaf, reach))
    raise LookupError(f"no strategy for {type(leaf).__name__}; see tlsexit.fuzzing.register")


def _opaque(floor: int, ceiling: int, reach: _Reach) -> SearchStrategy[bytes]:
    plain = st.binary(min_size=floor, max_size=min(ceiling, floor + reach.usual))
    if not reach.stretched or ceiling <= floor + reach.usual:
        return plain
    # mostly short; a long one is one byte over and over, which costs nothing to draw and prints well
    longest = st.integers(0, 255).map(lambda byte: Run(bytes([byte]) * min(ceiling, _LONGEST)))
    return st.one_of(plain, plain, plain, longest)


def _vector(leaf: Vector[Any], reach: _Reach) -> SearchStrategy[tuple[Any, ...]]:
    inside = reach.inside(leaf)
    element = _values(leaf.element, inside)
    least = _least(leaf, inside)
    most = leaf.ceiling // _sizes(leaf.element, inside)[1]
    plain_numbers = isinstance(leaf.element, Uint)
    usual = min(most, least + (reach.usual if plain_numbers else reach.few))
    plain = st.lists(element, min_size=least, max_size=usual, unique_by=leaf.key).map(tuple)
    if not (reach.stretched and plain_numbers and most > usual):
        return plain
    # Hypothesis takes what needs fewer choices for simpler: idle ones keep short lists from growing when they shrink
    full = st.tuples(element, *_IDLE).map(lambda drawn: Repeated((drawn[0],) * most))
    return st.one_of(plain, plain, plain, full)


def _cases(leaf: Variant[Any], reach: _Reach) -> Iterable[SearchStrategy[Any]]:
    for tag, case in leaf.cases.items():
        yield st.builds(leaf.cls, st.just(tag), _values(case, reach))
    if leaf.default is not None:
        yield st.builds(leaf.cls, _other_tags(leaf), _values(leaf.default, reach))


def _other_tags(leaf: Variant[Any]) -> SearchStrategy[int]:
    """Numbers that have no case of their own."""
    if isinstance(leaf.tag, Enumerated):
        return st.sampled_from(sorted(leaf.tag.values - leaf.cases.keys()))
    known = sorted(leaf.cases)
    edges = zip([-1, *known], [*known, 256 ** _sizes(leaf.tag, _Reach(0, 0))[1]], strict=True)
    return st.one_of(*(st.integers(low + 1, high - 1) for low, high in edges if high - low > 1))


def _sizes(leaf: Leaf[Any], reach: _Reach) -> tuple[int, int]:
    """Return the fewest and the most bytes that a value made within ``reach`` takes on the wire."""
    if type(leaf) in _OWN:
        return _OWN[type(leaf)][1](leaf)
    match leaf:
        case Uint() | Fixed():
            return leaf.size, leaf.size
        case Rest():
            return 0, reach.usual
        case Opaque():
            return leaf.prefix + leaf.floor, leaf.prefix + min(leaf.ceiling, leaf.floor + reach.usual)
        case Vector():
            shortest, longest = _sizes(leaf.element, reach.inside(leaf))
            least = _least(leaf, reach)
            more = reach.usual if isinstance(leaf.element, Uint) else reach.few
            return leaf.prefix + least * shortest, leaf.prefix + min(leaf.ceiling, (least + more) * longest)
        case RestOf():
            return 0, reach.few * _sizes(leaf.element, reach)[1]
        case OptionalTail():
            return 0, _sizes(leaf.field, reach)[1]
        case Message():
            return _sum(_sizes(field, reach) for field in leaf.fields.values())
        case Variant():
            bodies = [*leaf.cases.values(), *((leaf.default,) if leaf.default is not None else ())]
            sizes = [_sizes(body, reach) for body in bodies]
            tag = _sizes(leaf.tag, reach)[1]
            return tag + min(least for least, _ in sizes), tag + max(most for _, most in sizes)
    raise LookupError(f"no size for {type(leaf).__name__}; see tlsexit.fuzzing.register")


def _least(leaf: Vector[Any], reach: _Reach) -> int:
    """Return how many elements make sure of the floor, however short they are."""
    return -(-leaf.floor // _sizes(leaf.element, reach)[0])


def _sum(sizes: Iterable[tuple[int, int]]) -> tuple[int, int]:
    least = most = 0
    for low, high in sizes:
        least, most = least + low, most + high
    return least, most
