"""§7.4.1: hello messages, and §7.4.1.1: HelloRequest."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from tlsexit.conformance.actions import (
    Alive,
    Check,
    Do,
    Send,
    connect,
    established,
    expect,
    handshake,
    refused,
    through,
)
from tlsexit.conformance.actions import after as rest
from tlsexit.conformance.expect import alert, answered, closed, completed, refusal, said, silent, warning
from tlsexit.conformance.model import Group
from tlsexit.conformance.needs import HELLO_REQUEST, RENEGOTIATES, RENEGOTIATES_NOT
from tlsexit.conformance.talk import Talk
from tlsexit.handshake.enums import ExtensionType
from tlsexit.handshake.extensions import find
from tlsexit.handshake.hello import ClientHello, HelloRequest, ServerHello
from tlsexit.puppet import RecordWriter
from tlsexit.puppet.steps import client_hello, hello_request, raw_message

hellos = Group("7.4.1")
requests = Group("7.4.1.1")

# without the new page in the books that a renegotiation begins
BARE_REQUEST: Final = replace(hello_request, after=None)


def in_the_clear(talk: Talk) -> None:
    """Send without keys from now on."""
    talk.puppet.writer = RecordWriter()


def hellos_are_protected(talk: Talk) -> str | None:
    """Every message after the first handshake came under keys."""
    heard = [item for item in talk.puppet.heard if isinstance(item.message, (ClientHello, ServerHello))]
    if len(heard) < 2:
        return "there was no second hello"
    return None if all(item.protected for item in heard[1:]) else "the second hello came in the clear"


def request_is_protected(talk: Talk) -> str | None:
    """HelloRequest is the four bytes 00 00 00 00, under the keys in force."""
    found = [item for item in talk.puppet.heard if isinstance(item.message, HelloRequest)]
    wrong = [item for item in found if item.raw != bytes(4) or not item.protected]
    return "HelloRequest is not four zeros under the keys in force" if wrong else None


def one_request(talk: Talk) -> str | None:
    """HelloRequest has not been repeated while it was unanswered."""
    count = sum(isinstance(item, HelloRequest) for item in talk.puppet.messages)
    return f"{count} HelloRequests came, none of them answered" if count > 1 else None


def names_the_last_handshake(talk: Talk, hello: ClientHello) -> str | None:
    """The hello of a renegotiation came under keys, with the last verify_data where RFC 5746 is in force (§3.5)."""
    if not talk.puppet.heard[-1].protected:
        return "the ClientHello came in the clear"
    puppet = talk.puppet
    body = find(hello.extensions, ExtensionType.RENEGOTIATION_INFO)
    own = puppet.previous[puppet.role.peer]
    if puppet.secure_renegotiation and body != bytes([len(own)]) + own:
        return "renegotiation_info does not hold the client's last verify_data"
    return None


RENEGOTIATED: Final = (handshake(), established(), handshake(), established())

PROBES: Final = (
    hellos.server(
        "renegotiation-protected",
        "the messages of a renegotiation come under the keys in force",
        "R2246-7.4.1-01",
        needs=(RENEGOTIATES,),
        conversation=(*RENEGOTIATED, Check(hellos_are_protected)),
    ),
    hellos.client(
        "renegotiation-protected",
        "the messages of a renegotiation come under the keys in force",
        "R2246-7.4.1-01",
        needs=(RENEGOTIATES,),
        conversation=(
            handshake(),
            established(),
            Send(hello_request),
            handshake(),
            established(),
            Check(hellos_are_protected),
        ),
    ),
    hellos.server(
        "plaintext-hello",
        "a ClientHello in the clear on a protected connection is refused",
        "R2246-7.4.1-01",
        conversation=(handshake(), established(), Do(in_the_clear), Send(client_hello), refused()),
    ),
    hellos.client(
        "plaintext-request",
        "a HelloRequest in the clear on a protected connection is refused",
        "R2246-7.4.1-01",
        conversation=(handshake(), established(), Do(in_the_clear), Send(BARE_REQUEST), refused()),
    ),
    requests.server(
        "form",
        "HelloRequest is four zero bytes under the keys in force",
        "R2246-7.4.1.1-01",
        needs=(HELLO_REQUEST,),
        conversation=(
            handshake(),
            established(),
            Do(Talk.send_request),
            expect(said(HelloRequest)),
            Check(request_is_protected),
        ),
    ),
    requests.client(
        "answered",
        "a client that renegotiates answers HelloRequest with a ClientHello that names the last handshake",
        "R2246-7.4.1.1-02",
        "R2246-7.4.1.2-02",
        needs=(RENEGOTIATES,),
        conversation=(
            handshake(),
            established(),
            Send(hello_request),
            expect(said(ClientHello, names_the_last_handshake), warning(100)),
        ),
    ),
    requests.client(
        "during-handshake",
        "a HelloRequest in the middle of a handshake is ignored",
        "R2246-7.4.1.1-03",
        "R2246-7.4.1.1-07",
        conversation=(through("server_hello"), Send(BARE_REQUEST), rest("server_hello"), established()),
    ),
    requests.client(
        "declined",
        "a client that does not renegotiate ignores HelloRequest or answers no_renegotiation, and goes on",
        "R2246-7.4.1.1-04",
        level="SHOULD",
        needs=(RENEGOTIATES_NOT,),
        conversation=(
            handshake(),
            established(),
            Send(BARE_REQUEST),
            expect(warning(100), silent(), said(ClientHello)),
            Alive(),
        ),
    ),
    requests.server(
        "ignored",
        "a server whose HelloRequest is ignored goes on or ends with handshake_failure",
        "R2246-7.4.1.1-05",
        "R2246-7.4.1.1-06",
        needs=(HELLO_REQUEST,),
        conversation=(
            handshake(),
            established(),
            Do(Talk.send_request),
            expect(said(HelloRequest)),
            Do(Talk.send_request),
            expect(answered(), silent(), alert(40), closed()),
            Check(one_request),
        ),
    ),
    requests.server(
        "repeated",
        "HelloRequest is not repeated before the negotiation that it asks for has finished",
        "R2246-7.4.1.1-06",
        needs=(HELLO_REQUEST,),
        conversation=(
            handshake(),
            established(),
            Do(Talk.send_request),
            expect(said(HelloRequest)),
            Do(Talk.send_request),
            Do(lambda talk: talk.puppet.listen(talk.terms.quiet)),
            Check(one_request),
        ),
    ),
    requests.client(
        "not-hashed",
        "HelloRequest stays out of the handshake hashes",
        "R2246-7.4.1.1-07",
        needs=(RENEGOTIATES,),
        connect=connect(request=True),
        conversation=(handshake(), established(), Send(hello_request), handshake(), established()),
    ),
    requests.server(
        "not-hashed",
        "HelloRequest stays out of the handshake hashes",
        "R2246-7.4.1.1-07",
        needs=(HELLO_REQUEST, RENEGOTIATES),
        conversation=(
            handshake(),
            established(),
            Do(Talk.send_request),
            expect(said(HelloRequest)),
            handshake(),
            expect(completed()),
        ),
    ),
    requests.client(
        "with-a-body",
        "a HelloRequest that is not empty is refused",
        "R2246-7.4.1.1-08",
        conversation=(
            handshake(),
            established(),
            Send(raw_message(0, b"x", hashed=False)),
            expect(refusal(), silent().noted("it is ignored")),
        ),
    ),
)
