"""Failure injection: what becomes of a handshake when an exit does something bad, in every phase and both roles.

:mod:`~tests.exits.injection.table` says what must happen, one cell for each question and each bad outcome;
:mod:`~tests.exits.injection.drivers` makes it happen, by hand, over a blocking socket and under asyncio.
``python -m tests.exits.injection`` writes the table to ``docs/exit-failures.md``.
"""
