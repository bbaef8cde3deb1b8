"""§7.4.3: ServerKeyExchange."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from hashlib import md5, sha1
from os import urandom
from typing import Any, Final

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
    refused,
    skip,
    through,
)
from tlsexit.conformance.changes import reframed
from tlsexit.conformance.model import Group, Probe
from tlsexit.conformance.needs import ANONYMOUS, DHE, EPHEMERAL, RSA, RSA_EXPORT
from tlsexit.conformance.probes.section_7_3 import server_flight
from tlsexit.conformance.talk import Talk
from tlsexit.crypto.export import temporary_rsa_key
from tlsexit.crypto.groups import DHKeyPair, dh_group
from tlsexit.crypto.keyops import key_type, sign, verify
from tlsexit.crypto.suites import KeyType
from tlsexit.handshake import keyexchange as kx
from tlsexit.handshake.agreement import SERVER_GRAMMARS, signed_digest
from tlsexit.handshake.codec import encode
from tlsexit.handshake.keyexchange import ServerKeyExchange
from tlsexit.puppet import Puppet, Step
from tlsexit.puppet.steps import server_key_exchange, server_key_exchange_with, server_params
from tlsexit.wire import build

section = Group("7.4.3")


def vectors(*values: bytes) -> bytes:
    """Vectors behind two bytes of length each (§4.3)."""
    return b"".join(len(value).to_bytes(2, "big") + value for value in values)


def cut(params: bytes) -> list[bytes]:
    """The three vectors of Diffie-Hellman parameters."""
    found = []
    while params:
        size = int.from_bytes(params[:2], "big")
        found.append(params[2 : 2 + size])
        params = params[2 + size :]
    return found


def group_of(name: str) -> Callable[[Puppet], bytes]:
    """Parameters over a well-known group."""

    def params(puppet: Puppet) -> bytes:
        pair = DHKeyPair.generate(dh_group(name))
        puppet.key_pair = pair
        prime = pair.params.p.to_bytes((pair.params.bits + 7) // 8, "big")
        return build(kx.SERVER_DH_PARAMS, kx.ServerDHParams(prime, b"\2", pair.public))

    return params


def with_params(change: Callable[..., bytes]) -> Step:
    """A ServerKeyExchange, rightly signed, with ``change(p, g, public)`` for its parameters."""
    return server_key_exchange_with(lambda puppet: change(*cut(server_params(puppet))))


def signed_over(digested: Callable[[Puppet, bytes], bytes]) -> Step:
    """A ServerKeyExchange whose signature covers ``digested(puppet, params)`` instead of randoms and parameters."""

    def built(puppet: Puppet) -> bytes:
        params = server_params(puppet)
        data = digested(puppet, params)
        both = md5(data, usedforsecurity=False).digest() + sha1(data, usedforsecurity=False).digest()
        digest = both if key_type(puppet.own_key) is KeyType.RSA else both[16:]
        return encode(kx.build_server_key_exchange(params, sign(puppet.own_key, digest)))

    return replace(server_key_exchange, build=built)


@cache
def _temporary_params() -> bytes:
    numbers = temporary_rsa_key(urandom).public_key().public_numbers()
    return vectors(numbers.n.to_bytes(64, "big"), numbers.e.to_bytes(3, "big"))


def _temporary_key(puppet: Puppet) -> bytes:
    """A ServerKeyExchange as RSA_EXPORT has it: a key of 512 bits, rightly signed."""
    params = _temporary_params()
    return encode(kx.build_server_key_exchange(params, sign(puppet.own_key, puppet.params_digest(params))))


def signature_is_right(talk: Talk) -> str | None:
    """MD5 and SHA-1, or SHA-1, of both randoms and the parameters as they came."""
    puppet = talk.puppet
    message = next((item for item in puppet.messages if isinstance(item, ServerKeyExchange)), None)
    if message is None:
        return "no ServerKeyExchange came"
    grammar = SERVER_GRAMMARS[puppet.exchange.premaster]
    try:
        _, params, signature = kx.parse_server_key_exchange(grammar, message, signed=puppet.exchange.signed)
        assert signature is not None
        verify(puppet.peer_key, signature, signed_digest(key_type(puppet.peer_key), *puppet.randoms, params))
    except PeerError as error:
        return error.reason
    return None


def nothing_behind_the_parameters(talk: Talk) -> str | None:
    """An anonymous ServerKeyExchange is its parameters."""
    message = next((item for item in talk.puppet.messages if isinstance(item, ServerKeyExchange)), None)
    if message is None:
        return "no ServerKeyExchange came"
    return None if len(cut(message.body)) == 3 else f"{message.body.hex()} is not three vectors"


def parameters_are_vectors(talk: Talk) -> str | None:
    """p, g and the public value, none of them empty."""
    params = talk.puppet.server_params
    if not isinstance(params, kx.ServerDHParams):
        return "the parameters are not those of Diffie-Hellman"
    return None if params.dh_p and params.dh_g and params.dh_Ys else "a parameter is empty"


def _dh_parameters() -> Iterator[Probe]:
    changes: dict[str, Callable[..., bytes]] = {
        "empty-p": lambda p, g, public: vectors(b"", g, public),
        "empty-g": lambda p, g, public: vectors(p, b"", public),
        "empty-public": lambda p, g, public: vectors(p, g, b""),
        "overrun": lambda p, g, public: vectors(p, g) + b"\xff\xff" + public,
    }
    for name, change in changes.items():
        yield section.client(
            f"dh-{name}",
            f"Diffie-Hellman parameters that are no three vectors of a byte at least ({name}) are refused",
            "R2246-7.4.3-03",
            connect=connect(suites=DHE),
            conversation=(before("server_key_exchange"), Send(with_params(change)), refused()),
        )
    yield section.client(
        "dh-leading-zero",
        "a prime with a zero in front is the same prime",
        "R2246-7.4.3-03",
        level="SHOULD",
        connect=connect(suites=DHE),
        conversation=(
            before("server_key_exchange"),
            Send(with_params(lambda p, g, public: vectors(b"\0" + p, g, public))),
            after("server_key_exchange"),
            established(),
        ),
    )


def _rsa_parameters() -> Iterator[Probe]:
    def params(change: Callable[[bytes, bytes], tuple[bytes, bytes]]) -> Step:
        return server_key_exchange_with(lambda puppet: vectors(*change(*cut(_temporary_params()))))

    changes: dict[str, Callable[[bytes, bytes], tuple[bytes, bytes]]] = {
        "empty-modulus": lambda n, e: (b"", e),
        "empty-exponent": lambda n, e: (n, b""),
        "even-modulus": lambda n, e: (n[:-1] + bytes([n[-1] & 0xFE]), e),
        "exponent-1": lambda n, e: (n, b"\1"),
    }
    for name, change in changes.items():
        yield section.client(
            f"rsa-{name}",
            f"an unusable temporary RSA key ({name.replace('-', ' ')}) is refused",
            "R2246-7.4.3-04",
            connect=connect(suites=RSA_EXPORT),
            conversation=(
                through("certificate"),
                Send(params(change)),
                after("server_key_exchange"),
                refused(),
            ),
        )


def _signatures() -> Iterator[Probe]:
    covered: dict[str, Callable[[Any, bytes], bytes]] = {
        "randoms-swapped": lambda puppet, params: puppet.randoms[1] + puppet.randoms[0] + params,
        "without-lengths": lambda puppet, params: b"".join((*puppet.randoms, *cut(params))),
        "another-client-random": lambda puppet, params: bytes(32) + puppet.randoms[1] + params,
        "parameters-alone": lambda puppet, params: params,
    }
    for name, digested in covered.items():
        yield section.client(
            f"signature-{name}",
            f"a signature over something else ({name.replace('-', ' ')}) is refused",
            "R2246-7.4.3-05",
            connect=connect(suites=DHE),
            conversation=(
                before("server_key_exchange"),
                Send(signed_over(digested)),
                after("server_key_exchange"),
                refused(),
            ),
        )
    spoilt: dict[str, Callable[[bytes], bytes]] = {
        "bit": lambda good: good[:-1] + bytes([good[-1] ^ 1]),
        "empty": lambda good: b"",
        "short": lambda good: good[:-1],
    }
    for name, change in spoilt.items():
        yield section.client(
            f"signature-{name}",
            f"a spoilt signature ({name}) is refused",
            "R2246-7.4.3-05",
            connect=connect(suites=EPHEMERAL),
            conversation=(
                before("server_key_exchange"),
                Send(server_key_exchange_with(signature=change)),
                after("server_key_exchange"),
                refused(),
            ),
        )


PROBES: Final = (
    section.server(
        "sent",
        "ServerKeyExchange comes directly behind Certificate where the suite needs it",
        "R2246-7.4.3-01",
        connect=connect(suites=EPHEMERAL),
        conversation=(Observe(), Check(server_flight)),
    ),
    section.client(
        "left-out",
        "a server that leaves ServerKeyExchange out is refused",
        "R2246-7.4.3-01",
        connect=connect(suites=EPHEMERAL),
        conversation=(
            before("server_key_exchange"),
            skip("server_key_exchange"),
            after("server_key_exchange"),
            refused(),
        ),
    ),
    section.server(
        "not-sent",
        "there is no ServerKeyExchange in plain RSA",
        "R2246-7.4.3-02",
        connect=connect(suites=RSA),
        conversation=(Observe(), Check(server_flight)),
    ),
    section.client(
        "temporary-key-in-rsa",
        "a temporary key of 512 bits in plain RSA is refused",
        "R2246-7.4.3-02",
        connect=connect(suites=RSA),
        conversation=(
            through("certificate"),
            Send(replace(server_key_exchange, build=_temporary_key)),
            after("server_key_exchange"),
            refused(),
        ),
    ),
    section.server(
        "dh-parameters",
        "Diffie-Hellman parameters are three vectors",
        "R2246-7.4.3-03",
        connect=connect(suites=DHE),
        conversation=(Observe(), Check(parameters_are_vectors)),
    ),
    *_dh_parameters(),
    section.server(
        "rsa-parameters",
        "a temporary RSA key is two vectors, signed",
        "R2246-7.4.3-04",
        connect=connect(suites=RSA_EXPORT),
        conversation=(Observe(), Check(lambda talk: _exported(talk) or signature_is_right(talk))),
    ),
    *_rsa_parameters(),
    section.server(
        "signature",
        "the signature covers both randoms and the parameters as they stand",
        "R2246-7.4.3-05",
        connect=connect(suites=EPHEMERAL),
        conversation=(Observe(), Check(signature_is_right)),
    ),
    *_signatures(),
    section.server(
        "anonymous",
        "an anonymous ServerKeyExchange ends behind its parameters",
        "R2246-7.4.3-06",
        connect=connect(suites=ANONYMOUS),
        conversation=(Observe(), Check(nothing_behind_the_parameters)),
    ),
    section.client(
        "anonymous-with-signature",
        "an empty signature in an anonymous suite is refused",
        "R2246-7.4.3-06",
        connect=connect(suites=ANONYMOUS),
        conversation=(
            before("server_key_exchange"),
            Altered("server_key_exchange", reframed(lambda body: body + bytes(2))),
            after("server_key_exchange"),
            refused(),
        ),
    ),
)


def _exported(talk: Talk) -> str | None:
    if talk.puppet.server_params is None:
        talk.inapplicable("the server's own key is short enough")
    return None
