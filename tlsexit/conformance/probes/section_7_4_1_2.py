"""§7.4.1.2: ClientHello. What session ids are about is in :mod:`.section_7_4_1_2_sessions`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

from tlsexit.conformance.actions import (
    Action,
    Altered,
    Check,
    Do,
    Observe,
    Repeat,
    Send,
    before,
    completed_and_closed,
    connect,
    established,
    expect,
    handshake,
    refused,
    through,
)
from tlsexit.conformance.actions import Resume as By
from tlsexit.conformance.changes import surplus
from tlsexit.conformance.expect import said
from tlsexit.conformance.model import Group, Probe
from tlsexit.conformance.needs import ASKS, EPHEMERAL, RENEGOTIATES, RESUMES, RSA
from tlsexit.conformance.talk import Talk
from tlsexit.constants import EMPTY_RENEGOTIATION_INFO_SCSV, Role
from tlsexit.crypto.suites import SUITES
from tlsexit.handshake.extensions import Extension
from tlsexit.handshake.hello import ClientHello, ServerHello
from tlsexit.puppet.steps import (
    certificate_message,
    change_cipher_spec,
    client_hello,
    finished,
    raw_message,
    record,
    server_hello_done,
)

section = Group("7.4.1.2")

GREASE: Final = (0x0A0A, 0xFEFE, 0xFFFF)
"""Suite values that nobody has (RFC 8701 has more of the first kind)."""

_SAMPLES: Final = 8
"""Hellos that are compared with each other."""


def peer_hello(talk: Talk) -> ClientHello | ServerHello | None:
    """What the target has said in its hello."""
    puppet = talk.puppet
    return puppet.client_hello if puppet.role is Role.SERVER else puppet.server_hello


def keep_random(talk: Talk) -> None:
    """Remember the random of the target's hello."""
    hello = peer_hello(talk)
    if hello is not None:
        talk.memory.setdefault("randoms", []).append(hello.random)


def randoms_differ(talk: Talk) -> str | None:
    """No random comes twice, nor do its 28 random bytes."""
    drawn = talk.memory["randoms"]
    return "a random came twice" if len({item[4:] for item in drawn}) < len(drawn) else None


def randoms_look_random(talk: Talk) -> str | None:
    """About half of the bits are set: six standard deviations are one run in a thousand million."""
    bits = b"".join(item[4:] for item in talk.memory["randoms"])
    count, ones = 8 * len(bits), sum(value.bit_count() for value in bits)
    return f"{ones} of {count} random bits are set" if abs(ones - count / 2) > 3 * count**0.5 else None


def first_is_client_hello(talk: Talk) -> str | None:
    """The first message of a connection."""
    first = talk.puppet.messages[0]
    return None if isinstance(first, ClientHello) else f"{type(first).__name__} came first"


def offers_null(talk: Talk) -> str | None:
    """compression_methods contains null."""
    hello = talk.puppet.client_hello
    return None if hello is not None and 0 in hello.compression_methods else "null is not among compression_methods"


def chose_null(talk: Talk) -> str | None:
    """The server compresses nothing."""
    hello = talk.puppet.server_hello
    return None if hello is not None and hello.compression_method == 0 else "null was offered and not chosen"


def offers_no_suite_twice(talk: Talk) -> str | None:
    """A list in order of preference has each suite once."""
    hello = talk.puppet.client_hello
    assert hello is not None
    twice = {value for value in hello.cipher_suites if hello.cipher_suites.count(value) > 1}
    return f"suite 0x{min(twice):04X} is offered twice" if twice else None


def offers_its_best_version(talk: Talk) -> str | None:
    """client_version is TLS 1.0 or above."""
    hello = talk.puppet.client_hello
    assert hello is not None
    return None if hello.client_version >= 0x0301 else f"client_version is 0x{hello.client_version:04X}"


def offer_suites(*values: int) -> Do:
    """Offer these suites around the one that the target has."""

    def act(talk: Talk) -> None:
        first, *others = values
        talk.puppet.hello["cipher_suites"] = (first, *talk.puppet.suites, *others)

    return Do(act)


def offer_unusable_suites(talk: Talk) -> None:
    """Offer every suite that exists and that the target did not want to use."""
    unusable = tuple(value for value in SUITES if value not in talk.capabilities.suites and not SUITES[value].weak)
    if not unusable or talk.capabilities.highest_version > 0x0301:
        talk.inapplicable("it is not known which suites the target cannot do")
    talk.puppet.hello["cipher_suites"] = (*unusable, EMPTY_RENEGOTIATION_INFO_SCSV)


def _not_first() -> Iterator[Probe]:
    first: dict[str, Any] = {
        "client-key-exchange": raw_message(16, bytes(8)),
        "certificate": raw_message(11, bytes(3)),
        "finished": raw_message(20, bytes(12)),
        "application-data": record(23, b"GET / HTTP/1.0\r\n\r\n"),
    }
    for name, step in first.items():
        yield section.server(
            f"first-{name}",
            f"a connection that begins with {name.replace('-', ' ')} is refused",
            "R2246-7.4.1.2-01",
            conversation=(Send(step), refused()),
        )


def _not_second() -> Iterator[Probe]:
    second = {
        "certificate": certificate_message,
        "server-hello-done": server_hello_done,
        "change-cipher-spec": change_cipher_spec,
        "finished": finished,
    }
    for name, step in second.items():
        yield section.client(
            f"answered-with-{name}",
            f"{name.replace('-', ' ')} in place of ServerHello is refused",
            "R2246-7.4.1.2-19",
            conversation=(Send(replace(step, waits=False)), refused()),
        )


def _times() -> Iterator[Probe]:
    for name, seconds in (("zero", bytes(4)), ("maximum", b"\xff" * 4), ("odd", bytes.fromhex("5a17c3e9"))):
        yield from section.both(
            f"clock-{name}",
            f"gmt_unix_time {int.from_bytes(seconds, 'big')} is no reason to fail",
            "R2246-7.4.1.2-04",
            connect=connect(hello={"random": seconds + os.urandom(28)}),
            conversation=(handshake(), established()),
        )


def _surplus() -> Iterator[Probe]:
    """One byte too many in each message, its header counting it."""
    server: tuple[tuple[str, dict[str, Any]], ...] = (
        ("certificate", {"needs": (ASKS,)}),
        ("client_key_exchange", {}),
        ("certificate_verify", {"needs": (ASKS,)}),
        ("finished", {}),
    )
    client: tuple[tuple[str, dict[str, Any]], ...] = (
        ("server_hello", {}),
        ("certificate", {}),
        ("server_key_exchange", {"connect": connect(suites=EPHEMERAL)}),
        ("certificate_request", {"connect": connect(request=True)}),
        ("server_hello_done", {}),
        ("finished", {}),
    )
    for make, steps in ((section.server, server), (section.client, client)):
        for name, fields in steps:
            yield make(
                f"surplus-{name.replace('_', '-')}",
                f"a byte behind the end of {name} is refused",
                "R2246-7.4.1.2-21",
                conversation=(before(name), Altered(name, surplus), refused()),
                **fields,
            )


def _collect(*actions: Action) -> tuple[Action, ...]:
    return (Repeat(_SAMPLES, (connect(), *actions, Do(keep_random))), Check(randoms_differ), Check(randoms_look_random))


PROBES: Final = (
    section.client(
        "first",
        "a client's first message is ClientHello",
        "R2246-7.4.1.2-01",
        conversation=(Observe(), Check(first_is_client_hello)),
    ),
    *_not_first(),
    section.server(
        "random",
        "28 bytes of the server's random are random",
        "R2246-7.4.1.2-03",
        "R2246-7.4.1.2-05",
        conversation=_collect(through("client_hello"), expect(said(ServerHello))),
    ),
    section.client(
        "random",
        "28 bytes of the client's random are random",
        "R2246-7.4.1.2-03",
        "R2246-7.4.1.2-05",
        conversation=_collect(),
    ),
    *section.both(
        "random-resumed",
        "a resumed session has a fresh random",
        "R2246-7.4.1.2-05",
        needs=(RESUMES,),
        conversation=(
            *completed_and_closed(),
            Do(keep_random),
            connect(resume=By.ID),
            handshake(),
            established(),
            Do(keep_random),
            Check(randoms_differ),
        ),
    ),
    section.server(
        "random-renegotiated",
        "a renegotiation has a fresh random",
        "R2246-7.4.1.2-05",
        needs=(RENEGOTIATES,),
        conversation=(
            handshake(),
            established(),
            Do(keep_random),
            handshake(),
            established(),
            Do(keep_random),
            Check(randoms_differ),
        ),
    ),
    *_times(),
    section.client(
        "suites",
        "the client lists its suites, each once",
        "R2246-7.4.1.2-11",
        conversation=(Observe(), Check(offers_no_suite_twice)),
    ),
    section.server(
        "unknown-suites-only",
        "nothing but unknown suites is answered with handshake_failure",
        "R2246-7.4.1.2-12",
        connect=connect(hello={"cipher_suites": GREASE}),
        conversation=(through("client_hello"), refused()),
    ),
    section.server(
        "unusable-suites-only",
        "nothing but suites that the server has no use for is answered with handshake_failure",
        "R2246-7.4.1.2-12",
        conversation=(Do(offer_unusable_suites), Send(client_hello), refused()),
    ),
    section.server(
        "unknown-suites",
        "unknown suites before and behind a known one are skipped",
        "R2246-7.4.1.2-13",
        conversation=(offer_suites(*GREASE), handshake(), established()),
    ),
    section.client(
        "compression",
        "compression_methods contains null",
        "R2246-7.4.1.2-14",
        "R2246-7.4.1.2-18",
        conversation=(Observe(), Check(offers_null)),
    ),
    section.server(
        "compression-without-null",
        "compression_methods without null is refused",
        "R2246-7.4.1.2-14",
        connect=connect(hello={"compression_methods": (1,)}),
        conversation=(through("client_hello"), refused()),
    ),
    section.server(
        "compression-without-null-2",
        "several compression_methods without null among them are refused",
        "R2246-7.4.1.2-14",
        connect=connect(hello={"compression_methods": (1, 64)}),
        conversation=(through("client_hello"), refused()),
    ),
    section.server(
        "compression-unknown",
        "unknown compression methods beside null are skipped",
        "R2246-7.4.1.2-14",
        "R2246-7.4.1.3-10",
        connect=connect(hello={"compression_methods": (0x42, 0xE0, 0)}),
        conversation=(handshake(), established(), Check(chose_null)),
    ),
    section.client(
        "version",
        "client_version is the highest that the client has",
        "R2246-7.4.1.2-15",
        conversation=(Observe(), Check(offers_its_best_version)),
    ),
    *_not_second(),
    section.server(
        "unknown-extension",
        "an extension that nobody knows is skipped",
        "R2246-7.4.1.2-20",
        connect=connect(extensions=(Extension(0x7A7A, b"whatever"), Extension(0x1234, b""))),
        conversation=(handshake(), established()),
    ),
    section.server(
        "unknown-extension-rsa",
        "extra data of a ClientHello enters the hashes",
        "R2246-7.4.1.2-20",
        connect=connect(suites=RSA, extensions=(Extension(0x7A7A, bytes(300)),)),
        conversation=(handshake(), established()),
    ),
    *_surplus(),
)
