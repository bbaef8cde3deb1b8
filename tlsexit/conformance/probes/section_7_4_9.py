"""§7.4.9: Finished, and §8: the secrets that it proves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

from tlsexit.conformance.actions import (
    Altered,
    Check,
    Do,
    Observe,
    Send,
    after,
    before,
    completed_and_closed,
    connect,
    established,
    expect,
    handshake,
    onwards,
    rebuilt,
    refused,
    through,
)
from tlsexit.conformance.actions import Resume as By
from tlsexit.conformance.changes import reframed
from tlsexit.conformance.expect import refusal
from tlsexit.conformance.model import Group, Probe
from tlsexit.conformance.needs import DHE, ECDHE, RESUMES, RSA
from tlsexit.conformance.probes.section_7_2_2 import flip
from tlsexit.conformance.probes.section_7_3 import offered
from tlsexit.conformance.talk import Talk
from tlsexit.crypto.groups import DHKeyPair, DHParameters
from tlsexit.crypto.schedule import verify_data
from tlsexit.handshake import keyexchange as kx
from tlsexit.handshake.codec import encode
from tlsexit.puppet import Puppet, pieces_of
from tlsexit.puppet.steps import alert as an_alert
from tlsexit.puppet.steps import (
    application_data,
    client_key_exchange,
    finished,
    finished_with,
    record,
    server_key_exchange_with,
)
from tlsexit.wire import build

section = Group("7.4.9")
secrets = Group("8.1")
agreement = Group("8.1.2")

_FINISHED: Final = b"\x14\0\0\x0c"
"""Type and length of a right Finished."""

RESUMED: Final = (*completed_and_closed(), connect(resume=By.ID))


def first_under_new_keys(talk: Talk) -> str | None:
    """Behind ChangeCipherSpec comes a protected record with a message of 4 and 12 bytes."""
    kinds = [item.content_type for item in talk.puppet.records]
    behind = talk.puppet.records[kinds.index(20) + 1 :]
    if not behind:
        return "nothing came behind ChangeCipherSpec"
    first = behind[0]
    if (
        first.protected
        and first.content_type == 22
        and first.content[:4] == b"\x14\0\0\x0c"
        and len(first.content) == 16
    ):
        return None
    return f"behind ChangeCipherSpec came a record of type {first.content_type}: {first.content[:20].hex()}"


def no_data_yet(talk: Talk) -> str | None:
    """No application data before the peer's Finished."""
    talk.puppet.listen(talk.terms.quiet)
    return "application data came before the peer's Finished" if talk.puppet.application_data else None


def of_the_other_end(puppet: Any) -> bytes:
    """What the peer's Finished would say here."""
    return verify_data(puppet.master_secret, puppet.role.peer, puppet.transcript.digest())


def _reflected(puppet: Puppet) -> bytes:
    return finished_with(lambda good: of_the_other_end(puppet)).build(puppet)


def shows_a_leading_zero(talk: Talk) -> str | None:
    """The conversation was about what it should be about."""
    return None if talk.memory.get("zero") else "the agreed value had no leading zero after all"


def _with_leading_zero(talk: Talk) -> None:
    """Send a public value for which the agreed number begins with a zero byte: one in 256 does."""

    def built(puppet: Puppet) -> bytes:
        params = puppet.server_params
        assert isinstance(params, kx.ServerDHParams)
        group = DHParameters(int.from_bytes(params.dh_p, "big"), int.from_bytes(params.dh_g, "big"))
        size = (group.bits + 7) // 8
        for _ in range(5000):
            pair = DHKeyPair.generate(group)
            puppet.pre_master_secret = pair.agree(params.dh_Ys)
            if len(puppet.pre_master_secret) < size:
                talk.memory["zero"] = True
                break
        value = kx.ClientDiffieHellmanPublic(pair.public)
        return encode(kx.build_client_key_exchange(kx.CLIENT_DIFFIE_HELLMAN_PUBLIC, value))

    talk.play(replace(client_key_exchange, build=built))


NARROW: Final = DHParameters(2**2048 + 981, 2)
"""A prime just above 2^2048: nearly every number below it begins with a zero byte."""


def _narrow_params(puppet: Puppet) -> bytes:
    pair = DHKeyPair.generate(NARROW)
    puppet.key_pair = pair
    prime = NARROW.p.to_bytes(257, "big")
    return build(kx.SERVER_DH_PARAMS, kx.ServerDHParams(prime, b"\2", pair.public))


def _wrong_bytes() -> Iterator[Probe]:
    for at in (0, 5, 11):
        yield from section.both(
            f"byte-{at}",
            f"a Finished with byte {at} wrong is refused",
            "R2246-7.4.9-03",
            conversation=(before("finished"), Send(finished_with(flip(at))), refused()),
        )
    for size in (0, 11, 13, 36):
        yield from section.both(
            f"size-{size}",
            f"a Finished of {size} bytes is refused",
            "R2246-7.4.9-04",
            conversation=(
                before("finished"),
                Altered("finished", reframed(lambda body, size=size: (body + bytes(24))[:size])),  # type: ignore[misc]
                refused(),
            ),
        )


def _in_pieces(name: str) -> tuple[Any, ...]:
    return (before(name), rebuilt(name, cut=lambda data: pieces_of(data, 7)), after(name), established())


PROBES: Final = (
    *section.both(
        "first",
        "Finished is the first message under the new keys",
        "R2246-7.4.9-01",
        conversation=(Observe(), Check(first_under_new_keys)),
    ),
    *section.both(
        "without-key-change",
        "a right Finished without ChangeCipherSpec before it is refused",
        "R2246-7.4.9-02",
        conversation=(before("change_cipher_spec"), Send(finished), refused()),
    ),
    section.client(
        "without-key-change-resumed",
        "the same in an abbreviated handshake",
        "R2246-7.4.9-02",
        needs=(RESUMES,),
        conversation=(*RESUMED, Do(offered), before("change_cipher_spec"), Send(finished), refused()),
    ),
    *_wrong_bytes(),
    *section.both(
        "reflected",
        "a Finished with the other end's label is refused",
        "R2246-7.4.9-05",
        conversation=(before("finished"), Send(replace(finished, build=_reflected)), refused()),
    ),
    *section.both(
        "right",
        "both ends compute the same Finished",
        "R2246-7.4.9-05",
        "R2246-7.4.9-07",
        conversation=(handshake(), established()),
    ),
    section.server(
        "in-pieces",
        "Finished does not depend on how messages were cut into records",
        "R2246-7.4.9-06",
        conversation=_in_pieces("client_hello"),
    ),
    section.client(
        "in-pieces",
        "Finished does not depend on how messages were cut into records",
        "R2246-7.4.9-06",
        conversation=_in_pieces("server_hello"),
    ),
    *section.both(
        "with-a-warning",
        "a warning between the messages does not enter Finished",
        "R2246-7.4.9-06",
        conversation=(
            before("change_cipher_spec"),
            Send(an_alert(1, 90)),
            onwards("change_cipher_spec"),
            expect(*established().alternatives, refusal().noted("it obeys user_canceled")),
        ),
    ),
    *section.both(
        "right-resumed",
        "both ends compute the same Finished in an abbreviated handshake",
        "R2246-7.4.9-07",
        needs=(RESUMES,),
        conversation=(*RESUMED, handshake(), established()),
    ),
    *section.both(
        "data-before-finished",
        "no application data is sent before the peer's Finished",
        "R2246-7.4.9-08",
        conversation=(through("change_cipher_spec"), Check(no_data_yet), onwards("finished"), established()),
    ),
    section.server(
        "data-before-finished-resumed",
        "a server that resumes sends no data before the client's Finished",
        "R2246-7.4.9-08",
        needs=(RESUMES,),
        conversation=(
            *RESUMED,
            through("change_cipher_spec"),
            Check(no_data_yet),
            onwards("finished"),
            established(),
        ),
    ),
    *section.both(
        "early-data",
        "application data between ChangeCipherSpec and Finished is refused",
        "R2246-7.4.9-09",
        conversation=(
            before("finished"),
            Send(application_data(b"GET / HTTP/1.0\r\n\r\n", waits=False)),
            refused(),
        ),
    ),
    *section.both(
        "plaintext-data",
        "application data in the clear in the middle of the handshake is refused",
        "R2246-7.4.9-09",
        conversation=(
            before("change_cipher_spec"),
            Send(record(23, b"GET / HTTP/1.0\r\n\r\n", waits=True)),
            refused(),
        ),
    ),
    *(
        probe
        for name, choice in (("rsa", RSA), ("dhe", DHE), ("ecdhe", ECDHE))
        for probe in secrets.both(
            f"master-secret-{name}",
            f"both ends derive the same master secret ({choice.name})",
            "R2246-8.1-01",
            connect=connect(suites=choice),
            conversation=(handshake(), established()),
        )
    ),
    agreement.server(
        "leading-zero",
        "an agreed value that begins with a zero byte is stripped of it",
        "R2246-8.1.2-01",
        "R4346-8.1.2-01",
        connect=connect(suites=DHE),
        conversation=(
            before("client_key_exchange"),
            Do(_with_leading_zero),
            Check(shows_a_leading_zero),
            after("client_key_exchange"),
            established(),
        ),
        meaning="One handshake in 256 fails.",
    ),
    agreement.client(
        "leading-zero",
        "an agreed value that begins with a zero byte is stripped of it",
        "R2246-8.1.2-01",
        "R4346-8.1.2-01",
        connect=connect(suites=DHE),
        conversation=(
            before("server_key_exchange"),
            Send(server_key_exchange_with(_narrow_params)),
            after("server_key_exchange"),
            established(),
        ),
        meaning="One handshake in 256 fails.",
    ),
)
