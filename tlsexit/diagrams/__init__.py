"""Pictures of the handshake, drawn from what it does: real handshakes of every kind, step by step.

:func:`~tlsexit.diagrams.walk.transitions` walks through them with the very function that connections use, and notes
which state follows which; :mod:`~tlsexit.diagrams.graph` makes two graphs of that, one of the phases an exit is asked
and one of the states; the other modules write a graph as text, Mermaid, DOT or SVG. Nothing in a picture is written
down by hand, so none can drift from the state tables.
"""
