"""A real Valkey on this machine, kept under a data directory: what runs when no server is given.

``EmbeddedValkey`` finds or starts the one server of a data directory; ``engine`` chooses between
it and a server named by url. One file a role: ``binary`` finds the program, ``directory`` holds
the files, ``lock`` keeps servers single, ``process`` is the child, ``conversation`` talks to it,
and ``server`` tells the story.
"""

from penstock.store.embedded.server import EmbeddedValkey, engine

__all__ = ["EmbeddedValkey", "engine"]
