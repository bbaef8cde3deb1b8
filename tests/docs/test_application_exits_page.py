"""docs/application-exits.md: its example works, and its tables have every field and every exit."""

from __future__ import annotations

import re
import socket
import threading
from dataclasses import fields
from typing import Any

import pytest

from tests.support.pages import DOCS, blocks
from tests.support.pki import pki
from tlsexit import ApplicationExits, SessionRefused, TransportSecurity
from tlsexit.constants import Role
from tlsexit.drivers.blocking import wrap_socket
from tlsexit.profile import Profile, Verify

PAGE = "application-exits.md"
PKI = pki()  # before there are threads


@pytest.fixture
def names() -> dict[str, Any]:
    """What the examples define."""
    found: dict[str, Any] = {}
    for example in blocks(PAGE, "python"):
        exec(example, found)
    return found


def send(sock: socket.socket, data: bytes) -> None:
    with wrap_socket(sock, Profile.client(), pki=PKI.builtin(Role.CLIENT)) as tls:
        tls.sendall(data)
        tls.unwrap()


def take(names: dict[str, Any], inbox: Any, profile: Profile) -> Any:
    near, far = socket.socketpair()
    with near, far:
        for sock in (near, far):
            sock.settimeout(20)
        sender = threading.Thread(target=send, args=(near, b"four"), daemon=True)
        sender.start()
        try:
            return names["take_one"](far, profile, PKI.builtin(Role.SERVER), inbox)
        finally:
            sender.join(20)


def test_the_example_lets_a_partner_in(names: dict[str, Any]) -> None:
    inbox = names["Inbox"]({"root"})
    assert take(names, inbox, Profile.server(verify=Verify.REQUIRED)) == b"four"
    assert inbox.log == [
        ("open", "orders", 0, True),
        ("close", "orders", 4, True),
        ("end", True, 4, 0, ""),
    ]


@pytest.mark.parametrize(
    ("partners", "verify", "reason"),
    [
        ({"root"}, Verify.NONE, "nobody comes in without a certificate"),
        (set(), Verify.REQUIRED, "no partner is certified by root"),
    ],
)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_the_example_refuses_others(names: dict[str, Any], partners: set[str], verify: Verify, reason: str) -> None:
    inbox = names["Inbox"](partners)
    with pytest.raises(SessionRefused, match=reason):
        take(names, inbox, Profile.server(verify=verify))
    assert inbox.log == []


def test_the_tables_have_every_field_and_exit() -> None:
    page = (DOCS / PAGE).read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)
    exits = [name for name in vars(ApplicationExits) if not name.startswith("_")]
    assert rows == [item.name for item in fields(TransportSecurity)] + exits
