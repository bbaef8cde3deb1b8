"""What RFC 3268, 3749, 4346 and 5246 say of TLS 1.0."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from tlsexit.conformance.actions import (
    OPEN,
    Alive,
    Check,
    Do,
    Observe,
    Repeat,
    Send,
    after,
    before,
    connect,
    established,
    expect,
    handshake,
    onwards,
    rebuilt,
    refused,
    through,
)
from tlsexit.conformance.expect import alert, closed, completed, goes_on, refusal, said, silent, still_open
from tlsexit.conformance.model import Group, Probe
from tlsexit.conformance.needs import (
    ASKS,
    CBC,
    DHE,
    EPHEMERAL,
    RENEGOTIATES,
    SHOWS_NOT,
    V2_HELLO,
    SuiteChoice,
)
from tlsexit.conformance.probes.appendix_e import BARE, v2_hello
from tlsexit.conformance.probes.section_7_2_2 import flip, wrong_padding
from tlsexit.conformance.probes.section_7_4_2 import SIGNED_RSA
from tlsexit.conformance.probes.section_7_4_3 import vectors, with_params
from tlsexit.conformance.talk import Talk
from tlsexit.crypto.keyops import key_type
from tlsexit.crypto.suites import KeyType
from tlsexit.handshake import keyexchange as kx
from tlsexit.handshake.certificate import CertificateVerify
from tlsexit.handshake.codec import encode
from tlsexit.handshake.hello import ServerHello
from tlsexit.handshake.keyexchange import ClientKeyExchange, ServerKeyExchange
from tlsexit.puppet import Puppet, Sealing
from tlsexit.puppet.steps import alert as an_alert
from tlsexit.puppet.steps import (
    application_data,
    certificate_verify,
    client_key_exchange,
    hello_request,
    server_key_exchange,
    server_params,
    wire,
)


def keep_public(talk: Talk) -> None:
    """Remember what the target has sent of its ephemeral key."""
    kind = ServerKeyExchange if talk.puppet.role.value == "client" else ClientKeyExchange
    found = [item.body for item in talk.puppet.messages if isinstance(item, kind)]
    if kind is ServerKeyExchange:
        params = talk.puppet.server_params
        found = [params.dh_Ys] if isinstance(params, kx.ServerDHParams) else []
    talk.memory.setdefault("publics", []).extend(found)


def publics_differ(talk: Talk) -> str | None:
    """An ephemeral key serves once."""
    publics = talk.memory["publics"]
    return "an ephemeral key was used twice" if len(set(publics)) < len(publics) else None


def no_alert_41(talk: Talk) -> str | None:
    """no_certificate was SSL 3.0's."""
    return "no_certificate(41) was sent" if any(item.description == 41 for item in talk.puppet.alerts) else None


def only_null(talk: Talk) -> str | None:
    """The client offers no compression."""
    hello = talk.puppet.client_hello
    assert hello is not None
    return None if set(hello.compression_methods) == {0} else "compression is offered"


def null_chosen(talk: Talk, hello: ServerHello) -> str | None:
    """The server does not compress."""
    return None if hello.compression_method == 0 else "the server chose compression"


def no_extensions(talk: Talk, hello: ServerHello) -> str | None:
    """In answer to a hello without extensions there are none."""
    return None if not hello.extensions else "extensions in answer to a hello in SSL 2.0 format"


def raw_signature(key: RSAPrivateKey, digest: bytes, size: int) -> bytes:
    """A signature whose block has eight bytes of padding, the digest, and rubbish behind it."""
    numbers = key.private_numbers()
    block = b"\0\1" + b"\xff" * 8 + b"\0" + digest
    block += b"\x5a" * (size - len(block))
    return pow(int.from_bytes(block, "big"), numbers.d, numbers.public_numbers.n).to_bytes(size, "big")


def _sloppy(puppet: Puppet, digest: bytes) -> bytes:
    key = puppet.own_key
    assert isinstance(key, RSAPrivateKey)
    return raw_signature(key, digest, (key.key_size + 7) // 8)


def _sloppy_exchange(puppet: Puppet) -> bytes:
    params = server_params(puppet)
    return encode(kx.build_server_key_exchange(params, _sloppy(puppet, puppet.params_digest(params))))


def _sloppy_verify(puppet: Puppet) -> bytes:
    return encode(CertificateVerify(_sloppy(puppet, puppet.transcript_digest())))


def with_rsa_key(talk: Talk) -> None:
    """Go on only if the puppet signs with RSA."""
    if key_type(talk.puppet.own_key) is not KeyType.RSA:
        talk.inapplicable("the puppet shows no RSA certificate")


def _ciphers() -> Iterator[Probe]:
    for cipher in ("AES_128_CBC", "AES_256_CBC"):
        yield from Group("RFC3268").both(
            cipher.lower().replace("_", "-"),
            f"a suite with {cipher} works",
            "R3268-CipherUsage-01",
            connect=connect(suites=SuiteChoice(cipher, cipher=cipher)),
            conversation=(handshake(), established(), Alive()),
        )


def _uniform() -> Iterator[Probe]:
    """Whatever is wrong with a protected record, the answer is the same."""
    wrong: dict[str, Any] = {
        "mac": application_data(b"GET /", sealing=Sealing(mac=flip(3))),
        "padding-byte": application_data(b"GET /", sealing=Sealing(padding=wrong_padding)),
        "padding-length": application_data(b"GET /", sealing=Sealing(padding=lambda item: item[:-1] + b"\xff")),
        "misaligned": wire(b"\x17\3\1\0\x31" + bytes(0x31)),
    }
    for name, step in wrong.items():
        yield from Group("RFC4346-7.2.2").both(
            name,
            f"a protected record that is wrong ({name.replace('-', ' ')}) is answered with bad_record_mac",
            "R4346-7.2.2-01",
            *(("R4346-6.2.3.2-01",) if name != "misaligned" else ()),
            connect=connect(suites=CBC),
            conversation=(*OPEN, Send(step), refused()),
        )


def _groups() -> Iterator[Probe]:
    """Groups and public values that make the agreed value known."""
    group = Group("RFC5246-F.1.1.3")
    changes: dict[str, Callable[..., bytes]] = {
        "p-256-bits": lambda p, g, public: vectors(b"\xff" * 31 + b"\x43", g, b"\4"),
        "p-even": lambda p, g, public: vectors(p[:-1] + bytes([p[-1] & 0xFE]), g, public),
        "public-0": lambda p, g, public: vectors(p, g, b"\0"),
        "public-1": lambda p, g, public: vectors(p, g, b"\1"),
        "public-p-minus-1": lambda p, g, public: vectors(p, g, p[:-1] + bytes([p[-1] - 1])),
        "public-p": lambda p, g, public: vectors(p, g, p),
        "generator-1": lambda p, g, public: vectors(p, b"\1", b"\1"),
    }
    for name, change in changes.items():
        yield group.client(
            name,
            f"degenerate Diffie-Hellman parameters ({name.replace('-', ' ')}) are refused",
            "R5246-F.1.1.3-01",
            connect=connect(suites=DHE),
            conversation=(
                before("server_key_exchange"),
                Send(with_params(change)),
                after("server_key_exchange"),
                refused(),
            ),
        )
    values: dict[str, Callable[[int], int]] = {
        "0": lambda p: 0,
        "1": lambda p: 1,
        "p-minus-1": lambda p: p - 1,
        "p": lambda p: p,
    }
    for name, value in values.items():

        def built(puppet: Puppet, value: Callable[[int], int] = value) -> bytes:
            params = puppet.server_params
            assert isinstance(params, kx.ServerDHParams)
            p = int.from_bytes(params.dh_p, "big")
            public = value(p).to_bytes(len(params.dh_p), "big").lstrip(b"\0") or b"\0"
            puppet.pre_master_secret = b"\1" if value(p) % 2 else bytes(1)
            item = kx.ClientDiffieHellmanPublic(public)
            return encode(kx.build_client_key_exchange(kx.CLIENT_DIFFIE_HELLMAN_PUBLIC, item))

        yield group.server(
            f"client-public-{name}",
            f"a degenerate public value of the client ({name.replace('-', ' ')}) is refused",
            "R5246-F.1.1.3-01",
            connect=connect(suites=DHE),
            conversation=(
                before("client_key_exchange"),
                Send(replace(client_key_exchange, build=built)),
                after("client_key_exchange"),
                expect(refusal(), alert(20, 51).noted("it fails at Finished")),
            ),
        )


def _record_versions() -> Iterator[Probe]:
    group = Group("RFC5246-E.1")
    for version in (0x0300, 0x0301, 0x0302, 0x0303, 0x03FF):
        yield group.server(
            f"record-{version:04x}",
            f"a ClientHello in a record of version 0x{version:04X} is accepted",
            "R5246-E.1-01",
            conversation=(
                rebuilt("client_hello", sealing=Sealing(version=version)),
                after("client_hello"),
                established(),
            ),
        )
    for version in (0x0200, 0x0400):
        yield group.server(
            f"record-{version:04x}",
            f"a ClientHello in a record of version 0x{version:04X}",
            "R5246-E.1-01",
            conversation=(
                rebuilt("client_hello", sealing=Sealing(version=version)),
                expect(refusal(), alert().noted("another alert"), said(ServerHello).noted("it is accepted")),
            ),
        )


PROBES: Final = (
    *_ciphers(),
    Group("RFC3268").server(
        "ephemeral",
        "a Diffie-Hellman key serves one handshake",
        "R3268-SecurityConsiderations-01",
        connect=connect(suites=DHE),
        conversation=(
            Repeat(5, (connect(suites=DHE), handshake(), established(), Do(keep_public))),
            Check(publics_differ),
        ),
    ),
    Group("RFC3268").client(
        "ephemeral",
        "a Diffie-Hellman key serves one handshake",
        "R3268-SecurityConsiderations-01",
        connect=connect(suites=EPHEMERAL),
        conversation=(
            Repeat(5, (connect(suites=EPHEMERAL), handshake(), established(), Do(keep_public))),
            Check(publics_differ),
        ),
    ),
    Group("RFC3749").server(
        "off",
        "a server that is offered DEFLATE chooses null",
        "R3749-6-01",
        connect=connect(hello={"compression_methods": (1, 0)}),
        conversation=(through("client_hello"), expect(said(ServerHello, null_chosen))),
    ),
    Group("RFC3749").client(
        "off",
        "the client offers no compression",
        "R3749-6-01",
        conversation=(Observe(), Check(only_null)),
    ),
    Group("RFC4346-6.2.1").server(
        "data-in-renegotiation",
        "application data between the messages of a renegotiation is accepted",
        "R4346-6.2.1-01",
        needs=(RENEGOTIATES,),
        conversation=(
            *OPEN,
            through("client_hello"),
            Send(application_data(b"GET / HTTP/1.0\r\n", waits=False)),
            after("client_hello"),
            expect(completed(), alert(10).warn("it is refused"), closed().warn("it is refused")),
        ),
    ),
    Group("RFC4346-6.2.1").client(
        "data-in-renegotiation",
        "application data between the messages of a renegotiation is accepted",
        "R4346-6.2.1-01",
        needs=(RENEGOTIATES,),
        conversation=(
            *OPEN,
            Send(hello_request),
            through("server_hello"),
            Send(application_data(b"HTTP/1.0 200 ok\r\n", waits=False)),
            after("server_hello"),
            expect(completed(), alert(10).warn("it is refused"), closed().warn("it is refused")),
        ),
    ),
    Group("RFC4346-7.1").server(
        "data-before-key-change",
        "in a renegotiation data goes on under the old keys up to ChangeCipherSpec",
        "R4346-7.1-01",
        needs=(RENEGOTIATES,),
        conversation=(
            *OPEN,
            before("change_cipher_spec"),
            Send(application_data(b"GET / HTTP/1.0\r\n", waits=False)),
            onwards("change_cipher_spec"),
            expect(completed(), alert(10).warn("it is refused"), closed().warn("it is refused")),
            Do(Talk.send_request),
        ),
    ),
    Group("RFC4346-7.1").client(
        "data-before-key-change",
        "in a renegotiation data goes on under the old keys up to ChangeCipherSpec",
        "R4346-7.1-01",
        needs=(RENEGOTIATES,),
        conversation=(
            *OPEN,
            Send(hello_request),
            before("change_cipher_spec"),
            Send(application_data(b"HTTP/1.0 200 ok\r\n", waits=False)),
            onwards("change_cipher_spec"),
            expect(completed(), alert(10).warn("it is refused"), closed().warn("it is refused")),
        ),
    ),
    *(
        probe
        for name, first in (("empty", b""), ("one-byte", b"G"))
        for probe in Group("RFC4346-6.2.3.2").both(
            f"split-{name}",
            f"a record split against BEAST ({name.replace('-', ' ')} first) is accepted",
            "R4346-6.2.3.2-02",
            connect=connect(suites=CBC),
            conversation=(
                *OPEN,
                Send(application_data(first)),
                Send(application_data(b"GET / HTTP/1.0\r\n\r\n"[len(first) :])),
                expect(*goes_on()),
            ),
        )
    ),
    *_uniform(),
    Group("RFC4346-7.2.2").server(
        "no-certificate",
        "the alert no_certificate of SSL 3.0 does not take the place of Certificate",
        "R4346-7.2.2-02",
        needs=(ASKS,),
        conversation=(before("certificate"), Send(an_alert(1, 41)), Send(client_key_exchange), refused()),
    ),
    Group("RFC4346-7.2.2").client(
        "no-certificate",
        "a client without a certificate does not send the alert no_certificate",
        "R4346-7.2.2-02",
        needs=(SHOWS_NOT,),
        connect=connect(request=True),
        conversation=(Observe(), Check(no_alert_41)),
    ),
    *(
        Group("RFC4346-E.1").server(
            name,
            f"a hello in SSL 2.0 format {title} is refused",
            "R4346-E.1-01",
            connect=BARE,
            conversation=(
                Send(step),
                expect(refusal(), alert().noted("another alert"), silent().noted("it waits for more")),
            ),
        )
        for name, title, step in (
            (
                "in-a-record",
                "within a record",
                replace(v2_hello(), build=lambda puppet: v2_hello().build(puppet)[2:], content_type=22, hashed=False),
            ),
            (
                "long-header",
                "with a header of three bytes",
                replace(v2_hello(), build=lambda puppet: _long_header(v2_hello().build(puppet))),
            ),
        )
    ),
    Group("RFC4346-E.1").server(
        "not-first",
        "a hello in SSL 2.0 format on an open connection is refused",
        "R4346-E.1-01",
        conversation=(through("client_hello"), Send(v2_hello()), expect(refusal(), alert(22, 20, 40))),
    ),
    *(
        probe
        for count in (1, 10)
        for probe in Group("RFC5246-6.2.1").both(
            f"empty-{count}",
            f"{count} empty records of application data do no harm",
            "R5246-6.2.1-01",
            conversation=(*OPEN, Repeat(count, (Send(application_data(b"")),)), Alive()),
        )
    ),
    *Group("RFC5246-6.2.1").both(
        "empty-flood",
        "a flood of empty records ends the connection at some point",
        "R5246-6.2.1-01",
        level="SHOULD",
        conversation=(
            *OPEN,
            Repeat(1000, (Send(application_data(b"")),)),
            expect(refusal(), alert(), still_open().warn("a thousand empty records keep the target busy for nothing")),
        ),
    ),
    Group("RFC5246-D.4").client(
        "sloppy-signature",
        "rubbish behind the digest in a signature of ServerKeyExchange is refused",
        "R5246-D.4-01",
        connect=connect(suites=SIGNED_RSA),
        conversation=(
            before("server_key_exchange"),
            Send(replace(server_key_exchange, build=_sloppy_exchange)),
            after("server_key_exchange"),
            refused(),
        ),
        meaning="With a key of exponent 3 anybody can forge such a signature (Bleichenbacher 2006).",
    ),
    Group("RFC5246-D.4").server(
        "sloppy-signature",
        "rubbish behind the digest in a signature of CertificateVerify is refused",
        "R5246-D.4-01",
        needs=(ASKS,),
        conversation=(
            before("certificate_verify"),
            Do(with_rsa_key),
            Send(replace(certificate_verify, build=_sloppy_verify)),
            after("certificate_verify"),
            refused(),
        ),
    ),
    *_record_versions(),
    Group("RFC5246-E.2").server(
        "old-hello-hashed",
        "a hello in SSL 2.0 format is hashed from its type on, and answered without extensions",
        "R5246-E.2-01",
        needs=(V2_HELLO,),
        connect=BARE,
        conversation=(
            Send(v2_hello()),
            expect(said(ServerHello, no_extensions)),
            after("client_hello"),
            established(),
        ),
    ),
    Group("RFC5246-E.2").client(
        "old-hello-hashed",
        "a hello in SSL 2.0 format is hashed from its type on",
        "R5246-E.2-01",
        conversation=(Observe(), Check(lambda talk: _needs_old_hello(talk))),
    ),
    *_groups(),
)


def _long_header(raw: bytes) -> bytes:
    """The same behind the three-byte header that SSL 2.0 has for padded records."""
    body = raw[2:]
    return len(body).to_bytes(2, "big") + b"\0" + body


def _needs_old_hello(talk: Talk) -> str | None:
    if talk.puppet.heard[0].raw[1:3] != b"\3\1":
        talk.inapplicable("the client sends no hello in SSL 2.0 format")
    return None
