"""Certificates in a few words."""

from __future__ import annotations

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from tests.support.pki import END, START, pki, root_authority
from tlsexit.constants import Role
from tlsexit.crypto.suites import KeyType
from tlsexit.policy.throwaway import self_signed
from tlsexit.trace.certificates import brief, name_text, printable, subject, summary
from tlsexit.trace.values import plain

KEYS = {KeyType.RSA: "RSA 2048 bits", KeyType.DSA: "DSA 1024 bits", KeyType.EC: "ECDSA secp256r1"}


@pytest.mark.parametrize("kind", list(KeyType))
def test_a_summary_has_what_people_look_for(kind: KeyType) -> None:
    certificates = pki(kind)
    certificate = certificates.server.certificate
    found = plain(summary(certificates.server.chain[0]))
    assert found["subject"] == certificate.subject.rfc4514_string()
    assert found["issuer"] == certificates.root.certificate.subject.rfc4514_string()
    assert found["not_before"] == f"{START:%Y-%m-%dT%H:%M:%SZ}"
    assert found["not_after"] == f"{END:%Y-%m-%dT%H:%M:%SZ}"
    assert found["public_key"] == KEYS[kind]
    assert found["serial_number"] == f"{certificate.serial_number:X}"
    assert found["alternative_names"] == ["localhost", "server.example", "127.0.0.1"]
    assert found["length"] == len(certificates.server.chain[0])


def test_the_signature_is_named() -> None:
    root = root_authority("root")
    assert "sha256" in plain(summary(root.issue("leaf").chain[0]))["signed_with"].lower()
    assert "sha1" in plain(summary(root.issue("leaf", hash_name="sha1").chain[0]))["signed_with"].lower()


def test_a_key_that_tls_1_0_cannot_use_is_told() -> None:
    key = Ed25519PrivateKey.generate()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "modern")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, START, END)
    der = builder.sign(key, None).public_bytes(Encoding.DER)
    assert plain(summary(der))["public_key"] == "of a kind TLS 1.0 has no use for"


def test_a_brief_is_one_line() -> None:
    certificates = pki(KeyType.RSA)
    issuer = certificates.root.certificate.subject.rfc4514_string()
    assert brief(certificates.server.chain[0]).startswith("CN=localhost")
    assert f"issued by {issuer}, until 2049-12-31, RSA 2048 bits" in brief(certificates.server.chain[0])
    assert "self-signed" in brief(self_signed("alone").chain[0])
    assert subject(self_signed("alone").chain[0]) == "CN=alone"


@pytest.mark.parametrize("der", [b"", b"\x30\x03abc", b"\xff" * 40])
def test_what_is_no_certificate_is_shown_all_the_same(der: bytes) -> None:
    found = plain(summary(der))
    assert found["certificate"] == der.hex()
    assert found["unreadable"]
    assert brief(der) == f"an unreadable certificate of {len(der)} bytes"
    assert subject(der) == "unreadable"
    assert name_text(der)


def test_names_cannot_reach_the_terminal() -> None:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "red\x1b[31m\u202eright-to-left")])
    text = name_text(name.public_bytes())
    assert text.isprintable()
    assert "\x1b" not in text
    assert "\u202e" not in text
    leaf = root_authority("root").issue("bell\x07", role=Role.CLIENT)
    assert brief(leaf.chain[0]).isprintable()
    assert plain(summary(leaf.chain[0]))["subject"].isprintable()


def test_printable_keeps_what_is_harmless() -> None:
    assert printable("Zürich, 東京") == "Zürich, 東京"
    assert printable("a\tb\x00") == "a\\tb\\x00"


def test_directory_names_and_others_are_shown() -> None:
    other = x509.DirectoryName(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "directory")]))
    names = x509.SubjectAlternativeName(
        [other, x509.RFC822Name("a@example.org"), x509.RegisteredID(NameOID.COMMON_NAME)]
    )
    leaf = root_authority("root").issue("leaf", extensions=[(names, False)])
    found = plain(summary(leaf.chain[0]))["alternative_names"]
    assert found[:2] == ["CN=directory", "a@example.org"]
    assert len(found) == 3
