"""§6.2.3.1: stream ciphers, §6.2.3.2: block ciphers in CBC mode."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from tlsexit.conformance.actions import (
    Check,
    Do,
    Observe,
    connect,
    demanded,
    established,
    expect,
    handshake,
)
from tlsexit.conformance.expect import alert, closed, goes_on, refusal
from tlsexit.conformance.model import Group, Probe
from tlsexit.conformance.needs import CBC, CBC_8, CBC_16, MD5_MAC, NULL, RC4, SHA_MAC, STREAM, SuiteChoice
from tlsexit.conformance.records import (
    authentic,
    authentication_refused,
    bare,
    data,
    drip,
    layout,
    no_explicit_iv,
    resized,
    tampered,
)
from tlsexit.conformance.talk import Talk
from tlsexit.puppet import Puppet, Sealing
from tlsexit.puppet.writer import padding_of

macs = Group("6.2.3.1")
padding = Group("6.2.3.2")

_ORACLE: Final = "An attacker who can tell these cases apart decrypts records byte by byte (Vaudenay 2002)."


def longer(blocks: int) -> Callable[[Puppet, int], Sealing]:
    """Padding that is so many blocks longer than it has to be."""

    def sealing(puppet: Puppet, number: int) -> Sealing:
        return Sealing(padding=lambda shortest: padding_of(shortest[-1] + blocks * puppet.writer.block_size))

    return sealing


def every_length(puppet: Puppet, number: int) -> Sealing:
    """Each record a block longer than the one before, up to the longest, and then from the beginning."""
    size = puppet.writer.block_size

    def stretched(shortest: bytes) -> bytes:
        choices = (255 - shortest[-1]) // size + 1
        return padding_of(shortest[-1] + (number * 5 % choices) * size)

    return Sealing(padding=stretched)


def wrong_at(position: Callable[[int], int]) -> Sealing:
    """Long padding with one wrong byte: ``position`` gives its place, from the number of padding bytes."""

    def spoilt(shortest: bytes) -> bytes:
        good = bytearray(padding_of(shortest[-1] + 160))  # a whole number of blocks of either size
        good[position(len(good) - 1)] ^= 1
        return bytes(good)

    return Sealing(padding=spoilt)


def warning_and_empty(talk: Talk) -> None:
    """Send an empty record, a warning, and another empty record."""
    puppet = talk.puppet
    talk.deviated = True
    puppet.send_record(23, b"")
    puppet.send_alert(1, 112)
    puppet.send_record(23, b"")


def _authenticated() -> Iterator[Probe]:
    """§6.2.3.1: the MAC, with every hash and with both kinds of cipher."""
    for suites in (MD5_MAC, SHA_MAC):
        yield from macs.both(
            f"mac-{suites.mac}".lower(),
            f"records carry the right HMAC-{suites.mac} over number, header and content",
            "R2246-6.2.3.1-01",
            "R2246-6.2.3.1-03",
            connect=connect(suites=suites),
            conversation=(Observe(), Check(authentic), Check(layout)),
        )


def _misshapen() -> Iterator[Probe]:
    """§6.2.3.1: records too short for what they must hold."""
    cases: tuple[tuple[str, SuiteChoice, int], ...] = (
        ("empty", STREAM, 0),
        ("one-byte", STREAM, 1),
        ("almost-a-mac", STREAM, 15),
        ("empty-cbc", CBC, 0),
        ("block-8-too-few", CBC_8, 16),
        ("block-16-too-few", CBC_16, 16),
    )
    for name, suites, size in cases:
        yield from macs.both(
            f"short-{name}",
            f"a protected record of {size} bytes is too short to be one",
            "R2246-6.2.3.1-06",
            connect=connect(suites=suites),
            conversation=(handshake(), established(), bare(23, bytes(size)), expect(refusal())),
        )


def _bad_padding() -> Iterator[Probe]:
    """§6.2.3.2: all of the padding counts."""
    places: dict[str, Callable[[int], int]] = {
        "first": lambda count: 0,
        "middle": lambda count: count // 2,
        "last": lambda count: count - 1,
    }
    for name, place in places.items():
        yield from padding.both(
            f"wrong-{name}-byte",
            f"padding whose {name} byte is wrong is refused",
            "R2246-6.2.3.2-05",
            connect=connect(suites=CBC),
            meaning="Padding that is not looked at makes POODLE work against TLS (CVE-2014-8730).",
            conversation=(handshake(), established(), data(wrong_at(place)), expect(*authentication_refused())),
        )
    changes: dict[str, Callable[[bytes], bytes]] = {
        "cut": lambda body: body[:-1],
        "stretched": lambda body: body + b"\0",
    }
    for name, change in changes.items():
        yield from padding.both(
            f"misaligned-{name}",
            f"a record that is {name} by one byte is refused",
            "R2246-6.2.3.2-06",
            connect=connect(suites=CBC),
            conversation=(
                handshake(),
                established(),
                tampered(resized(change)),
                expect(alert(50).noted("decode_error"), *authentication_refused()),
            ),
        )


PROBES: Final = (
    *_authenticated(),
    *macs.both(
        "length-under-the-mac",
        "the length under the MAC is that of the content, whatever the padding",
        "R2246-6.2.3.1-02",
        connect=connect(suites=CBC),
        conversation=(handshake(), established(), drip(longer(2)), expect(*goes_on())),
    ),
    *macs.both(
        "rc4-goes-on",
        "RC4 goes on from record to record, whatever is in them",
        "R2246-6.2.3.1-04",
        connect=connect(suites=RC4),
        conversation=(*demanded(), Check(authentic)),
    ),
    *macs.both(
        "rc4-with-empty-records",
        "RC4 goes on over empty records, too",
        "R2246-6.2.3.1-04",
        connect=connect(suites=RC4),
        conversation=(handshake(), established(), drip(empty=1), expect(*goes_on()), Check(authentic)),
    ),
    *macs.both(
        "null-is-authentic",
        "without encryption records are content and MAC",
        "R2246-6.2.3.1-05",
        connect=connect(suites=NULL),
        conversation=(Observe(), Check(layout)),
    ),
    *macs.both(
        "null-mac-is-checked",
        "without encryption the MAC is checked all the same",
        "R2246-6.2.3.1-05",
        connect=connect(suites=NULL),
        conversation=(
            handshake(),
            established(),
            tampered(lambda raw: raw[:5] + bytes([raw[5] ^ 1]) + raw[6:]),
            expect(*authentication_refused()),
        ),
    ),
    *_misshapen(),
    *(
        probe
        for suites, size in ((CBC_8, 8), (CBC_16, 16))
        for probe in padding.both(
            f"layout-{size}",
            f"records with {size}-byte blocks are content, MAC and right padding",
            "R2246-6.2.3.2-01",
            "R2246-6.2.3.2-02",
            "R2246-6.2.3.2-03",
            connect=connect(suites=suites),
            conversation=(Observe(), Check(layout)),
        )
    ),
    *(
        probe
        for suites, size in ((CBC_8, 8), (CBC_16, 16))
        for probe in padding.both(
            f"no-iv-{size}",
            f"records with {size}-byte blocks have no initialization vector of their own",
            "R2246-6.2.3.2-08",
            connect=connect(suites=suites),
            conversation=(Observe(), Check(no_explicit_iv)),
        )
    ),
    *(
        probe
        for suites, size in ((CBC_8, 8), (CBC_16, 16))
        for probe in padding.both(
            f"every-length-{size}",
            f"padding of every length is accepted with {size}-byte blocks",
            "R2246-6.2.3.2-04",
            connect=connect(suites=suites),
            conversation=(
                handshake(),
                established(),
                drip(every_length, empty=1),
                expect(*goes_on()),
            ),
        )
    ),
    *padding.both(
        "longest",
        "padding of 255 bytes, or as near as blocks allow, is accepted",
        "R2246-6.2.3.2-04",
        connect=connect(suites=CBC),
        conversation=(
            handshake(),
            established(),
            data(Sealing(padding=lambda shortest: padding_of(shortest[-1] + (255 - shortest[-1]) // 16 * 16))),
            expect(*goes_on()),
        ),
    ),
    *_bad_padding(),
    *padding.both(
        "chained",
        "each record goes on from the last block of the one before",
        "R2246-6.2.3.2-07",
        connect=connect(suites=CBC),
        conversation=(*demanded(), Check(authentic)),
    ),
    *padding.both(
        "chained-over-types",
        "the chain runs across alerts and empty records",
        "R2246-6.2.3.2-10",
        connect=connect(suites=CBC),
        conversation=(
            handshake(),
            established(),
            Do(warning_and_empty),
            drip(empty=1),
            expect(*goes_on(), closed().noted("the warning ends the connection, as it may")),
            Check(authentic),
        ),
    ),
    *padding.both(
        "no-room-for-the-mac",
        "a padding_length that leaves no room for the MAC is refused like a wrong MAC",
        "R2246-6.2.3.2-09",
        connect=connect(suites=CBC),
        meaning=_ORACLE,
        conversation=(
            handshake(),
            established(),
            data(Sealing(plain=lambda plain: plain[:-1] + b"\xff")),
            expect(*authentication_refused()),
        ),
    ),
)
