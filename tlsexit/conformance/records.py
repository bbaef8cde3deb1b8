"""Records as probes want them: spoilt, repeated, lost, sent in pieces; and a look at those that have come."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import pairwise

from tlsexit.conformance.actions import Action, Do, Rebuilt, Send, rebuilt
from tlsexit.conformance.expect import Alternative, alert, closed
from tlsexit.conformance.model import Reading
from tlsexit.conformance.talk import Talk
from tlsexit.constants import ContentType, Role
from tlsexit.crypto.suites import SUITES
from tlsexit.puppet import Puppet, Sealing, SeenRecord, Step, Transport
from tlsexit.puppet.steps import wire

Bytes = Callable[[bytes], bytes]

# ------------------------------------------------------------------------------------------------ what may answer


def authentication_refused() -> tuple[Alternative, ...]:
    """What answers a record that is not authentic or badly padded.

    decryption_failed is RFC 2246's own answer to padding; it tells padding from MAC, which is all that a padding oracle
    needs, so later advice knows bad_record_mac alone (RFC 4346 §7.2.2).
    """
    oracle = "decryption_failed tells bad padding from a bad MAC: a padding oracle (RFC 4346 §7.2.2)"
    return (alert(20), alert(21).only(Reading.STRICT), alert(21).only(Reading.LATER).warn(oracle), closed())


# ------------------------------------------------------------------------------------------------ sending


def spoken(talk: Talk) -> bytes:
    """Return what this end's application would say: a request, or the answer to one."""
    return talk.terms.request if talk.puppet.role is Role.CLIENT else talk.terms.response


def data(how: Sealing) -> Send:
    """The application's words in one record, sealed in another way."""
    return Send(Step("application_data", _words, ContentType.APPLICATION_DATA, waits=True, sealing=how))


def _words(puppet: Puppet) -> bytes:
    return b"GET / HTTP/1.0\r\n\r\n" if puppet.role is Role.CLIENT else b"HTTP/1.0 200 ok\r\n\r\n"


def tampered(change: Bytes, content_type: int = ContentType.APPLICATION_DATA) -> Send:
    """A good record that is changed on the way, its header included."""
    return Send(Step("tampered", lambda puppet: change(puppet.seal(content_type, _words(puppet))), None))


def resized(change: Bytes) -> Bytes:
    """Change the body of a record; the header announces what is there then."""

    def changed(raw: bytes) -> bytes:
        body = change(raw[5:])
        return raw[:3] + len(body).to_bytes(2, "big") + body

    return changed


def bare(content_type: int, body: bytes, version: int = 0x0301) -> Send:
    """A record whose body is on the line as it is, whatever the keys."""
    header = bytes([content_type]) + version.to_bytes(2, "big") + len(body).to_bytes(2, "big")
    return Send(wire(header + body, "bare record", waits=True))


def drip(sealing: Callable[[Puppet, int], Sealing] | None = None, *, empty: int = 0) -> Do:
    """Say the application's words a byte in each record, with ``empty`` empty records before each.

    ``sealing`` gives the sealing of the record with that number.
    """

    def act(talk: Talk) -> None:
        puppet = talk.puppet
        talk.note_mark()
        pieces: list[bytes] = []
        for value in spoken(talk):
            pieces += [b""] * empty + [bytes([value])]
        for number, piece in enumerate(pieces):
            if puppet.over:
                return
            how = Sealing() if sealing is None else sealing(puppet, number)
            puppet.send_bytes(puppet.writer.seal(ContentType.APPLICATION_DATA, piece, how))

    return Do(act)


class Sliced:
    """A transport that sends one byte at a time, each in a segment of its own as far as the system lets it."""

    def __init__(self, inner: Transport) -> None:
        self._inner = inner
        self.reset = inner.reset

    def send(self, data: bytes) -> None:
        """Send byte by byte."""
        for value in data:
            self._inner.send(bytes([value]))

    def receive(self, timeout: float) -> bytes | None:
        """Return what has come."""
        received = self._inner.receive(timeout)
        self.reset = self._inner.reset
        return received

    def close(self) -> None:
        """Close it."""
        self._inner.close()


def slice_everything() -> Do:
    """From now on each byte travels alone."""

    def act(talk: Talk) -> None:
        talk.deviated = True
        talk.puppet.transport = Sliced(talk.puppet.transport)

    return Do(act)


def in_pieces(name: str, size: int) -> Rebuilt:
    """An honest step in records of ``size`` bytes."""
    return rebuilt(name, cut=lambda raw: [raw[start : start + size] for start in range(0, len(raw), size)])


def cut_at(name: str, *places: int) -> Rebuilt:
    """An honest step in records that end at these places."""

    def cut(raw: bytes) -> Iterable[bytes]:
        ends = [0, *places, len(raw)]
        return [raw[start:stop] for start, stop in pairwise(ends)]

    return rebuilt(name, cut=cut)


class Coalesced(Action):
    """Several honest steps, their messages in one record."""

    def __init__(self, *names: str) -> None:
        self._names = names

    def run(self, talk: Talk) -> None:
        puppet, together = talk.puppet, b""
        talk.note_mark()
        talk.deviated = True
        puppet.listen_until(lambda: not puppet.peer_owes)
        for step in talk.trace:
            if step.name not in self._names or not step.when(puppet):
                continue
            raw = step.build(puppet)
            puppet.transcript = puppet.transcript.add(raw)
            together += raw
            if step.after is not None:
                step.after(puppet)
        puppet.send_record(ContentType.HANDSHAKE, together)


# ------------------------------------------------------------------------------------------------ looking


def protected(talk: Talk) -> list[SeenRecord]:
    """Return the records that have come under keys."""
    return [item for item in talk.puppet.records if item.protected]


def authentic(talk: Talk) -> str | None:
    """Every record could be opened: sequence numbers, chaining, padding and MAC are what the puppet computes."""
    puppet = talk.puppet
    if puppet.broken is not None:
        return f"what came could not be read: {puppet.reaction.reason}"
    return None if len(protected(talk)) >= 2 else "fewer than two protected records came"


def layout(talk: Talk) -> str | None:
    """Each protected record is content, MAC and, with a block cipher, 1 to 256 bytes of padding in whole blocks."""
    suite = SUITES[talk.puppet.suite]
    for item in protected(talk):
        rest = item.length - len(item.content) - suite.mac.size
        if not suite.cipher.is_block and rest:
            return f"a record of {item.length} bytes holds {len(item.content)} bytes: {rest} too many"
        if suite.cipher.is_block and (item.length % suite.cipher.block_size or not 1 <= rest <= 256):
            return f"a record of {item.length} bytes holds {len(item.content)} bytes: that is no padding"
    return authentic(talk)


def no_explicit_iv(talk: Talk) -> str | None:
    """Finished, 16 bytes of plaintext, takes 40 bytes with 8-byte blocks and 48 with 16, or more blocks of padding."""
    suite = SUITES[talk.puppet.suite]
    first = next(iter(protected(talk)), None)
    if first is None:
        return "no protected record came"
    least = -(-(16 + suite.mac.size + 1) // suite.cipher.block_size) * suite.cipher.block_size
    if first.length < least or first.length - least >= 256 or len(first.content) != 16:
        return f"Finished takes {first.length} bytes, not {least}"
    return None


def in_the_clear_until_keys_change(talk: Talk) -> str | None:
    """What comes before ChangeCipherSpec, and that itself, is plaintext; what comes behind it is not."""
    changed = False
    for item in talk.puppet.records:
        if item.protected != changed:
            return (
                "a record is protected too early" if item.protected else "a record in the clear comes after the change"
            )
        if not item.protected and item.length != len(item.content):
            return "a plaintext record has something behind its content"
        changed = changed or item.content_type == ContentType.CHANGE_CIPHER_SPEC
    return None if changed else "no ChangeCipherSpec came"


def versions(talk: Talk) -> str | None:
    """Every record from ServerHello on says {3,1}."""
    puppet = talk.puppet
    if puppet.server_hello is None or puppet.server_hello.server_version != 0x0301:
        return None
    records = puppet.records[1:] if puppet.role is Role.SERVER else puppet.records
    odd = [item for item in records if item.version != 0x0301]
    if odd and all(item.content_type == ContentType.ALERT for item in odd):
        talk.warn(f"an alert has version {odd[0].version:04x}")
        return None
    return f"a record of type {odd[0].content_type} has version {odd[0].version:04x}" if odd else None


def small_fragments(talk: Talk) -> str | None:
    """No fragment is longer than 2^14 bytes (§6.2.1)."""
    longest = max((len(item.content) for item in talk.puppet.records), default=0)
    return None if longest <= 2**14 else f"a fragment of {longest} bytes"


def small_records(talk: Talk) -> str | None:
    """No record is longer than 2^14 + 2048 bytes (§6.2.3)."""
    longest = max((item.length for item in talk.puppet.records), default=0)
    return None if longest <= 2**14 + 2048 else f"a record of {longest} bytes"


def never_empty(talk: Talk) -> str | None:
    """No handshake record, alert or ChangeCipherSpec is empty (§6.2)."""
    empty = [item for item in talk.puppet.records if not item.content and item.content_type != 23]
    return f"an empty record of type {empty[0].content_type}" if empty else None
