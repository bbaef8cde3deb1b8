"""The grammars as stock construct has them: ``Struct``, ``Prefixed``, ``GreedyRange``.

They accept more than they should (``Prefixed`` ignores what is left over inside, ``GreedyRange`` takes any error for
the end of the list); making them as strict as ours would make them slower still.
"""

from __future__ import annotations

from dataclasses import asdict, is_dataclass
from typing import Any, Final

from construct import (
    Bytes,
    Construct,
    GreedyBytes,
    GreedyRange,
    Int8ub,
    Int16ub,
    Int24ub,
    Int32ub,
    Optional,
    Prefixed,
    Struct,
    Terminated,
)

_OPAQUE8: Final = Prefixed(Int8ub, GreedyBytes)
_OPAQUE16: Final = Prefixed(Int16ub, GreedyBytes)
_OPAQUE24: Final = Prefixed(Int24ub, GreedyBytes)

_EXTENSIONS: Final = Optional(
    Prefixed(Int16ub, GreedyRange(Struct("extension_type" / Int16ub, "extension_data" / _OPAQUE16)))
)

GRAMMARS: Final[dict[str, Construct]] = {
    "ClientHello": Struct(
        "client_version" / Int16ub,
        "random" / Bytes(32),
        "session_id" / _OPAQUE8,
        "cipher_suites" / Prefixed(Int16ub, GreedyRange(Int16ub)),
        "compression_methods" / Prefixed(Int8ub, GreedyRange(Int8ub)),
        "extensions" / _EXTENSIONS,
        Terminated,
    ),
    "ServerHello": Struct(
        "server_version" / Int16ub,
        "random" / Bytes(32),
        "session_id" / _OPAQUE8,
        "cipher_suite" / Int16ub,
        "compression_method" / Int8ub,
        "extensions" / _EXTENSIONS,
        Terminated,
    ),
    "Certificate": Struct("certificate_list" / Prefixed(Int24ub, GreedyRange(_OPAQUE24)), Terminated),
    "CertificateRequest": Struct(
        "certificate_types" / Prefixed(Int8ub, GreedyRange(Int8ub)),
        "certificate_authorities" / Prefixed(Int16ub, GreedyRange(_OPAQUE16)),
        Terminated,
    ),
    "CertificateVerify": Struct("signature" / _OPAQUE16, Terminated),
    "CertificateStatus": Struct("status_type" / Int8ub, "response" / _OPAQUE24, Terminated),
    "ServerDHParams": Struct("dh_p" / _OPAQUE16, "dh_g" / _OPAQUE16, "dh_Ys" / _OPAQUE16, Terminated),
    "ServerECDHParams": Struct("curve_type" / Int8ub, "named_curve" / Int16ub, "public" / _OPAQUE8, Terminated),
    "EncryptedPreMasterSecret": Struct("pre_master_secret" / _OPAQUE16, Terminated),
    "NewSessionTicket": Struct("ticket_lifetime_hint" / Int32ub, "ticket" / _OPAQUE16, Terminated),
    "Finished": Struct("verify_data" / Bytes(12), Terminated),
    "Alert": Struct("level" / Int8ub, "description" / Int8ub, Terminated),
    "server_name": Prefixed(Int16ub, GreedyRange(Struct("name_type" / Int8ub, "name" / _OPAQUE16))),
    "supported_groups": Prefixed(Int16ub, GreedyRange(Int16ub)),
    "protocol_name_list": Prefixed(Int16ub, GreedyRange(_OPAQUE8)),
}
"""By the names of the samples."""


def plain(value: Any) -> Any:
    """Return a sample's value in the form that construct builds from: dictionaries and lists."""
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    return [plain(item) for item in value] if isinstance(value, tuple) else value
