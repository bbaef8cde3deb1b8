"""The report as JUnit XML, which every continuous integration service reads."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from tlsexit.conformance.catalogue import by_id
from tlsexit.conformance.model import Verdict
from tlsexit.conformance.results import Report, Result


def junit_xml(reports: Sequence[Report]) -> str:
    """Return a ``testsuite`` for each group of each report.

    What is unexpected is a failure; what is expected to fail, does not apply or is inconclusive counts as skipped.
    """
    root = Element("testsuites", name="tlsexit conform")
    for report in reports:
        for group, results in report.groups():
            _suite(root, report, group, results)
    indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + tostring(root, encoding="unicode") + "\n"


def _suite(root: Element, report: Report, group: str, results: Sequence[Result]) -> None:
    suite = SubElement(
        root,
        "testsuite",
        name=f"{report.target}: {report.role} {group}",
        timestamp=report.started,
        tests=str(len(results)),
        failures=str(sum(item.unexpected for item in results)),
        errors="0",
        skipped=str(sum(_skipped(item) for item in results)),
        time=f"{sum(item.seconds for item in results):.3f}",
    )
    for item in results:
        case = SubElement(suite, "testcase", classname=f"{item.role}.{group}", name=item.id, time=f"{item.seconds:.3f}")
        if item.unexpected:
            message = "passes although it is expected to fail" if item.unexpected_pass else item.reason
            failure = SubElement(case, "failure", message=printable(message), type=item.verdict.value)
            failure.text = printable("\n".join(f"{id}: {by_id()[id].statement}" for id in item.requirements))
        elif _skipped(item):
            SubElement(case, "skipped", message=printable(f"{item.verdict.value}: {item.expected or item.reason}"))
        if item.verdict is Verdict.WARNING:
            SubElement(case, "system-out").text = printable(f"warning: {item.reason}")


def _skipped(item: Result) -> bool:
    if item.unexpected:
        return False
    return item.verdict.bad or item.verdict in (Verdict.NOT_APPLICABLE, Verdict.INCONCLUSIVE)


def printable(text: str) -> str:
    """Return ``text`` without the control characters that XML 1.0 has no way to write."""
    return "".join(char if char.isprintable() or char in "\n\t" else "?" for char in text)
