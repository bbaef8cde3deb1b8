"""Benchmarks, run on their own: ``python -m pytest benchmarks``."""
