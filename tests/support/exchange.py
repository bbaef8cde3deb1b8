"""An exit for the tests of exits in C that is a Python function over the structure, and a context to ask it about."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

from tests.support.pki import pki
from tlsexit.adapters.exchange import Exchange
from tlsexit.adapters.pkicom import In, Out, PkiCom
from tlsexit.constants import Role
from tlsexit.exits.answers import Answer
from tlsexit.exits.calls import ExitCall
from tlsexit.exits.context import Authentication, SessionContext, TaskContext
from tlsexit.exits.forms import CAList
from tlsexit.exits.function import call_function
from tlsexit.profile import Profile, Verify

CHAIN = pki().server.chain
CA_LIST = CAList((1,), (pki().root.certificate.subject.public_bytes(),))
TASK = TaskContext(7, {"name": "nightly", "sessions_per_task": 3}, exit_reference=70)
PROFILE = Profile.server(
    id="PARTNERS",
    cipher_suites=(0x2F, 0xC013),
    verify=Verify.OPTIONAL,
    user_certificate_id="own",
    root_ca_ids=("ROOT1", "ROOT2"),
    depth=3,
    dn_user=("O=Exämple",),
    parm="free text",
)
CONTEXT = SessionContext(
    task=TASK,
    reference=8,
    role=Role.SERVER,
    profile=PROFILE,
    remote_address=("192.0.2.7", 40000),
    local_address=("::1", 4433),
    exit_reference=80,
    private_area=bytearray(b"private"),
    handshake_count=2,
    server_name="server.example",
    peer_ca_list=CA_LIST,
    peer_chain=CHAIN,
    own_chain=CHAIN,
    peer_trusted=True,
    cipher_suite=0xC013,
    authentication=Authentication.BOTH,
    session_id=bytes(range(32)),
    resumed=True,
)

Exit = Callable[[PkiCom], int]


def ask(call: ExitCall, exit: Exit) -> Answer:
    """Put one call to an exit that is a Python function over the structure."""

    def function(pointer: Any) -> int:
        return exit(pointer._obj)

    return call_function(lambda communication: Exchange(communication).call(function), call)


def text(field: In | Out) -> bytes:
    """The bytes of a field, as C would read them."""
    return ctypes.string_at(field.data, field.length) if field.data else b""


def put(out: Out, value: bytes) -> None:
    assert len(value) <= out.capacity
    ctypes.memmove(out.data, value, len(value))
    out.length = len(value)


def byte(address: int) -> ctypes.c_ubyte:
    """One byte of memory, to be read and written."""
    return ctypes.c_ubyte.from_address(address)
