"""The bodies of known extensions, against recordings and against the RFC that defines each."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import captures
from tests.support.captures import find as captured
from tlsexit.alerts import DecodeError, IllegalParameter, LocalError
from tlsexit.constants import Role
from tlsexit.handshake import extensions as ext
from tlsexit.handshake.enums import CertificateStatusType, ExtensionType, IdentifierType, NameType
from tlsexit.handshake.hello import ClientHello, Extension, ServerHello
from tlsexit.wire import Leaf, build, parse

RICH = "openssl-ecdhe-rsa-extensions"  # -servername localhost -alpn h2,http/1.1 -status -maxfraglen 1024 -ct


def client_hello(source: str) -> ClientHello:
    hello: ClientHello = captures.value(captured(source, "client_hello"))
    return hello


def server_hello(source: str) -> ServerHello:
    hello: ServerHello = captures.value(captured(source, "server_hello"))
    return hello


@pytest.mark.parametrize("message", captures.of_kind("client_hello", "server_hello"), ids=str)
def test_every_captured_body_has_one_reading_and_one_spelling(message: captures.Captured) -> None:
    """Known bodies from six implementations parse and are rebuilt byte for byte; unknown ones are kept."""
    role = Role.CLIENT if message.kind == "client_hello" else Role.SERVER
    hello = captures.value(message)
    assert hello.extensions is not None
    for extension in hello.extensions:
        grammar = ext.BODIES[role].get(extension.extension_type)
        if grammar is not None:
            value = parse(grammar, extension.extension_data, str(extension.extension_type))
            assert build(grammar, value) == extension.extension_data


def test_what_the_command_line_asked_for_is_in_the_client_hello() -> None:
    """Expectations are the arguments of s_client."""
    listed = client_hello(RICH).extensions
    assert ext.read(listed, ExtensionType.SERVER_NAME, ext.SERVER_NAME_LIST) == (
        ext.ServerName(NameType.HOST_NAME, b"localhost"),
    )
    assert ext.read(listed, ExtensionType.APPLICATION_LAYER_PROTOCOL_NEGOTIATION, ext.PROTOCOL_NAME_LIST) == (
        b"h2",
        b"http/1.1",
    )
    assert ext.read(
        listed, ExtensionType.STATUS_REQUEST, ext.CERTIFICATE_STATUS_REQUEST
    ) == ext.CertificateStatusRequest(CertificateStatusType.OCSP, ext.OCSPStatusRequest())
    assert ext.read(listed, ExtensionType.MAX_FRAGMENT_LENGTH, ext.MAX_FRAGMENT_LENGTH) == 2
    assert ext.read(listed, ExtensionType.SIGNED_CERTIFICATE_TIMESTAMP, ext.EMPTY) == b""
    assert ext.read(listed, ExtensionType.EXTENDED_MASTER_SECRET, ext.EMPTY) == b""
    assert ext.read(listed, ExtensionType.SESSION_TICKET, ext.SESSION_TICKET) == b""
    # openssl s_client -groups defaults: X25519, P-256, X448, P-521, P-384
    assert ext.read(listed, ExtensionType.SUPPORTED_GROUPS, ext.SUPPORTED_GROUPS) == (29, 23, 30, 25, 24)
    assert ext.read(listed, ExtensionType.EC_POINT_FORMATS, ext.EC_POINT_FORMATS) == (0, 1, 2)
    assert ext.read(listed, ExtensionType.RENEGOTIATION_INFO, ext.RENEGOTIATION_INFO) is None


def test_the_server_answers_in_its_own_forms() -> None:
    """R5746-3.6-01: FF 01 00 01 00; R7301-3.1-01: exactly one protocol; R4366-3.6-01: an empty status_request."""
    listed = server_hello(RICH).extensions
    forms = ext.BODIES[Role.SERVER]
    assert ext.read(listed, ExtensionType.RENEGOTIATION_INFO, ext.RENEGOTIATION_INFO) == b""
    assert ext.read(listed, ExtensionType.APPLICATION_LAYER_PROTOCOL_NEGOTIATION, ext.PROTOCOL_NAME_LIST) == (
        b"http/1.1",
    )
    assert ext.read(listed, ExtensionType.STATUS_REQUEST, forms[ExtensionType.STATUS_REQUEST]) == b""
    assert ext.read(listed, ExtensionType.SESSION_TICKET, forms[ExtensionType.SESSION_TICKET]) == b""


def test_a_renegotiation_carries_the_finished_messages_before_it() -> None:
    """R5746-3.5-01: the client's 12 bytes, then in the reply both; a recording in a suite without encryption."""
    (flow,) = captures.connections("openssl-null-renegotiation")
    hellos = [captures.value(m) for m in flow if m.kind.endswith("_hello")]
    client, server = [m.hex("verify_data") for m in flow if m.kind == "finished"][:2]
    assert len(client) == len(server) == 12
    found = [ext.read(h.extensions, ExtensionType.RENEGOTIATION_INFO, ext.RENEGOTIATION_INFO) for h in hellos]
    assert found == [None, b"", client, client + server]


def test_a_ticket_is_sent_back_bare() -> None:
    """R5077-3.2-01: "the extension data is the bare ticket without inner length"."""
    first, second = captures.connections("openssl-ticket-resumption")
    (ticket,) = [m.hex("ticket") for m in first if m.kind == "new_session_ticket"]
    resuming = captures.value(second[0])
    assert ext.read(resuming.extensions, ExtensionType.SESSION_TICKET, ext.SESSION_TICKET) == ticket


def test_gnutls_asks_for_small_records() -> None:
    """R4366-3.2-01; ``gnutls-cli --recordsize 512`` is 2^9(1), and OpenSSL echoes it."""
    for hello in (client_hello("gnutls-client-dhe-dss"), server_hello("gnutls-client-dhe-dss")):
        assert ext.read(hello.extensions, ExtensionType.MAX_FRAGMENT_LENGTH, ext.MAX_FRAGMENT_LENGTH) == 1


@pytest.mark.parametrize(
    ("grammar", "body", "value"),
    [
        # RFC 6066 §3
        (
            ext.SERVER_NAME_LIST,
            "000b" + "00" + "0003" + "612e62" + "01" + "0002" + "ffff",
            (ext.ServerName(0, b"a.b"), ext.ServerName(1, b"\xff\xff")),
        ),
        # RFC 6066 §6, one of each kind
        (
            ext.TRUSTED_AUTHORITIES,
            "0030" + "00" + "01" + "11" * 20 + "02" + "0002" + "3000" + "03" + "22" * 20,
            (
                ext.TrustedAuthority(IdentifierType.PRE_AGREED, b""),
                ext.TrustedAuthority(IdentifierType.KEY_SHA1_HASH, b"\x11" * 20),
                ext.TrustedAuthority(IdentifierType.X509_NAME, b"\x30\x00"),
                ext.TrustedAuthority(IdentifierType.CERT_SHA1_HASH, b"\x22" * 20),
            ),
        ),
        # RFC 6066 §8
        (
            ext.CERTIFICATE_STATUS_REQUEST,
            "01" + "0004" + "0002a1a2" + "0001" + "30",
            ext.CertificateStatusRequest(1, ext.OCSPStatusRequest((b"\xa1\xa2",), b"\x30")),
        ),
        (ext.CERTIFICATE_STATUS_REQUEST, "02" + "0007cafe", ext.CertificateStatusRequest(2, b"\x00\x07\xca\xfe")),
        # RFC 6962 §3.3
        (ext.SIGNED_CERTIFICATE_TIMESTAMP_LIST, "0006" + "0001aa" + "0001bb", (b"\xaa", b"\xbb")),
        # RFC 7301 §3.1
        (ext.PROTOCOL_NAME_LIST, "0002" + "0161", (b"a",)),
    ],
)
def test_bodies_written_by_hand(grammar: Leaf[object], body: str, value: object) -> None:
    assert parse(grammar, bytes.fromhex(body)) == value
    assert build(grammar, value) == bytes.fromhex(body)


@pytest.mark.parametrize(
    ("grammar", "body"),
    [
        (ext.SERVER_NAME_LIST, ""),  # a client's is never empty
        (ext.SERVER_NAME_LIST, "0000"),
        (ext.SERVER_NAME_LIST, "0003" + "00" + "0000"),  # HostName<1..2^16-1>
        (ext.SERVER_NAME_LIST, "0004" + "00" + "0002" + "61"),
        (ext.SUPPORTED_GROUPS, "0000"),
        (ext.SUPPORTED_GROUPS, "0003" + "001700"),
        (ext.EC_POINT_FORMATS, "00"),
        (ext.PROTOCOL_NAME_LIST, "0000"),
        (ext.PROTOCOL_NAME_LIST, "0001" + "00"),
        (ext.PROTOCOL_NAME_LIST, "0003" + "0161" + "00"),  # ProtocolName<1..2^8-1>
        (ext.TRUSTED_AUTHORITIES, "0014" + "01" + "11" * 19),
        (ext.CERTIFICATE_STATUS_REQUEST, "01" + "0000"),
        (ext.CERTIFICATE_STATUS_REQUEST, "01" + "00020000" + "0000"),  # ResponderID<1..2^16-1>
        (ext.RENEGOTIATION_INFO, ""),
        (ext.RENEGOTIATION_INFO, "02aa"),
        (ext.EMPTY, "00"),
        (ext.MAX_FRAGMENT_LENGTH, ""),
    ],
)
def test_malformed_bodies(grammar: Leaf[object], body: str) -> None:
    """R2246-4.3-03, R2246-4.3-04, R2246-4.3-05."""
    with pytest.raises(DecodeError):
        parse(grammar, bytes.fromhex(body))


@pytest.mark.parametrize("code", [0, 5, 255])
def test_max_fragment_length_has_four_values(code: int) -> None:
    """R4366-3.2-01 names the alert."""
    with pytest.raises(IllegalParameter):
        parse(ext.MAX_FRAGMENT_LENGTH, bytes([code]))
    with pytest.raises(LocalError):
        build(ext.MAX_FRAGMENT_LENGTH, code)


def test_unknown_kinds_of_authority_are_illegal() -> None:
    """R2246-4.5-01; without knowing the kind nobody could tell where the next entry begins."""
    with pytest.raises(IllegalParameter, match=r"trusted_ca_keys: 0\.identifier_type: 4"):
        parse(ext.TRUSTED_AUTHORITIES, bytes.fromhex("0001" + "04"), "trusted_ca_keys")


def test_a_body_error_names_the_extension() -> None:
    with pytest.raises(DecodeError, match="renegotiation_info: length 2"):
        ext.read((Extension(0xFF01, b"\x02\x00"),), ExtensionType.RENEGOTIATION_INFO, ext.RENEGOTIATION_INFO)


def test_find_takes_a_missing_list() -> None:
    assert ext.find(None, ExtensionType.SERVER_NAME) is None
    assert ext.find((), ExtensionType.SERVER_NAME) is None
    assert ext.find((Extension(35, b"t"), Extension(0, b"s")), ExtensionType.SERVER_NAME) == b"s"


def test_an_extension_is_made_from_its_value() -> None:
    made = ext.extension(ExtensionType.SUPPORTED_GROUPS, ext.SUPPORTED_GROUPS, (29, 23))
    assert made == Extension(10, bytes.fromhex("0004001d0017"))
    with pytest.raises(LocalError, match="supported_groups"):
        ext.extension(ExtensionType.SUPPORTED_GROUPS, ext.SUPPORTED_GROUPS, ())


def test_one_name_of_each_type() -> None:
    """R6066-3-01."""
    assert ext.host_name(()) is None
    assert ext.host_name((ext.ServerName(7, b"x"), ext.ServerName(0, b"a.example"))) == b"a.example"
    for kind in (0, 7):
        with pytest.raises(IllegalParameter, match=f"two names of type {kind}"):
            ext.host_name((ext.ServerName(kind, b"a"), ext.ServerName(kind, b"b")))


@given(st.lists(st.tuples(st.integers(0, 2**16 - 1), st.binary(max_size=300)), max_size=6))
def test_what_is_remembered_of_a_list_is_what_it_says(items: list[tuple[int, bytes]]) -> None:
    """R4366-2.3-02: the second time as the first, be the list short or long, be it refused or not."""
    body = b"".join(kind.to_bytes(2, "big") + len(data).to_bytes(2, "big") + data for kind, data in items)
    block = len(body).to_bytes(2, "big") + body
    twice = len({kind for kind, _ in items}) < len(items)
    for _ in range(2):
        if twice:
            with pytest.raises(IllegalParameter, match="appears twice"):
                parse(ext.EXTENSIONS, block)
        else:
            assert parse(ext.EXTENSIONS, block) == tuple(Extension(kind, data) for kind, data in items)


@given(st.sampled_from([Role.CLIENT, Role.SERVER]), st.sampled_from(list(ExtensionType)), st.binary(max_size=300))
def test_what_is_remembered_of_a_body_is_what_it_says(role: Role, kind: ExtensionType, data: bytes) -> None:
    grammar = ext.BODIES[role].get(kind)
    if grammar is None:
        return
    try:
        expected = parse(grammar, data)
    except (DecodeError, IllegalParameter) as refused:
        for _ in range(2):
            with pytest.raises(type(refused)):
                ext.read_body(grammar, data, "")
    else:
        for _ in range(2):
            assert ext.read_body(grammar, data, "") == expected
