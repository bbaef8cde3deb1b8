"""§6.3: keys. That they are right shows in records that can be read, in both directions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tlsexit.conformance.actions import (
    Alive,
    Check,
    Resume,
    completed_and_closed,
    connect,
    demanded,
    established,
    handshake,
)
from tlsexit.conformance.model import Group, Probe
from tlsexit.conformance.needs import RESUMES, SuiteChoice
from tlsexit.conformance.records import authentic
from tlsexit.conformance.talk import Talk
from tlsexit.crypto.suites import KeyExchange

section = Group("6.3")
example = Group("6.3.1")

_EXPORT: Final = (
    KeyExchange.RSA_EXPORT,
    KeyExchange.DHE_RSA_EXPORT,
    KeyExchange.DHE_DSS_EXPORT,
    KeyExchange.DH_ANON_EXPORT,
)


def resumed(talk: Talk) -> str | None:
    """The second handshake took up the session of the first."""
    return None if talk.puppet.resumed else talk.inapplicable("the session was not resumed this time")


def of_family(cipher: str, *, export: bool = False, mac: str | None = None) -> SuiteChoice:
    """Any suite with this cipher."""
    name = f"{cipher}{f' and {mac}' if mac else ''}"
    if not export:
        return SuiteChoice(name, cipher=cipher, mac=mac)
    return SuiteChoice(name, cipher=cipher, mac=mac, exchange=_EXPORT, export=True)


def _families() -> Iterator[Probe]:
    families = {
        "RC4_128": ("R2246-6.3-01", "R2246-6.3-02"),
        "3DES_EDE_CBC": ("R2246-6.3-01", "R2246-6.3-02"),
        "DES_CBC": ("R2246-6.3-01", "R2246-6.3-02"),
        "IDEA_CBC": ("R2246-6.3-01", "R2246-6.3-02"),
        "AES_128_CBC": ("R2246-6.3-01", "R2246-6.3-02"),
        "AES_256_CBC": ("R2246-6.3-01", "R2246-6.3-02"),
        "CAMELLIA_128_CBC": ("R2246-6.3-01", "R2246-6.3-02"),
        "CAMELLIA_256_CBC": ("R2246-6.3-01", "R2246-6.3-02"),
        "SEED_CBC": ("R2246-6.3-01", "R2246-6.3-02"),
        "NULL": ("R2246-6.3-01",),
    }
    for cipher, requirements in families.items():
        yield from section.both(
            f"keys-{cipher}".lower().replace("_", "-"),
            f"keys for {cipher} come from the key block as they should",
            *requirements,
            connect=connect(suites=of_family(cipher)),
            conversation=(*demanded(), Check(authentic)),
        )


def _export() -> Iterator[Probe]:
    for cipher, requirements in (
        ("RC4_40", ("R2246-6.3-06",)),
        ("DES40_CBC", ("R2246-6.3-06", "R2246-6.3-07", "R2246-6.3-04")),
    ):
        yield from section.both(
            f"export-{cipher}".lower().replace("_", "-"),
            f"exportable keys for {cipher} are derived in two steps",
            *requirements,
            connect=connect(suites=of_family(cipher, export=True)),
            conversation=(*demanded(), Check(authentic)),
        )
    yield from example.both(
        "rc2-cbc-40",
        "the example of the text: RC2_CBC_40 with MD5",
        "R2246-6.3.1-01",
        "R2246-6.3-07",
        connect=connect(suites=of_family("RC2_CBC_40", export=True)),
        conversation=(*demanded(), Check(authentic)),
    )


PROBES: Final = (
    *_families(),
    *_export(),
    *section.both(
        "fresh-when-resumed",
        "a resumed session has keys of its own",
        "R2246-6.3-08",
        needs=(RESUMES,),
        conversation=(
            *completed_and_closed(),
            connect(resume=Resume.ID),
            handshake(),
            established(),
            Check(resumed),
            Alive(),
            Check(authentic),
        ),
    ),
)
