"""No requirement is left out, and the page in the documentation is the one that the code makes."""

from __future__ import annotations

import pytest

from tests.conformance.coverage import HEAD, TARGET, left_out, page, probes_of, roles, totals
from tlsexit.conformance.catalogue import Requirement, by_id, requirements, unprobed
from tlsexit.constants import Role


@pytest.mark.parametrize("item", requirements(), ids=lambda item: item.id)
def test_has_a_probe_or_a_reason(item: Requirement) -> None:
    """For each role that it binds."""
    assert left_out(item) == []


def test_reasons_are_for_what_has_no_probe() -> None:
    """A reason beside a probe is out of date."""
    for key, reason in unprobed().items():
        id, _, role = key.partition(" ")
        assert id in by_id(), key
        assert by_id()[id].observable is not None, key
        assert len(reason) > 20
        found = probes_of(by_id()[id])
        assert not (found[Role(role)] if role else any(found.values())), f"{key} has a probe"
        assert not role or Role(role) in roles(by_id()[id]), key


def test_the_page_is_up_to_date() -> None:
    """``python -m tests.conformance.coverage`` writes it. The numbers of tests change often, so they may lag behind."""
    text = TARGET.read_text(encoding="utf-8")
    assert text.startswith(HEAD)

    def without_counts(page: str) -> list[str]:
        return [line.rpartition(" | ")[0] for line in page.splitlines() if line.startswith("| R")]

    assert without_counts(text) == without_counts(page())
    assert totals() in text
