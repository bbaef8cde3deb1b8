"""The long runs, made short: what they watch for is watched for."""

from __future__ import annotations

import pytest

from tests.fuzzing import soak
from tests.fuzzing.soak import Watch, conversations, inputs, parsers


def test_every_parser_takes_damaged_texts() -> None:
    assert inputs(10_000, 0).slowest < soak.LIMIT


def test_whole_texts_are_legal() -> None:
    for name, parser, texts in parsers():
        assert texts, name
        assert all(parser(text) for text in texts), name


def test_conversations_in_both_roles_find_nothing() -> None:
    assert conversations(1_200, 3).slowest < soak.LIMIT


def test_an_exception_that_is_not_documented_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(data: bytes) -> bool:
        raise RecursionError

    monkeypatch.setattr(soak, "parsers", lambda: [("broken", broken, [b"text"])])
    with pytest.raises(RecursionError):
        inputs(1, 0)


@pytest.mark.parametrize("watch", [Watch(slowest=2.5), Watch(_first=-100_000)])
def test_slow_inputs_and_growth_end_the_run(watch: Watch) -> None:
    with pytest.raises(AssertionError):
        watch.look()
