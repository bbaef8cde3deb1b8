"""§7.4.4: CertificateRequest, §7.4.5: ServerHelloDone, §7.4.6: the client's Certificate."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

from tlsexit.conformance.actions import (
    Altered,
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
    onwards,
    refused,
    through,
)
from tlsexit.conformance.certificates import chain, der
from tlsexit.conformance.changes import Change, replaced, surplus
from tlsexit.conformance.expect import alert, closed, completed, refusal, said
from tlsexit.conformance.model import Group, Probe
from tlsexit.conformance.needs import (
    ANONYMOUS,
    ASKS,
    ASKS_NOT,
    AUTHORITY,
    EPHEMERAL,
    OPTIONAL,
    REQUIRED,
    RSA,
    SHOWS,
    SHOWS_NOT,
)
from tlsexit.conformance.probes.section_7_2_2_certificates import of_a_type_not_asked_for, self_signed, valid
from tlsexit.conformance.probes.section_7_3 import an_empty_certificate, client_flight, server_flight
from tlsexit.conformance.talk import Talk
from tlsexit.exits.forms import load_certificate
from tlsexit.handshake.certificate import Certificate, CertificateRequest
from tlsexit.handshake.codec import encode
from tlsexit.handshake.keyexchange import ClientKeyExchange
from tlsexit.policy.throwaway import distinguished_name
from tlsexit.puppet.steps import certificate_message, certificate_request

requests = Group("7.4.4")
done = Group("7.4.5")
answers = Group("7.4.6")

_TYPES: Final = frozenset((1, 2, 3, 4, 64, 65, 66))


def types_are_known(talk: Talk) -> str | None:
    """At least one type, of those that RFC 2246 and RFC 4492 have."""
    request = talk.puppet.request
    assert request is not None
    unknown = set(request.certificate_types) - _TYPES
    if unknown:
        return f"certificate type {min(unknown)} has no meaning"
    return None if request.certificate_types else "certificate_types is empty"


def names_an_authority(talk: Talk) -> str | None:
    """At least one authority, each a DER Name."""
    request = talk.puppet.request
    assert request is not None
    if not request.certificate_authorities:
        return "certificate_authorities is empty, which TLS 1.0 does not allow"
    return None if all(name[:1] == b"\x30" for name in request.certificate_authorities) else "a name is no DER Name"


def asking(*types: int, authorities: tuple[bytes, ...] | None = None) -> Do:
    """Ask for these types, and for certificates of these authorities (None: the puppet's own)."""

    def act(talk: Talk) -> None:
        names = (_own_authority(talk),) if authorities is None else authorities
        talk.memory["request"] = CertificateRequest(types, names)

    return Do(act)


def _own_authority(talk: Talk) -> bytes:
    return load_certificate(talk.puppet.own_chain[-1]).issuer.public_bytes()


SENT: Final = Do(
    lambda talk: talk.play(replace(certificate_request, build=lambda puppet: encode(talk.memory["request"])))
)
"""Send the request that :func:`asking` has prepared."""


def shows_nothing(talk: Talk) -> str | None:
    """Nothing fits, so the list is empty; some clients show what they have all the same."""
    if talk.puppet.peer_chain:
        talk.warn("the client shows a certificate that was not asked for")
    return None


def shows_what_it_has(talk: Talk) -> str | None:
    """The certificate comes."""
    return None if talk.puppet.peer_chain else "the client does not show its certificate"


def no_key_exchange(talk: Talk) -> str | None:
    """The client that refuses the server's certificate says nothing more."""
    went_on = any(isinstance(item, ClientKeyExchange) for item in talk.puppet.messages)
    return "ClientKeyExchange came all the same" if went_on else None


def kind_not_asked_for(talk: Talk) -> str | None:
    """A certificate of the one type that was asked for, or none."""
    if not talk.puppet.peer_chain:
        return None
    algorithm = type(talk.puppet.peer_key).__name__
    return None if "DSA" in algorithm and "EC" not in algorithm else f"an {algorithm} answers a request for DSA"


def _ask(*actions: Any) -> tuple[Any, ...]:
    """A server's flight with the prepared request in the place where it belongs."""
    return (*actions, before("server_hello_done"), SENT, Do(_deviates))


def _deviates(talk: Talk) -> None:
    talk.deviated = True


def _forms() -> Iterator[Probe]:
    """certificate_types<1..2^8-1>, then certificate_authorities<3..2^16-1>, each name behind two bytes of length."""
    broken: tuple[tuple[str, str, bytes], ...] = (
        ("no-types", "R2246-7.4.4-04", b"\0" + b"\0\x05\0\x03\x30\1\0"),
        ("empty-name", "R2246-7.4.4-07", b"\1\1" + b"\0\x02\0\0"),
        ("name-too-long", "R2246-7.4.4-07", b"\1\1" + b"\0\x05\0\x04\x30\1\0"),
        ("trailing-byte", "R2246-7.4.4-07", b"\1\1" + b"\0\x04\0\x02\x30\0\0"),
        ("half-a-length", "R2246-7.4.4-07", b"\1\1" + b"\0\x05\0\x02\x30\0\0"),
    )
    for name, requirement, body in broken:
        change: Change = replaced(body)
        more = (said(Certificate).noted("an empty answer"),) if name == "no-types" else ()
        yield requests.client(
            name,
            f"a CertificateRequest of wrong form ({name.replace('-', ' ')}) is refused",
            requirement,
            connect=connect(request=True),
            conversation=(
                before("certificate_request"),
                Altered("certificate_request", change),
                after("certificate_request"),
                expect(refusal(), *more),
            ),
        )
    yield requests.client(
        "no-authorities",
        "an empty list of authorities is refused, or means any",
        "R2246-7.4.4-06",
        connect=connect(request=True),
        conversation=(
            before("certificate_request"),
            Altered("certificate_request", replaced(b"\3\1\2\x40\0\0")),
            after("certificate_request"),
            expect(completed().noted("it means any, as in RFC 4346"), refusal()),
        ),
    )


PROBES: Final = (
    *(
        requests.server(
            f"place-{name}",
            f"CertificateRequest has its place in the server's flight ({choice.name})",
            "R2246-7.4.4-01",
            "R2246-7.4.4-02",
            *(("R2246-7.4.4-03",) if choice is ANONYMOUS else ()),
            needs=(ASKS,),
            connect=connect(suites=choice),
            conversation=(Observe(), Check(server_flight)),
        )
        for name, choice in (("rsa", RSA), ("ephemeral", EPHEMERAL), ("anonymous", ANONYMOUS))
    ),
    requests.client(
        "too-early",
        "CertificateRequest before Certificate is refused",
        "R2246-7.4.4-02",
        conversation=(through("server_hello"), Send(certificate_request), refused()),
    ),
    requests.client(
        "too-late",
        "CertificateRequest behind ServerHelloDone is refused",
        "R2246-7.4.4-02",
        conversation=(through("server_hello_done"), Send(replace(certificate_request, waits=False)), refused()),
    ),
    requests.client(
        "anonymous",
        "an anonymous server that asks for a certificate is refused",
        "R2246-7.4.4-03",
        connect=connect(suites=ANONYMOUS),
        conversation=(
            before("server_hello_done"),
            Send(certificate_request),
            onwards("server_hello_done"),
            refused(),
        ),
    ),
    requests.server(
        "types",
        "certificate_types lists types that have a meaning",
        "R2246-7.4.4-04",
        needs=(ASKS,),
        conversation=(Observe(), Check(types_are_known)),
    ),
    *_forms(),
    requests.client(
        "unknown-type",
        "an unknown certificate type is skipped",
        "R2246-7.4.4-05",
        needs=(SHOWS,),
        conversation=(
            *_ask(asking(200, 1, 64, 2)),
            onwards("server_hello_done"),
            established(),
            Check(shows_what_it_has),
        ),
    ),
    requests.client(
        "only-unknown-types",
        "nothing but unknown certificate types is answered with an empty Certificate",
        "R2246-7.4.4-05",
        needs=(SHOWS,),
        conversation=(
            *_ask(asking(200)),
            onwards("server_hello_done"),
            expect(completed(), alert().warn("the client gives up"), closed().warn("the client gives up")),
            Check(shows_nothing),
        ),
    ),
    requests.server(
        "authorities",
        "certificate_authorities has at least one name",
        "R2246-7.4.4-06",
        "R2246-7.4.4-07",
        level="SHOULD",
        needs=(ASKS,),
        conversation=(Observe(), Check(names_an_authority)),
    ),
    requests.client(
        "own-authority",
        "the certificate of a named authority is shown",
        "R2246-7.4.4-08",
        needs=(SHOWS,),
        conversation=(
            *_ask(asking(1, 2, 64)),
            onwards("server_hello_done"),
            established(),
            Check(shows_what_it_has),
        ),
    ),
    requests.client(
        "another-authority",
        "nothing but an authority that the client has no certificate of",
        "R2246-7.4.4-08",
        needs=(SHOWS,),
        conversation=(
            *_ask(asking(1, 2, 64, authorities=(distinguished_name("nobody").public_bytes(),))),
            onwards("server_hello_done"),
            expect(completed(), alert().warn("the client gives up")),
            Check(shows_nothing),
        ),
    ),
    requests.server(
        "chain",
        "a client's chain is accepted with and without its authority",
        "R2246-7.4.4-08",
        needs=(AUTHORITY, ASKS),
        connect=connect(credentials=chain(lambda talk, leaf: (der(leaf),))),
        conversation=(handshake(), established()),
    ),
    *(
        done.client(
            name,
            f"{title}, and the client says nothing more",
            "R2246-7.4.5-01",
            needs=(AUTHORITY,),
            connect=connect(credentials=shown),
            conversation=(
                through("server_hello_done"),
                Do(_deviates),
                expect(refusal(), alert(42, 43, 46).noted("another certificate alert")),
                Check(no_key_exchange),
            ),
        )
        for name, title, shown in (
            ("untrusted", "an untrusted certificate is refused", self_signed),
            ("expired", "an expired certificate is refused", valid(-20, -10)),
        )
    ),
    done.client(
        "with-a-body",
        "a ServerHelloDone that is not empty is refused",
        "R2246-7.4.5-02",
        conversation=(before("server_hello_done"), Altered("server_hello_done", surplus), refused()),
    ),
    done.server(
        "form",
        "ServerHelloDone is empty",
        "R2246-7.4.5-02",
        conversation=(Observe(), Check(server_flight)),
    ),
    answers.server(
        "not-asked",
        "a client's Certificate that nobody asked for is refused",
        "R2246-7.4.6-01",
        needs=(ASKS_NOT,),
        conversation=(before("client_key_exchange"), Send(certificate_message), refused()),
    ),
    answers.client(
        "not-asked",
        "a client that is not asked sends no Certificate",
        "R2246-7.4.6-01",
        conversation=(Observe(), Check(client_flight)),
    ),
    answers.client(
        "empty",
        "a client without a certificate sends an empty list, and no CertificateVerify",
        "R2246-7.4.6-02",
        "R2246-7.4.8-01",
        needs=(SHOWS_NOT,),
        connect=connect(request=True),
        conversation=(Observe(), Check(an_empty_certificate), Check(client_flight)),
    ),
    answers.server(
        "empty-and-optional",
        "an empty list is accepted where a certificate is optional",
        "R2246-7.4.6-02",
        needs=(OPTIONAL,),
        connect=connect(show_certificate=False),
        conversation=(handshake(), established()),
    ),
    answers.server(
        "empty-and-required",
        "an empty list is refused where a certificate is required",
        "R2246-7.4.6-03",
        needs=(REQUIRED,),
        connect=connect(show_certificate=False),
        conversation=(handshake(), expect(refusal(), alert(50).noted("as GnuTLS does"))),
    ),
    answers.client(
        "one-type",
        "a client that is asked for DSA shows nothing else",
        "R2246-7.4.6-04",
        needs=(SHOWS,),
        conversation=(
            *_ask(asking(2)),
            onwards("server_hello_done"),
            expect(completed(), alert().warn("the client gives up")),
            Check(kind_not_asked_for),
        ),
    ),
    answers.server(
        "another-type",
        "a client's certificate of a type that was not asked for is refused",
        "R2246-7.4.6-04",
        needs=(AUTHORITY, ASKS),
        conversation=(
            before("certificate"),
            Do(of_a_type_not_asked_for),
            Send(certificate_message),
            onwards("client_key_exchange"),
            refused(),
        ),
    ),
)
