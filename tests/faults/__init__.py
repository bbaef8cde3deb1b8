"""Seeded faults: small defects in a copy of the engine, each switched on by itself.

A fault is an edit of the engine's source. :func:`load` makes a second copy of the modules that the edit can reach, in
this process and under another name, with the edit applied; everything else is shared with the healthy package, whose
files and modules stay as they are. An edit that no longer fits its source raises :class:`DoesNotApply`, so a fault
cannot silently become none::

    fault = faults.FAULTS["mac-not-checked"]
    target = faults.target(fault)                       # an EngineTarget of the faulty copy
    transport = target.lane().open()
"""

from tests.faults.catalogue import FAULTS, Edit, Fault
from tests.faults.copies import DoesNotApply, load, target

__all__ = ["FAULTS", "DoesNotApply", "Edit", "Fault", "load", "target"]
