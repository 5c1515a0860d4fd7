"""Fixtures of the acceptance tests."""

from collections.abc import Iterator

import pytest

from tests.acceptance.command_line import written
from tests.harness.dev_stack import DevStack
from tests.harness.guardian import Guardian
from tests.harness.processes import ProcessStarter
from tests.worker.support import Workers

TEXTS = {
    "gate.md": "# The gate\n\nThe gate opens slowly, because a fast gate breaks the pipe.\n",
    "notes/water.txt": "Water falls through the pipe. The wheel turns, and the hall hums.\n",
}


@pytest.fixture
def workers(processes: ProcessStarter, guardian: Guardian) -> Workers:
    """Starts worker processes with short leases on the test's server."""
    return Workers(processes, guardian.directory("gates"))


@pytest.fixture(scope="session")
def dev_stack(guardian: Guardian) -> Iterator[DevStack]:
    """A `penstock dev` for many tests, over two texts: not to be stopped or harmed."""
    directory = guardian.directory("dev")
    written(directory / "workspace", TEXTS)
    stack = DevStack(directory)
    stack.until_ready()
    yield stack
    stack.close()
