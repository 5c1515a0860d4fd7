"""What Penstock costs, measured beside bare redis-py, beside its peers, and beside an earlier revision.

Machines drift, so figures of two runs are not to be compared: all systems take turns in every round
on one server, each figure is the median of its rounds, and the ratios are what counts.

Every system is played by a script of its own (``players`` here, ``bench/peers`` in the source tree)
in processes of its own, asked for the same things in the same way. ``systems`` knows them,
``processes`` runs them, ``arena`` is the ground (server, names, cleaning up); ``draining``,
``requests``, ``memory``, ``recovery`` and ``backlog`` each measure one thing; ``suite`` and
``features`` run them in turn into a ``book``, and ``report`` says what came out.
"""
