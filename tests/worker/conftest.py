"""Fixtures of the worker tests."""

import pytest

from tests.harness.guardian import Guardian
from tests.harness.processes import ProcessStarter
from tests.worker.support import Workers


@pytest.fixture
def workers(processes: ProcessStarter, guardian: Guardian) -> Workers:
    """Starts worker processes with short leases on the test's server."""
    return Workers(processes, guardian.directory("gates"))
