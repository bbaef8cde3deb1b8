"""Errors in one sentence, with the status of each."""

from __future__ import annotations

import errno
import socket

import pytest

from tlsexit.alerts import AlertDescription as Alert
from tlsexit.alerts import AlertReceived, DecryptError, ExitFailed, LocalError, TruncatedError, UnknownPskIdentity
from tlsexit.cli import codes
from tlsexit.cli.problems import Problem, exit_code, one_line, sentence, usage_problems


@pytest.mark.parametrize(
    ("error", "status", "told"),
    [
        (TruncatedError("cut short"), codes.TRUNCATED, "cut short"),
        (AlertReceived(48), codes.FAILED, "the peer sent unknown_ca(48)"),
        (UnknownPskIdentity("who?"), codes.FAILED, "unknown_psk_identity(115): who?"),
        (
            ExitFailed("CryptData", Alert.INTERNAL_ERROR, "failed"),
            codes.FAILED,
            "CryptData: failed; internal_error(80) sent",
        ),
        (ConnectionRefusedError(errno.ECONNREFUSED, "Connect call failed"), codes.NETWORK, "connection refused"),
        (TimeoutError(), codes.NETWORK, "timed out"),
        (TimeoutError("no answer"), codes.NETWORK, "no answer"),
        (socket.gaierror(-2, "unknown name"), codes.NETWORK, "the host name cannot be resolved: unknown name"),
        (OSError("several things"), codes.NETWORK, "several things"),
        (ConnectionError(), codes.NETWORK, "ConnectionError"),
    ],
)
def test_an_error_has_a_sentence_and_a_status(error: Exception, status: int, told: str) -> None:
    assert exit_code(error) == status
    assert sentence(error) == told


def test_an_alert_is_told_with_what_it_answers() -> None:
    assert (
        sentence(AlertReceived(40), after="ClientHello") == "the peer sent handshake_failure(40) after our ClientHello"
    )
    assert sentence(TruncatedError("cut"), after="ClientHello") == "cut"


def test_a_failure_that_the_peer_was_not_told_is_told_here() -> None:
    """§7.4.7.1: a failed decryption goes on with a random premaster secret, and only Finished is wrong."""
    error = DecryptError("Finished does not match the handshake")
    error.__cause__ = ExitFailed("CryptData", Alert.INTERNAL_ERROR, "failed (OSError)")
    assert sentence(error) == (
        "decrypt_error(51): Finished does not match the handshake (before that, CryptData: failed (OSError))"
    )


def test_a_problem_is_one_line_that_a_terminal_can_stand() -> None:
    """A peer's certificate may say anything."""
    assert str(Problem("CN=\x1b[31mred\nand\tmore")) == "CN=?[31mred and more"
    assert one_line("  a \n b ") == "a b"
    assert one_line(f"'{'a' * 70_000}' is not a host name") == f"'{'a' * 499} … {'a' * 230}' is not a host name"


def test_local_errors_are_mistakes_of_the_call() -> None:
    with pytest.raises(Problem, match="no such thing") as caught, usage_problems():
        raise LocalError("no such thing")
    assert caught.value.status == codes.USAGE
