"""§7.4.8: CertificateVerify."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from hashlib import md5, sha1
from typing import Any, Final

from tlsexit.alerts import PeerError
from tlsexit.conformance.actions import (
    Check,
    Observe,
    Send,
    after,
    before,
    connect,
    established,
    handshake,
    refused,
    skip,
    through,
)
from tlsexit.conformance.certificates import leaf_key
from tlsexit.conformance.model import Group, Probe
from tlsexit.conformance.needs import ASKS, OPTIONAL, RENEGOTIATES, SHOWS
from tlsexit.conformance.probes.section_7_2_2 import flip
from tlsexit.conformance.probes.section_7_3 import client_flight
from tlsexit.conformance.talk import Talk
from tlsexit.constants import ContentType
from tlsexit.crypto.keyops import key_type, sign, verify
from tlsexit.crypto.suites import KeyType
from tlsexit.events import MessageSeen
from tlsexit.handshake.certificate import CertificateVerify
from tlsexit.handshake.codec import encode
from tlsexit.handshake.hello import ClientHello, HelloRequest
from tlsexit.puppet import Puppet
from tlsexit.puppet.steps import (
    certificate_verify,
    certificate_verify_with,
    change_cipher_spec,
    finished,
    hello_request,
    raw_message,
)

section = Group("7.4.8")


def digest_of(kind: KeyType, data: bytes) -> bytes:
    """What a key of this kind signs: MD5 and SHA-1, or SHA-1."""
    digest = sha1(data, usedforsecurity=False).digest()
    return md5(data, usedforsecurity=False).digest() + digest if kind is KeyType.RSA else digest


def messages_before_verify(talk: Talk) -> bytes:
    """Every message of the last handshake up to CertificateVerify, HelloRequest left out."""
    messages: list[bytes] = []
    for entry in talk.puppet.talk:
        seen = entry.seen
        if not isinstance(seen, MessageSeen) or seen.content_type is not ContentType.HANDSHAKE:
            continue
        if isinstance(seen.message, ClientHello):
            messages = []
        if isinstance(seen.message, CertificateVerify):
            talk.memory["signed"] = b"".join(messages)
        elif not isinstance(seen.message, HelloRequest):
            messages.append(seen.raw)
    signed: bytes = talk.memory.get("signed", b"")
    return signed


def verify_is_right(talk: Talk) -> str | None:
    """The signature covers all messages before it, headers included."""
    found = [item for item in talk.puppet.messages if isinstance(item, CertificateVerify)]
    if not found:
        return "no CertificateVerify came"
    key = talk.puppet.peer_key
    try:
        verify(key, found[-1].signature, digest_of(key_type(key), messages_before_verify(talk)))
    except PeerError as error:
        return error.reason
    return None


def _own_kind(puppet: Puppet) -> KeyType:
    return key_type(puppet.own_key)


def _bodies(puppet: Puppet) -> bytes:
    return digest_of(_own_kind(puppet), b"".join(item[4:] for item in puppet.transcript.messages))


def _records(puppet: Puppet) -> bytes:
    framed = (b"\x16\3\1" + len(item).to_bytes(2, "big") + item for item in puppet.transcript.messages)
    return digest_of(_own_kind(puppet), b"".join(framed))


def _without_last(puppet: Puppet) -> bytes:
    return digest_of(_own_kind(puppet), b"".join(puppet.transcript.messages[:-1]))


def _with_itself(puppet: Puppet) -> bytes:
    size = 256 if _own_kind(puppet) is KeyType.RSA else 72
    own = b"\x0f" + (size + 2).to_bytes(3, "big") + size.to_bytes(2, "big") + bytes(size)
    return digest_of(_own_kind(puppet), b"".join((*puppet.transcript.messages, own)))


def _with_master_secret(puppet: Puppet) -> bytes:
    """As SSL 3.0 has it: the master secret and padding around the messages."""
    data, secret = b"".join(puppet.transcript.messages), puppet.master_secret
    inner = [function(data + secret + b"\x36" * pad).digest() for function, pad in ((md5, 48), (sha1, 40))]
    outer = [
        function(secret + b"\x5c" * pad + digest).digest()
        for (function, pad), digest in zip(((md5, 48), (sha1, 40)), inner, strict=True)
    ]
    return b"".join(outer) if _own_kind(puppet) is KeyType.RSA else outer[1]


def _by_another_key(puppet: Puppet) -> bytes:
    key = leaf_key(_own_kind(puppet))
    return encode(CertificateVerify(sign(key, puppet.transcript_digest())))


def _refused(name: str, title: str, requirement: str, step: Any) -> Probe:
    return section.server(
        name,
        title,
        requirement,
        needs=(ASKS,),
        conversation=(before("certificate_verify"), Send(step), after("certificate_verify"), refused()),
    )


def _transcripts() -> Iterator[Probe]:
    digests: dict[str, Callable[[Any], bytes]] = {
        "without-headers": _bodies,
        "with-record-headers": _records,
        "without-key-exchange": _without_last,
        "with-itself": _with_itself,
        "as-in-ssl-3": _with_master_secret,
    }
    for name, digest in digests.items():
        yield _refused(
            f"over-{name}",
            f"a signature over other messages ({name.replace('-', ' ')}) is refused",
            "R2246-7.4.8-03",
            certificate_verify_with(digest),
        )


def _signatures() -> Iterator[Probe]:
    changes: dict[str, Callable[[bytes], bytes]] = {
        "bit": flip(-1),
        "empty": lambda good: b"",
        "zeros": lambda good: bytes(len(good)),
        "short": lambda good: good[:-1],
        "trailing-byte": lambda good: good + b"\0",
    }
    for name, change in changes.items():
        yield _refused(
            f"signature-{name}",
            f"a spoilt signature ({name.replace('-', ' ')}) is refused",
            "R2246-7.4.8-05",
            certificate_verify_with(signature=change),
        )


PROBES: Final = (
    section.server(
        "after-an-empty-list",
        "CertificateVerify of a client that has shown nothing is refused",
        "R2246-7.4.8-01",
        needs=(OPTIONAL,),
        connect=connect(show_certificate=False),
        conversation=(through("client_key_exchange"), Send(certificate_verify), refused()),
    ),
    section.server(
        "left-out",
        "a client that shows a certificate cannot leave CertificateVerify out",
        "R2246-7.4.8-02",
        needs=(ASKS,),
        conversation=(
            through("client_key_exchange"),
            skip("certificate_verify"),
            Send(change_cipher_spec),
            Send(finished),
            refused(),
        ),
        meaning="Whoever has a copy of somebody's certificate can pass for them.",
    ),
    section.server(
        "too-late",
        "CertificateVerify behind ChangeCipherSpec is refused",
        "R2246-7.4.8-02",
        needs=(ASKS,),
        conversation=(
            through("client_key_exchange"),
            Send(change_cipher_spec),
            Send(certificate_verify),
            refused(),
        ),
    ),
    section.client(
        "place",
        "CertificateVerify follows ClientKeyExchange, and signs every message before it",
        "R2246-7.4.8-02",
        "R2246-7.4.8-03",
        needs=(SHOWS,),
        connect=connect(request=True),
        conversation=(Observe(), Check(client_flight), Check(verify_is_right)),
    ),
    section.server(
        "accepted",
        "a right signature is accepted",
        "R2246-7.4.8-03",
        "R2246-7.4.8-05",
        needs=(ASKS,),
        conversation=(handshake(), established()),
    ),
    *_transcripts(),
    section.client(
        "renegotiated",
        "in a renegotiation the signature covers the new handshake alone",
        "R2246-7.4.8-04",
        needs=(SHOWS, RENEGOTIATES),
        connect=connect(request=True),
        conversation=(
            handshake(),
            established(),
            Send(hello_request),
            handshake(),
            established(),
            Check(verify_is_right),
        ),
    ),
    section.server(
        "renegotiated",
        "in a renegotiation the signature covers the new handshake alone",
        "R2246-7.4.8-04",
        needs=(ASKS, RENEGOTIATES),
        conversation=(handshake(), established(), handshake(), established()),
    ),
    *_signatures(),
    _refused(
        "another-key",
        "a signature by another key is refused",
        "R2246-7.4.8-05",
        replace(certificate_verify, build=_by_another_key),
    ),
    _refused(
        "garbage",
        "a signature that is none is refused",
        "R2246-7.4.8-05",
        raw_message(15, b"\0\4sign"),
    ),
)
