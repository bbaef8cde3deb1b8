"""Hypothesis strategies for what an exit may do: answer well, decline, refuse, raise, or hand over nonsense."""

from __future__ import annotations

from typing import Any, Final

from hypothesis import strategies as st

from tests.support.pki import pki
from tests.support.scripted import Script
from tlsexit.alerts import AlertDescription, HandshakeFailure, LocalError
from tlsexit.crypto.suites import KeyType
from tlsexit.exits.answers import Failed, Handled, NotHandled
from tlsexit.exits.calls import Credentials, PreSharedKey, StartHandshakeResult, Untrusted
from tlsexit.exits.phases import ExitPhase
from tlsexit.profile import Verify

SECRET: Final = "hunter2"
"""What no error text may ever contain: nonsense handed over by an exit may be a secret."""


class Hostile:
    """An object that fails at every touch."""

    def __getattribute__(self, name: str) -> Any:
        if name.startswith("__"):
            return object.__getattribute__(self, name)
        raise RuntimeError(SECRET)

    def __len__(self) -> int:
        raise RuntimeError(SECRET)

    def __iter__(self) -> Any:
        raise RuntimeError(SECRET)

    def __repr__(self) -> str:
        return SECRET

    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        raise RuntimeError(SECRET)


_LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 300),
    st.floats(allow_nan=True),
    st.text(max_size=5).map(lambda text: SECRET + text),
    st.binary(max_size=300).map(lambda data: SECRET.encode() + data),
    st.sampled_from([b"", bytes(64), bytes(65), bytes(256), bytes(70_000)]),
    st.builds(Hostile),
    st.builds(object),
)

_CHAINS = st.sampled_from(
    [
        *(pki(kind).server.chain for kind in KeyType),
        *(pki(kind).client.chain for kind in KeyType),
        pki().intermediate_server.chain,
        pki().server.chain * 20,
        (pki().server.chain[0][:-1],),
        [pki().server.certificate],
        (b"",),
        (),
    ]
)

_KEYS = st.sampled_from([pki(kind).server.key for kind in KeyType] + [pki().root.key])

_CHANGES = st.fixed_dictionaries(
    {},
    optional={
        "cipher_suites": st.sampled_from([(0x2F,), (), (0x33, 0x2F), (0,), "47", 47, None, (0x34,), ("x",)]),
        "verify": st.sampled_from([*Verify, "none", None]),
        "user_certificate_id": st.sampled_from(["own", "nobody's", 7, None]),
        "root_ca_ids": st.sampled_from([("root",), ("nobody's",), (), "root", 7, None]),
        "depth": st.sampled_from([0, 1, 10, 11, -1, "1", None, 2.5]),
        "dn_user": st.sampled_from([("CN=client",), ("CN=nobody",), (), 7, ("=",), "CN", None, (7,)]),
        "dn_issuer": st.sampled_from([("CN=RSA root",), (7,), None]),
        "parm": st.sampled_from(["", "x" * 64, "x" * 65, 7, None, b"parm"]),
        "id": st.just("another"),
        "nothing like it": st.none(),
    },
)

values = st.one_of(
    _LEAVES,
    st.lists(_LEAVES, max_size=3),
    st.tuples(_LEAVES, _LEAVES),
    st.dictionaries(st.text(max_size=3), _LEAVES, max_size=3),
    _CHAINS,
    _KEYS,
    st.builds(Credentials, _CHAINS | _LEAVES, cipher_suite=st.sampled_from([None, 0x2F, 0x33, 7, SECRET])),
    st.builds(StartHandshakeResult, _LEAVES, _CHANGES | _LEAVES),
    st.builds(Untrusted, st.just(SECRET)),
    st.builds(PreSharedKey, st.just(b"me"), st.binary(max_size=20)),
    st.tuples(st.sampled_from([(1,), (1, 2, 64), (), (300,)]), st.just([pki().root.certificate.subject])),
)
"""What ``Handled`` may carry, right or wrong, in whatever phase."""

answers = st.one_of(
    st.just(NotHandled()),
    st.just(Handled()),
    values.map(Handled),
    st.builds(Failed, st.none() | st.integers(-1, 256) | st.sampled_from(AlertDescription) | _LEAVES | st.builds(list)),
    st.sampled_from(
        [
            ValueError(SECRET),
            KeyError(SECRET),
            LocalError("local"),
            HandshakeFailure("no"),
            ExceptionGroup("g", [OSError()]),
        ]
    ),
    _LEAVES,
    st.just(Handled),
)
"""What a method of an exit may do; an exception is raised."""

PHASES: Final = tuple(phase for phase in ExitPhase if phase not in (ExitPhase.START_TASK, ExitPhase.END_TASK))

scripts: st.SearchStrategy[Script] = st.dictionaries(st.sampled_from(PHASES), answers, max_size=3)
"""Exits that are odd in a few phases, and leave the others to the built-in PKI."""
