"""§9, §10 and appendices A to C."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from tlsexit.conformance.actions import (
    Alive,
    Check,
    Observe,
    Repeat,
    Send,
    after,
    before,
    connect,
    established,
    expect,
    handshake,
    refused,
    through,
)
from tlsexit.conformance.expect import answered, closed, completed, refusal, silent
from tlsexit.conformance.model import Group, Probe
from tlsexit.conformance.needs import (
    APPLICATION,
    DHE_EXPORT,
    RSA_EXPORT,
    Need,
    SuiteChoice,
)
from tlsexit.conformance.probes.section_7_4_1_3 import choosing
from tlsexit.conformance.probes.section_7_4_2 import temporary_key_fits
from tlsexit.conformance.probes.section_7_4_3 import group_of
from tlsexit.conformance.talk import Talk
from tlsexit.crypto.suites import SUITES
from tlsexit.handshake import keyexchange as kx
from tlsexit.puppet.steps import application_data, server_key_exchange_with

mandatory = Group("9")
data = Group("10")
types = Group("A.1")
messages = Group("A.4")
suites = Group("A.5")
des = Group("B")
definitions = Group("C")

DHE_DSS_3DES: Final = SuiteChoice("DHE_DSS and 3DES", values=(0x0013,))
DES: Final = SuiteChoice("DES", cipher="DES_CBC")
ANON_EXPORT_DES: Final = SuiteChoice("DH_anon_EXPORT and DES40", values=(0x0019,))

_ANONYMOUS: Final = tuple(value for value, suite in SUITES.items() if suite.key_exchange.anonymous)
EXPORT_SUITES: Final = tuple(value for value, suite in SUITES.items() if suite.key_exchange.export)

NO_ANONYMOUS: Final = Need(
    "the target has anonymous suites",
    lambda found: not any(value in _ANONYMOUS for value in (*found.suites, *found.offered)),
)

HANDSHAKE_TYPES: Final = frozenset({0, 1, 2, 4, 11, 12, 13, 14, 15, 16, 20, 21, 22})


def offers(*values: int) -> Callable[[Talk], str | None]:
    """The client offers none of these suites."""

    def wrong(talk: Talk) -> str | None:
        hello = talk.puppet.client_hello
        assert hello is not None
        found = [value for value in values if value in hello.cipher_suites]
        return f"suite 0x{found[0]:04X} is offered" if found else None

    return wrong


def content_types(talk: Talk) -> str | None:
    """20 to 23, nothing else."""
    odd = {item.content_type for item in talk.puppet.records} - {20, 21, 22, 23}
    return f"a record of type {min(odd)} came" if odd else None


def handshake_types(talk: Talk) -> str | None:
    """The types of the table, and those that extensions have added."""
    odd = {item.raw[0] for item in talk.puppet.heard if item.content_type == 22} - HANDSHAKE_TYPES
    return f"a message of type {min(odd)} came" if odd else None


def offers_the_mandatory_suite(talk: Talk) -> str | None:
    """0x0013 is among the client's suites; nobody does that any more."""
    hello = talk.puppet.client_hello
    assert hello is not None
    return None if 0x0013 in hello.cipher_suites else "TLS_DHE_DSS_WITH_3DES_EDE_CBC_SHA is not offered"


def has_the_mandatory_suite(talk: Talk) -> str | None:
    """0x0013 is among the server's suites."""
    return None if 0x0013 in talk.capabilities.suites else "TLS_DHE_DSS_WITH_3DES_EDE_CBC_SHA is not accepted"


def short_prime(talk: Talk) -> str | None:
    """dh_p of export suites has 512 bits at most."""
    params = talk.puppet.server_params
    if not isinstance(params, kx.ServerDHParams):
        return "the parameters are not those of Diffie-Hellman"
    bits = int.from_bytes(params.dh_p, "big").bit_length()
    return None if bits <= 512 else f"the prime has {bits} bits"


def _payloads() -> Iterator[Probe]:
    """Data is opaque, whatever its size and whatever it looks like."""
    payloads = {
        "1": b"G",
        "16384": b"x" * 2**14,
        "16385": b"x" * (2**14 + 1),
        "looks-like-records": b"\x15\3\1\0\2\2\x28\x16\3\1\0\4\1\0\0\0" * 50,
    }
    for name, payload in payloads.items():
        pieces = [payload[at : at + 2**14] for at in range(0, len(payload), 2**14)]
        yield from data.both(
            f"size-{name}" if name.isdigit() else name,
            f"application data is opaque ({name.replace('-', ' ')})",
            "R2246-10-01",
            conversation=(
                handshake(),
                established(),
                *(Send(application_data(piece)) for piece in pieces),
                expect(silent(), answered(), closed().noted("the application has ended")),
            ),
        )


def has_suite(talk: Talk, values: tuple[int, ...]) -> str | None:
    found = [value for value in talk.capabilities.suites if value in values]
    return f"{SUITES[found[0]].name} is accepted" if found else None


PROBES: Final = (
    mandatory.server(
        "mandatory-suite",
        "the server has TLS_DHE_DSS_WITH_3DES_EDE_CBC_SHA",
        "R2246-9-01",
        level="SHOULD",
        conversation=(Observe(), Check(has_the_mandatory_suite)),
    ),
    mandatory.client(
        "mandatory-suite",
        "the client offers TLS_DHE_DSS_WITH_3DES_EDE_CBC_SHA",
        "R2246-9-01",
        level="SHOULD",
        conversation=(Observe(), Check(offers_the_mandatory_suite)),
    ),
    *mandatory.both(
        "mandatory-suite-works",
        "a handshake with TLS_DHE_DSS_WITH_3DES_EDE_CBC_SHA completes",
        "R2246-9-01",
        connect=connect(suites=DHE_DSS_3DES),
        conversation=(handshake(), established(), Alive()),
    ),
    *_payloads(),
    data.server(
        "answered",
        "a request is answered",
        "R2246-10-01",
        needs=(APPLICATION,),
        conversation=(handshake(), established(), Alive()),
    ),
    *types.both(
        "content-types",
        "records are of types 20 to 23",
        "R2246-A.1-01",
        survey=True,
        conversation=(Check(content_types),),
    ),
    *messages.both(
        "handshake-types",
        "handshake messages are of the types in the table",
        "R2246-A.4-01",
        survey=True,
        conversation=(Check(handshake_types),),
    ),
    suites.server(
        "null-null",
        "nothing but TLS_NULL_WITH_NULL_NULL is refused",
        "R2246-A.5-01",
        connect=connect(hello={"cipher_suites": (0x0000,)}),
        conversation=(through("client_hello"), refused()),
    ),
    suites.client(
        "null-null",
        "TLS_NULL_WITH_NULL_NULL is refused",
        "R2246-A.5-01",
        conversation=(*choosing(lambda talk: {"cipher_suite": 0x0000}), refused()),
    ),
    suites.client(
        "never-offered",
        "neither TLS_NULL_WITH_NULL_NULL nor a reserved suite is offered",
        "R2246-A.5-01",
        "R2246-A.5-03",
        conversation=(Observe(), Check(offers(0x0000, 0x001C, 0x001D))),
    ),
    suites.server(
        "anonymous",
        "anonymous suites are off by default",
        "R2246-A.5-02",
        needs=(NO_ANONYMOUS,),
        connect=connect(hello={"cipher_suites": _ANONYMOUS}),
        conversation=(through("client_hello"), refused()),
    ),
    suites.server(
        "anonymous-on",
        "no anonymous suite is accepted",
        "R2246-A.5-02",
        conversation=(Observe(), Check(lambda talk: has_suite(talk, _ANONYMOUS))),
    ),
    suites.client(
        "anonymous",
        "no anonymous suite is offered",
        "R2246-A.5-02",
        conversation=(Observe(), Check(offers(*_ANONYMOUS))),
    ),
    suites.server(
        "reserved",
        "nothing but reserved suites is refused",
        "R2246-A.5-03",
        connect=connect(hello={"cipher_suites": (0x001C, 0x001D)}),
        conversation=(through("client_hello"), refused()),
    ),
    suites.client(
        "reserved",
        "a reserved suite is refused",
        "R2246-A.5-03",
        conversation=(*choosing(lambda talk: {"cipher_suite": 0x001C}), refused()),
    ),
    *des.both(
        "parity",
        "DES keys are used as they come, parity and all",
        "R2246-B-01",
        connect=connect(suites=DES),
        conversation=(Repeat(2, (connect(suites=DES), handshake(), established(), Alive())),),
    ),
    definitions.server(
        "export-rsa",
        "RSA_EXPORT has an encryption key of 512 bits at most",
        "R2246-C-02",
        connect=connect(suites=RSA_EXPORT),
        conversation=(Observe(), Check(temporary_key_fits)),
    ),
    definitions.server(
        "export-dhe",
        "DHE_EXPORT has a prime of 512 bits at most",
        "R2246-C-02",
        connect=connect(suites=DHE_EXPORT),
        conversation=(Observe(), Check(short_prime)),
    ),
    definitions.client(
        "export-dhe",
        "a prime of 1024 bits in DHE_EXPORT",
        "R2246-C-02",
        level="SHOULD",
        connect=connect(suites=DHE_EXPORT),
        conversation=(
            before("server_key_exchange"),
            Send(server_key_exchange_with(group_of("modp1024"))),
            after("server_key_exchange"),
            expect(refusal(), completed().noted("a longer prime is no harm")),
        ),
    ),
    *definitions.both(
        "anonymous-export",
        "TLS_DH_anon_EXPORT_WITH_DES40_CBC_SHA derives its keys as export suites do",
        "R2246-C-03",
        connect=connect(suites=ANON_EXPORT_DES),
        conversation=(handshake(), established(), Alive()),
    ),
)
