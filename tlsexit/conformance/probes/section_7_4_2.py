"""§7.4.2: Certificate."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any, Final

from cryptography.x509 import ExtensionNotFound, KeyUsage

from tlsexit.alerts import PeerError
from tlsexit.conformance.actions import (
    Altered,
    Check,
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
from tlsexit.conformance.certificates import Shown, authority, chain, der, issue, issued, unrelated
from tlsexit.conformance.changes import Change, reframed, replaced, surplus
from tlsexit.conformance.expect import alert, closed, completed, refusal
from tlsexit.conformance.model import Group, Probe
from tlsexit.conformance.needs import (
    ANONYMOUS,
    ASKS,
    AUTHORITY,
    DHE_DSS,
    DHE_RSA,
    ECDHE_RSA,
    EPHEMERAL,
    REQUIRED,
    RSA,
    RSA_EXPORT,
    SuiteChoice,
)
from tlsexit.conformance.probes.section_7_3 import server_flight
from tlsexit.conformance.talk import Talk
from tlsexit.constants import Role
from tlsexit.crypto.keyops import key_type
from tlsexit.crypto.suites import KeyExchange, KeyType
from tlsexit.exits.forms import load_certificate
from tlsexit.handshake.keyexchange import ServerRSAParams
from tlsexit.policy.throwaway import key_usage
from tlsexit.puppet import Credential, Credentials
from tlsexit.puppet.steps import certificate_message

section = Group("7.4.2")

SIGNED_RSA: Final = SuiteChoice("an RSA signature", exchange=(KeyExchange.DHE_RSA, KeyExchange.ECDHE_RSA))


def key_fits(talk: Talk) -> str | None:
    """The key of the server's certificate is of the kind that the suite needs."""
    puppet = talk.puppet
    found, wanted = key_type(puppet.peer_key), puppet.exchange.certificate
    if wanted is None or found is wanted:
        return None
    return f"the certificate holds an {found.value} key, {puppet.cipher_suite.name} needs {wanted.value}"


def usage_fits(talk: Talk) -> str | None:
    """keyUsage, where it is there, allows what the key is used for."""
    leaf = load_certificate(talk.puppet.peer_chain[0])
    try:
        usage = leaf.extensions.get_extension_for_class(KeyUsage).value
    except (ExtensionNotFound, ValueError):  # none, or none that can be read
        return None
    if talk.puppet.exchange is KeyExchange.RSA and talk.puppet.role is Role.CLIENT:
        return None if usage.key_encipherment else "the server uses a key for encryption that keyUsage bars from it"
    return None if usage.digital_signature else "a key signs that keyUsage bars from it"


def leaf_first(talk: Talk) -> str | None:
    """Each certificate is issued by the next one."""
    try:
        certificates = [load_certificate(item) for item in talk.puppet.peer_chain]
    except PeerError as error:
        return f"a certificate does not parse: {error.reason}"
    for number, (lower, upper) in enumerate(pairwise(certificates), 1):
        if lower.issuer != upper.subject:
            return f"certificate {number} was not issued by the one behind it"
    return None


def shows_something(talk: Talk) -> str | None:
    """A server that authenticates has at least one certificate."""
    return None if talk.puppet.peer_chain else "the server's Certificate is empty"


def temporary_key_fits(talk: Talk) -> str | None:
    """RSA_EXPORT: a temporary key of at most 512 bits beside a longer one, none beside a shorter one."""
    params, size = talk.puppet.server_params, talk.puppet.peer_key.key_size
    if size <= 512:
        return None if params is None else "ServerKeyExchange beside a key that is short enough"
    if not isinstance(params, ServerRSAParams):
        return f"no temporary key beside one of {size} bits"
    bits = int.from_bytes(params.rsa_modulus, "big").bit_length()
    return None if bits <= 512 else f"the temporary key has {bits} bits"


def of_another_kind(shown: KeyType, claimed: KeyType) -> Shown:
    """A certificate for one kind of key, shown where the suite needs another."""

    def credentials(talk: Talk) -> Credentials:
        made = issue(talk, shown)
        return {claimed: Credential(made.chain, made.key)}

    return credentials


def _wrong_kinds() -> Iterator[Probe]:
    kinds: tuple[tuple[str, SuiteChoice, KeyType, KeyType], ...] = (
        ("dsa-for-rsa", RSA, KeyType.DSA, KeyType.RSA),
        ("ecdsa-for-rsa", RSA, KeyType.EC, KeyType.RSA),
        ("rsa-for-dsa", DHE_DSS, KeyType.RSA, KeyType.DSA),
        ("dsa-for-dhe-rsa", DHE_RSA, KeyType.DSA, KeyType.RSA),
        ("ecdsa-for-ecdhe-rsa", ECDHE_RSA, KeyType.EC, KeyType.RSA),
    )
    for name, suites, shown, claimed in kinds:
        yield section.client(
            name,
            f"an {shown.value} certificate in a suite with {suites.name} is refused",
            "R2246-7.4.2-03",
            "R2246-7.2.2-10",
            needs=(AUTHORITY,),
            connect=connect(suites=suites, credentials=of_another_kind(shown, claimed)),
            conversation=(through("server_hello_done"), skip(), refused()),
        )


def _usages() -> Iterator[Probe]:
    yield section.client(
        "usage-encipherment",
        "a key that keyUsage bars from signing may not sign ServerKeyExchange",
        "R2246-7.4.2-06",
        needs=(AUTHORITY,),
        connect=connect(suites=SIGNED_RSA, credentials=issued(usage=key_usage("key_encipherment"))),
        conversation=(through("server_hello_done"), skip(), refused()),
    )
    yield section.server(
        "usage-encipherment",
        "a client's key that keyUsage bars from signing may not sign CertificateVerify",
        "R2246-7.4.2-06",
        needs=(AUTHORITY, REQUIRED),
        connect=connect(credentials=issued(usage=key_usage("key_encipherment"))),
        conversation=(handshake(), refused()),
    )
    yield section.client(
        "usage-signature",
        "a key that keyUsage bars from encryption may not serve in RSA key exchange",
        "R2246-7.4.2-07",
        needs=(AUTHORITY,),
        connect=connect(suites=RSA, credentials=issued(usage=key_usage("digital_signature"))),
        conversation=(through("server_hello_done"), skip(), refused()),
    )
    yield from section.both(
        "usage",
        "keyUsage allows what the own key is used for",
        "R2246-7.4.2-06",
        "R2246-7.4.2-07",
        connect=connect(request=True),
        conversation=(Observe(), Check(_shown), Check(usage_fits)),
    )


def _shown(talk: Talk) -> None:
    if not talk.puppet.peer_chain:
        talk.inapplicable("no certificate was shown")


def _chains() -> Iterator[Probe]:
    """How a receiver takes chains: what is refused, what may be."""
    server: dict[str, Any] = {"needs": (AUTHORITY, ASKS)}
    client: dict[str, Any] = {"needs": (AUTHORITY,)}
    for make, fields in ((section.server, server), (section.client, client)):
        yield make(
            "issuer-first",
            "a chain with the issuer in front is refused",
            "R2246-7.4.2-09",
            connect=connect(credentials=chain(lambda talk, leaf: (der(authority(talk)), der(leaf)))),
            conversation=(handshake(), expect(refusal(), alert(43).noted("an authority's key does not sign here"))),
            **fields,
        )
        yield make(
            "unrelated-certificate",
            "a chain with a certificate that does not belong to it",
            "R2246-7.4.2-10",
            connect=connect(credentials=chain(lambda talk, leaf: (der(leaf), der(unrelated()), der(authority(talk))))),
            conversation=(handshake(), expect(refusal(), completed().noted("it finds the way around it"))),
            **fields,
        )
        yield make(
            "without-root",
            "a chain without its root is accepted",
            "R2246-7.4.2-11",
            connect=connect(credentials=chain(lambda talk, leaf: (der(leaf),))),
            conversation=(handshake(), established()),
            **fields,
        )
        yield make(
            "with-root",
            "a chain with its root is accepted",
            "R2246-7.4.2-11",
            connect=connect(credentials=chain(lambda talk, leaf: (der(leaf), der(authority(talk))))),
            conversation=(handshake(), established()),
            **fields,
        )
        yield make(
            "other-algorithm",
            "an RSA certificate that a DSA authority has signed",
            "R2246-7.4.2-05",
            level="SHOULD",
            connect=connect(credentials=issued(issuer=KeyType.DSA, hash_name="sha1")),
            conversation=(handshake(), expect(completed().noted("as nearly everywhere"), alert(), closed())),
            **fields,
        )


def _garbage() -> Iterator[Probe]:
    """DER that is none, under a header that is right."""
    broken: dict[str, Callable[[bytes], bytes]] = {
        "random-bytes": lambda good: bytes(range(256)),
        "truncated": lambda good: good[:-20],
        "indefinite-length": lambda good: b"\x30\x80" + good[4:] + bytes(2),
        "empty-sequence": lambda good: b"\x30\x00",
    }
    for name, change in broken.items():
        shown = chain(lambda talk, leaf, change=change: (change(der(leaf)),))  # type: ignore[misc]
        title = f"a certificate that is no DER ({name.replace('-', ' ')}) is refused"
        yield section.server(
            f"der-{name}",
            title,
            "R2246-7.4.2-14",
            needs=(AUTHORITY, ASKS),
            connect=connect(credentials=shown),
            conversation=(through("certificate"), skip(), refused()),
        )
        yield section.client(
            f"der-{name}",
            title,
            "R2246-7.4.2-14",
            needs=(AUTHORITY,),
            connect=connect(credentials=shown),
            conversation=(through("server_hello_done"), skip(), refused()),
        )


def _lengths() -> Iterator[Probe]:
    """certificate_list is three bytes of length, then certificates behind three bytes each."""
    changes: dict[str, Change] = {
        "total-too-short": reframed(lambda body: (len(body) - 4).to_bytes(3, "big") + body[3:]),
        "total-too-long": reframed(lambda body: (len(body) - 2).to_bytes(3, "big") + body[3:]),
        "empty-entry": replaced(b"\0\0\3\0\0\0"),
        "entry-too-long": reframed(lambda body: body[:3] + b"\x00\xff\xff" + body[6:]),
        "trailing-bytes": surplus,
        "cut-length": replaced(b"\0\0"),
    }
    for name, change in changes.items():
        title = f"a Certificate with wrong lengths ({name.replace('-', ' ')}) is refused"
        actions = (before("certificate"), Altered("certificate", change))
        yield section.client(name, title, "R2246-7.4.2-12", conversation=(*actions, refused()))
        yield section.server(name, title, "R2246-7.4.2-12", needs=(ASKS,), conversation=(*actions, refused()))


PROBES: Final = (
    section.server(
        "sent",
        "the server sends its Certificate directly behind ServerHello",
        "R2246-7.4.2-01",
        "R2246-7.4.2-13",
        conversation=(Observe(), Check(server_flight), Check(shows_something)),
    ),
    *(
        section.client(
            f"left-out-{name}",
            f"a server that leaves Certificate out ({choice.name}) is refused",
            "R2246-7.4.2-01",
            connect=connect(suites=choice),
            conversation=(before("certificate"), skip("certificate"), after("certificate"), refused()),
        )
        for name, choice in (("rsa", RSA), ("ephemeral", EPHEMERAL))
    ),
    section.client(
        "anonymous",
        "Certificate in an anonymous suite is refused",
        "R2246-7.4.2-02",
        connect=connect(suites=ANONYMOUS),
        conversation=(through("server_hello"), Send(certificate_message), refused()),
    ),
    section.server(
        "key",
        "the key of the server's certificate is of the kind that the suite needs",
        "R2246-7.4.2-03",
        conversation=(Observe(), Check(key_fits)),
    ),
    section.server(
        "key-signs",
        "the same in a suite with a signature",
        "R2246-7.4.2-03",
        connect=connect(suites=EPHEMERAL),
        conversation=(Observe(), Check(key_fits)),
    ),
    *_wrong_kinds(),
    section.server(
        "export",
        "RSA_EXPORT has a temporary key of 512 bits beside a longer one, and none beside a shorter one",
        "R2246-7.4.2-04",
        "R2246-7.4.3-01",
        connect=connect(suites=RSA_EXPORT),
        conversation=(Observe(), Check(temporary_key_fits)),
    ),
    *_usages(),
    *section.both(
        "leaf-first",
        "the own certificate comes first, each further one certifies the one before",
        "R2246-7.4.2-09",
        "R2246-7.4.2-10",
        connect=connect(request=True),
        conversation=(Observe(), Check(_shown), Check(leaf_first)),
    ),
    *_chains(),
    *_lengths(),
    section.client(
        "empty-list",
        "a server's Certificate without certificates is refused",
        "R2246-7.4.2-13",
        conversation=(before("certificate"), Altered("certificate", replaced(bytes(3))), refused()),
    ),
    *_garbage(),
)
