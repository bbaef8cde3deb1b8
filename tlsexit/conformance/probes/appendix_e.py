"""Appendix E: version negotiation with what came before, and the hello in SSL 2.0 format."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from tlsexit.conformance.actions import (
    Check,
    Do,
    Observe,
    Send,
    after,
    completed_and_closed,
    connect,
    established,
    expect,
    rebuilt,
    through,
)
from tlsexit.conformance.actions import Resume as By
from tlsexit.conformance.expect import alert, closed, completed, refusal, said
from tlsexit.conformance.model import Group, Probe
from tlsexit.conformance.needs import RESUMES, V2_HELLO
from tlsexit.conformance.talk import Talk
from tlsexit.constants import EMPTY_RENEGOTIATION_INFO_SCSV
from tlsexit.handshake.hello import ClientHello, ServerHello
from tlsexit.handshake.v2hello import V2_CLIENT_HELLO_HEADER, V2ClientHelloHeader, parse_v2_client_hello
from tlsexit.puppet import Puppet, Sealing, Step
from tlsexit.wire import build

versions = Group("E")
hellos = Group("E.1")

BARE: Final = connect(hello={"extensions": None})
"""A hello in SSL 2.0 format has no room for extensions."""

SSL_2_SPECS: Final = bytes.fromhex("010080 020080 030080 040080 050080 060040 0700c0")


def v2_hello(**fields: Any) -> Step:
    """A ClientHello in SSL 2.0 format.

    ``specs`` and ``challenge`` are bytes or, for ``specs``, made from the puppet's suites by default; ``version``,
    ``msg_type``, ``session_id`` and ``spec_length`` (which may lie) are what they say.
    """

    def built(puppet: Puppet) -> bytes:
        puppet.client_hello = None
        own = b"".join(b"\0" + suite.to_bytes(2, "big") for suite in puppet.suites)
        specs: bytes = fields.get("specs", own)
        session_id: bytes = fields.get("session_id", b"")
        challenge: bytes = fields.get("challenge", puppet.random(32))
        header = V2ClientHelloHeader(
            fields.get("msg_type", 1),
            fields.get("version", 0x0301),
            fields.get("spec_length", len(specs)),
            len(session_id),
            len(challenge),
        )
        raw = build(V2_CLIENT_HELLO_HEADER, header) + specs + session_id + challenge
        puppet.transcript = puppet.transcript.add(raw)
        puppet.client_hello = ClientHello(
            client_version=fields.get("version", 0x0301),
            random=challenge[-32:].rjust(32, b"\0"),
            session_id=session_id,
            cipher_suites=puppet.suites,
            compression_methods=(0,),
        )
        return (0x8000 | len(raw)).to_bytes(2, "big") + raw

    return Step("client_hello", built, None)


def version_1_0(talk: Talk, hello: ServerHello) -> str | None:
    """The server has settled on TLS 1.0, or on what it has above that."""
    if hello.server_version == min(0x0303, talk.capabilities.highest_version):
        return None
    return f"server_version is 0x{hello.server_version:04X}"


def first_record_version(talk: Talk) -> str | None:
    """The first record says {3,0} or {3,1}: old servers take nothing else."""
    if not talk.puppet.records or talk.puppet.records[0].content_type != 22:
        talk.inapplicable("the client's first message is no record")
    version = talk.puppet.records[0].version
    return None if version in (0x0300, 0x0301) else f"the first record has version 0x{version:04X}"


def no_v2_hello(talk: Talk) -> str | None:
    """The client speaks in records from the first byte on."""
    first = talk.puppet.heard[0]
    if first.raw[1:3] != b"\3\1" or first.raw[0] != 1:
        return None
    talk.warn("the client sends a hello in SSL 2.0 format, which RFC 6176 forbids")
    return _form(first.raw)


def _form(raw: bytes) -> str | None:
    hello = parse_v2_client_hello(raw)
    return None if hello.cipher_suites else "a hello in SSL 2.0 format without a TLS suite"


def challenge_is_32(talk: Talk) -> str | None:
    """A client that sends the old format draws 32 bytes."""
    first = talk.puppet.heard[0].raw
    if first[1:3] != b"\3\1":
        talk.inapplicable("the client sends no hello in SSL 2.0 format")
    size = int.from_bytes(first[7:9], "big")
    return None if size == 32 else f"the challenge has {size} bytes"


def specs_are_threes(talk: Talk) -> str | None:
    """cipher_specs are three bytes each, and no session id of a length that does not exist."""
    first = talk.puppet.heard[0].raw
    if first[1:3] != b"\3\1":
        talk.inapplicable("the client sends no hello in SSL 2.0 format")
    specs, session_id = int.from_bytes(first[3:5], "big"), int.from_bytes(first[5:7], "big")
    if specs == 0 or specs % 3:
        return f"cipher_spec_length is {specs}"
    return None if session_id in (0, 16) else f"session_id_length is {session_id}"


def offers_its_version(talk: Talk) -> str | None:
    """A resuming client offers the session's version or its own highest."""
    hello = talk.puppet.client_hello
    assert hello is not None
    return None if hello.client_version >= 0x0301 else f"client_version is 0x{hello.client_version:04X}"


def _challenges() -> Iterator[Probe]:
    for size in (16, 31, 32, 33, 64):
        challenge = bytes(range(1, size + 1))
        outcomes: tuple[Any, ...] = (completed(),)
        if size > 32:
            outcomes = (completed(), refusal(), alert().noted("longer than a client may send"))
        yield hellos.server(
            f"challenge-{size}",
            f"a challenge of {size} bytes is right-justified into the random",
            "R2246-E.1-04",
            needs=(V2_HELLO,),
            connect=BARE,
            conversation=(Send(v2_hello(challenge=challenge)), after("client_hello"), expect(*outcomes)),
        )
    for size in (15, 0):
        yield hellos.server(
            f"challenge-{size}",
            f"a challenge of {size} bytes is refused or right-justified",
            "R2246-E.1-05",
            needs=(V2_HELLO,),
            connect=BARE,
            conversation=(
                Send(v2_hello(challenge=bytes(range(1, size + 1)))),
                after("client_hello"),
                expect(refusal(), completed(), alert(50).noted("it does not parse")),
            ),
        )


def _record_versions() -> Iterator[Probe]:
    for version in (0x0300, 0x0301):
        yield versions.server(
            f"record-{version:04x}",
            f"a ClientHello in a record of version 0x{version:04X} is accepted",
            "R2246-E-02",
            conversation=(
                rebuilt("client_hello", sealing=Sealing(version=version)),
                after("client_hello"),
                established(),
            ),
        )


PROBES: Final = (
    versions.client(
        "record",
        "the first record has version {3,0} or {3,1}",
        "R2246-E-01",
        conversation=(Observe(), Check(first_record_version)),
    ),
    *_record_versions(),
    versions.server(
        "ssl-3",
        "client_version {3,0} is refused",
        "R2246-E-03",
        connect=connect(hello={"client_version": 0x0300, "extensions": None}),
        conversation=(
            through("client_hello"),
            expect(refusal(), said(ServerHello).warn("the server speaks SSL 3.0, which RFC 7568 forbids")),
        ),
    ),
    versions.client(
        "resuming",
        "a client that resumes offers the session's version, or its highest",
        "R2246-E-04",
        needs=(RESUMES,),
        conversation=(*completed_and_closed(), connect(resume=By.ID), Check(offers_its_version)),
    ),
    versions.client(
        "old-hello",
        "a client sends no hello in SSL 2.0 format unless it is told to",
        "R2246-E-05",
        "R4346-E.1-01",
        "R2246-E-07",
        "R2246-E.1-01",
        conversation=(Observe(), Check(no_v2_hello)),
    ),
    versions.server(
        "old-hello",
        "a hello in SSL 2.0 format leads to TLS 1.0, or to a clean refusal",
        "R2246-E-06",
        connect=BARE,
        conversation=(Send(v2_hello()), after("client_hello"), expect(completed(), refusal(), alert(50, 47))),
    ),
    versions.server(
        "old-hello-suites",
        "the TLS suite is found among the SSL 2.0 ones",
        "R2246-E-07",
        needs=(V2_HELLO,),
        connect=BARE,
        conversation=(
            Do(lambda talk: _among_old_specs(talk)),
            after("client_hello"),
            established(),
        ),
    ),
    hellos.server(
        "version-0303",
        "a hello in SSL 2.0 format for a later version is answered",
        "R2246-E.1-01",
        needs=(V2_HELLO,),
        connect=BARE,
        conversation=(Send(v2_hello(version=0x0303)), expect(said(ServerHello, version_1_0))),
    ),
    *(
        hellos.server(
            name,
            title,
            "R2246-E.1-01",
            connect=BARE,
            conversation=(Send(step), expect(refusal(), alert().noted("an alert of another kind"))),
        )
        for name, title, step in (
            ("type-4", "an SSL 2.0 message of type 4 is refused", v2_hello(msg_type=4)),
            ("version-0002", "a hello for SSL 2.0 itself is refused", v2_hello(version=0x0002, specs=SSL_2_SPECS)),
        )
    ),
    *(
        hellos.server(
            f"specs-{name}",
            f"cipher_spec_length {title} is refused",
            "R2246-E.1-02",
            connect=BARE,
            conversation=(Send(step), expect(refusal(), alert(10, 70).noted("the format is not known"))),
        )
        for name, title, step in (
            ("none", "0", v2_hello(specs=b"")),
            ("four", "4", v2_hello(specs=b"\0\0\x2f\0")),
            ("overrun", "beyond the message", v2_hello(spec_length=3000)),
        )
    ),
    hellos.client(
        "specs",
        "cipher_specs are three bytes each",
        "R2246-E.1-02",
        "R2246-E.1-03",
        "R2246-E.1-06",
        conversation=(Observe(), Check(specs_are_threes)),
    ),
    hellos.server(
        "id-of-16",
        "a session id of 16 bytes leads to a full handshake",
        "R2246-E.1-03",
        needs=(V2_HELLO,),
        connect=BARE,
        conversation=(Send(v2_hello(session_id=bytes(range(16)))), after("client_hello"), established()),
    ),
    *(
        hellos.server(
            f"id-of-{size}",
            f"a session id of {size} bytes is refused",
            "R2246-E.1-03",
            connect=BARE,
            conversation=(
                Send(v2_hello(session_id=bytes(range(size)))),
                expect(
                    refusal(),
                    alert(10, 40, 70).noted("another alert"),
                    said(ServerHello).warn("the length is not looked at"),
                ),
            ),
        )
        for size in (15, 32)
    ),
    *_challenges(),
    hellos.client(
        "challenge",
        "the challenge has 32 bytes",
        "R2246-E.1-04",
        conversation=(Observe(), Check(challenge_is_32)),
    ),
    hellos.server(
        "no-tls-suite",
        "nothing but SSL 2.0 suites is refused",
        "R2246-E.1-06",
        connect=BARE,
        conversation=(
            Send(v2_hello(specs=SSL_2_SPECS)),
            expect(refusal(), alert(10, 70, 50, 47).noted("the format is not known"), closed()),
        ),
    ),
)


def _among_old_specs(talk: Talk) -> None:
    """Offer the target's suite behind SSL 2.0's and in front of the SCSV."""
    own = b"\0" + talk.puppet.suite.to_bytes(2, "big")
    scsv = b"\0" + EMPTY_RENEGOTIATION_INFO_SCSV.to_bytes(2, "big")
    talk.deviated = True
    talk.play(v2_hello(specs=SSL_2_SPECS[-3:] + SSL_2_SPECS[:3] + own + scsv))
