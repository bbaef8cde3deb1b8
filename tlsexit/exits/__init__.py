"""The exits: ten phases, their questions as data, and the three answers (the manual of PKI exits)."""
