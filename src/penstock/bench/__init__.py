"""What Penstock costs, measured beside bare redis-py on the same server in the same run.

Machines drift, so figures of two runs are not to be compared: both systems take turns in every
round, each figure is the median of its rounds, and the ratios are what counts. One file a role:
``arena`` is the ground (server, names, cleaning up), ``raw`` the bare baseline, ``processes`` the
workers; ``enqueueing``, ``draining``, ``pickup``, ``memory`` and ``recovery`` each measure one
thing; ``suite`` runs them in turn and ``report`` says what came out.
"""

from penstock.bench.suite import Plan, run_suite

__all__ = ["Plan", "run_suite"]
