"""The probes themselves: well declared, and passed by tlsexit in both roles, under every configuration and profile."""

from __future__ import annotations

from functools import cache

import pytest

from tests.conformance.test_runner import terms
from tlsexit.conformance.engine import CONFIGURATIONS, EngineTarget
from tlsexit.conformance.model import Probe, Reading, Verdict
from tlsexit.conformance.probes import all_probes
from tlsexit.conformance.results import Report
from tlsexit.conformance.runner import Options, run
from tlsexit.constants import Role

NEVER = {
    "server/7.2.2/unsupported-certificate": "tlsexit takes client certificates of every type there is",
    "server/7.4.1.3/resumed-under-a-later-version": "tlsexit has no later version",
    "server/RFC7507/unnecessary": "tlsexit has no later version",
    "server/7.4.6/another-type": "tlsexit takes client certificates of every type there is",
    "server/7.2.1/truncated-session": "asked by the letter alone",
    "client/7.2.1/truncated-session": "asked by the letter alone",
}
"""Probes that say nothing about tlsexit, and why; the peers have an answer to them."""


_WEAK = ("rc4", "null", "anonymous", "export", "des")
WARNINGS = {
    "server/A.5/anonymous-on": "the configuration called everything has anonymous suites, on purpose",
    "server/D.4/export-on": "and export suites",
    "server/7.2.1/truncated-session": "RFC 4346 §7.2.1 took the rule back; the truncation itself is reported",
    "client/7.2.1/truncated-session": "as the server",
    "client/A.5/anonymous": "as the server",
    "client/D.4/export": "as the server",
    "server/attacks/freak": "and those with temporary RSA keys",
    **{f"{role}/attacks/weak-{kind}": "and all the weak ones" for role in ("server", "client") for kind in _WEAK},
    "client/attacks/triple-handshake": "the configuration called v2-hello sends no extensions",
    "client/E/old-hello": "the configuration called v2-hello is told to send it",
}
"""What warns of tlsexit, and why it may."""


def test_ids_tell_role_and_group() -> None:
    """And are of one form; no two are the same."""
    ids = [probe.id for probe in all_probes()]
    assert len(set(ids)) == len(ids)
    for probe in all_probes():
        role, group, name = probe.id.split("/")
        assert (role, group) == (probe.tests.value, probe.group)
        assert name
        assert name == name.lower()
        assert probe.title


@pytest.mark.parametrize("probe", all_probes(), ids=lambda probe: probe.id)
def test_probes_are_about_the_role_they_test(probe: Probe) -> None:
    """A requirement for clients is tested on clients, and on servers only by what a client could do wrong."""
    assert probe.conversation
    assert probe.readings
    wanted = {item.applies_to for item in probe.entries}
    assert wanted


@cache
def report(name: str, reading: Reading) -> Report:
    """What all probes find out about tlsexit under one configuration."""
    target = EngineTarget(name)
    return run(target, all_probes(), terms(target.tests, reading=reading), Options(jobs=1))


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_tlsexit_is_clean(name: str) -> None:
    """Nothing fails, nothing is flaky, and every probe gets to its point; what warns does so for a reason."""
    _judge(report(name, Reading.LATER))


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", ["server-everything", "client-everything"])
def test_tlsexit_is_clean_by_the_letter(name: str) -> None:
    """RFC 2246 alone asks for other alerts here and there."""
    _judge(report(name, Reading.STRICT))


def _judge(found: Report) -> None:
    fine = (Verdict.PASS, Verdict.NOT_APPLICABLE)
    wrong = {item.id: f"{item.verdict.value}: {item.reason}" for item in found.results if item.verdict not in fine}
    assert {id: what for id, what in wrong.items() if id not in WARNINGS or not what.startswith("warning")} == {}


@pytest.mark.timeout(300)
def test_every_probe_says_something_about_tlsexit() -> None:
    """Each applies to one of its configurations at least."""
    said: set[str] = set()
    for name in CONFIGURATIONS:
        said |= {item.id for item in report(name, Reading.LATER).results if item.verdict is not Verdict.NOT_APPLICABLE}
    never = {probe.id for probe in all_probes() if probe.id not in said and not probe.opt_in}
    assert never == set(NEVER)
    assert {item.partition("/")[0] for item in said} == {role.value for role in Role}
