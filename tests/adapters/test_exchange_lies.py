"""The exit may do anything with the structure; nothing that it claims is followed beyond the memory it was given."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.exchange import CHAIN, CONTEXT, TASK, ask, byte, put
from tlsexit.adapters import pkicom
from tlsexit.adapters.exchange import ROOM, Exchange
from tlsexit.adapters.pkicom import Change, In, Out, PkiCom
from tlsexit.alerts import LocalError
from tlsexit.crypto.suites import KeyType
from tlsexit.exits.answers import Handled
from tlsexit.exits.calls import (
    CheckCertificateCall,
    CryptDataCall,
    CryptOperation,
    EndSessionCall,
    ExitCall,
    GetCAListCall,
    GetCertificateCall,
    GetPreSharedKeyCall,
    HandshakeDoneCall,
    StartHandshakeCall,
    StartTaskCall,
)
from tlsexit.exits.function import Communication


@pytest.mark.parametrize("length", [ROOM + 1, 2**32, 2**64 - 1])
def test_a_length_above_the_capacity(length: int) -> None:
    def exit(com: PkiCom) -> int:
        com.output.capacity = length  # to no avail: the caller knows what it gave
        com.output.length = length
        return 0

    with pytest.raises(LocalError, match=f"output: length is {length}, above the capacity of {ROOM}$"):
        ask(GetCAListCall(CONTEXT), exit)


def test_pointers_of_the_exit_are_not_followed() -> None:
    def exit(com: PkiCom) -> int:
        put(com.output, b"real")
        com.output.data = com.input.data = com.public_area = com.private_area = 1
        com.public_area_length = com.private_area_length = com.input.length = 2**40
        com.size, com.phase = 0, 1
        return 0

    assert ask(GetCAListCall(CONTEXT), exit) == Handled(b"real")


def test_inputs_are_copies() -> None:
    """An exit that writes where it may only read changes its own copy."""
    data = bytes(range(36))

    def exit(com: PkiCom) -> int:
        ctypes.memset(com.input.data, 0xFF, com.input.length)
        return 1

    ask(CryptDataCall(CONTEXT, CryptOperation.SIGN, KeyType.RSA, data), exit)
    assert data == bytes(range(36))


def test_writing_behind_the_room() -> None:
    def exit(com: PkiCom) -> int:
        byte(com.output.data + com.output.capacity).value = 0
        return 1

    with pytest.raises(LocalError, match="output: the exit has written more than the capacity"):
        ask(GetCAListCall(CONTEXT), exit)


@pytest.mark.parametrize(
    ("needed", "message"),
    [
        (lambda calls: 10, "without saying how large"),
        (lambda calls: ROOM, "without saying how large"),
        (lambda calls: pkicom.MAX_OUTPUT + 1, "the most is"),
        (lambda calls: 2**64 - 1, "the most is"),
        (lambda calls: ROOM + calls, "asked for a larger output 4 times"),
    ],
)
def test_asking_for_room(needed: Callable[[int], int], message: str) -> None:
    calls = 0

    def exit(com: PkiCom) -> int:
        nonlocal calls
        calls += 1
        com.output.length = needed(calls)
        return pkicom.NEED_BUFFER

    with pytest.raises(LocalError, match=message):
        ask(GetCAListCall(CONTEXT), exit)
    assert calls <= pkicom.MAX_CALLS


def test_the_largest_output() -> None:
    def exit(com: PkiCom) -> int:
        if com.output.capacity < pkicom.MAX_OUTPUT:
            com.output.length = pkicom.MAX_OUTPUT
            return pkicom.NEED_BUFFER
        byte(com.output.data + pkicom.MAX_OUTPUT - 1).value = 7
        com.output.length = pkicom.MAX_OUTPUT
        return 0

    assert ask(GetCAListCall(CONTEXT), exit) == Handled(bytes(pkicom.MAX_OUTPUT - 1) + b"\7")


def test_no_room_in_phases_that_only_tell() -> None:
    def exit(com: PkiCom) -> int:
        assert not com.output.data
        assert com.output.capacity == 0
        com.output.length = 5
        return 0

    assert ask(EndSessionCall(CONTEXT), exit) == Handled(None)


@pytest.mark.parametrize(
    ("lie", "message"),
    [
        (lambda profile: setattr(profile, "changed", 0x100), "unknown bits 0x100"),
        (lambda profile: setattr(profile, "verify", 9), "profile.verify: 9 is none of"),
        (lambda profile: put(profile.cipher_suites, b"odd"), "a suite has two bytes, and these are 3"),
        (lambda profile: put(profile.parm, b"\xff"), "profile.parm: not UTF-8"),
        (lambda profile: setattr(profile.dn_user, "length", 2**20), "profile.dn_user: length is 1048576"),
    ],
)
def test_changes_that_are_none(lie: Callable[[Any], object], message: str) -> None:
    def exit(com: PkiCom) -> int:
        com.profile.changed = int(~Change(0))
        lie(com.profile)
        return 0

    with pytest.raises(LocalError, match=message):
        ask(StartHandshakeCall(CONTEXT), exit)


def test_outputs_are_wiped() -> None:
    """What may have been a key or a password does not stay in memory."""
    kept: list[Any] = []

    def exit(com: PkiCom) -> int:
        put(com.password, b"sesame")
        # as long as this pointer lives, so does the memory behind it
        kept.append(com.password.data)
        return 0

    communication = Communication(StartTaskCall.phase, StartTaskCall(TASK), TASK, None)
    exchange = Exchange(communication)
    exchange.call(lambda pointer: exit(pointer._obj))
    assert communication.password == b"sesame"
    assert ctypes.string_at(kept[0], 6) == bytes(6)


@given(
    st.lists(st.tuples(st.sampled_from([name for name, *_ in PkiCom._fields_]), st.integers(0, 2**64 - 1)), max_size=8),
    st.integers(-3, 4),
    st.sampled_from(
        [
            StartTaskCall(TASK),
            StartHandshakeCall(CONTEXT),
            GetCAListCall(CONTEXT),
            GetCertificateCall(CONTEXT, (0x2F,)),
            CheckCertificateCall(CONTEXT, CHAIN),
            CryptDataCall(CONTEXT, CryptOperation.SIGN, KeyType.RSA, bytes(36)),
            GetPreSharedKeyCall(CONTEXT),
            HandshakeDoneCall(CONTEXT),
        ]
    ),
)
def test_any_scribbling(values: list[tuple[str, int]], code: int, call: ExitCall) -> None:
    """Whatever an exit leaves in the structure: an answer, or a LocalError."""

    def exit(com: PkiCom) -> int:
        for name, value in values:
            field = getattr(com, name)
            if isinstance(field, Out):
                field.length = field.capacity = value
            elif isinstance(field, In):
                field.length = value
            elif isinstance(field, int):
                setattr(com, name, value)
        return code

    try:
        answer = ask(call, exit)
        if isinstance(answer, Handled):
            call.validate(answer.value)
    except LocalError:
        pass
