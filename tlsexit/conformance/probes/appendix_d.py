"""Appendix D: keys, randomness and certificates, and appendix F: what the handshake is worth."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

from tlsexit.conformance.actions import (
    Check,
    Do,
    Observe,
    Repeat,
    Send,
    after,
    before,
    completed_and_closed,
    connect,
    established,
    expect,
    handshake,
    refused,
    through,
)
from tlsexit.conformance.actions import Resume as By
from tlsexit.conformance.certificates import Shown, authority, issued, leaf_key
from tlsexit.conformance.expect import alert, closed, completed, refusal
from tlsexit.conformance.model import Group, Probe
from tlsexit.conformance.needs import (
    AUTHORITY,
    DHE,
    EPHEMERAL,
    REQUIRED,
    RESUMES,
    RSA_EXPORT,
)
from tlsexit.conformance.probes.section_7_2_2 import NO_EXPORT
from tlsexit.conformance.probes.section_7_2_2_certificates import valid
from tlsexit.conformance.probes.section_7_4_1_2_sessions import not_resumed
from tlsexit.conformance.probes.section_7_4_3 import group_of, signature_is_right, vectors
from tlsexit.conformance.probes.section_9 import EXPORT_SUITES, has_suite, offers
from tlsexit.conformance.talk import Talk
from tlsexit.constants import HANDSHAKE_HEADER_LENGTH
from tlsexit.crypto.suites import KeyType
from tlsexit.handshake.keyexchange import ServerKeyExchange
from tlsexit.policy.throwaway import key_usage
from tlsexit.puppet import Credential, Credentials, Puppet
from tlsexit.puppet.steps import server_key_exchange_with

temporary = Group("D.1")
random = Group("D.2")
certificates = Group("D.3")
strength = Group("D.4")
authentication = Group("F.1.1")
tampering = Group("F.1.3")
resuming = Group("F.1.4")


def keep_parameters(talk: Talk) -> None:
    """Remember the server's parameters and signature."""
    message = next(item for item in talk.puppet.messages if isinstance(item, ServerKeyExchange))
    talk.memory.setdefault("exchanges", []).append(message.body)


def signed_anew(talk: Talk) -> str | None:
    """Whatever the parameters are, no signature comes twice."""
    bodies = talk.memory["exchanges"]
    return "a signed ServerKeyExchange came twice" if len(set(bodies)) < len(bodies) else None


def modulus_changes(talk: Talk) -> str | None:
    """Among 501 temporary keys there are two at least."""
    moduli = {body[: 2 + int.from_bytes(body[:2], "big")] for body in talk.memory["exchanges"]}
    return None if len(moduli) > 1 else "the temporary key did not change in 501 handshakes"


def keep_values(talk: Talk) -> None:
    """Remember what the target has drawn: its random, and a public value or premaster secret."""
    puppet = talk.puppet
    hello = puppet.client_hello if puppet.role.value == "server" else puppet.server_hello
    assert hello is not None
    drawn = talk.memory.setdefault("drawn", [])
    drawn += [hello.random, puppet.pre_master_secret]
    if hello is puppet.server_hello and hello.session_id:
        drawn.append(hello.session_id)


def values_differ(talk: Talk) -> str | None:
    """Nothing comes twice."""
    drawn = talk.memory["drawn"]
    return "a random value came twice" if len(set(drawn)) < len(drawn) else None


def beneath_a_leaf(talk: Talk) -> Credentials:
    """A certificate that an end-entity certificate has issued."""
    role = talk.probe.tests.peer
    middle = authority(talk).authority("no authority", key=leaf_key(KeyType.RSA), usage=key_usage("digital_signature"))
    made = middle.issue(role.value, key=leaf_key(KeyType.RSA), role=role, hosts=("localhost", "127.0.0.1"))
    return {KeyType.RSA: Credential(made.chain, made.key)}


def of_bits(bits: int) -> Shown:
    """A certificate with an RSA key of that size."""

    def shown(talk: Talk) -> Credentials:
        keys = talk.memory.setdefault("keys", {})
        if bits not in keys:
            keys[bits] = generate_private_key(65537, bits)
        return issued(key=keys[bits])(talk)

    return shown


def huge_group(puppet: Puppet) -> bytes:
    """Parameters of 16384 bits, which nobody can compute with in reasonable time."""
    prime = (2**16384 - 2**16320 - 1).to_bytes(2048, "big")
    return vectors(prime, b"\2", b"\4" * 2048)


def flip_at(offset: int) -> Callable[[bytes], bytes]:
    """One bit of a message behind its header changed on the way."""

    def changed(raw: bytes) -> bytes:
        at = HANDSHAKE_HEADER_LENGTH + offset
        return raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :]

    return changed


def tampered(name: str, offset: int) -> Do:
    """Send a step with one bit changed behind our back: our own hashes cover what we meant to say."""

    def act(talk: Talk) -> None:
        puppet, change = talk.puppet, flip_at(offset)
        step = talk.rebuilt(name, {})
        talk.deviated = True
        meant = step.build(puppet)
        puppet.transcript = puppet.transcript.add(meant)
        puppet.send_record(22, change(meant))
        if step.after is not None:
            step.after(puppet)

    return Do(act)


def _tampered() -> Iterator[Probe]:
    """One byte of each field that the other end would not miss."""
    fields: tuple[tuple[str, int], ...] = (("time", 2), ("random", 20))
    for name, offset in fields:
        yield tampering.server(
            f"client-{name}",
            f"a ClientHello changed on the way ({name}) makes the handshake fail",
            "R2246-F.1.3-01",
            conversation=(tampered("client_hello", offset), after("client_hello"), refused()),
        )
    yield tampering.server(
        "session-id",
        "a session id changed on the way makes the handshake fail",
        "R2246-F.1.3-01",
        connect=connect(hello={"session_id": bytes(range(32))}),
        conversation=(tampered("client_hello", 40), after("client_hello"), refused()),
    )
    # a change of the server's random would change the keys, and so be noticed by this end
    yield tampering.client(
        "session-id",
        "a session id changed on the way makes the handshake fail",
        "R2246-F.1.3-01",
        conversation=(tampered("server_hello", 40), after("server_hello"), refused()),
    )


def _verification() -> Iterator[Probe]:
    """What every verifier refuses, whatever it is set to."""
    cases: tuple[tuple[str, str, Shown], ...] = (
        ("no-authority", "a certificate issued by one that is no authority", beneath_a_leaf),
        ("expired", "a certificate that has expired", valid(-20, -10)),
    )
    for name, title, shown in cases:
        for group, requirement in ((certificates, "R2246-D.3-01"), (authentication, "R2246-F.1.1-01")):
            if group is authentication and name == "no-authority":
                continue
            fields: dict[str, Any] = {
                "connect": connect(credentials=shown),
                "conversation": (handshake(), expect(refusal(), alert(42, 43, 45, 46, 48))),
            }
            yield group.server(name, f"{title} is refused", requirement, needs=(AUTHORITY, REQUIRED), **fields)
            yield group.client(name, f"{title} is refused", requirement, needs=(AUTHORITY,), **fields)


def _sizes() -> Iterator[Probe]:
    yield strength.client(
        "small-group",
        "a Diffie-Hellman group of 512 bits is refused",
        "R2246-D.4-02",
        connect=connect(suites=DHE),
        conversation=(
            before("server_key_exchange"),
            Send(server_key_exchange_with(group_of("export512"))),
            after("server_key_exchange"),
            expect(refusal(), closed()),
        ),
        meaning="The connection can be read by whoever has computed on that group (Logjam).",
    )
    yield strength.client(
        "huge-group",
        "a Diffie-Hellman group of 16384 bits is refused",
        "R2246-D.4-02",
        connect=connect(suites=DHE),
        conversation=(
            before("server_key_exchange"),
            Send(server_key_exchange_with(huge_group)),
            after("server_key_exchange"),
            expect(refusal(), closed()),
        ),
    )
    for make, needs in ((strength.server, (AUTHORITY, REQUIRED)), (strength.client, (AUTHORITY,))):
        yield make(
            "short-key",
            "a certificate for an RSA key of 1024 bits at most",
            "R2246-D.4-02",
            level="MAY",
            needs=needs,
            connect=connect(credentials=of_bits(1024)),
            conversation=(handshake(), expect(completed().noted("1024 bits are accepted"), alert(), closed())),
        )


def _await_exchange(talk: Talk) -> None:
    puppet = talk.puppet
    puppet.listen_until(lambda: puppet.server_done)
    if puppet.server_params is None:
        talk.inapplicable("the server's own key is short enough")
    keep_parameters(talk)


def _offers_its_session(talk: Talk) -> str | None:
    hello, session = talk.puppet.client_hello, talk.sessions[-1]
    assert hello is not None
    return "the session is offered again" if hello.session_id == session.session_id else None


def valid_for_seconds(seconds: int) -> Shown:
    """A certificate that is about to expire."""

    def shown(talk: Talk) -> Credentials:
        now = datetime.now(UTC)
        return issued(not_before=now - timedelta(days=1), not_after=now + timedelta(seconds=seconds))(talk)

    return shown


PROBES: Final = (
    temporary.server(
        "changes",
        "a temporary RSA key serves 500 handshakes at most",
        "R2246-D.1-01",
        opt_in=True,
        connect=connect(suites=RSA_EXPORT),
        conversation=(
            Repeat(501, (connect(suites=RSA_EXPORT), through("client_hello"), Do(lambda talk: _await_exchange(talk)))),
            Check(modulus_changes),
        ),
    ),
    temporary.server(
        "signed-anew",
        "parameters are signed anew for each handshake",
        "R2246-D.1-02",
        connect=connect(suites=EPHEMERAL),
        conversation=(
            Repeat(
                3,
                (
                    connect(suites=EPHEMERAL),
                    handshake(),
                    established(),
                    Check(signature_is_right),
                    Do(keep_parameters),
                ),
            ),
            Check(signed_anew),
        ),
    ),
    *random.both(
        "values",
        "no random value comes twice",
        "R2246-D.2-01",
        conversation=(Repeat(6, (connect(), handshake(), established(), Do(keep_values))), Check(values_differ)),
    ),
    *_verification(),
    strength.server(
        "export",
        "export suites are off by default",
        "R2246-D.4-01",
        needs=(NO_EXPORT,),
        connect=connect(hello={"cipher_suites": EXPORT_SUITES}),
        conversation=(through("client_hello"), refused()),
    ),
    strength.server(
        "export-on",
        "no export suite is accepted",
        "R2246-D.4-01",
        conversation=(Observe(), Check(lambda talk: has_suite(talk, EXPORT_SUITES))),
    ),
    strength.client(
        "export",
        "no export suite is offered",
        "R2246-D.4-01",
        conversation=(Observe(), Check(offers(*EXPORT_SUITES))),
    ),
    *_sizes(),
    *_tampered(),
    resuming.server(
        "expired-certificate",
        "a session whose client certificate has expired is not resumed",
        "R2246-F.1.4-01",
        needs=(AUTHORITY, REQUIRED, RESUMES),
        opt_in=True,
        connect=connect(credentials=valid_for_seconds(8)),
        conversation=(
            *completed_and_closed(),
            Do(lambda talk: time.sleep(10)),
            connect(resume=By.ID),
            handshake(),
            established(),
            Check(not_resumed),
        ),
    ),
    resuming.client(
        "expired-certificate",
        "a session whose server certificate has expired is not offered",
        "R2246-F.1.4-01",
        needs=(AUTHORITY, RESUMES),
        opt_in=True,
        connect=connect(credentials=valid_for_seconds(8)),
        conversation=(
            *completed_and_closed(),
            Do(lambda talk: time.sleep(10)),
            connect(resume=By.ID),
            Check(lambda talk: _offers_its_session(talk)),
        ),
    ),
)
