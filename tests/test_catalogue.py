"""Every requirement of the catalogue has a test that cites it, or a written reason why it has none."""

from __future__ import annotations

import pytest

from tests.catalogue import ID, ROOT, SHORTHAND, citations, reasons, sources, test_files
from tests.catalogue.__main__ import page
from tlsexit.conformance.catalogue import requirements

test_files.__test__ = False  # type: ignore[attr-defined]

KNOWN = frozenset(item.id for item in requirements())


@pytest.mark.parametrize("id", [item.id for item in requirements()])
def test_each_requirement_has_a_test_or_a_reason(id: str) -> None:
    """Never both: a reason beside a test is out of date."""
    tested, excused = id in citations(), id in reasons()
    assert tested or excused, "no test cites it and there is no reason why not"
    assert not (tested and excused), f"there is a reason for no test, and {citations()[id][0]} cites it"


def test_nothing_unknown_is_cited() -> None:
    """A slip in an id would make a requirement look untested, or tested."""
    for path in sources():
        unknown = set(ID.findall(path.read_text(encoding="utf-8"))) - KNOWN
        assert not unknown, f"{path.relative_to(ROOT)} cites {sorted(unknown)}"
    assert set(reasons()) <= KNOWN


def test_ids_are_written_out() -> None:
    """``R2246-7.1-01, -02`` would count for the first alone."""
    for path in test_files():
        short = [found.group() for found in SHORTHAND.finditer(path.read_text(encoding="utf-8"))]
        assert not short, f"{path.relative_to(ROOT)}: {short}"


def test_the_page_names_every_requirement() -> None:
    """``python -m tests.catalogue`` leaves nothing out."""
    text = page()
    assert all(f"| {id} |" in text for id in KNOWN)
