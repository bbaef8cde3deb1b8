"""tlsexit and OpenSSL over a whole sweep: every difference is one that has been explained."""

from __future__ import annotations

import re
import ssl
import tomllib
from itertools import islice
from pathlib import Path

import pytest

from tlsexit.conformance.catalogue import by_id
from tlsexit.conformance.engine import EngineTarget
from tlsexit.conformance.pki import workshop
from tlsexit.constants import Role
from tlsexit.fuzzing.conversation import Terms
from tlsexit.fuzzing.departures import sweep
from tlsexit.fuzzing.differential import Comparison, Contestant
from tlsexit.fuzzing.targets import abilities, ssl_target

EXPLAINED = tomllib.loads((Path(__file__).parent / "differences.toml").read_text(encoding="utf-8"))
SCRIPTS = 2_000


@pytest.mark.slow
@pytest.mark.skipif(ssl.OPENSSL_VERSION_INFO[:2] != (3, 0), reason="what is explained is OpenSSL 3.0")
@pytest.mark.parametrize("role", Role)
def test_every_difference_from_openssl_is_explained(role: Role) -> None:
    targets = EngineTarget(f"{role.value}-everything"), ssl_target(role, workshop())
    terms = Terms(workshop().shown_by(role.peer))
    contestants = tuple(Contestant(target.name, target.lane(), terms) for target in targets)
    # what a difference is about is the same without the smallest script for it
    comparison = Comparison(contestants, attempts=0)
    plans = comparison.plans(abilities(target, workshop()) for target in targets)
    assert len(plans) >= 5
    for script in islice(sweep(plans), SCRIPTS):
        comparison.look(script)
    explained = {(item["about"], tuple(item["kinds"])) for item in EXPLAINED[role.value]}
    unexplained = [str(item) for key, item in comparison.found.items() if key not in explained]
    assert not unexplained, "\n".join(unexplained)
    assert len(comparison.found) >= 8


def test_explanations_name_requirements_there_are() -> None:
    for items in EXPLAINED.values():
        for item in items:
            named = re.findall(r"R\d+-[\w.]+-\d+", f"{item['about']} {item['why']}")
            assert named, item
            assert set(named) <= by_id().keys(), item
