"""`python -m redisjobs`: the command line."""

from __future__ import annotations

from redisjobs.cli import main

if __name__ == "__main__":
    main()
