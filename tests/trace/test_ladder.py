"""The diagram: its geometry, its labels, and what a person reads from it."""

from __future__ import annotations

import pytest

from tests.support.ends import ECDHE_RSA, RSA
from tests.support.pki import root_authority
from tests.support.recorded import RecordedPair, ticking
from tlsexit.alerts import AlertDescription, AlertLevel
from tlsexit.constants import ContentType, Role
from tlsexit.events import MessageSeen, PhaseSeen
from tlsexit.exits.answers import Answer, Failed, Handled, NotHandled
from tlsexit.exits.calls import CheckCertificateCall, EndTaskCall, GetCertificateCall, StartTaskCall
from tlsexit.exits.context import TaskContext
from tlsexit.handshake.certificate import Certificate
from tlsexit.policy import BuiltinPki
from tlsexit.profile import Verify
from tlsexit.records.grammar import Alert
from tlsexit.trace import Entry, ladder, text
from tlsexit.trace.ladder import ASCII, MINIMUM_WIDTH, Line


class Decider:
    """An exit that is asked, accepts certificates, and leaves the rest."""

    def start_task(self, call: StartTaskCall) -> Answer:
        return Handled()

    def check_certificate(self, call: CheckCertificateCall) -> Answer:
        return Handled()


class Refuser(Decider):
    """Refuses every certificate."""

    def check_certificate(self, call: CheckCertificateCall) -> Answer:
        return Failed(AlertDescription.CERTIFICATE_REVOKED)


class Broken(Decider):
    """Fails without saying why."""

    def get_certificate(self, call: GetCertificateCall) -> Answer:
        return Failed()


def drawn(entries: tuple[Entry, ...], **options: object) -> list[str]:
    """The lines of the diagram."""
    return text(ladder(entries, **options)).splitlines()  # type: ignore[arg-type]


def one(content_type: ContentType, message: object, raw: bytes = b"", *, sent: bool = True) -> tuple[Entry, ...]:
    """A single message at the client."""
    return (Entry(0.0, Role.CLIENT, MessageSeen(sent, content_type, message, raw, False)),)


def exchanged(**options: object) -> tuple[Entry, ...]:
    """A mutual ECDHE handshake with application data, closed in order."""
    pair = RecordedPair(ECDHE_RSA, **options)  # type: ignore[arg-type]
    pair.talk(*pair.connect())
    return pair.finish()


def test_a_mutual_handshake_reads_like_this() -> None:
    """The places of messages and phases, with the sides on which they stand."""
    found = drawn(exchanged(client_exit=Decider()), width=80)
    assert [line.strip("│├╞▶◀╡┤●○ ─═") for line in found] == [
        "client                                                                    server",
        "StartTask: handled → exit on",
        "StartTask: not handled → exit off",
        "StartHandshake: not handled → built-in",
        "StartHandshake: built-in",
        "ClientHello",
        "GetCertificate: built-in",
        "ServerHello TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
        "Certificate CN=localhost",
        "CryptData (sign, RSA): built-in",
        "CheckCertificate: handled",
        "ServerKeyExchange",
        "GetCAList: built-in",
        "CertificateRequest",
        "ServerHelloDone",
        "GetCertificate: not handled → built-in",
        "Certificate CN=client,O=Example",
        "CheckCertificate: built-in",
        "ClientKeyExchange",
        "CryptData (sign, RSA): not handled → built-in",
        "CertificateVerify",
        "[ChangeCipherSpec]",
        "Finished",
        "[ChangeCipherSpec]",
        "Finished",
        "HandshakeDone: built-in",
        "HandshakeDone: not handled → built-in",
        "Application Data 8 bytes",
        "Application Data 7 bytes",
        "Alert warning close_notify(0)",
        "EndSession: not handled → built-in",
        "Alert warning close_notify(0)",
        "EndSession: built-in",
        "EndTask: not handled",
        "EndTask: not asked",
    ]


def test_a_line_shows_direction_and_protection() -> None:
    found = drawn(exchanged(), width=80)
    hello = next(line for line in found if "ClientHello" in line)
    assert hello.startswith("├─ ClientHello ──")
    assert hello.endswith("──▶│")
    answer = next(line for line in found if "ServerHello TLS" in line)
    assert answer.startswith("│◀──")
    assert answer.endswith("── ServerHello TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA ─┤")
    ours, theirs = (line for line in found if "Finished" in line)
    assert ours.startswith("╞═ Finished ══")
    assert ours.endswith("══▶│")
    assert theirs.startswith("│◀══")
    assert theirs.endswith("══ Finished ═╡")
    # ChangeCipherSpec is the last message under the old keys (§7.1)
    assert all("═" not in line for line in found if "ChangeCipherSpec" in line)
    assert all("─" not in line for line in found if "Application Data" in line)


def test_phases_stand_at_the_side_that_is_asked() -> None:
    found = drawn(exchanged(server_exit=Decider()), width=80)
    (own,) = (line for line in found if "GetCAList" in line)
    assert own == "│" + "GetCAList: not handled → built-in ○".rjust(79)
    mine, theirs = (line for line in found if "CheckCertificate" in line)
    assert mine == "○ CheckCertificate: built-in".ljust(79) + "│"
    assert theirs == "│" + "CheckCertificate: handled ●".rjust(79)


@pytest.mark.parametrize("width", [MINIMUM_WIDTH, 80, 110])
@pytest.mark.parametrize("times", [False, True])
def test_every_line_is_as_wide_as_asked(width: int, times: bool) -> None:
    diagram = ladder(exchanged(), width=width, times=times)
    assert {sum(len(piece.text) for piece in line) for line in diagram} == {width}


def test_a_diagram_does_not_shrink_below_what_is_readable() -> None:
    assert drawn(exchanged(), width=20) == drawn(exchanged(), width=MINIMUM_WIDTH)


def test_times_are_milliseconds_since_the_start() -> None:
    found = drawn(exchanged(), width=90, times=True)
    assert found[0].startswith("    ms   client")
    assert found[1].startswith(" 1000.0  ○ StartTask")


def test_a_diagram_can_do_with_ascii() -> None:
    found = "\n".join(drawn(exchanged(client_exit=Decider()), signs=ASCII))
    assert found.isascii()
    assert "|- ClientHello ---" in found
    assert "== Finished =|" in found
    assert "* CheckCertificate: handled" in found
    assert "not handled -> built-in" in found


def test_titles_can_name_the_peer() -> None:
    assert drawn(exchanged(), titles=("tlsexit", "server.example:443"))[0] == "tlsexit" + "server.example:443".rjust(73)


def test_a_refusal_shows_its_alert_on_both_sides() -> None:
    """R2246-7.2.2: certificate_revoked; HandshakeAlert says who sent it."""
    pair = RecordedPair(RSA, server_exit=Refuser(), client_exit=Decider())
    pair.connect()
    found = drawn(pair.finish())
    start = next(index for index, line in enumerate(found) if "certificate_revoked" in line)
    assert [line.strip("│├╞▶◀╡┤●○✗ ─═") for line in found[start : start + 4]] == [
        "CheckCertificate: failed → certificate_revoked(44)",
        "Alert fatal certificate_revoked(44)",
        "HandshakeAlert (certificate_revoked(44) sent): not handled → built-in",
        "HandshakeAlert (certificate_revoked(44) received): not handled → built-in",
    ]
    assert found[start].endswith(" ✗")
    assert not any("EndSession" in line for line in found)


def test_a_failure_without_a_reason_has_no_alert() -> None:
    pair = RecordedPair(RSA, server_exit=Broken())
    pair.connect()
    found = text(ladder(pair.finish()))
    assert "GetCertificate: failed ✗" in found
    assert "Alert fatal internal_error(80)" in found


def test_a_refusal_by_the_builtin_pki_says_so() -> None:
    stranger = BuiltinPki(authorities={"root": [root_authority("another root", number=1).certificate]})
    pair = RecordedPair(RSA, pkis={Role.CLIENT: stranger})
    pair.connect()
    (line,) = (line for line in drawn(pair.finish()) if "CheckCertificate" in line)
    assert line.startswith("✗ CheckCertificate: built-in failed → unknown_ca(48) ")


def test_the_pieces_know_what_they_are() -> None:
    """For whoever gives them colours."""
    diagram = ladder(exchanged(client_exit=Decider()))

    def kinds(needle: str) -> list[str]:
        line: Line = next(line for line in diagram if needle in "".join(piece.text for piece in line))
        return [piece.kind for piece in line if needle in piece.text]

    assert kinds("ClientHello") == ["message"]
    assert kinds("Finished") == ["protected"]
    assert kinds("close_notify") == ["detail"]
    assert kinds(": handled") == []
    assert kinds("TLS_ECDHE") == ["detail"]
    assert kinds("CheckCertificate") == ["phase"]


@pytest.mark.parametrize(
    ("level", "description", "expected"),
    [
        (AlertLevel.FATAL, AlertDescription.UNKNOWN_CA, "Alert fatal unknown_ca(48)"),
        (AlertLevel.WARNING, 200, "Alert warning unknown alert(200)"),
        (7, AlertDescription.CLOSE_NOTIFY, "Alert 7 close_notify(0)"),
    ],
)
def test_alerts_by_name_and_number(level: int, description: int, expected: str) -> None:
    assert expected in drawn(one(ContentType.ALERT, Alert(level, description)))[1]


def test_a_client_without_a_certificate_shows_none() -> None:
    """R2246-7.4.6: the message is sent with an empty list."""
    assert "├─ Certificate none ──" in drawn(one(ContentType.HANDSHAKE, Certificate(())))[1]


def test_a_long_name_is_cut_and_cannot_reach_the_terminal() -> None:
    unreadable = Certificate((b"\x1b[31m" * 50,))
    line = drawn(one(ContentType.HANDSHAKE, unreadable), width=MINIMUM_WIDTH)[1]
    assert len(line) == MINIMUM_WIDTH
    assert "\x1b" not in line


def test_verify_none_leaves_the_client_unasked() -> None:
    found = text(ladder(exchanged(verify=Verify.NONE)))
    assert "GetCAList" not in found
    assert found.count("GetCertificate") == 1


def test_a_pending_phase_says_so() -> None:
    call = EndTaskCall(TaskContext(1))
    assert "EndTask: pending" in drawn((Entry(ticking()(), Role.SERVER, PhaseSeen(call.phase, call)),))[1]
    declined = Entry(0.0, Role.SERVER, PhaseSeen(call.phase, call, NotHandled()))
    assert "EndTask: not handled" in drawn((Entry(0.0, Role.SERVER, PhaseSeen(call.phase, call)), declined))[1]
