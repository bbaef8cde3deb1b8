"""Values that make sense together."""

from __future__ import annotations

from itertools import pairwise

import pytest
from cryptography import x509
from hypothesis import given, settings
from hypothesis import strategies as st

from tlsexit.crypto.suites import SUITES, KeyType, Premaster
from tlsexit.fuzzing import tuned
from tlsexit.fuzzing.layout import CLIENT_KEYS
from tlsexit.handshake import keyexchange as kx
from tlsexit.handshake.agreement import SERVER_GRAMMARS
from tlsexit.handshake.choice import read_client_hello
from tlsexit.handshake.codec import GRAMMARS, encode
from tlsexit.handshake.hello import ClientHello
from tlsexit.handshake.offer import accept_server_hello
from tlsexit.profile import Profile
from tlsexit.wire import parse

examples = settings(max_examples=60, deadline=None)


@examples
@given(tuned.messages())
def test_any_message_is_legal_on_the_wire(message: object) -> None:
    raw = encode(message)
    assert parse(dict(GRAMMARS.values())[type(message)], raw[4:]) == message


@examples
@given(tuned.client_hellos(0x002F))
def test_a_server_can_read_the_hello(hello: ClientHello) -> None:
    offer = read_client_hello(hello, None, Profile.server())
    assert 0x002F in offer.hello.cipher_suites


@examples
@given(st.data())
def test_a_client_accepts_the_answer(data: st.DataObject) -> None:
    hello = data.draw(tuned.client_hellos(0x002F, 0xC013))
    answer = data.draw(tuned.server_hellos(hello))
    asked = {item.extension_type for item in hello.extensions or ()}
    assert {item.extension_type for item in answer.extensions or ()} <= asked
    profile = Profile.client(
        cipher_suites=(answer.cipher_suite,), alpn=("h2", "http/1.1", "imap"), encrypt_then_mac=False
    )
    own = {22, 1, 13172}  # what the client's profile has to have asked for itself
    if not own & {item.extension_type for item in answer.extensions or ()}:
        assert accept_server_hello(answer, hello, profile, None).suite.value == answer.cipher_suite


def test_a_hello_without_a_known_suite_has_no_answer() -> None:
    with pytest.raises(ValueError, match="no suite"):
        tuned.server_hellos(ClientHello(0x0301, bytes(32), b"", (0x0A0A,), (0,)))


@pytest.mark.parametrize("kind", KeyType)
def test_suites_agree_with_the_key(kind: KeyType) -> None:
    @examples
    @given(tuned.suites(certificate=kind, premaster=Premaster.DH) if kind is not KeyType.EC else tuned.suites())
    def check(suite: object) -> None:
        assert kind is KeyType.EC or suite.key_exchange.certificate is kind  # type: ignore[attr-defined]

    check()


@pytest.mark.parametrize("suite", [0x002F, 0x0033, 0xC009, 0x0034, 0x008C, 0x0090, 0x0094, 0xC035], ids=hex)
def test_key_exchanges_have_the_form_of_the_suite(suite: int) -> None:
    exchange = SUITES[suite].key_exchange

    @examples
    @given(tuned.server_key_exchanges(suite), tuned.client_key_exchanges(suite))
    def check(server: kx.ServerKeyExchange, client: kx.ClientKeyExchange) -> None:
        grammar = SERVER_GRAMMARS[exchange.premaster]
        _, _, signature = kx.parse_server_key_exchange(grammar, server, signed=exchange.signed)
        assert (signature is not None) is exchange.signed
        kx.parse_client_key_exchange(CLIENT_KEYS[exchange.premaster], client)

    check()


def test_chains_hold() -> None:
    @examples
    @given(tuned.chains())
    def check(message: object) -> None:
        chain = [x509.load_der_x509_certificate(der) for der in message.certificate_list]  # type: ignore[attr-defined]
        for below, above in pairwise(chain):
            below.verify_directly_issued_by(above)

    check()
