"""The RSA premaster secret: whatever is wrong with it, the peer sees the same (Bleichenbacher, ROBOT).

RFC 2246 §7.4.7.1: "the best way to avoid vulnerability to this attack is to treat incorrectly formatted messages in a
manner indistinguishable from correctly formatted RSA blocks."
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from tests.support.conversation import carries_data, refused
from tests.support.ends import RSA, server_end
from tests.support.forge import Forge
from tests.support.grammar import phases
from tests.support.scripted import ScriptedExit
from tests.support.traces import client_key_exchange_with, client_trace, put, raw_message
from tlsexit.alerts import AlertDescription
from tlsexit.events import MessageSeen, PhaseSeen
from tlsexit.exits.answers import Failed, Handled, NotHandled
from tlsexit.exits.phases import ExitPhase
from tlsexit.handshake import states

NOT_HANDLED = NotHandled()
GOOD = b"\3\1" + bytes(range(46))


def encrypted(forge: Forge, block: bytes) -> bytes:
    """Return a whole PKCS #1 block, the leading zero included, raised to the server's public key."""
    key = forge.peer_key
    assert isinstance(key, RSAPublicKey)
    numbers = key.public_numbers()
    size = (key.key_size + 7) // 8
    assert len(block) == size
    return pow(int.from_bytes(block, "big"), numbers.e, numbers.n).to_bytes(size, "big")


def block(
    message: bytes = GOOD, *, first: int = 0, kind: int = 2, separator: bytes = b"\0"
) -> Callable[[Forge], bytes]:
    """A PKCS #1 block of any kind around ``message``, as ciphertext."""

    def ciphertext(forge: Forge) -> bytes:
        forge.pre_master_secret = GOOD
        padding = b"\x5a" * (256 - 2 - len(separator) - len(message))
        return encrypted(forge, bytes([first, kind]) + padding + separator + message)

    return ciphertext


def zero_in_padding(forge: Forge) -> bytes:
    """The separator comes after four bytes of padding: fewer than the eight that PKCS #1 wants."""
    forge.pre_master_secret = GOOD
    return encrypted(forge, b"\0\2" + b"\x5a" * 4 + b"\0" + b"\x5a" * (256 - 7 - 49) + b"\0" + GOOD)


BAD: dict[str, Callable[[Forge], bytes]] = {
    "first byte": block(first=1),
    "block type 1": block(kind=1),
    "block type 0": block(kind=0),
    "no separator": block(separator=b"\x5a"),
    "short padding": zero_in_padding,
    "empty secret": block(b""),
    "one byte": block(b"\3"),
    "47 bytes": block(GOOD[:-1]),
    "49 bytes": block(GOOD + b"!"),
    "46 bytes": block(GOOD[2:]),
    "much too long": block(GOOD * 4),
    "SSL 3.0": block(b"\3\0" + GOOD[2:]),
    "TLS 1.1": block(b"\3\2" + GOOD[2:]),
    "SSL 2.0": block(b"\0\2" + GOOD[2:]),
    "zero": lambda forge: bytes(256),
    "one": lambda forge: bytes(255) + b"\1",
    "not below the modulus": lambda forge: b"\xff" * 256,
    "random": lambda forge: b"\x5a" * 256,
}

ANSWERS: dict[str, Any] = {
    "fails": Failed(),
    "refuses": Failed(AlertDescription.DECRYPT_ERROR),
    "raises": ValueError("the block says 0x01"),
    "no bytes": Handled(None),
    "wrong type": Handled(48),
    "empty": Handled(b""),
    "47 bytes": Handled(GOOD[:-1]),
    "49 bytes": Handled(GOOD + b"!"),
    "other version": Handled(b"\3\0" + GOOD[2:]),
    "another secret": Handled(b"\3\1" + bytes(46)),
    "nonsense": "not an answer at all",
}


def visible(forge: Forge) -> list[object]:
    """All that the peer can see, and in what state the server is after each step."""
    return [*forge.messages, *forge.alerts]


def attack(ciphertext: Callable[[Forge], bytes], answer: Any = NOT_HANDLED) -> tuple[Forge, list[object]]:
    """Send the ciphertext, then what would have to follow; return the trace of states and messages."""
    counter = iter(range(10_000))
    exits = ScriptedExit({ExitPhase.CRYPT_DATA: answer})
    config = {"random": lambda size: next(counter).to_bytes(size, "big"), "clock": lambda: 1e9}
    forge = Forge(server_end(RSA, exits=exits, config=config), RSA)
    seen: list[object] = []
    for step in put(client_trace(RSA), "client_key_exchange", client_key_exchange_with(ciphertext)):
        forge.send(step)
        seen += [type(forge.target.connection.state), *visible(forge)]
    return forge, seen


def test_the_good_block() -> None:
    """R2246-4.7-05: made by hand, it is accepted, so that the others fail for their one fault only."""
    forge, _ = attack(block())
    carries_data(forge)


@pytest.mark.parametrize("name", BAD)
def test_bad_blocks_look_like_a_wrong_key(name: str) -> None:
    """R2246-7.4.7.1-03, R2246-7.4.7.1-04, R2246-7.4.7.1-05, R5246-7.4.7.1-01: no alert of their own."""
    forge, seen = attack(BAD[name])
    refused(forge, AlertDescription.BAD_RECORD_MAC)
    _, reference = attack(block(), Handled(b"\3\1" + bytes(46)))  # well formed, but not what the client meant
    assert seen == reference
    assert phases(forge.target.seen) == "SCXA"


@pytest.mark.parametrize("name", ANSWERS)
def test_an_exit_that_fails_looks_the_same(name: str) -> None:
    """The one exception in the exit's rules: a failure of the decryption is reported here, never to the peer."""
    forge, seen = attack(block(), ANSWERS[name])
    refused(forge, AlertDescription.BAD_RECORD_MAC)
    _, reference = attack(block(), Handled(b"\3\1" + bytes(46)))
    assert seen == reference


@pytest.mark.parametrize("answer", ["fails", "raises", "no bytes"])
def test_the_failure_is_reported_locally(answer: str) -> None:
    """An observer sees what the exit answered."""
    forge, _ = attack(block(), ANSWERS[answer])
    answers = [
        item.answer
        for item in forge.target.seen
        if isinstance(item, PhaseSeen) and item.phase is ExitPhase.CRYPT_DATA and item.answer is not None
    ]
    assert len(answers) == 1
    assert not isinstance(answers[0], NotHandled)


def test_the_version_is_the_one_that_was_offered() -> None:
    """R2246-7.4.7.1-02: a client that knows TLS 1.2 writes {3,3}; {3,1} would look like a roll-back."""
    forge = Forge(server_end(RSA), RSA, {"client_version": 0x0303})
    forge.play(put(client_trace(RSA), "client_key_exchange", client_key_exchange_with(block())))
    refused(forge, AlertDescription.BAD_RECORD_MAC)


def test_the_substitute_differs_from_handshake_to_handshake() -> None:
    """R2246-7.4.7.1-04: "a randomly generated 48-byte value": a fixed one could be guessed."""
    logged: list[str] = []
    for _ in range(2):
        forge = Forge(server_end(RSA, config={"key_log": logged.append}), RSA)
        forge.play(put(client_trace(RSA), "client_key_exchange", client_key_exchange_with(BAD["block type 1"])))
        assert isinstance(forge.target.connection.state, states.Closed)
    secrets = {line.split()[2] for line in logged}
    assert len(secrets) == len(logged) == 2


@pytest.mark.parametrize("length", [0, 1, 255, 257, 512])
def test_a_ciphertext_of_another_length(length: int) -> None:
    """R2246-7.4.7.1-08: public, so it may be refused openly; the key has not been asked then."""
    forge, _ = attack(lambda forge: bytes(length))
    refused(forge, AlertDescription.DECODE_ERROR)
    assert phases(forge.target.seen) == "SCA"


def test_without_its_length() -> None:
    """R2246-7.4.7.1-06: SSL 3.0 left the two bytes out."""
    step = raw_message(16, bytes([0x5A]) * 256)
    forge = Forge(server_end(RSA), RSA).play(put(client_trace(RSA), "client_key_exchange", step))
    refused(forge, AlertDescription.DECODE_ERROR)


def test_nothing_is_sent_between_the_bad_block_and_the_alert() -> None:
    """R2246-7.4.7.1-04: ROBOT counts records and their times."""
    forge, _ = attack(BAD["block type 1"])
    sent = [item for item in forge.target.seen if isinstance(item, MessageSeen) and item.sent]
    assert [type(item.message).__name__ for item in sent] == ["ServerHello", "Certificate", "ServerHelloDone", "Alert"]
