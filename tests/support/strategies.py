"""Hypothesis strategies for every message, extension body and key-exchange structure of the handshake.

The values are legal on the wire and nothing more: suites, versions and certificates are random numbers and bytes.
Lists and byte strings are short, and now and then as long or as short as they may be.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, TypeVar

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from tlsexit.handshake import certificate, extensions, finished, hello, keyexchange, v2hello
from tlsexit.handshake.enums import CertificateStatusType, ECCurveType, IdentifierType, NameType
from tlsexit.wire import Leaf

T = TypeVar("T")

uint8 = st.integers(0, 2**8 - 1)
uint16 = st.integers(0, 2**16 - 1)
uint32 = st.integers(0, 2**32 - 1)


def opaque(floor: int, ceiling: int, usual: int = 40) -> SearchStrategy[bytes]:
    """Bytes within ``<floor..ceiling>``: mostly at most ``usual`` over the floor, sometimes exactly at a bound."""
    few = st.binary(min_size=floor, max_size=min(ceiling, floor + usual))
    bounds = [floor] if ceiling > 2**16 else [floor, ceiling]
    return st.one_of(few, few, st.sampled_from(bounds).map(lambda size: b"\xa5" * size))


def short(floor: int = 0, usual: int = 40) -> SearchStrategy[bytes]:
    """Bytes for an element of a list that must stay within its own ceiling."""
    return st.binary(min_size=floor, max_size=usual)


def several(items: SearchStrategy[T], smallest: int = 0, largest: int = 5) -> SearchStrategy[tuple[T, ...]]:
    """A tuple of a few."""
    return st.lists(items, min_size=smallest, max_size=largest).map(tuple)


# ------------------------------------------------------------------------------------------------ messages

raw_extensions = st.builds(extensions.Extension, uint16, short())

extension_lists = st.none() | st.lists(raw_extensions, max_size=6, unique_by=lambda e: e.extension_type).map(tuple)

randoms = st.binary(min_size=32, max_size=32)

session_ids = opaque(0, 32)

hello_requests = st.just(hello.HelloRequest())

client_hellos = st.builds(
    hello.ClientHello,
    client_version=uint16,
    random=randoms,
    session_id=session_ids,
    cipher_suites=several(uint16, 1, 40) | st.just((0x002F,) * (2**15 - 1)),
    compression_methods=several(uint8, 1, 4) | st.just((0,) * 255),
    extensions=extension_lists,
)

server_hellos = st.builds(
    hello.ServerHello,
    server_version=uint16,
    random=randoms,
    session_id=session_ids,
    cipher_suite=uint16,
    compression_method=uint8,
    extensions=extension_lists,
)

server_hello_dones = st.just(hello.ServerHelloDone())

certificates = st.builds(certificate.Certificate, several(short(1, 300), 0, 4))

certificate_requests = st.builds(certificate.CertificateRequest, several(uint8, 1, 6), several(short(1)))

certificate_verifies = st.builds(certificate.CertificateVerify, opaque(0, 2**16 - 1))

certificate_statuses = st.builds(
    certificate.CertificateStatus, st.just(int(CertificateStatusType.OCSP)), opaque(1, 2**24 - 1)
)

server_key_exchanges = st.builds(keyexchange.ServerKeyExchange, opaque(0, 2**16))

client_key_exchanges = st.builds(keyexchange.ClientKeyExchange, opaque(0, 2**16))

finisheds = st.builds(finished.Finished, st.binary(min_size=12, max_size=12))

new_session_tickets = st.builds(finished.NewSessionTicket, uint32, opaque(0, 2**16 - 1))

messages: SearchStrategy[Any] = st.one_of(
    hello_requests,
    client_hellos,
    server_hellos,
    server_hello_dones,
    certificates,
    certificate_requests,
    certificate_verifies,
    certificate_statuses,
    server_key_exchanges,
    client_key_exchanges,
    finisheds,
    new_session_tickets,
)
"""Any handshake message."""

# ------------------------------------------------------------------------------------------------ key exchange

numbers = opaque(1, 2**16 - 1)

server_rsa_params = st.builds(keyexchange.ServerRSAParams, numbers, numbers)

server_dh_params = st.builds(keyexchange.ServerDHParams, numbers, numbers, numbers)

server_ecdh_params = st.builds(
    keyexchange.ServerECDHParams, st.just(int(ECCurveType.NAMED_CURVE)), uint16, opaque(1, 255)
)

psk_names = opaque(0, 2**16 - 1)

server_psk_hints = st.builds(keyexchange.ServerPskHint, psk_names)

server_dh_psk_params = st.builds(keyexchange.ServerDHPskParams, psk_names, server_dh_params)

server_ecdh_psk_params = st.builds(keyexchange.ServerECDHPskParams, psk_names, server_ecdh_params)

pre_master_secrets = st.builds(keyexchange.PreMasterSecret, uint16, st.binary(min_size=46, max_size=46))

encrypted_pre_master_secrets = st.builds(keyexchange.EncryptedPreMasterSecret, opaque(0, 2**16 - 1))

client_dh_publics = st.builds(keyexchange.ClientDiffieHellmanPublic, numbers)

client_ecdh_publics = st.builds(keyexchange.ClientECDiffieHellmanPublic, opaque(1, 255))

client_psk_identities = st.builds(keyexchange.ClientPskIdentity, psk_names)

client_dh_psks = st.builds(keyexchange.ClientDHPsk, psk_names, client_dh_publics)

client_ecdh_psks = st.builds(keyexchange.ClientECDHPsk, psk_names, client_ecdh_publics)

client_rsa_psks = st.builds(keyexchange.ClientRSAPsk, psk_names, encrypted_pre_master_secrets)

# ------------------------------------------------------------------------------------------------ extension bodies

server_names = st.one_of(
    st.builds(extensions.ServerName, st.just(int(NameType.HOST_NAME)), short(1)),
    st.builds(extensions.ServerName, st.integers(1, 255), short(0)),
)

trusted_authorities = st.one_of(
    st.builds(extensions.TrustedAuthority, st.just(int(IdentifierType.PRE_AGREED)), st.just(b"")),
    st.builds(
        extensions.TrustedAuthority,
        st.sampled_from([int(IdentifierType.KEY_SHA1_HASH), int(IdentifierType.CERT_SHA1_HASH)]),
        st.binary(min_size=20, max_size=20),
    ),
    st.builds(extensions.TrustedAuthority, st.just(int(IdentifierType.X509_NAME)), short(1)),
)

ocsp_status_requests = st.builds(extensions.OCSPStatusRequest, several(short(1)), opaque(0, 2**16 - 1))

certificate_status_requests = st.one_of(
    st.builds(extensions.CertificateStatusRequest, st.just(int(CertificateStatusType.OCSP)), ocsp_status_requests),
    st.builds(extensions.CertificateStatusRequest, st.integers(2, 255), short()),
)

v2_client_hello_headers = st.builds(v2hello.V2ClientHelloHeader, uint8, uint16, uint16, uint16, uint16)

# ------------------------------------------------------------------------------------------------ all of them


@dataclass(frozen=True)
class Declared:
    """A grammar with the strategy for its values.

    ``exact`` is false for a grammar that takes whatever is left: a shorter or a longer text is then legal as well.
    """

    name: str
    grammar: Leaf[Any]
    values: SearchStrategy[Any]
    exact: bool = True

    def __str__(self) -> str:
        return self.name


DECLARED: Final = (
    Declared("HelloRequest", hello.HELLO_REQUEST, hello_requests),
    Declared("ClientHello", hello.CLIENT_HELLO, client_hellos),
    Declared("ServerHello", hello.SERVER_HELLO, server_hellos),
    Declared("ServerHelloDone", hello.SERVER_HELLO_DONE, server_hello_dones),
    Declared("Certificate", certificate.CERTIFICATE, certificates),
    Declared("CertificateRequest", certificate.CERTIFICATE_REQUEST, certificate_requests),
    Declared("CertificateVerify", certificate.CERTIFICATE_VERIFY, certificate_verifies),
    Declared("CertificateStatus", certificate.CERTIFICATE_STATUS, certificate_statuses),
    Declared("ServerKeyExchange", keyexchange.SERVER_KEY_EXCHANGE, server_key_exchanges, exact=False),
    Declared("ClientKeyExchange", keyexchange.CLIENT_KEY_EXCHANGE, client_key_exchanges, exact=False),
    Declared("Finished", finished.FINISHED, finisheds),
    Declared("NewSessionTicket", finished.NEW_SESSION_TICKET, new_session_tickets),
    Declared("ServerRSAParams", keyexchange.SERVER_RSA_PARAMS, server_rsa_params),
    Declared("ServerDHParams", keyexchange.SERVER_DH_PARAMS, server_dh_params),
    Declared("ServerECDHParams", keyexchange.SERVER_ECDH_PARAMS, server_ecdh_params),
    Declared("ServerPskHint", keyexchange.SERVER_PSK_HINT, server_psk_hints),
    Declared("ServerDHPskParams", keyexchange.SERVER_DH_PSK_PARAMS, server_dh_psk_params),
    Declared("ServerECDHPskParams", keyexchange.SERVER_ECDH_PSK_PARAMS, server_ecdh_psk_params),
    Declared("PreMasterSecret", keyexchange.PRE_MASTER_SECRET, pre_master_secrets),
    Declared("EncryptedPreMasterSecret", keyexchange.ENCRYPTED_PRE_MASTER_SECRET, encrypted_pre_master_secrets),
    Declared("ClientDiffieHellmanPublic", keyexchange.CLIENT_DIFFIE_HELLMAN_PUBLIC, client_dh_publics),
    Declared("ClientECDiffieHellmanPublic", keyexchange.CLIENT_EC_DIFFIE_HELLMAN_PUBLIC, client_ecdh_publics),
    Declared("ClientPskIdentity", keyexchange.CLIENT_PSK_IDENTITY, client_psk_identities),
    Declared("ClientDHPsk", keyexchange.CLIENT_DH_PSK, client_dh_psks),
    Declared("ClientECDHPsk", keyexchange.CLIENT_ECDH_PSK, client_ecdh_psks),
    Declared("ClientRSAPsk", keyexchange.CLIENT_RSA_PSK, client_rsa_psks),
    Declared("Extension", extensions.EXTENSION, raw_extensions),
    Declared("empty", extensions.EMPTY, st.just(b"")),
    Declared("server_name", extensions.SERVER_NAME_LIST, several(server_names, 1)),
    Declared("max_fragment_length", extensions.MAX_FRAGMENT_LENGTH, st.integers(1, 4)),
    Declared("trusted_ca_keys", extensions.TRUSTED_AUTHORITIES, several(trusted_authorities)),
    Declared("OCSPStatusRequest", extensions.OCSP_STATUS_REQUEST, ocsp_status_requests),
    Declared("status_request", extensions.CERTIFICATE_STATUS_REQUEST, certificate_status_requests, exact=False),
    Declared("supported_groups", extensions.SUPPORTED_GROUPS, several(uint16, 1)),
    Declared("ec_point_formats", extensions.EC_POINT_FORMATS, several(uint8, 1)),
    Declared("application_layer_protocol_negotiation", extensions.PROTOCOL_NAME_LIST, several(short(1), 1)),
    Declared("signed_certificate_timestamp", extensions.SIGNED_CERTIFICATE_TIMESTAMP_LIST, several(short(1), 1)),
    Declared("session_ticket", extensions.SESSION_TICKET, short(), exact=False),
    Declared("renegotiation_info", extensions.RENEGOTIATION_INFO, opaque(0, 255)),
    Declared("V2ClientHelloHeader", v2hello.V2_CLIENT_HELLO_HEADER, v2_client_hello_headers),
)
"""Every grammar of tlsexit.handshake with values for it; grammars of single fields occur inside these."""
