"""Mutations: one thing wrong, said precisely."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tlsexit.alerts import LocalError, PeerError
from tlsexit.conformance.catalogue import requirements
from tlsexit.constants import Role
from tlsexit.fuzzing import Answer, Broken, Kind, Mutation, as_code, broken, lay_out, mutations, outlook, tuned
from tlsexit.handshake.certificate import Certificate, CertificateRequest, CertificateVerify
from tlsexit.handshake.codec import GRAMMARS, encode
from tlsexit.handshake.enums import HandshakeType
from tlsexit.handshake.finished import Finished, NewSessionTicket
from tlsexit.handshake.hello import ClientHello, Extension, HelloRequest, ServerHello, ServerHelloDone
from tlsexit.wire import parse

HELLO = ClientHello(
    0x0301,
    bytes(range(32)),
    b"",
    (0x002F, 0x0005),
    (0,),
    (Extension(0xFF01, b"\0"), Extension(10, b"\0\2\0\x17"), Extension(0, b"\0\7\0\0\4host")),
)

SAMPLES = [
    (HELLO, Role.CLIENT, None),
    (ServerHello(0x0301, bytes(32), bytes(32), 0x002F, 0, (Extension(0xFF01, b"\0"),)), Role.SERVER, None),
    (Certificate((b"one", b"two")), Role.SERVER, None),
    (CertificateRequest((1, 2), (b"name",)), Role.SERVER, None),
    (CertificateVerify(bytes(256)), Role.CLIENT, None),
    (Finished(bytes(12)), Role.CLIENT, None),
    (NewSessionTicket(1, b"ticket"), Role.SERVER, None),
    (HelloRequest(), Role.SERVER, None),
    (ServerHelloDone(), Role.SERVER, None),
]


def laid_out(message: object) -> dict[str, tuple[int, int]]:
    return {field.path: (field.start, field.stop) for field in lay_out(encode(message), sender=Role.CLIENT).walk()}


def test_the_layout_knows_where_each_field_is() -> None:
    raw = encode(HELLO)
    fields = laid_out(HELLO)
    start, stop = fields["ClientHello.cipher_suites"]
    assert raw[start:stop] == b"\x00\x04\x00\x2f\x00\x05"
    start, stop = fields["ClientHello.extensions.2.extension_data.body.0.name"]
    assert raw[start:stop] == b"\x00\x04host"
    assert fields["ClientHello"] == (1, len(raw))


@pytest.mark.parametrize("suite", [0x002F, 0x0033, 0xC009, 0x0034, 0x008C, 0x0094], ids=hex)
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_key_exchanges_are_laid_out_by_suite(suite: int, data: st.DataObject) -> None:
    for strategy, sender in (
        (tuned.server_key_exchanges(suite), Role.SERVER),
        (tuned.client_key_exchanges(suite), Role.CLIENT),
    ):
        raw = encode(data.draw(strategy))
        root = lay_out(raw, sender=sender, suite=suite)
        leaves = [field for field in root.walk() if not field.children]
        assert sum(field.stop - field.start for field in leaves) == len(raw) - 4 or not root.children


@settings(max_examples=300, deadline=None)
@given(tuned.messages())
def test_the_layout_covers_every_byte(message: object) -> None:
    """The fields of a structure lie one behind the other, without gaps."""
    raw = encode(message)
    for field in lay_out(raw, sender=Role.CLIENT).walk():
        at = field.body if "." in field.path else 4
        if field.path.endswith("extension_data") and not field.children:
            continue
        for child in field.children:
            assert child.start == at
            at = child.stop
        if field.children:
            assert at == field.stop


@pytest.mark.parametrize(("message", "sender", "suite"), SAMPLES, ids=lambda value: type(value).__name__)
def test_what_must_be_refused_does_not_parse(message: object, sender: Role, suite: int | None) -> None:
    """The grammars agree with the mutations about what is malformed."""
    raw = encode(message)
    grammars = {int(kind): grammar for kind, (_, grammar) in GRAMMARS.items()}
    seen = set()
    for mutation in mutations(raw, sender=sender, suite=suite):
        changed = mutation.apply(raw, sender=sender, suite=suite)
        assert changed != raw
        expected = outlook(mutation, changed, sender=sender, suite=suite)
        if mutation.kind in (Kind.SHORT, Kind.LONG, Kind.ODD, Kind.TRAILING, Kind.TRUNCATED, Kind.DUPLICATE):
            if "extension_data" in mutation.field or mutation.field == "Certificate.certificate_list":
                continue
            assert int.from_bytes(changed[1:4], "big") == len(changed) - 4
            if expected.answer is not Answer.ANY:
                with pytest.raises(PeerError):
                    parse(grammars[changed[0]], changed[4:])
                seen.add(mutation.kind)
        if expected.answer is Answer.ACCEPTED:
            parse(grammars[changed[0]], changed[4:])
    assert seen or isinstance(message, (HelloRequest, ServerHelloDone))


def test_requirements_named_are_in_the_catalogue() -> None:
    known = {requirement.id for requirement in requirements()}
    named = set()
    for message, sender, suite in SAMPLES:
        for mutation in mutations(encode(message), sender=sender, suite=suite):
            named |= set(mutation.expected.requirements)
            assert mutation.expected.requirements or mutation.expected.answer is Answer.ANY, mutation
    assert named <= known


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(broken(HELLO, sender=Role.CLIENT))
def test_a_broken_message_differs_and_its_mutation_says_all(found: Broken) -> None:
    assert found.raw != found.honest
    again = eval(as_code(found.mutation), {"Mutation": Mutation, "Kind": Kind})
    assert again.apply(found.honest, sender=Role.CLIENT) == found.raw


def test_lengths_around_a_change_are_put_right() -> None:
    raw = encode(HELLO)
    longer = Mutation(Kind.TRAILING, "ClientHello.extensions.2.extension_data.body.0.name", content=b"!!")
    changed = parse(GRAMMARS[HandshakeType.CLIENT_HELLO][1], longer.apply(raw, sender=Role.CLIENT)[4:])
    assert changed.extensions[2].extension_data == b"\0\x09\0\0\6host!!"


@pytest.mark.parametrize(
    "mutation",
    [
        Mutation(Kind.SHORT, "ClientHello.session_id"),
        Mutation(Kind.LONG, "ClientHello.cipher_suites"),
        Mutation(Kind.LENGTH, "ClientHello.random", 1),
        Mutation(Kind.ODD, "ClientHello.session_id"),
        Mutation(Kind.VALUE, "ClientHello.random", 1),
        Mutation(Kind.VALUE, "ClientHello.client_version", 0x0301),
        Mutation(Kind.FLIPPED, "ClientHello.session_id", 1),
        Mutation(Kind.TRUNCATED, "ClientHello", 1000),
        Mutation(Kind.LENGTH, "ClientHello.certificates", 1),
    ],
    ids=str,
)
def test_what_cannot_be_done_is_said(mutation: Mutation) -> None:
    with pytest.raises(LocalError):
        mutation.apply(encode(HELLO), sender=Role.CLIENT)


def test_what_is_no_message_has_no_layout() -> None:
    for raw in (b"", b"\x63\0\0\0", b"\x01\0\0\1\0", encode(HELLO)[:-1], encode(HELLO) + b"\0"):
        with pytest.raises(LocalError):
            lay_out(raw, sender=Role.CLIENT)
