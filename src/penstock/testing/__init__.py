"""A kit for tests of code that uses Penstock: a real server, a clock that is moved, failures on demand.

Put ``pytest_plugins = ["penstock.testing"]`` into ``conftest.py``; it needs pytest and pytest-asyncio
(``pip install "penstock[testing]"``). Fixtures: ``penstock_url``, ``penstock_queue``,
``penstock_clock``, ``penstock_failures``.
"""

from penstock.testing.clock import MovableClock
from penstock.testing.failures import Failures
from penstock.testing.fixtures import penstock_clock, penstock_failures, penstock_queue, penstock_url
from penstock.testing.running import run_until_idle

__all__ = [
    "Failures",
    "MovableClock",
    "penstock_clock",
    "penstock_failures",
    "penstock_queue",
    "penstock_url",
    "run_until_idle",
]
