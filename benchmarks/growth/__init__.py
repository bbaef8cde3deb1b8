"""How costs grow with size: connections held, bytes transferred, certificates in a chain, bytes in a message."""

COUNT = 9
"""How many curves there are."""
