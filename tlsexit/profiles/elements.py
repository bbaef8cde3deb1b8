"""The elements of a security profile: what each is called in a file, and which values it takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from tlsexit.alerts import LocalError
from tlsexit.constants import Role
from tlsexit.crypto.groups import NamedCurve
from tlsexit.crypto.suites import parse_suites
from tlsexit.profile import Profile, Verify


class ProfileError(LocalError):
    """A profile file that cannot be used: names the file, the line, and what was expected there."""

    def __init__(self, file: str, line: int, reason: str) -> None:
        super().__init__(f"{file}, line {line}: {reason}")
        self.file = file
        self.line = line
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Element:
    """One element: its field in :class:`~tlsexit.profile.Profile`, its CFTSSL keyword ("" if it has none).

    ``convert`` takes what the file says (str, int, bool, or a list of those) and raises ValueError for anything else;
    ``expected`` then tells a person what would have been right.
    """

    field: str
    keyword: str
    convert: Callable[[Any], Any]
    expected: str


def make_profile(direction: Role, elements: Mapping[str, Any]) -> Profile:
    """Return the profile with these fields; :class:`LocalError` for values that do not go together."""
    make = Profile.server if direction is Role.SERVER else Profile.client
    return make(**elements)


def role(value: Any) -> Role:
    """Return the direction that ``client`` or ``server`` names."""
    return Role(_text(value).lower())


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError
    return value


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(_text(item) for item in value) if isinstance(value, (list, tuple)) else (_text(value),)


def _number(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise ValueError
    return int(value)


def _switch(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    return {"yes": True, "no": False}[_text(value).lower()]


def _verify(value: Any) -> Verify:
    return Verify(_text(value).lower())


def _suites(value: Any) -> tuple[int, ...]:
    items = value if isinstance(value, (list, tuple)) else [value]
    return parse_suites(",".join(str(item) for item in items))


def _curves(value: Any) -> tuple[int, ...]:
    items = value if isinstance(value, (list, tuple)) else [value]
    return tuple(
        NamedCurve(item) if isinstance(item, int) else NamedCurve[_text(item).upper().replace("-", "_")]
        for item in items
    )


_SWITCH = "true or false"
_NAMES = "a list of names"

ELEMENTS: Final = (
    Element("cipher_suites", "ciphlist", _suites, "suite numbers or names, favourite first"),
    Element("verify", "verify", _verify, "none, optional or required for a server, none or enforced for a client"),
    Element("user_certificate_id", "usercid", _text, "the id of a certificate in the key store"),
    Element("root_ca_ids", "rootcid", _texts, "the ids of authorities in the key store"),
    Element("depth", "depth", _number, "a number from 0 to 10"),
    Element("dn_user", "dnuser", _texts, "alternatives, each like CN=alice/O=Example"),
    Element("dn_issuer", "dnissuer", _texts, "alternatives, each like CN=My CA/O=Example"),
    Element("certificate_file_root", "certfname", _text, "the beginning of a file name"),
    Element("parm", "parm", _text, "text of at most 64 characters"),
    Element("trace", "trace", _number, "a trace level, a number"),
    Element("server_preference", "", _switch, _SWITCH),
    Element("server_name", "", _text, "a host name"),
    Element("server_names", "", _texts, _NAMES),
    Element("alpn", "", _texts, _NAMES),
    Element("groups", "", _curves, "curves: x25519, secp256r1, secp384r1, secp521r1"),
    Element("dh_group", "", _text, "the name of a group, such as ffdhe2048"),
    Element("extended_master_secret", "", _switch, _SWITCH),
    Element("encrypt_then_mac", "", _switch, _SWITCH),
    Element("renegotiation", "", _switch, _SWITCH),
    Element("extensions", "", _switch, _SWITCH),
    Element("fallback_scsv", "", _switch, _SWITCH),
    Element("v2_client_hello", "", _switch, _SWITCH),
    Element("accept_v2_client_hello", "", _switch, _SWITCH),
    Element("session_tickets", "", _switch, _SWITCH),
    Element("status_request", "", _switch, _SWITCH),
    Element("signed_certificate_timestamps", "", _switch, _SWITCH),
    Element("max_fragment_length", "", _number, "512, 1024, 2048 or 4096"),
    Element("psk_identity_hint", "", lambda value: _text(value).encode(), "text"),
    Element("minimum_rsa_bits", "", _number, "a number of bits"),
    Element("minimum_dh_bits", "", _number, "a number of bits"),
    Element("maximum_dh_bits", "", _number, "a number of bits"),
)
"""Every element but id and direction, which both kinds of file write in their own way."""


def converted(element: Element, name: str, value: Any) -> Any:
    """Return the value for the profile; :class:`LocalError`, without place, if it is none."""
    try:
        return element.convert(value)
    except LocalError as error:
        raise LocalError(f"{name}: {error}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise LocalError(f"{name} is {element.expected}, not {value!r}") from error
