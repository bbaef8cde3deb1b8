"""One script against two targets."""

from __future__ import annotations

from tests import faults
from tlsexit.conformance.engine import EngineTarget
from tlsexit.conformance.pki import workshop
from tlsexit.constants import Role
from tlsexit.fuzzing.conversation import Terms
from tlsexit.fuzzing.differential import Contestant, compare, differences
from tlsexit.fuzzing.plans import full
from tlsexit.fuzzing.script import Leg, Move, Script
from tlsexit.fuzzing.targets import ssl_target

TERMS = Terms(workshop().clients)
HEALTHY = Contestant("healthy", EngineTarget("server-everything").lane(), TERMS)
MAC = Script(
    Role.CLIENT,
    0x002F,
    (Leg((*full(Role.CLIENT, 0x002F).legs[0].moves[:-2], Move("data", seal="bad_mac", data=b"hello"))),),
)


def test_the_same_target_does_not_differ_from_itself() -> None:
    assert compare(MAC, (HEALTHY, Contestant("again", EngineTarget("server-everything").lane(), TERMS))) is None


def test_targets_of_one_name_are_two_all_the_same() -> None:
    faulty = Contestant("healthy", faults.target(faults.FAULTS["mac-not-checked"]).lane(), TERMS)
    found = compare(MAC, (HEALTHY, faulty))
    assert found is not None
    assert [outcomes[0].kind for outcomes in found.outcomes.values()] == ["alert", "goes on"]
    assert list(found.outcomes) == ["healthy", "healthy (2)"]


def test_a_fault_is_a_difference_shown_by_the_smallest_script() -> None:
    faulty = Contestant("faulty", faults.target(faults.FAULTS["mac-not-checked"]).lane(), TERMS)
    found = differences([full(Role.CLIENT, 0x002F), MAC], (HEALTHY, faulty))
    assert len(found) == 1
    assert found[0].requirements[0] == "R2246-7.2.2-04"
    assert found[0].outcomes["healthy"][0].kind == "alert"
    assert found[0].outcomes["faulty"][0].kind == "goes on"
    assert found[0].script.size <= MAC.size
    assert "bad_record_mac(20)" in str(found[0])


def test_openssl_in_memory() -> None:
    openssl = Contestant("OpenSSL", ssl_target(Role.SERVER, workshop()).lane(), TERMS)
    assert compare(full(Role.CLIENT, 0x002F), (HEALTHY, openssl)) is None
    assert compare(MAC, (HEALTHY, openssl), exact=True) is None


def test_openssl_as_a_client() -> None:
    terms = Terms(workshop().servers)
    openssl = Contestant("OpenSSL", ssl_target(Role.CLIENT, workshop()).lane(), terms)
    healthy = Contestant("healthy", EngineTarget("client-everything").lane(), terms)
    script = full(Role.SERVER, 0x002F)
    early = Script(Role.SERVER, 0x002F, (Leg((Move("server_hello"), Move("change_cipher_spec"))),))
    assert compare(script, (healthy, openssl)) is None
    assert compare(early, (healthy, openssl)) is None
