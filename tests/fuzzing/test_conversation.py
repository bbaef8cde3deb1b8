"""Conversations with the healthy engine: honest ones complete, dishonest ones are refused as they have to be."""

from __future__ import annotations

from itertools import islice

import pytest

from tlsexit.alerts import AlertDescription, LocalError
from tlsexit.conformance.catalogue import by_id
from tlsexit.conformance.engine import EngineTarget
from tlsexit.conformance.pki import workshop
from tlsexit.constants import Role
from tlsexit.events import MessageSeen
from tlsexit.fuzzing import as_code, scriptfile
from tlsexit.fuzzing.conversation import Terms
from tlsexit.fuzzing.departures import Plan, sweep
from tlsexit.fuzzing.minimal import minimal
from tlsexit.fuzzing.mutation import Kind, Mutation
from tlsexit.fuzzing.plans import Abilities, full, handshake, plans, renegotiated, resumed
from tlsexit.fuzzing.play import Played, play, rehearse
from tlsexit.fuzzing.script import Leg, Move, Script
from tlsexit.fuzzing.sealings import SEALINGS
from tlsexit.fuzzing.targets import ssl_target
from tlsexit.fuzzing.words import WORDS
from tlsexit.handshake.hello import ClientHello

SUITES = (0x002F, 0x0005, 0x0002, 0x000A, 0x0033, 0x0013, 0xC013, 0xC009)
TARGETS = {Role.SERVER: "server-everything", Role.CLIENT: "client-everything"}
NAMES = {"Script": Script, "Leg": Leg, "Move": Move, "Mutation": Mutation, "Kind": Kind, "Role": Role}


def played(made: Script) -> Played:
    target = EngineTarget(TARGETS[made.role.peer])
    return play(target.lane(), made, Terms(workshop().shown_by(made.role)))


@pytest.mark.parametrize("tests", Role)
def test_honest_plans_complete(tests: Role) -> None:
    found = Abilities(tests, SUITES, tickets=True, renegotiates=True)
    made = plans(found)
    assert len({(plan.suite, plan.rich) for plan in made}) >= 14
    for plan in made:
        result = played(plan)
        assert not result.findings
        assert result.complete
        assert len(result.conversations) == len(plan.legs)
        assert all(item.turns.complete for item in result.conversations), plan


@pytest.mark.parametrize("role", Role)
def test_sessions_are_resumed_and_handshakes_repeated(role: Role) -> None:
    assert played(resumed(role, 0x002F)).conversations[1].puppet.resumed
    assert played(renegotiated(role, 0x002F)).conversations[0].turns.complete == 2


def swept(tests: Role, number: int) -> list[Script]:
    target = EngineTarget(TARGETS[tests])
    lane, terms = target.lane(), Terms(workshop().shown_by(tests.peer))
    found = plans(Abilities(tests, SUITES, renegotiates=True))
    made = tuple(Plan.of(rehearse(lane, script, terms)) for script in found)
    return list(islice(sweep(made), number))


@pytest.mark.parametrize("tests", Role)
def test_a_sweep_finds_nothing_wrong_with_the_healthy_engine(tests: Role) -> None:
    """Every kind of departure once: whatever is found here is a bug, in the engine or in the fuzzer."""
    lane, terms = EngineTarget(TARGETS[tests]).lane(), Terms(workshop().shown_by(tests.peer))
    for made in swept(tests, 300):
        result = play(lane, made, terms)
        assert not result.findings, f"{made}\n{result.findings}"


def test_scripts_go_to_json_and_back_and_print_as_code() -> None:
    for made in swept(Role.SERVER, 120):
        assert scriptfile.loads(scriptfile.dumps(made)) == made
        assert eval(as_code(made), dict(NAMES)) == made
        assert str(made).startswith("as client over TLS_")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"format": 2}',
        '{"format": 1, "role": "client", "suite": "?", "legs": []}',
        '{"format": 1, "role": "client", "suite": "TLS_RSA_WITH_AES_128_CBC_SHA", "legs": [{"moves": [{"say": "x"}]}]}',
    ],
)
def test_what_is_no_script_is_refused(text: str) -> None:
    with pytest.raises(LocalError, match="script"):
        scriptfile.loads(text)


def test_every_requirement_named_is_in_the_catalogue() -> None:
    for seal in SEALINGS.values():
        assert set(seal.expected.requirements) <= by_id().keys()
    target = EngineTarget("server-everything")
    for made in swept(Role.SERVER, 250):
        for conversation in play(target.lane(), made, Terms(workshop().clients)).conversations:
            if conversation.spoilt is not None:
                assert set(conversation.spoilt.requirements) <= by_id().keys()


def test_the_same_script_says_the_same_bytes() -> None:
    made = full(Role.CLIENT, 0x002F)
    first, second = (played(made).conversations[0].sent[0] for _ in range(2))
    assert first == second != b""


def test_a_script_is_made_as_small_as_it_will_go() -> None:
    made = resumed(Role.CLIENT, 0x002F, rich=True)
    smallest = minimal(made, lambda script: any(move.say == "finished" for leg in script.legs for move in leg.moves))
    assert smallest == Script(Role.CLIENT, 0x002F, (Leg((Move("finished"),)),))


def test_every_word_can_be_said() -> None:
    """At least somewhere in a sweep, in one role or the other."""
    said = {move.say for tests in Role for made in swept(tests, 10**6) for leg in made.legs for move in leg.moves}
    # the client of these sweeps offers every suite there is
    assert said == WORDS.keys() - {"wire", "hello_with_a_suite_not_offered"}


@pytest.mark.parametrize("rich", [False, True])
def test_what_is_said_out_of_turn_leaves_the_session_as_it_was(rich: bool) -> None:
    legs = (
        Leg((*handshake(Role.CLIENT), Move("client_key_exchange"))),
        Leg((*handshake(Role.CLIENT), Move("close_notify")), resume=True),
    )
    made = played(Script(Role.CLIENT, 0x002F, legs, rich=rich, tickets=True))
    assert made.conversations[1].puppet.resumed
    assert not made.findings


def test_a_session_without_its_suite_may_be_what_is_wrong_with_a_list_of_suites() -> None:
    """R2246-7.4.1.2-17: illegal_parameter, where a new session would get handshake_failure."""
    none = Mutation(Kind.CONTENT, "ClientHello.cipher_suites", content=b"\x0a\x0a")
    moves = (Move("client_hello", mutation=none), *handshake(Role.CLIENT)[1:])
    legs = (Leg((*handshake(Role.CLIENT), Move("close_notify"))), Leg(moves, resume=True))
    made = played(Script(Role.CLIENT, 0x002F, legs))
    assert made.conversations[1].puppet.fatal == AlertDescription.ILLEGAL_PARAMETER
    assert not made.findings


def test_what_follows_a_premaster_trick_may_be_refused_for_itself() -> None:
    """At once, although the trick may not be."""
    first = handshake(Role.CLIENT)[:2]
    made = played(Script(Role.CLIENT, 0x002F, (Leg((*first, Move("premaster_too_short"), Move("empty_alert"))),)))
    assert made.conversations[0].puppet.fatal == AlertDescription.UNEXPECTED_MESSAGE
    assert not made.findings


def test_a_client_that_offers_its_session_in_a_renegotiation_gets_a_new_one() -> None:
    """OpenSSL does, and takes the echo of its session id for a resumption."""
    target = ssl_target(Role.CLIENT, workshop())
    seen = play(target.lane(), renegotiated(Role.SERVER, 0x002F), Terms(workshop().servers))
    said = [entry.seen for entry in seen.conversations[0].puppet.talk if isinstance(entry.seen, MessageSeen)]
    hellos = [item.message for item in said if isinstance(item.message, ClientHello)]
    assert [bool(hello.session_id) for hello in hellos] == [False, True]
    assert seen.conversations[0].turns.complete == 2
    assert not seen.findings


def test_an_honest_client_says_what_the_rfc_says() -> None:
    assert [move.say for move in handshake(Role.CLIENT) if not move.maybe] == [
        "client_hello",
        "change_cipher_spec",
        "finished",
    ]
