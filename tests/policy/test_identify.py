"""The ids that applications are told: of the authority behind a peer, and of the own certificate."""

from __future__ import annotations

from typing import Any

from tests.support.ends import client_end, handshake, server_end
from tests.support.pki import NOW, leaf_key, pki, root_authority
from tlsexit.constants import Role
from tlsexit.crypto.suites import KeyType
from tlsexit.exits.answers import Answer, Handled
from tlsexit.exits.calls import CheckCertificateCall, StartTaskCall
from tlsexit.exits.context import SessionContext
from tlsexit.policy import BuiltinPki, TrustAnchors
from tlsexit.policy.identify import authority_id
from tlsexit.policy.throwaway import self_signed
from tlsexit.profile import Verify

ROOT = TrustAnchors([pki().root.certificate])
INTERMEDIATE = TrustAnchors([pki().intermediate.certificate])
NAMESAKE = TrustAnchors([root_authority("RSA root", number=9).certificate])
OTHER = TrustAnchors([pki(KeyType.EC).root.certificate])


def test_the_authority_that_signed_goes_before_those_above_it() -> None:
    chain = pki().intermediate_client.chain
    assert authority_id(chain, {"root": ROOT, "middle": INTERMEDIATE}, ["root", "middle"]) == "middle"
    assert authority_id(chain, {"root": ROOT, "middle": INTERMEDIATE}, ["root"]) == "root"
    assert authority_id(pki().client.chain, {"root": ROOT}, ["root"]) == "root"


def test_a_namesake_did_not_sign() -> None:
    chain = pki().intermediate_client.chain
    assert authority_id(chain, {"namesake": NAMESAKE, "root": ROOT}, ["namesake", "root"]) == "root"
    assert authority_id(chain, {"namesake": NAMESAKE, "other": OTHER}, ["namesake", "other", "absent"]) == ""


def test_a_self_signed_certificate_is_its_own_authority() -> None:
    own = self_signed("alone", key=leaf_key(KeyType.RSA))
    assert authority_id(own.chain, {"alone": TrustAnchors([own.certificate])}, ["alone"]) == "alone"


def test_what_is_no_chain_has_no_authority() -> None:
    assert authority_id([b"junk"], {"root": ROOT}, ["root"]) == ""
    assert authority_id([pki().client.chain[0], b"junk"], {"root": ROOT}, ["root"]) == ""


def builtin(role: Role) -> BuiltinPki:
    """A PKI with several identities and authorities."""
    own, other = ((item.server if role is Role.SERVER else item.client) for item in (pki(), pki(KeyType.DSA)))
    return BuiltinPki(
        [other.identity("other"), own.identity("own")],
        {"EC": [pki(KeyType.EC).root.certificate], "RSA": [pki().root.certificate]},
        clock=NOW.timestamp,
    )


def contexts(**server_elements: Any) -> tuple[SessionContext, SessionContext]:
    client = client_end(builtin=builtin(Role.CLIENT))
    server = server_end(builtin=builtin(Role.SERVER), **server_elements)
    handshake(client, server)
    return client.connection.context, server.connection.context


def test_the_ids_of_a_session() -> None:
    client, server = contexts(verify=Verify.REQUIRED)
    both = {"peer_ca_id": "RSA", "user_certificate_id": "own"}
    assert builtin(Role.CLIENT).identify(client) == both
    assert builtin(Role.SERVER).identify(server) == both


def test_whoever_showed_nothing_has_no_id() -> None:
    client, server = contexts(verify=Verify.NONE)
    assert builtin(Role.CLIENT).identify(client) == {"peer_ca_id": "RSA", "user_certificate_id": ""}
    assert builtin(Role.SERVER).identify(server) == {"peer_ca_id": "", "user_certificate_id": "own"}


class Accepter:
    """Accepts every certificate."""

    def start_task(self, call: StartTaskCall) -> Answer:
        return Handled()

    def check_certificate(self, call: CheckCertificateCall) -> Answer:
        return Handled()


def test_whom_an_exit_trusts_the_key_store_may_not_know() -> None:
    client = client_end(builtin=BuiltinPki(clock=NOW.timestamp), exits=Accepter())
    handshake(client, server_end(builtin=builtin(Role.SERVER), verify=Verify.NONE))
    assert client.connection.context.peer_trusted
    assert BuiltinPki().identify(client.connection.context) == {"peer_ca_id": "", "user_certificate_id": ""}
