"""`python -m penstock.cli.stack.child api …`: a command of Penstock that stops with its parent."""

from __future__ import annotations

from penstock.cli.app import main
from penstock.cli.stack.leash import stop_with_parent

if __name__ == "__main__":
    stop_with_parent()
    main()
