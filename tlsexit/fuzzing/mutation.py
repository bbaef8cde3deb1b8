"""Mutations that break exactly one thing of a message, and say which.

A :class:`Mutation` is a value: a kind, the path of a field, an argument. It names the requirements of the catalogue
that the broken message violates and what the peer ought to answer, and applies to any message that has the field::

    mutation = Mutation(Kind.SHORT, "ClientHello.cipher_suites")
    mutation.apply(raw, sender=Role.CLIENT)         # the message without suites, all other lengths put right
    mutation.expected.requirements                  # ("R2246-4.3-03",)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

from tlsexit.alerts import AlertDescription as Alert
from tlsexit.alerts import LocalError
from tlsexit.constants import Role
from tlsexit.fuzzing import expected as ex
from tlsexit.fuzzing.expected import Answer, Expected
from tlsexit.fuzzing.layout import Field, is_number, kind_of, lay_out, splice
from tlsexit.handshake.enums import HandshakeType
from tlsexit.handshake.extensions import RENEGOTIATION_INFO, Extension
from tlsexit.wire import Enumerated, Message, Opaque, Vector


class Kind(Enum):
    """What is done to the field."""

    LENGTH = "length"
    """Its length prefix is ``amount`` more, or less, than it has bytes; no other length follows."""

    SHORT = "short"
    """It has fewer bytes than its floor; all lengths agree."""

    LONG = "long"
    """It has more bytes than its ceiling; all lengths agree."""

    ODD = "odd"
    """The list has a last element that is a byte short; all lengths agree."""

    VALUE = "value"
    """It is ``amount`` instead: a number that means something else, or nothing."""

    CONTENT = "content"
    """It is ``content`` instead; all lengths agree."""

    FLIPPED = "flipped"
    """Bit ``amount`` of it is turned over, counted from its first bit."""

    TRAILING = "trailing"
    """``content`` follows inside the same message; the message's own length agrees."""

    TRUNCATED = "truncated"
    """The message ends ``amount`` bytes early; its own length agrees."""

    DUPLICATE = "duplicate"
    """The extension is there twice."""

    REORDERED = "reordered"
    """The extensions come in the opposite order."""

    ADDED = "added"
    """An extension of type ``amount`` with ``content`` is added in front."""

    TYPE = "type"
    """The message claims to be of HandshakeType ``amount``."""


@dataclass(frozen=True, slots=True)
class Mutation:
    """One thing that is wrong with one field."""

    kind: Kind
    field: str
    amount: int = 0
    content: bytes = b""

    def __str__(self) -> str:
        argument = f" {self.amount}" if self.amount else ""
        return f"{self.field}: {self.kind.value}{argument}{' ' + self.content.hex() if self.content else ''}"

    @property
    def message(self) -> str:
        """The name of the message that it is for."""
        return self.field.split(".")[0]

    @property
    def expected(self) -> Expected:
        """What the peer ought to answer; :func:`still_legal` says when that does not hold after all."""
        return _expected(self)

    def apply(self, raw: bytes, *, sender: Role, suite: int | None = None) -> bytes:
        """Return the broken message; :class:`~tlsexit.alerts.LocalError` if it has no such field or cannot break so."""
        root = lay_out(raw, sender=sender, suite=suite)
        try:
            fields = root.find(self.field)
        except LookupError:
            raise LocalError(f"{root.path} has no field {self.field}") from None
        broken = _APPLY[self.kind](self, raw, fields)
        if broken == raw:
            raise LocalError(f"{self} changes nothing")
        return broken


def outlook(mutation: Mutation, changed: bytes, *, sender: Role, suite: int | None = None) -> Expected:
    """Return what the peer ought to answer to ``changed``, which ``mutation`` has made of an honest message.

    A length that lies may by chance make another legal message; then nobody can tell.
    """
    if mutation.kind not in _BLIND:
        return mutation.expected
    try:
        lay_out(changed, sender=sender, suite=suite, strict=True)
    except LocalError:
        return mutation.expected
    return ex.ANYTHING


# ------------------------------------------------------------------------------------------------ how


def _length(mutation: Mutation, raw: bytes, fields: tuple[Field, ...]) -> bytes:
    field = fields[-1]
    if not field.prefix:
        raise LocalError(f"{field.path} has no length")
    length: int = (field.size + mutation.amount) % 256**field.prefix
    return raw[: field.start] + length.to_bytes(field.prefix, "big") + raw[field.body :]


def _short(mutation: Mutation, raw: bytes, fields: tuple[Field, ...]) -> bytes:
    field = fields[-1]
    floor: int = getattr(field.leaf, "floor", 0)
    if not floor:
        raise LocalError(f"{field.path} may be empty")
    step = _element_size(field)
    return splice(raw, fields, raw[field.body : field.body + (floor - 1) // step * step])


def _long(mutation: Mutation, raw: bytes, fields: tuple[Field, ...]) -> bytes:
    field = fields[-1]
    ceiling: int = getattr(field.leaf, "ceiling", 0)
    if not ceiling or ceiling + 1 >= 256**field.prefix:
        raise LocalError(f"{field.path} cannot exceed its ceiling")
    contents = raw[field.body : field.stop]
    return splice(raw, fields, contents + b"\xa5" * (ceiling + 1 - len(contents)))


def _odd(mutation: Mutation, raw: bytes, fields: tuple[Field, ...]) -> bytes:
    field = fields[-1]
    if not isinstance(field.leaf, Vector) or field.size < 2:
        raise LocalError(f"{field.path} is no list with elements")
    return splice(raw, fields, raw[field.body : field.stop - 1])


def _value(mutation: Mutation, raw: bytes, fields: tuple[Field, ...]) -> bytes:
    field = fields[-1]
    if not is_number(field):
        raise LocalError(f"{field.path} is no number")
    return splice(raw, fields, (mutation.amount % 256**field.size).to_bytes(field.size, "big"))


def _content(mutation: Mutation, raw: bytes, fields: tuple[Field, ...]) -> bytes:
    return splice(raw, fields, mutation.content)


def _flipped(mutation: Mutation, raw: bytes, fields: tuple[Field, ...]) -> bytes:
    field = fields[-1]
    if not field.size:
        raise LocalError(f"{field.path} is empty")
    at, bit = divmod(mutation.amount % (8 * field.size), 8)
    contents = bytearray(raw[field.body : field.stop])
    contents[at] ^= 0x80 >> bit
    return splice(raw, fields, bytes(contents))


def _trailing(mutation: Mutation, raw: bytes, fields: tuple[Field, ...]) -> bytes:
    field = fields[-1]
    return splice(raw, fields, raw[field.body : field.stop] + mutation.content)


def _truncated(mutation: Mutation, raw: bytes, fields: tuple[Field, ...]) -> bytes:
    field = fields[-1]
    if not 0 < mutation.amount <= field.size:
        raise LocalError(f"{field.path} has {field.size} bytes")
    return splice(raw, fields, raw[field.body : field.stop - mutation.amount])


def _duplicate(mutation: Mutation, raw: bytes, fields: tuple[Field, ...]) -> bytes:
    field = fields[-1]
    return splice(raw, fields, raw[field.start : field.stop] * 2)


def _reordered(mutation: Mutation, raw: bytes, fields: tuple[Field, ...]) -> bytes:
    field = fields[-1]
    return splice(raw, fields, b"".join(raw[child.start : child.stop] for child in reversed(field.children)))


def _added(mutation: Mutation, raw: bytes, fields: tuple[Field, ...]) -> bytes:
    field = fields[-1]
    length = len(mutation.content).to_bytes(2, "big")
    extension = mutation.amount.to_bytes(2, "big") + length + mutation.content
    if not field.prefix:  # no extensions so far, so no length either
        return splice(raw, fields, len(extension).to_bytes(2, "big") + extension)
    return splice(raw, fields, extension + raw[field.body : field.stop])


def _type(mutation: Mutation, raw: bytes, fields: tuple[Field, ...]) -> bytes:
    return bytes([mutation.amount % 256]) + raw[1:]


_APPLY: Final[Mapping[Kind, Callable[[Mutation, bytes, tuple[Field, ...]], bytes]]] = {
    Kind.LENGTH: _length,
    Kind.SHORT: _short,
    Kind.LONG: _long,
    Kind.ODD: _odd,
    Kind.VALUE: _value,
    Kind.CONTENT: _content,
    Kind.FLIPPED: _flipped,
    Kind.TRAILING: _trailing,
    Kind.TRUNCATED: _truncated,
    Kind.DUPLICATE: _duplicate,
    Kind.REORDERED: _reordered,
    Kind.ADDED: _added,
    Kind.TYPE: _type,
}


def _element_size(field: Field) -> int:
    size = getattr(getattr(field.leaf, "element", None), "size", 1)
    return size if isinstance(size, int) else 1


# ------------------------------------------------------------------------------------------------ what is expected

_SPECIAL: Final[Mapping[tuple[str, Kind], Expected]] = {
    ("Finished.verify_data", Kind.FLIPPED): ex.refused(
        "R2246-7.4.9-03", alerts=ex.UNVERIFIED | {Alert.ILLEGAL_PARAMETER}
    ),
    ("CertificateVerify.signature", Kind.FLIPPED): ex.refused("R2246-7.4.8-05", alerts=ex.UNVERIFIED),
    ("ServerKeyExchange.signed_params", Kind.FLIPPED): ex.refused("R2246-7.4.3-05", alerts=ex.UNVERIFIED),
    ("ClientKeyExchange.pre_master_secret", Kind.FLIPPED): ex.refused(
        "R2246-7.4.7.1-04", "R5246-7.4.7.1-01", alerts=ex.NOT_AUTHENTIC | {Alert.DECRYPT_ERROR}
    ),
    ("ClientKeyExchange.ecdh_Yc", Kind.FLIPPED): Expected(Answer.UNFINISHED, ("R4492-5.7-01",)),
    ("ClientKeyExchange.dh_Yc", Kind.CONTENT): ex.refused("R5246-F.1.1.3-01"),
    ("ClientHello.compression_methods", Kind.CONTENT): ex.refused("R2246-7.4.1.2-14", alerts=ex.FORBIDDEN),
    ("ClientHello.cipher_suites", Kind.CONTENT): ex.refused(
        "R2246-7.4.1.2-12", alerts=frozenset({Alert.HANDSHAKE_FAILURE, Alert.INSUFFICIENT_SECURITY})
    ),
    ("ServerHello.server_version", Kind.VALUE): ex.refused("R2246-7.4.1.3-02", alerts=ex.BAD_VERSION),
    ("ServerHello.cipher_suite", Kind.VALUE): ex.refused("R2246-7.4.1.3-09", alerts=ex.FORBIDDEN),
    ("ServerHello.compression_method", Kind.VALUE): ex.refused(
        "R2246-7.4.1.3-10", alerts=ex.FORBIDDEN | {Alert.DECOMPRESSION_FAILURE}
    ),
    ("ServerHello.session_id", Kind.LONG): ex.refused("R2246-7.4.1.3-07", alerts=ex.MALFORMED),
    ("ServerHello.extensions", Kind.ADDED): ex.refused(
        "R4366-2.3-01",
        alerts=ex.MALFORMED | {Alert.UNSUPPORTED_EXTENSION, Alert.UNEXPECTED_MESSAGE},
    ),
    ("ClientHello.extensions", Kind.ADDED): ex.accepted("R4366-2.3-03"),
    ("ClientHello", Kind.TRAILING): ex.refused("R4366-2.1-01", alerts=ex.MALFORMED),
    ("ClientHello.session_id", Kind.LONG): ex.refused("R2246-7.4.1.2-06", "R2246-4.3-03", alerts=ex.MALFORMED),
    ("Certificate.certificate_list", Kind.SHORT): ex.refused("R2246-7.4.2-13", alerts=ex.BAD_CHAIN),
    ("Certificate.certificate_list", Kind.CONTENT): ex.refused("R2246-7.4.2-13", alerts=ex.BAD_CHAIN),
    ("Certificate.certificate_list", Kind.FLIPPED): Expected(Answer.UNFINISHED, ("R2246-7.2.2-09",)),
    ("Certificate.certificate_list.*", Kind.SHORT): ex.refused("R2246-4.3-03", alerts=ex.BAD_CHAIN),
    ("Certificate.certificate_list.*", Kind.FLIPPED): Expected(Answer.UNFINISHED, ("R2246-7.2.2-09",)),
    ("HelloRequest", Kind.TRAILING): ex.refused("R2246-7.4.1.1-08", alerts=ex.MALFORMED | ex.OUT_OF_TURN),
    ("ServerHelloDone", Kind.TRAILING): ex.refused("R2246-7.4.5-02", alerts=ex.MALFORMED),
    ("Finished", Kind.TRAILING): ex.refused("R2246-7.4.9-04", alerts=ex.MALFORMED | {Alert.DECRYPT_ERROR}),
    ("Finished", Kind.TRUNCATED): ex.refused("R2246-7.4.9-04", alerts=ex.MALFORMED | {Alert.DECRYPT_ERROR}),
    ("CertificateRequest.certificate_types", Kind.SHORT): ex.refused("R2246-7.4.4-04", alerts=ex.MALFORMED),
    ("CertificateRequest.certificate_types", Kind.VALUE): Expected(Answer.ANY, ("R2246-7.4.4-05",)),
}
"""What is known of one field and kind beyond the general rule."""

_GENERAL: Final[Mapping[Kind, Expected]] = {
    Kind.LENGTH: ex.refused("R2246-4.3-05", "R2246-7.2.2-17", alerts=ex.FORBIDDEN | ex.OUT_OF_TURN | ex.BAD_CHAIN),
    Kind.SHORT: ex.refused("R2246-4.3-03", alerts=ex.MALFORMED),
    Kind.LONG: ex.refused("R2246-4.3-03", alerts=ex.MALFORMED),
    Kind.ODD: ex.refused("R2246-4.3-04", alerts=ex.MALFORMED | ex.BAD_CHAIN),
    Kind.VALUE: ex.refused("R2246-4.5-01", alerts=ex.FORBIDDEN),
    Kind.CONTENT: ex.ANYTHING,
    Kind.FLIPPED: ex.ANYTHING,
    Kind.TRAILING: ex.refused("R2246-7.4.1.2-21", alerts=ex.MALFORMED | ex.BAD_CHAIN),
    Kind.TRUNCATED: ex.refused("R2246-7.4.1.2-21", alerts=ex.MALFORMED | ex.BAD_CHAIN),
    Kind.DUPLICATE: ex.refused("R4366-2.3-02", alerts=ex.MALFORMED),
    Kind.REORDERED: ex.accepted("R4366-2.3-02"),
    Kind.ADDED: ex.ANYTHING,
    Kind.TYPE: ex.refused("R2246-7.4-03", alerts=ex.MALFORMED | ex.OUT_OF_TURN),
}

_BLIND: Final = frozenset({Kind.LENGTH, Kind.TRUNCATED, Kind.TYPE})
"""Kinds that do not look at what comes out."""

_VERSIONS: Final = {0x0002: False, 0x0200: False, 0x0300: False, 0x0302: True, 0x0303: True, 0x0304: True}
"""Client versions, and whether a server of TLS 1.0 goes on with them (R2246-7.4.1.3-01, R2246-E-03)."""


def _expected(mutation: Mutation) -> Expected:
    kind = kind_of(mutation.field)
    if kind == "ClientHello.client_version" and mutation.kind is Kind.VALUE:
        good = _VERSIONS.get(mutation.amount)
        if good is None:
            return ex.ANYTHING
        return ex.accepted("R2246-7.4.1.3-01") if good else ex.refused("R2246-7.2.2-20", alerts=ex.BAD_VERSION)
    if mutation.kind is Kind.LENGTH and "." not in kind:
        # the header's length: the peer waits for the rest, or takes what is left for the next message (R2246-7.4-01)
        return Expected(Answer.UNFINISHED, ("R2246-7.4-01",))
    if mutation.kind is Kind.TYPE and mutation.amount in set(HandshakeType):
        return Expected(Answer.UNFINISHED, ("R2246-7.4-02",))
    if ".extension_data" in kind and mutation.kind in (Kind.FLIPPED, Kind.CONTENT):
        return _extension_body(kind, mutation)
    return _SPECIAL.get((kind, mutation.kind)) or _GENERAL[mutation.kind]


def _extension_body(kind: str, mutation: Mutation) -> Expected:
    if mutation.kind is Kind.CONTENT and mutation.content[:1] == b"\x0c":
        # renegotiation_info that names a handshake there never was
        requirement = "R5746-3.6-01" if kind.startswith("ClientHello") else "R5746-3.4-01"
        return ex.refused(requirement, alerts=frozenset({Alert.HANDSHAKE_FAILURE}))
    return ex.ANYTHING


# ------------------------------------------------------------------------------------------------ all of them

_UNKNOWN_TYPES: Final = (5, 9, 99, 255)


def mutations(raw: bytes, *, sender: Role, suite: int | None = None) -> tuple[Mutation, ...]:
    """Return every mutation that is worth a try on this message, plainest first; all of them apply to it.

    Truncation is left to :func:`tlsexit.fuzzing.broken`, which draws its point.
    """
    root = lay_out(raw, sender=sender, suite=suite)
    found = []
    for field in root.walk():
        for mutation in _of_field(field):
            try:
                mutation.apply(raw, sender=sender, suite=suite)
            except LocalError:
                continue
            found.append(mutation)
    return tuple(dict.fromkeys(found))


def _of_field(field: Field) -> Iterator[Mutation]:
    path, kind = field.path, field.kind
    if "." not in path:
        yield Mutation(Kind.TRAILING, path, content=b"\0")
        yield Mutation(Kind.TRUNCATED, path, 1)
        yield from (Mutation(Kind.TYPE, path, number) for number in (*_UNKNOWN_TYPES, *map(int, HandshakeType)))
        yield from (Mutation(Kind.LENGTH, path, amount) for amount in (1, -1, 2**16))
        return
    if field.prefix:
        yield from (Mutation(Kind.LENGTH, path, amount) for amount in (1, -1, 2, 127, 255))
    if isinstance(field.leaf, Vector | Opaque):
        yield Mutation(Kind.SHORT, path)
        yield Mutation(Kind.LONG, path)
    if isinstance(field.leaf, Vector) and _element_size(field) > 1:
        yield Mutation(Kind.ODD, path)
    if isinstance(field.leaf, Enumerated):
        yield from (Mutation(Kind.VALUE, path, value) for value in (0, 255, 5) if value not in field.leaf.values)
    if kind.endswith(".extension_data") and field.children:
        yield Mutation(Kind.TRAILING, path, content=b"\0")
    if isinstance(field.leaf, Message) and field.leaf.cls is Extension:
        yield Mutation(Kind.DUPLICATE, path)
    if kind in _VALUES:
        yield from (Mutation(Kind.VALUE, path, value) for value in _VALUES[kind])
    if kind in _CONTENTS:
        yield from (Mutation(Kind.CONTENT, path, content=value) for value in _CONTENTS[kind])
    if kind in _FLIPS:
        yield from (Mutation(Kind.FLIPPED, path, bit) for bit in (0, 7, 8, 95))
    if path == "Certificate.certificate_list.0":
        # the tag and the length of the DER: no certificate any more
        yield from (Mutation(Kind.FLIPPED, path, bit) for bit in (0, 7, 8))
    if kind in ("ClientHello.extensions", "ServerHello.extensions"):
        if len(field.children) > 1:
            yield Mutation(Kind.REORDERED, path)
        yield Mutation(Kind.ADDED, path, 0x0A0A)
        yield Mutation(Kind.ADDED, path, 0xFAFA, bytes(40))
    if field.leaf is RENEGOTIATION_INFO:
        yield Mutation(Kind.CONTENT, path, content=b"\x0c" + bytes(12))


_VALUES: Final[Mapping[str, tuple[int, ...]]] = {
    "ClientHello.client_version": tuple(_VERSIONS),
    "ServerHello.server_version": (0x0300, 0x0302, 0x0303, 0x0200, 0x0400),
    "ServerHello.cipher_suite": (0x0000, 0x00FF, 0x5600, 0x001C, 0xFFFF, 0x1301),
    "ServerHello.compression_method": (1, 64, 255),
}

_CONTENTS: Final[Mapping[str, tuple[bytes, ...]]] = {
    "ClientHello.compression_methods": (b"\x01", b"\x01\x40"),
    "ClientHello.cipher_suites": (b"\x0a\x0a", b"\x00\x00", b"\x13\x01\x13\x02"),
    "ClientKeyExchange.dh_Yc": (b"\x00", b"\x01"),
}

_FLIPS: Final = frozenset(
    {
        "Finished.verify_data",
        "CertificateVerify.signature",
        "ServerKeyExchange.signed_params",
        "ClientKeyExchange.pre_master_secret",
        "ClientKeyExchange.ecdh_Yc",
        "Certificate.certificate_list",
    }
)
