"""Known attacks, each with what it means to the owner of the target.

Nothing here breaks anything: a probe only looks whether the door is open. Most doors are requirements, too, and have
probes of their own; these put together what belongs to one attack. Oracles are in :mod:`.attacks_oracles`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final

from tlsexit.conformance.actions import (
    OPEN,
    Check,
    Do,
    Observe,
    Send,
    after,
    before,
    connect,
    established,
    expect,
    handshake,
    refused,
    skip,
    through,
)
from tlsexit.conformance.expect import Alternative, alert, closed, refusal, said, silent, still_open, unreadable
from tlsexit.conformance.model import ATTACKS, Group, Probe
from tlsexit.conformance.needs import (
    APPLICATION,
    CBC,
    DHE,
    EPHEMERAL,
    RSA,
)
from tlsexit.conformance.probes.appendix_e import SSL_2_SPECS, v2_hello
from tlsexit.conformance.probes.section_7_1 import EARLY
from tlsexit.conformance.probes.section_7_4_1_2 import GREASE
from tlsexit.conformance.probes.section_7_4_3 import group_of, vectors
from tlsexit.conformance.talk import Talk
from tlsexit.crypto.suites import SUITES
from tlsexit.handshake import keyexchange as kx
from tlsexit.handshake.enums import ExtensionType
from tlsexit.handshake.extensions import Extension
from tlsexit.handshake.hello import ServerHello
from tlsexit.puppet.steps import (
    application_data,
    change_cipher_spec,
    client_hello,
    finished,
    record,
    server_key_exchange_with,
)

section = Group(ATTACKS)

_NO_4: Final = "it knows no TLS 4"

REQUEST: Final = b"GET / HTTP/1.0\r\n\r\n"


def splits(talk: Talk) -> str | None:
    """The first byte of data, or none, comes in a record of its own (BEAST)."""
    sizes = [len(item.content) for item in talk.puppet.records if item.content_type == 23]
    if not sizes or sum(sizes) < 2:
        talk.inapplicable("the target has said nothing that could be split")
    return None if sizes[0] <= 1 else "application data is not split, so its first block can be guessed"


def group_is_long(talk: Talk) -> str | None:
    """1024 bits at least, which is little enough."""
    params = talk.puppet.server_params
    if not isinstance(params, kx.ServerDHParams):
        return "the parameters are not those of Diffie-Hellman"
    bits = int.from_bytes(params.dh_p, "big").bit_length()
    return None if bits >= 1024 else f"the Diffie-Hellman group has {bits} bits"


def has_extension(kind: ExtensionType) -> Callable[[Talk], str | None]:
    """The target takes part in an extension."""
    name = kind.name.lower()
    return lambda talk: None if kind in talk.capabilities.extensions else f"the target does not know {name}"


def uses(*kinds: str) -> Callable[[Talk], str | None]:
    """The target has no suite of these kinds: names of ciphers, or ``anonymous``, or ``export``."""

    def wrong(talk: Talk) -> str | None:
        listed = (*talk.capabilities.suites, *(value for value in talk.capabilities.offered if value in SUITES))
        for value in listed:
            suite = SUITES[value]
            exchange = suite.key_exchange
            if (
                suite.cipher.name in kinds
                or ("anonymous" in kinds and exchange.anonymous)
                or ("export" in kinds and exchange.export)
            ):
                return f"{suite.name} is enabled"
        return None

    return wrong


def no_over_read(talk: Talk) -> str | None:
    """A heartbeat that lies about its length is not answered."""
    puppet = talk.puppet
    puppet.listen(2 * talk.terms.quiet)
    answers = [item for item in puppet.records if item.content_type == 24]
    return f"a heartbeat of 3 bytes is answered with {len(answers[0].content)}" if answers else None


def _skips() -> Iterator[Probe]:
    """SMACK: messages that a sloppy state machine does not miss."""
    meaning = "Somebody in the middle passes for the other end (SMACK, SKIP-TLS)."
    yield section.client(
        "skip-everything",
        "Finished directly behind ServerHello is refused",
        "R2246-7.4-02",
        conversation=(through("server_hello"), skip("everything"), Send(finished), refused()),
        meaning=meaning,
    )
    yield section.client(
        "skip-to-key-change",
        "ChangeCipherSpec and Finished directly behind Certificate are refused",
        "R2246-7.4-02",
        conversation=(
            through("certificate"),
            skip("everything else"),
            Send(replace(change_cipher_spec, waits=False)),
            Send(replace(finished, waits=False)),
            refused(),
        ),
        meaning=meaning,
    )
    yield section.client(
        "skip-key-exchange",
        "a suite with forward secrecy without ServerKeyExchange is refused",
        "R2246-7.4.3-01",
        connect=connect(suites=EPHEMERAL),
        conversation=(before("server_key_exchange"), skip("it"), after("server_key_exchange"), refused()),
        meaning=meaning,
    )
    yield section.server(
        "skip-key-change",
        "Finished without ChangeCipherSpec is refused",
        "R2246-7.4.9-02",
        conversation=(before("change_cipher_spec"), skip("it"), Send(finished), refused()),
        meaning=meaning,
    )
    yield section.server(
        "skip-finished",
        "application data in place of Finished is refused",
        "R2246-7.4.9-09",
        conversation=(
            before("finished"),
            skip("it"),
            Send(application_data(REQUEST, waits=False)),
            refused(),
        ),
        meaning=meaning,
    )


def _intolerance() -> Iterator[Probe]:
    """Servers that fall over what they do not know keep everybody from getting on."""
    meaning = "Clients that offer more than this server knows cannot connect."
    for version in (0x0302, 0x0303, 0x0304, 0x03FF, 0x0400):
        more: tuple[Alternative, ...] = (alert(70).noted(_NO_4), unreadable().noted(_NO_4)) if version == 0x0400 else ()
        yield section.server(
            f"version-intolerance-{version:04x}",
            f"client_version 0x{version:04X} is answered",
            "R2246-7.4.1.3-01",
            connect=connect(hello={"client_version": version}),
            conversation=(through("client_hello"), expect(said(ServerHello), *more)),
            meaning=meaning,
        )
    for name, added in (
        ("grease", tuple(Extension(0x0A0A + 0x1010 * number, b"") for number in range(8))),
        ("long", (Extension(0x7A7A, bytes(12000)),)),
        ("modern", (Extension(43, b"\4\3\4\3\1"), Extension(51, b"\0\0"), Extension(13, b"\0\2\2\1"))),
    ):
        yield section.server(
            f"extension-intolerance-{name}",
            f"extensions that are not known ({name}) are ignored",
            "R4366-2.3-03",
            connect=connect(extensions=added),
            conversation=(handshake(), established()),
            meaning=meaning,
        )
    for size in (255, 256, 384, 511, 512, 4096, 16383, 16384, 20000):
        yield section.server(
            f"size-intolerance-{size}",
            f"a ClientHello of {size} bytes is answered",
            "R2246-7.4.1.2-20",
            conversation=(Do(lambda talk, size=size: _pad_hello(talk, size)), *OPEN),  # type: ignore[misc]
            meaning=meaning,
        )
    yield section.server(
        "scsv-intolerance",
        "signalling suites are skipped",
        "R2246-7.4.1.2-13",
        conversation=(
            Do(lambda talk: talk.puppet.hello.update(cipher_suites=(*GREASE[:1], *talk.puppet.suites, 0x00FF))),
            *OPEN,
        ),
        meaning=meaning,
    )


def _pad_hello(talk: Talk, size: int) -> None:
    """Stretch the next ClientHello to ``size`` bytes, its header included."""
    bare = 4 + 2 + 32 + 1 + 2 + 2 * len(talk.puppet.suites) + 2
    fixed = (Extension(ExtensionType.RENEGOTIATION_INFO, b"\0"),)
    room = size - bare - 2 - 5 - 4
    talk.puppet.hello["extensions"] = (*fixed, Extension(0x7A7A, bytes(max(room, 0))))


def _no_second(talk: Talk) -> str | None:
    hellos = sum(isinstance(item, ServerHello) for item in talk.puppet.messages)
    return "the renegotiation is accepted" if hellos > 1 else None


def _no_compression(talk: Talk, hello: ServerHello) -> str | None:
    return None if hello.compression_method == 0 else "compression is chosen"


def _no_deflate(talk: Talk) -> str | None:
    hello = talk.puppet.client_hello
    assert hello is not None
    return None if set(hello.compression_methods) == {0} else "compression is offered"


PROBES: Final = (
    *section.both(
        "beast",
        "application data under a block cipher is split",
        "R4346-6.2.3.2-02",
        level="SHOULD",
        connect=connect(suites=CBC),
        needs=(APPLICATION,),
        conversation=(
            *OPEN,
            Do(Talk.send_request),
            Do(lambda talk: talk.puppet.listen_until(lambda: len(talk.puppet.application_data) > 1)),
            Check(splits),
        ),
        meaning="Whoever chooses part of what is sent can guess at the rest (BEAST, CVE-2011-3389).",
    ),
    section.server(
        "freak",
        "no RSA_EXPORT suite is accepted",
        "R2246-D.4-01",
        conversation=(Observe(), Check(uses("export"))),
        meaning="Somebody in the middle can talk a sloppy client into keys that are broken in hours (FREAK).",
    ),
    section.client(
        "freak",
        "a temporary key of 512 bits in a suite without one is refused",
        "R2246-7.4.3-02",
        connect=connect(suites=RSA),
        conversation=(
            through("certificate"),
            Send(server_key_exchange_with(lambda puppet: vectors(b"\xd5" * 63 + b"\x01", b"\1\0\1"))),
            after("server_key_exchange"),
            refused(),
        ),
        meaning="Somebody in the middle can make it use keys that are broken in hours (FREAK, CVE-2015-0204).",
    ),
    section.server(
        "logjam",
        "the Diffie-Hellman group is long enough",
        "R2246-D.4-02",
        connect=connect(suites=DHE),
        conversation=(Observe(), Check(group_is_long)),
        meaning="Whoever has computed on the group reads every connection (Logjam).",
    ),
    section.client(
        "logjam",
        "a Diffie-Hellman group of 512 bits is refused",
        "R2246-D.4-02",
        connect=connect(suites=DHE),
        conversation=(
            before("server_key_exchange"),
            Send(server_key_exchange_with(group_of("export512"))),
            after("server_key_exchange"),
            refused(),
        ),
        meaning="Somebody in the middle can make it use a group that is broken in hours (Logjam, CVE-2015-4000).",
    ),
    section.server(
        "early-ccs",
        "ChangeCipherSpec before there is a key is refused",
        "R2246-7.1-07",
        conversation=(through("client_hello"), Send(change_cipher_spec), Send(finished), refused()),
        meaning="Somebody in the middle knows the keys (CVE-2014-0224).",
    ),
    section.client(
        "early-ccs",
        "ChangeCipherSpec before there is a key is refused",
        "R2246-7.1-07",
        conversation=(
            through("server_hello"),
            Send(replace(EARLY, after=change_cipher_spec.after)),
            Send(replace(finished, waits=False)),
            refused(),
        ),
        meaning="Somebody in the middle knows the keys (CVE-2014-0224).",
    ),
    *_skips(),
    section.server(
        "insecure-renegotiation",
        "a client that does not know RFC 5746 cannot renegotiate",
        "R5746-4.4-01",
        level="MUST",
        connect=connect(hello={"extensions": None}),
        conversation=(*OPEN, Send(client_hello), expect(alert(), closed(), still_open(), silent()), Check(_no_second)),
        meaning="Somebody in the middle can put data in front of the client's (CVE-2009-3555).",
    ),
    *section.both(
        "triple-handshake",
        "the extended master secret is known",
        "R7627-5.2-01",
        level="SHOULD",
        conversation=(Observe(), Check(has_extension(ExtensionType.EXTENDED_MASTER_SECRET))),
        meaning="A client certificate can be used by a server that it was shown to (triple handshake).",
    ),
    section.server(
        "crime",
        "compression is not chosen",
        "R3749-6-01",
        level="MUST",
        connect=connect(hello={"compression_methods": (1, 0)}),
        conversation=(through("client_hello"), expect(said(ServerHello, _no_compression))),
        meaning="Whoever chooses part of what is sent learns the rest from its length (CRIME, CVE-2012-4929).",
    ),
    section.client(
        "crime",
        "compression is not offered",
        "R3749-6-01",
        level="MUST",
        conversation=(Observe(), Check(_no_deflate)),
        meaning="Whoever chooses part of what is sent learns the rest from its length (CRIME, CVE-2012-4929).",
    ),
    section.server(
        "drown",
        "SSL 2.0 is not spoken",
        "R2246-E.1-06",
        conversation=(
            Send(v2_hello(version=0x0002, specs=SSL_2_SPECS)),
            expect(refusal(), alert(), closed(), silent()),
        ),
        meaning="Recorded TLS connections can be decrypted through SSL 2.0 (DROWN, CVE-2016-0800).",
    ),
    section.server(
        "heartbleed",
        "a heartbeat that lies about its length tells nothing",
        "R2246-A.1-01",
        connect=connect(extensions=(Extension(15, b"\1"),)),
        conversation=(through("client_hello"), Send(record(24, b"\1\x40\0", waits=True)), Check(no_over_read)),
        meaning="The server's memory can be read, keys included (Heartbleed, CVE-2014-0160).",
    ),
    section.client(
        "heartbleed",
        "a heartbeat that lies about its length tells nothing",
        "R2246-A.1-01",
        conversation=(through("server_hello"), Send(record(24, b"\1\x40\0")), Check(no_over_read)),
        meaning="The client's memory can be read (Heartbleed, CVE-2014-0160).",
    ),
    *(
        probe
        for name, kinds in (
            ("rc4", ("RC4_128", "RC4_40")),
            ("null", ("NULL",)),
            ("anonymous", ("anonymous",)),
            ("export", ("export",)),
            ("des", ("DES_CBC", "DES40_CBC")),
        )
        for probe in section.both(
            f"weak-{name}",
            f"no suite is enabled that is weak ({name})",
            "R2246-D.4-01",
            conversation=(Observe(), Check(uses(*kinds))),
            meaning="What goes over such a connection can be read or changed by others.",
        )
    ),
    *_intolerance(),
)
