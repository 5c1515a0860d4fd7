"""A real PostgreSQL on this machine, kept under a data directory: what runs when no server is given.

``EmbeddedPostgres`` finds or starts the one server of a data directory; ``engine`` chooses between
it and a server named by url. One file a role: ``programs`` finds the binaries, ``account`` says as
whom they run, ``directory`` holds the files, ``process`` makes the cluster and starts the server,
``conversation`` talks to it. The life it shares with every embedded server is told in
``store.embedded.lifecycle``.
"""

from penstock.runs.embedded.server import EmbeddedPostgres, engine

__all__ = ["EmbeddedPostgres", "engine"]
