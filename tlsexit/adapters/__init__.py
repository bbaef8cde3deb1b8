"""Exits that are not Python code in this process.

Shared libraries (:mod:`~tlsexit.adapters.clib`), keys on tokens (:mod:`~tlsexit.adapters.hsm`) and other processes
(:mod:`~tlsexit.adapters.remote`); :func:`tlsexit.adapters.specs.load_exit` makes an exit of any kind from one line of
text. Nothing here is loaded by ``import tlsexit``.
"""
