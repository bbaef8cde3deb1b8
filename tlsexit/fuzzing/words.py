"""The vocabulary of scripts: every message as an honest end makes it, and the tricks of a dishonest one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from tlsexit.alerts import AlertDescription
from tlsexit.constants import ContentType, Role
from tlsexit.fuzzing import expected as ex
from tlsexit.fuzzing import tricks
from tlsexit.fuzzing.expected import ANYTHING, Answer, Expected
from tlsexit.fuzzing.script import Move
from tlsexit.handshake.enums import ExtensionType, HandshakeType
from tlsexit.puppet import Puppet, Step
from tlsexit.puppet import steps as honest


@dataclass(frozen=True, slots=True)
class Word:
    """Something that can be said.

    ``message`` is the message whose place in the handshake it takes, empty for what has none. ``speaker`` is the role
    that says it, None for both. ``expected`` is what it ought to lead to even at the right place; None: it is honest.
    ``applies`` says where it is what it claims to be.
    """

    steps: tricks.Steps
    message: str = ""
    speaker: Role | None = None
    expected: Expected | Callable[[Puppet, Move], Expected | None] | None = None
    applies: Callable[[Puppet], bool] = lambda puppet: True

    def outlook(self, puppet: Puppet, move: Move) -> Expected | None:
        """Return :attr:`expected` for this move."""
        return self.expected(puppet, move) if callable(self.expected) else self.expected


def _plain(step: Step, speaker: Role | None = None) -> Word:
    return Word(lambda puppet, move: (step,), step.name, speaker)


def _raw(kind: HandshakeType, speaker: Role) -> Word:
    return _plain(honest.ANY_MESSAGE[kind], speaker)


CLIENT, SERVER = Role.CLIENT, Role.SERVER

WORDS: Final[Mapping[str, Word]] = {
    # honest messages
    "hello_request": _plain(honest.hello_request, SERVER),
    "client_hello": _plain(honest.client_hello),
    "server_hello": _plain(honest.server_hello),
    "certificate": _plain(honest.certificate_message),
    "server_key_exchange": _plain(honest.server_key_exchange, SERVER),
    "certificate_request": _plain(honest.certificate_request, SERVER),
    "server_hello_done": _plain(honest.server_hello_done, SERVER),
    "client_key_exchange": _plain(honest.client_key_exchange, CLIENT),
    "certificate_verify": _plain(honest.certificate_verify, CLIENT),
    "change_cipher_spec": _plain(honest.change_cipher_spec),
    "finished": _plain(honest.finished),
    "new_session_ticket": _raw(HandshakeType.NEW_SESSION_TICKET, SERVER),
    "certificate_status": _raw(HandshakeType.CERTIFICATE_STATUS, SERVER),
    # what is no handshake message
    "data": Word(tricks.data, expected=tricks.after_handshake),
    "empty_data": Word(tricks.empty(1, ContentType.APPLICATION_DATA), expected=tricks.empty_data),
    "close_notify": Word(tricks.close_notify, expected=Expected(Answer.CLOSED, ("R2246-7.2.1-02",))),
    "alert": Word(tricks.alert, expected=tricks.alert_answer),
    "record": Word(tricks.record, expected=tricks.unknown),
    "wire": Word(lambda puppet, move: (honest.wire(move.data),), expected=ANYTHING),
    "hang_up": Word(lambda puppet, move: (honest.hang_up,), expected=ANYTHING),
    # records that are wrong
    "empty_handshake": Word(
        tricks.empty(1, ContentType.HANDSHAKE),
        expected=ex.refused("R2246-6.2-01", alerts=ex.OUT_OF_TURN | ex.MALFORMED),
    ),
    "empty_alert": Word(
        tricks.empty(1, ContentType.ALERT), expected=ex.refused("R2246-6.2-01", alerts=ex.OUT_OF_TURN | ex.MALFORMED)
    ),
    "retyped_record": Word(
        tricks.retyped,
        expected=ex.refused("R2246-6.2.3-02", "R2246-6.2.3.1-01", alerts=ex.NOT_AUTHENTIC),
        applies=tricks.protected,
    ),
    "replayed_record": Word(
        tricks.replayed,
        expected=ex.refused("R2246-6.2.3-03", "R2246-6.1-09", alerts=ex.NOT_AUTHENTIC),
        applies=tricks.protected,
    ),
    "unprotected_record": Word(
        tricks.unprotected, expected=ex.refused("R2246-6-03", alerts=ex.NOT_AUTHENTIC), applies=tricks.protected
    ),
    "oversized_record": Word(
        tricks.oversized,
        expected=ex.refused(
            "R2246-6.2.1-01",
            "R2246-6.2.1-02",
            alerts=ex.OUT_OF_TURN | {AlertDescription.RECORD_OVERFLOW, AlertDescription.DECODE_ERROR},
        ),
    ),
    "oversized_ciphertext": Word(
        tricks.oversized_ciphertext,
        expected=ex.refused(
            "R2246-6.2.3-01",
            "R2246-7.2.2-06",
            alerts=ex.NOT_AUTHENTIC | {AlertDescription.RECORD_OVERFLOW, AlertDescription.DECODE_ERROR},
        ),
    ),
    "endless_message": Word(
        tricks.endless, expected=ex.refused("R2246-7.4-05", alerts=ex.MALFORMED | ex.OUT_OF_TURN | ex.FORBIDDEN)
    ),
    "flood_of_empty_records": Word(
        tricks.flood(ContentType.APPLICATION_DATA, b"", 300),
        expected=ex.refused("R5246-6.2.1-01", alerts=ex.OUT_OF_TURN),
    ),
    "flood_of_warnings": Word(
        tricks.flood(ContentType.ALERT, b"\x01\x5a", 300), expected=ex.refused("R2246-7.2.2-27", alerts=ex.OUT_OF_TURN)
    ),
    "flood_of_unknown_records": Word(
        tricks.flood(99, b"?", 300), expected=ex.refused("R2246-6-01", alerts=ex.OUT_OF_TURN)
    ),
    "change_cipher_spec_2": Word(
        lambda puppet, move: (replace(honest.change_cipher_spec, build=lambda puppet: b"\x02"),),
        "change_cipher_spec",
        None,
        ex.refused("R2246-7.1-02", alerts=ex.MALFORMED | ex.OUT_OF_TURN),
    ),
    "change_cipher_spec_long": Word(
        lambda puppet, move: (replace(honest.change_cipher_spec, build=lambda puppet: b"\x01\x01"),),
        "change_cipher_spec",
        None,
        ex.refused("R2246-7.1-03", alerts=ex.MALFORMED | ex.OUT_OF_TURN),
    ),
    "finished_around_change_cipher_spec": Word(
        tricks.finished_around,
        "change_cipher_spec",
        None,
        ex.refused("R2246-7.1-08", alerts=ex.OUT_OF_TURN | ex.NOT_AUTHENTIC),
    ),
    # key exchange
    "premaster_of_another_version": Word(
        tricks.premaster(b"\x03\x00", 46),
        "client_key_exchange",
        CLIENT,
        replace(tricks.LATER, requirements=("R2246-7.4.7.1-03",)),
        tricks.rsa,
    ),
    "premaster_too_short": Word(
        tricks.premaster(b"\x03\x01", 45),
        "client_key_exchange",
        CLIENT,
        replace(tricks.LATER, requirements=("R2246-7.4.7.1-05",)),
        tricks.rsa,
    ),
    "premaster_that_does_not_decrypt": Word(
        tricks.garbage_premaster(b"\x01"), "client_key_exchange", CLIENT, tricks.LATER, tricks.rsa
    ),
    "premaster_above_the_modulus": Word(
        tricks.garbage_premaster(b"\xff"), "client_key_exchange", CLIENT, tricks.LATER, tricks.rsa
    ),
    "dh_public_0": Word(tricks.dh_value(0), "client_key_exchange", CLIENT, ex.refused("R5246-F.1.1.3-01"), tricks.dh),
    "dh_public_1": Word(tricks.dh_value(1), "client_key_exchange", CLIENT, ex.refused("R5246-F.1.1.3-01"), tricks.dh),
    "point_off_the_curve": Word(
        lambda puppet, move: (honest.client_point(b"\x04" + bytes(63) + b"\x07"),),
        "client_key_exchange",
        CLIENT,
        ex.refused("R4492-5.7-01"),
        tricks.ecdh,
    ),
    "server_dh_public_1": Word(
        tricks.server_dh_value(1), "server_key_exchange", SERVER, ex.refused("R5246-F.1.1.3-01"), tricks.dh
    ),
    "params_signed_for_another_handshake": Word(
        tricks.stale_signature,
        "server_key_exchange",
        SERVER,
        ex.refused("R2246-7.4.3-05", alerts=ex.UNVERIFIED),
        lambda puppet: puppet.exchange.signed,
    ),
    "proof_of_another_handshake": Word(
        tricks.stale_proof, "certificate_verify", CLIENT, ex.refused("R2246-7.4.8-03", alerts=ex.UNVERIFIED)
    ),
    # hellos
    "hello_with_another_suite": Word(
        tricks.other_suite, "hello", None, Expected(Answer.NOT_RESUMED, ("R2246-7.4.1.3-08",)), tricks.resuming
    ),
    "hello_with_a_suite_not_offered": Word(
        tricks.unasked_suite,
        "hello",
        SERVER,
        ex.refused("R2246-7.4.1.3-09", alerts=ex.FORBIDDEN),
        lambda puppet: tricks.unasked(puppet) is not None,
    ),
    "hello_without_extended_master_secret": Word(
        tricks.hello_without(ExtensionType.EXTENDED_MASTER_SECRET),
        "hello",
        None,
        Expected(Answer.NOT_RESUMED, ("R7627-5.3-01",)),
        lambda puppet: puppet.session is not None and puppet.session.extended_master_secret,
    ),
    "hello_with_wrong_renegotiation_info": Word(tricks.renegotiation_info(bytes(12)), "hello", None, tricks.wrong_info),
    "hello_without_renegotiation_info": Word(
        tricks.hello_without(ExtensionType.RENEGOTIATION_INFO), "hello", None, tricks.no_info, tricks.renegotiating
    ),
}
"""Everything that a script can say. ``hello`` as a message is the hello of whoever speaks."""


def message_of(word: Word, role: Role) -> str:
    """Return the message whose place a word takes, said by ``role``; empty if it has none."""
    return f"{role.value}_hello" if word.message == "hello" else word.message


def tricks_for(role: Role, message: str) -> tuple[str, ...]:
    """Return the dishonest ways for ``role`` to say ``message``."""
    return tuple(
        name
        for name, word in WORDS.items()
        if word.expected is not None and word.speaker in (None, role) and message_of(word, role) == message != ""
    )
