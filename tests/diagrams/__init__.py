"""The pictures in the documentation; ``python -m tests.diagrams`` draws them."""
