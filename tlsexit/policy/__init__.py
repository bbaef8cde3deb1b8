"""Policy: the built-in PKI that answers what an exit leaves, and a configuration fed by the operating system.

Throw-away certificates for demonstrations and tests are in :mod:`tlsexit.policy.throwaway`.
"""

from __future__ import annotations

from tlsexit.policy.builtin import BuiltinPki
from tlsexit.policy.certificates import TrustAnchors
from tlsexit.policy.responses import load_ocsp_response
from tlsexit.policy.revocation import RevocationList, load_revocation_lists
from tlsexit.policy.signatures import SignaturePolicy
from tlsexit.policy.store import Identity, IdentityFile, load_authorities, load_identity
from tlsexit.policy.system import system_config
from tlsexit.policy.x509 import KeyUse, LeafDemands, check_chain

__all__ = [
    "BuiltinPki",
    "Identity",
    "IdentityFile",
    "KeyUse",
    "LeafDemands",
    "RevocationList",
    "SignaturePolicy",
    "TrustAnchors",
    "check_chain",
    "load_authorities",
    "load_identity",
    "load_ocsp_response",
    "load_revocation_lists",
    "system_config",
]
