"""Benchmarks whose every call needs something fresh, which is made off the clock."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pytest_benchmark.fixture import BenchmarkFixture


def each_with(benchmark: BenchmarkFixture, target: Callable[..., Any], setup: Callable[[], Any], rounds: int) -> Any:
    """Time ``target(setup())`` once a round, ``target()`` if setup returns None; return the last result."""

    def arguments() -> tuple[tuple[Any, ...], dict[str, Any]]:
        fresh = setup()
        return (() if fresh is None else (fresh,)), {}

    return benchmark.pedantic(  # type: ignore[no-untyped-call]
        target, setup=arguments, rounds=rounds, warmup_rounds=max(2, rounds // 50)
    )
