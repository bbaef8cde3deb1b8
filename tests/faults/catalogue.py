"""The faults: what is wrong, where it is seeded, which requirements it breaks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Edit:
    """``old`` becomes ``new`` in a module of tlsexit, where it must stand exactly once."""

    module: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Fault:
    """A defect of the engine; ``configuration`` is one of ``tlsexit conform self`` in which it shows."""

    name: str
    title: str
    configuration: str
    requirements: tuple[str, ...]
    edits: tuple[Edit, ...]

    def __str__(self) -> str:
        return self.name


SERVER: Final = "server-everything"
CLIENT: Final = "client-everything"
MUTUAL: Final = "server-mutual"


def _fault(name: str, title: str, configuration: str, requirements: str, *edits: tuple[str, str, str]) -> Fault:
    return Fault(name, title, configuration, tuple(requirements.split()), tuple(Edit(*edit) for edit in edits))


_RECORDS: Final = (
    _fault(
        "mac-not-checked",
        "a record is taken whatever its MAC says",
        SERVER,
        "R2246-6.2.3.1-01 R2246-6.2.3-03 R2246-7.2.2-04",
        (
            "records.protection",
            "        if not (compare_digest(plain[length : length + mac_size], mac) and padded):",
            "        if not padded:",
        ),
    ),
    _fault(
        "padding-not-checked",
        "only the last byte of the padding is looked at",
        SERVER,
        "R2246-6.2.3.2-05",
        (
            "records.protection",
            "if length < 0 or not compare_digest(plain[length + mac_size :], _PADDING[plain[-1]]):",
            "if length < 0:",
        ),
    ),
    _fault(
        "padding-oracle",
        "wrong padding is answered with another alert than a wrong MAC",
        SERVER,
        "R4346-7.2.2-01 R2246-6.2.3.2-09",
        (
            "records.protection",
            "                padded = False\n            else:",
            '                raise DecodeError("the padding is wrong")\n            else:',
        ),
        ("records.protection", "import BadRecordMac, LocalError", "import BadRecordMac, DecodeError, LocalError"),
    ),
    _fault(
        "sequence-number-not-counted",
        "the sequence number stays what it is, so that a record can be sent again",
        SERVER,
        "R2246-6.1-09 R2246-6.2.3-03",
        ("records.protection", "        self.sequence_number = first + count\n", ""),
    ),
    _fault(
        "sequence-number-not-reset",
        "the sequence number goes on counting when the keys change",
        CLIENT,
        "R2246-6.1-06",
        (
            "records.layer",
            "        self._read_state = new_read_state(keys)\n",
            "        kept = self._read_state.sequence_number\n        self._read_state = new_read_state(keys)\n"
            "        self._read_state.sequence_number = kept\n",
        ),
    ),
    _fault(
        "record-type-not-authenticated",
        "the MAC does not cover the content type",
        SERVER,
        "R2246-6.2.3-02 R2246-6.2.3.1-01",
        (
            "records.protection",
            '_MAC_INPUT: Final = Struct(">QBHH")\n',
            "class _Blind(Struct):\n"
            "    def pack(self, number, content_type, version, length):\n"
            "        return super().pack(number, 23, version, length)\n\n\n"
            '_MAC_INPUT: Final = _Blind(">QBHH")\n',
        ),
    ),
    _fault(
        "record-limit-off-by-one",
        "a plaintext record of 2^14 + 1 bytes passes",
        SERVER,
        "R2246-6.2.1-02",
        ("records.framing", "        self.limit = MAX_PLAINTEXT\n", "        self.limit = MAX_PLAINTEXT + 1\n"),
        (
            "records.layer",
            "            if 0 < len(content) <= self._max_received_fragment:\n",
            "            if 0 < len(content) <= self._max_received_fragment + 1:\n",
        ),
    ),
    _fault(
        "record-version-not-checked",
        "a record of another version passes after the hellos",
        SERVER,
        "R2246-6.2.1-08",
        ("records.framing", "        if version != self.version:\n", "        if self.version is None:\n"),
    ),
    _fault(
        "empty-records-without-end",
        "any number of empty records is put up with",
        SERVER,
        "R2246-6.2-01 R5246-6.2.1-01",
        ("config", "max_empty_records: int = 32", "max_empty_records: int = 2**40"),
    ),
    _fault(
        "empty-handshake-records",
        "empty handshake records pass",
        SERVER,
        "R2246-6.2-01",
        (
            "records.layer",
            "        if content_type in _NEVER_EMPTY:\n",
            "        if content_type in _NEVER_EMPTY and length:\n",
        ),
    ),
)

_ALERTS: Final = (
    _fault(
        "alert-level-ignored",
        "a fatal alert ends the connection only if its description is always fatal",
        SERVER,
        "R2246-7.2-02 R2246-7.2.2-28",
        (
            "records.grammar",
            "return self.level == AlertLevel.FATAL or self.description in ALWAYS_FATAL",
            "return self.description in ALWAYS_FATAL",
        ),
    ),
    _fault(
        "alert-level-not-checked",
        "an alert may have any level",
        SERVER,
        "R2246-7.2-05",
        ("records.grammar", "    if alert.level not in (AlertLevel.WARNING, AlertLevel.FATAL):\n", "    if False:\n"),
    ),
    _fault(
        "close-notify-not-answered",
        "close_notify is taken for the end without a word",
        SERVER,
        "R2246-7.2.1-02",
        (
            "connection",
            "            self._channel.peer_closed = True\n"
            "            self._channel.send_alert(AlertLevel.WARNING, AlertDescription.CLOSE_NOTIFY)\n",
            "            self._channel.peer_closed = True\n",
        ),
    ),
    _fault(
        "fatal-alert-keeps-session",
        "a session can be resumed although a fatal alert has ended its connection",
        SERVER,
        "R2246-7.2-03",
        ("connection", "                    store.remove(session_id)\n", "                    pass\n"),
    ),
    _fault(
        "two-fatal-alerts",
        "the fatal alert is sent twice",
        SERVER,
        "R2246-7.2-02",
        (
            "connection",
            "        self._channel.send_alert(AlertLevel.FATAL, description)\n",
            "        self._channel.send_alert(AlertLevel.FATAL, description)\n"
            "        self._channel.send_alert(AlertLevel.FATAL, description)\n",
        ),
    ),
    _fault(
        "warnings-without-end",
        "any number of warnings is put up with",
        SERVER,
        "R2246-7.2.2-27",
        ("config", "max_warning_alerts: int = 5", "max_warning_alerts: int = 2**40"),
    ),
    _fault(
        "wrong-alert",
        "a message out of turn is called an internal error",
        SERVER,
        "R2246-7.2.2-03 R2246-7.2.2-22",
        (
            "alerts",
            "    description = AlertDescription.UNEXPECTED_MESSAGE\n",
            "    description = AlertDescription.INTERNAL_ERROR\n",
        ),
    ),
)

_ORDER: Final = (
    _fault(
        "early-change-cipher-spec",
        "ChangeCipherSpec is taken before there is a master secret (CVE-2014-0224)",
        SERVER,
        "R2246-7.1-07 R2246-6.1-02",
        (
            "handshake.table",
            "    (s.AwaitClientFinished, Finished): server.on_finished,\n",
            "    (s.AwaitClientFinished, Finished): server.on_finished,\n"
            "    (s.AwaitClientKeyExchange, ChangeCipherSpecReceived): lambda state, given, config:"
            " server.on_change_cipher_spec(s.AwaitClientChangeCipherSpec("
            "state.context, state.negotiation, state.transcript, bytes(48)), given, config),\n",
        ),
    ),
    _fault(
        "missing-certificate-verify",
        "a client that shows a certificate need not prove that it has the key",
        MUTUAL,
        "R2246-7.4.8-02 R2246-7.3-02",
        (
            "handshake.table",
            "    (s.AwaitClientFinished, Finished): server.on_finished,\n",
            "    (s.AwaitClientFinished, Finished): server.on_finished,\n"
            "    (s.AwaitCertificateVerify, ChangeCipherSpecReceived): server.on_change_cipher_spec,\n",
        ),
    ),
    _fault(
        "missing-change-cipher-spec",
        "Finished is taken without ChangeCipherSpec before it",
        CLIENT,
        "R2246-7.4.9-02",
        (
            "handshake.table",
            "    (s.AwaitServerFinished, Finished): client.on_finished,\n",
            "    (s.AwaitServerFinished, Finished): client.on_finished,\n"
            "    (s.AwaitServerChangeCipherSpec, Finished): client.on_finished,\n",
        ),
    ),
    _fault(
        "server-key-exchange-optional",
        "a client goes on without the ServerKeyExchange that the suite calls for",
        CLIENT,
        "R2246-7.4.3-01",
        (
            "handshake.table",
            "    (s.AwaitServerKeyExchange, ServerKeyExchange): client.on_server_key_exchange,\n",
            "    (s.AwaitServerKeyExchange, ServerKeyExchange): client.on_server_key_exchange,\n"
            "    (s.AwaitServerKeyExchange, ServerHelloDone): lambda state, given, config: Step(state),\n",
        ),
    ),
    _fault(
        "data-before-finished",
        "application data is taken before Finished",
        SERVER,
        "R2246-7.4.9-09 R2246-7.4.9-08",
        ("connection", "        if not self._can_read:\n", "        if False:\n"),
    ),
    _fault(
        "change-cipher-spec-value",
        "ChangeCipherSpec may have any value",
        SERVER,
        "R2246-7.1-02",
        ("records.grammar", "    if message.type != 1:\n", "    if False:\n"),
    ),
    _fault(
        "keys-change-inside-a-message",
        "ChangeCipherSpec is taken in the middle of a handshake message",
        SERVER,
        "R2246-7.1-08",
        ("channel", "        if self._messages.pending or self._alerts.pending:\n", "        if False:\n"),
    ),
    _fault(
        "hello-request-hashed",
        "HelloRequest becomes part of the handshake hashes",
        CLIENT,
        "R2246-7.4.1.1-07",
        (
            "handshake.finish",
            "    # neither hashed nor answered (§7.4.1.1)\n    return Step(state)\n",
            "    return Step(replace(state, transcript=state.transcript.add(received.raw)))"
            " if hasattr(state, 'transcript') else Step(state)\n",
        ),
    ),
)

_PROOFS: Final = (
    _fault(
        "finished-not-compared",
        "any verify_data will do",
        SERVER,
        "R2246-7.4.9-03 R2246-F.1.3-01",
        (
            "handshake.common",
            "    if not compare_digest(message.verify_data, verify_data(secret, sender, transcript.digest())):\n",
            "    if False:\n",
        ),
    ),
    _fault(
        "finished-compared-in-part",
        "of verify_data only the first four bytes are compared",
        CLIENT,
        "R2246-7.4.9-03",
        (
            "handshake.common",
            "    if not compare_digest(message.verify_data, verify_data(secret, sender, transcript.digest())):\n",
            "    wanted = verify_data(secret, sender, transcript.digest())\n"
            "    if not compare_digest(message.verify_data[:4], wanted[:4]):\n",
        ),
    ),
    _fault(
        "certificate-verify-not-checked",
        "the signature in CertificateVerify may be anything",
        MUTUAL,
        "R2246-7.4.8-05",
        ("handshake.server", "    verify(state.client_key, received.message.signature, digest)\n", ""),
    ),
    _fault(
        "params-signature-not-checked",
        "the signature in ServerKeyExchange may be anything",
        CLIENT,
        "R2246-7.4.3-05",
        ("handshake.client", "        verify(state.leaf_key, signature, digest)\n", "        pass\n"),
    ),
    _fault(
        "transcript-without-certificate-verify",
        "CertificateVerify is left out of what Finished covers",
        MUTUAL,
        "R2246-7.4.9-06",
        (
            "handshake.server",
            "            context, state.negotiation, state.transcript.add(received.raw), state.master_secret\n",
            "            context, state.negotiation, state.transcript, state.master_secret\n",
        ),
    ),
    _fault(
        "premaster-version-not-checked",
        "the version inside the premaster secret may be any (roll-back)",
        SERVER,
        "R2246-7.4.7.1-03",
        (
            "handshake.agreement",
            "    good = (len(decrypted) == len(substitute)) & compare_digest(candidate[:2], substitute[:2])\n",
            "    good = len(decrypted) == len(substitute)\n",
        ),
    ),
    _fault(
        "premaster-oracle",
        "a premaster secret that does not decrypt is answered at once (Bleichenbacher)",
        SERVER,
        "R5246-7.4.7.1-01 R2246-7.4.7.1-04",
        (
            "handshake.server",
            '    return _decrypted(state, b"")\n',
            "    raise refusal.error\n",
        ),
    ),
    _fault(
        "dh-public-range-not-checked",
        "a Diffie-Hellman value of 0 or 1 is worked with",
        SERVER,
        "R5246-F.1.1.3-01",
        (
            "crypto.groups",
            '        y = int.from_bytes(peer_public, "big")\n        _check_value(y, self.params)\n',
            '        y = int.from_bytes(peer_public, "big")\n        if y < 2:\n            return _stripped(y)\n',
        ),
    ),
)

_NEGOTIATION: Final = (
    _fault(
        "version-roll-back",
        "a client goes on with a server that chooses SSL 3.0",
        CLIENT,
        "R2246-7.4.1.3-02",
        (
            "handshake.offer",
            "    if hello.server_version != ProtocolVersion.TLS_1_0:\n",
            "    if hello.server_version > ProtocolVersion.TLS_1_0:\n",
        ),
    ),
    _fault(
        "old-version-accepted",
        "a server goes on with a client that offers SSL 3.0 at most",
        SERVER,
        "R2246-7.2.2-20",
        ("handshake.choice", "    if hello.client_version < ProtocolVersion.TLS_1_0:\n", "    if False:\n"),
    ),
    _fault(
        "suite-not-offered",
        "a client goes on with a suite that it has not offered",
        CLIENT,
        "R2246-7.4.1.3-09",
        (
            "handshake.offer",
            "    if suite is None or hello.cipher_suite not in offered.cipher_suites:\n",
            "    if suite is None:\n",
        ),
    ),
    _fault(
        "compression-not-offered",
        "a client goes on with a compression that it has not offered",
        CLIENT,
        "R2246-7.4.1.3-10",
        ("handshake.offer", "    if hello.compression_method != NULL_COMPRESSION:\n", "    if False:\n"),
    ),
    _fault(
        "null-compression-not-demanded",
        "a hello without null compression is taken",
        SERVER,
        "R2246-7.4.1.2-14",
        ("handshake.choice", "    if NULL_COMPRESSION not in hello.compression_methods:\n", "    if False:\n"),
    ),
    _fault(
        "extension-twice",
        "the same extension may come twice, and the first one counts",
        SERVER,
        "R4366-2.3-02",
        ("handshake.extensions", "        check_unique(extensions)\n", ""),
    ),
    _fault(
        "extension-not-asked-for",
        "a client takes an extension that it has not offered",
        CLIENT,
        "R4366-2.3-01",
        ("handshake.offer", "        if item.extension_type not in requested:\n", "        if False:\n"),
    ),
    _fault(
        "renegotiation-info-not-checked",
        "what renegotiation_info says of the handshake before is not looked at",
        SERVER,
        "R5746-3.7-01 R5746-3.6-01",
        ("handshake.choice", "    if not compare_digest(offered, expected):\n", "    if False:\n"),
    ),
)

_SESSIONS: Final = (
    _fault(
        "resumed-with-another-suite",
        "a client lets the server resume a session with another suite",
        CLIENT,
        "R2246-7.4.1.3-08",
        ("handshake.resume", "    if negotiated.suite.value != session.cipher_suite:\n", "    if False:\n"),
    ),
    _fault(
        "session-without-its-suite",
        "a server resumes a session although the hello leaves its suite out",
        SERVER,
        "R2246-7.4.1.2-17 R2246-7.4.1.3-09",
        (
            "handshake.resume",
            "    if session.cipher_suite not in offer.hello.cipher_suites:\n",
            "    if False:\n",
        ),
    ),
    _fault(
        "extended-master-secret-dropped",
        "a session with an extended master secret is resumed by a hello without",
        SERVER,
        "R7627-5.3-01",
        (
            "handshake.resume",
            "    if session.extended_master_secret and not offer.extended_master_secret:\n",
            "    if False:\n",
        ),
        (
            "handshake.resume",
            "    if session.extended_master_secret != (offer.extended_master_secret and profile",
            "    if False and (offer.extended_master_secret and profile",
        ),
    ),
)

_CODEC: Final = (
    _fault(
        "trailing-bytes",
        "bytes behind the end of a message pass",
        SERVER,
        "R2246-7.4.1.2-21 R4366-2.1-01",
        ("wire", "    if used != len(data):\n", "    if False:\n"),
    ),
    _fault(
        "length-off-by-one",
        "a vector may be one byte longer than what is there",
        SERVER,
        "R2246-4.3-05",
        (
            "wire",
            "        if stop > end or not self.floor <= length <= self.ceiling:\n",
            "        if stop > end + 1 or not self.floor <= length <= self.ceiling:\n",
        ),
    ),
    _fault(
        "floor-not-checked",
        "a vector may be shorter than its floor",
        SERVER,
        "R2246-4.3-03",
        (
            "wire",
            "        if not self.floor <= length <= self.ceiling:\n"
            '            raise WireError(f"length {length} is outside <{self.floor}..{self.ceiling}>")\n'
            "        stop = start + length\n",
            "        if not length <= self.ceiling:\n"
            '            raise WireError(f"length {length} is outside <{self.floor}..{self.ceiling}>")\n'
            "        stop = start + length\n",
        ),
    ),
    _fault(
        "unbounded-message",
        "a handshake message of any size is collected",
        SERVER,
        "R2246-7.4-05",
        ("handshake.codec", "            if length > self._max_message:\n", "            if False:\n"),
    ),
    _fault(
        "undocumented-exception",
        "a chain of one empty certificate is too much for the parser",
        MUTUAL,
        "R2246-7.4.2-12 R2246-7.2.2-22",
        (
            "handshake.common",
            "    if len(chain) > config.max_chain_length:\n",
            "    assert chain[0][0] == 0x30\n    if len(chain) > config.max_chain_length:\n",
        ),
    ),
)

FAULTS: Final = {
    fault.name: fault for fault in (*_RECORDS, *_ALERTS, *_ORDER, *_PROOFS, *_NEGOTIATION, *_SESSIONS, *_CODEC)
}
"""Every fault, by name."""
