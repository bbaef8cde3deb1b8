"""§7.3: the order of messages, and §7.4: messages in general."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from tlsexit.conformance.actions import (
    Check,
    Do,
    Observe,
    Send,
    before,
    completed_and_closed,
    connect,
    established,
    expect,
    handshake,
    onwards,
    refused,
    skip,
    through,
)
from tlsexit.conformance.actions import Resume as By
from tlsexit.conformance.expect import refusal, silent
from tlsexit.conformance.model import Group
from tlsexit.conformance.needs import ANONYMOUS, ASKS, EPHEMERAL, RESUMES, RSA, SHOWS, SHOWS_NOT
from tlsexit.conformance.talk import Talk
from tlsexit.constants import ContentType
from tlsexit.handshake.certificate import Certificate, CertificateRequest, CertificateStatus, CertificateVerify
from tlsexit.handshake.finished import Finished, NewSessionTicket
from tlsexit.handshake.hello import ClientHello, ServerHello, ServerHelloDone
from tlsexit.handshake.keyexchange import ClientKeyExchange, ServerKeyExchange
from tlsexit.puppet.steps import (
    certificate_message,
    certificate_request,
    certificate_verify,
    change_cipher_spec,
    client_hello,
    client_key_exchange,
    finished,
    finished_with,
    raw_message,
    record,
    server_hello,
    server_hello_done,
    server_key_exchange,
)
from tlsexit.puppet.writer import flip_first
from tlsexit.records.grammar import ChangeCipherSpec

order = Group("7.3")
messages = Group("7.4")


def _kinds(talk: Talk) -> list[type]:
    return [type(item) for item in talk.puppet.messages]


def _compare(found: list[type], wanted: list[type]) -> str | None:
    if found == wanted:
        return None
    return f"{', '.join(kind.__name__ for kind in found)} came, not {', '.join(kind.__name__ for kind in wanted)}"


def server_flight(talk: Talk) -> str | None:
    """ServerHello to ServerHelloDone, each that the suite needs, none that it does not have."""
    found, exchange = _kinds(talk), talk.puppet.exchange
    if ServerHelloDone not in found:
        return "ServerHelloDone did not come"
    flight = found[: found.index(ServerHelloDone) + 1]
    optional = {CertificateStatus, CertificateRequest}
    if exchange.optional_server_key_exchange:
        optional.add(ServerKeyExchange)
    wanted = [
        ServerHello,
        *([Certificate] if exchange.certificate is not None else []),
        CertificateStatus,
        *([ServerKeyExchange] if exchange.server_key_exchange or exchange.optional_server_key_exchange else []),
        *([] if exchange.anonymous else [CertificateRequest]),
        ServerHelloDone,
    ]
    return _compare(flight, [kind for kind in wanted if kind not in optional or kind in flight])


def client_flight(talk: Talk) -> str | None:
    """What a client sends: Certificate if it was asked, CertificateVerify if it showed one that signs."""
    puppet = talk.puppet
    shown = bool(puppet.peer_chain)
    wanted: list[type] = [
        ClientHello,
        *([Certificate] if talk.requests else []),
        ClientKeyExchange,
        *([CertificateVerify] if shown else []),
        ChangeCipherSpec,
        Finished,
    ]
    return _compare(_kinds(talk)[: len(wanted)], wanted)


def an_empty_certificate(talk: Talk) -> str | None:
    """The client without a certificate has said so."""
    lists = [item.certificate_list for item in talk.puppet.messages if isinstance(item, Certificate)]
    return None if lists == [()] else "the client did not answer with an empty Certificate"


def resumed_server_flight(talk: Talk) -> str | None:
    """ServerHello with the offered id, perhaps a new ticket, ChangeCipherSpec, Finished."""
    if not talk.puppet.resumed:
        talk.inapplicable("the server did not take the session up again")
    found = _kinds(talk)
    ticket = [NewSessionTicket] if NewSessionTicket in found else []
    return _compare(found, [ServerHello, *ticket, ChangeCipherSpec, Finished])


def resumed_client_flight(talk: Talk) -> str | None:
    """ClientHello, ChangeCipherSpec, Finished."""
    return _compare(_kinds(talk)[:3], [ClientHello, ChangeCipherSpec, Finished])


def no_key_change_yet(talk: Talk) -> str | None:
    """The server has not sent ChangeCipherSpec."""
    return "ChangeCipherSpec came before the client's Finished" if ChangeCipherSpec in _kinds(talk) else None


def no_client_finished(talk: Talk) -> str | None:
    """The client has not sent Finished."""
    return "the client sent its Finished all the same" if Finished in _kinds(talk) else None


def offered(talk: Talk) -> None:
    """End the conversation unless the client has offered the session to be resumed."""
    hello, session = talk.puppet.client_hello, talk.puppet.session
    if hello is None or session is None or hello.session_id != session.session_id:
        talk.inapplicable("the client did not offer its session again")


def whole_messages(talk: Talk) -> str | None:
    """Every handshake byte belongs to a message whose header tells its length."""
    carried = sum(len(item.content) for item in talk.puppet.records if item.content_type == ContentType.HANDSHAKE)
    said = sum(
        len(item.raw)
        for item in talk.puppet.heard
        # a hello in SSL 2.0 format comes outside records
        if item.content_type is ContentType.HANDSHAKE and item.raw[1:3] != b"\x03\x01"
    )
    return None if carried == said else f"{carried - said} bytes of handshake records belong to no message"


RESUMED: Final = (*completed_and_closed(), connect(resume=By.ID))


def _server_orders() -> Any:
    for name, choice in (("rsa", RSA), ("ephemeral", EPHEMERAL), ("anonymous", ANONYMOUS)):
        yield order.server(
            f"server-flight-{name}",
            f"the server's flight has its messages in order ({choice.name})",
            "R2246-7.3-01",
            "R2246-7.4.3-01" if choice is EPHEMERAL else "R2246-7.4.2-02" if choice is ANONYMOUS else "R2246-7.4.2-01",
            *(("R2246-7.4.3-02",) if choice is RSA else ()),
            connect=connect(suites=choice),
            conversation=(Observe(), Check(server_flight)),
        )


_OUT_OF_ORDER: Final = (
    messages.server(
        "no-client-key-exchange",
        "ChangeCipherSpec without ClientKeyExchange before it is refused",
        "R2246-7.4-02",
        conversation=(
            before("client_key_exchange"),
            skip("client_key_exchange", "certificate_verify"),
            Send(change_cipher_spec),
            Send(finished),
            refused(),
        ),
    ),
    messages.server(
        "finished-first",
        "Finished in place of ClientKeyExchange is refused",
        "R2246-7.4-02",
        conversation=(before("client_key_exchange"), Send(finished), refused()),
    ),
    messages.server(
        "second-hello",
        "a second ClientHello in the middle of a handshake is refused",
        "R2246-7.4-02",
        "R2246-7.4-04",
        conversation=(through("client_hello"), Send(client_hello), refused()),
    ),
    messages.server(
        "verify-too-early",
        "CertificateVerify before ClientKeyExchange is refused",
        "R2246-7.4-02",
        needs=(ASKS,),
        conversation=(before("client_key_exchange"), Send(certificate_verify), refused()),
    ),
    messages.client(
        "key-exchange-too-early",
        "ServerKeyExchange before Certificate is refused",
        "R2246-7.4-02",
        connect=connect(suites=EPHEMERAL),
        conversation=(through("server_hello"), Send(server_key_exchange), refused()),
    ),
    messages.client(
        "request-too-early",
        "ServerKeyExchange behind CertificateRequest is refused",
        "R2246-7.4-02",
        "R2246-7.4.3-01",
        connect=connect(suites=EPHEMERAL),
        conversation=(
            through("certificate"),
            Send(certificate_request),
            Send(server_key_exchange),
            refused(),
        ),
    ),
    messages.client(
        "done-twice",
        "a second ServerHelloDone is refused",
        "R2246-7.4-02",
        "R2246-7.4-04",
        conversation=(through("server_hello_done"), Send(replace(server_hello_done, waits=False)), refused()),
    ),
)

_TWICE: Final = (
    messages.server(
        "key-exchange-twice",
        "a second ClientKeyExchange is refused",
        "R2246-7.4-04",
        conversation=(through("client_key_exchange"), Send(client_key_exchange), refused()),
    ),
    messages.server(
        "certificate-twice",
        "a second Certificate of the client is refused",
        "R2246-7.4-04",
        needs=(ASKS,),
        conversation=(through("certificate"), Send(certificate_message), refused()),
    ),
    messages.client(
        "hello-twice",
        "a second ServerHello is refused",
        "R2246-7.4-04",
        conversation=(through("server_hello"), Send(server_hello), refused()),
    ),
    messages.client(
        "server-certificate-twice",
        "a second Certificate of the server is refused",
        "R2246-7.4-04",
        conversation=(through("certificate"), Send(certificate_message), refused()),
    ),
)

UNKNOWN: Final = raw_message(99, bytes(4), hashed=False)

PROBES: Final = (
    *_server_orders(),
    order.client(
        "client-flight",
        "the client's flight has its messages in order",
        "R2246-7.3-02",
        conversation=(Observe(), Check(client_flight)),
    ),
    order.client(
        "client-flight-asked",
        "a client that is asked for a certificate has its messages in order",
        "R2246-7.3-02",
        "R2246-7.3-03",
        connect=connect(request=True),
        needs=(SHOWS,),
        conversation=(Observe(), Check(client_flight)),
    ),
    order.client(
        "nothing-to-show",
        "a client without a certificate answers CertificateRequest with an empty Certificate",
        "R2246-7.3-03",
        connect=connect(request=True),
        needs=(SHOWS_NOT,),
        conversation=(Observe(), Check(client_flight), Check(an_empty_certificate)),
    ),
    order.server(
        "no-certificate-message",
        "a client that was asked cannot leave Certificate out",
        "R2246-7.3-03",
        needs=(ASKS,),
        conversation=(before("certificate"), skip("certificate"), Send(client_key_exchange), refused()),
    ),
    order.client(
        "server-finishes-first",
        "the server's ChangeCipherSpec in place of ServerHelloDone is refused",
        "R2246-7.3-04",
        conversation=(
            before("server_hello_done"),
            Send(replace(change_cipher_spec, waits=False)),
            Send(replace(finished, waits=False)),
            refused(),
        ),
    ),
    order.server(
        "waits-for-finished",
        "the server sends no ChangeCipherSpec before the client's Finished has come",
        "R2246-7.3-04",
        conversation=(
            through("change_cipher_spec"),
            Do(lambda talk: talk.note_mark()),
            expect(silent()),
            Check(no_key_change_yet),
            onwards("finished"),
            established(),
        ),
    ),
    order.server(
        "abbreviated",
        "an abbreviated handshake has ServerHello, ChangeCipherSpec and Finished, nothing else",
        "R2246-7.3-05",
        "R2246-7.3-06",
        "R2246-7.4.1.3-04",
        needs=(RESUMES,),
        conversation=(*RESUMED, handshake(), established(), Check(resumed_server_flight)),
    ),
    order.client(
        "abbreviated",
        "in an abbreviated handshake the client sends ChangeCipherSpec and Finished, nothing else",
        "R2246-7.3-05",
        "R2246-7.3-06",
        needs=(RESUMES,),
        conversation=(*RESUMED, Do(offered), handshake(), established(), Check(resumed_client_flight)),
    ),
    order.client(
        "abbreviated-wrong-finished",
        "a client that resumes does not finish when the server's Finished is wrong",
        "R2246-7.3-05",
        needs=(RESUMES,),
        conversation=(
            *RESUMED,
            Do(offered),
            before("finished"),
            Send(finished_with(flip_first)),
            refused(),
            Check(no_client_finished),
        ),
    ),
    order.client(
        "abbreviated-certificate",
        "Certificate after a ServerHello that takes the session up again is refused",
        "R2246-7.3-06",
        "R2246-7.4.1.3-05",
        needs=(RESUMES,),
        conversation=(*RESUMED, Do(offered), through("server_hello"), Send(certificate_message), refused()),
    ),
    *messages.both(
        "header",
        "each message has a type, a length of three bytes and as many bytes of body",
        "R2246-7.4-01",
        conversation=(Observe(), Check(whole_messages)),
    ),
    *_OUT_OF_ORDER,
    *_TWICE,
    *messages.both(
        "unknown-type",
        "a message of unknown type within the handshake is refused",
        "R2246-7.4-03",
        conversation=(before("change_cipher_spec"), Send(UNKNOWN), refused()),
    ),
    *messages.both(
        "unknown-type-later",
        "a message of unknown type after the handshake is refused",
        "R2246-7.4-03",
        conversation=(handshake(), established(), Send(UNKNOWN), refused()),
    ),
    messages.server(
        "huge-length",
        "a length of 2^24-1 costs nothing before the data has come",
        "R2246-7.4-05",
        conversation=(
            before("client_key_exchange"),
            Send(record(22, b"\x10\xff\xff\xff" + bytes(10))),
            expect(refusal(), silent().noted("it waits for the rest")),
        ),
    ),
    messages.client(
        "huge-length",
        "a length of 2^24-1 costs nothing before the data has come",
        "R2246-7.4-05",
        conversation=(
            through("server_hello"),
            Send(record(22, b"\x0b\xff\xff\xff" + bytes(10))),
            expect(refusal(), silent().noted("it waits for the rest")),
        ),
    ),
)
