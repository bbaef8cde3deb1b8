"""The two forms of decoded values: lines for people, plain values for JSON."""

from __future__ import annotations

import json

import pytest

from tlsexit.trace.values import Hidden, Named, Octets, Structure, Tagged, Value, count, lines, plain


@pytest.mark.parametrize(
    ("value", "expected_text", "expected_plain"),
    [
        (Named(47, "AES", 4), "AES (0x002F)", {"value": 47, "name": "AES"}),
        (Named(0x1301, None, 4), "0x1301", {"value": 0x1301, "name": None}),
        (Named(48, "unknown_ca"), "unknown_ca (48)", {"value": 48, "name": "unknown_ca"}),
        (Named(200, None), "200", {"value": 200, "name": None}),
        (Octets(b"\x01\xff"), "01ff", "01ff"),
        (Octets(b""), "empty", ""),
        (Octets(b"\0" * 33), "00" * 32 + "… (33 bytes)", "00" * 33),
        (Hidden(128), "128 bytes", {"length": 128}),
        (Hidden(1), "1 byte", {"length": 1}),
        ("text", "text", "text"),
        ("", "empty", ""),
        (17, "17", 17),
        (None, "empty", None),
        ((), "empty", []),
        (Structure(()), "empty", {}),
    ],
)
def test_a_value_has_a_text_and_a_plain_form(value: Value, expected_text: str, expected_plain: object) -> None:
    assert list(lines(Structure.of(field=value))) == [f"field{' ' * 18}{expected_text}"]
    assert plain(value) == expected_plain
    json.dumps(plain(value))


def test_a_number_is_looked_up_among_names() -> None:
    assert Named.of(1, {1: "one"}) == Named(1, "one")
    assert Named.of(2, {1: "one"}, 4) == Named(2, None, 4)


def test_what_is_nested_is_indented() -> None:
    value = Structure.of(
        random=Structure.of(time=3, rest=Octets(b"\xaa")),
        suites=(Named(47, "AES", 4), Named(0xFFFF, None, 4)),
        extensions=(
            Tagged(
                Named(0, "server_name"), (Tagged(Named(0, "host_name"), "localhost", ("t", "n")),), ("type", "data")
            ),
            Tagged(Named(23, "extended_master_secret"), None, ("type", "data")),
        ),
    )
    assert list(lines(value)) == [
        "random",
        "  time                 3",
        "  rest                 aa",
        "suites",
        "  AES (0x002F)",
        "  0xFFFF",
        "extensions",
        "  server_name (0)",
        "    host_name (0)      localhost",
        "  extended_master_secret (23)",
    ]
    assert plain(value)["extensions"] == [
        {
            "type": {"value": 0, "name": "server_name"},
            "data": [{"t": {"value": 0, "name": "host_name"}, "n": "localhost"}],
        },
        {"type": {"value": 23, "name": "extended_master_secret"}, "data": None},
    ]


def test_structures_in_a_list_begin_with_a_dash() -> None:
    value = Structure.of(chain=(Structure.of(subject="a", issuer="b"), Structure.of(subject="b", issuer="b")))
    assert list(lines(value)) == [
        "chain",
        "  - subject            a",
        "    issuer             b",
        "  - subject            b",
        "    issuer             b",
    ]


def test_a_tagged_field_and_nested_lists_keep_their_titles() -> None:
    value = Structure.of(request=Tagged(Named(1, "ocsp"), Structure.of(ids=(), more=Octets(b"")), ("t", "v")))
    assert list(lines(value)) == [
        "request",
        "  ocsp (1)",
        "    ids                empty",
        "    more               empty",
    ]
    assert list(lines(Structure.of(a=(("b", "c"), "d")))) == ["a", "  b", "  c", "  d"]


@pytest.mark.parametrize(("number", "text"), [(0, "0 bytes"), (1, "1 byte"), (2, "2 bytes")])
def test_bytes_are_counted_in_words(number: int, text: str) -> None:
    assert count(number) == text
