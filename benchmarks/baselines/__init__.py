"""The wire formats of :mod:`benchmarks.samples` written in two other ways, to compare the grammars with."""
