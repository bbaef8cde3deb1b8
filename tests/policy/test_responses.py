"""OCSP responses in files: peers are judged by them, and own certificates get them stapled."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from tests.support.ends import client_end, handshake, server_end
from tests.support.ocsp import GOOD, HOUR, REVOKED, UNKNOWN, respond
from tests.support.pair import pump
from tests.support.pki import NOW, pki
from tests.support.scripted import ScriptedExit
from tlsexit.alerts import AlertReceived, ExitFailed, LocalError
from tlsexit.constants import Role
from tlsexit.exits.phases import ExitPhase
from tlsexit.policy import BuiltinPki, load_ocsp_response
from tlsexit.policy.responses import described_response
from tlsexit.policy.throwaway import Issued
from tlsexit.profile import Verify

STALE = respond(since=NOW - 48 * HOUR)
FORGED = respond(by=pki().server)
ELSEWHERE = respond(REVOKED, about=pki().client)


def builtin(role: Role, *responses: bytes, intermediate: bool = False) -> BuiltinPki:
    """The usual PKI of one side, with these responses."""
    own = {Role.SERVER: pki().server, Role.CLIENT: pki().client}[role]
    if intermediate:
        own = pki().intermediate_server
    return BuiltinPki(
        [own.identity("own")],
        {"root": [pki().root.certificate]},
        clock=NOW.timestamp,
        ocsp_responses=responses,
    )


@pytest.mark.parametrize(
    ("responses", "alert"),
    [
        ((respond(),), None),
        ((respond(REVOKED),), 44),
        ((respond(REVOKED, since=NOW - 48 * HOUR),), 44),
        ((respond(), respond(REVOKED)), 44),
        ((respond(UNKNOWN),), 46),
        ((STALE,), 46),
        ((FORGED,), 46),
        ((STALE, FORGED, respond()), None),
        ((ELSEWHERE,), None),
        ((), None),
    ],
)
def test_a_client_judges_by_them(responses: tuple[bytes, ...], alert: int | None) -> None:
    """R2246-7.2.2-11: certificate_revoked(44); certificate_unknown(46) if it cannot be told."""
    client = client_end(builtin=builtin(Role.CLIENT, *responses))
    server = server_end(builtin=builtin(Role.SERVER))
    pump(client, server)
    if alert is None:
        assert client.connection.established
        return
    assert isinstance(client.connection.error, ExitFailed)
    assert client.connection.error.description == alert
    assert isinstance(server.connection.error, AlertReceived)


def test_a_server_judges_by_them() -> None:
    """Clients staple nothing: this is the only way in which a server learns of them."""
    client = client_end(builtin=builtin(Role.CLIENT))
    server = server_end(builtin=builtin(Role.SERVER, ELSEWHERE), verify=Verify.REQUIRED)
    pump(client, server)
    assert isinstance(server.connection.error, ExitFailed)
    assert server.connection.error.description == 44


def test_a_certificate_above_the_leaf_can_be_revoked() -> None:
    revoked = respond(REVOKED, about=Issued(pki().intermediate.certificate, pki().intermediate.key))
    client = client_end(builtin=builtin(Role.CLIENT, revoked))
    pump(client, server_end(builtin=builtin(Role.SERVER, intermediate=True)))
    assert isinstance(client.connection.error, ExitFailed)
    assert client.connection.error.description == 44


@pytest.mark.parametrize(
    ("responses", "stapled"),
    [
        ((respond(),), respond()),
        ((STALE, FORGED, ELSEWHERE, respond()), respond()),
        ((STALE, FORGED, ELSEWHERE, respond(REVOKED)), None),
        ((), None),
    ],
)
def test_a_server_staples_the_current_one_about_its_certificate(
    responses: tuple[bytes, ...], stapled: bytes | None
) -> None:
    exits = ScriptedExit()
    client = client_end(builtin=builtin(Role.CLIENT), exits=exits, status_request=True)
    handshake(client, server_end(builtin=builtin(Role.SERVER, *responses)))
    found = exits.last(ExitPhase.CHECK_CERTIFICATE).ocsp_response
    assert (found is None) is (stapled is None)
    assert found is None or ocsp.load_der_ocsp_response(found).certificate_status is GOOD


@pytest.mark.parametrize(("response", "expected"), [(respond(), True), (STALE, False), (respond(REVOKED), False)])
def test_a_server_that_does_not_know_its_issuer_staples_all_the_same(response: bytes, expected: bool) -> None:
    """The root need not be sent, and a server that asks nobody for a certificate needs no authorities."""
    alone = BuiltinPki([pki().server.identity("own")], clock=NOW.timestamp, ocsp_responses=[ELSEWHERE, response])
    exits = ScriptedExit()
    client = client_end(builtin=builtin(Role.CLIENT), exits=exits, status_request=True)
    handshake(client, server_end(builtin=alone))
    assert (exits.last(ExitPhase.CHECK_CERTIFICATE).ocsp_response is not None) is expected


def test_nothing_is_stapled_unasked() -> None:
    exits = ScriptedExit()
    handshake(
        client_end(builtin=builtin(Role.CLIENT), exits=exits), server_end(builtin=builtin(Role.SERVER, respond()))
    )
    assert exits.last(ExitPhase.CHECK_CERTIFICATE).ocsp_response is None


def test_files(tmp_path: Path) -> None:
    file = tmp_path / "response.der"
    with pytest.raises(LocalError, match=r"response\.der: cannot be read: No such file"):
        load_ocsp_response(file)
    unsuccessful = ocsp.OCSPResponseBuilder.build_unsuccessful(ocsp.OCSPResponseStatus.TRY_LATER)
    for data in (b"", b"junk", unsuccessful.public_bytes(Encoding.DER)):
        file.write_bytes(data)
        with pytest.raises(
            LocalError, match=r"response\.der: is not an OCSP response in DER, or one without an answer"
        ):
            load_ocsp_response(file)
    file.write_bytes(respond())
    assert described_response(load_ocsp_response(file)) == (
        f"serial number {pki().server.certificate.serial_number:X}: good, until 2025-06-02",
    )
    with pytest.raises(LocalError, match="is not an OCSP response"):
        BuiltinPki(ocsp_responses=[b"junk"])
