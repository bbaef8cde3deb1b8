"""Exits in C: loading them, every phase with every return code in both roles, and what a bad library can do."""

from __future__ import annotations

import asyncio
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from tests.support.c_exits import Manner, Probe, compile_text
from tests.support.ends import DHE_RSA, ECDHE_ECDSA, RSA, certificates, check_phases, client_end, handshake, server_end
from tests.support.pair import End, pump
from tests.support.pki import pki
from tlsexit.adapters.clib import CExit
from tlsexit.adapters.exchange import ROOM
from tlsexit.adapters.pkicom import NEED_BUFFER, Form
from tlsexit.alerts import AlertDescription, AlertReceived, ExitFailed, LocalError
from tlsexit.constants import Role
from tlsexit.drivers.aio import open_connection, start_server
from tlsexit.drivers.drive import trust_of
from tlsexit.exits.answers import ReturnCode
from tlsexit.exits.forms import CAList, ca_list_bytes, chain_bytes
from tlsexit.exits.phases import ExitPhase
from tlsexit.policy import BuiltinPki
from tlsexit.profile import Profile, Verify

CA_LIST = ca_list_bytes(CAList((1, 64), (pki().root.certificate.subject.public_bytes(),)))
SIMPLE = '#include "cftpkie.h"\nint cftpkie(struct pkicom *com) { return com->phase == 1 ? 0 : 1; }\n'

OF_ROLE = {
    Role.CLIENT: [
        ExitPhase.START_HANDSHAKE,
        ExitPhase.CHECK_CERTIFICATE,
        ExitPhase.GET_CERTIFICATE,
        ExitPhase.CRYPT_DATA,
        ExitPhase.HANDSHAKE_DONE,
        ExitPhase.END_SESSION,
        ExitPhase.END_TASK,
    ],
    Role.SERVER: [
        ExitPhase.START_HANDSHAKE,
        ExitPhase.GET_CERTIFICATE,
        ExitPhase.CRYPT_DATA,
        ExitPhase.GET_CA_LIST,
        ExitPhase.CHECK_CERTIFICATE,
        ExitPhase.HANDSHAKE_DONE,
        ExitPhase.END_SESSION,
        ExitPhase.END_TASK,
    ],
}
"""The phases of a mutual handshake with DHE, StartTask apart."""

EVERY_PHASE = pytest.mark.parametrize(("role", "phase"), [(role, phase) for role in Role for phase in OF_ROLE[role]])
TOLD = {ExitPhase.END_SESSION, ExitPhase.END_TASK}
"""Phases whose answer changes nothing."""


def key_der(role: Role, suite: int = RSA) -> bytes:
    own = certificates(suite)
    key = own.client.key if role is Role.CLIENT else own.server.key
    return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


def mutual(exits: object, role: Role, suite: int = DHE_RSA) -> tuple[End, End, End]:
    """Client, server, and the one with the exit; started, with nothing carried yet."""
    client = client_end(suite, exits=exits if role is Role.CLIENT else None)
    server = server_end(suite, exits=exits if role is Role.SERVER else None, verify=Verify.REQUIRED)
    return client, server, client if role is Role.CLIENT else server


def output_for(phase: ExitPhase, role: Role) -> tuple[bytes, int]:
    """What a phase is answered with, and its form."""
    issued = pki().client if role is Role.CLIENT else pki().server
    if phase is ExitPhase.GET_CA_LIST:
        return CA_LIST, 0
    if phase is ExitPhase.GET_CERTIFICATE:
        return chain_bytes(issued.chain), 0
    if phase is ExitPhase.CRYPT_DATA:
        return key_der(role), Form.PRIVATE_KEY
    return (b"partner 42", 0) if phase is ExitPhase.HANDSHAKE_DONE else (b"", 0)


# ------------------------------------------------------------------------------------------------------- loading


def test_a_missing_library(tmp_path: Path) -> None:
    with pytest.raises(LocalError, match=r"none\.so: there is no such library$"):
        CExit(tmp_path / "none.so")


def test_what_is_no_library(tmp_path: Path) -> None:
    text = tmp_path / "text.so"
    text.write_text("this is no library\n" * 10)
    with pytest.raises(LocalError, match=r"text\.so: not a shared library that this machine can load: ") as caught:
        CExit(text)
    assert str(caught.value).count(str(text)) == 1


def test_a_library_for_another_machine(tmp_path: Path, probe_library: Path) -> None:
    """The machine field of its ELF header says so."""
    other = bytearray(probe_library.read_bytes())
    assert other[:4] == b"\x7fELF"
    other[18:20] = struct.pack("<H", 0x2B)  # SPARC V9
    (tmp_path / "other.so").write_bytes(other)
    with pytest.raises(LocalError, match=r"other\.so: not a shared library that this machine can load: "):
        CExit(tmp_path / "other.so")


def test_a_library_without_the_function(tmp_path: Path) -> None:
    other = compile_text("int something_else(void) { return 0; }\n", tmp_path / "other.so")
    with pytest.raises(LocalError, match=r"other\.so: the library exports no function cftpkie$"):
        CExit(other)


def test_two_libraries_trust_differently(tmp_path: Path) -> None:
    """So that no session of the one is resumed at the other."""
    builtin = BuiltinPki()
    one, two = (CExit(compile_text(SIMPLE, tmp_path / name)) for name in ("one.so", "two.so"))
    assert trust_of(one, builtin) != trust_of(two, builtin)
    assert trust_of(one, builtin) == trust_of(CExit(tmp_path / "one.so"), builtin)


# -------------------------------------------------------------------------------------------------- return codes


@EVERY_PHASE
def test_handled(probe: Probe, role: Role, phase: ExitPhase) -> None:
    """Each phase alone answered in C, the rest by the built-in PKI."""
    output, form = output_for(phase, role)
    probe.answers(phase, output=output, form=form)
    client, server, own = mutual(probe.exit, role)
    handshake(client, server)
    completed: Any = own.events[0]
    expected = b"partner 42" if phase is ExitPhase.HANDSHAKE_DONE else b""
    assert completed.global_area == expected.ljust(64, b"\0")
    own.connection.close()
    own.drive()
    check_phases(own)
    assert probe.calls(phase) == (0 if phase is ExitPhase.END_TASK else 1)


@EVERY_PHASE
def test_error_with_a_reason(probe: Probe, role: Role, phase: ExitPhase) -> None:
    probe.answers(phase, ReturnCode.ERROR, alert=AlertDescription.ACCESS_DENIED)
    client, server, own = mutual(probe.exit, role)
    pump(client, server)
    if phase in TOLD:
        assert own.connection.established
        return
    assert isinstance(own.connection.error, ExitFailed)
    assert own.connection.error.description == AlertDescription.ACCESS_DENIED
    other = server if own is client else client
    assert isinstance(other.connection.error, AlertReceived)
    assert other.connection.error.description == AlertDescription.ACCESS_DENIED
    check_phases(own)
    # after HandshakeDone only EndSession is called; before it HandshakeAlert is the last that the exit hears
    done = phase is ExitPhase.HANDSHAKE_DONE
    assert (probe.calls(ExitPhase.HANDSHAKE_ALERT), probe.calls(ExitPhase.END_SESSION)) == (not done, done)


@EVERY_PHASE
@pytest.mark.parametrize(("code", "alert"), [(ReturnCode.ERROR, 0), (7, 0), (-5, 44), (ReturnCode.ERROR, 10)])
def test_every_other_failure_is_internal(probe: Probe, role: Role, phase: ExitPhase, code: int, alert: int) -> None:
    """No reason, a code that means nothing, a reason that is not recognised."""
    probe.answers(phase, code, alert=alert)
    client, server, own = mutual(probe.exit, role)
    pump(client, server)
    if phase in TOLD:
        assert own.connection.established
        return
    assert isinstance(own.connection.error, ExitFailed)
    assert own.connection.error.description == AlertDescription.INTERNAL_ERROR
    if code not in tuple(ReturnCode):
        assert f"cftpkie returned {code}" in own.connection.error.reason


@pytest.mark.parametrize("role", Role)
def test_not_handled_throughout(probe: Probe, role: Role) -> None:
    client, server, own = mutual(probe.exit, role)
    handshake(client, server)
    own.connection.close()
    own.drive()
    assert all(probe.calls(phase) == 1 for phase in OF_ROLE[role] if phase is not ExitPhase.END_TASK)


@pytest.mark.parametrize("role", Role)
def test_start_task_switches_the_exit_off(probe: Probe, role: Role) -> None:
    probe.answers(ExitPhase.START_TASK, ReturnCode.NOT_HANDLED)
    handshake(*mutual(probe.exit, role)[:2])
    assert sum(probe.calls(phase) for phase in ExitPhase) == 1


@pytest.mark.parametrize("code", [ReturnCode.ERROR, 9])
def test_a_task_that_cannot_start(probe: Probe, code: int) -> None:
    probe.answers(ExitPhase.START_TASK, code)
    with pytest.raises(ExitFailed, match="StartTask"):
        client_end(RSA, exits=probe.exit)


def test_refusal_by_handled_with_a_reason(probe: Probe) -> None:
    """What old exits do in CheckCertificate."""
    probe.answers(ExitPhase.CHECK_CERTIFICATE, ReturnCode.HANDLED, alert=AlertDescription.CERTIFICATE_REVOKED)
    client, server, own = mutual(probe.exit, Role.SERVER)
    pump(client, server)
    assert isinstance(client.connection.error, AlertReceived)
    assert client.connection.error.description == AlertDescription.CERTIFICATE_REVOKED
    check_phases(own)


# ------------------------------------------------------------------------------------------------------ CryptData


@pytest.mark.parametrize("suite", [RSA, DHE_RSA, ECDHE_ECDSA])
def test_the_private_key_from_c(probe: Probe, suite: int) -> None:
    """Decryption and signatures of the server."""
    probe.answers(ExitPhase.CRYPT_DATA, output=key_der(Role.SERVER, suite), form=Form.PRIVATE_KEY)
    handshake(client_end(suite), server_end(suite, exits=probe.exit))
    assert probe.calls(ExitPhase.CRYPT_DATA) == 1


@pytest.mark.parametrize(("output", "form"), [(b"\x30\x03\x02\x01\x05", 1), (b"", 1), (b"signature", 2), (b"", 0)])
def test_signatures_that_are_none(probe: Probe, output: bytes, form: int) -> None:
    """A key that does not parse, a form that does not exist, nothing at all."""
    probe.answers(ExitPhase.CRYPT_DATA, output=output, form=form)
    client, server, own = mutual(probe.exit, Role.SERVER)
    pump(client, server)
    assert isinstance(own.connection.error, ExitFailed)
    assert own.connection.error.description == AlertDescription.INTERNAL_ERROR


@pytest.mark.parametrize("code", [ReturnCode.ERROR, 7, ReturnCode.HANDLED])
def test_decryption_fails_without_a_trace(probe: Probe, code: int) -> None:
    """RFC 2246 §7.4.7.1: the client sees what it would see after a wrong key: a Finished that does not decrypt."""
    probe.answers(ExitPhase.CRYPT_DATA, code, output=b"short", alert=AlertDescription.ACCESS_DENIED)
    client, server = client_end(RSA), server_end(RSA, exits=probe.exit)
    pump(client, server)
    assert isinstance(client.connection.error, AlertReceived)
    assert client.connection.error.description == AlertDescription.BAD_RECORD_MAC


# ---------------------------------------------------------------------------------------------------- bad manners


@pytest.mark.parametrize(("size", "calls"), [(ROOM, 1), (ROOM + 1, 2), (2**16, 2)])
def test_outputs_of_any_size(probe: Probe, size: int, calls: int) -> None:
    """What is larger than the room at first is asked for again: a list of many authorities, say."""
    name = pki().root.certificate.subject.public_bytes()
    names = [name] * ((size - 50) // (len(name) + 2))
    rest = size - len(ca_list_bytes(CAList((1,), tuple(names))))
    names.append(x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "x" * (rest - 15))]).public_bytes())
    ca_list = ca_list_bytes(CAList((1,), tuple(names)))
    assert len(ca_list) == size
    probe.answers(ExitPhase.GET_CA_LIST, output=ca_list)
    client, server, _ = mutual(probe.exit, Role.SERVER)
    handshake(client, server)
    assert client.connection.context.peer_ca_list is not None
    assert ca_list_bytes(client.connection.context.peer_ca_list) == ca_list
    assert probe.calls(ExitPhase.GET_CA_LIST) == calls


def test_a_crash_ends_its_process_only(tmp_path: Path, probe_library: Path) -> None:
    """Here a process of the test's own; what a task's death means to others is the monitor's matter."""
    program = (
        "import sys\n"
        "from tests.support.c_exits import Manner, Probe\n"
        "from tests.support.ends import client_end\n"
        "from tlsexit.exits.phases import ExitPhase\n"
        "probe = Probe(__import__('pathlib').Path(sys.argv[1]))\n"
        "probe.answers(ExitPhase.START_HANDSHAKE, manner=Manner.CRASH)\n"
        "client_end(exits=probe.exit)\n"
    )
    command = [sys.executable, "-c", program, str(probe_library)]
    root = Path(__file__).parents[2]
    done = subprocess.run(command, cwd=root, capture_output=True, check=False, timeout=60)
    assert done.returncode == -11


def test_writing_behind_an_output(probe: Probe) -> None:
    probe.answers(ExitPhase.GET_CERTIFICATE, output=chain_bytes(pki().server.chain), manner=Manner.OVERRUN)
    client, server, own = mutual(probe.exit, Role.SERVER)
    pump(client, server)
    assert isinstance(own.connection.error, ExitFailed)
    assert "more than the capacity" in own.connection.error.reason


def test_asking_for_room_without_end(probe: Probe) -> None:
    probe.answers(ExitPhase.GET_CERTIFICATE, NEED_BUFFER)
    client, server, own = mutual(probe.exit, Role.SERVER)
    pump(client, server)
    assert isinstance(own.connection.error, ExitFailed)
    assert "without saying how large" in own.connection.error.reason


# -------------------------------------------------------------------------------------------------------- asyncio


def test_sessions_side_by_side(probe: Probe) -> None:
    """While C code takes its time the loop goes on, and no two calls overlap; one thread makes them all."""
    probe.answers(ExitPhase.GET_CERTIFICATE, ReturnCode.NOT_HANDLED, manner=Manner.HANG)
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0.01)
            ticks += 1

    async def session(port: int) -> None:
        profile = Profile.client(server_name="localhost")
        _, writer = await open_connection("127.0.0.1", port, profile, pki=pki().builtin(Role.CLIENT))
        writer.close()
        await writer.wait_closed()

    async def run() -> None:
        def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.close()

        ticking = asyncio.create_task(tick())
        served = Profile.server(verify=Verify.NONE)
        builtin = pki().builtin(Role.SERVER)
        async with await start_server(handler, "127.0.0.1", 0, served, exits=probe.exit, pki=builtin) as server:
            port = server.sockets[0].getsockname()[1]
            await asyncio.gather(*(session(port) for _ in range(3)))
        ticking.cancel()

    asyncio.run(run())
    assert probe.calls(ExitPhase.GET_CERTIFICATE) == 3
    assert probe.calls(ExitPhase.END_TASK) == 1
    assert probe.overlaps == 0
    assert probe.threads == 1
    assert ticks > 10


def test_a_call_that_hangs_ends_in_time(probe: Probe) -> None:
    """The session fails, and the library hears of its end when it comes back."""
    probe.answers(ExitPhase.GET_CERTIFICATE, ReturnCode.NOT_HANDLED, manner=Manner.HANG)
    failures: list[BaseException] = []

    async def run() -> None:
        served = Profile.server(verify=Verify.NONE)
        builtin = pki().builtin(Role.SERVER)
        server = await start_server(
            lambda reader, writer: None,
            "127.0.0.1",
            0,
            served,
            exits=probe.exit,
            pki=builtin,
            handshake_timeout=0.1,
            on_failure=failures.append,
        )
        async with server:
            port = server.sockets[0].getsockname()[1]
            await open_connection("127.0.0.1", port, Profile.client(), pki=pki().builtin(Role.CLIENT))

    with pytest.raises((AlertReceived, ConnectionError)):
        asyncio.run(run())
    assert len(failures) == 1
    deadline = time.monotonic() + 20
    while not probe.calls(ExitPhase.END_TASK):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert probe.calls(ExitPhase.HANDSHAKE_ALERT) == 1
