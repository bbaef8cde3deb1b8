"""Faults of the record layer and of alerts."""

from __future__ import annotations

from typing import Final

from tests.faults.fault import CLIENT, SERVER, fault

RECORDS: Final = (
    fault(
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
    fault(
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
    fault(
        "padding-oracle",
        "wrong padding is answered with another alert than a wrong MAC",
        SERVER,
        "R4346-7.2.2-01 R2246-6.2.3.2-09",
        (
            "records.protection",
            "            padded = False\n        else:",
            '            raise DecodeError("the padding is wrong")\n        else:',
        ),
        ("records.protection", "import BadRecordMac, LocalError", "import BadRecordMac, DecodeError, LocalError"),
    ),
    fault(
        "sequence-number-not-counted",
        "the sequence number stays what it is, so that a record can be sent again",
        SERVER,
        "R2246-6.1-09 R2246-6.2.3-03",
        (
            "records.protection",
            '_MAC_INPUT: Final = Struct(">QBHH")\n',
            "class _Still(Struct):\n"
            "    def pack(self, number, content_type, version, length):\n"
            "        return super().pack(0, content_type, version, length)\n\n\n"
            '_MAC_INPUT: Final = _Still(">QBHH")\n',
        ),
    ),
    fault(
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
    fault(
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
    fault(
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
    fault(
        "record-version-not-checked",
        "a record of another version passes after the hellos",
        SERVER,
        "R2246-6.2.1-08",
        ("records.framing", "        if version != self.version:\n", "        if self.version is None:\n"),
    ),
    fault(
        "empty-records-without-end",
        "any number of empty records is put up with",
        SERVER,
        "R2246-6.2-01 R5246-6.2.1-01",
        ("config", "max_empty_records: int = 32", "max_empty_records: int = 2**40"),
    ),
    fault(
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

ALERTS: Final = (
    fault(
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
    fault(
        "alert-level-not-checked",
        "an alert may have any level",
        SERVER,
        "R2246-7.2-05",
        ("records.grammar", "    if alert.level not in (AlertLevel.WARNING, AlertLevel.FATAL):\n", "    if False:\n"),
    ),
    fault(
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
    fault(
        "fatal-alert-keeps-session",
        "a session can be resumed although a fatal alert has ended its connection",
        SERVER,
        "R2246-7.2-03",
        ("connection", "                    store.remove(session_id)\n", "                    pass\n"),
    ),
    fault(
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
    fault(
        "warnings-without-end",
        "any number of warnings is put up with",
        SERVER,
        "R2246-7.2.2-27",
        ("config", "max_warning_alerts: int = 5", "max_warning_alerts: int = 2**40"),
    ),
    fault(
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
