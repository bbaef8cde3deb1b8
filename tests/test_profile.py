"""Security profiles: defaults, bounds, and what an exit may change."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields
from typing import Any

import pytest

from tlsexit.alerts import LocalError
from tlsexit.constants import Role
from tlsexit.crypto.suites import DEFAULT_SUITES, SUITES
from tlsexit.profile import CHANGEABLE, Profile, Verify


def test_defaults() -> None:
    """The manual's: depth 10, a server that requires the client's certificate, a client that demands nothing."""
    client, server = Profile.client(), Profile.server()
    assert (client.direction, server.direction) == (Role.CLIENT, Role.SERVER)
    assert (client.verify, server.verify) == (Verify.NONE, Verify.REQUIRED)
    for profile in (client, server):
        assert profile.cipher_suites == DEFAULT_SUITES
        assert profile.depth == 10
        assert profile.extended_master_secret
        assert profile.encrypt_then_mac
        assert not profile.renegotiation


def test_defaults_are_strong() -> None:
    """R2246-D.4-01, R2246-A.5-02: nothing anonymous, nothing for export, no NULL, no RC4, no single DES."""
    for value in DEFAULT_SUITES:
        suite = SUITES[value]
        assert not suite.weak
        assert not suite.key_exchange.anonymous
        assert not suite.key_exchange.export
        assert suite.cipher.effective_bits >= 112
    assert Profile.client().minimum_dh_bits >= 1024
    assert Profile.client().minimum_rsa_bits >= 1024


def test_the_mandatory_suite_is_there() -> None:
    """R2246-9-01: TLS_DHE_DSS_WITH_3DES_EDE_CBC_SHA, the only suite that RFC 2246 §9 demands."""
    assert 0x0013 in DEFAULT_SUITES


@pytest.mark.parametrize(
    ("elements", "what"),
    [
        ({"cipher_suites": ()}, "at least one"),
        ({"cipher_suites": (0x0000,)}, "0x0000"),
        ({"cipher_suites": (0xFFFF,)}, "0xffff"),
        ({"cipher_suites": [0x002F]}, "tuple"),
        ({"depth": -1}, "depth"),
        ({"depth": 11}, "depth"),
        ({"id": "x" * 33}, "32"),
        ({"id": ""}, "id is not empty"),
        ({"id": "a\nb"}, "printable"),
        ({"parm": "x" * 65}, "64"),
        ({"parm": None}, "parm"),
        ({"depth": 2.5}, "depth"),
        ({"depth": True}, "depth"),
        ({"trace": -1}, "trace"),
        ({"trace": 256}, "trace"),
        ({"user_certificate_id": ""}, "not empty"),
        ({"user_certificate_id": "x" * 257}, "256"),
        ({"certificate_file_root": ""}, "not empty"),
        ({"root_ca_ids": ("",)}, "none of them empty"),
        ({"root_ca_ids": (b"ROOT",)}, "texts"),
        ({"dn_user": ("alice",)}, "NAME=VALUE"),
        ({"dn_issuer": ("CN=a", "/")}, "NAME=VALUE"),
        ({"verify": Verify.REQUIRED}, "client"),
        ({"verify": Verify.OPTIONAL}, "client"),
    ],
)
def test_values_that_make_no_sense(elements: dict[str, Any], what: str) -> None:
    """Said when the profile is made, not in the middle of a handshake."""
    with pytest.raises(LocalError, match=what):
        Profile.client(**elements)


def test_enforced_is_for_clients() -> None:
    with pytest.raises(LocalError, match="server"):
        Profile.server(verify=Verify.ENFORCED)
    assert Profile.client(verify=Verify.ENFORCED).verify is Verify.ENFORCED


@pytest.mark.parametrize("verify", [Verify.NONE, Verify.OPTIONAL, Verify.REQUIRED])
def test_what_servers_may_demand(verify: Verify) -> None:
    assert Profile.server(verify=verify).verify is verify


@pytest.mark.parametrize("elements", [{"depth": 0}, {"depth": 10}, {"id": "x" * 32}, {"parm": "x" * 64}])
def test_bounds_are_inside(elements: dict[str, Any]) -> None:
    assert Profile.client(**elements) == Profile.client(**elements)


def test_frozen() -> None:
    """A profile is shared by sessions; a change makes a new one."""
    with pytest.raises(FrozenInstanceError):
        Profile.client().depth = 3  # type: ignore[misc]


def test_what_an_exit_may_change() -> None:
    """Cipher list, verify, user certificate id, root CA ids, depth, DN filters and parm; nothing else."""
    changed = Profile.server().changed(
        {
            "cipher_suites": (0x002F,),
            "verify": Verify.NONE,
            "user_certificate_id": "OURS",
            "root_ca_ids": ("ROOT",),
            "depth": 2,
            "dn_user": ("CN=alice",),
            "dn_issuer": ("CN=CA",),
            "parm": "text",
        }
    )
    assert (changed.cipher_suites, changed.verify, changed.depth, changed.parm) == ((0x002F,), Verify.NONE, 2, "text")
    assert len(CHANGEABLE) == 8


@pytest.mark.parametrize("name", sorted({item.name for item in fields(Profile)} - CHANGEABLE))
def test_what_an_exit_may_not_change(name: str) -> None:
    """Id, direction, addresses, and every element that tlsexit has added."""
    profile = Profile.server()
    with pytest.raises(LocalError, match="read-only"):
        profile.changed({name: getattr(profile, name)})


def test_an_element_that_does_not_exist() -> None:
    with pytest.raises(LocalError, match="not an element"):
        Profile.server().changed({"colour": "blue"})


@pytest.mark.parametrize("name", ["remote_address", "local_address", "reference", "role"])
def test_what_is_of_the_session_is_no_element_to_change(name: str) -> None:
    """The addresses are the context's, which is frozen."""
    with pytest.raises(LocalError, match="not an element"):
        Profile.server().changed({name: ("192.0.2.1", 1)})


@pytest.mark.parametrize(
    "changes",
    [
        {"depth": 11},
        {"cipher_suites": ()},
        {"verify": Verify.ENFORCED},
        {"dn_user": ("alice",)},
        {"dn_issuer": ("XX=alice",)},
        {"parm": "x" * 65},
        {"user_certificate_id": 5},
    ],
)
def test_changes_are_checked_like_the_rest(changes: dict[str, Any]) -> None:
    with pytest.raises(LocalError):
        Profile.server().changed(changes)


def test_no_changes() -> None:
    profile = Profile.server()
    assert profile.changed({}) == profile
