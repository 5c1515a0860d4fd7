"""Torture: real workers and a real server under seeded faults, held against a ledger outside Redis.

``scenario`` tells the story of one run; ``crew`` are the worker processes, ``bench_server`` the server,
``faults`` what happens to them, ``ledger`` what the handlers swear to, ``judge`` the verdict.
"""
