"""The names of the phases, which are the manual's."""

from __future__ import annotations

from tlsexit.exits.phases import ExitPhase

MANUAL = [
    "StartTask",
    "StartHandshake",
    "GetCAList",
    "GetCertificate",
    "CheckCertificate",
    "CryptData",
    "HandshakeAlert",
    "HandshakeDone",
    "EndSession",
    "EndTask",
]


def test_the_ten_phases() -> None:
    """In the manual's order, and one question beside them for PSK suites."""
    assert [phase.value for phase in ExitPhase] == [*MANUAL, "GetPreSharedKey"]


def test_the_methods_of_an_exit_object() -> None:
    assert ExitPhase.GET_CA_LIST.method == "get_ca_list"
    assert ExitPhase.CRYPT_DATA.method == "crypt_data"
    assert len({phase.method for phase in ExitPhase}) == len(ExitPhase)
