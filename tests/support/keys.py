"""Whatever an end needs to answer for any cipher suite: certificates of the fitting kind, and a pre-shared key."""

from __future__ import annotations

from typing import Any, Final

from tests.support.ends import certificates, client_end, server_end
from tests.support.pair import End
from tests.support.pki import NOW, pki
from tlsexit.constants import Role
from tlsexit.crypto.suites import KeyType
from tlsexit.policy import BuiltinPki, Identity

IDENTITY: Final = b"Client_identity"
PRE_SHARED_KEY: Final = bytes(range(0x61, 0x61 + 20))


def builtin(
    role: Role,
    *kinds: KeyType,
    keys: dict[bytes, bytes] | None = None,
    identities: list[Identity] | None = None,
    **options: Any,
) -> BuiltinPki:
    """The built-in PKI of one side, with an identity for each kind of key and one pre-shared key."""
    if identities is None:
        leaves = [pki(kind).server if role is Role.SERVER else pki(kind).client for kind in kinds]
        identities = [leaf.identity(kind.value) for kind, leaf in zip(kinds, leaves, strict=True)]
    roots = {kind.value: [pki(kind).root.certificate] for kind in kinds or KeyType}
    keys = {IDENTITY: PRE_SHARED_KEY} if keys is None else keys
    return BuiltinPki(identities, roots, clock=NOW.timestamp, pre_shared_keys=keys, **options)


def client_for(suite: int, *more: int, keys: dict[bytes, bytes] | None = None, **options: Any) -> End:
    """A started client that can do these suites, with pre-shared keys if they need them."""
    return client_end(suite, *more, builtin=builtin(Role.CLIENT, certificates(suite).kind, keys=keys), **options)


def server_for(suite: int, *more: int, keys: dict[bytes, bytes] | None = None, **options: Any) -> End:
    """A started server that can do these suites, with pre-shared keys if they need them."""
    return server_end(suite, *more, builtin=builtin(Role.SERVER, certificates(suite).kind, keys=keys), **options)
