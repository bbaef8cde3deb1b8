"""Whom a puppet pretends to be: a chain with its key, one for each kind of key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache

from tlsexit.constants import Role
from tlsexit.crypto.keyops import PrivateKey
from tlsexit.crypto.suites import KeyType
from tlsexit.policy.throwaway import generate_key, throwaway_authority


@dataclass(frozen=True, slots=True)
class Credential:
    """A chain of DER certificates, leaf first, and the private key of the leaf."""

    chain: tuple[bytes, ...]
    key: PrivateKey = field(repr=False)


Credentials = Mapping[KeyType, Credential]
"""What an end can show, by kind of key."""


@cache
def throwaway_credentials(role: Role) -> Credentials:
    """Return one self-made credential of each kind, that nobody trusts; the same ones at every call.

    A server's certificates name localhost and 127.0.0.1.
    """
    authority = throwaway_authority("puppet authority")
    hosts = ("localhost", "127.0.0.1") if role is Role.SERVER else ()
    made = {}
    for kind in KeyType:
        issued = authority.issue(f"puppet {role.value}", key=generate_key(kind), role=role, hosts=hosts)
        made[kind] = Credential(issued.chain, issued.key)
    return made
