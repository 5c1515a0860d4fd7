"""Torture: real workers and real servers under seeded faults, held against a ledger outside Redis.

``scenarios`` says what there is, ``stage`` runs one: a ``producer`` enqueues ``work``, the ``crew`` are the
worker processes, an ``anvil`` (or a ``watched_pair``) is the server, ``proxy`` the network, ``clock`` the
time, and ``faults`` what happens to them. ``ledger`` is what handlers swear to, ``history`` what the blows
explain of it, ``findings`` what the server says at the end, ``judge`` the verdict. ``away`` and ``million``
are stories of their own.
"""
