"""``python -m tlsexit``: the command line."""

from __future__ import annotations

from tlsexit.cli import main

if __name__ == "__main__":
    main()
