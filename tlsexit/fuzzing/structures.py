"""Every structure of TLS 1.0 that has a grammar, by the name it has in its RFC."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from tlsexit.handshake import extensions, keyexchange, v2hello
from tlsexit.handshake.codec import GRAMMARS
from tlsexit.records import grammar as records
from tlsexit.wire import Leaf


@dataclass(frozen=True, slots=True)
class Structure:
    """A grammar and its name.

    ``exact`` is False for a grammar that takes whatever is left: a shorter or a longer text is then legal as well.
    """

    name: str
    grammar: Leaf[Any]
    exact: bool = True

    def __str__(self) -> str:
        return self.name


MESSAGES: Final = tuple(
    Structure(cls.__name__, grammar, exact=cls not in (keyexchange.ServerKeyExchange, keyexchange.ClientKeyExchange))
    for cls, grammar in GRAMMARS.values()
)
"""The bodies of the handshake messages (RFC 2246 §7.4, RFC 5077, RFC 6066)."""

KEY_EXCHANGE: Final = (
    Structure("ServerRSAParams", keyexchange.SERVER_RSA_PARAMS),
    Structure("ServerDHParams", keyexchange.SERVER_DH_PARAMS),
    Structure("ServerECDHParams", keyexchange.SERVER_ECDH_PARAMS),
    Structure("ServerPskHint", keyexchange.SERVER_PSK_HINT),
    Structure("ServerDHPskParams", keyexchange.SERVER_DH_PSK_PARAMS),
    Structure("ServerECDHPskParams", keyexchange.SERVER_ECDH_PSK_PARAMS),
    Structure("PreMasterSecret", keyexchange.PRE_MASTER_SECRET),
    Structure("EncryptedPreMasterSecret", keyexchange.ENCRYPTED_PRE_MASTER_SECRET),
    Structure("ClientDiffieHellmanPublic", keyexchange.CLIENT_DIFFIE_HELLMAN_PUBLIC),
    Structure("ClientECDiffieHellmanPublic", keyexchange.CLIENT_EC_DIFFIE_HELLMAN_PUBLIC),
    Structure("ClientPskIdentity", keyexchange.CLIENT_PSK_IDENTITY),
    Structure("ClientDHPsk", keyexchange.CLIENT_DH_PSK),
    Structure("ClientECDHPsk", keyexchange.CLIENT_ECDH_PSK),
    Structure("ClientRSAPsk", keyexchange.CLIENT_RSA_PSK),
)
"""What the bodies of ServerKeyExchange and ClientKeyExchange hold, by key exchange (§7.4.3, §7.4.7)."""

EXTENSIONS: Final = (
    Structure("Extension", extensions.EXTENSION),
    Structure("empty", extensions.EMPTY),
    Structure("server_name", extensions.SERVER_NAME_LIST),
    Structure("max_fragment_length", extensions.MAX_FRAGMENT_LENGTH),
    Structure("trusted_ca_keys", extensions.TRUSTED_AUTHORITIES),
    Structure("OCSPStatusRequest", extensions.OCSP_STATUS_REQUEST),
    Structure("status_request", extensions.CERTIFICATE_STATUS_REQUEST, exact=False),
    Structure("supported_groups", extensions.SUPPORTED_GROUPS),
    Structure("ec_point_formats", extensions.EC_POINT_FORMATS),
    Structure("application_layer_protocol_negotiation", extensions.PROTOCOL_NAME_LIST),
    Structure("signed_certificate_timestamp", extensions.SIGNED_CERTIFICATE_TIMESTAMP_LIST),
    Structure("next_protocol_negotiation", extensions.NEXT_PROTOCOLS, exact=False),
    Structure("session_ticket", extensions.SESSION_TICKET, exact=False),
    Structure("renegotiation_info", extensions.RENEGOTIATION_INFO),
)
"""An extension, and the bodies of those that are known."""

RECORDS: Final = (
    Structure("TLSPlaintext", records.TLS_PLAINTEXT),
    Structure("TLSCiphertext", records.TLS_CIPHERTEXT),
    Structure("Alert", records.ALERT),
    Structure("ChangeCipherSpec", records.CHANGE_CIPHER_SPEC),
)
"""The record protocol and its smallest clients (§6.2, §7.1, §7.2)."""

STRUCTURES: Final = (
    *MESSAGES,
    *KEY_EXCHANGE,
    *EXTENSIONS,
    Structure("V2ClientHelloHeader", v2hello.V2_CLIENT_HELLO_HEADER),
    *RECORDS,
)
"""All of them; the grammars of single fields occur inside these."""
