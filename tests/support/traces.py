"""The traces and steps of :mod:`tlsexit.puppet`, under one name for tests."""

from tlsexit.puppet.steps import *  # noqa: F403
from tlsexit.puppet.traces import *  # noqa: F403
