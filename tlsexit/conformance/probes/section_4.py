"""§3 and §4: the presentation language. What a target sends must read as it is written, and what it gets, too."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from tlsexit.conformance.actions import (
    Altered,
    Check,
    Do,
    Observe,
    Repeat,
    Send,
    after,
    before,
    connect,
    demanded,
    established,
    expect,
    handshake,
    onwards,
    refused,
    through,
)
from tlsexit.conformance.changes import reframed
from tlsexit.conformance.expect import alert, completed, refusal, said, silent
from tlsexit.conformance.model import Group, Probe
from tlsexit.conformance.needs import (
    ANONYMOUS,
    DHE,
    EPHEMERAL,
    MAX_FRAGMENT_LENGTH,
    RSA,
    SERVER_NAME,
    SuiteChoice,
)
from tlsexit.conformance.records import in_pieces
from tlsexit.conformance.talk import Talk
from tlsexit.constants import ContentType
from tlsexit.handshake.certificate import CertificateRequest
from tlsexit.handshake.codec import encode
from tlsexit.handshake.enums import ExtensionType
from tlsexit.handshake.extensions import Extension
from tlsexit.handshake.finished import Finished
from tlsexit.handshake.hello import ClientHello, ServerHello
from tlsexit.puppet.steps import message, raw_message, record, wire
from tlsexit.wire import WireError

goals = Group("3")
order = Group("4.1")
vectors = Group("4.3")
numbers = Group("4.4")
enums = Group("4.5")
variants = Group("4.6.1")

_HELLOS: Final = (ClientHello, ServerHello)

# ------------------------------------------------------------------------------------------------ looking


def reads_back(talk: Talk) -> str | None:
    """Every message of the target is, byte for byte, what its fields are in the form that the text gives them."""
    puppet = talk.puppet
    if puppet.broken is not None:
        return f"what came cannot be read: {puppet.reaction.reason}"
    for seen in puppet.heard:
        if seen.content_type is not ContentType.HANDSHAKE or puppet.v2_hello:
            continue
        try:
            again = encode(seen.message)
        except WireError as error:
            return f"{type(seen.message).__name__} has a field that cannot be: {error}"
        if again != seen.raw:
            return f"{type(seen.message).__name__} is not written as its fields are"
    return None


def big_endian(talk: Talk) -> str | None:
    """Lengths and versions make sense with the most significant byte first, and not the other way round."""
    first = next(iter(talk.puppet.records), None)
    if first is None and not talk.puppet.v2_hello:
        return "no record came"
    if first is not None and first.version >> 8 != 3:
        return f"the first record has version {first.version:04x}"
    return reads_back(talk)


def fixed_lengths(talk: Talk) -> str | None:
    """The random of a hello stands at 2..33 of its body, and Finished has 12 bytes."""
    for seen in talk.puppet.heard:
        if isinstance(seen.message, _HELLOS) and seen.raw[6:38] != seen.message.random and not talk.puppet.v2_hello:
            return f"{type(seen.message).__name__}.random is not where it should be"
        if isinstance(seen.message, Finished) and len(seen.raw) != 16:
            return f"Finished has {len(seen.raw) - 4} bytes"
    return None


# ------------------------------------------------------------------------------------------------ bad vectors


def client_hello_body(
    suites: bytes | None = None, compression: bytes = b"\x01\0", session_id: bytes = b"\0"
) -> Callable[[bytes], bytes]:
    """A ClientHello whose vectors are these bytes, lengths included; ``suites`` None leaves the honest ones."""

    def change(body: bytes) -> bytes:
        honest = body[35 : 37 + int.from_bytes(body[35:37], "big")]
        return body[:34] + session_id + (honest if suites is None else suites) + compression

    return reframed(change)


def _bad_hellos() -> Iterator[Probe]:
    cases: dict[str, tuple[str, str, Callable[[bytes], bytes]]] = {
        "no-suites": ("R2246-4.3-03", "no cipher suite", client_hello_body(b"\0\0")),
        "no-compression": ("R2246-4.3-03", "no compression method", client_hello_body(compression=b"\0")),
        "odd-suites": ("R2246-4.3-04", "a list of suites of three bytes", client_hello_body(b"\0\x03\0\x2f\0")),
        "overrun-suites": ("R2246-4.3-05", "a list of suites beyond its end", client_hello_body(b"\x01\0\0\x2f")),
        "overrun-compression": (
            "R2246-4.3-05",
            "compression methods beyond its end",
            client_hello_body(None, b"\x09\0"),
        ),
        "overrun-by-one": ("R2246-4.3-05", "methods one byte beyond its end", client_hello_body(None, b"\x02\0")),
        "overrun-session-id": ("R2246-4.3-05", "a session id beyond its end", client_hello_body(session_id=b"\x20")),
    }
    for name, (requirement, title, change) in cases.items():
        yield vectors.server(
            name,
            f"a ClientHello with {title} is refused",
            requirement,
            conversation=(Altered("client_hello", change), refused()),
        )


def _certificate(first: int, size: int) -> Callable[[bytes], bytes]:
    """A Certificate whose first certificate is announced with so many bytes, and has ``size``."""
    inner = first.to_bytes(3, "big") + bytes(size)
    return reframed(lambda body: len(inner).to_bytes(3, "big") + inner)


def _bad_flights() -> Iterator[Probe]:
    """The same for clients, in what a server sends."""
    cases: dict[str, tuple[str, str, str, Callable[[bytes], bytes], dict[str, Any]]] = {
        "empty-certificate": ("R2246-4.3-03", "certificate", "a certificate of no bytes", _certificate(0, 0), {}),
        "overrun-certificate": ("R2246-4.3-05", "certificate", "a certificate beyond its end", _certificate(99, 9), {}),
        "overrun-prime": (
            "R2246-4.3-05",
            "server_key_exchange",
            "a dh_p beyond its end",
            reframed(lambda body: b"\xff\xff" + body[2:]),
            {"connect": connect(suites=DHE)},
        ),
        "no-types": (
            "R2246-4.3-03",
            "certificate_request",
            "no certificate type",
            reframed(lambda body: b"\0" + body[1 + body[0] :]),
            {"connect": connect(request=True)},
        ),
        "overrun-name": (
            "R2246-4.3-05",
            "certificate_request",
            "a DistinguishedName beyond its end",
            reframed(lambda body: body[: 3 + body[0]] + b"\xff\xff" + body[5 + body[0] :]),
            {"connect": connect(request=True)},
        ),
    }
    for name, (requirement, step, title, change, fields) in cases.items():
        # an empty list of certificate types is near enough to none that suits
        tolerated = (completed().warn("taken for a list without anything that suits"),) if name == "no-types" else ()
        yield vectors.client(
            name,
            f"{title} is refused",
            requirement,
            conversation=(
                before(step),
                Altered(step, change),
                after(step),
                expect(refusal(), alert(42).noted("a certificate alert"), *tolerated),
            ),
            **fields,
        )


# ------------------------------------------------------------------------------------------------ suites of §3


def _constructions() -> Iterator[Probe]:
    for cipher in ("NULL", "RC4_128", "3DES_EDE_CBC", "AES_128_CBC", "AES_256_CBC", "CAMELLIA_128_CBC"):
        for mac in ("MD5", "SHA"):
            if mac == "MD5" and cipher not in ("NULL", "RC4_128"):
                continue
            yield from goals.both(
                f"constructions-{cipher}-{mac}".lower().replace("_", "-"),
                f"key derivation, MAC, padding and Finished are those of TLS 1.0 ({cipher}, {mac})",
                "R2246-3-01",
                connect=connect(suites=SuiteChoice(f"{cipher} and {mac}", cipher=cipher, mac=mac)),
                conversation=(*demanded(), Check(fixed_lengths)),
            )


_COLLECTS: Final = "a third of a megabyte is collected, and more waited for, before anybody is known"
_NAME: Final = bytes.fromhex("300d310b300906035504030c024341")
"""CN=CA in DER: 2200 of them are more than 2^15 bytes."""


def offer_many(talk: Talk) -> None:
    """Offer so many suites that nobody has in front of one that the target has, that the list exceeds 2^15 bytes."""
    talk.deviated = True
    talk.puppet.hello["cipher_suites"] = (*range(0x4000, 0x4000 + 16_400), *talk.puppet.suites)


def whole_records(raw: bytes) -> list[bytes]:
    """Cut into records of 2^14 bytes."""
    return [raw[start : start + 2**14] for start in range(0, len(raw), 2**14)]


PROBES: Final = (
    *_constructions(),
    *order.both(
        "first-flight",
        "numbers come with the most significant byte first",
        "R2246-4.1-01",
        conversation=(Observe(), Check(big_endian)),
    ),
    *vectors.both(
        "fixed",
        "fields of fixed length have no length in front",
        "R2246-4.3-01",
        conversation=(Observe(), Check(fixed_lengths)),
    ),
    *(
        probe
        for suites, name in ((RSA, "rsa"), (EPHEMERAL, "ephemeral"))
        for probe in vectors.both(
            f"widths-{name}",
            f"vectors have lengths of the right width ({suites.name})",
            "R2246-4.3-02",
            "R2246-4.6.1-01",
            connect=connect(suites=suites),
            conversation=(Observe(), Check(reads_back)),
        )
    ),
    vectors.client(
        "widths-with-certificate",
        "vectors have lengths of the right width where a certificate is asked for",
        "R2246-4.3-02",
        connect=connect(request=True),
        conversation=(handshake(), established(), Check(reads_back)),
    ),
    *_bad_hellos(),
    vectors.server(
        "overrun-host-name",
        "a HostName one byte beyond its end is refused",
        "R2246-4.3-05",
        needs=(SERVER_NAME,),
        connect=connect(extensions=(Extension(ExtensionType.SERVER_NAME, b"\0\x0c\0\0\x0alocalhost"),)),
        conversation=(handshake(), expect(refusal(), alert(47, 112).noted("another alert"))),
    ),
    *_bad_flights(),
    numbers.server(
        "long-list",
        "a list of more than 2^15 bytes is a long list",
        "R2246-4.4-01",
        conversation=(
            Do(offer_many),
            in_pieces("client_hello", 2**14),
            before("client_key_exchange", start="certificate"),
            expect(said(ServerHello), refusal().noted("too long for the target")),
        ),
    ),
    numbers.client(
        "long-list",
        "a list of more than 2^15 bytes is a long list",
        "R2246-4.4-01",
        connect=connect(request=True),
        conversation=(
            before("certificate_request"),
            Send(message("certificate_request", CertificateRequest((1, 2, 64), (_NAME,) * 2200), cut=whole_records)),
            after("certificate_request"),
            expect(completed(), refusal().noted("too long for the target")),
        ),
    ),
    numbers.server(
        "longest-message",
        "a message that claims to have 2^24 - 1 bytes is refused or waited for",
        "R2246-4.4-01",
        conversation=(
            Send(wire(b"\x16\x03\x01\0\x0e\x01\xff\xff\xff" + bytes(10))),
            expect(refusal(), silent().noted("waits for the rest")),
        ),
    ),
    numbers.client(
        "longest-message",
        "a message that claims to have 2^24 - 1 bytes is refused or waited for",
        "R2246-4.4-01",
        conversation=(
            through("server_hello"),
            Send(wire(b"\x16\x03\x01\0\x0e\x0b\xff\xff\xff" + bytes(10))),
            expect(refusal(), silent().noted("waits for the rest")),
        ),
    ),
    numbers.server(
        "collects",
        "a message of a third of a megabyte is refused before all of it has come",
        "R2246-7.4-05",
        level="SHOULD",
        conversation=(
            before("client_key_exchange"),
            Send(record(22, b"\x10\xff\xff\xff", waits=True)),
            Repeat(20, (Send(record(22, bytes(2**14))),)),
            expect(refusal(), alert(10, 40).noted("another alert"), silent().warn(_COLLECTS)),
        ),
    ),
    numbers.client(
        "collects",
        "a message of a third of a megabyte is refused before all of it has come",
        "R2246-7.4-05",
        level="SHOULD",
        conversation=(
            through("server_hello"),
            Send(record(22, b"\x0b\xff\xff\xff")),
            Repeat(20, (Send(record(22, bytes(2**14))),)),
            expect(refusal(), alert(10, 40).noted("another alert"), silent().warn(_COLLECTS)),
        ),
    ),
    enums.client(
        "compression-method",
        "an undeclared compression method in ServerHello is refused",
        "R2246-4.5-01",
        conversation=(
            Altered("server_hello", reframed(lambda body: body[: 37 + body[34]] + b"\x42" + body[38 + body[34] :])),
            after("server_hello"),
            expect(refusal(), alert(40).noted("handshake_failure")),
        ),
    ),
    enums.server(
        "handshake-type",
        "an undeclared handshake type is refused",
        "R2246-4.5-01",
        conversation=(
            before("client_key_exchange"),
            Send(raw_message(99, bytes(4))),
            onwards("client_key_exchange"),
            expect(refusal(), alert(10).noted("unexpected_message")),
        ),
    ),
    enums.server(
        "max-fragment-length",
        "an undeclared MaxFragmentLength is refused",
        "R2246-4.5-01",
        needs=(MAX_FRAGMENT_LENGTH,),
        connect=connect(extensions=(Extension(ExtensionType.MAX_FRAGMENT_LENGTH, b"\x09"),)),
        conversation=(handshake(), refused()),
    ),
    variants.server(
        "anonymous",
        "without a signature ServerKeyExchange ends behind dh_Ys",
        "R2246-4.6.1-01",
        connect=connect(suites=ANONYMOUS),
        conversation=(Observe(), Check(reads_back)),
    ),
)
