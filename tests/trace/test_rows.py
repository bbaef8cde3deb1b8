"""The order of the rows: RFC 2246 figures 1 and 2, the places of the phases, and messages that cross."""

from __future__ import annotations

from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.ends import DH_ANON, DHE_RSA, ECDHE_ECDSA, RSA
from tests.support.recorded import RecordedPair, messages, steps
from tlsexit.alerts import AlertDescription, AlertLevel
from tlsexit.constants import ContentType, Role
from tlsexit.events import MessageSeen, PhaseSeen
from tlsexit.exits.answers import Handled
from tlsexit.exits.calls import EndTaskCall
from tlsexit.exits.context import TaskContext
from tlsexit.profile import Verify
from tlsexit.records.grammar import Alert
from tlsexit.trace import Entry, MessageRow, PhaseRow, rows

FIGURE_1 = [
    "client: ClientHello",
    "server: ServerHello",
    "server: Certificate",
    "server: ServerKeyExchange",
    "server: CertificateRequest",
    "server: ServerHelloDone",
    "client: Certificate",
    "client: ClientKeyExchange",
    "client: CertificateVerify",
    "client: [ChangeCipherSpec]",
    "client: Finished",
    "server: [ChangeCipherSpec]",
    "server: Finished",
    "client: Application Data",
    "server: Application Data",
]
"""RFC 2246 §7.3, figure 1, with everything that may be left out."""

FIGURE_2 = [
    "client: ClientHello",
    "server: ServerHello",
    "server: [ChangeCipherSpec]",
    "server: Finished",
    "client: [ChangeCipherSpec]",
    "client: Finished",
    "client: Application Data",
    "server: Application Data",
]
"""The abbreviated handshake of figure 2."""

CLOSING = ["client: Alert", "server: Alert"]


@pytest.mark.parametrize("size", [None, 1, 100])
@pytest.mark.parametrize("suite", [DHE_RSA, ECDHE_ECDSA])
def test_a_full_handshake_is_figure_1(suite: int, size: int | None) -> None:
    pair = RecordedPair(suite, size=size)
    pair.talk(*pair.connect())
    assert messages(pair.finish()) == FIGURE_1 + CLOSING


def test_what_the_suite_and_profile_leave_out_is_left_out() -> None:
    pair = RecordedPair(DH_ANON, verify=Verify.NONE)
    pair.talk(*pair.connect())
    absent = {"CertificateRequest", "CertificateVerify", "Certificate"}
    assert messages(pair.finish()) == [m for m in FIGURE_1 if m.split(": ")[1] not in absent] + CLOSING


def test_an_abbreviated_handshake_is_figure_2() -> None:
    pair = RecordedPair(RSA)
    client, server = pair.connect()
    session = client.connection.session
    pair.talk(client, server)
    pair.again()
    pair.talk(*pair.connect(session))
    assert messages(pair.finish()) == FIGURE_2 + CLOSING
    # the exit hears only of the beginning and the end
    assert [step for step in steps(pair.recorder.entries) if "? " in step and "Task" not in step] == [
        "client? StartHandshake",
        "server? StartHandshake",
        "client? HandshakeDone",
        "server? HandshakeDone",
        "client? EndSession",
        "server? EndSession",
    ]


@pytest.mark.parametrize("size", [None, 1])
def test_the_server_is_asked_where_its_messages_need_the_answer(size: int | None) -> None:
    """StartTask, StartHandshake, GetCertificate, CryptData, GetCAList, CheckCertificate, HandshakeDone, EndSession."""
    pair = RecordedPair(DHE_RSA, size=size)
    pair.talk(*pair.connect())
    found = steps(pair.finish(), end=Role.SERVER)
    assert found == [
        "server? StartTask",
        "server? StartHandshake",
        "client: ClientHello",
        "server? GetCertificate",
        "server: ServerHello",
        "server: Certificate",
        "server? CryptData",
        "server: ServerKeyExchange",
        "server? GetCAList",
        "server: CertificateRequest",
        "server: ServerHelloDone",
        "client: Certificate",
        "server? CheckCertificate",
        *FIGURE_1[7:13],
        "server? HandshakeDone",
        *FIGURE_1[13:],
        *CLOSING,
        "server? EndSession",
        "server? EndTask",
    ]


@pytest.mark.parametrize("size", [None, 1])
def test_the_client_is_asked_when_the_message_has_arrived(size: int | None) -> None:
    """The server's flight leaves as one; CheckCertificate still stands behind Certificate, not behind the flight."""
    pair = RecordedPair(RSA, size=size)
    pair.talk(*pair.connect())
    found = steps(pair.finish(), end=Role.CLIENT)
    without_key_exchange = [step for step in FIGURE_1 if step != "server: ServerKeyExchange"]
    assert found == [
        "client? StartTask",
        "client? StartHandshake",
        *without_key_exchange[:3],
        "client? CheckCertificate",
        *without_key_exchange[3:5],
        "client? GetCertificate",
        *without_key_exchange[5:7],
        "client? CryptData",
        *without_key_exchange[7:12],
        "client? HandshakeDone",
        *without_key_exchange[12:],
        "client: Alert",
        "client? EndSession",
        "server: Alert",
        "client? EndTask",
    ]


def test_one_end_alone_shows_the_same_messages() -> None:
    pair = RecordedPair(DHE_RSA)
    pair.talk(*pair.connect())
    for role in Role:
        own = tuple(entry for entry in pair.recorder.entries if entry.end is role)
        # a client that has sent close_notify discards the rest (§7.2.1), so it does not report the server's
        assert messages(own) == (FIGURE_1 + CLOSING)[: 16 if role is Role.CLIENT else 17]


def test_application_data_in_a_row_is_one_row() -> None:
    entries = [data(0, Role.CLIENT, b"12"), data(1, Role.CLIENT, b"345"), data(2, Role.CLIENT, b"6", sent=False)]
    found = rows([*entries, data(3, Role.CLIENT, b"78")])
    assert [row.length for row in found if isinstance(row, MessageRow)] == [5, 1, 2]
    assert [row.sender for row in found if isinstance(row, MessageRow)] == [Role.CLIENT, Role.SERVER, Role.CLIENT]


def test_a_phase_takes_from_the_question_to_the_answer() -> None:
    call = EndTaskCall(TaskContext(1))
    asked = Entry(1.0, Role.SERVER, PhaseSeen(call.phase, call))
    told = Entry(3.5, Role.SERVER, PhaseSeen(call.phase, call, Handled()), builtin=True)
    assert rows([asked, told]) == (PhaseRow(1.0, Role.SERVER, call, Handled(), True, 2.5),)
    assert rows([asked]) == (PhaseRow(1.0, Role.SERVER, call, None, False, 0.0),)


# ------------------------------------------------------------------------------------------------ any order


def data(at: float, end: Role, content: bytes, *, sent: bool = True) -> Entry:
    return Entry(at, end, MessageSeen(sent, ContentType.APPLICATION_DATA, None, content, True))


def alert(at: float, end: Role, number: int, *, sent: bool) -> Entry:
    message = Alert(AlertLevel.WARNING, AlertDescription.USER_CANCELED)
    return Entry(at, end, MessageSeen(sent, ContentType.ALERT, message, number.to_bytes(2, "big"), True))


@given(st.lists(st.sampled_from(["client sends", "server sends", "client receives", "server receives"]), max_size=30))
def test_every_message_is_one_row_in_its_sender_s_order(plan: list[str]) -> None:
    """Even if messages cross, as they may: both ends may send at any time."""
    wires: dict[Role, deque[int]] = {role: deque() for role in Role}
    entries = []
    sent: dict[Role, list[bytes]] = {role: [] for role in Role}
    for number, step in enumerate(plan):
        name, action = step.split()
        end = Role(name)
        if action == "sends":
            wires[end].append(number)
            sent[end].append(number.to_bytes(2, "big"))
            entries.append(alert(number, end, number, sent=True))
        elif wires[end.peer]:
            entries.append(alert(number, end, wires[end.peer].popleft(), sent=False))
    shown = [row for row in rows(entries) if isinstance(row, MessageRow)]
    assert {role: [row.seen.raw for row in shown if row.sender is role] for role in Role} == sent


def test_messages_that_crossed_stand_in_the_order_of_time() -> None:
    entries = [
        alert(0, Role.CLIENT, 1, sent=True),
        alert(1, Role.SERVER, 2, sent=True),
        alert(2, Role.CLIENT, 2, sent=False),
        alert(3, Role.SERVER, 1, sent=False),
    ]
    assert [row.sender for row in rows(entries) if isinstance(row, MessageRow)] == [Role.CLIENT, Role.SERVER]
