"""The handshakes recorded from other implementations (``tests/vectors/handshakes``), as the tests use them.

``raw`` is what went over the wire; ``fields`` is what tlslite-ng reads in it. The two judge parsing and building
separately: neither was made by tlsexit.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tlsexit.handshake.certificate import Certificate, CertificateRequest, CertificateStatus, CertificateVerify
from tlsexit.handshake.finished import Finished, NewSessionTicket, NextProtocol
from tlsexit.handshake.hello import ClientHello, Extension, HelloRequest, ServerHello, ServerHelloDone

FILES = Path(__file__).parents[1] / "vectors" / "handshakes"


@dataclass(frozen=True)
class Captured:
    """One message: the file it is from, who sent it, its name in snake case, its bytes with header, its fields."""

    source: str
    sender: str
    kind: str
    raw: bytes
    fields: dict[str, Any]

    @property
    def body(self) -> bytes:
        """The bytes behind the header."""
        return self.raw[4:]

    def hex(self, field: str) -> bytes:
        """A field of type opaque."""
        return bytes.fromhex(self.fields[field])

    def __str__(self) -> str:
        return f"{self.source}-{self.sender}-{self.kind}"


@cache
def connections(source: str) -> tuple[tuple[Captured, ...], ...]:
    """The connections of one recording, each as its readable handshake messages in order."""
    recorded = json.loads((FILES / f"{source}.json").read_text(encoding="utf-8"))
    return tuple(
        tuple(Captured(source, m["from"], m["type"], bytes.fromhex(m["hex"]), m["fields"]) for m in flow)
        for flow in recorded["connections"]
    )


@cache
def everything() -> tuple[Captured, ...]:
    """Every message of every recording."""
    sources = sorted(path.stem for path in FILES.glob("*.json"))
    return tuple(message for source in sources for flow in connections(source) for message in flow)


def of_kind(*kinds: str) -> list[Captured]:
    """Every message with one of these names."""
    return [message for message in everything() if message.kind in kinds]


def find(source: str, kind: str, *, last: bool = False) -> Captured:
    """The first, or last, message of that name in a recording."""
    found = [message for flow in connections(source) for message in flow if message.kind == kind]
    return found[-1 if last else 0]


def value(message: Captured) -> Any:
    """The message as tlsexit should see it; key-exchange messages aside, whose body depends on the suite."""
    return _VALUES[message.kind](message)


def _extensions(message: Captured) -> tuple[Extension, ...] | None:
    listed = message.fields["extensions"]
    return None if listed is None else tuple(Extension(kind, bytes.fromhex(body)) for kind, body in listed)


def _client_hello(message: Captured) -> ClientHello:
    return ClientHello(
        client_version=message.fields["client_version"],
        random=message.hex("random"),
        session_id=message.hex("session_id"),
        cipher_suites=tuple(message.fields["cipher_suites"]),
        compression_methods=tuple(message.fields["compression_methods"]),
        extensions=_extensions(message),
    )


def _server_hello(message: Captured) -> ServerHello:
    return ServerHello(
        server_version=message.fields["server_version"],
        random=message.hex("random"),
        session_id=message.hex("session_id"),
        cipher_suite=message.fields["cipher_suite"],
        compression_method=message.fields["compression_method"],
        extensions=_extensions(message),
    )


def _hex_tuple(items: list[str]) -> tuple[bytes, ...]:
    return tuple(bytes.fromhex(item) for item in items)


_VALUES: dict[str, Callable[[Captured], Any]] = {
    "hello_request": lambda m: HelloRequest(),
    "client_hello": _client_hello,
    "server_hello": _server_hello,
    "server_hello_done": lambda m: ServerHelloDone(),
    "certificate": lambda m: Certificate(_hex_tuple(m.fields["certificate_list"])),
    "certificate_request": lambda m: CertificateRequest(
        tuple(m.fields["certificate_types"]), _hex_tuple(m.fields["certificate_authorities"])
    ),
    "certificate_verify": lambda m: CertificateVerify(m.hex("signature")),
    "certificate_status": lambda m: CertificateStatus(m.fields["status_type"], m.hex("response")),
    "new_session_ticket": lambda m: NewSessionTicket(m.fields["ticket_lifetime_hint"], m.hex("ticket")),
    "next_protocol": lambda m: NextProtocol(m.hex("selected_protocol"), m.hex("padding")),
    "finished": lambda m: Finished(m.hex("verify_data")),
}
