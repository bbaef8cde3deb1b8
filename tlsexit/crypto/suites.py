"""The cipher suites (RFC 2246 appendices A.5 and C, and the later RFCs whose suites TLS 1.0 can carry).

One row a suite, in :data:`SUITES`; what a key exchange or a cipher implies stands once, in the rows of
:class:`KeyExchange` and the :class:`BulkCipher` constants. Suites with a known value that are not there are in
:mod:`tlsexit.crypto.unavailable`, each with the reason.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import Final

from tlsexit.alerts import LocalError
from tlsexit.crypto.unavailable import UNAVAILABLE_SUITES

__all__ = [
    "DEFAULT_SUITES",
    "SUITES",
    "UNAVAILABLE_SUITES",
    "BulkCipher",
    "CipherSuite",
    "KeyExchange",
    "KeyType",
    "MacAlgorithm",
    "Premaster",
    "parse_suites",
]


class KeyType(Enum):
    """What kind of public key a certificate holds; the value is the name used in messages to people."""

    __hash__ = object.__hash__  # members are looked up all the time, and Enum's own takes five times as long

    RSA = "RSA"
    DSA = "DSA"
    EC = "ECDSA"


class Premaster(Enum):
    """How the premaster secret comes about, which fixes the form of both key exchange messages (§7.4.3, §7.4.7)."""

    __hash__ = object.__hash__  # members are looked up all the time, and Enum's own takes five times as long

    RSA = "encrypted by the client"
    DH = "Diffie-Hellman"
    ECDH = "elliptic curve Diffie-Hellman"
    PSK = "pre-shared key"
    DHE_PSK = "pre-shared key and Diffie-Hellman"
    RSA_PSK = "pre-shared key and encrypted by the client"
    ECDHE_PSK = "pre-shared key and elliptic curve Diffie-Hellman"

    def __init__(self, description: str) -> None:
        self.psk = self.name.endswith("PSK")
        """Whether a pre-shared key takes part (RFC 4279, RFC 5489)."""
        self.ephemeral = "DH" in self.name
        """Whether the server sends a Diffie-Hellman value of its own."""


class KeyExchange(Enum):
    """``KeyExchangeAlgorithm`` (RFC 2246 §7.4.3, appendix C), named as in the suites.

    A row is: name, type of key the server's certificate must hold (None: no certificate), premaster secret, whether
    ServerKeyExchange carries a signature, whether it is an export variant (keys of 512 bits at most).
    """

    __hash__ = object.__hash__  # members are looked up all the time, and Enum's own takes five times as long

    RSA = ("RSA", KeyType.RSA, Premaster.RSA, False, False)
    RSA_EXPORT = ("RSA_EXPORT", KeyType.RSA, Premaster.RSA, True, True)
    DHE_RSA = ("DHE_RSA", KeyType.RSA, Premaster.DH, True, False)
    DHE_RSA_EXPORT = ("DHE_RSA_EXPORT", KeyType.RSA, Premaster.DH, True, True)
    DHE_DSS = ("DHE_DSS", KeyType.DSA, Premaster.DH, True, False)
    DHE_DSS_EXPORT = ("DHE_DSS_EXPORT", KeyType.DSA, Premaster.DH, True, True)
    DH_ANON = ("DH_anon", None, Premaster.DH, False, False)
    DH_ANON_EXPORT = ("DH_anon_EXPORT", None, Premaster.DH, False, True)
    ECDHE_RSA = ("ECDHE_RSA", KeyType.RSA, Premaster.ECDH, True, False)
    ECDHE_ECDSA = ("ECDHE_ECDSA", KeyType.EC, Premaster.ECDH, True, False)
    ECDH_ANON = ("ECDH_anon", None, Premaster.ECDH, False, False)
    PSK = ("PSK", None, Premaster.PSK, False, False)
    DHE_PSK = ("DHE_PSK", None, Premaster.DHE_PSK, False, False)
    RSA_PSK = ("RSA_PSK", KeyType.RSA, Premaster.RSA_PSK, False, False)
    ECDHE_PSK = ("ECDHE_PSK", None, Premaster.ECDHE_PSK, False, False)
    ECDH_ECDSA = ("ECDH_ECDSA", KeyType.EC, Premaster.ECDH, False, False)
    ECDH_RSA = ("ECDH_RSA", KeyType.EC, Premaster.ECDH, False, False)

    def __init__(
        self, rfc_name: str, certificate: KeyType | None, premaster: Premaster, signed: bool, export: bool
    ) -> None:
        self.rfc_name = rfc_name
        self.certificate = certificate
        self.premaster = premaster
        self.signed = signed
        self.export = export
        # found once: every handshake asks these several times
        self.fixed = rfc_name in {"ECDH_ECDSA", "ECDH_RSA"}
        """Whether the key in the server's certificate takes part in the agreement itself (RFC 4492 §2.1, §2.3).

        A client can do that; a server cannot here, for CryptData has no such operation. So it never chooses these.
        """
        self.server_key_exchange = premaster.ephemeral and not self.fixed
        """Whether the server always sends ServerKeyExchange (§7.4.3).

        RSA_EXPORT sends it only beside a certificate key of more than 512 bits, PSK and RSA_PSK only with a hint:
        see :attr:`optional_server_key_exchange`.
        """
        self.optional_server_key_exchange = rfc_name in {"RSA_EXPORT", "PSK", "RSA_PSK"}
        """Whether ServerKeyExchange may come or stay away (RSA_EXPORT: §7.4.3; PSK, RSA_PSK: RFC 4279 §2)."""
        self.anonymous = certificate is None and not premaster.psk
        """Whether nobody authenticates, so that anyone in the middle can take part (§F.1.1.1)."""


@dataclass(frozen=True, slots=True)
class BulkCipher:
    """A row of the cipher table in appendix C. Sizes are in bytes, ``effective_bits`` in bits.

    ``key_material`` is what the key block gives, ``expanded_key`` what the algorithm is keyed with: they differ for
    exportable ciphers. ``block_size`` is 0 for stream ciphers. ``weak`` ciphers are in no default.
    """

    name: str
    key_material: int
    expanded_key: int
    effective_bits: int
    iv_size: int
    block_size: int
    exportable: bool = False
    weak: bool = False

    @property
    def is_block(self) -> bool:
        """Whether this is a block cipher in CBC mode (GenericBlockCipher, §6.2.3.2)."""
        return self.block_size != 0


@dataclass(frozen=True, slots=True)
class MacAlgorithm:
    """The hash under the record HMAC; ``size`` in bytes (appendix C)."""

    name: str
    size: int


# name, key material, expanded key, effective bits, IV, block
NULL: Final = BulkCipher("NULL", 0, 0, 0, 0, 0, exportable=True, weak=True)
RC4_40: Final = BulkCipher("RC4_40", 5, 16, 40, 0, 0, exportable=True, weak=True)
RC4_128: Final = BulkCipher("RC4_128", 16, 16, 128, 0, 0, weak=True)  # RFC 7465 forbids it in every version
# Appendix C says 40 effective bits: the entropy. Everyone keys RC2 with its 128-bit expanded key as it stands.
RC2_CBC_40: Final = BulkCipher("RC2_CBC_40", 5, 16, 40, 8, 8, exportable=True, weak=True)
DES40_CBC: Final = BulkCipher("DES40_CBC", 5, 8, 40, 8, 8, exportable=True, weak=True)
DES_CBC: Final = BulkCipher("DES_CBC", 8, 8, 56, 8, 8, weak=True)
TRIPLE_DES_EDE_CBC: Final = BulkCipher("3DES_EDE_CBC", 24, 24, 168, 8, 8)
IDEA_CBC: Final = BulkCipher("IDEA_CBC", 16, 16, 128, 8, 8)
SEED_CBC: Final = BulkCipher("SEED_CBC", 16, 16, 128, 16, 16)
AES_128_CBC: Final = BulkCipher("AES_128_CBC", 16, 16, 128, 16, 16)
AES_256_CBC: Final = BulkCipher("AES_256_CBC", 32, 32, 256, 16, 16)
CAMELLIA_128_CBC: Final = BulkCipher("CAMELLIA_128_CBC", 16, 16, 128, 16, 16)
CAMELLIA_256_CBC: Final = BulkCipher("CAMELLIA_256_CBC", 32, 32, 256, 16, 16)

MD5: Final = MacAlgorithm("MD5", 16)
SHA: Final = MacAlgorithm("SHA", 20)


@dataclass(frozen=True, slots=True)
class CipherSuite:
    """A cipher suite: ``value`` on the wire, ``name`` as IANA registers it, ``rfc`` that defines it."""

    value: int
    name: str
    key_exchange: KeyExchange
    cipher: BulkCipher
    mac: MacAlgorithm
    rfc: int
    openssl_name: str

    @property
    def weak(self) -> bool:
        """Whether the suite gives no confidentiality worth the name, or no authentication: never a default."""
        return self.cipher.weak or self.key_exchange.anonymous or self.key_exchange.export


# The IANA name says it all: TLS_<key exchange>_WITH_<cipher>_<MAC>. Beside it the RFC and OpenSSL's name.
_ROWS: Final = (
    (0x0001, "TLS_RSA_WITH_NULL_MD5", 2246, "NULL-MD5"),
    (0x0002, "TLS_RSA_WITH_NULL_SHA", 2246, "NULL-SHA"),
    (0x0003, "TLS_RSA_EXPORT_WITH_RC4_40_MD5", 2246, "EXP-RC4-MD5"),
    (0x0004, "TLS_RSA_WITH_RC4_128_MD5", 2246, "RC4-MD5"),
    (0x0005, "TLS_RSA_WITH_RC4_128_SHA", 2246, "RC4-SHA"),
    (0x0006, "TLS_RSA_EXPORT_WITH_RC2_CBC_40_MD5", 2246, "EXP-RC2-CBC-MD5"),
    (0x0007, "TLS_RSA_WITH_IDEA_CBC_SHA", 2246, "IDEA-CBC-SHA"),
    (0x0008, "TLS_RSA_EXPORT_WITH_DES40_CBC_SHA", 2246, "EXP-DES-CBC-SHA"),
    (0x0009, "TLS_RSA_WITH_DES_CBC_SHA", 2246, "DES-CBC-SHA"),
    (0x000A, "TLS_RSA_WITH_3DES_EDE_CBC_SHA", 2246, "DES-CBC3-SHA"),
    (0x0011, "TLS_DHE_DSS_EXPORT_WITH_DES40_CBC_SHA", 2246, "EXP-EDH-DSS-DES-CBC-SHA"),
    (0x0012, "TLS_DHE_DSS_WITH_DES_CBC_SHA", 2246, "EDH-DSS-DES-CBC-SHA"),
    (0x0013, "TLS_DHE_DSS_WITH_3DES_EDE_CBC_SHA", 2246, "EDH-DSS-DES-CBC3-SHA"),
    (0x0014, "TLS_DHE_RSA_EXPORT_WITH_DES40_CBC_SHA", 2246, "EXP-EDH-RSA-DES-CBC-SHA"),
    (0x0015, "TLS_DHE_RSA_WITH_DES_CBC_SHA", 2246, "EDH-RSA-DES-CBC-SHA"),
    (0x0016, "TLS_DHE_RSA_WITH_3DES_EDE_CBC_SHA", 2246, "EDH-RSA-DES-CBC3-SHA"),
    (0x0017, "TLS_DH_anon_EXPORT_WITH_RC4_40_MD5", 2246, "EXP-ADH-RC4-MD5"),
    (0x0018, "TLS_DH_anon_WITH_RC4_128_MD5", 2246, "ADH-RC4-MD5"),
    (0x0019, "TLS_DH_anon_EXPORT_WITH_DES40_CBC_SHA", 2246, "EXP-ADH-DES-CBC-SHA"),
    (0x001A, "TLS_DH_anon_WITH_DES_CBC_SHA", 2246, "ADH-DES-CBC-SHA"),
    (0x001B, "TLS_DH_anon_WITH_3DES_EDE_CBC_SHA", 2246, "ADH-DES-CBC3-SHA"),
    (0x002C, "TLS_PSK_WITH_NULL_SHA", 4785, "PSK-NULL-SHA"),
    (0x002D, "TLS_DHE_PSK_WITH_NULL_SHA", 4785, "DHE-PSK-NULL-SHA"),
    (0x002E, "TLS_RSA_PSK_WITH_NULL_SHA", 4785, "RSA-PSK-NULL-SHA"),
    (0x002F, "TLS_RSA_WITH_AES_128_CBC_SHA", 3268, "AES128-SHA"),
    (0x0032, "TLS_DHE_DSS_WITH_AES_128_CBC_SHA", 3268, "DHE-DSS-AES128-SHA"),
    (0x0033, "TLS_DHE_RSA_WITH_AES_128_CBC_SHA", 3268, "DHE-RSA-AES128-SHA"),
    (0x0034, "TLS_DH_anon_WITH_AES_128_CBC_SHA", 3268, "ADH-AES128-SHA"),
    (0x0035, "TLS_RSA_WITH_AES_256_CBC_SHA", 3268, "AES256-SHA"),
    (0x0038, "TLS_DHE_DSS_WITH_AES_256_CBC_SHA", 3268, "DHE-DSS-AES256-SHA"),
    (0x0039, "TLS_DHE_RSA_WITH_AES_256_CBC_SHA", 3268, "DHE-RSA-AES256-SHA"),
    (0x003A, "TLS_DH_anon_WITH_AES_256_CBC_SHA", 3268, "ADH-AES256-SHA"),
    (0x0041, "TLS_RSA_WITH_CAMELLIA_128_CBC_SHA", 4132, "CAMELLIA128-SHA"),
    (0x0044, "TLS_DHE_DSS_WITH_CAMELLIA_128_CBC_SHA", 4132, "DHE-DSS-CAMELLIA128-SHA"),
    (0x0045, "TLS_DHE_RSA_WITH_CAMELLIA_128_CBC_SHA", 4132, "DHE-RSA-CAMELLIA128-SHA"),
    (0x0046, "TLS_DH_anon_WITH_CAMELLIA_128_CBC_SHA", 4132, "ADH-CAMELLIA128-SHA"),
    (0x0084, "TLS_RSA_WITH_CAMELLIA_256_CBC_SHA", 4132, "CAMELLIA256-SHA"),
    (0x0087, "TLS_DHE_DSS_WITH_CAMELLIA_256_CBC_SHA", 4132, "DHE-DSS-CAMELLIA256-SHA"),
    (0x0088, "TLS_DHE_RSA_WITH_CAMELLIA_256_CBC_SHA", 4132, "DHE-RSA-CAMELLIA256-SHA"),
    (0x0089, "TLS_DH_anon_WITH_CAMELLIA_256_CBC_SHA", 4132, "ADH-CAMELLIA256-SHA"),
    (0x008A, "TLS_PSK_WITH_RC4_128_SHA", 4279, "PSK-RC4-SHA"),
    (0x008B, "TLS_PSK_WITH_3DES_EDE_CBC_SHA", 4279, "PSK-3DES-EDE-CBC-SHA"),
    (0x008C, "TLS_PSK_WITH_AES_128_CBC_SHA", 4279, "PSK-AES128-CBC-SHA"),
    (0x008D, "TLS_PSK_WITH_AES_256_CBC_SHA", 4279, "PSK-AES256-CBC-SHA"),
    (0x008E, "TLS_DHE_PSK_WITH_RC4_128_SHA", 4279, "DHE-PSK-RC4-SHA"),
    (0x008F, "TLS_DHE_PSK_WITH_3DES_EDE_CBC_SHA", 4279, "DHE-PSK-3DES-EDE-CBC-SHA"),
    (0x0090, "TLS_DHE_PSK_WITH_AES_128_CBC_SHA", 4279, "DHE-PSK-AES128-CBC-SHA"),
    (0x0091, "TLS_DHE_PSK_WITH_AES_256_CBC_SHA", 4279, "DHE-PSK-AES256-CBC-SHA"),
    (0x0092, "TLS_RSA_PSK_WITH_RC4_128_SHA", 4279, "RSA-PSK-RC4-SHA"),
    (0x0093, "TLS_RSA_PSK_WITH_3DES_EDE_CBC_SHA", 4279, "RSA-PSK-3DES-EDE-CBC-SHA"),
    (0x0094, "TLS_RSA_PSK_WITH_AES_128_CBC_SHA", 4279, "RSA-PSK-AES128-CBC-SHA"),
    (0x0095, "TLS_RSA_PSK_WITH_AES_256_CBC_SHA", 4279, "RSA-PSK-AES256-CBC-SHA"),
    (0x0096, "TLS_RSA_WITH_SEED_CBC_SHA", 4162, "SEED-SHA"),
    (0x0099, "TLS_DHE_DSS_WITH_SEED_CBC_SHA", 4162, "DHE-DSS-SEED-SHA"),
    (0x009A, "TLS_DHE_RSA_WITH_SEED_CBC_SHA", 4162, "DHE-RSA-SEED-SHA"),
    (0x009B, "TLS_DH_anon_WITH_SEED_CBC_SHA", 4162, "ADH-SEED-SHA"),
    (0xC001, "TLS_ECDH_ECDSA_WITH_NULL_SHA", 4492, "ECDH-ECDSA-NULL-SHA"),
    (0xC002, "TLS_ECDH_ECDSA_WITH_RC4_128_SHA", 4492, "ECDH-ECDSA-RC4-SHA"),
    (0xC003, "TLS_ECDH_ECDSA_WITH_3DES_EDE_CBC_SHA", 4492, "ECDH-ECDSA-DES-CBC3-SHA"),
    (0xC004, "TLS_ECDH_ECDSA_WITH_AES_128_CBC_SHA", 4492, "ECDH-ECDSA-AES128-SHA"),
    (0xC005, "TLS_ECDH_ECDSA_WITH_AES_256_CBC_SHA", 4492, "ECDH-ECDSA-AES256-SHA"),
    (0xC006, "TLS_ECDHE_ECDSA_WITH_NULL_SHA", 4492, "ECDHE-ECDSA-NULL-SHA"),
    (0xC007, "TLS_ECDHE_ECDSA_WITH_RC4_128_SHA", 4492, "ECDHE-ECDSA-RC4-SHA"),
    (0xC008, "TLS_ECDHE_ECDSA_WITH_3DES_EDE_CBC_SHA", 4492, "ECDHE-ECDSA-DES-CBC3-SHA"),
    (0xC009, "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA", 4492, "ECDHE-ECDSA-AES128-SHA"),
    (0xC00A, "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA", 4492, "ECDHE-ECDSA-AES256-SHA"),
    (0xC00B, "TLS_ECDH_RSA_WITH_NULL_SHA", 4492, "ECDH-RSA-NULL-SHA"),
    (0xC00C, "TLS_ECDH_RSA_WITH_RC4_128_SHA", 4492, "ECDH-RSA-RC4-SHA"),
    (0xC00D, "TLS_ECDH_RSA_WITH_3DES_EDE_CBC_SHA", 4492, "ECDH-RSA-DES-CBC3-SHA"),
    (0xC00E, "TLS_ECDH_RSA_WITH_AES_128_CBC_SHA", 4492, "ECDH-RSA-AES128-SHA"),
    (0xC00F, "TLS_ECDH_RSA_WITH_AES_256_CBC_SHA", 4492, "ECDH-RSA-AES256-SHA"),
    (0xC010, "TLS_ECDHE_RSA_WITH_NULL_SHA", 4492, "ECDHE-RSA-NULL-SHA"),
    (0xC011, "TLS_ECDHE_RSA_WITH_RC4_128_SHA", 4492, "ECDHE-RSA-RC4-SHA"),
    (0xC012, "TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA", 4492, "ECDHE-RSA-DES-CBC3-SHA"),
    (0xC013, "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA", 4492, "ECDHE-RSA-AES128-SHA"),
    (0xC014, "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA", 4492, "ECDHE-RSA-AES256-SHA"),
    (0xC015, "TLS_ECDH_anon_WITH_NULL_SHA", 4492, "AECDH-NULL-SHA"),
    (0xC016, "TLS_ECDH_anon_WITH_RC4_128_SHA", 4492, "AECDH-RC4-SHA"),
    (0xC017, "TLS_ECDH_anon_WITH_3DES_EDE_CBC_SHA", 4492, "AECDH-DES-CBC3-SHA"),
    (0xC018, "TLS_ECDH_anon_WITH_AES_128_CBC_SHA", 4492, "AECDH-AES128-SHA"),
    (0xC019, "TLS_ECDH_anon_WITH_AES_256_CBC_SHA", 4492, "AECDH-AES256-SHA"),
    (0xC033, "TLS_ECDHE_PSK_WITH_RC4_128_SHA", 5489, "ECDHE-PSK-RC4-SHA"),
    (0xC034, "TLS_ECDHE_PSK_WITH_3DES_EDE_CBC_SHA", 5489, "ECDHE-PSK-3DES-EDE-CBC-SHA"),
    (0xC035, "TLS_ECDHE_PSK_WITH_AES_128_CBC_SHA", 5489, "ECDHE-PSK-AES128-CBC-SHA"),
    (0xC036, "TLS_ECDHE_PSK_WITH_AES_256_CBC_SHA", 5489, "ECDHE-PSK-AES256-CBC-SHA"),
    (0xC039, "TLS_ECDHE_PSK_WITH_NULL_SHA", 5489, "ECDHE-PSK-NULL-SHA"),
)

_KEY_EXCHANGES: Final = {item.rfc_name: item for item in KeyExchange}
_CIPHERS: Final = {
    item.name: item
    for item in (
        NULL,
        RC4_40,
        RC4_128,
        RC2_CBC_40,
        DES40_CBC,
        DES_CBC,
        TRIPLE_DES_EDE_CBC,
        IDEA_CBC,
        SEED_CBC,
        AES_128_CBC,
        AES_256_CBC,
        CAMELLIA_128_CBC,
        CAMELLIA_256_CBC,
    )
}
_MACS: Final = {item.name: item for item in (MD5, SHA)}


def _suite(value: int, name: str, rfc: int, openssl_name: str) -> CipherSuite:
    key_exchange, rest = name.removeprefix("TLS_").split("_WITH_")
    cipher, mac = rest.rsplit("_", 1)
    return CipherSuite(value, name, _KEY_EXCHANGES[key_exchange], _CIPHERS[cipher], _MACS[mac], rfc, openssl_name)


SUITES: Final = {row[0]: _suite(*row) for row in _ROWS}
"""Every suite tlsexit has, by value. 0x0000 is the initial state and "must not be negotiated" (appendix A.5)."""

DEFAULT_SUITES: Final[tuple[int, ...]] = (
    0xC009,  # ECDHE_ECDSA, AES
    0xC00A,
    0xC013,  # ECDHE_RSA, AES
    0xC014,
    0x0033,  # DHE_RSA, AES
    0x0039,
    0x0032,  # DHE_DSS, AES
    0x0038,
    0x002F,  # RSA, AES: no forward secrecy
    0x0035,
    0xC008,  # 3DES: small blocks (Sweet32), but mandatory in §9 with DHE_DSS, and all that some old peers have
    0xC012,
    0x0016,
    0x0013,
    0x000A,
)
"""The suites offered and accepted unless the profile says otherwise, favourite first."""

_BY_NAME: Final = {
    alias.upper(): suite.value
    for suite in SUITES.values()
    # OpenSSL from 1.1.0 on says DHE where it said EDH
    for alias in (suite.name, suite.openssl_name, suite.openssl_name.replace("EDH", "DHE"))
}
_NUMBER: Final = re.compile(r"0[xX][0-9a-fA-F]+|[0-9]+")


def parse_suites(text: str) -> tuple[int, ...]:
    """Return the suite values that ``text`` lists, in its order and without repetitions.

    Items are IANA names, OpenSSL names (both in any case) or numbers (``0x002F``, ``47``), between commas, colons or
    blanks. Raises :class:`~tlsexit.alerts.LocalError`, naming the item, for one that is unknown or not available.
    """
    values = [_value(item) for item in re.split(r"[,:\s]+", text) if item]
    if not values:
        raise LocalError("no cipher suite is named")
    return tuple(dict.fromkeys(values))


def _value(item: str) -> int:
    value = int(item, 0 if item[:2] in ("0x", "0X") else 10) if _NUMBER.fullmatch(item) else _BY_NAME.get(item.upper())
    if value in SUITES:
        return value
    for unavailable, (name, reason) in UNAVAILABLE_SUITES.items():
        if value == unavailable or item.upper() == name.upper():
            raise LocalError(f"cipher suite {item} is not available: {reason}")
    raise LocalError(f"cipher suite {item} is unknown")
