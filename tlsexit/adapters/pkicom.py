"""``struct pkicom`` of ``include/cftpkie.h``, field by field. A test compares the two with the help of a compiler."""

from __future__ import annotations

import ctypes
from ctypes import c_int32, c_ubyte, c_uint32, c_uint64, c_void_p
from enum import IntEnum, IntFlag
from typing import Any, ClassVar, Final

from tlsexit.crypto.suites import KeyType
from tlsexit.exits.calls import CryptOperation
from tlsexit.exits.context import GLOBAL_AREA_SIZE
from tlsexit.exits.phases import ExitPhase
from tlsexit.profile import Verify

MAGIC: Final = 0x504B4945
VERSION: Final = 1
NEED_BUFFER: Final = 2
"""``PKI_NEED_BUFFER``, the one return code beside those of :class:`~tlsexit.exits.answers.ReturnCode`."""

MAX_OUTPUT: Final = 2**24 + 2
"""Bytes of the longest output: a chain of 2^24-1 bytes with its length."""

MAX_CALLS: Final = 4
"""How often one phase may be called because an output was too small."""

PHASES: Final = {phase: number for number, phase in enumerate(ExitPhase, 1)}
"""``enum pki_phase``."""

VERIFIES: Final = {Verify.NONE: 0, Verify.OPTIONAL: 1, Verify.REQUIRED: 2, Verify.ENFORCED: 3}
OPERATIONS: Final = {CryptOperation.SIGN: 1, CryptOperation.DECRYPT: 2}
ALGORITHMS: Final = {KeyType.RSA: 1, KeyType.DSA: 2, KeyType.EC: 3}


class Form(IntEnum):
    """``enum pki_form``: what CryptData's output is."""

    RESULT = 0
    PRIVATE_KEY = 1


class Change(IntFlag):
    """``enum pki_change``: the elements of the profile that StartHandshake may change."""

    CIPHER_SUITES = 1
    VERIFY = 2
    USER_CERTIFICATE_ID = 4
    ROOT_CA_IDS = 8
    DEPTH = 16
    DN_USER = 32
    DN_ISSUER = 64
    PARM = 128


Bytes = c_void_p
"""``uint8_t *``: an address, which costs less to set than a pointer that knows its type."""


class Layout(ctypes.Structure):
    """A structure of the header."""

    _fields_: ClassVar[Any] = []


class In(Layout):
    """``struct pki_in``."""

    _fields_: ClassVar = [("data", Bytes), ("length", c_uint64)]


class Out(Layout):
    """``struct pki_out``."""

    _fields_: ClassVar = [("data", Bytes), ("capacity", c_uint64), ("length", c_uint64)]


class ProfileFields(Layout):
    """``struct pki_profile``."""

    _fields_: ClassVar = [
        ("id", In),
        ("cipher_suites", Out),
        ("user_certificate_id", Out),
        ("root_ca_ids", Out),
        ("dn_user", Out),
        ("dn_issuer", Out),
        ("parm", Out),
        ("verify", c_uint32),
        ("depth", c_uint32),
        ("changed", c_uint32),
        ("reserved", c_uint32),
    ]


class PkiCom(Layout):
    """``struct pkicom``."""

    _fields_: ClassVar = [
        ("magic", c_uint32),
        ("version", c_uint32),
        ("size", c_uint32),
        ("phase", c_uint32),
        ("task_reference", c_uint64),
        ("task_exit_reference", c_uint64),
        ("session_reference", c_uint64),
        ("session_exit_reference", c_uint64),
        ("public_area", Bytes),
        ("public_area_length", c_uint64),
        ("private_area", Bytes),
        ("private_area_length", c_uint64),
        ("private_area_size", c_uint64),
        ("global_area", c_ubyte * GLOBAL_AREA_SIZE),
        ("input", In),
        ("output", Out),
        ("password", Out),
        ("output_form", c_uint32),
        ("iAlertReason_w", c_int32),
        ("profile", ProfileFields),
        ("role", c_uint32),
        ("handshake_count", c_uint32),
        ("remote_address", In),
        ("local_address", In),
        ("remote_port", c_uint32),
        ("local_port", c_uint32),
        ("server_name", In),
        ("peer_ca_list", In),
        ("peer_chain", In),
        ("own_chain", In),
        ("session_id", In),
        ("cipher_suite", c_uint32),
        ("authentication", c_uint32),
        ("resumed", c_uint32),
        ("peer_trusted", c_uint32),
        ("operation", c_uint32),
        ("algorithm", c_uint32),
        ("alert_level", c_uint32),
        ("alert_description", c_uint32),
        ("alert_remote", c_uint32),
        ("untrusted", c_uint32),
        ("candidate_suites", In),
        ("chosen_suite", c_uint32),
        ("reserved", c_uint32),
        ("ocsp_response", In),
        ("staple", Out),
        ("psk_identity", Out),
    ]
