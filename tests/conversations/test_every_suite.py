"""Every cipher suite that a server can choose, between two ends: full and abbreviated handshakes, data, the end."""

from __future__ import annotations

import pytest

from tests.support.ends import check_phases, handshake
from tests.support.keys import IDENTITY, client_for, server_for
from tests.support.pair import End, pump
from tests.support.sessions import Sessions
from tlsexit.crypto.suites import SUITES, KeyExchange, Premaster
from tlsexit.events import MessageSeen
from tlsexit.exits.context import Authentication
from tlsexit.handshake.keyexchange import ServerKeyExchange

CHOSEN = [value for value, suite in SUITES.items() if not suite.key_exchange.fixed]
every_suite = pytest.mark.parametrize("suite", CHOSEN, ids=lambda value: SUITES[value].name)
LENGTHS = (1, 15, 16, 17, 700)


def authentication(suite: int) -> Authentication:
    """Who is authenticated when the client shows no certificate."""
    exchange = SUITES[suite].key_exchange
    if exchange.premaster.psk:
        return Authentication.BOTH
    return Authentication.ANONYMOUS if exchange.anonymous else Authentication.SERVER


def exchange_data(client: End, server: End, size: int | None = None) -> None:
    """Send records of several lengths both ways, and close."""
    sent = b""
    for length in LENGTHS:
        data = bytes(length % 251 for _ in range(length))
        sent += data
        client.connection.send(data)
        server.connection.send(data)
        pump(client, server, size=size)
    assert client.received == server.received == sent
    client.connection.close()
    client.drive()
    pump(client, server, size=size)
    for end in (client, server):
        assert end.connection.error is None
        assert end.connection.peer_closed
        check_phases(end)


@every_suite
def test_a_full_handshake_and_a_resumption(suite: int) -> None:
    """R2246-7.3-01, R2246-7.3-05, R2246-6.3-08: the keys of the second connection are new, the session is not."""
    store = Sessions()
    client, server = client_for(suite), server_for(suite, config={"session_store": store})
    handshake(client, server)
    for end in (client, server):
        context = end.connection.context
        assert (context.cipher_suite, context.resumed) == (suite, False)
        assert context.authentication is authentication(suite)
        assert context.psk_identity == (IDENTITY if SUITES[suite].key_exchange.premaster.psk else None)
    session = client.connection.session
    assert session is not None
    exchange_data(client, server)

    client = client_for(suite, session=session)
    server = server_for(suite, config={"session_store": store})
    handshake(client, server)
    for end in (client, server):
        context = end.connection.context
        assert (context.cipher_suite, context.resumed) == (suite, True)
        assert context.authentication is authentication(suite)
    exchange_data(client, server)


@every_suite
def test_byte_by_byte_without_extensions(suite: int) -> None:
    """R2246-6.2.1-05: no chunking of the stream makes a difference; nor does a client of 1999."""
    client, server = client_for(suite, extensions=False), server_for(suite)
    handshake(client, server, size=1)
    assert client.connection.context.cipher_suite == server.connection.context.cipher_suite == suite
    assert not client.connection.context.extended_master_secret
    assert client.connection.context.secure_renegotiation
    exchange_data(client, server, size=1)


@every_suite
def test_where_server_key_exchange_is_sent(suite: int) -> None:
    """R2246-7.4.3-01, R2246-7.4.3-02, R2246-7.4.3-06; RFC 4279 §2: none without a hint."""
    client, server = client_for(suite), server_for(suite)
    handshake(client, server)
    sent = [item for item in server.seen if isinstance(item, MessageSeen) and item.sent]
    exchange = SUITES[suite].key_exchange
    expected = exchange.premaster not in (Premaster.RSA, Premaster.PSK, Premaster.RSA_PSK)
    # RFC 2246 §7.4.3: the certificates here hold keys of 2048 bits
    expected |= exchange is KeyExchange.RSA_EXPORT
    assert any(isinstance(item.message, ServerKeyExchange) for item in sent) is expected
