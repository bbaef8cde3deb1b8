"""Questions of the exit phases, put to the built-in PKI without a connection."""

from __future__ import annotations

from typing import Any, Final

from tests.support.pki import NOW, pki
from tlsexit.constants import Role
from tlsexit.crypto.suites import KeyType, parse_suites
from tlsexit.exits.answers import Answer, Failed, Handled
from tlsexit.exits.calls import ExitCall, GetCertificateCall
from tlsexit.exits.context import SessionContext, TaskContext
from tlsexit.policy import BuiltinPki
from tlsexit.profile import Profile

KX_RSA: Final = parse_suites("TLS_RSA_WITH_AES_128_CBC_SHA")
KX_DHE_RSA: Final = parse_suites("TLS_DHE_RSA_WITH_AES_128_CBC_SHA")
KX_DHE_DSS: Final = parse_suites("TLS_DHE_DSS_WITH_AES_128_CBC_SHA")
KX_ECDHE_ECDSA: Final = parse_suites("TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA")
KX_RSA_EXPORT: Final = parse_suites("TLS_RSA_EXPORT_WITH_RC4_40_MD5")
KX_DH_ANON: Final = parse_suites("TLS_DH_anon_WITH_AES_128_CBC_SHA")


def context(role: Role, *, password: bytes | None = None, suite: int | None = None, **elements: Any) -> SessionContext:
    """A session's context; ``server_name`` is the one a client sent, other elements go to the profile."""
    name = elements.pop("sni", None)
    profile = Profile.server(**elements) if role is Role.SERVER else Profile.client(**elements)
    task = TaskContext(1, password=password)
    return SessionContext(task=task, reference=1, role=role, profile=profile, server_name=name, cipher_suite=suite)


def all_kinds(role: Role) -> BuiltinPki:
    leaves = [pki(kind).server if role is Role.SERVER else pki(kind).client for kind in KeyType]
    identities = [leaf.identity(kind.value) for kind, leaf in zip(KeyType, leaves, strict=True)]
    roots = {kind.value: [pki(kind).root.certificate] for kind in KeyType}
    return BuiltinPki(identities, roots, clock=NOW.timestamp)


def value(builtin: BuiltinPki, call: ExitCall) -> Any:
    """What the call makes of the built-in PKI's answer: every answer has to pass the call's own check."""
    answer = builtin.answer(call)
    assert isinstance(answer, Handled), answer
    return call.validate(answer.value)


def failure(answer: Answer) -> tuple[int | None, BaseException | None]:
    assert isinstance(answer, Failed), answer
    return answer.alert_reason, answer.cause


def shown(builtin: BuiltinPki, call: GetCertificateCall) -> Any:
    """The chain that the built-in PKI answers GetCertificate with."""
    return value(builtin, call).chain
