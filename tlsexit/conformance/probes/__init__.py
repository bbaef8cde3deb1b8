"""The probes, a module for each section. A module declares ``PROBES``; it is found by being here."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from tlsexit.conformance.catalogue import requirements
from tlsexit.conformance.model import Probe


@cache
def all_probes() -> tuple[Probe, ...]:
    """Return every probe, in the order of the requirements that they are about."""
    order = {item.id: number for number, item in enumerate(requirements())}
    found: list[Probe] = []
    for info in iter_modules(__path__):
        found += import_module(f"{__name__}.{info.name}").PROBES
    ids = [probe.id for probe in found]
    twice = {id for id in ids if ids.count(id) > 1}
    if twice:
        raise ValueError(f"two probes are called {sorted(twice)[0]}")
    return tuple(sorted(found, key=lambda probe: (probe.group == "attacks", order[probe.requirements[0]])))
