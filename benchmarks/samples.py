"""One value of ordinary size for each structure on the wire, with its grammar."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Final
from unittest.mock import patch

from tlsexit.crypto.suites import DEFAULT_SUITES
from tlsexit.handshake import certificate, finished, hello, keyexchange
from tlsexit.handshake import extensions as ext
from tlsexit.records import grammar
from tlsexit.wire import Leaf, build


@dataclass(frozen=True, slots=True)
class Sample:
    """A value, and the grammar that parses and builds it."""

    name: str
    grammar: Leaf[Any]
    value: Any

    @property
    def wire(self) -> bytes:
        """The value's wire form."""
        return build(self.grammar, self.value)


def reading_anew() -> AbstractContextManager[object]:
    """In this context hello extensions are read each time, and not remembered from the last: the codec is measured."""
    return patch.object(ext, "_SHORT", -1)


_EXTENSIONS: Final = (
    ext.Extension(0, bytes.fromhex("000e00000b6578616d706c652e6f7267")),
    ext.Extension(10, bytes.fromhex("0006001700180019")),
    ext.Extension(11, bytes.fromhex("0100")),
    ext.Extension(22, b""),
    ext.Extension(23, b""),
    ext.Extension(0xFF01, b"\0"),
)

_SERVER_NAMES: Final = (ext.ServerName(0, b"www.example.org"),)

SAMPLES: Final = (
    Sample(
        "ClientHello",
        hello.CLIENT_HELLO,
        hello.ClientHello(0x0301, bytes(range(32)), bytes(range(32)), DEFAULT_SUITES, (0,), _EXTENSIONS),
    ),
    Sample(
        "ServerHello",
        hello.SERVER_HELLO,
        hello.ServerHello(0x0301, bytes(range(32)), bytes(range(32)), 0x002F, 0, _EXTENSIONS[-3:]),
    ),
    Sample("Certificate", certificate.CERTIFICATE, certificate.Certificate((bytes(900), bytes(1100)))),
    Sample(
        "CertificateRequest",
        certificate.CERTIFICATE_REQUEST,
        certificate.CertificateRequest((1, 2, 64), (bytes(90), bytes(110), bytes(70))),
    ),
    Sample("CertificateVerify", certificate.CERTIFICATE_VERIFY, certificate.CertificateVerify(bytes(256))),
    Sample("CertificateStatus", certificate.CERTIFICATE_STATUS, certificate.CertificateStatus(1, bytes(1500))),
    Sample(
        "ServerDHParams",
        keyexchange.SERVER_DH_PARAMS,
        keyexchange.ServerDHParams(bytes(256), b"\2", bytes(256)),
    ),
    Sample("ServerECDHParams", keyexchange.SERVER_ECDH_PARAMS, keyexchange.ServerECDHParams(3, 23, bytes(65))),
    Sample(
        "EncryptedPreMasterSecret",
        keyexchange.ENCRYPTED_PRE_MASTER_SECRET,
        keyexchange.EncryptedPreMasterSecret(bytes(256)),
    ),
    Sample("NewSessionTicket", finished.NEW_SESSION_TICKET, finished.NewSessionTicket(7200, bytes(200))),
    Sample("Finished", finished.FINISHED, finished.Finished(bytes(12))),
    Sample("Alert", grammar.ALERT, grammar.Alert(2, 40)),
    Sample("server_name", ext.SERVER_NAME_LIST, _SERVER_NAMES),
    Sample("supported_groups", ext.SUPPORTED_GROUPS, (29, 23, 24, 25)),
    Sample("protocol_name_list", ext.PROTOCOL_NAME_LIST, (b"h2", b"http/1.1", b"http/1.0")),
)
