"""Where each field of a message lies: the tree behind every structure-aware mutation.

The tree follows the grammar of the message, then the grammars of the extension bodies inside it, and for the two key
exchange messages the grammar that the cipher suite calls for. Fields have paths as the RFCs name them:
``ClientHello.extensions.0.extension_data.server_name_list.0.name``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from tlsexit.alerts import LocalError
from tlsexit.constants import HANDSHAKE_HEADER_LENGTH, Role
from tlsexit.crypto.suites import SUITES, KeyExchange, Premaster
from tlsexit.handshake import keyexchange as kx
from tlsexit.handshake.agreement import SERVER_GRAMMARS
from tlsexit.handshake.certificate import SIGNATURE
from tlsexit.handshake.codec import GRAMMARS
from tlsexit.handshake.enums import HandshakeType
from tlsexit.handshake.extensions import BODIES, Extension
from tlsexit.wire import Enumerated, Leaf, Message, Opaque, OptionalTail, RestOf, Uint, Variant, Vector, WireError

CLIENT_KEYS: Final[Mapping[Premaster, Leaf[Any]]] = {
    Premaster.RSA: kx.ENCRYPTED_PRE_MASTER_SECRET,
    Premaster.DH: kx.CLIENT_DIFFIE_HELLMAN_PUBLIC,
    Premaster.ECDH: kx.CLIENT_EC_DIFFIE_HELLMAN_PUBLIC,
    Premaster.PSK: kx.CLIENT_PSK_IDENTITY,
    Premaster.RSA_PSK: kx.CLIENT_RSA_PSK,
    Premaster.DHE_PSK: kx.CLIENT_DH_PSK,
    Premaster.ECDHE_PSK: kx.CLIENT_ECDH_PSK,
}
"""The body of ClientKeyExchange, by how the suite agrees on a secret (§7.4.7, RFC 4492, 4279, 5489)."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field: bytes ``start`` to ``stop`` of the message, the first ``prefix`` of them the length of the rest."""

    path: str
    leaf: Leaf[Any]
    start: int
    stop: int
    prefix: int = 0
    children: tuple[Field, ...] = ()

    @property
    def body(self) -> int:
        """Where the contents start, behind the length."""
        return self.start + self.prefix

    @property
    def size(self) -> int:
        """Bytes of the contents."""
        return self.stop - self.body

    @property
    def kind(self) -> str:
        """The path with a star for the number of a list element: what the field is, wherever it occurs."""
        return kind_of(self.path)

    def walk(self) -> Iterator[Field]:
        """Yield this field and all inside it, outermost first."""
        yield self
        for child in self.children:
            yield from child.walk()

    def find(self, path: str) -> tuple[Field, ...]:
        """Return the fields from this one down to ``path``; :class:`LookupError` if there is no such field."""
        if self.path == path:
            return (self,)
        for child in self.children:
            if path == child.path or path.startswith(child.path + "."):
                return (self, *child.find(path))
        raise LookupError(path)


def kind_of(path: str) -> str:
    """Return a path with a star for the number of each list element."""
    return ".".join("*" if part.isdigit() else part for part in path.split("."))


def lay_out(raw: bytes, *, sender: Role, suite: int | None = None, strict: bool = False) -> Field:
    """Return the tree of a whole handshake message, header included; the root's prefix is the length in the header.

    ``sender`` tells which of two bodies an extension has. Without ``suite`` the bodies of ServerKeyExchange and
    ClientKeyExchange stay one field. An extension body that does not match its grammar is just bytes, or an error with
    ``strict``. Raises :class:`~tlsexit.alerts.LocalError` for bytes that are not a message.
    """
    try:
        grammar = GRAMMARS[HandshakeType(raw[0])]
    except (ValueError, IndexError):
        raise LocalError("no message of a known type") from None
    name = grammar[0].__name__
    exchange = None if suite is None else SUITES[suite].key_exchange
    try:
        body = _Walk(raw, BODIES[sender], strict).message(name, raw[0], grammar[1], exchange)
    except WireError as error:
        raise LocalError(f"{name}: {error}") from error
    if body.stop != len(raw) or int.from_bytes(raw[1:4], "big") != len(raw) - HANDSHAKE_HEADER_LENGTH:
        raise LocalError(f"{name}: bytes left over")
    return Field(name, body.leaf, 1, len(raw), HANDSHAKE_HEADER_LENGTH - 1, body.children)


class _Walk:
    """Decodes field by field, noting where each begins and ends."""

    def __init__(self, raw: bytes, bodies: Mapping[int, Leaf[Any]], strict: bool) -> None:
        self._raw = raw
        self._bodies = bodies
        self._strict = strict

    def message(self, name: str, kind: int, grammar: Leaf[Any], exchange: KeyExchange | None) -> Field:
        start, end = HANDSHAKE_HEADER_LENGTH, len(self._raw)
        if exchange is None or kind not in (HandshakeType.SERVER_KEY_EXCHANGE, HandshakeType.CLIENT_KEY_EXCHANGE):
            return self.field(name, grammar, start, end)
        if kind == HandshakeType.CLIENT_KEY_EXCHANGE:
            return self.field(name, CLIENT_KEYS[exchange.premaster], start, end)
        params = self.field(f"{name}.params", SERVER_GRAMMARS[exchange.premaster], start, end)
        children = [params]
        if exchange.signed:
            children.append(self.field(f"{name}.signed_params", SIGNATURE, params.stop, end))
        return Field(name, grammar, start, children[-1].stop, 0, tuple(children))

    def field(self, path: str, leaf: Leaf[Any], start: int, end: int) -> Field:
        match leaf:
            case OptionalTail():
                if start == end:
                    return Field(path, leaf, start, end)
                return self.field(path, leaf.field, start, end)
            case Message():
                children: list[Field] = []
                at = start
                for name, part in leaf.fields.items():
                    children.append(self.field(f"{path}.{name}", part, at, end))
                    at = children[-1].stop
                if leaf.cls is Extension:
                    children[1] = self._extension_data(children)
                return Field(path, leaf, start, at, 0, tuple(children))
            case Variant():
                tag, at = leaf.tag.decode(self._raw, start, end)
                names = tuple(leaf.cls.__dataclass_fields__)
                case = leaf.cases.get(tag, leaf.default)
                if case is None:
                    raise WireError(f"{tag} is not a value of this type", names[0])
                body = self.field(f"{path}.{names[1]}", case, at, end)
                return Field(path, leaf, start, body.stop, 0, (Field(f"{path}.{names[0]}", leaf.tag, start, at), body))
            case Vector():
                at, stop = leaf.span(self._raw, start, end)
                elements: list[Field] = []
                while at < stop:
                    elements.append(self.field(f"{path}.{len(elements)}", leaf.element, at, stop))
                    at = elements[-1].stop
                return Field(path, leaf, start, stop, leaf.prefix, tuple(elements))
            case RestOf():
                rest: list[Field] = []
                at = start
                while at < end:
                    rest.append(self.field(f"{path}.{len(rest)}", leaf.element, at, end))
                    at = rest[-1].stop
                return Field(path, leaf, start, end, 0, tuple(rest))
            case Opaque():
                _, stop = leaf.decode(self._raw, start, end)
                return Field(path, leaf, start, stop, leaf.prefix)
        _, stop = leaf.decode(self._raw, start, end)
        return Field(path, leaf, start, stop)

    def _extension_data(self, fields: list[Field]) -> Field:
        """Look into the body of an extension that is known; one that does not match its grammar stays as it is."""
        kind, data = fields
        grammar = self._bodies.get(int.from_bytes(self._raw[kind.start : kind.stop], "big"))
        if grammar is None:
            return data
        try:
            inner = self.field(f"{data.path}.body", grammar, data.body, data.stop)
            if inner.stop != data.stop:
                raise WireError(f"{data.stop - inner.stop} bytes left over", "body")
        except WireError:
            if self._strict:
                raise
            return data
        return replace(data, children=(inner,)) if data.size else data


def is_number(field: Field) -> bool:
    """Whether the field is a number rather than bytes or a structure."""
    return isinstance(field.leaf, Uint | Enumerated)


def splice(raw: bytes, fields: tuple[Field, ...], contents: bytes) -> bytes:
    """Return the message with other contents in the last of ``fields``, and every length around them put right.

    ``fields`` is what :meth:`Field.find` returns. A length that no longer fits its prefix is cut to its low bytes.
    """
    target = fields[-1]
    changed = raw[: target.body] + contents + raw[target.stop :]
    difference = len(contents) - target.size
    for field in fields:
        if field.prefix:
            length = (field.size + difference) % 256**field.prefix
            changed = changed[: field.start] + length.to_bytes(field.prefix, "big") + changed[field.body :]
    return changed
