"""Entry points for coverage-guided fuzzing: ``python -m tlsexit.fuzzing.entry NAME [atheris options]``.

With atheris installed the bytes are its own; without it they come from a plain random generator, ``--runs N`` of them.
Each entry takes any bytes and raises only for a bug.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Sequence
from functools import cache, partial
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Final

from tlsexit.alerts import PeerError, TlsError
from tlsexit.conformance.engine import EngineTarget
from tlsexit.fuzzing.structures import STRUCTURES
from tlsexit.handshake.codec import HandshakeReader
from tlsexit.puppet import Transport
from tlsexit.records.layer import RecordLayer
from tlsexit.wire import Leaf, build, parse

Entry = Callable[[bytes], object]
"""Takes any bytes, and raises only for a bug."""


def record(data: bytes) -> bool:
    """Read records, unprotected; returns whether there was one."""
    layer = RecordLayer()
    layer.receive_data(data)
    try:
        first = layer.next_record()
        while layer.next_record() is not None:
            pass
    except PeerError:
        return False
    return first is not None


def handshake(data: bytes) -> bool:
    """Put handshake messages together and parse them; returns whether there was one."""
    reader = HandshakeReader(2**16)
    reader.feed(data)
    try:
        first = reader.next_message()
        while reader.next_message() is not None:
            pass
    except PeerError:
        return False
    return first is not None


def structure(grammar: Leaf[Any], data: bytes) -> bool:
    """Parse one structure, and return whether it is legal; what is has to spell back to the same bytes."""
    try:
        value = parse(grammar, data)
    except PeerError:
        return False
    assert build(grammar, value) == data, "a value with two spellings"
    return True


@cache
def _target(name: str) -> EngineTarget:
    return EngineTarget(name)


def connection(name: str, data: bytes) -> None:
    """Feed a whole connection; it has to end with a documented error, and never to raise."""
    transport: Any = _target(name).lane().open()
    _feed(transport, data)
    transport.engine.receive_eof()
    error = transport.engine.connection.error
    assert transport.engine.connection.closed
    assert error is None or isinstance(error, TlsError), error
    assert getattr(transport.engine, "crashed", None) is None, transport.engine.crashed


def _feed(transport: Transport, data: bytes) -> None:
    transport.send(data)
    while transport.receive(0.0):
        pass


ENTRIES: Final[dict[str, Entry]] = {
    "record": record,
    "handshake": handshake,
    **{f"message:{item.name}": partial(structure, item.grammar) for item in STRUCTURES},
    "server": partial(connection, "server"),
    "client": partial(connection, "client"),
}
"""By name."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one entry point; returns the exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or words[0] not in ENTRIES:
        print(f"usage: python -m tlsexit.fuzzing.entry NAME [OPTIONS]; NAME is one of {', '.join(ENTRIES)}")
        return 2
    entry = ENTRIES[words[0]]
    if find_spec("atheris") is not None and "--runs" not in words:
        atheris = import_module("atheris")  # has no types

        def once(data: bytes) -> None:  # what is returned has a meaning there
            entry(data)

        atheris.Setup([sys.argv[0], *words[1:]], once)
        atheris.Fuzz()
        return 0
    runs = int(words[words.index("--runs") + 1]) if "--runs" in words else 100_000
    source = random.Random(0)
    for _ in range(runs):
        entry(source.randbytes(source.randrange(200)))
    print(f"{words[0]}: {runs} inputs")
    return 0


if __name__ == "__main__":
    sys.exit(main())
