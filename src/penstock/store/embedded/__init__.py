"""A real Valkey on this machine, kept under a data directory: what runs when no server is given.

``EmbeddedValkey`` finds or starts the one server of a data directory; ``engine`` chooses between
it and a server named by url. One file a role: ``binary`` finds the program, ``directory`` holds
the files, ``process`` starts it, ``conversation`` talks to it. What every embedded server shares is
in ``lifecycle`` (the story), ``place`` (the directory), ``child`` (the process) and ``lock``.
"""

from penstock.store.embedded.server import EmbeddedValkey, engine

__all__ = ["EmbeddedValkey", "engine"]
