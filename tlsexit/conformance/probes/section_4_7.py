"""§4.7: digitally-signed, stream-ciphered and public-key-encrypted, and §5: what can be seen of the PRF."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from tlsexit.conformance.actions import (
    Check,
    Observe,
    Repeat,
    Send,
    after,
    before,
    connect,
    demanded,
    established,
    expect,
    handshake,
)
from tlsexit.conformance.expect import alert, refusal
from tlsexit.conformance.model import Group, Probe
from tlsexit.conformance.needs import DHE, DHE_DSS, MD5_MAC, RC4, RSA, SHA_MAC, SHOWS, STREAM, SuiteChoice
from tlsexit.conformance.records import layout
from tlsexit.conformance.signatures import decrypted, signature_is_right
from tlsexit.conformance.talk import Talk
from tlsexit.crypto.groups import DHKeyPair, dh_group
from tlsexit.crypto.suites import KeyExchange, KeyType
from tlsexit.handshake import keyexchange as kx
from tlsexit.handshake.keyexchange import ClientKeyExchange
from tlsexit.puppet import Puppet
from tlsexit.puppet.steps import server_key_exchange_with
from tlsexit.wire import build

section = Group("4.7")
prf = Group("5")


def raw_dsa(signature: bytes) -> bytes:
    """r and s side by side, 20 bytes each, as no TLS has ever had them."""
    r, s = decode_dss_signature(signature)
    return r.to_bytes(20, "big") + s.to_bytes(20, "big")


def encrypted_as_pkcs1(talk: Talk) -> str | None:
    """§4.7: 00 02, at least eight random bytes that are not zero, 00, and the 48 bytes; the length in front."""
    puppet = talk.puppet
    found = [item for item in puppet.messages if isinstance(item, ClientKeyExchange)]
    if not found:
        return "no ClientKeyExchange came"
    key, body = puppet.own_key, found[-1].body
    if not isinstance(key, RSAPrivateKey):
        return "the probe has shown no RSA key"
    size = (key.key_size + 7) // 8
    if body[:2] != size.to_bytes(2, "big") or len(body) != 2 + size:
        return f"the body has {len(body)} bytes and begins with {body[:2].hex()}; the modulus has {size}"
    block = decrypted(key, body[2:])
    padding = block[2:-49]
    if block[:2] != b"\0\x02" or block[-49] or 0 in padding:
        return "the block is not 00 02, bytes that are not zero, 00 and 48 bytes"
    earlier = talk.memory.setdefault("padding", [])
    if padding in earlier:
        return "two encryptions have the same padding"
    earlier.append(padding)
    return None


def large_group(name: str) -> Any:
    """A ServerKeyExchange over a group of this name."""

    def params(puppet: Puppet) -> bytes:
        group = dh_group(name)
        pair = DHKeyPair.generate(group)
        puppet.key_pair = pair
        size = (group.p.bit_length() + 7) // 8
        value = kx.ServerDHParams(group.p.to_bytes(size, "big"), group.g.to_bytes(1, "big"), pair.public)
        return build(kx.SERVER_DH_PARAMS, value)

    return server_key_exchange_with(params)


def _signatures() -> Iterator[Probe]:
    kinds = {
        KeyType.RSA: (("R2246-4.7-01", "R2246-4.7-02"), (KeyExchange.DHE_RSA, KeyExchange.ECDHE_RSA)),
        KeyType.DSA: (("R2246-4.7-03", "R2246-4.7-01"), (KeyExchange.DHE_DSS,)),
        KeyType.EC: (("R2246-4.7-01",), (KeyExchange.ECDHE_ECDSA,)),
    }
    for kind, (requirements, exchanges) in kinds.items():
        yield section.server(
            f"signature-{kind.value}".lower(),
            f"the {kind.value} signature in ServerKeyExchange has its right form",
            *requirements,
            connect=connect(suites=SuiteChoice(f"{kind.value} signatures", exchange=exchanges)),
            conversation=(Observe(), Check(signature_is_right)),
        )
    yield section.client(
        "signature",
        "the signature in CertificateVerify has its right form",
        "R2246-4.7-01",
        "R2246-4.7-02",
        "R2246-4.7-03",
        needs=(SHOWS,),
        connect=connect(request=True),
        conversation=(handshake(), established(), Check(signature_is_right)),
    )


PROBES: Final = (
    *_signatures(),
    section.client(
        "raw-dsa",
        "a DSA signature that is no DER sequence is refused",
        "R2246-4.7-03",
        connect=connect(suites=DHE_DSS),
        conversation=(
            before("server_key_exchange"),
            Send(server_key_exchange_with(signature=raw_dsa)),
            after("server_key_exchange"),
            expect(refusal(), alert(40, 47).noted("another alert")),
        ),
    ),
    *(
        probe
        for suites, name in ((STREAM, "stream"), (RC4, "rc4"))
        for probe in section.both(
            f"no-padding-{name}",
            f"with {suites.name} a record is as long as content and MAC",
            "R2246-4.7-04",
            connect=connect(suites=suites),
            conversation=(Observe(), Check(layout)),
        )
    ),
    section.client(
        "encryption",
        "the premaster secret is encrypted as PKCS #1 says, with fresh padding",
        "R2246-4.7-05",
        connect=connect(suites=RSA),
        conversation=(Repeat(2, (connect(suites=RSA), handshake(), established(), Check(encrypted_as_pkcs1))),),
    ),
    *(
        prf.client(
            f"long-secret-{name}",
            f"a premaster secret of {name} is halved and hashed as HMAC wants it",
            "R2246-5-02",
            connect=connect(suites=DHE),
            conversation=(
                before("server_key_exchange"),
                Send(large_group(name)),
                after("server_key_exchange"),
                established(),
            ),
        )
        for name in ("ffdhe2048", "ffdhe4096")
    ),
    prf.server(
        "long-secret",
        "the premaster secret of a Diffie-Hellman group is halved and hashed as HMAC wants it",
        "R2246-5-02",
        connect=connect(suites=DHE),
        conversation=demanded(),
    ),
    *prf.both(
        "two-halves",
        "the PRF is both halves of the secret, MD5 and SHA-1, exclusive-ored",
        "R2246-5-07",
        conversation=demanded(),
    ),
    *(
        probe
        for suites in (MD5_MAC, SHA_MAC)
        for probe in prf.both(
            f"same-prf-{suites.mac}".lower(),
            f"the PRF is the same with an {suites.mac} MAC",
            "R2246-5-09",
            connect=connect(suites=suites),
            conversation=demanded(),
        )
    ),
)
