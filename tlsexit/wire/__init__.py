"""The presentation language (RFC 2246 §4) as construct leaves that check everything, in both directions.

Stock construct parses a TLS vector with ``Prefixed`` and ``GreedyRange``, which accept too much: trailing bytes
vanish, any error inside a list means "end of list", and ``.compile()`` drops length checks. The leaves here take their
bounds as the RFC writes them (``Vector(2, 2**16 - 1)`` for ``<2..2^16-1>``), derive the width of the length prefix
from the ceiling (§4.3), and refuse a wrong length when parsing *and* when building. They remain construct objects,
usable inside any ``Struct``; :class:`Message` puts them straight into a dataclass.

Inside, a leaf reads from ``bytes`` at an offset rather than from a stream, which makes it about three times as fast.
"""

from tlsexit.wire.fields import Enumerated, Fixed, Opaque, OptionalTail, Rest, RestOf, Uint, Vector
from tlsexit.wire.leaf import Leaf, WireError, build, parse, parse_prefix
from tlsexit.wire.structures import Message, Variant

__all__ = [
    "Enumerated",
    "Fixed",
    "Leaf",
    "Message",
    "Opaque",
    "OptionalTail",
    "Rest",
    "RestOf",
    "Uint",
    "Variant",
    "Vector",
    "WireError",
    "build",
    "parse",
    "parse_prefix",
]
