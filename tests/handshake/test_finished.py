"""Finished (RFC 2246 §7.4.9) and NewSessionTicket (RFC 5077 §3.3)."""

from __future__ import annotations

import pytest

from tests.support import captures
from tlsexit.alerts import DecodeError, LocalError
from tlsexit.handshake.finished import FINISHED, NEW_SESSION_TICKET, Finished, NewSessionTicket
from tlsexit.wire import build, parse


def test_finished_is_bare() -> None:
    """R2246-4.3-01: twelve bytes without a length."""
    assert parse(FINISHED, b"twelve bytes") == Finished(b"twelve bytes")
    assert build(FINISHED, Finished(b"twelve bytes")) == b"twelve bytes"


@pytest.mark.parametrize("size", [0, 11, 13, 36])
def test_finished_has_one_length(size: int) -> None:
    """R2246-7.4.9-04; 36 bytes is SSL 3.0's."""
    with pytest.raises(DecodeError):
        parse(FINISHED, bytes(size))
    with pytest.raises(LocalError):
        build(FINISHED, Finished(bytes(size)))


def test_a_ticket_as_written_by_hand() -> None:
    """R5077-3.3-01; seconds in four bytes, then the ticket with its length."""
    raw = bytes.fromhex("00001c20" + "0003" + "aabbcc")
    assert parse(NEW_SESSION_TICKET, raw) == NewSessionTicket(7200, b"\xaa\xbb\xcc")
    assert build(NEW_SESSION_TICKET, NewSessionTicket(7200, b"\xaa\xbb\xcc")) == raw


def test_an_empty_ticket_is_legal() -> None:
    """RFC 5077 §3.3: a server that changed its mind "sends a zero-length ticket"."""
    assert parse(NEW_SESSION_TICKET, bytes(6)) == NewSessionTicket(0, b"")


def test_captured_tickets_last_a_while() -> None:
    """s_server's default timeout is 7200 seconds."""
    message = captures.find("openssl-ticket-resumption", "new_session_ticket")
    assert parse(NEW_SESSION_TICKET, message.body).ticket_lifetime_hint == 7200
