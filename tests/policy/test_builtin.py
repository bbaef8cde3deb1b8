"""The built-in PKI, asked each phase as a connection would."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from tests.support.pki import END, NOW, START, Pki, faulty, leaf_key, pki
from tests.support.questions import (
    KX_DHE_RSA,
    KX_ECDHE_ECDSA,
    KX_RSA,
    KX_RSA_EXPORT,
    all_kinds,
    context,
    failure,
    shown,
    value,
)
from tlsexit.alerts import AlertDescription, AlertLevel, LocalError, PeerError
from tlsexit.constants import Role
from tlsexit.crypto.keyops import PrivateKey
from tlsexit.crypto.suites import KeyType
from tlsexit.exits.answers import REFUSAL_ALERTS, Answer, Failed, Handled, NotHandled
from tlsexit.exits.calls import (
    CheckCertificateCall,
    CryptDataCall,
    CryptOperation,
    EndSessionCall,
    EndTaskCall,
    GetCAListCall,
    GetCertificateCall,
    GetPreSharedKeyCall,
    HandshakeAlertCall,
    HandshakeDoneCall,
    PreSharedKey,
    StartHandshakeCall,
    StartTaskCall,
    Untrusted,
)
from tlsexit.exits.context import SessionContext, TaskContext
from tlsexit.exits.forms import CAList
from tlsexit.policy import BuiltinPki, Identity, IdentityFile, SignaturePolicy
from tlsexit.policy.throwaway import Issued, key_usage
from tlsexit.profile import Profile, Verify

DER = Encoding.DER
RSA, DSA, EC = KeyType.RSA, KeyType.DSA, KeyType.EC


# Phases that ask for nothing


def test_start_task_is_left_alone() -> None:
    """As the exit that ships by default: never called again."""
    assert BuiltinPki().answer(StartTaskCall(TaskContext(1))) == NotHandled()


def test_the_other_phases_change_nothing() -> None:
    session = context(Role.SERVER)
    builtin = BuiltinPki()
    assert value(builtin, StartHandshakeCall(session)) == (None, session.profile)
    assert value(builtin, HandshakeDoneCall(session)) == bytes(64)
    assert value(builtin, HandshakeAlertCall(session, AlertLevel.FATAL, 40, True)) is None
    assert value(builtin, EndSessionCall(session)) is None
    assert value(builtin, EndTaskCall(session.task)) is None


# GetCAList


def test_the_ca_list_names_the_authorities_of_the_profile() -> None:
    """R2246-7.4.4-04, R2246-7.4.4-06, R2246-7.4.4-07."""
    builtin = all_kinds(Role.SERVER)
    names = {kind.value: pki(kind).root.certificate.subject.public_bytes() for kind in KeyType}
    every = value(builtin, GetCAListCall(context(Role.SERVER)))
    assert every == CAList((1, 2, 64), tuple(names.values()))
    some = value(builtin, GetCAListCall(context(Role.SERVER, root_ca_ids=("ECDSA", "RSA"))))
    assert some.certificate_authorities == (names["ECDSA"], names["RSA"])


def test_a_name_is_listed_once() -> None:
    root = pki().root.certificate
    builtin = BuiltinPki(authorities={"a": [root], "b": [root]})
    assert len(value(builtin, GetCAListCall(context(Role.SERVER))).certificate_authorities) == 1


def test_no_authorities_make_no_ca_list() -> None:
    """R2246-7.4.4-06: TLS 1.0 has no empty list."""
    alert, cause = failure(BuiltinPki().answer(GetCAListCall(context(Role.SERVER))))
    assert alert == AlertDescription.INTERNAL_ERROR
    assert isinstance(cause, LocalError)


def test_an_authority_that_is_not_there_is_our_own_mistake() -> None:
    call = GetCAListCall(context(Role.SERVER, root_ca_ids=("RSA", "no such")))
    alert, cause = failure(all_kinds(Role.SERVER).answer(call))
    assert alert == AlertDescription.INTERNAL_ERROR
    assert "no authority no such" in str(cause)


# CheckCertificate


def check(
    issued: Issued | tuple[bytes, ...],
    session: SessionContext,
    builtin: BuiltinPki | None = None,
    kind: KeyType = RSA,
) -> Answer:
    chain = issued.chain if isinstance(issued, Issued) else issued
    builtin = builtin or BuiltinPki(authorities={"root": [pki(kind).root.certificate]}, clock=NOW.timestamp)
    call = CheckCertificateCall(replace(session, peer_chain=chain), chain)
    answer = builtin.answer(call)
    if isinstance(answer, Handled):
        return Handled(call.validate(answer.value))
    assert isinstance(answer, Failed)
    assert answer.alert_reason in REFUSAL_ALERTS
    return answer


@pytest.mark.parametrize("kind", KeyType)
def test_both_sides_accept_good_chains(kind: KeyType) -> None:
    its: Pki = pki(kind)
    assert check(its.intermediate_client, context(Role.SERVER), kind=kind) == Handled()
    assert check(its.intermediate_server, context(Role.CLIENT, server_name="localhost"), kind=kind) == Handled()


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("forged", 42),
        ("wrong_purpose", 43),
        ("expired", 45),
        ("not_yet_valid", 45),
        ("issued_by_a_leaf", 46),
        ("path_too_long", 46),
        ("unknown_authority", 48),
    ],
)
def test_a_refusal_names_its_alert(fault: str, expected: int) -> None:
    """R2246-7.2.2-09, R2246-7.2.2-10, R2246-7.2.2-12, R2246-7.2.2-13, R2246-7.2.2-15, R2246-F.1.1-01."""
    alert, cause = failure(check(getattr(faulty(), fault), context(Role.CLIENT)))
    assert alert == expected
    assert isinstance(cause, PeerError)


def test_revoked_denied_too_small() -> None:
    """R2246-7.2.2-11 (44), R2246-7.2.2-16 (49), R2246-D.4-02 (71)."""
    root = pki().root
    crl = root.revocation_list([pki().client.certificate], last_update=START, next_update=END)
    builtin = BuiltinPki(authorities={"root": [root.certificate]}, crls=[crl], clock=NOW.timestamp)
    assert failure(check(pki().client, context(Role.SERVER), builtin))[0] == 44
    assert failure(check(pki().client, context(Role.SERVER, dn_user=("CN=alice",))))[0] == 49
    assert failure(check(pki().client, context(Role.SERVER, dn_issuer=("CN=alice",))))[0] == 49
    assert failure(check(pki().client, context(Role.SERVER, minimum_rsa_bits=4096)))[0] == 71


def test_an_optional_certificate_may_be_bad() -> None:
    """``optional``: an absent or invalid certificate is tolerated, but nobody is authenticated by it."""
    session = context(Role.SERVER, verify=Verify.OPTIONAL)
    answer = check(faulty().expired, session)
    assert isinstance(answer, Handled)
    assert isinstance(answer.value, Untrusted)
    assert "not certified for a client" in answer.value.reason or "expired" in answer.value.reason
    assert check(pki().client, session) == Handled()
    assert isinstance(check((), session), Handled)
    assert failure(check((), context(Role.SERVER)))[0] == AlertDescription.HANDSHAKE_FAILURE


def test_our_own_mistake_is_not_tolerated() -> None:
    session = context(Role.SERVER, verify=Verify.OPTIONAL, root_ca_ids=("nobody",))
    assert failure(check(pki().client, session))[0] == AlertDescription.INTERNAL_ERROR


def test_a_client_always_checks_the_server() -> None:
    """R2246-D.3-01: whatever ``verify`` says; without authorities nobody is trusted."""
    for verify in (Verify.NONE, Verify.ENFORCED):
        session = context(Role.CLIENT, verify=verify)
        assert failure(check(faulty().unknown_authority, session))[0] == AlertDescription.UNKNOWN_CA
        assert failure(check(pki().server, session, BuiltinPki()))[0] == AlertDescription.UNKNOWN_CA


def test_the_server_name_is_checked_if_there_is_one() -> None:
    assert check(pki().server, context(Role.CLIENT)) == Handled()
    assert failure(check(pki().server, context(Role.CLIENT, server_name="other.example")))[0] == 46
    by_common_name = pki().root.issue("other.example", key=leaf_key(RSA), not_before=START, not_after=END)
    session = context(Role.CLIENT, server_name="other.example")
    assert failure(check(by_common_name, session))[0] == 46
    roots = {"root": [pki().root.certificate]}
    lenient = BuiltinPki(authorities=roots, clock=NOW.timestamp, allow_common_name=True)
    assert check(by_common_name, session, lenient) == Handled()


def test_only_the_authorities_of_the_profile_count() -> None:
    builtin = all_kinds(Role.CLIENT)
    assert check(pki().server, context(Role.CLIENT), builtin) == Handled()
    assert check(pki().server, context(Role.CLIENT, root_ca_ids=("DSA", "RSA")), builtin) == Handled()
    assert failure(check(pki().server, context(Role.CLIENT, root_ca_ids=("DSA",)), builtin))[0] == 48


def test_depth_is_the_profile_s() -> None:
    assert check(pki().server, context(Role.CLIENT, depth=1)) == Handled()
    assert failure(check(pki().intermediate_server, context(Role.CLIENT, depth=1)))[0] == 48
    assert check(pki().intermediate_server, context(Role.CLIENT, depth=2)) == Handled()
    assert failure(check(pki().server, context(Role.CLIENT, depth=0)))[0] == 48


@pytest.mark.parametrize(
    ("suite", "encipher", "sign"), [(KX_RSA, True, False), (KX_DHE_RSA, False, True), (KX_RSA_EXPORT, False, True)]
)
def test_key_usage_follows_the_key_exchange(suite: tuple[int, ...], encipher: bool, sign: bool) -> None:
    """R2246-7.4.2-03, R2246-7.4.2-04, R2246-7.4.2-06, R2246-7.4.2-07; its own switch turns it off."""
    roots = {"root": [pki().root.certificate]}
    lenient = BuiltinPki(authorities=roots, clock=NOW.timestamp, check_key_usage=False)
    session = context(Role.CLIENT, suite=suite[0])
    for issued, accepted in ((faulty().encipher_only, encipher), (faulty().sign_only, sign)):
        answer = check(issued, session)
        assert answer == Handled() if accepted else failure(answer)[0] == 43
        assert check(issued, session, lenient) == Handled()


def test_a_short_export_key_enciphers() -> None:
    """R2246-7.4.2-04: no more than 512 bits, so it needs no temporary key."""
    pem = (Path(__file__).parent / "vectors" / "rsa512.pem").read_bytes()
    key = load_pem_private_key(pem, None)
    assert isinstance(key, RSAPrivateKey)
    issued = pki().root.issue(key=key, usage=key_usage("key_encipherment"), not_before=START, not_after=END)
    session = context(Role.CLIENT, suite=KX_RSA_EXPORT[0], minimum_rsa_bits=512)
    assert check(issued, session) == Handled()
    assert failure(check(issued, replace(session, profile=Profile.client())))[0] == 71


def test_the_kind_of_key_follows_the_suite() -> None:
    """R2246-7.4.2-03."""
    assert failure(check(pki().server, context(Role.CLIENT, suite=KX_ECDHE_ECDSA[0])))[0] == 43
    assert check(pki(EC).server, context(Role.CLIENT, suite=KX_ECDHE_ECDSA[0]), kind=EC) == Handled()


def test_a_client_certificate_must_sign() -> None:
    """R2246-7.4.2-06."""
    issued = pki().root.issue(
        role=Role.CLIENT,
        usage=key_usage("key_encipherment"),
        key=leaf_key(RSA),
        not_before=START,
        not_after=END,
    )
    assert failure(check(issued, context(Role.SERVER)))[0] == 43


def test_the_signature_policy_is_obeyed() -> None:
    issued = faulty().signed_with("sha1")
    roots = {"root": [pki().root.certificate]}
    strict = BuiltinPki(
        authorities=roots,
        clock=NOW.timestamp,
        signature_policy=SignaturePolicy(hashes=frozenset({"sha256"})),
    )
    assert check(issued, context(Role.CLIENT)) == Handled()
    assert failure(check(issued, context(Role.CLIENT), strict))[0] == 42


def test_the_clock_is_read_at_every_check() -> None:
    now = [NOW.timestamp()]
    builtin = BuiltinPki(authorities={"root": [pki().root.certificate]}, clock=lambda: now[0])
    assert check(pki().server, context(Role.CLIENT), builtin) == Handled()
    now[0] = END.timestamp() + 1
    assert failure(check(pki().server, context(Role.CLIENT), builtin))[0] == 45


# CryptData


def crypt(own: Issued, session: SessionContext, data: bytes, algorithm: KeyType = RSA) -> CryptDataCall:
    return CryptDataCall(replace(session, own_chain=own.chain), CryptOperation.SIGN, algorithm, data)


@pytest.mark.parametrize(("kind", "length"), [(RSA, 36), (DSA, 20), (EC, 20)])
def test_the_key_is_that_of_the_chain_that_was_sent(kind: KeyType, length: int) -> None:
    call = crypt(pki(kind).server, context(Role.SERVER), bytes(length), kind)
    builtin = all_kinds(Role.SERVER)
    answer = builtin.answer(call)
    assert isinstance(answer, Handled)
    assert isinstance(answer.value, PrivateKey)
    assert isinstance(call.validate(answer.value), bytes)


def test_no_key_for_a_chain_that_an_exit_gave() -> None:
    call = crypt(faulty().sign_only, context(Role.SERVER), bytes(36))
    alert, cause = failure(all_kinds(Role.SERVER).answer(call))
    assert alert == AlertDescription.INTERNAL_ERROR
    assert "no private key for the certificate that was sent" in str(cause)


def test_no_key_in_the_store_at_all() -> None:
    own = pki().server
    builtin = BuiltinPki([Identity("own", own.chain)])
    alert, cause = failure(builtin.answer(crypt(own, context(Role.SERVER), bytes(36))))
    assert alert == AlertDescription.INTERNAL_ERROR
    assert "identity own has no private key" in str(cause)


# The key store's password


def encrypted(folder: Path) -> IdentityFile:
    own = pki().server
    (folder / "chain.pem").write_bytes(own.chain_pem)
    (folder / "key.pem").write_bytes(own.key_pem(b"open sesame"))
    return IdentityFile("own", folder / "chain.pem", folder / "key.pem")


def test_the_password_comes_from_the_task(tmp_path: Path) -> None:
    """StartTask may answer with the password of the local key store."""
    own = pki().server
    builtin = BuiltinPki([encrypted(tmp_path)])
    session = context(Role.SERVER, password=b"open sesame")
    assert shown(builtin, GetCertificateCall(session, KX_RSA)) == own.chain
    call = crypt(own, session, bytes(36))
    assert len(value(builtin, call)) == 256


def test_a_wrong_password_is_our_own_mistake(tmp_path: Path) -> None:
    builtin = BuiltinPki([encrypted(tmp_path)])
    for password in (None, b"guess"):
        call = GetCertificateCall(context(Role.SERVER, password=password), KX_RSA)
        alert, cause = failure(builtin.answer(call))
        assert alert == AlertDescription.INTERNAL_ERROR
        assert "key.pem" in str(cause)


def test_two_identities_have_two_ids() -> None:
    own = pki().server.identity("own")
    with pytest.raises(LocalError, match="two identities have the id own"):
        BuiltinPki([own, own])


def test_an_authority_that_does_not_parse_is_found_at_once() -> None:
    with pytest.raises(LocalError, match="unusable"):
        BuiltinPki(authorities={"a": [b"junk"]})


def test_an_intermediate_authority_is_listed_under_its_own_name() -> None:
    """R2246-7.4.4-08."""
    builtin = BuiltinPki(authorities={"sub": [pki().intermediate.certificate.public_bytes(DER)]}, clock=NOW.timestamp)
    listed = value(builtin, GetCAListCall(context(Role.SERVER))).certificate_authorities
    assert listed == (pki().intermediate.certificate.subject.public_bytes(),)
    assert check(pki().intermediate_client, context(Role.SERVER), builtin) == Handled()


# GetPreSharedKey


def test_pre_shared_keys() -> None:
    """RFC 4279 §2: the server knows the key by the identity that the client sends."""
    builtin = BuiltinPki(pre_shared_keys={b"one": b"secret", b"other": b"secret too"})
    one, other = PreSharedKey(b"one", b"secret"), PreSharedKey(b"other", b"secret too")
    assert value(builtin, GetPreSharedKeyCall(context(Role.CLIENT))) == one
    assert value(builtin, GetPreSharedKeyCall(context(Role.CLIENT), hint=b"nobody")) == one
    assert value(builtin, GetPreSharedKeyCall(context(Role.CLIENT), hint=b"other")) == other
    assert value(builtin, GetPreSharedKeyCall(context(Role.SERVER), identity=b"other")) == other
    unknown = GetPreSharedKeyCall(context(Role.SERVER), identity=b"nobody")
    assert failure(builtin.answer(unknown))[0] == AlertDescription.UNKNOWN_PSK_IDENTITY
    hiding = BuiltinPki(pre_shared_keys={b"one": b"secret"}, hide_psk_identities=True)
    made_up = [value(hiding, unknown) for _ in range(2)]
    assert made_up[0].identity == b"nobody"
    assert made_up[0].key != made_up[1].key
    keyless = BuiltinPki().answer(GetPreSharedKeyCall(context(Role.CLIENT)))
    assert failure(keyless)[0] == AlertDescription.INTERNAL_ERROR
