"""What every grammar is made of: a leaf that reads and writes, what it raises, and the three ways to use it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from construct import Construct, ConstructError

from tlsexit.alerts import DecodeError, LocalError, PeerError

T = TypeVar("T")


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

    @property
    def code(self) -> str:
        """How ``struct`` reads a value of fixed size; empty for one of another kind."""
        return ""

    def packer(self) -> Callable[[T], bytes]:
        """Return what encodes a value that nothing is wrong with; of any other it need not say what is."""
        return self.encode

    def packer_of_many(self) -> Callable[[Sequence[T]], bytes]:
        """Return the same for values one behind the other."""
        pack, join = self.packer(), b"".join
        return lambda values: join([pack(value) for value in values])

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
