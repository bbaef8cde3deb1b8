"""The tricks of a dishonest end: how each word that is not honest is said, and what it ought to lead to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from tlsexit.alerts import AlertDescription, AlertLevel
from tlsexit.constants import MAX_PLAINTEXT, ContentType, Role
from tlsexit.crypto.suites import SUITES, Premaster
from tlsexit.fuzzing import expected as ex
from tlsexit.fuzzing.expected import ANYTHING, Answer, Expected
from tlsexit.fuzzing.script import Move
from tlsexit.handshake import keyexchange as kx
from tlsexit.handshake.codec import encode
from tlsexit.handshake.enums import ExtensionType, HandshakeType
from tlsexit.handshake.extensions import Extension
from tlsexit.puppet import Puppet, Step
from tlsexit.puppet import steps as honest
from tlsexit.wire import build, parse_prefix

Steps = Callable[[Puppet, Move], tuple[Step, ...]]
"""How a word is said: the steps, made from the books at the time."""

# ------------------------------------------------------------------------------------------------ records


def data(puppet: Puppet, move: Move) -> tuple[Step, ...]:
    return (honest.application_data(move.data),)


def after_handshake(puppet: Puppet, move: Move) -> Expected | None:
    """Data is right once both ends have shown Finished, this one having verified the other's (§7.4.9)."""
    if puppet.complete:
        return None
    if puppet.previous:
        return ANYTHING  # while the next handshake is under way (R4346-6.2.1-01)
    return ex.refused("R2246-7.4.9-09", alerts=ex.OUT_OF_TURN)


def record(puppet: Puppet, move: Move) -> tuple[Step, ...]:
    return (honest.record(move.amount % 256, move.data),)


def unknown(puppet: Puppet, move: Move) -> Expected:
    # §6 has it ignored, RFC 5246 refused; known types mean what they mean (R2246-6-01)
    return ANYTHING


def empty(count: int, content_type: int) -> Steps:
    """Records without any content: a puppet that is asked to send nothing sends none."""

    def built(puppet: Puppet) -> bytes:
        return puppet.writer.seal(content_type, b"")

    return lambda puppet, move: (Step("empty_record", built, None, waits=False),) * count


def empty_data(puppet: Puppet, move: Move) -> Expected | None:
    expected = after_handshake(puppet, move)
    return ex.accepted("R5246-6.2.1-01") if expected is None else expected


def retyped(puppet: Puppet, move: Move) -> tuple[Step, ...]:
    """A record of data whose header says alert."""

    def built(puppet: Puppet) -> bytes:
        record = puppet.writer.seal(ContentType.APPLICATION_DATA, b"\x01\x5a")
        return bytes([ContentType.ALERT]) + record[1:]

    return (Step("retyped_record", built, None, waits=False),)


def replayed(puppet: Puppet, move: Move) -> tuple[Step, ...]:
    """A record of data, twice the same bytes."""
    sent: list[bytes] = []

    def built(puppet: Puppet) -> bytes:
        sent.append(puppet.writer.seal(ContentType.APPLICATION_DATA, b"again"))
        return sent[0]

    first = Step("replayed_record", built, None)
    return (first, Step("replayed_record", lambda puppet: sent[0], None, waits=False))


def unprotected(puppet: Puppet, move: Move) -> tuple[Step, ...]:
    data = b"in the clear"
    return (honest.wire(bytes([ContentType.APPLICATION_DATA, 3, 1, 0, len(data)]) + data, "unprotected_record"),)


def oversized(puppet: Puppet, move: Move) -> tuple[Step, ...]:
    return (honest.record(ContentType.APPLICATION_DATA, bytes(MAX_PLAINTEXT + 1), "oversized_record"),)


def oversized_ciphertext(puppet: Puppet, move: Move) -> tuple[Step, ...]:
    size = MAX_PLAINTEXT + 2049
    header = bytes([ContentType.APPLICATION_DATA, 3, 1]) + size.to_bytes(2, "big")
    return (honest.wire(header + bytes(size), "oversized_ciphertext"),)


def protected(puppet: Puppet) -> bool:
    return puppet.writer.protected and puppet.complete


def endless(puppet: Puppet, move: Move) -> tuple[Step, ...]:
    """A message that announces 16 MiB, and the first part of it: as much as no implementation should collect."""
    header = bytes([HandshakeType.CERTIFICATE]) + (2**24 - 1).to_bytes(3, "big")
    pieces = [header + bytes(MAX_PLAINTEXT - 4), *([bytes(MAX_PLAINTEXT)] * 19)]
    return tuple(honest.record(ContentType.HANDSHAKE, piece, "endless_message") for piece in pieces)


def flood(content_type: int, data: bytes, count: int) -> Steps:
    """The same record again and again."""

    def built(puppet: Puppet) -> bytes:
        return puppet.writer.seal(content_type, data)

    return lambda puppet, move: (Step("flood", built, None, waits=False),) * count


# ------------------------------------------------------------------------------------------------ alerts


def alert(puppet: Puppet, move: Move) -> tuple[Step, ...]:
    level, description = divmod(move.amount % 2**16, 256)
    return (honest.alert(level, description),)


def alert_answer(puppet: Puppet, move: Move) -> Expected:
    level, description = divmod(move.amount % 2**16, 256)
    if level not in (AlertLevel.WARNING, AlertLevel.FATAL):
        return ex.refused("R2246-7.2-05", alerts=ex.MALFORMED | ex.OUT_OF_TURN)
    if description == AlertDescription.CLOSE_NOTIFY:
        return ex.Expected(Answer.CLOSED, ("R2246-7.2.1-08",))
    if level == AlertLevel.FATAL:
        return ex.Expected(Answer.CLOSED, ("R2246-7.2-02", "R2246-7.2.2-28"))
    return ANYTHING


def close_notify(puppet: Puppet, move: Move) -> tuple[Step, ...]:
    return (honest.alert(AlertLevel.WARNING, AlertDescription.CLOSE_NOTIFY),)


# ------------------------------------------------------------------------------------------------ key exchange


def rsa(puppet: Puppet) -> bool:
    return puppet.exchange.premaster is Premaster.RSA and isinstance(peer_key(puppet), RSAPublicKey)


def dh(puppet: Puppet) -> bool:
    return puppet.exchange.premaster is Premaster.DH


def ecdh(puppet: Puppet) -> bool:
    return puppet.exchange.premaster is Premaster.ECDH


def peer_key(puppet: Puppet) -> object:
    return puppet.peer_key if puppet.peer_chain else None


def premaster(version: bytes, size: int) -> Steps:
    def steps(puppet: Puppet, move: Move) -> tuple[Step, ...]:
        return (honest.pre_master_secret_of(version + bytes(range(size))),)

    return steps


def garbage_premaster(byte: bytes) -> Steps:
    """A ciphertext of nothing but ``byte``, as long as the modulus.

    Libraries hide what does not decrypt behind random bytes; a number above the modulus many still report.
    """

    def ciphertext(puppet: Puppet) -> bytes:
        key = peer_key(puppet)
        assert isinstance(key, RSAPublicKey)
        return byte * (key.key_size // 8)

    return lambda puppet, move: (honest.client_key_exchange_with(ciphertext),)


LATER: Final = Expected(
    Answer.REFUSED_LATER,
    ("R5246-7.4.7.1-01", "R2246-7.4.7.1-04"),
    frozenset(map(int, ex.NOT_AUTHENTIC | {AlertDescription.DECRYPT_ERROR})),
)


def dh_value(value: int) -> Steps:
    """A public value that leaves no choice of secret: 0 and 1."""

    def steps(puppet: Puppet, move: Move) -> tuple[Step, ...]:
        public = bytes([value])

        def after(puppet: Puppet) -> None:
            puppet.pre_master_secret = public.strip(b"\0")
            puppet.derive()

        return (replace(honest.client_public_value(public), after=after),)

    return steps


def server_dh_value(value: int) -> Steps:
    def params(puppet: Puppet) -> bytes:
        good, _ = parse_prefix(kx.SERVER_DH_PARAMS, puppet.generate())
        return build(kx.SERVER_DH_PARAMS, replace(good, dh_Ys=bytes([value])))

    return lambda puppet, move: (honest.server_key_exchange_with(params),)


def stale_signature(puppet: Puppet, move: Move) -> tuple[Step, ...]:
    """Parameters signed for another handshake: its randoms were others."""

    def built(puppet: Puppet) -> bytes:
        mine = puppet.server_hello
        try:
            puppet.server_hello = None  # zeros for the server's random
            return honest.server_key_exchange.build(puppet)
        finally:
            puppet.server_hello = mine

    return (Step("server_key_exchange", built),)


def stale_proof(puppet: Puppet, move: Move) -> tuple[Step, ...]:
    return (honest.certificate_verify_with(lambda puppet: bytes(len(puppet.transcript_digest()))),)


def finished_around(puppet: Puppet, move: Move) -> tuple[Step, ...]:
    """Finished, one byte before ChangeCipherSpec and the rest behind it."""
    raw: list[bytes] = []

    def first(puppet: Puppet) -> bytes:
        raw.append(honest.finished.build(puppet))
        return raw[0][:1]

    def rest(puppet: Puppet) -> bytes:
        puppet.transcript = puppet.transcript.add(raw[0])
        return raw[0][1:]

    return (
        Step("finished", first, hashed=False, waits=False),
        honest.change_cipher_spec,
        Step("finished", rest, hashed=False, waits=False),
    )


# ------------------------------------------------------------------------------------------------ hellos


def hello_without(kind: ExtensionType) -> Steps:
    """The hello without one of the extensions that it ought to have."""

    def steps(puppet: Puppet, move: Move) -> tuple[Step, ...]:
        step = honest.client_hello if puppet.role is Role.CLIENT else honest.server_hello

        def built(puppet: Puppet) -> bytes:
            step.build(puppet)
            hello = puppet.client_hello if puppet.role is Role.CLIENT else puppet.server_hello
            assert hello is not None
            left = tuple(item for item in hello.extensions or () if item.extension_type != kind)
            return again(puppet, extensions=left)

        return (replace(step, build=built),)

    return steps


def again(puppet: Puppet, **fields: object) -> bytes:
    """Return this end's hello, just made, with other fields; the books follow."""
    if puppet.role is Role.CLIENT:
        assert puppet.client_hello is not None
        puppet.client_hello = replace(puppet.client_hello, **fields)  # type: ignore[arg-type]
        return encode(puppet.client_hello)
    assert puppet.server_hello is not None
    puppet.server_hello = replace(puppet.server_hello, **fields)  # type: ignore[arg-type]
    return encode(puppet.server_hello)


def renegotiation_info(body: bytes) -> Steps:
    def steps(puppet: Puppet, move: Move) -> tuple[Step, ...]:
        step = honest.client_hello if puppet.role is Role.CLIENT else honest.server_hello

        def built(puppet: Puppet) -> bytes:
            step.build(puppet)
            hello = puppet.client_hello if puppet.role is Role.CLIENT else puppet.server_hello
            assert hello is not None
            kind = ExtensionType.RENEGOTIATION_INFO
            others = tuple(item for item in hello.extensions or () if item.extension_type != kind)
            return again(puppet, extensions=(*others, Extension(kind, bytes([len(body)]) + body)))

        return (replace(step, build=built),)

    return steps


def other_suite(puppet: Puppet, move: Move) -> tuple[Step, ...]:
    """A hello that takes up the session with another suite than it has."""
    step = honest.client_hello if puppet.role is Role.CLIENT else honest.server_hello

    def built(puppet: Puppet) -> bytes:
        step.build(puppet)
        if puppet.role is Role.CLIENT:
            return again(puppet, cipher_suites=(0x0035 if puppet.suite != 0x0035 else 0x002F,))
        offered = () if puppet.client_hello is None else puppet.client_hello.cipher_suites
        other = next((suite for suite in offered if suite in (0x002F, 0x0035) and suite != puppet.suite), 0x000A)
        return again(puppet, cipher_suite=other)

    return (replace(step, build=built),)


def unasked(puppet: Puppet) -> int | None:
    """Return a suite that the client has not offered, and over which the handshake could go on all the same."""
    offered = () if puppet.client_hello is None else puppet.client_hello.cipher_suites
    mine = SUITES[puppet.suites[0]].key_exchange
    alike = (value for value, suite in SUITES.items() if suite.key_exchange == mine)
    return next((value for value in alike if value not in offered), None)


def unasked_suite(puppet: Puppet, move: Move) -> tuple[Step, ...]:
    """A hello that chooses a suite which the client has not offered."""
    value = unasked(puppet)

    def built(puppet: Puppet) -> bytes:
        honest.server_hello.build(puppet)
        return again(puppet, cipher_suite=puppet.suite if value is None else value)

    return (replace(honest.server_hello, build=built),)


def resuming(puppet: Puppet) -> bool:
    return puppet.session is not None


def renegotiating(puppet: Puppet) -> bool:
    return bool(puppet.complete or puppet.previous)


def wrong_info(puppet: Puppet, move: Move) -> Expected:
    first, later = ("3.6", "3.7") if puppet.role is Role.CLIENT else ("3.4", "3.5")
    requirement = f"R5746-{later if renegotiating(puppet) else first}-01"
    return ex.refused(requirement, alerts=frozenset({AlertDescription.HANDSHAKE_FAILURE}))


def no_info(puppet: Puppet, move: Move) -> Expected:
    requirement = "R5746-3.7-01" if puppet.role is Role.CLIENT else "R5746-3.5-01"
    return ex.refused(
        requirement,
        "R5746-4.4-01",
        alerts=frozenset({AlertDescription.HANDSHAKE_FAILURE, AlertDescription.NO_RENEGOTIATION}),
    )
