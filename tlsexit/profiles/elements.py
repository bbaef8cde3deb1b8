"""The elements of a security profile: what each is called in a file, and which values it takes."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from tlsexit.alerts import LocalError
from tlsexit.constants import Role
from tlsexit.crypto.groups import NamedCurve
from tlsexit.crypto.suites import parse_suites
from tlsexit.profile import Profile, Verify

_NUMBER: Final = re.compile(r"-?[0-9]{1,18}")
_LONGEST_QUOTE: Final = 60
"""Characters of a wrong value that an error repeats."""


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


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError
    return value


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(_text(item) for item in value) if isinstance(value, (list, tuple)) else (_text(value),)


def _number(value: Any) -> int:
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        return int(value)
    if type(value) is not int or not -(2**63) <= value < 2**63:  # the integers of TOML
        raise ValueError
    return value


def _switch(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    return {"yes": True, "no": False, "true": True, "false": False}[_text(value).lower()]


def _verify(value: Any) -> Verify:
    return Verify(_text(value).lower())


def _suites(value: Any) -> tuple[int, ...]:
    items = value if isinstance(value, (list, tuple)) else [value]
    return parse_suites(",".join(str(item) for item in items))


def _curves(value: Any) -> tuple[int, ...]:
    items = value if isinstance(value, (list, tuple)) else [value]
    return tuple(
        NamedCurve(_number(item)) if _NUMBER.fullmatch(str(item)) else NamedCurve[_text(item).upper().replace("-", "_")]
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
    Element("trace", "trace", _number, "a trace level, a number from 0 to 255"),
    Element("server_preference", "", _switch, _SWITCH),
    Element("server_name", "", _text, "a host name"),
    Element("server_names", "", _texts, _NAMES),
    Element("alpn", "", _texts, _NAMES),
    Element("npn", "", _texts, _NAMES),
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


def converted(element: Element, name: str, value: Any, direction: Role) -> Any:
    """Return the value for a profile of that direction; :class:`LocalError`, without place, if it is none."""
    try:
        result = element.convert(value)
    except LocalError as error:
        raise LocalError(f"{name}: {error}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise LocalError(f"{name} is {element.expected}, not {shown(value)}") from error
    make_profile(direction, {element.field: result})  # says what is wrong with this element rather than with the whole
    return result


def shown(value: Any) -> str:
    """Return a value of a file as an error repeats it: on one line, and not at any length."""
    try:
        text = repr(value)
    except ValueError:  # Python writes out no integer of more than 4300 digits
        return "a number of that size"
    return text if len(text) <= _LONGEST_QUOTE else text[:_LONGEST_QUOTE] + "..."


def unknown(what: str, name: str, known: Iterable[str]) -> LocalError:
    """Return the error about a keyword or element that does not exist, with the one that was probably meant."""
    names = tuple(known)
    near = difflib.get_close_matches(name, names, n=1)
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(names)}"
    return LocalError(f"the {what} {shown(name)[1:-1]} is unknown; {hint}")
