"""The list of requirements is sound, and says what its documentation says of it."""

from __future__ import annotations

from tests.catalogue import ID
from tlsexit.alerts import AlertDescription
from tlsexit.conformance.catalogue import REQUIREMENTS, by_id, corrections, requirements


def test_ids_are_unique_and_of_one_form() -> None:
    """An id names the RFC and the section of its entry, spaces left out."""
    assert len(by_id()) == len(requirements()) == REQUIREMENTS
    for item in requirements():
        assert ID.fullmatch(item.id)
        assert item.id.startswith(f"R{item.rfc}-{item.section.replace(' ', '')}-"), item.id


def test_the_alerts_are_alerts() -> None:
    """Each is in the registry."""
    names = {item.name.lower() for item in AlertDescription}
    assert {alert for item in requirements() for alert in item.expected_alert} <= names


def test_levels_and_roles() -> None:
    """Every entry has a level and somebody it applies to, and says how to test it."""
    for item in requirements():
        assert item.level in ("MUST", "MUST NOT", "SHOULD", "SHOULD NOT", "MAY"), item.id
        assert item.strict == item.level.startswith("MUST")
        assert item.applies_to in ("client", "server", "both", "record-layer", "crypto"), item.id
        assert item.statement
        assert item.probe
        assert item.title.startswith("RFC ")


def test_corrections_are_of_the_list() -> None:
    """Each says which field of which entry was wrong."""
    assert corrections()
    for id, text in corrections().items():
        assert id in by_id()
        assert text.startswith("`"), id
