"""Numbers, opaque bytes and vectors: the fields that structures consist of (RFC 2246 §4.3 to §4.5)."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any, TypeVar, cast

from tlsexit.alerts import IllegalParameter
from tlsexit.wire.leaf import Leaf, WireError

T = TypeVar("T")

_INTEGERS = {1: "B", 2: "H", 4: "I", 8: "Q"}


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

    @property
    def code(self) -> str:
        # a subclass of its own may read in its own way
        return _INTEGERS.get(self.size, "") if type(self) in (Uint, Enumerated) else ""

    def packer(self) -> Callable[[int], bytes]:
        return struct.Struct(">" + self.code).pack if type(self) is Uint and self.code else self.encode

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

    @property
    def code(self) -> str:
        return f"{self.size}s" if type(self) is Fixed else ""

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

    def packer_of_many(self) -> Callable[[Sequence[bytes]], bytes]:
        if type(self) is not Opaque:
            return super().packer_of_many()
        floor, ceiling, prefix, join = self.floor, self.ceiling, self.prefix, b"".join

        def pack(values: Sequence[bytes]) -> bytes:
            parts: list[bytes] = []
            for value in values:
                length = len(value)
                if not floor <= length <= ceiling:
                    raise WireError("length")
                parts.append(length.to_bytes(prefix, "big"))
                parts.append(value)
            return join(parts)

        return pack


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
        self._size, self._code = (element.size, element.code) if type(element) is Uint else (0, "")
        self._pack_all = element.packer_of_many()

    def decode(self, data: bytes, offset: int, end: int) -> tuple[tuple[T, ...], int]:
        start, stop = self.span(data, offset, end)
        if self._code:
            count, odd = divmod(stop - start, self._size)
            if odd:
                raise WireError(f"length {stop - start} is not a multiple of {self._size}")
            return cast("tuple[T, ...]", _numbers(self._code, count).unpack_from(data, start)), stop
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
                contents = _numbers(self._code, len(value)).pack(*value)
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


@lru_cache(maxsize=128)
def _numbers(code: str, count: int) -> struct.Struct:
    """Return what reads and writes that many numbers of one size."""
    return struct.Struct(f">{count}{code}")


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
