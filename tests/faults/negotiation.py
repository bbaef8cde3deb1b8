"""Faults of the hellos, of sessions and of the grammars."""

from __future__ import annotations

from typing import Final

from tests.faults.fault import CLIENT, MUTUAL, PLAIN_CLIENT, SERVER, fault

NEGOTIATION: Final = (
    fault(
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
    fault(
        "old-version-accepted",
        "a server goes on with a client that offers SSL 3.0 at most",
        SERVER,
        "R2246-7.2.2-20",
        ("handshake.choice", "    if hello.client_version < ProtocolVersion.TLS_1_0:\n", "    if False:\n"),
    ),
    fault(
        "suite-not-offered",
        "a client goes on with a suite that it has not offered",
        PLAIN_CLIENT,
        "R2246-7.4.1.3-09",
        (
            "handshake.offer",
            "    if suite is None or hello.cipher_suite not in offered.cipher_suites:\n",
            "    if suite is None:\n",
        ),
    ),
    fault(
        "compression-not-offered",
        "a client goes on with a compression that it has not offered",
        CLIENT,
        "R2246-7.4.1.3-10",
        ("handshake.offer", "    if hello.compression_method != NULL_COMPRESSION:\n", "    if False:\n"),
    ),
    fault(
        "null-compression-not-demanded",
        "a hello without null compression is taken",
        SERVER,
        "R2246-7.4.1.2-14",
        ("handshake.choice", "    if NULL_COMPRESSION not in hello.compression_methods:\n", "    if False:\n"),
    ),
    fault(
        "extension-twice",
        "the same extension may come twice, and the first one counts",
        SERVER,
        "R4366-2.3-02",
        ("handshake.extensions", "    check_unique(extensions)\n", ""),
    ),
    fault(
        "extension-not-asked-for",
        "a client takes an extension that it has not offered",
        CLIENT,
        "R4366-2.3-01",
        ("handshake.offer", "        if item.extension_type not in requested:\n", "        if False:\n"),
    ),
    fault(
        "renegotiation-info-not-checked",
        "what renegotiation_info says of the handshake before is not looked at",
        SERVER,
        "R5746-3.7-01 R5746-3.6-01",
        ("handshake.choice", "    if not compare_digest(offered, expected):\n", "    if False:\n"),
    ),
)

SESSIONS: Final = (
    fault(
        "resumed-with-another-suite",
        "a client lets the server resume a session with another suite",
        CLIENT,
        "R2246-7.4.1.3-08",
        ("handshake.resume", "    if negotiated.suite.value != session.cipher_suite:\n", "    if False:\n"),
    ),
    fault(
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
    fault(
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

CODEC: Final = (
    fault(
        "trailing-bytes",
        "bytes behind the end of a message pass",
        SERVER,
        "R2246-7.4.1.2-21 R4366-2.1-01",
        ("wire.leaf", "    if used != len(data):\n", "    if False:\n"),
    ),
    fault(
        "length-off-by-one",
        "a vector may be one byte longer than what is there",
        SERVER,
        "R2246-4.3-05",
        (
            "wire.fields",
            "        if stop > end or not self.floor <= length <= self.ceiling:\n",
            "        if stop > end + 1 or not self.floor <= length <= self.ceiling:\n",
        ),
    ),
    fault(
        "floor-not-checked",
        "a vector may be shorter than its floor",
        SERVER,
        "R2246-4.3-03",
        (
            "wire.fields",
            "        if not self.floor <= length <= self.ceiling:\n"
            '            raise WireError(f"length {length} is outside <{self.floor}..{self.ceiling}>")\n'
            "        stop = start + length\n",
            "        if not length <= self.ceiling:\n"
            '            raise WireError(f"length {length} is outside <{self.floor}..{self.ceiling}>")\n'
            "        stop = start + length\n",
        ),
    ),
    fault(
        "unbounded-message",
        "a handshake message of any size is collected",
        SERVER,
        "R2246-7.4-05",
        ("handshake.codec", "            if length > self._max_message:\n", "            if False:\n"),
    ),
    fault(
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
