"""Benchmarks: ``python -m benchmarks.compare`` and ``python -m pytest benchmarks``; see README.md."""
