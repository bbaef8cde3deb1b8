"""The presentation language (RFC 2246 §4) as construct leaves that check everything, in both directions.

Stock construct parses a TLS vector with ``Prefixed`` and ``GreedyRange``, which accept too much: trailing bytes
vanish, any error inside a list means "end of list", and ``.compile()`` drops length checks. The leaves here take their
bounds as the RFC writes them (``Vector(2, 2**16 - 1)`` for ``<2..2^16-1>``), derive the width of the length prefix
from the ceiling (§4.3), and refuse a wrong length when parsing *and* when building. They remain construct objects,
usable inside any ``Struct``; :class:`Message` puts them straight into a dataclass.

Inside, a leaf reads from ``bytes`` at an offset rather than from a stream, which makes it about three times as fast.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields as dataclass_fields
from itertools import takewhile
from typing import Any, Generic, TypeVar, cast

from construct import Construct, ConstructError

from tlsexit.alerts import DecodeError, IllegalParameter, LocalError, PeerError

T = TypeVar("T")

_INTEGERS = {1: "B", 2: "H", 4: "I", 8: "Q"}


class WireError(ConstructError):
    """Bytes or a value that do not match a grammar; :func:`parse` and :func:`build` turn it into a TlsError.

    ``alert`` is what :func:`parse` raises: decode_error, or illegal_parameter for a well-formed but forbidden value.
    """

    def __init__(self, reason: str, *fields: str, alert: type[PeerError] = DecodeError) -> None:
        super().__init__(reason)
        self.reason = reason
        self.fields = fields
        self.alert = alert

    def within(self, field: str) -> WireError:
        """Return the same error seen from the structure that holds ``field``."""
        return WireError(self.reason, field, *self.fields, alert=self.alert)

    def __str__(self) -> str:
        where = ".".join(self.fields)
        return f"{where}: {self.reason}" if where else self.reason


class Leaf(Construct, Generic[T]):
    """A construct that reads from ``bytes`` at an offset; subclasses write :meth:`decode` and :meth:`encode`."""

    def decode(self, data: bytes, offset: int, end: int) -> tuple[T, int]:
        """Return the value at ``offset`` and the offset behind it, never reading at or beyond ``end``."""
        raise TypeError(f"{type(self).__name__} does not decode")

    def encode(self, value: T) -> bytes:
        """Return the wire form of ``value``."""
        raise TypeError(f"{type(self).__name__} does not encode")

    # construct's own interface, so that a leaf also works inside a stock Struct
    def _parse(self, stream: Any, context: Any, path: str) -> T:
        start = stream.tell()
        data = stream.read()
        value, used = self.decode(data, 0, len(data))
        stream.seek(start + used)
        return value

    def _build(self, obj: T, stream: Any, context: Any, path: str) -> T:
        stream.write(self.encode(obj))
        return obj


class Uint(Leaf[int]):
    """An unsigned big-endian number of ``size`` bytes: uint8, uint16, uint24, uint32 (§4.4)."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def decode(self, data: bytes, offset: int, end: int) -> tuple[int, int]:
        stop = offset + self.size
        if stop > end:
            raise WireError(f"{self.size} bytes expected, {end - offset} left")
        return int.from_bytes(data[offset:stop], "big"), stop

    def encode(self, value: int) -> bytes:
        try:
            return value.to_bytes(self.size, "big")
        except OverflowError:
            raise WireError(f"{value} does not fit in {self.size} bytes") from None

    def _sizeof(self, context: Any, path: str) -> int:
        return self.size


class Enumerated(Uint):
    """An enumerated field outside a list, which "can only assume values declared in the definition" (§4.5).

    Any other value is an illegal_parameter.
    """

    def __init__(self, size: int, values: Iterable[int]) -> None:
        super().__init__(size)
        self.values = frozenset(int(value) for value in values)

    def decode(self, data: bytes, offset: int, end: int) -> tuple[int, int]:
        stop = offset + self.size
        value = int.from_bytes(data[offset:stop], "big")
        if stop > end:
            return super().decode(data, offset, end)
        if value not in self.values:
            raise WireError(f"{value} is not a value of this type", alert=IllegalParameter)
        return value, stop

    def encode(self, value: int) -> bytes:
        if value not in self.values:
            raise WireError(f"{value} is not a value of this type")
        return value.to_bytes(self.size, "big")


class Fixed(Leaf[bytes]):
    """``opaque name[size]``: exactly ``size`` bytes without a prefix (§4.3)."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def decode(self, data: bytes, offset: int, end: int) -> tuple[bytes, int]:
        stop = offset + self.size
        if stop > end:
            raise WireError(f"{self.size} bytes expected, {end - offset} left")
        return data[offset:stop], stop

    def encode(self, value: bytes) -> bytes:
        if len(value) != self.size:
            raise WireError(f"{self.size} bytes expected, not {len(value)}")
        return bytes(value)

    def _sizeof(self, context: Any, path: str) -> int:
        return self.size


class Rest(Leaf[bytes]):
    """Every byte that is left, for bodies whose form depends on what was negotiated."""

    def decode(self, data: bytes, offset: int, end: int) -> tuple[bytes, int]:
        return data[offset:end], end

    def encode(self, value: bytes) -> bytes:
        return b"".join((value,))  # bytes(value) would make zeros of a number


class _Bounded(Leaf[T]):
    """The length prefix of ``<floor..ceiling>``: as wide as the ceiling needs, counting bytes (§4.3)."""

    def __init__(self, floor: int, ceiling: int) -> None:
        super().__init__()
        if not 0 <= floor <= ceiling:
            raise ValueError(f"<{floor}..{ceiling}> is not a range")
        self.floor = floor
        self.ceiling = ceiling
        self.prefix = (ceiling.bit_length() + 7) // 8

    def span(self, data: bytes, offset: int, end: int) -> tuple[int, int]:
        """Check the prefix at ``offset`` and return where the contents start and stop."""
        start = offset + self.prefix
        if start > end:
            raise WireError(f"a {self.prefix}-byte length expected, {end - offset} bytes left")
        length = int.from_bytes(data[offset:start], "big")
        if not self.floor <= length <= self.ceiling:
            raise WireError(f"length {length} is outside <{self.floor}..{self.ceiling}>")
        stop = start + length
        if stop > end:
            raise WireError(f"length {length} announced, {end - start} bytes left")
        return start, stop

    def frame(self, contents: bytes) -> bytes:
        """Put the checked length prefix before ``contents``."""
        length = len(contents)
        if not self.floor <= length <= self.ceiling:
            raise WireError(f"length {length} is outside <{self.floor}..{self.ceiling}>")
        return length.to_bytes(self.prefix, "big") + contents


class Opaque(_Bounded[bytes]):
    """``opaque name<floor..ceiling>`` (§4.3)."""

    def decode(self, data: bytes, offset: int, end: int) -> tuple[bytes, int]:
        # the good case of span(), written out: half of all fields are of this kind
        start = offset + self.prefix
        length = int.from_bytes(data[offset:start], "big")
        stop = start + length
        if stop > end or not self.floor <= length <= self.ceiling:
            self.span(data, offset, end)
        return data[start:stop], stop

    def encode(self, value: bytes) -> bytes:
        length = len(value)
        if not self.floor <= length <= self.ceiling:
            return self.frame(value)
        return length.to_bytes(self.prefix, "big") + value


class Vector(_Bounded[tuple[T, ...]]):
    """``Element name<floor..ceiling>``: a list whose bounds and length count bytes, not elements (§4.3).

    Plain integers go through ``struct`` in one call, which matters for lists of cipher suites.
    """

    key: Callable[[Any], Any] | None = None
    """What no two elements may have in common, for a subclass that sees to it when parsing."""

    def __init__(self, element: Leaf[T], floor: int, ceiling: int) -> None:
        super().__init__(floor, ceiling)
        self.element = element
        # exactly Uint: a subclass checks each value itself
        self._size = element.size if type(element) is Uint else 0
        self._code = _INTEGERS.get(self._size, "")
        self._pack_all = _packer_of_many(element)

    def decode(self, data: bytes, offset: int, end: int) -> tuple[tuple[T, ...], int]:
        start, stop = self.span(data, offset, end)
        if self._code:
            count, odd = divmod(stop - start, self._size)
            if odd:
                raise WireError(f"length {stop - start} is not a multiple of {self._size}")
            return cast("tuple[T, ...]", struct.unpack_from(f">{count}{self._code}", data, start)), stop
        values: list[T] = []
        decode = self.element.decode
        try:
            while start < stop:
                value, start = decode(data, start, stop)
                values.append(value)
        except WireError as error:
            raise error.within(str(len(values))) from None
        return tuple(values), stop

    def encode(self, value: Sequence[T]) -> bytes:
        if self._code:
            try:
                contents = struct.pack(f">{len(value)}{self._code}", *value)
            except struct.error as error:
                raise WireError(f"a value does not fit in {self._size} bytes") from error
        else:
            try:
                contents = self._pack_all(value)
            except (WireError, struct.error):
                contents = self._encode_each(value)
        # frame(), its good case written out
        length = len(contents)
        if not self.floor <= length <= self.ceiling:
            return self.frame(contents)
        return length.to_bytes(self.prefix, "big") + contents

    def _encode_each(self, value: Sequence[T]) -> bytes:
        """Write element by element, to find out which one is wrong."""
        parts: list[bytes] = []
        try:
            for item in value:
                parts.append(self.element.encode(item))
        except WireError as error:
            raise error.within(str(len(parts))) from None
        return b"".join(parts)


class RestOf(Leaf[tuple[T, ...]]):
    """Elements one behind the other up to the end of what holds them, with no length of their own."""

    def __init__(self, element: Leaf[T]) -> None:
        super().__init__()
        self.element = element

    def decode(self, data: bytes, offset: int, end: int) -> tuple[tuple[T, ...], int]:
        values: list[T] = []
        try:
            while offset < end:
                value, offset = self.element.decode(data, offset, end)
                values.append(value)
        except WireError as error:
            raise error.within(str(len(values))) from None
        return tuple(values), end

    def encode(self, value: Sequence[T]) -> bytes:
        return b"".join(self.element.encode(item) for item in value)


class OptionalTail(Leaf[T | None]):
    """A field that may be left out at the end of a structure, as the extensions of a hello (RFC 4366 §2.1).

    Absent is ``None``; present means that the field fills the rest of the structure exactly.
    """

    def __init__(self, field: Leaf[T]) -> None:
        super().__init__()
        self.field = field

    def decode(self, data: bytes, offset: int, end: int) -> tuple[T | None, int]:
        if offset == end:
            return None, end
        return self.field.decode(data, offset, end)

    def encode(self, value: T | None) -> bytes:
        return b"" if value is None else self.field.encode(value)


class Message(Leaf[T]):
    """A structure whose fields land in the dataclass ``cls``, in the order given (§4.5).

    Fields are read and written by one expression that names them all, as by hand. Whatever is wrong with one of them is
    found out field by field.
    """

    def __init__(self, cls: type[T], **fields: Leaf[Any]) -> None:
        super().__init__()
        self.cls = cls
        self.fields = fields
        self._read = _reader(cls, fields)
        self._write = _writer(fields)

    def decode(self, data: bytes, offset: int, end: int) -> tuple[T, int]:
        try:
            return self._read(data, offset, end)
        except (WireError, struct.error):
            return self._decode_by_field(data, offset, end)

    def encode(self, value: T) -> bytes:
        try:
            return self._write(value)
        except (WireError, struct.error):
            return self._encode_by_field(value)

    def _decode_by_field(self, data: bytes, offset: int, end: int) -> tuple[T, int]:
        values: list[Any] = []
        for name, leaf in self.fields.items():
            try:
                value, offset = leaf.decode(data, offset, end)
            except WireError as error:
                raise error.within(name) from None
            values.append(value)
        return self.cls(*values), offset

    def _encode_by_field(self, value: T) -> bytes:
        parts: list[bytes] = []
        for name, leaf in self.fields.items():
            try:
                parts.append(leaf.encode(getattr(value, name)))
            except WireError as error:
                raise error.within(name) from None
        return b"".join(parts)


def _reader(cls: type[T], fields: Mapping[str, Leaf[Any]]) -> Callable[[bytes, int, int], tuple[T, int]]:
    """Return what reads a structure: fields of fixed size at the front in one go, then one after the other.

    What ``struct`` reads beyond ``end`` is no error to it, so that is asked first.
    """
    codes = list(takewhile(bool, map(_code, fields.values())))
    front, names = struct.Struct(">" + "".join(codes)), list(fields)
    lines = ["def read(data, offset, end):"]
    if codes:
        lines += [f"    if offset + {front.size} > end: raise WireError('too short')"]
        lines += [f"    {', '.join(names[: len(codes)])}, = front(data, offset)", f"    offset += {front.size}"]
    limited = {name: fields[name].values for name in names[: len(codes)] if isinstance(fields[name], Enumerated)}
    lines += [f"    if {name} not in values_{name}: raise WireError('no value of this type')" for name in limited]
    lines += [f"    {name}, offset = decode_{name}(data, offset, end)" for name in names[len(codes) :]]
    lines += [f"    return cls({', '.join(names)}), offset"]
    known: dict[str, Any] = {"cls": cls, "front": front.unpack_from, "WireError": WireError}
    known |= {f"values_{name}": values for name, values in limited.items()}
    known |= {f"decode_{name}": leaf.decode for name, leaf in fields.items()}
    return _compiled("read", lines, known)


def _writer(fields: Mapping[str, Leaf[Any]]) -> Callable[[Any], bytes]:
    """Return what writes a structure whose fields all fit; opaque ones, half of all, without asking their leaf."""
    lines, parts = ["def write(value):"], []
    for name, leaf in fields.items():
        if isinstance(leaf, (Fixed, Opaque)):
            floor, ceiling = (leaf.size, leaf.size) if isinstance(leaf, Fixed) else (leaf.floor, leaf.ceiling)
            lines += [f"    {name} = value.{name}"]
            lines += [f"    if not {floor} <= len({name}) <= {ceiling}: raise WireError('length')"]
            parts += [name] if isinstance(leaf, Fixed) else [f"len({name}).to_bytes({leaf.prefix}, 'big')", name]
        else:
            parts.append(f"encode_{name}(value.{name})")
    lines += [f"    return join(({', '.join(parts)},))" if parts else "    return b''"]
    known = {f"encode_{name}": _packer(leaf) for name, leaf in fields.items()}
    return _compiled("write", lines, {**known, "join": b"".join, "WireError": WireError})


def _compiled(name: str, lines: list[str], known: dict[str, Any]) -> Callable[..., Any]:
    """Return the function that ``lines`` define; they are made of the names in our own grammars alone."""
    exec(compile("\n".join(lines), f"<grammar {name}>", "exec"), known)
    return cast("Callable[..., Any]", known[name])


def _code(leaf: Leaf[Any]) -> str:
    """Return how ``struct`` reads a field of fixed size, or nothing for one of another kind."""
    if type(leaf) in (Uint, Enumerated):
        return _INTEGERS.get(cast(Uint, leaf).size, "")
    return f"{leaf.size}s" if type(leaf) is Fixed else ""


def _packer(leaf: Leaf[Any]) -> Callable[[Any], bytes]:
    """Return what writes a field when nothing is wrong with its value, and raises or not when something is."""
    if type(leaf) is Uint and _code(leaf):
        return struct.Struct(">" + _code(leaf)).pack
    return leaf._write if type(leaf) is Message else leaf.encode


def _packer_of_many(leaf: Leaf[Any]) -> Callable[[Sequence[Any]], bytes]:
    """Return what writes elements one behind the other when nothing is wrong with any."""
    pack, join = _packer(leaf), b"".join
    if type(leaf) is not Opaque:
        return lambda values: join([pack(value) for value in values])
    floor, ceiling, prefix = leaf.floor, leaf.ceiling, leaf.prefix

    def pack_opaque(values: Sequence[bytes]) -> bytes:
        parts: list[bytes] = []
        for value in values:
            length = len(value)
            if not floor <= length <= ceiling:
                raise WireError("length")
            parts.append(length.to_bytes(prefix, "big"))
            parts.append(value)
        return join(parts)

    return pack_opaque


class Variant(Leaf[T]):
    """A structure of a tag and a ``select`` on it (§4.6.1), in the dataclass ``cls`` with those two fields.

    A tag without a case of its own takes ``default``; without a default it is an illegal_parameter.
    """

    def __init__(
        self, cls: type[T], tag: Leaf[int], cases: Mapping[int, Leaf[Any]], default: Leaf[Any] | None = None
    ) -> None:
        super().__init__()
        self.cls = cls
        self.tag = tag
        self.cases = {int(value): leaf for value, leaf in cases.items()}
        self.default = default
        self._make = cast(Callable[[int, Any], T], cls)
        # a number of one byte is read in place; any other kind of tag checks itself
        self._byte_tag = type(tag) is Uint and tag.size == 1
        self._tag_name, self._body_name = (field.name for field in dataclass_fields(cast(Any, cls)))

    def _case(self, tag: int) -> Leaf[Any]:
        leaf = self.cases.get(tag, self.default)
        if leaf is None:
            raise WireError(f"{tag} is not a value of this type", self._tag_name, alert=IllegalParameter)
        return leaf

    def decode(self, data: bytes, offset: int, end: int) -> tuple[T, int]:
        if self._byte_tag and offset < end:
            tag = data[offset]
            offset += 1
        else:
            try:
                tag, offset = self.tag.decode(data, offset, end)
            except WireError as error:
                raise error.within(self._tag_name) from None
        case = self._case(tag)
        try:
            body, offset = case.decode(data, offset, end)
        except WireError as error:
            raise error.within(self._body_name) from None
        return self._make(tag, body), offset

    def encode(self, value: T) -> bytes:
        tag = getattr(value, self._tag_name)
        case = self._case(tag)
        try:
            prefix = self.tag.encode(tag)
        except WireError as error:
            raise error.within(self._tag_name) from None
        try:
            return prefix + case.encode(getattr(value, self._body_name))
        except WireError as error:
            raise error.within(self._body_name) from None


def parse(grammar: Leaf[T], data: bytes, name: str = "") -> T:
    """Return the value that ``data`` spells under ``grammar``, all of it.

    ``name`` (``ClientHello``) goes before the reason in errors. Raises :class:`~tlsexit.alerts.DecodeError` for
    anything that does not match, bytes left over included (RFC 2246 §7.2.2 decode_error), and
    :class:`~tlsexit.alerts.IllegalParameter` for a value that is well formed and not allowed.
    """
    try:
        value, used = grammar.decode(data, 0, len(data))
    except WireError as error:
        raise error.alert(f"{name}: {error}" if name else str(error)) from error
    if used != len(data):
        raise DecodeError(f"{name or 'message'}: {len(data) - used} bytes left over")
    return value


def parse_prefix(grammar: Leaf[T], data: bytes, name: str = "") -> tuple[T, int]:
    """As :func:`parse` for a structure that something else follows: return the value and the bytes it took."""
    try:
        return grammar.decode(data, 0, len(data))
    except WireError as error:
        raise error.alert(f"{name}: {error}" if name else str(error)) from error


def build(grammar: Leaf[T], value: T, name: str = "") -> bytes:
    """Return the wire form of ``value``; :class:`~tlsexit.alerts.LocalError` if it has none."""
    try:
        return grammar.encode(value)
    except WireError as error:
        raise LocalError(f"{name}: {error}" if name else str(error)) from error
