"""The handshake hashes (RFC 2246 §7.4.8, §7.4.9), against signatures that other implementations made over them."""

from __future__ import annotations

import copy
import hashlib
import pickle
from collections.abc import Callable

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from hypothesis import given
from hypothesis import strategies as st

from tests.support import captures
from tlsexit.crypto.keyops import PublicKey, verify
from tlsexit.handshake.transcript import Transcript


def test_published_digests() -> None:
    """MD5("abc") of RFC 1321 appendix A.5, SHA-1("abc") of FIPS 180 appendix A."""
    transcript = Transcript().add(b"a").add(b"").add(b"bc")
    sha1 = bytes.fromhex("a9993e364706816aba3e25717850c26c9cd0d89d")
    assert transcript.digest() == bytes.fromhex("900150983cd24fb0d6963f7d28e17f72") + sha1
    assert transcript.sha1() == sha1


# tlslite-ng's client certificate is RSA, so what it does wrong with DSA (MD5 ‖ SHA-1) does not matter here
@pytest.mark.parametrize("message", captures.of_kind("certificate_verify"), ids=str)
def test_captured_certificate_verify_signs_the_transcript(message: captures.Captured) -> None:
    """R2246-7.4.8-03: all messages so far with their headers; RSA over both digests, ECDSA over SHA-1."""
    (flow,) = captures.connections(message.source)
    transcript = Transcript()
    for earlier in flow[: flow.index(message)]:
        transcript = transcript.add(earlier.raw)
    (chain,) = [m for m in flow if m.kind == "certificate" and m.sender == "client"]
    leaf = bytes.fromhex(chain.fields["certificate_list"][0])
    key = x509.load_der_x509_certificate(leaf).public_key()
    assert isinstance(key, PublicKey)
    digest = transcript.digest() if isinstance(key, RSAPublicKey) else transcript.sha1()
    verify(key, message.hex("signature"), digest)


def test_adding_leaves_the_transcript_before_as_it_was() -> None:
    """A state that keeps one can be gone back to."""
    before = Transcript((b"one",))
    after = before.add(b"two")
    assert before == Transcript((b"one",))
    assert after == Transcript((b"one", b"two"))
    assert hash(after) == hash(Transcript((b"one", b"two")))


@given(st.lists(st.tuples(st.binary(max_size=40), st.booleans()), max_size=8))
def test_asking_in_between_changes_nothing(steps: list[tuple[bytes, bool]]) -> None:
    """Whenever a digest is taken, it covers all messages up to there, and those before give theirs again."""
    seen = [Transcript()]
    for raw, ask in steps:
        seen.append(seen[-1].add(raw))
        if ask:
            seen[-1].digest()
    for transcript in (*seen, *reversed(seen)):
        whole = b"".join(transcript.messages)
        assert transcript.digest() == hashlib.md5(whole).digest() + hashlib.sha1(whole).digest()
        assert transcript.sha1() == hashlib.sha1(whole).digest()


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, lambda value: pickle.loads(pickle.dumps(value))])
def test_it_can_be_copied_and_written_down(duplicate: Callable[[Transcript], Transcript]) -> None:
    """As every state can that holds one."""
    transcript = Transcript((b"one", b"two"))
    digest = transcript.digest()
    assert duplicate(transcript) == transcript
    assert duplicate(transcript).digest() == digest


def test_printing_is_short() -> None:
    assert repr(Transcript((bytes(1000), bytes(24)))) == "Transcript(2 messages, 1024 bytes)"
