"""Structures of fields, and variants of them (RFC 2246 §4.5, §4.6.1), that land in dataclasses."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import fields as dataclass_fields
from itertools import takewhile
from typing import Any, TypeVar, cast

from tlsexit.alerts import IllegalParameter
from tlsexit.wire.fields import Enumerated, Fixed, Opaque, Uint
from tlsexit.wire.leaf import Leaf, WireError

T = TypeVar("T")


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

    def packer(self) -> Callable[[T], bytes]:
        return self._write if type(self) is Message else self.encode


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


def _reader(cls: type[T], fields: Mapping[str, Leaf[Any]]) -> Callable[[bytes, int, int], tuple[T, int]]:
    """Return what reads a structure: fields of fixed size at the front in one go, then one after the other.

    What ``struct`` reads beyond ``end`` is no error to it, so that is asked first.
    """
    codes = list(takewhile(bool, (leaf.code for leaf in fields.values())))
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
        if type(leaf) in (Fixed, Opaque):
            floor, ceiling = (leaf.size, leaf.size) if isinstance(leaf, Fixed) else (leaf.floor, leaf.ceiling)
            lines += [f"    {name} = value.{name}"]
            lines += [f"    if not {floor} <= len({name}) <= {ceiling}: raise WireError('length')"]
            parts += [name] if isinstance(leaf, Fixed) else [f"len({name}).to_bytes({leaf.prefix}, 'big')", name]
        else:
            parts.append(f"encode_{name}(value.{name})")
    lines += [f"    return join(({', '.join(parts)},))" if parts else "    return b''"]
    known = {f"encode_{name}": leaf.packer() for name, leaf in fields.items()}
    return _compiled("write", lines, {**known, "join": b"".join, "WireError": WireError})


def _compiled(name: str, lines: list[str], known: dict[str, Any]) -> Callable[..., Any]:
    """Return the function that ``lines`` define; they are made of the names in our own grammars alone."""
    exec(compile("\n".join(lines), f"<grammar {name}>", "exec"), known)
    return cast("Callable[..., Any]", known[name])
