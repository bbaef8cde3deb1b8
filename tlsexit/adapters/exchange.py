"""One call of ``cftpkie``: a question laid out as ``struct pkicom``, and what the exit made of it.

All memory that the exit is shown is ours and outlives the call; nothing is read through a pointer or up to a length
that the exit could have changed.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterable
from typing import Any, Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_der_private_key

from tlsexit.adapters import pkicom
from tlsexit.adapters.pkicom import Change, Form, In, Out, PkiCom, ProfileFields
from tlsexit.alerts import LocalError
from tlsexit.constants import Role
from tlsexit.exits.calls import (
    CheckCertificateCall,
    Credentials,
    CryptDataCall,
    GetCertificateCall,
    GetPreSharedKeyCall,
    HandshakeAlertCall,
    PreSharedKey,
    StartTaskCall,
    Untrusted,
)
from tlsexit.exits.context import SessionContext
from tlsexit.exits.forms import ca_list_bytes, chain_bytes
from tlsexit.exits.function import Communication
from tlsexit.exits.phases import ExitPhase
from tlsexit.profile import Profile, Verify

ROOM: Final = 2**14
"""Bytes of an output at first: what most chains and lists need, and all keys and signatures."""

_GUARD: Final = b"\xa5" * 16
"""What lies behind the room of an output; an exit that writes there has written too far."""


class Room:
    """Memory for one output, with what is there at first and a guard behind it."""

    def __init__(self, value: bytes, capacity: int) -> None:
        self.value = value
        self.capacity = max(capacity, len(value))
        self._memory = bytearray(self.capacity + len(_GUARD))

    def show(self, out: Out) -> None:
        """Give the exit the room, with in it what was there at first."""
        self._memory[:] = self.value.ljust(self.capacity, b"\0") + _GUARD
        out.data, out.capacity, out.length = _address(self._memory), self.capacity, len(self.value)

    def grow(self, needed: int) -> bool:
        """Make room for ``needed`` bytes; whether that changed anything."""
        if needed <= self.capacity:
            return False
        self.wipe()
        self.capacity = needed
        self._memory = bytearray(needed + len(_GUARD))
        return True

    def read(self, name: str, length: int) -> bytes:
        """Return the bytes of which the exit says that there are ``length``."""
        if length > self.capacity:
            raise LocalError(f"{name}: length is {length}, above the capacity of {self.capacity}")
        return bytes(self._memory[:length])

    def check(self, name: str) -> None:
        """Raise :class:`LocalError` if the exit has written behind the room."""
        if self._memory[self.capacity :] != _GUARD:
            raise LocalError(f"{name}: the exit has written more than the capacity of {self.capacity} bytes")

    def wipe(self) -> None:
        """Overwrite what may be a secret."""
        self._memory[:] = bytes(len(self._memory))


class Exchange:
    """The structure for one :class:`~tlsexit.exits.function.Communication`, which takes the answer."""

    def __init__(self, communication: Communication) -> None:
        self._com = communication
        self._given: list[tuple[In | Out, bytes]] = []
        self._rooms: dict[str, Room] = {}

    def call(self, function: Callable[[Any], int]) -> int:
        """Call ``function`` until it has room enough, take its answer and return its code.

        Raises :class:`LocalError` for an answer that cannot be taken.
        """
        self._make_rooms()
        try:
            for _ in range(pkicom.MAX_CALLS):
                struct = self._struct()
                inputs = self._show_inputs()
                code = function(ctypes.byref(struct))
                del inputs  # not before: the exit has read them there
                for name, room in self._rooms.items():
                    room.check(name)
                if code != pkicom.NEED_BUFFER:
                    self._take(struct, code)
                    return code
                self._grow(struct)
            raise LocalError(f"asked for a larger output {pkicom.MAX_CALLS} times")
        finally:
            for room in self._rooms.values():
                room.wipe()

    # ---------------------------------------------------------------------------------------- to the exit

    def _make_rooms(self) -> None:
        phase, context = self._com.phase, self._com.context
        if phase in (ExitPhase.GET_CA_LIST, ExitPhase.GET_CERTIFICATE, ExitPhase.CRYPT_DATA):
            self._rooms["output"] = Room(b"", ROOM)
        if phase is ExitPhase.START_TASK:
            self._rooms["password"] = Room(b"", ROOM)
        if isinstance(self._com.call, GetCertificateCall) and self._com.call.context.role is Role.SERVER:
            self._rooms["staple"] = Room(b"", ROOM)
        if isinstance(self._com.call, GetPreSharedKeyCall):
            self._rooms["output"] = Room(b"", ROOM)
            self._rooms["psk_identity"] = Room(self._com.call.identity or b"", ROOM)
        if context is not None and phase is ExitPhase.START_HANDSHAKE:
            for name, value in _changeable(context.profile).items():
                self._rooms[f"profile.{name}"] = Room(value, ROOM)

    def _struct(self) -> PkiCom:
        com = self._com
        struct = PkiCom(pkicom.MAGIC, pkicom.VERSION, ctypes.sizeof(PkiCom), pkicom.PHASES[com.phase])
        struct.task_reference = com.task.reference
        struct.task_exit_reference = _reference(com.task.exit_reference)
        struct.public_area, struct.public_area_length = _address(com.task.public_area), len(com.task.public_area)
        self._give(struct.input, com.input or self._own_input())
        if com.context is not None:
            self._session(struct, com.context)
        self._question(struct)
        for name, room in self._rooms.items():
            room.show(_out(struct, name))
        return struct

    def _own_input(self) -> bytes:
        """What C is given as input where Python has objects."""
        call = self._com.call
        if isinstance(call, StartTaskCall):
            return "".join(f"{name}={value}\n" for name, value in call.task.configuration.items()).encode()
        if isinstance(call, GetPreSharedKeyCall):
            return call.hint if call.identity is None else call.identity
        return b""

    def _session(self, struct: PkiCom, context: SessionContext) -> None:
        struct.session_reference = context.reference
        struct.session_exit_reference = _reference(context.exit_reference)
        struct.private_area, struct.private_area_length = _address(context.private_area), len(context.private_area)
        struct.role = 1 if context.role is Role.CLIENT else 2
        struct.handshake_count = context.handshake_count
        for side, address in (("remote", context.remote_address), ("local", context.local_address)):
            host, port = address or ("", 0)
            self._give(getattr(struct, f"{side}_address"), str(host).encode())
            setattr(struct, f"{side}_port", port)
        self._give(struct.server_name, (context.server_name or context.profile.server_name or "").encode())
        if context.peer_ca_list is not None:
            self._give(struct.peer_ca_list, ca_list_bytes(context.peer_ca_list))
        for name, chain in (("peer_chain", context.peer_chain), ("own_chain", context.own_chain)):
            self._give(getattr(struct, name), chain_bytes(chain) if chain else b"")
        self._give(struct.session_id, context.session_id)
        struct.cipher_suite = context.cipher_suite or 0
        struct.authentication = 0 if context.authentication is None else ord(context.authentication.value)
        struct.resumed, struct.peer_trusted = context.resumed, context.peer_trusted
        self._give(struct.profile.id, context.profile.id.encode())
        struct.profile.verify = pkicom.VERIFIES[context.profile.verify]
        struct.profile.depth = context.profile.depth
        if self._com.phase is not ExitPhase.START_HANDSHAKE:
            for name, value in _changeable(context.profile).items():
                out = getattr(struct.profile, name)
                self._give(out, value)
                out.capacity = len(value)

    def _question(self, struct: PkiCom) -> None:
        call = self._com.call
        if isinstance(call, CryptDataCall):
            struct.operation = pkicom.OPERATIONS[call.operation]
            struct.algorithm = pkicom.ALGORITHMS[call.algorithm]
        elif isinstance(call, GetCertificateCall):
            self._give(struct.candidate_suites, _suites_bytes(call.candidate_suites))
        elif isinstance(call, CheckCertificateCall):
            self._give(struct.ocsp_response, call.ocsp_response or b"")
        elif isinstance(call, HandshakeAlertCall):
            struct.alert_level, struct.alert_description = call.level, call.description
            struct.alert_remote = call.remote

    def _give(self, field: In | Out, value: bytes) -> None:
        """Show the exit a copy of ``value``, with a NUL behind it, once :meth:`_show_inputs` has made the copies."""
        if value:
            self._given.append((field, value))

    def _show_inputs(self) -> bytearray:
        """Copy all inputs, one behind the other, and return the copies."""
        given, self._given = self._given, []
        copies = bytearray(b"\0".join([value for _, value in given]) + b"\0")
        at = _address(copies)
        for field, value in given:
            field.data, field.length = at, len(value)
            at += len(value) + 1
        return copies

    # ---------------------------------------------------------------------------------------- from the exit

    def _grow(self, struct: PkiCom) -> None:
        grown = False
        for name, room in self._rooms.items():
            needed = _out(struct, name).length
            if needed > pkicom.MAX_OUTPUT:
                raise LocalError(f"{name}: {needed} bytes are asked for; the most is {pkicom.MAX_OUTPUT}")
            grown |= room.grow(needed)
        if not grown:
            raise LocalError("asked for a larger output without saying how large")

    def _take(self, struct: PkiCom, code: int) -> None:
        com = self._com
        com.alert_reason = struct.iAlertReason_w or None
        if code != 0:
            return
        call = com.call
        if "output" in self._rooms:
            com.output = self._value(struct, "output")
        if com.phase is ExitPhase.START_TASK:
            com.reference, com.private_area_size = struct.task_exit_reference, struct.private_area_size
            com.password = self._value(struct, "password") or None
        elif com.phase is ExitPhase.START_HANDSHAKE:
            com.reference, com.changes = struct.session_exit_reference, self._changes(struct)
        elif com.phase is ExitPhase.HANDSHAKE_DONE:
            com.output = bytes(struct.global_area)
        elif isinstance(call, GetCertificateCall):
            staple = self._value(struct, "staple") if "staple" in self._rooms else b""
            com.output = Credentials(com.output, struct.chosen_suite or None, staple or None)
        elif isinstance(call, CryptDataCall):
            com.output = _crypted(com.output, struct.output_form)
        elif isinstance(call, CheckCertificateCall):
            com.output = Untrusted("the exit does not trust the certificate") if struct.untrusted else None
        elif isinstance(call, GetPreSharedKeyCall):
            identity = self._value(struct, "psk_identity") if call.identity is None else call.identity
            com.output = PreSharedKey(identity, com.output)

    def _value(self, struct: PkiCom, name: str) -> bytes:
        return self._rooms[name].read(name, _out(struct, name).length)

    def _changes(self, struct: PkiCom) -> dict[str, Any]:
        fields = struct.profile
        if unknown := fields.changed & ~int(~Change(0)):
            raise LocalError(f"profile.changed has unknown bits {unknown:#x}")
        return {_element_name(item): self._element(struct, fields, item) for item in Change if item & fields.changed}

    def _element(self, struct: PkiCom, fields: ProfileFields, change: Change) -> Any:
        if change is Change.VERIFY:
            for verify, number in pkicom.VERIFIES.items():
                if number == fields.verify:
                    return verify
            raise LocalError(f"profile.verify: {fields.verify} is none of {', '.join(v.value for v in Verify)}")
        if change is Change.DEPTH:
            return fields.depth
        name = f"profile.{_element_name(change)}"
        value = self._value(struct, name)
        if change is Change.CIPHER_SUITES:
            if len(value) % 2:
                raise LocalError(f"{name}: a suite has two bytes, and these are {len(value)}")
            return tuple(int.from_bytes(value[at : at + 2], "big") for at in range(0, len(value), 2))
        try:
            text = value.decode()
        except UnicodeDecodeError as error:
            raise LocalError(f"{name}: not UTF-8") from error
        if change is Change.PARM:
            return text
        if change is Change.USER_CERTIFICATE_ID:
            return text or None
        return tuple(text.removesuffix("\0").split("\0")) if text else ()


def _address(memory: bytearray) -> int:
    """Where the bytes are, for as long as the bytearray keeps its size: areas stay at one address all their life."""
    return ctypes.addressof(ctypes.c_ubyte.from_buffer(memory)) if memory else 0


def _element_name(change: Change) -> str:
    return str(change.name).lower()


def _changeable(profile: Profile) -> dict[str, bytes]:
    """The profile elements that are byte strings in C."""
    return {
        "cipher_suites": _suites_bytes(profile.cipher_suites),
        "user_certificate_id": (profile.user_certificate_id or "").encode(),
        "root_ca_ids": _texts(profile.root_ca_ids),
        "dn_user": _texts(profile.dn_user),
        "dn_issuer": _texts(profile.dn_issuer),
        "parm": profile.parm.encode(),
    }


def _suites_bytes(suites: Iterable[int]) -> bytes:
    return b"".join(value.to_bytes(2, "big") for value in suites)


def _texts(texts: Iterable[str]) -> bytes:
    return b"".join(text.encode() + b"\0" for text in texts)


def _out(struct: PkiCom, name: str) -> Out:
    """The field that ``name`` leads to, perhaps inside the profile."""
    field: Any = struct
    for part in name.split("."):
        field = getattr(field, part)
    out: Out = field
    return out


def _reference(value: object) -> int:
    """An exit's own reference; 0 if another exit, not in C, has set something else."""
    return value if isinstance(value, int) and 0 <= value < 2**64 else 0


def _crypted(output: bytes, form: int) -> Any:
    """What CryptData answers: result bytes, or a private key."""
    if form == Form.RESULT:
        return output
    if form != Form.PRIVATE_KEY:
        raise LocalError(f"output_form is {form}, neither PKI_RESULT nor PKI_PRIVATE_KEY")
    try:
        return load_der_private_key(output, None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise LocalError("the private key is not in DER (PKCS #8 or traditional), or is encrypted") from error
