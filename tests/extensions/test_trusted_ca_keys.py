"""trusted_ca_keys (RFC 6066 §6): the client says whom it trusts, the server chooses its certificate by it."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from tests.support.conversation import carries_data, refused
from tests.support.ends import RSA, client_end, handshake, server_end
from tests.support.forge import Forge
from tests.support.keys import builtin
from tests.support.pair import End, pump
from tests.support.pki import END, HOSTS, START, leaf_key, root_authority
from tests.support.scripted import ScriptedExit
from tests.support.traces import client_trace, server_trace
from tlsexit.alerts import AlertDescription, LocalError
from tlsexit.constants import Role
from tlsexit.crypto.suites import KeyType
from tlsexit.events import MessageSeen
from tlsexit.exits.phases import ExitPhase
from tlsexit.handshake.enums import ExtensionType
from tlsexit.handshake.extensions import Extension, find
from tlsexit.handshake.hello import ServerHello
from tlsexit.policy import BuiltinPki, Identity
from tlsexit.policy.throwaway import ThrowawayAuthority
from tlsexit.profile import Profile

FIRST, SECOND = root_authority("first root"), root_authority("second root", number=1)


def identity(root: ThrowawayAuthority) -> Identity:
    """A server certificate of this root."""
    leaf = root.issue("localhost", key=leaf_key(KeyType.RSA), hosts=HOSTS, not_before=START, not_after=END)
    return leaf.identity(str(root.certificate.serial_number))


IDENTITIES = [identity(FIRST), identity(SECOND)]


def by_name(root: ThrowawayAuthority) -> tuple[int, bytes]:
    return 2, root.certificate.subject.public_bytes()


def by_certificate(root: ThrowawayAuthority) -> tuple[int, bytes]:
    return 3, hashlib.sha1(root.certificate.public_bytes(Encoding.DER)).digest()


def by_key(root: ThrowawayAuthority) -> tuple[int, bytes]:
    modulus: Any = root.certificate.public_key()
    number = modulus.public_numbers().n
    return 1, hashlib.sha1(number.to_bytes((number.bit_length() + 7) // 8, "big")).digest()


def server(exits: object = None) -> End:
    """A server with a certificate of each root."""
    roots = {"first": [FIRST.certificate], "second": [SECOND.certificate]}
    own = BuiltinPki(IDENTITIES, roots)
    return server_end(builtin=own, exits=exits)


def client(*trusted: tuple[int, bytes], root: ThrowawayAuthority | None = None) -> End:
    """A client that says whom it trusts, and trusts ``root``."""
    own = BuiltinPki([], {"root": [(root or FIRST).certificate]})
    return client_end(trusted_authorities=trusted, builtin=own)


def answer(end: End) -> bytes | None:
    """The body of the server's answer, as the client saw it."""
    messages = [item.message for item in end.seen if isinstance(item, MessageSeen)]
    hello = next(item for item in messages if isinstance(item, ServerHello))
    return find(hello.extensions, ExtensionType.TRUSTED_CA_KEYS)


@pytest.mark.parametrize("size", [None, 1])
@pytest.mark.parametrize("identify", [by_name, by_certificate, by_key])
@pytest.mark.parametrize(("root", "index"), [(FIRST, 0), (SECOND, 1)], ids=["first", "second"])
def test_the_client_decides(root: ThrowawayAuthority, index: int, identify: Any, size: int | None) -> None:
    """R4366-3.4-01: by name, by certificate, by key; a server that used it says so with an empty body."""
    one, other = client(identify(root), root=root), server()
    handshake(one, other, size=size)
    assert one.connection.context.peer_chain == IDENTITIES[index].chain
    assert answer(one) == b""


@pytest.mark.parametrize("trusted", [(), ((0, b""),), ((1, bytes(20)),), ((2, b"\x30\0"),), ((3, bytes(20)),)])
def test_authorities_that_the_server_does_not_know(trusted: tuple[tuple[int, bytes], ...]) -> None:
    """R4366-3.4-01: "may ... be guided", so it need not be, and then it does not answer."""
    one = client(*trusted)
    handshake(one, server())
    assert one.connection.context.peer_chain == IDENTITIES[0].chain
    assert answer(one) is None


def test_the_exit_is_told() -> None:
    """GetCertificate shows the pairs; None where the client sent no such extension."""
    for trusted in ((), (by_name(SECOND), (0, b""))):
        exits = ScriptedExit()
        handshake(client(*trusted, root=SECOND if trusted else FIRST), server(exits))
        assert exits.last(ExitPhase.GET_CERTIFICATE).trusted_authorities == (trusted or None)


def test_the_answer_may_be_left_out_or_come_without_effect() -> None:
    """R4366-3.4-01, seen from the client: the certificate is checked as ever."""
    for extensions in ((), (Extension(ExtensionType.TRUSTED_CA_KEYS, b""),)):
        end = client_end(trusted_authorities=((0, b""),))
        carries_data(Forge(end, RSA, {"extensions": extensions}).play(server_trace(RSA)))


@pytest.mark.parametrize("kind", [4, 255])
def test_a_kind_of_identifier_without_a_form(kind: int) -> None:
    """RFC 6066 §6: nothing says how long it would be, so the list cannot be read on."""
    body = bytes([0, 3, 0, kind, 0])
    hello = {"extensions": (Extension(ExtensionType.TRUSTED_CA_KEYS, body),)}
    refused(Forge(server_end(), RSA, hello).play(client_trace(RSA)), AlertDescription.ILLEGAL_PARAMETER)


def test_an_empty_list() -> None:
    """RFC 6066 §6: <0..2^16-1>, so "I trust nobody in particular" is well formed."""
    hello = {"extensions": (Extension(ExtensionType.TRUSTED_CA_KEYS, b"\0\0"),)}
    carries_data(Forge(server_end(builtin=builtin(Role.SERVER, KeyType.RSA)), RSA, hello).play(client_trace(RSA)))


@pytest.mark.parametrize("pair", [(0, b"x"), (1, bytes(19)), (3, bytes(21)), (2, b""), (2, bytes(2**16)), (4, b"")])
def test_what_a_profile_cannot_say(pair: tuple[int, bytes]) -> None:
    """Noticed when the profile is made, not in the handshake."""
    with pytest.raises(LocalError, match="trusted authority"):
        Profile.client(trusted_authorities=(pair,))


def test_a_list_that_the_extension_does_not_hold() -> None:
    with pytest.raises(LocalError, match="trusted authorities"):
        Profile.client(trusted_authorities=((1, bytes(20)),) * 3200)


def test_the_client_has_no_use_for_it_in_checks() -> None:
    """What it trusts is what its key store holds: the list is only a hint to the server."""
    one = client(by_name(SECOND), root=FIRST)
    pump(one, server())
    assert "unknown_ca(48)" in str(one.connection.error)
