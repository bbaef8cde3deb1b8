"""Messages field by field: against what tlslite-ng reads in recordings of other implementations, and hostile input."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.captures import FILES, Captured, connections, find
from tests.support.ends import RSA
from tests.support.recorded import RecordedPair
from tlsexit.alerts import AlertDescription, AlertLevel
from tlsexit.constants import ContentType, Role
from tlsexit.crypto.suites import SUITES
from tlsexit.events import MessageSeen
from tlsexit.handshake.certificate import CertificateStatus
from tlsexit.handshake.codec import HandshakeReader
from tlsexit.handshake.enums import ExtensionType
from tlsexit.handshake.extensions import Extension
from tlsexit.handshake.finished import NextProtocol
from tlsexit.handshake.hello import ClientHello, ServerHello
from tlsexit.handshake.keyexchange import ClientKeyExchange, ServerKeyExchange
from tlsexit.records.grammar import Alert, ChangeCipherSpec
from tlsexit.trace import Decoded, Decoder, MessageRow

SOURCES = sorted(path.stem for path in FILES.glob("*.json"))

HIDDEN = {"pre_master_secret", "ticket"}
"""Fields of which only the length may be shown."""


def row(message: Any, sender: Role, raw: bytes = b"") -> MessageRow:
    """The row of a handshake message that the client saw."""
    seen = MessageSeen(sender is Role.CLIENT, ContentType.HANDSHAKE, message, raw, False)
    return MessageRow(0.0, Role.CLIENT, seen, len(raw))


def captured_row(message: Captured) -> MessageRow:
    reader = HandshakeReader(2**20)
    reader.feed(message.raw)
    complete = reader.next_message()
    assert complete is not None
    return row(complete[1], Role(message.sender), message.raw)


def flows() -> list[list[tuple[Captured, Decoded]]]:
    """Each recorded connection, decoded by one decoder."""
    found = []
    for source in SOURCES:
        for flow in connections(source):
            decoder = Decoder()
            # a hello in the SSL 2.0 format has no handshake header
            found.append([(m, decoder.decode(captured_row(m))) for m in flow if m.kind != "v2_client_hello"])
    return found


FLOWS = flows()
DECODED = [pair for flow in FLOWS for pair in flow]


def shown(value: Any) -> Any:
    """The plain form, with named numbers as numbers."""
    if isinstance(value, dict):
        return value["value"] if value.keys() == {"value", "name"} else {k: shown(v) for k, v in value.items()}
    return [shown(item) for item in value] if isinstance(value, list) else value


def pairs(*kinds: str) -> list[tuple[Captured, Decoded]]:
    found = [(message, decoded) for message, decoded in DECODED if message.kind in kinds]
    assert found, kinds
    return found


def test_every_recorded_message_is_decoded() -> None:
    assert len(SOURCES) > 15
    for message, decoded in DECODED:
        assert decoded.length == len(message.raw)
        assert decoded.sender.value == message.sender
        assert decoded.name.lower() == message.kind.replace("_", "")
        json.dumps(decoded.plain())
        assert next(iter(decoded.lines())).startswith(f"{message.sender} → ")


@pytest.mark.parametrize("kind", ["client_hello", "server_hello"])
def test_hellos_show_what_tlslite_reads(kind: str) -> None:
    for message, decoded in pairs(kind):
        fields = shown(decoded.plain()["fields"])
        random = message.hex("random")
        assert fields.pop("random") == {
            "gmt_unix_time": int.from_bytes(random[:4], "big"),
            "random_bytes": random[4:].hex(),
        }
        extensions = fields.pop("extensions")
        assert [item["extension_type"] for item in extensions] == [
            kind for kind, _ in message.fields["extensions"] or []
        ]
        for name, value in fields.items():
            assert value == message.fields[name], name


@pytest.mark.parametrize("kind", ["server_key_exchange", "client_key_exchange"])
def test_key_exchanges_show_what_tlslite_reads(kind: str) -> None:
    """The grammar follows from the suite in ServerHello, of every kind that was recorded."""
    for message, decoded in pairs(kind):
        fields = shown(decoded.plain()["fields"])
        expected = dict(message.fields)
        for name in ("psk_identity", "psk_identity_hint"):
            if name in expected:
                expected[name] = message.hex(name).decode("ascii")
        for name in HIDDEN & expected.keys():
            expected[name] = {"length": len(message.hex(name))}
        assert fields == expected


def test_the_rest_shows_what_tlslite_reads() -> None:
    for message, decoded in pairs("certificate_request"):
        fields = shown(decoded.plain()["fields"])
        assert fields["certificate_types"] == message.fields["certificate_types"]
        assert len(fields["certificate_authorities"]) == len(message.fields["certificate_authorities"])
    for message, decoded in pairs("certificate_verify", "finished"):
        assert shown(decoded.plain()["fields"]) == message.fields
    for message, decoded in pairs("new_session_ticket"):
        fields = shown(decoded.plain()["fields"])
        assert fields["ticket_lifetime_hint"] == message.fields["ticket_lifetime_hint"]
        assert fields["ticket"] == {"length": len(message.hex("ticket"))}
    for _, decoded in pairs("server_hello_done"):
        assert decoded.plain()["fields"] == {}


def test_certificates_are_summarised() -> None:
    for message, decoded in pairs("certificate"):
        summaries = decoded.plain()["fields"]["certificate_list"]
        lengths = [len(bytes.fromhex(item)) for item in message.fields["certificate_list"]]
        assert [item["length"] for item in summaries] == lengths
        for item in summaries:
            assert item["subject"]
            assert item["public_key"].split()[0] in ("RSA", "DSA", "ECDSA")
            assert item["not_before"] < item["not_after"]


def test_extensions_are_decoded_by_the_one_who_sent_them() -> None:
    """server_name has a list of names from the client and an empty body from the server."""
    message = find("openssl-ecdhe-rsa-extensions", "client_hello")
    fields = Decoder().decode(captured_row(message)).plain()["fields"]
    bodies = {item["extension_type"]["name"]: item["extension_data"] for item in fields["extensions"]}
    assert bodies["server_name"][0]["name_type"] == {"value": 0, "name": "host_name"}
    assert bodies["server_name"][0]["name"].isascii()
    assert {"value": 23, "name": "secp256r1"} in bodies["supported_groups"]
    assert {"value": 0, "name": "UNCOMPRESSED"} in bodies["ec_point_formats"]
    answer = find("openssl-ecdhe-rsa-extensions", "server_hello")
    decoder = Decoder()
    fields = decoder.decode(captured_row(answer)).plain()["fields"]
    assert decoder.server_extensions == {kind for kind, _ in answer.fields["extensions"]}
    assert fields["cipher_suite"]["name"] == SUITES[answer.fields["cipher_suite"]].name


def hello(*extensions: tuple[int, str], suites: tuple[int, ...] = (0x002F,)) -> dict[str, Any]:
    """The decoded fields of a ClientHello with these extensions, bodies in hex."""
    listed = tuple(Extension(kind, bytes.fromhex(body)) for kind, body in extensions)
    message = ClientHello(0x0301, bytes(32), b"", suites, (0, 1, 64), listed)
    fields: dict[str, Any] = Decoder().decode(row(message, Role.CLIENT)).plain()["fields"]
    return fields


@pytest.mark.parametrize(
    ("kind", "body", "expected"),
    [
        (ExtensionType.MAX_FRAGMENT_LENGTH, "01", {"value": 1, "name": "2^9 bytes"}),
        (ExtensionType.RENEGOTIATION_INFO, "0401020304", "01020304"),
        (ExtensionType.SESSION_TICKET, "aabbcc", {"length": 3}),
        (ExtensionType.APPLICATION_LAYER_PROTOCOL_NEGOTIATION, "000c02683208687474702f312e31", ["h2", "http/1.1"]),
        (ExtensionType.SIGNED_CERTIFICATE_TIMESTAMP, "", None),
        (ExtensionType.ENCRYPT_THEN_MAC, "", None),
        (
            ExtensionType.STATUS_REQUEST,
            "0100000000",
            {
                "status_type": {"value": 1, "name": "ocsp"},
                "request": {"responder_id_list": [], "request_extensions": ""},
            },
        ),
        (ExtensionType.STATUS_REQUEST, "07ff", {"status_type": {"value": 7, "name": None}, "request": "ff"}),
        (
            ExtensionType.TRUSTED_CA_KEYS,
            "0001" + "00",
            [{"identifier_type": {"value": 0, "name": "pre_agreed"}, "identifier": None}],
        ),
    ],
)
def test_bodies_of_extensions(kind: int, body: str, expected: Any) -> None:
    """RFC 6066, RFC 5746, RFC 5077, RFC 7301, RFC 6962, RFC 7366."""
    (item,) = hello((kind, body))["extensions"]
    assert item["extension_data"] == expected


def test_trusted_authorities_are_shown_by_name() -> None:
    """RFC 6066 §6: x509_name holds a DistinguishedName."""
    name = bytes.fromhex("300f310d300b06035504030c0454657374")
    body = b"\x02" + len(name).to_bytes(2, "big") + name
    (item,) = hello((ExtensionType.TRUSTED_CA_KEYS, (len(body).to_bytes(2, "big") + body).hex()))["extensions"]
    assert item["extension_data"] == [{"identifier_type": {"value": 2, "name": "x509_name"}, "identifier": "CN=Test"}]


def test_unknown_numbers_are_shown_as_numbers() -> None:
    fields = hello((0x2A2A, "beef"), suites=(0x002F, 0x1301, 0x00FF, 0x000D))
    assert fields["cipher_suites"] == [
        {"value": 0x002F, "name": "TLS_RSA_WITH_AES_128_CBC_SHA"},
        {"value": 0x1301, "name": None},
        {"value": 0x00FF, "name": "TLS_EMPTY_RENEGOTIATION_INFO_SCSV"},
        {"value": 0x000D, "name": "TLS_DH_DSS_WITH_3DES_EDE_CBC_SHA"},
    ]
    assert fields["compression_methods"][2] == {"value": 64, "name": None}
    assert fields["extensions"] == [{"extension_type": {"value": 0x2A2A, "name": None}, "extension_data": "beef"}]


def test_extensions_of_later_versions_have_their_names() -> None:
    (item,) = hello((43, "020304"))["extensions"]
    assert item == {"extension_type": {"value": 43, "name": "supported_versions"}, "extension_data": "020304"}


def test_a_malformed_extension_is_shown_with_the_reason() -> None:
    (item,) = hello((ExtensionType.SUPPORTED_GROUPS, "0005000100"))["extensions"]
    assert item["extension_data"]["data"] == "0005000100"
    assert item["extension_data"]["malformed"]


@pytest.mark.parametrize("name", [b"evil\x1b[31m.example", b"line\nbreak", "ä".encode()])
def test_a_name_cannot_reach_the_terminal(name: bytes) -> None:
    entry = b"\x00" + len(name).to_bytes(2, "big") + name
    (item,) = hello((0, (len(entry).to_bytes(2, "big") + entry).hex()))["extensions"]
    assert item["extension_data"][0]["name"].isprintable()


def test_alerts_and_key_changes() -> None:
    def decode(content_type: ContentType, message: object) -> dict[str, Any]:
        seen = MessageSeen(False, content_type, message, b"..", True)
        decoded = Decoder().decode(MessageRow(0.0, Role.CLIENT, seen, 2))
        assert decoded.protected
        assert decoded.sender is Role.SERVER
        fields: dict[str, Any] = decoded.plain()["fields"]
        return fields

    assert decode(ContentType.ALERT, Alert(AlertLevel.FATAL, AlertDescription.UNKNOWN_CA)) == {
        "level": {"value": 2, "name": "fatal"},
        "description": {"value": 48, "name": "unknown_ca"},
    }
    assert decode(ContentType.ALERT, Alert(9, 199))["description"] == {"value": 199, "name": None}
    assert decode(ContentType.CHANGE_CIPHER_SPEC, ChangeCipherSpec(1)) == {
        "type": {"value": 1, "name": "change_cipher_spec"}
    }


def test_application_data_is_counted_not_shown() -> None:
    seen = MessageSeen(True, ContentType.APPLICATION_DATA, None, b"secret words", True)
    decoded = Decoder().decode(MessageRow(0.0, Role.CLIENT, seen, 12))
    assert decoded.plain()["fields"] == {"data": {"length": 12}}
    assert list(decoded.lines()) == [
        "client → server: Application Data (RFC 2246 §10), 12 bytes, protected",
        "  data                 12 bytes",
    ]


def test_a_stapled_response_is_shown() -> None:
    decoded = Decoder().decode(row(CertificateStatus(1, b"\x30\x03"), Role.SERVER))
    assert decoded.plain()["fields"] == {"status_type": {"value": 1, "name": "ocsp"}, "response": "3003"}
    assert "(RFC 6066 §8)" in next(iter(decoded.lines()))


def test_a_choice_of_protocol_is_shown() -> None:
    decoded = Decoder().decode(row(NextProtocol(b"h2", bytes(2)), Role.CLIENT))
    assert decoded.plain()["fields"] == {"selected_protocol": "h2", "padding": "0000"}
    assert "(draft-agl-tls-nextprotoneg-04 §3)" in next(iter(decoded.lines()))


def server_hello(suite: int) -> ServerHello:
    return ServerHello(0x0301, bytes(32), b"", suite, 0)


@given(suite=st.sampled_from([*SUITES, 0x1301]), body=st.binary(max_size=60))
def test_key_exchange_bodies_never_fail(suite: int, body: bytes) -> None:
    """What does not match the suite's grammar is shown by its length; an unknown suite has no grammar."""
    decoder = Decoder()
    decoder.decode(row(server_hello(suite), Role.SERVER))
    for message, sender in ((ServerKeyExchange(body), Role.SERVER), (ClientKeyExchange(body), Role.CLIENT)):
        decoded = decoder.decode(row(message, sender))
        json.dumps(decoded.plain())
        assert list(decoded.lines())


def test_a_key_exchange_without_a_hello_is_only_counted() -> None:
    assert Decoder().decode(row(ServerKeyExchange(b"abc"), Role.SERVER)).plain()["fields"] == {"body": {"length": 3}}


def test_no_secret_is_shown() -> None:
    """Of the encrypted premaster secret only the length: whoever has the server's key could open it."""
    pair = RecordedPair(RSA)
    client, server = pair.connect()
    pair.talk(client, server)
    decoder = Decoder()
    session = client.connection.session
    assert session is not None
    for entry in pair.recorder.entries:
        if isinstance(entry.seen, MessageSeen):
            decoded = decoder.decode(MessageRow(0.0, entry.end, entry.seen, len(entry.seen.raw)))
            text = "\n".join(decoded.lines()) + json.dumps(decoded.plain())
            assert session.master_secret.hex() not in text
            if isinstance(entry.seen.message, ClientKeyExchange):
                assert entry.seen.message.body[2:].hex() not in text
                assert decoded.plain()["fields"] == {"pre_master_secret": {"length": 256}}
