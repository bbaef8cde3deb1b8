"""A fuzzing toolkit for TLS 1.0 implementations, on Hypothesis; it comes with ``tlsexit[fuzzing]``."""

from tlsexit.fuzzing.code import as_code
from tlsexit.fuzzing.expected import Answer, Expected
from tlsexit.fuzzing.grammars import from_grammar, register
from tlsexit.fuzzing.layout import Field, lay_out
from tlsexit.fuzzing.mutation import Kind, Mutation, mutations, outlook
from tlsexit.fuzzing.strategies import Broken, breakages, broken
from tlsexit.fuzzing.structures import STRUCTURES, Structure

__all__ = [
    "STRUCTURES",
    "Answer",
    "Broken",
    "Expected",
    "Field",
    "Kind",
    "Mutation",
    "Structure",
    "as_code",
    "breakages",
    "broken",
    "from_grammar",
    "lay_out",
    "mutations",
    "outlook",
    "register",
]
