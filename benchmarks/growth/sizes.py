"""Growth inside one process: bytes transferred, certificates in a chain, bytes in a handshake message."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from benchmarks.contenders.base import Handshake
from benchmarks.contenders.ours import Pair, connected, forget_all
from benchmarks.curve import Curve, cpu
from benchmarks.material import HOST
from tlsexit.drivers.drive import run
from tlsexit.events import ApplicationData
from tlsexit.handshake.certificate import Certificate
from tlsexit.handshake.codec import HandshakeReader, encode
from tlsexit.policy import BuiltinPki, system_config
from tlsexit.policy.throwaway import ThrowawayAuthority, throwaway_authority
from tlsexit.profile import Profile, Verify
from tlsexit.tasks import Task

RSA_AES = (0x002F,)
WRITE = 2**20  # what a driver protects at once
CHUNK = 2**16  # what a socket gives at once
LONGEST_MESSAGE = 2**16
"""What ``Config.max_handshake_message`` lets through."""


def curves(*, quick: bool) -> Iterator[Curve]:
    """Measure and yield each curve."""
    most = 10**6 if quick else 10**8
    yield transferred("one way, in chunks of 64 KiB", CHUNK, [10**n for n in range(len(str(most)))])
    yield transferred("one way, in chunks of 1 byte", 1, [10**n for n in range(5 if quick else 7)])
    lengths = (1, 2, 4, 7, 10)
    yield chains("full handshake, flights whole", None, lengths)
    yield chains("full handshake, byte by byte", 1, lengths)
    sizes = [2**n for n in range(10, 17)]
    yield messages("handshake message, in records of 16 KiB", 2**14, sizes)
    yield messages("handshake message, in records of 1 byte", 1, sizes)


def transferred(title: str, chunk: int, sizes: Sequence[int]) -> Curve:
    """Send so many bytes from one application to the other, delivered in chunks."""
    points = []
    for size in sizes:
        pair = connected(Handshake())
        repeat = 5 if size < 10**6 else 2
        points.append((size, cpu(partial(_transfer, pair, size, chunk), repeat) / size * 1e9))
    return Curve(title, "byte", "ns of CPU", tuple(points))


def _transfer(pair: Pair, size: int, chunk: int) -> None:
    received = 0
    data = bytes(min(size, WRITE))
    for start in range(0, size, WRITE):
        pair.client.send(data[: size - start])
        wire = memoryview(pair.client.data_to_send())
        for offset in range(0, len(wire), chunk):
            pair.server.receive_data(bytes(wire[offset : offset + chunk]))
            while (event := pair.server.next_event()) is not None:
                received += len(event.data) if isinstance(event, ApplicationData) else 0
    if received != size:
        raise RuntimeError(f"{received} of {size} bytes arrived")


def chains(title: str, chunk: int | None, lengths: Sequence[int]) -> Curve:
    """Complete handshakes in which the server sends so many certificates, none of them seen before."""
    root = throwaway_authority()
    authority: ThrowawayAuthority = root
    points = []
    for length in range(1, max(lengths) + 1):
        if length in lengths:
            server = BuiltinPki([authority.issue(HOST, hosts=[HOST]).identity("own")])
            client = BuiltinPki((), {"ca": [root.certificate]})
            once = cpu(partial(_handshake, client, server, chunk), 9)
            points.append((length, once / length * 1e6))
        authority = authority.authority(f"intermediate {length}")
    return Curve(title, "certificate", "µs of CPU", tuple(points))


def _handshake(client_pki: BuiltinPki, server_pki: BuiltinPki, chunk: int | None) -> None:
    forget_all()
    ends = []
    for profile, pki in (
        (Profile.client(cipher_suites=RSA_AES, server_name=HOST), client_pki),
        (Profile.server(cipher_suites=RSA_AES, verify=Verify.NONE), server_pki),
    ):
        task = Task(system_config())
        run(task, None, pki)
        end = task.connection(profile)
        end.start()
        run(end, None, pki)
        ends.append((end, pki))
    (client, _), (server, _) = ends
    moved = True
    while moved:
        moved = False
        for source, (target, pki) in ((client, ends[1]), (server, ends[0])):
            data = source.data_to_send()
            size = chunk or len(data)
            for offset in range(0, len(data), size or 1):
                target.receive_data(data[offset : offset + size])
                run(target, None, pki)
                moved = True
    if not (client.established and server.established):
        raise client.error or server.error or RuntimeError("the handshake stopped half-way")


def messages(title: str, record: int, sizes: Sequence[int]) -> Curve:
    """Put together a Certificate message of so many bytes out of records."""
    points = []
    for size in sizes:
        length = size - 10 if size < LONGEST_MESSAGE else size - 6
        raw = encode(Certificate((bytes(length),)))
        pieces = [raw[start : start + record] for start in range(0, len(raw), record)]
        points.append((size, cpu(partial(_read, pieces), 15) / size * 1e9))
    return Curve(title, "byte", "ns of CPU", tuple(points))


def _read(pieces: Sequence[bytes]) -> None:
    reader = HandshakeReader(LONGEST_MESSAGE)
    found = None
    for piece in pieces:
        reader.feed(piece)
        found = reader.next_message()
    if found is None:
        raise RuntimeError("the message is not complete")
