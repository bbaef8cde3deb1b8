"""What is left of a connection: secrets let go, sessions, writes that wait (RFC 2246 §7.2.1, §7.2.2, §8.1)."""

from __future__ import annotations

import gc
from types import FunctionType, MethodType, ModuleType
from typing import Any

import pytest

from tests.support.conversation import established
from tests.support.ends import DHE_RSA, ECDHE_RSA, RSA, server_end
from tests.support.forge import Forge
from tests.support.pair import End
from tests.support.sessions import Sessions
from tests.support.traces import (
    client_trace,
    until,
)
from tests.support.wiretap import derive_keys
from tlsexit.alerts import AlertDescription, AlertLevel, TruncatedError
from tlsexit.constants import Role
from tlsexit.handshake.extensions import Extension

# ------------------------------------------------------------------------------------------------ secrets


def reachable(root: object) -> list[object]:
    """Everything that ``root`` keeps alive, code and modules aside."""
    found: dict[int, object] = {}
    waiting: list[object] = [root]
    while waiting:
        item = waiting.pop()
        if id(item) in found or isinstance(item, (type, ModuleType, FunctionType, MethodType)):
            continue
        found[id(item)] = item
        waiting.extend(gc.get_referents(item))
    return list(found.values())


def keeps(connection: object, secret: bytes) -> bool:
    """Whether the bytes are anywhere in what the connection keeps alive."""
    return any(isinstance(item, (bytes, bytearray)) and secret in item for item in reachable(connection))


KEYED = {"CipherContext", "HMAC"}
"""The library's objects that hold the keys of a record state."""


def quietly(end: End) -> object:
    """The connection of an end without the test's own records of it."""
    end.seen.clear()
    end.events.clear()
    return end.connection


@pytest.mark.parametrize("suite", [RSA, DHE_RSA, ECDHE_RSA])
@pytest.mark.parametrize("role", Role)
def test_the_premaster_secret_is_let_go(role: Role, suite: int) -> None:
    """R2246-8.1-02: once the master secret is there, nothing refers to it any more."""
    forge = established(role, suite)
    secret = forge.pre_master_secret
    assert len(secret) >= 32
    assert keeps(quietly(forge.target), forge.master_secret)  # for exporters, so the search does find things
    assert not keeps(quietly(forge.target), secret)


@pytest.mark.parametrize("suite", [RSA, DHE_RSA])
@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("whose", ["ours", "theirs"])
def test_the_secrets_of_a_failed_connection_are_forgotten(role: Role, suite: int, whose: str) -> None:
    """R2246-7.2.2-02: master secret, MAC secrets, keys and IVs, after a fatal alert sent or received."""
    forge = established(role, suite)
    both = derive_keys(suite, forge.master_secret, *forge.randoms).values()
    secrets = [forge.master_secret, *(part for keys in both for part in (keys.mac_secret, keys.key))]
    assert not KEYED - {type(item).__name__ for item in reachable(forge.target.connection)}
    if whose == "ours":
        forge.send_record(20, b"\1")
    else:
        forge.send_alert(AlertLevel.FATAL, AlertDescription.INTERNAL_ERROR)
    assert forge.target.connection.closed
    connection: Any = quietly(forge.target)
    assert not any(keeps(connection, secret) for secret in secrets)
    assert not KEYED & {type(item).__name__ for item in reachable(connection)}
    assert connection.session is None


# ------------------------------------------------------------------------------------------------ closing


def test_pending_writes_are_discarded() -> None:
    """R2246-7.2.1-02: behind our close_notify comes nothing, though data had been waiting for new keys."""
    forge = established(Role.CLIENT, RSA, renegotiation=True)
    connection = forge.target.connection
    saved = forge.verify_data
    forge.begin()
    forge.hello = {"extensions": (Extension(0xFF01, b"\x0c" + saved),)}
    forge.play(until(client_trace(RSA), "finished"))
    connection.send(b"sent under the old keys")
    forge.listen()
    assert forge.application_data == b"sent under the old keys"
    forge.send_alert(AlertLevel.WARNING, AlertDescription.CLOSE_NOTIFY)
    assert forge.warnings == [AlertDescription.CLOSE_NOTIFY]
    assert connection.data_to_send() == b""


def test_a_disorderly_end_leaves_the_session() -> None:
    """RFC 4346 §7.2.1 took back what RFC 2246 said of sessions; the truncation is reported all the same."""
    sessions = Sessions()
    server = server_end(RSA, config={"session_store": sessions})
    forge = Forge(server, RSA).play(client_trace(RSA))
    server.connection.receive_eof()
    server.drive()
    assert isinstance(server.connection.error, TruncatedError)
    assert len(sessions.kept) == 1
    assert forge.fatal is None
