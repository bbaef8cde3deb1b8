"""The examples in the README do what the README says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.support.pair import make_end, pump
from tlsexit.exits.calls import StartHandshakeCall
from tlsexit.exits.phases import ExitPhase
from tlsexit.policy import BuiltinPki
from tlsexit.profile import Profile, Verify

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
EXAMPLES: list[str] = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def example(beginning: str) -> str:
    return next(text for text in EXAMPLES if text.startswith(beginning))


@pytest.fixture(scope="module")
def names() -> dict[str, Any]:
    """What the first example defines."""
    namespace: dict[str, Any] = {}
    exec(example("import tlsexit"), namespace)
    return namespace


def test_the_exit_answers_for_a_server(names: dict[str, Any]) -> None:
    client = make_end(Profile.client(server_name="localhost"), BuiltinPki((), {"ca": [names["authority"].certificate]}))
    server = make_end(Profile.server(verify=Verify.NONE), BuiltinPki(), names["MyExit"]())
    pump(client, server)
    assert client.connection.established
    assert client.connection.context.peer_certificates[0] == names["server"].certificate


def test_the_questions_can_be_answered_by_hand(names: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    namespace = dict(names)
    exec(example("task = tlsexit.Task"), namespace)
    assert capsys.readouterr().out.startswith(StartHandshakeCall.__name__)
    assert namespace["connection"].pending_exit is None


def test_every_phase_is_in_the_table() -> None:
    rows = set(re.findall(r"^\| (\w+) \|", README, re.MULTILINE))
    assert {phase.value for phase in ExitPhase} <= rows
