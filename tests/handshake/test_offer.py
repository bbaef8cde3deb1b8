"""The client's hello: what a profile makes it offer."""

from __future__ import annotations

import pytest

from tlsexit.handshake.enums import ExtensionType
from tlsexit.handshake.extensions import SERVER_NAME_LIST, ServerName, read
from tlsexit.handshake.offer import client_extensions
from tlsexit.profile import Profile


def test_a_host_name_is_sent_as_server_name() -> None:
    offered = client_extensions(Profile.client(server_name="server.example"), None, None)
    assert read(offered, ExtensionType.SERVER_NAME, SERVER_NAME_LIST) == (ServerName(0, b"server.example"),)


@pytest.mark.parametrize("address", ["192.0.2.7", "2001:db8::7"])
def test_an_address_is_not_sent_as_server_name(address: str) -> None:
    """RFC 6066 §3: "Literal IPv4 and IPv6 addresses are not permitted in "HostName"."""
    offered = client_extensions(Profile.client(server_name=address), None, None)
    assert read(offered, ExtensionType.SERVER_NAME, SERVER_NAME_LIST) is None
