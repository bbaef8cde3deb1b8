"""Attacks that live on differences between the target's answers, and on the time that they take."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

from tlsexit.conformance.actions import (
    OPEN,
    Check,
    Do,
    Send,
    before,
    connect,
    refused,
)
from tlsexit.conformance.model import ATTACKS, Group, Probe
from tlsexit.conformance.needs import (
    CBC,
    RSA,
)
from tlsexit.conformance.probes.section_7_2_2 import flip, wrong_padding
from tlsexit.conformance.probes.section_7_4_7 import BLOCKS, encrypted_block, padded
from tlsexit.conformance.talk import Talk
from tlsexit.puppet import Sealing
from tlsexit.puppet.steps import (
    application_data,
    change_cipher_spec,
    finished,
)

section = Group(ATTACKS)

REQUEST: Final = b"GET / HTTP/1.0\r\n\r\n"
_ROUNDS: Final = 40
"""Measurements for each kind of record; enough to see a difference of the size of a MAC over a local network."""


def note_reaction(name: str) -> Do:
    """Remember how the target has taken it, the end of the stream included."""

    def act(talk: Talk) -> None:
        puppet = talk.puppet
        puppet.settle()
        puppet.listen_until(lambda: puppet.eof, talk.terms.quiet)
        alerts = tuple((item.level, item.description) for item in puppet.alerts)
        talk.memory.setdefault("reactions", {})[name] = (str(puppet.reaction), alerts, puppet.transport.reset)

    return Do(act)


def all_alike(talk: Talk) -> str | None:
    """The target shows no difference."""
    found: dict[str, Any] = talk.memory["reactions"]
    first = next(iter(found.values()))
    odd = [name for name, reaction in found.items() if reaction != first]
    if not odd:
        return None
    return f"{odd[0]} is answered with {found[odd[0]][0]}, {next(iter(found))} with {first[0]}"


def _padding_oracle() -> Probe:
    wrong: dict[str, Any] = {
        "a wrong MAC": Sealing(mac=flip(3)),
        "a wrong padding byte": Sealing(padding=wrong_padding),
        "a padding length beyond the record": Sealing(padding=lambda item: item[:-1] + b"\xff"),
        "a wrong MAC behind long padding": Sealing(mac=flip(3), padding=lambda item: _longer(item)),
    }
    actions: list[Any] = []
    for name, how in wrong.items():
        actions += [
            connect(suites=CBC),
            *OPEN,
            Send(application_data(REQUEST, sealing=how)),
            note_reaction(name),
        ]
    return section.server(
        "padding-oracle",
        "wrong padding and a wrong MAC look the same",
        "R4346-7.2.2-01",
        "R2246-7.2.2-05",
        connect=connect(suites=CBC),
        conversation=(*actions, Check(all_alike)),
        meaning="Whoever can make a client send the same secret again and again reads it byte by byte (Vaudenay).",
    )


def _longer(padding: bytes) -> bytes:
    """Sixteen bytes more, which are whole blocks for every cipher."""
    return bytes([padding[-1] + 16]) * (padding[-1] + 17)


def _poodle() -> Iterator[Probe]:
    for at in (0, 7, 14):

        def spoilt(padding: bytes, at: int = at) -> bytes:
            long = _longer(padding)
            return long[:at] + bytes([long[at] ^ 1]) + long[at + 1 :]

        yield from section.both(
            f"poodle-{at}",
            f"byte {at} of the padding is looked at",
            "R4346-7.2.2-01",
            connect=connect(suites=CBC),
            conversation=(*OPEN, Send(application_data(REQUEST, sealing=Sealing(padding=spoilt))), refused()),
            meaning="Whoever can make a client send the same secret again and again reads it (POODLE on TLS).",
        )


def _robot(*, wait: bool) -> Probe:
    """All blocks that do not decrypt, and one that does with a secret that the attacker does not know."""
    actions: list[Any] = []
    blocks = {"a right block": padded, **BLOCKS}
    for name, build in blocks.items():
        actions += [
            connect(suites=RSA),
            before("client_key_exchange"),
            Send(encrypted_block(build)),
            Do(_forget_secret),
            *(() if wait else (Send(change_cipher_spec), Send(finished))),
            note_reaction(name),
        ]
    return section.server(
        "robot-waiting" if wait else "robot",
        "a premaster secret that does not decrypt looks like one that does",
        "R2246-7.4.7.1-04",
        "R5246-7.4.7.1-01",
        connect=connect(suites=RSA),
        conversation=(*actions, Check(all_alike)),
        meaning="Whoever asks often enough decrypts recorded connections and signs with the key (ROBOT).",
    )


def _forget_secret(talk: Talk) -> None:
    """Go on as an attacker would, who does not know what is in the block."""
    talk.puppet.pre_master_secret = bytes(48)
    talk.puppet.derive()


def _timed(variants: dict[str, Callable[[Talk], None]], what: str) -> Do:
    """Hold short conversations in turn and compare how long the answers take."""

    def act(talk: Talk) -> None:
        taken: dict[str, list[float]] = {name: [] for name in variants}
        for _ in range(_ROUNDS):
            for name, start in variants.items():
                start(talk)
                before_it = time.perf_counter()
                talk.puppet.settle()
                taken[name].append(time.perf_counter() - before_it)
                talk.puppet.close()
        medians = {name: statistics.median(values) for name, values in taken.items()}
        spread = max(statistics.pstdev(values) for values in taken.values()) / _ROUNDS**0.5
        low, high = min(medians, key=medians.__getitem__), max(medians, key=medians.__getitem__)
        if medians[high] - medians[low] > 6 * spread:
            difference = (medians[high] - medians[low]) * 1e6
            talk.warn(f"{high} takes {difference:.0f} µs longer than {low} ({what})")

    return Do(act)


def _open_and_send(how: Sealing) -> Callable[[Talk], None]:
    def start(talk: Talk) -> None:
        talk.connect(connect(suites=CBC))
        for step in talk.trace:
            talk.play(step)
        talk.puppet.listen_until(lambda: talk.puppet.established)
        talk.deviated = True
        talk.puppet.send(application_data(bytes(256), sealing=how))

    return start


def _send_block(build: Callable[[int, bytes], bytes]) -> Callable[[Talk], None]:
    def start(talk: Talk) -> None:
        talk.connect(connect(suites=RSA))
        before("client_key_exchange").run(talk)
        talk.deviated = True
        talk.puppet.send(encrypted_block(build))
        _forget_secret(talk)
        talk.puppet.send(change_cipher_spec)
        talk.puppet.send(finished)

    return start


PROBES: Final = (
    _padding_oracle(),
    *_poodle(),
    section.server(
        "lucky-13",
        "wrong padding and a wrong MAC take the same time",
        "R4346-6.2.3.2-01",
        level="SHOULD",
        opt_in=True,
        connect=connect(suites=CBC),
        conversation=(
            _timed(
                {
                    "a wrong MAC": _open_and_send(Sealing(mac=flip(3))),
                    "wrong padding": _open_and_send(Sealing(padding=wrong_padding)),
                    "a wrong MAC behind long padding": _open_and_send(Sealing(mac=flip(3), padding=_longer)),
                },
                "statistical; repeat it over a quiet network",
            ),
        ),
        meaning="With very many measurements plaintext can be read (Lucky Thirteen, CVE-2013-0169).",
    ),
    _robot(wait=False),
    _robot(wait=True),
    section.server(
        "robot-timing",
        "premaster secrets that decrypt take as long as others",
        "R2246-7.4.7.1-04",
        level="SHOULD",
        opt_in=True,
        connect=connect(suites=RSA),
        conversation=(
            _timed(
                {
                    "a right block": _send_block(padded),
                    "a wrong first byte": _send_block(BLOCKS["first-byte"]),
                    "no separator": _send_block(BLOCKS["no-separator"]),
                },
                "statistical; repeat it over a quiet network",
            ),
        ),
        meaning="Whoever measures often enough decrypts recorded connections (ROBOT).",
    ),
)
