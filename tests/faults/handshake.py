"""Faults in the order of the handshake and in its proofs."""

from __future__ import annotations

from typing import Final

from tests.faults.fault import CLIENT, MUTUAL, SERVER, fault

ORDER: Final = (
    fault(
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
    fault(
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
    fault(
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
    fault(
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
    fault(
        "data-before-finished",
        "application data is taken before Finished",
        SERVER,
        "R2246-7.4.9-09 R2246-7.4.9-08",
        ("connection", "        if not self._can_read:\n", "        if False:\n"),
    ),
    fault(
        "change-cipher-spec-value",
        "ChangeCipherSpec may have any value",
        SERVER,
        "R2246-7.1-02",
        ("records.grammar", "    if message.type != 1:\n", "    if False:\n"),
    ),
    fault(
        "keys-change-inside-a-message",
        "ChangeCipherSpec is taken in the middle of a handshake message",
        SERVER,
        "R2246-7.1-08",
        ("channel", "        if self._messages.pending or self._alerts.pending:\n", "        if False:\n"),
    ),
    fault(
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

PROOFS: Final = (
    fault(
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
    fault(
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
    fault(
        "certificate-verify-not-checked",
        "the signature in CertificateVerify may be anything",
        MUTUAL,
        "R2246-7.4.8-05",
        ("handshake.server", "    verify(state.client_key, received.message.signature, digest)\n", ""),
    ),
    fault(
        "params-signature-not-checked",
        "the signature in ServerKeyExchange may be anything",
        CLIENT,
        "R2246-7.4.3-05",
        ("handshake.client", "        verify(state.leaf_key, signature, digest)\n", "        pass\n"),
    ),
    fault(
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
    fault(
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
    fault(
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
    fault(
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
