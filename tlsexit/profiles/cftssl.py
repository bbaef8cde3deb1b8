"""Security profiles in the product's own command text.

::

    /* what our partners get */
    CFTSSL id       = partners, direct = server,
           ciphlist = (47, 53), verify = required,
           rootcid  = (ROOT1, ROOT2), usercid = OURS, depth = 2,
           dnuser   = ('CN=alice/O=Example', 'CN=bob')

A file holds any number of commands. Keywords do not care for case; a value is a word, a number, text in quotes, or a
list of those in parentheses. Comments are ``/* ... */``, or from ``#`` to the end of the line. ``mode=replace``
replaces a profile of the same id and direction, which otherwise is an error.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from tlsexit.alerts import LocalError
from tlsexit.constants import Role
from tlsexit.profile import Profile
from tlsexit.profiles.elements import ELEMENTS, ProfileError, converted, make_profile, role

_TOKEN: Final = re.compile(
    r"""(?P<space>\s+|\#[^\n]*|/\*.*?\*/)
      | (?P<quoted>'[^'\n]*'|"[^"\n]*")
      | (?P<mark>[=,()])
      | (?P<word>(?!/\*)[^\s=,()'"]+)""",
    re.VERBOSE | re.DOTALL,
)

_COMMAND: Final = "cftssl"
_KEYWORDS: Final = {element.keyword: element for element in ELEMENTS if element.keyword}


@dataclass(frozen=True, slots=True)
class _Token:
    text: str
    line: int
    kind: str

    def __str__(self) -> str:
        return repr(self.text) if self.text else "the end of the file"


@dataclass(frozen=True, slots=True)
class _Parameter:
    keyword: str
    value: Any
    line: int


def read_cftssl(text: str, file: str) -> dict[tuple[Role, str], Profile]:
    """Return the profiles of the commands in ``text``; ``file`` is its name for errors.

    Raises :class:`~tlsexit.profiles.ProfileError` with the line and what was expected there.
    """
    profiles: dict[tuple[Role, str], Profile] = {}
    for line, parameters in _commands(_Tokens(text, file)):
        direction, id, replaces, profile = _profile(parameters, line, file)
        if (direction, id) in profiles and not replaces:
            raise ProfileError(
                file, line, f"there is a {direction.value} profile {id} already; mode=replace replaces it"
            )
        profiles[direction, id] = profile
    return profiles


class _Tokens:
    """The words and marks of a file, with one of look-ahead."""

    def __init__(self, text: str, file: str) -> None:
        self.file = file
        self._tokens = self._split(text)
        self.next = next(self._tokens)

    def take(self) -> _Token:
        token = self.next
        if token.kind:
            self.next = next(self._tokens)
        return token

    def expect(self, text: str, place: str) -> None:
        token = self.take()
        if token.text != text or token.kind != "mark":
            raise ProfileError(self.file, token.line, f"{text!r} expected {place}, not {token}")

    def at(self, text: str) -> bool:
        return self.next.kind == "mark" and self.next.text == text

    def _split(self, text: str) -> Iterator[_Token]:
        position = 0
        while position < len(text):
            line = text.count("\n", 0, position) + 1
            match = _TOKEN.match(text, position)
            if match is None:
                what = "a comment" if text.startswith("/*", position) else "a quoted text"
                raise ProfileError(self.file, line, f"{what} begins here and does not end")
            if match.lastgroup != "space":
                kind = str(match.lastgroup)
                yield _Token(match[kind][1:-1] if kind == "quoted" else match[kind], line, kind)
            position = match.end()
        while True:
            yield _Token("", text.count("\n") + 1, "")


def _commands(tokens: _Tokens) -> Iterator[tuple[int, list[_Parameter]]]:
    while tokens.next.kind:
        command = tokens.take()
        if command.text.lower() != _COMMAND or command.kind != "word":
            raise ProfileError(tokens.file, command.line, f"the command CFTSSL expected, not {command}")
        parameters = [_parameter(tokens)]
        while tokens.at(","):
            tokens.take()
            parameters.append(_parameter(tokens))
        yield command.line, parameters


def _parameter(tokens: _Tokens) -> _Parameter:
    keyword = tokens.take()
    if keyword.kind != "word":
        raise ProfileError(tokens.file, keyword.line, f"a keyword expected, not {keyword}")
    tokens.expect("=", f"after {keyword.text}")
    if not tokens.at("("):
        return _Parameter(keyword.text.lower(), _value(tokens), keyword.line)
    tokens.take()
    values = [_value(tokens)]
    while tokens.at(","):
        tokens.take()
        values.append(_value(tokens))
    tokens.expect(")", f"after the values of {keyword.text}")
    return _Parameter(keyword.text.lower(), values, keyword.line)


def _value(tokens: _Tokens) -> str:
    token = tokens.take()
    if token.kind not in ("word", "quoted"):
        raise ProfileError(tokens.file, token.line, f"a value expected, not {token}")
    return token.text


def _profile(parameters: list[_Parameter], line: int, file: str) -> tuple[Role, str, bool, Profile]:
    given: dict[str, _Parameter] = {}
    for parameter in parameters:
        if parameter.keyword in given:
            raise ProfileError(file, parameter.line, f"{parameter.keyword} is given twice")
        given[parameter.keyword] = parameter
    id, direction = _required(given, "id", line, file), _required(given, "direct", line, file)
    mode = given.pop("mode", _Parameter("mode", "create", line))
    if mode.value not in ("create", "replace"):
        raise ProfileError(file, mode.line, f"mode is create or replace, not {mode.value!r}")
    try:
        side = role(direction.value)
    except ValueError as error:
        raise ProfileError(file, direction.line, f"direct is client or server, not {direction.value!r}") from error
    elements = {}
    for keyword, parameter in given.items():
        element = _KEYWORDS.get(keyword)
        if element is None:
            known = ", ".join(("id", "direct", "mode", *_KEYWORDS))
            raise ProfileError(file, parameter.line, f"the keyword {keyword} is unknown; there are {known}")
        try:
            elements[element.field] = converted(element, keyword, parameter.value)
        except LocalError as error:
            raise ProfileError(file, parameter.line, str(error)) from error
    try:
        return side, str(id.value), mode.value == "replace", make_profile(side, {"id": str(id.value), **elements})
    except LocalError as error:
        raise ProfileError(file, line, str(error)) from error


def _required(given: dict[str, _Parameter], keyword: str, line: int, file: str) -> _Parameter:
    parameter = given.pop(keyword, None)
    if parameter is None or not isinstance(parameter.value, str) or not parameter.value:
        raise ProfileError(file, line, f"the command needs {keyword}=..., one value")
    return parameter
