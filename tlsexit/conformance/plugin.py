"""A pytest plugin that turns the probes into tests of somebody's server or client::

    pytest --tlsexit-target localhost:4433 --tlsexit-pki DIR
    pytest --tlsexit-server "my-server --port {port}" --tlsexit-probe "server/7.*"
    pytest --tlsexit-client "my-client localhost {port}"

Ids are those of the probes, so ``-k``, ``--junit-xml`` and the rest of pytest work as ever. What does not apply or is
inconclusive is skipped, what the file of expected failures lists is an xfail. Without one of the three options the
plugin does nothing at all; it comes with the package, under the name ``tlsexit``.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from tlsexit.conformance.model import Probe
    from tlsexit.conformance.results import Result
    from tlsexit.conformance.runner import Runner
    from tlsexit.conformance.targets import Target

_BENCH: Final = pytest.StashKey["Bench"]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("tlsexit", "probes for TLS 1.0 (tlsexit)")
    group.addoption("--tlsexit-target", metavar="HOST:PORT", help="Probe the TLS 1.0 server at this address.")
    group.addoption("--tlsexit-server", metavar="COMMAND", help="Probe the server that this starts on {port}.")
    group.addoption("--tlsexit-client", metavar="COMMAND", help="Probe the client that this starts, towards {port}.")
    group.addoption("--tlsexit-pki", metavar="DIR", help="Certificates to show, from `tlsexit conform pki`.")
    group.addoption("--tlsexit-profile", choices=("later", "strict"), default="later", help="How to read the RFCs.")
    group.addoption("--tlsexit-probe", metavar="ID", action="append", help="Only these probes; * is a wildcard.")
    group.addoption("--tlsexit-expected", metavar="FILE", help="Failures that are known, with reasons (TOML).")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(session: pytest.Session, config: pytest.Config, items: list[pytest.Item]) -> None:
    """Add a test for each probe of the target's role."""
    target = _target(config)
    if target is None:
        return
    from tlsexit.alerts import LocalError
    from tlsexit.conformance.probes import all_probes

    try:
        config.stash[_BENCH] = Bench(target, config)
    except LocalError as error:
        raise pytest.UsageError(str(error)) from error
    patterns = config.getoption("--tlsexit-probe") or ["*"]
    collector = Probes.from_parent(session, name="tlsexit", nodeid="tlsexit")
    mine = [probe for probe in all_probes() if probe.tests is target.tests and not probe.opt_in]
    # what looks at everything that was said comes last
    for probe in sorted(mine, key=lambda probe: probe.survey):
        if any(fnmatchcase(probe.id, pattern) for pattern in patterns):
            items.append(ProbeItem.from_parent(collector, name=probe.id, probe=probe))


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop what was started."""
    bench = config.stash.get(_BENCH, None)
    if bench is not None:
        bench.close()


def _target(config: pytest.Config) -> Target | None:
    """Return what the options name; None if they name nothing."""
    given = {name: config.getoption(f"--tlsexit-{name}") for name in ("target", "server", "client")}
    named = [name for name, value in given.items() if value]
    if not named:
        return None
    if len(named) > 1:
        raise pytest.UsageError(f"--tlsexit-{named[0]} and --tlsexit-{named[1]} exclude each other")
    from tlsexit.conformance.targets import PORT, ClientTarget, CommandServerTarget, ServerTarget

    name = named[0]
    if name == "target":
        host, _, port = given[name].rpartition(":")
        if not host or not port.isdigit():
            raise pytest.UsageError(f"--tlsexit-target {given[name]}: write HOST:PORT")
        return ServerTarget(host.strip("[]"), int(port))
    if PORT not in given[name]:
        raise pytest.UsageError(f"--tlsexit-{name}: write {PORT} where the port goes")
    words = shlex.split(given[name])
    return CommandServerTarget(words) if name == "server" else ClientTarget(words)


class Bench:
    """The target and what is known about it; started when the first probe runs."""

    def __init__(self, target: Target, config: pytest.Config) -> None:
        from tlsexit.conformance.expected import load_expected
        from tlsexit.conformance.model import Reading
        from tlsexit.conformance.pki import load_workshop, workshop
        from tlsexit.conformance.talk import Terms

        folder, expected = config.getoption("--tlsexit-pki"), config.getoption("--tlsexit-expected")
        made = workshop() if folder is None else load_workshop(Path(folder))
        self.expected = {} if expected is None else load_expected(Path(expected))
        self._target = target
        self._terms = Terms(
            reading=Reading(config.getoption("--tlsexit-profile")),
            credentials=made.shown_by(target.tests.peer),
            authority=made if made.authorities else None,
        )
        self._runner: Runner | None = None
        self._broken: str | None = None

    def result(self, probe: Probe) -> Result:
        """Run one probe; fails the test if there is nothing to probe."""
        from tlsexit.conformance.expected import match

        result = self._started().result(probe)
        return match(result, self.expected)

    def _started(self) -> Runner:
        from tlsexit.conformance.discovery import NotConforming, discover
        from tlsexit.conformance.runner import Options, Runner, adapted
        from tlsexit.conformance.targets import Unreachable

        if self._broken is not None:
            raise ProbeFailed(self._broken)
        if self._runner is None:
            try:
                self._target.start()
                found = discover(self._target, self._terms)
            except (Unreachable, NotConforming) as error:
                self._broken = f"{self._target.name}: {error}"
                raise ProbeFailed(self._broken) from error
            terms = adapted(self._terms, found)
            self._runner = Runner(self._target, found, terms, Options(jobs=1), lambda result: None)
        return self._runner

    def close(self) -> None:
        """End it."""
        if self._runner is not None:
            self._runner.close()
        self._target.stop()


class ProbeFailed(Exception):
    """A probe speaks against the target; the text is for people."""


class Probes(pytest.Collector):
    """Holds the tests of the probes; they are not in any file."""

    def collect(self) -> Iterable[pytest.Item]:
        """Return nothing: the items are added to the session by themselves."""
        return ()


class ProbeItem(pytest.Item):
    """The test of one probe."""

    def __init__(self, *, probe: Probe, **fields: Any) -> None:
        super().__init__(**fields)
        self.probe = probe

    def runtest(self) -> None:
        """Hold the conversation and judge it."""
        from tlsexit.conformance.model import Verdict

        result = self.config.stash[_BENCH].result(self.probe)
        if result.unexpected_pass:
            raise ProbeFailed(f"{result.id} passes although it is listed as an expected failure")
        if result.verdict.bad and result.expected is not None:
            pytest.xfail(result.expected)
        if result.verdict.bad:
            raise ProbeFailed(explained(result))
        if result.verdict in (Verdict.NOT_APPLICABLE, Verdict.INCONCLUSIVE):
            pytest.skip(f"{result.verdict.value}: {result.reason}")
        if result.verdict is Verdict.WARNING:
            self.add_report_section("call", "tlsexit", f"warning: {result.reason}")

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Show what was found, without the plugin's own lines."""
        if isinstance(excinfo.value, ProbeFailed):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Return where pytest says the test is."""
        return Path("tlsexit"), None, f"{self.probe.id}: {self.probe.title}"


def explained(result: Result) -> str:
    """Return a finding as text: the reason, what was said, and the requirements."""
    from tlsexit.conformance.catalogue import by_id
    from tlsexit.conformance.results import ladder_text

    parts = [f"{result.title}\n{result.verdict.value}: {result.reason}"]
    parts += [result.meaning] if result.meaning else []
    parts += [ladder_text(rows) for rows in result.connections]
    for id in result.requirements:
        item = by_id()[id]
        parts.append(f"{item.id} ({item.title}, {item.level}): {item.statement}")
    return "\n\n".join(parts)
