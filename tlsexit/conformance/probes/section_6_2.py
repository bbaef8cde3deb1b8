"""§6.2: fragments, and §6.2.3: what is common to all protected records."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from cryptography import x509

from tlsexit.conformance.actions import (
    Alive,
    Check,
    Do,
    Send,
    after,
    before,
    connect,
    established,
    expect,
    handshake,
    onwards,
    rebuilt,
    through,
)
from tlsexit.conformance.certificates import Shown, issued
from tlsexit.conformance.expect import alert, closed, completed, goes_on, refusal, said, still_open
from tlsexit.conformance.model import Group, Probe
from tlsexit.conformance.needs import ASKS, AUTHORITY, EPHEMERAL, RSA
from tlsexit.conformance.records import (
    Coalesced,
    authentication_refused,
    bare,
    cut_at,
    in_pieces,
    never_empty,
    slice_everything,
    small_fragments,
    small_records,
    spoken,
    tampered,
    versions,
)
from tlsexit.conformance.talk import Talk
from tlsexit.constants import Role
from tlsexit.events import MessageSeen
from tlsexit.handshake.extensions import Extension
from tlsexit.handshake.hello import ServerHello
from tlsexit.puppet import Sealing
from tlsexit.puppet.steps import alert as alert_step
from tlsexit.puppet.steps import record

blocks = Group("6.2")
fragments = Group("6.2.1")
payload = Group("6.2.3")

_IGNORED_VERSION: Final = completed().warn("the version of later records is not looked at")
_EXTENSION: Final = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.11129.9999.1"), b"x" * 40_000)


def large_certificate() -> Shown:
    """A good certificate of about 40 kB: it carries an extension that nobody has to know."""
    return issued(extensions=((_EXTENSION, False),))


def fill(talk: Talk, size: int) -> bytes:
    """The application's words, stretched to ``size`` bytes where their form is known."""
    words = spoken(talk)
    if not words.endswith(b"\r\n\r\n") and talk.puppet.role is Role.CLIENT:
        talk.inapplicable("the request cannot be made longer")
    if talk.puppet.role is Role.SERVER:
        return words + b"." * (size - len(words))
    return words[:-2] + b"X: " + b"." * (size - len(words) - 5) + b"\r\n\r\n"


def longest_record(talk: Talk) -> None:
    """Send exactly 2^14 bytes."""
    talk.note_mark()
    talk.deviated = True
    talk.puppet.send_record(23, fill(talk, 2**14))


def hello_of_the_longest(talk: Talk) -> None:
    """Have the ClientHello fill a record of exactly 2^14 bytes."""
    puppet = talk.puppet
    # header 4, version 2, random 32, session_id 1, suites 2 + 2, compression 1 + 1, extensions 2, the usual ones
    usual = 45 + 2 + 5 + sum(4 + len(item.extension_data) for item in puppet.extensions)
    puppet.extensions = (*puppet.extensions, Extension(0xFEFE, bytes(2**14 - usual - 4)))
    talk.deviated = True


def fills_a_record(talk: Talk) -> str | None:
    """The probe itself is right: the hello was as long as it should be."""
    first = talk.puppet.talk[0].seen
    size = len(first.raw) if isinstance(first, MessageSeen) else 0
    if size != 2**14:
        raise ValueError(f"the ClientHello of the probe has {size} bytes")
    return None


def replay(talk: Talk) -> None:
    """Send one record twice."""
    raw = talk.puppet.seal(23, b"once ")
    talk.deviated = True
    talk.puppet.send_bytes(raw)
    talk.puppet.send_bytes(raw)


def lose(talk: Talk) -> None:
    """Lose one record of two."""
    talk.puppet.seal(23, b"lost ")
    talk.deviated = True
    talk.puppet.send_bytes(talk.puppet.seal(23, b"found "))


def exchange(talk: Talk) -> None:
    """Send two records in the wrong order."""
    first, second = talk.puppet.seal(23, b"first "), talk.puppet.seal(23, b"second ")
    talk.deviated = True
    talk.puppet.send_bytes(second)
    talk.puppet.send_bytes(first)


def _fragmented() -> tuple[Probe, ...]:
    """§6.2.1: record boundaries mean nothing."""
    found: list[Probe] = []
    for size in (1, 7):
        title = f"in records of {size} byte{'s' * (size > 1)}"
        found.append(
            fragments.server(
                f"client-hello-by-{size}",
                f"a ClientHello {title} is understood",
                "R2246-6.2.1-05",
                conversation=(in_pieces("client_hello", size), after("client_hello"), established()),
            )
        )
        found.append(
            fragments.client(
                f"certificate-by-{size}",
                f"a Certificate {title} is understood",
                "R2246-6.2.1-05",
                conversation=(
                    before("certificate"),
                    in_pieces("certificate", size),
                    after("certificate"),
                    established(),
                ),
            )
        )
    for name, step in (("server", "client_hello"), ("client", "server_hello")):
        make = fragments.server if name == "server" else fragments.client
        found.append(
            make(
                "inside-the-header",
                "a message cut inside its four-byte header is understood",
                "R2246-6.2.1-05",
                conversation=(before(step), cut_at(step, 1, 2), after(step), established()),
            )
        )
    found += fragments.both(
        "finished-in-pieces",
        "a Finished in two records is understood",
        "R2246-6.2.1-05",
        conversation=(before("finished"), in_pieces("finished", 9), established(), Alive()),
    )
    return tuple(found)


def _versions() -> tuple[Probe, ...]:
    found: list[Probe] = []
    for version in (0x0300, 0x0303):
        for name in ("server", "client"):
            step = "client_key_exchange" if name == "server" else "server_hello_done"
            make = fragments.server if name == "server" else fragments.client
            found.append(
                make(
                    f"version-{version:04x}",
                    f"a record of version {version:04x} after the negotiation of another is refused",
                    "R2246-6.2.1-08",
                    conversation=(
                        before(step),
                        rebuilt(step, sealing=Sealing(version)),
                        after(step),
                        expect(alert(10, 20, 40, 50).noted("another alert"), refusal(), _IGNORED_VERSION),
                    ),
                )
            )
    return tuple(found)


PROBES: Final = (
    *blocks.both(
        "empty-handshake-record",
        "an empty handshake record is refused, or ignored",
        "R2246-6.2-01",
        conversation=(
            before("change_cipher_spec"),
            Send(record(22, b"", waits=True)),
            onwards("change_cipher_spec"),
            expect(refusal(), completed().warn("ignored: they keep the target busy for nothing")),
        ),
    ),
    *blocks.both(
        "empty-alert",
        "an empty alert record is refused, or ignored",
        "R2246-6.2-01",
        conversation=(
            handshake(),
            established(),
            Send(record(21, b"")),
            expect(refusal(), still_open().warn("ignored: they keep the target busy for nothing").leading(Alive())),
        ),
    ),
    *blocks.both(
        "none-empty",
        "no handshake record, alert or ChangeCipherSpec that comes is empty",
        "R2246-6.2-01",
        survey=True,
        conversation=(Check(never_empty),),
    ),
    *fragments.both(
        "longest-fragment-sent",
        "no fragment that comes is longer than 2^14 bytes",
        "R2246-6.2.1-01",
        survey=True,
        conversation=(Check(small_fragments),),
    ),
    *fragments.both(
        "plaintext-overflow",
        "a plaintext record of more than 2^14 bytes is refused",
        "R2246-6.2.1-02",
        conversation=(
            before("change_cipher_spec"),
            bare(22, bytes([99]) + bytes(2**14)),
            expect(refusal()),
        ),
    ),
    fragments.server(
        "first-record-overflow",
        "a first record of more than 2^14 bytes is refused",
        "R2246-6.2.1-02",
        conversation=(bare(22, b"\x01\0\x40\0" + bytes(2**14 - 3)), expect(refusal())),
    ),
    *fragments.both(
        "longest-protected",
        "a protected record of exactly 2^14 bytes is accepted",
        "R2246-6.2.1-03",
        conversation=(handshake(), established(), Do(longest_record), expect(*goes_on())),
    ),
    fragments.server(
        "longest-plaintext",
        "a ClientHello that fills a record of exactly 2^14 bytes is accepted",
        "R2246-6.2.1-03",
        connect=connect(suites=RSA),
        conversation=(
            Do(hello_of_the_longest),
            before("client_key_exchange"),
            Check(fills_a_record),
            expect(said(ServerHello)),
        ),
    ),
    fragments.client(
        "together",
        "ServerHello to ServerHelloDone in one record are understood",
        "R2246-6.2.1-04",
        connect=connect(suites=EPHEMERAL),
        conversation=(
            Coalesced("server_hello", "certificate", "server_key_exchange", "server_hello_done"),
            onwards("change_cipher_spec"),
            established(),
        ),
    ),
    fragments.server(
        "together",
        "Certificate, ClientKeyExchange and CertificateVerify in one record are understood",
        "R2246-6.2.1-04",
        needs=(ASKS,),
        conversation=(
            before("certificate"),
            Coalesced("certificate", "client_key_exchange", "certificate_verify"),
            onwards("change_cipher_spec"),
            established(),
        ),
    ),
    *_fragmented(),
    fragments.client(
        "long-certificate",
        "a certificate of 40 kB, in three records, is understood",
        "R2246-6.2.1-06",
        needs=(AUTHORITY,),
        connect=connect(suites=RSA, credentials=large_certificate()),
        conversation=(handshake(), expect(completed(), alert(), closed().warn("no alert says that it is too long"))),
    ),
    fragments.server(
        "long-certificate",
        "a certificate of 40 kB, in three records, is understood",
        "R2246-6.2.1-06",
        needs=(AUTHORITY, ASKS),
        connect=connect(suites=RSA, credentials=large_certificate()),
        conversation=(handshake(), expect(completed(), alert(), closed().warn("no alert says that it is too long"))),
    ),
    *fragments.both(
        "version",
        "every record from ServerHello on has version {3,1}",
        "R2246-6.2.1-07",
        survey=True,
        conversation=(Check(versions),),
    ),
    *_versions(),
    *fragments.both(
        "byte-by-byte",
        "records that arrive byte by byte are understood",
        "R2246-6.2.1-09",
        conversation=(slice_everything(), handshake(), established(), Alive()),
    ),
    fragments.server(
        "interleaved-warning",
        "a warning alert between two messages is no harm",
        "R2246-6.2.1-10",
        conversation=(
            before("client_key_exchange"),
            Send(replace(alert_step(1, 112), waits=True)),
            onwards("client_key_exchange"),
            expect(completed(), alert(10).noted("taken for an error")),
        ),
    ),
    fragments.client(
        "interleaved-warning",
        "a warning alert between two messages is no harm",
        "R2246-6.2.1-10",
        conversation=(through("server_hello"), Send(alert_step(1, 112)), after("server_hello"), established()),
    ),
    *payload.both(
        "longest-record-sent",
        "no record that comes is longer than 2^14 + 2048 bytes",
        "R2246-6.2.3-01",
        survey=True,
        conversation=(Check(small_records),),
    ),
    *payload.both(
        "type-is-authentic",
        "a record whose type was changed on the way is refused",
        "R2246-6.2.3-02",
        conversation=(
            handshake(),
            established(),
            tampered(lambda raw: b"\x15" + raw[1:]),
            expect(*authentication_refused()),
        ),
    ),
    *payload.both(
        "version-is-authentic",
        "a record whose version was changed on the way is refused",
        "R2246-6.2.3-02",
        conversation=(
            handshake(),
            established(),
            tampered(lambda raw: raw[:1] + b"\x03\x02" + raw[3:]),
            expect(refusal()),
        ),
    ),
    *(
        probe
        for name, act, title in (
            ("replayed", replay, "a record that comes twice is refused"),
            ("lost", lose, "a record is missed"),
            ("reordered", exchange, "records in the wrong order are refused"),
        )
        for probe in payload.both(
            name,
            title,
            "R2246-6.2.3-03",
            conversation=(handshake(), established(), Do(act), expect(*authentication_refused())),
        )
    ),
)
