"""The document and what is made of it: schema, JUnit, the HTML page, comparison, expected failures."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from xml.etree.ElementTree import fromstring

import jsonschema
import pytest

from tests.conformance.test_runner import EARLY, section, terms
from tlsexit.alerts import LocalError
from tlsexit.conformance.actions import Check, Observe, expect
from tlsexit.conformance.compare import Kind, compare
from tlsexit.conformance.engine import EngineTarget
from tlsexit.conformance.expect import alert
from tlsexit.conformance.expected import load_expected, with_expected
from tlsexit.conformance.model import Verdict
from tlsexit.conformance.needs import TICKETS
from tlsexit.conformance.reports import html_page, junit_xml
from tlsexit.conformance.reports.html import replay
from tlsexit.conformance.results import Report, read_report, schema
from tlsexit.conformance.runner import Options, run

HOSTILE = 'it <b>says</b> "&\x00\x1b[31m'
"""What a target may have put into a reason."""


@pytest.fixture(scope="module")
def report() -> Report:
    """One result with each verdict that tlsexit can be made to show."""
    probes = [
        section.server("passes", "it passes", "R2246-7.1-07", conversation=(*EARLY, expect(alert(10)))),
        section.server("fails", "it fails", "R2246-7.1-02", conversation=(*EARLY, expect(alert(50))), meaning="bad"),
        section.server("warns", "it warns", "R2246-7.1-06", conversation=(*EARLY, expect(alert(50)))),
        section.server("lacks", "it lacks", "R2246-7.1-07", needs=(TICKETS,)),
        section.server("says", "it says", "R2246-7.1-01", conversation=(Observe(), Check(lambda talk: HOSTILE))),
    ]
    return run(EngineTarget("server"), probes, terms(), Options(jobs=1), command="tlsexit conform self server")


def test_the_document_keeps_to_its_schema(report: Report) -> None:
    """And comes back as it was."""
    document = json.loads(report.text())
    jsonschema.Draft202012Validator.check_schema(schema())
    jsonschema.validate(document, schema())
    again = read_report(report.text())
    assert again.plain() == document
    assert [item.verdict for item in again.results] == [item.verdict for item in report.results]
    assert document["summary"]["pass"] == 1
    assert document["requirements"]["R2246-7.1-02"]["verdict"] == "fail"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**document, "role": "judge"}, schema())


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": "tlsexit-conformance", "version": 2}'])
def test_other_documents_are_refused(text: str) -> None:
    """With one sentence."""
    with pytest.raises(LocalError, match=r"^a\.json: "):
        read_report(text, "a.json")


def test_what_the_probe_made_itself_is_marked(report: Report) -> None:
    """So that a reader sees where it departs from honesty."""
    (rows,) = report.results[0].connections
    assert [row["name"] for row in rows if row.get("own")] == ["[ChangeCipherSpec]"]


def test_junit(report: Report) -> None:
    """Failures are failures, the rest is not; control characters do not get in."""
    root = fromstring(junit_xml([report]))
    (suite,) = root
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("5", "2", "1")
    cases = {case.get("name"): case for case in suite}
    assert [item.tag for item in cases["server/7.1/passes"]] == []
    failure = cases["server/7.1/fails"].find("failure")
    assert failure is not None
    assert "decode_error(50) was expected" in failure.get("message", "")
    assert "R2246-7.1-02" in (failure.text or "")
    assert cases["server/7.1/lacks"].find("skipped") is not None
    assert cases["server/7.1/warns"].find("system-out") is not None


class Page(HTMLParser):
    """Collects what a page would fetch, and checks that its elements nest."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.open: list[str] = []
        self.ids: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.links += [value or "" for name, value in attrs if name in ("src", "href")]
        self.ids += [value or "" for name, value in attrs if name == "id"]
        if tag not in ("meta", "input", "br", "link", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_needs_nothing_but_itself(report: Report) -> None:
    """No link leaves it, each link inside has its end, and what a target says stays text."""
    text = html_page([report])
    page = Page(text)
    assert all(link.startswith("#") and link[1:] in page.ids for link in page.links)
    assert not re.search(r"@import|url\(|https?://", text)
    assert "<b>says</b>" not in text
    assert "it &lt;b&gt;says&lt;/b&gt;" in text
    for item in report.results:
        assert item.id in text
    assert "cipher_suites" in text, "a failure shows every field"


def test_the_command_that_holds_a_probe_again(report: Report) -> None:
    """In front of the command of the target, if there is one."""
    assert replay(report, report.results[0]) == "tlsexit conform self server --probe server/7.1/passes --ladder"
    other = replace(report, command="tlsexit conform server -- serve {port}")
    assert replay(other, report.results[0]) == (
        "tlsexit conform server --probe server/7.1/passes --ladder -- serve '{port}'"
    )


def test_comparison(report: Report) -> None:
    """What got worse comes first."""
    passes, fails, warns, lacks, says = report.results
    after = replace(
        report,
        results=(
            replace(passes, verdict=Verdict.FAIL, reason="now"),
            replace(fails, verdict=Verdict.PASS),
            warns,
            replace(says, reason="something else"),
            replace(lacks, id="server/7.1/new"),
        ),
    )
    changes = compare(report, after)
    assert [(change.kind, change.id.rpartition("/")[2]) for change in changes] == [
        (Kind.WORSE, "passes"),
        (Kind.BETTER, "fails"),
        (Kind.OTHER, "says"),
        (Kind.NEW, "new"),
        (Kind.GONE, "lacks"),
    ]
    assert str(changes[0]) == "worse  server/7.1/passes: pass → fail (now)"
    assert compare(report, report) == ()


def test_expected_failures(report: Report, tmp_path: Path) -> None:
    """Each has a reason; one that passes is reported, and so is one that is not there."""
    file = tmp_path / "expected.toml"
    file.write_text('"server/7.1/fails" = "known"\n"server/7.1/sa*" = "known too"\n')
    known = with_expected(report, load_expected(file))
    assert known.clean
    assert not report.clean
    assert fromstring(junit_xml([known]))[0].get("failures") == "0"
    file.write_text('"server/7.1/passes" = "known"\n"server/8/none" = "?"\n')
    rotten = with_expected(report, load_expected(file))
    assert rotten.results[0].unexpected_pass
    assert rotten.results[0].unexpected
    assert rotten.notes == ("server/8/none is expected to fail, and there is no such probe in this run",)


@pytest.mark.parametrize("text", ["x", '"a" = ""', '"a" = 3', "\xff"])
def test_a_file_of_expected_failures_that_is_wrong(text: str, tmp_path: Path) -> None:
    """Says so in one sentence."""
    file = tmp_path / "expected.toml"
    file.write_text(text, encoding="latin-1")
    with pytest.raises(LocalError, match=r"expected\.toml"):
        load_expected(file)
    with pytest.raises(LocalError, match="cannot be read"):
        load_expected(tmp_path / "none")
