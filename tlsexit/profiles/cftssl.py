"""Security profiles in the product's own command text.

::

    /* what our partners get */
    CFTSSL id       = partners, direct = server,
           ciphlist = (47, 53), verify = required,
           rootcid  = (ROOT1, ROOT2), usercid = OURS, depth = 2,
           dnuser   = ('CN=alice/O=Example', 'CN=bob')

A file holds any number of commands. Keywords do not care for case; a value is a word, a number, text in quotes, or a
list of those in parentheses. In quotes a doubled quote is one. A command goes on over as many lines as its commas, or
a backslash at the end of a line, lead it. Comments are ``/* ... */``, or from ``#`` to the end of the line.
``mode=replace`` replaces a profile of the same id and direction, which otherwise is an error. An element that only
tlsexit has, such as ``server_preference = yes``, goes by its name in TOML.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from tlsexit.alerts import LocalError
from tlsexit.constants import Role
from tlsexit.profile import Profile
from tlsexit.profiles.elements import ELEMENTS, ProfileError, converted, make_profile, shown, unknown

_TOKEN: Final = re.compile(
    r"""(?P<space>\s+|\\\r?\n|\#[^\n]*|/\*.*?\*/)
      | (?P<quoted>'(?:[^'\n]|'')*'|"(?:[^"\n]|"")*")
      | (?P<mark>[=,()])
      | (?P<word>(?:(?!/\*|\\\r?\n)[^\s=,()'"])+)""",
    re.VERBOSE | re.DOTALL,
)

_COMMAND: Final = "cftssl"
_KEYWORDS: Final = {element.keyword or element.field: element for element in ELEMENTS}


@dataclass(frozen=True, slots=True)
class _Token:
    text: str
    line: int
    kind: str

    def __str__(self) -> str:
        return shown(self.text) if self.kind else "the end of the file"


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
        position, line = 0, 1
        while position < len(text):
            match = _TOKEN.match(text, position)
            if match is None:
                what = "a comment" if text.startswith("/*", position) else "a quoted text"
                raise ProfileError(self.file, line, f"{what} begins here and does not end")
            if match.lastgroup != "space":
                kind = str(match.lastgroup)
                yield _Token(_unquoted(match[kind]) if kind == "quoted" else match[kind], line, kind)
            line += match[0].count("\n")
            position = match.end()
        while True:
            yield _Token("", line, "")


def _unquoted(text: str) -> str:
    return text[1:-1].replace(text[0] * 2, text[0])


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
    side = Role(_choice(direction, tuple(role.value for role in Role), file))
    mode = _choice(given.pop("mode", _Parameter("mode", "create", line)), ("create", "replace"), file)
    elements: dict[str, Any] = {"id": id.value}
    try:
        make_profile(side, elements)
    except LocalError as error:
        raise ProfileError(file, id.line, str(error)) from error
    for keyword, parameter in given.items():
        element = _KEYWORDS.get(keyword)
        try:
            if element is None:
                raise unknown("keyword", keyword, ("id", "direct", "mode", *_KEYWORDS))
            elements[element.field] = converted(element, keyword, parameter.value, side)
        except LocalError as error:
            raise ProfileError(file, parameter.line, str(error)) from error
    return side, id.value, mode == "replace", make_profile(side, elements)


def _choice(parameter: _Parameter, choices: tuple[str, ...], file: str) -> str:
    value = parameter.value.lower() if isinstance(parameter.value, str) else None
    if value not in choices:
        raise ProfileError(
            file, parameter.line, f"{parameter.keyword} is {' or '.join(choices)}, not {shown(parameter.value)}"
        )
    return value


def _required(given: dict[str, _Parameter], keyword: str, line: int, file: str) -> _Parameter:
    parameter = given.pop(keyword, None)
    if parameter is None or not isinstance(parameter.value, str) or not parameter.value:
        raise ProfileError(file, line, f"the command needs {keyword}=..., one value")
    return parameter
