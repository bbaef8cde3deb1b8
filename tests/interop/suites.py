"""The cipher suites of the interoperability tests, under the names that the peers give them.

Written down from the IANA registry and OpenSSL's list rather than taken from tlsexit: two tables that were made
independently check each other.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Suite:
    """One cipher suite."""

    number: int
    openssl: str
    """OpenSSL's name."""
    iana: str
    """The name in the IANA registry."""

    @property
    def key_exchange(self) -> str:
        """``RSA``, ``DHE_RSA``, ``ECDH_anon``, ... as in the IANA name, without ``_EXPORT``."""
        return self.iana.removeprefix("TLS_").split("_WITH_")[0].removesuffix("_EXPORT")

    @property
    def cipher(self) -> str:
        """``AES_128_CBC``, ``RC4_128``, ``NULL``, ... as in the IANA name."""
        return self.iana.split("_WITH_")[1].rpartition("_")[0]

    @property
    def mac(self) -> str:
        """``MD5`` or ``SHA``."""
        return self.iana.rpartition("_")[2]

    @property
    def export(self) -> bool:
        """Whether it is a 40-bit export suite."""
        return "_EXPORT_" in self.iana

    @property
    def anonymous(self) -> bool:
        """Whether the server shows no certificate."""
        return self.key_exchange.endswith("_anon")

    @property
    def certificate(self) -> str:
        """The kind of server key it needs, which is also the certificate's name in the test PKI."""
        if self.key_exchange == "RSA" and self.export:
            return "rsa512"
        return {"ECDHE_ECDSA": "ecdsa", "DHE_DSS": "dss"}.get(self.key_exchange, "rsa")

    def __str__(self) -> str:
        return self.iana.removeprefix("TLS_")


_TABLE = """
0x0001 NULL-MD5                 TLS_RSA_WITH_NULL_MD5
0x0002 NULL-SHA                 TLS_RSA_WITH_NULL_SHA
0x0003 EXP-RC4-MD5              TLS_RSA_EXPORT_WITH_RC4_40_MD5
0x0004 RC4-MD5                  TLS_RSA_WITH_RC4_128_MD5
0x0005 RC4-SHA                  TLS_RSA_WITH_RC4_128_SHA
0x0006 EXP-RC2-CBC-MD5          TLS_RSA_EXPORT_WITH_RC2_CBC_40_MD5
0x0007 IDEA-CBC-SHA             TLS_RSA_WITH_IDEA_CBC_SHA
0x0008 EXP-DES-CBC-SHA          TLS_RSA_EXPORT_WITH_DES40_CBC_SHA
0x0009 DES-CBC-SHA              TLS_RSA_WITH_DES_CBC_SHA
0x000A DES-CBC3-SHA             TLS_RSA_WITH_3DES_EDE_CBC_SHA
0x0011 EXP-EDH-DSS-DES-CBC-SHA  TLS_DHE_DSS_EXPORT_WITH_DES40_CBC_SHA
0x0012 EDH-DSS-DES-CBC-SHA      TLS_DHE_DSS_WITH_DES_CBC_SHA
0x0013 EDH-DSS-DES-CBC3-SHA     TLS_DHE_DSS_WITH_3DES_EDE_CBC_SHA
0x0014 EXP-EDH-RSA-DES-CBC-SHA  TLS_DHE_RSA_EXPORT_WITH_DES40_CBC_SHA
0x0015 EDH-RSA-DES-CBC-SHA      TLS_DHE_RSA_WITH_DES_CBC_SHA
0x0016 EDH-RSA-DES-CBC3-SHA     TLS_DHE_RSA_WITH_3DES_EDE_CBC_SHA
0x0017 EXP-ADH-RC4-MD5          TLS_DH_anon_EXPORT_WITH_RC4_40_MD5
0x0018 ADH-RC4-MD5              TLS_DH_anon_WITH_RC4_128_MD5
0x0019 EXP-ADH-DES-CBC-SHA      TLS_DH_anon_EXPORT_WITH_DES40_CBC_SHA
0x001A ADH-DES-CBC-SHA          TLS_DH_anon_WITH_DES_CBC_SHA
0x001B ADH-DES-CBC3-SHA         TLS_DH_anon_WITH_3DES_EDE_CBC_SHA
0x002F AES128-SHA               TLS_RSA_WITH_AES_128_CBC_SHA
0x0032 DHE-DSS-AES128-SHA       TLS_DHE_DSS_WITH_AES_128_CBC_SHA
0x0033 DHE-RSA-AES128-SHA       TLS_DHE_RSA_WITH_AES_128_CBC_SHA
0x0034 ADH-AES128-SHA           TLS_DH_anon_WITH_AES_128_CBC_SHA
0x0035 AES256-SHA               TLS_RSA_WITH_AES_256_CBC_SHA
0x0038 DHE-DSS-AES256-SHA       TLS_DHE_DSS_WITH_AES_256_CBC_SHA
0x0039 DHE-RSA-AES256-SHA       TLS_DHE_RSA_WITH_AES_256_CBC_SHA
0x003A ADH-AES256-SHA           TLS_DH_anon_WITH_AES_256_CBC_SHA
0x0041 CAMELLIA128-SHA          TLS_RSA_WITH_CAMELLIA_128_CBC_SHA
0x0044 DHE-DSS-CAMELLIA128-SHA  TLS_DHE_DSS_WITH_CAMELLIA_128_CBC_SHA
0x0045 DHE-RSA-CAMELLIA128-SHA  TLS_DHE_RSA_WITH_CAMELLIA_128_CBC_SHA
0x0046 ADH-CAMELLIA128-SHA      TLS_DH_anon_WITH_CAMELLIA_128_CBC_SHA
0x0084 CAMELLIA256-SHA          TLS_RSA_WITH_CAMELLIA_256_CBC_SHA
0x0087 DHE-DSS-CAMELLIA256-SHA  TLS_DHE_DSS_WITH_CAMELLIA_256_CBC_SHA
0x0088 DHE-RSA-CAMELLIA256-SHA  TLS_DHE_RSA_WITH_CAMELLIA_256_CBC_SHA
0x0089 ADH-CAMELLIA256-SHA      TLS_DH_anon_WITH_CAMELLIA_256_CBC_SHA
0x0096 SEED-SHA                 TLS_RSA_WITH_SEED_CBC_SHA
0x0099 DHE-DSS-SEED-SHA         TLS_DHE_DSS_WITH_SEED_CBC_SHA
0x009A DHE-RSA-SEED-SHA         TLS_DHE_RSA_WITH_SEED_CBC_SHA
0x009B ADH-SEED-SHA             TLS_DH_anon_WITH_SEED_CBC_SHA
0xC006 ECDHE-ECDSA-NULL-SHA     TLS_ECDHE_ECDSA_WITH_NULL_SHA
0xC007 ECDHE-ECDSA-RC4-SHA      TLS_ECDHE_ECDSA_WITH_RC4_128_SHA
0xC008 ECDHE-ECDSA-DES-CBC3-SHA TLS_ECDHE_ECDSA_WITH_3DES_EDE_CBC_SHA
0xC009 ECDHE-ECDSA-AES128-SHA   TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA
0xC00A ECDHE-ECDSA-AES256-SHA   TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA
0xC010 ECDHE-RSA-NULL-SHA       TLS_ECDHE_RSA_WITH_NULL_SHA
0xC011 ECDHE-RSA-RC4-SHA        TLS_ECDHE_RSA_WITH_RC4_128_SHA
0xC012 ECDHE-RSA-DES-CBC3-SHA   TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA
0xC013 ECDHE-RSA-AES128-SHA     TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA
0xC014 ECDHE-RSA-AES256-SHA     TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA
0xC015 AECDH-NULL-SHA           TLS_ECDH_anon_WITH_NULL_SHA
0xC016 AECDH-RC4-SHA            TLS_ECDH_anon_WITH_RC4_128_SHA
0xC017 AECDH-DES-CBC3-SHA       TLS_ECDH_anon_WITH_3DES_EDE_CBC_SHA
0xC018 AECDH-AES128-SHA         TLS_ECDH_anon_WITH_AES_128_CBC_SHA
0xC019 AECDH-AES256-SHA         TLS_ECDH_anon_WITH_AES_256_CBC_SHA
"""

SUITES: dict[int, Suite] = {
    int(number, 16): Suite(int(number, 16), openssl, iana)
    for number, openssl, iana in (line.split() for line in _TABLE.strip().splitlines())
}
"""Every suite of the table, by number."""


def _plain(name: str) -> str:
    """A name as all peers write it: JSSE keeps SSL_ for the oldest suites, mbedTLS writes hyphens."""
    return re.sub("^SSL_", "TLS_", name.replace("-", "_"))


_BY_NAME = {suite.openssl: number for number, suite in SUITES.items()} | {
    _plain(suite.iana): number for number, suite in SUITES.items()
}


def suite_number(name: str) -> int | None:
    """The number behind an OpenSSL, IANA, JSSE or mbedTLS name; None for a name outside the table."""
    return _BY_NAME.get(name, _BY_NAME.get(_plain(name)))
