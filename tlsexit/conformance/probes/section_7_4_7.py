"""§7.4.7: ClientKeyExchange, and what is in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from tlsexit.conformance.actions import (
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
    refused,
    skip,
)
from tlsexit.conformance.expect import alert, closed, completed
from tlsexit.conformance.model import Group, Probe, Reading
from tlsexit.conformance.needs import DHE, RSA, RSA_EXPORT
from tlsexit.conformance.talk import Talk
from tlsexit.crypto.keyops import encrypt
from tlsexit.puppet import Puppet, Step
from tlsexit.puppet.steps import (
    certificate_verify,
    change_cipher_spec,
    client_key_exchange_with,
    finished,
    pre_master_secret_of,
    raw_message,
)

section = Group("7.4.7")
encrypted = Group("7.4.7.1")
public = Group("7.4.7.2")

_SAMPLES: Final = 5


def rsa_key(puppet: Puppet) -> RSAPublicKey:
    """The key that the premaster secret is encrypted to."""
    key = puppet.peer_key
    assert isinstance(key, RSAPublicKey)
    return key


def size_of(puppet: Puppet) -> int:
    """How many bytes its modulus has."""
    return (rsa_key(puppet).key_size + 7) // 8


def encrypted_block(build: Callable[[int, bytes], bytes], *, taken: bool = False) -> Step:
    """A ClientKeyExchange around a PKCS #1 block that ``build(size, premaster)`` makes, right or wrong.

    ``taken``: the puppet goes on with the last 48 bytes of the block, as a server does that looks no closer.
    """

    def ciphertext(puppet: Puppet) -> bytes:
        numbers, size = rsa_key(puppet).public_numbers(), size_of(puppet)
        puppet.pre_master_secret = b"\3\1" + puppet.random(46)
        block = build(size, puppet.pre_master_secret)
        if taken:
            puppet.pre_master_secret = block[-48:]
        return pow(int.from_bytes(block, "big"), numbers.e, numbers.n).to_bytes(size, "big")

    return client_key_exchange_with(ciphertext)


def modulus(puppet: Puppet) -> bytes:
    """The modulus of the server's key, which is no ciphertext."""
    return rsa_key(puppet).public_numbers().n.to_bytes(size_of(puppet), "big")


def padded(size: int, secret: bytes, *, head: bytes = b"\0\2") -> bytes:
    """A block of type 2 around ``secret``; ``head`` is what it begins with."""
    return head + b"\xa5" * (size - len(head) - 1 - len(secret)) + b"\0" + secret


BLOCKS: Final[dict[str, Callable[[int, bytes], bytes]]] = {
    "first-byte": lambda size, secret: padded(size, secret, head=b"\1\2"),
    "block-type": lambda size, secret: padded(size, secret, head=b"\0\1"),
    "no-separator": lambda size, secret: b"\0\2" + b"\xa5" * (size - 2),
    "zero-in-padding": lambda size, secret: b"\0\2\xa5\xa5\0" + padded(size, secret)[5:],
    "zero-too-early": lambda size, secret: b"\0\2" + b"\xa5" * 20 + b"\0" + b"\xa5" * (size - 23),
    "zero-too-late": lambda size, secret: b"\0\2" + b"\xa5" * (size - 3) + b"\0",
    "zeros": lambda size, secret: bytes(size),
    "version-0300": lambda size, secret: padded(size, b"\3\0" + secret[2:]),
    "version-0000": lambda size, secret: padded(size, b"\0\0" + secret[2:]),
}
"""Blocks that are wrong in one way each (§7.4.7.1); the version is part of what is encrypted."""


def length_is_48(talk: Talk) -> str | None:
    """48 bytes, the version that the client offered in front."""
    puppet = talk.puppet
    secret, hello = puppet.pre_master_secret, puppet.client_hello
    assert hello is not None
    if len(secret) != 48:
        return f"the premaster secret has {len(secret)} bytes"
    if int.from_bytes(secret[:2], "big") == hello.client_version:
        return None
    return f"the premaster secret begins with {secret[:2].hex()}, client_version is {hello.client_version:04x}"


def keep_secret(talk: Talk) -> None:
    """Remember the random part of the premaster secret."""
    talk.memory.setdefault("secrets", []).append(talk.puppet.pre_master_secret[2:])


def secrets_differ(talk: Talk) -> str | None:
    """None comes twice."""
    drawn = talk.memory["secrets"]
    return "a premaster secret came twice" if len(set(drawn)) < len(drawn) else None


def no_alert_yet(talk: Talk) -> str | None:
    """Whatever is wrong with the premaster secret does not show before Finished."""
    talk.puppet.listen(talk.terms.quiet)
    return f"{talk.puppet.reaction} before Finished: an oracle" if talk.puppet.over else None


def _blocks() -> Iterator[Probe]:
    for name, build in BLOCKS.items():
        version = name.startswith("version")
        yield encrypted.server(
            f"block-{name}",
            f"a premaster secret that is wrong ({name.replace('-', ' ')}) fails at Finished and not before",
            "R2246-7.4.7.1-03" if version else "R2246-7.4.7.1-04",
            "R5246-7.4.7.1-01",
            connect=connect(suites=RSA),
            conversation=(
                before("client_key_exchange"),
                Send(encrypted_block(build)),
                Check(no_alert_yet),
                after("client_key_exchange"),
                refused(),
            ),
            meaning="The server tells good blocks from bad ones: whoever asks often enough decrypts (ROBOT).",
        )
        if version:
            yield encrypted.server(
                f"block-{name}-taken",
                f"a premaster secret that is wrong ({name.replace('-', ' ')}) is not used as it is",
                "R2246-7.4.7.1-03",
                connect=connect(suites=RSA),
                conversation=(
                    before("client_key_exchange"),
                    Send(encrypted_block(build, taken=True)),
                    after("client_key_exchange"),
                    refused(),
                ),
                meaning="Somebody in between can have the two ends agree on an older version than both have.",
            )
    yield encrypted.server(
        "block-modulus",
        "a ciphertext as large as the modulus fails at Finished and not before",
        "R2246-7.4.7.1-04",
        "R5246-7.4.7.1-01",
        connect=connect(suites=RSA),
        conversation=(
            before("client_key_exchange"),
            Send(client_key_exchange_with(modulus)),
            Check(no_alert_yet),
            after("client_key_exchange"),
            refused(),
        ),
    )
    for size in (0, 46, 47, 49, 128):
        yield encrypted.server(
            f"length-{size}",
            f"a premaster secret of {size} bytes fails at Finished and not before",
            "R2246-7.4.7.1-05",
            connect=connect(suites=RSA),
            conversation=(
                before("client_key_exchange"),
                Send(pre_master_secret_of((b"\3\1" + bytes(range(1, 127)))[:size])),
                Check(no_alert_yet),
                after("client_key_exchange"),
                refused(),
            ),
        )


def _lengths() -> Iterator[Probe]:
    """The ciphertext is as long as the modulus."""
    changes: dict[str, Callable[[bytes], bytes]] = {
        "shorter": lambda good: good[:-1],
        "longer": lambda good: b"\0" + good,
        "empty": lambda good: b"",
        "one-byte": lambda good: good[:1],
    }
    for name, change in changes.items():

        def ciphertext(puppet: Puppet, change: Callable[[bytes], bytes] = change) -> bytes:
            puppet.pre_master_secret = b"\3\1" + puppet.random(46)
            return change(encrypt(puppet.peer_key, puppet.pre_master_secret))

        yield encrypted.server(
            f"ciphertext-{name}",
            f"a ciphertext that is not as long as the modulus ({name.replace('-', ' ')}) is refused",
            "R2246-7.4.7.1-08",
            connect=connect(suites=RSA),
            conversation=(
                before("client_key_exchange"),
                Send(client_key_exchange_with(ciphertext)),
                after("client_key_exchange"),
                expect(alert(50, 20, 51, 47), closed()),
            ),
        )


def _bare(puppet: Puppet) -> bytes:
    """The ciphertext without a length in front, as SSL 3.0 had it."""
    puppet.pre_master_secret = b"\3\1" + puppet.random(46)
    body = encrypt(puppet.peer_key, puppet.pre_master_secret)
    return b"\x10" + len(body).to_bytes(3, "big") + body


def _public_values() -> Iterator[Probe]:
    bodies: dict[str, bytes] = {
        "empty-value": b"\0\0",
        "overrun": b"\1\0" + bytes(16),
        "trailing-byte": b"\0\1\2" + b"\0",
    }
    for name, body in bodies.items():
        yield public.server(
            name,
            f"a public value that is no vector of a byte at least ({name.replace('-', ' ')}) is refused",
            "R2246-7.4.7.2-01",
            connect=connect(suites=DHE),
            conversation=(before("client_key_exchange"), Send(raw_message(16, body)), refused()),
        )


PROBES: Final = (
    section.server(
        "left-out",
        "Finished without ClientKeyExchange before it is refused",
        "R2246-7.4.7-01",
        conversation=(
            before("client_key_exchange"),
            skip("client_key_exchange"),
            Send(change_cipher_spec),
            Send(finished),
            refused(),
        ),
    ),
    section.server(
        "verify-in-its-place",
        "CertificateVerify in place of ClientKeyExchange is refused",
        "R2246-7.4.7-01",
        conversation=(before("client_key_exchange"), Send(certificate_verify), refused()),
    ),
    section.client(
        "sent",
        "ClientKeyExchange is always sent",
        "R2246-7.4.7-01",
        conversation=(Observe(),),
    ),
    encrypted.client(
        "form",
        "the premaster secret has 48 bytes and begins with the version that the client offered",
        "R2246-7.4.7.1-01",
        "R2246-7.4.7.1-02",
        "R2246-7.4.7.1-06",
        "R2246-7.4.7.1-07",
        connect=connect(suites=RSA),
        conversation=(Observe(), Check(length_is_48)),
    ),
    encrypted.client(
        "random",
        "46 bytes of the premaster secret are random",
        "R2246-7.4.7.1-01",
        connect=connect(suites=RSA),
        conversation=(
            Repeat(_SAMPLES, (connect(), handshake(), established(), Do(keep_secret))),
            Check(secrets_differ),
        ),
    ),
    encrypted.client(
        "temporary-key",
        "the premaster secret is encrypted to the temporary key of RSA_EXPORT",
        "R2246-7.4.7.1-07",
        connect=connect(suites=RSA_EXPORT),
        conversation=(handshake(), established()),
    ),
    *_blocks(),
    encrypted.server(
        "without-length",
        "a premaster secret without its length in front is refused",
        "R2246-7.4.7.1-06",
        connect=connect(suites=RSA),
        conversation=(
            before("client_key_exchange"),
            Send(Step("client_key_exchange", _bare, after=Puppet.derive)),
            after("client_key_exchange"),
            expect(
                alert(50, 20, 51, 47),
                closed(),
                completed().warn("as SSL 3.0 had it").only(Reading.LATER),
            ),
        ),
    ),
    *_lengths(),
    public.client(
        "form",
        "the client's public value is one vector",
        "R2246-7.4.7.2-01",
        connect=connect(suites=DHE),
        conversation=(Observe(),),
    ),
    *_public_values(),
    public.server(
        "implicit",
        "an empty ClientKeyExchange without a certificate of its own is refused",
        "R2246-7.4.7.2-02",
        connect=connect(suites=DHE),
        conversation=(before("client_key_exchange"), Send(raw_message(16, b"")), refused()),
    ),
)
