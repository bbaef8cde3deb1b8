"""The server's Diffie-Hellman group: chosen by name, judged by the client (RFC 2246 §7.4.3, RFC 7919, Logjam)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.conversation import carries_data, refused
from tests.support.ends import DH_ANON, DHE_DSS, DHE_RSA, RSA, client_end, handshake, server_end
from tests.support.forge import EMPTY_RENEGOTIATION_INFO, Forge
from tests.support.keys import client_for, server_for
from tests.support.pair import End, pump
from tests.support.traces import client_trace
from tlsexit.alerts import AlertDescription, LocalError
from tlsexit.crypto.groups import DH_GROUP_NAMES, dh_group
from tlsexit.events import MessageSeen
from tlsexit.handshake import keyexchange as kx
from tlsexit.handshake.enums import ExtensionType
from tlsexit.handshake.extensions import Extension
from tlsexit.profile import Profile
from tlsexit.wire import parse_prefix

NAMES = [name for name in DH_GROUP_NAMES if name != "export512"]
DHE_PSK = 0x0090


def params_sent_by(server: End) -> kx.ServerDHParams:
    """The server's parameters."""
    messages = [item.message for item in server.seen if isinstance(item, MessageSeen)]
    message = next(item for item in messages if isinstance(item, kx.ServerKeyExchange))
    return parse_prefix(kx.SERVER_DH_PARAMS, message.body, "ServerKeyExchange")[0]


@pytest.mark.parametrize("name", NAMES)
def test_every_group_by_name(name: str) -> None:
    """RFC 7919 appendix A, RFC 3526, RFC 2409: p and g as published, Ys in their range, all in full."""
    client, server = client_end(DHE_RSA), server_end(DHE_RSA, dh_group=name)
    handshake(client, server)
    params = params_sent_by(server)
    assert (int.from_bytes(params.dh_p, "big"), params.dh_g) == (dh_group(name).p, b"\2")
    assert len(params.dh_p) * 8 == dh_group(name).bits
    assert 2 <= int.from_bytes(params.dh_Ys, "big") <= dh_group(name).p - 2


# ------------------------------------------------------------------------------------------------ RFC 7919


def listing(*values: int, suites: tuple[int, ...] = (DHE_RSA,), **profile: Any) -> Forge:
    """A server's reaction to a client that lists these groups."""
    body = b"".join(value.to_bytes(2, "big") for value in values)
    listed = Extension(ExtensionType.SUPPORTED_GROUPS, len(body).to_bytes(2, "big") + body)
    hello = {"extensions": (EMPTY_RENEGOTIATION_INFO, listed), "cipher_suites": suites}
    return Forge(server_end(*suites, **profile), suites[-1], hello).play(client_trace(suites[-1]))


@pytest.mark.parametrize(
    ("listed", "profile", "name"),
    [
        ((256,), {}, "ffdhe2048"),
        ((260, 257, 258), {}, "ffdhe3072"),
        ((257, 256), {"dh_group": "ffdhe3072"}, "ffdhe3072"),
        ((256,), {"dh_group": "ffdhe3072"}, "ffdhe2048"),
        ((256,), {"dh_group": "modp2048"}, "ffdhe2048"),
        ((256, 257, 511), {"minimum_dh_bits": 3072, "dh_group": "modp4096"}, "ffdhe3072"),
        # nothing said of finite fields: the profile's
        ((23, 29), {"dh_group": "modp1536"}, "modp1536"),
        ((255, 512), {"dh_group": "modp1536"}, "modp1536"),
    ],
)
def test_a_group_that_the_client_lists(listed: tuple[int, ...], profile: dict[str, Any], name: str) -> None:
    """RFC 7919 §4: one of those, where the client lists any."""
    forge = listing(*listed, **profile)
    assert isinstance(forge.server_params, kx.ServerDHParams)
    assert int.from_bytes(forge.server_params.dh_p, "big") == dh_group(name).p
    carries_data(forge)


@pytest.mark.parametrize("listed", [(261,), (511, 23), (256,)])
def test_no_group_in_common(listed: tuple[int, ...]) -> None:
    """RFC 7919 §4: another suite, or else insufficient_security."""
    bounds = {"minimum_dh_bits": 2049}
    forge = listing(*listed, suites=(DHE_RSA, RSA), dh_group="modp3072", **bounds)
    assert forge.target.connection.context.cipher_suite == RSA
    carries_data(forge)
    for suite in (DHE_RSA, DHE_DSS, DH_ANON):
        lonely = listing(*listed, suites=(suite,), dh_group="modp3072", **bounds)
        refused(lonely, AlertDescription.INSUFFICIENT_SECURITY)


@pytest.mark.parametrize("suite", [DHE_RSA, DHE_DSS, DH_ANON, DHE_PSK], ids=hex)
@pytest.mark.parametrize(
    ("bounds", "alert"),
    [
        ({"minimum_dh_bits": 1536, "maximum_dh_bits": 1536}, None),
        ({"minimum_dh_bits": 1537}, "insufficient_security(71)"),
        ({"maximum_dh_bits": 1535}, "illegal_parameter(47)"),
    ],
)
def test_the_clients_bounds(suite: int, bounds: dict[str, Any], alert: str | None) -> None:
    """R5246-F.1.1.3-01, R2246-D.4-02: small ones protect nothing, large ones cost the cube of their size."""
    client, server = client_for(suite, **bounds), server_for(suite, dh_group="modp1536")
    pump(client, server)
    if alert is None:
        assert client.connection.established, client.connection.error
    else:
        assert alert in str(client.connection.error)


def test_a_new_pair_every_time() -> None:
    """R3268-SecurityConsiderations-01: forward secrecy, and no Raccoon."""
    values = set()
    for _ in range(3):
        client, server = client_end(DHE_RSA), server_end(DHE_RSA)
        handshake(client, server)
        values.add(params_sent_by(server).dh_Ys)
    assert len(values) == 3


@pytest.mark.parametrize("name", ["", "ffdhe1024", "FFDHE2048", "2048"])
def test_groups_that_nobody_knows(name: str) -> None:
    """Noticed when the profile is made, not in the handshake."""
    with pytest.raises(LocalError, match="DH group"):
        Profile.server(dh_group=name)


def test_a_peer_that_finds_the_group_too_small() -> None:
    """What the server's own bounds are does not matter; the client's word is final and reported."""
    client, server = client_end(DHE_RSA), server_end(DHE_RSA, dh_group="modp1024", minimum_dh_bits=4096)
    handshake(client, server)
    client, server = client_end(DHE_RSA, minimum_dh_bits=2048), server_end(DHE_RSA, dh_group="modp1024")
    pump(client, server)
    assert "insufficient_security(71)" in str(server.connection.error)
