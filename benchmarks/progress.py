"""A progress bar where there is a terminal and rich."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


def steps(title: str, work: Iterable[T], total: int) -> Iterator[T]:
    """Yield what ``work`` yields, with a bar meanwhile."""
    try:
        from rich.progress import Progress
    except ImportError:
        yield from work
        return
    with Progress(transient=True, disable=not sys.stdout.isatty()) as bar:
        task = bar.add_task(title, total=total)
        for item in work:
            bar.advance(task)
            yield item
