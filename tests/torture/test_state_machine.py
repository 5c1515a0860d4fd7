"""The state machine over the scripts: a short search in every run, a long one by `-m torture`.

PENSTOCK_TORTURE_EXAMPLES sets the length of the long search.
"""

import os
import sys

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from penstock.core.job import TRANSITIONS
from tests.harness.fleet import ServerFleet
from tests.torture.machine import EDGES
from tests.torture.stories import QueueMachine

#: A long search prints what reproduces a failure; a short one is the same each time.
UNHURRIED = {
    "deadline": None,
    "suppress_health_check": list(HealthCheck),
    "print_blob": True,
    "database": None,
}
NOT_BUILT_YET: set[str] = set()


def search(url: str, chosen: settings) -> None:
    machine = type("QueueMachineOnServer", (QueueMachine,), {"url": url})
    run_state_machine_as_test(machine, settings=chosen)


def uncovered_edges() -> list[str]:
    """The moves of the table that no machine has made, without those that no script makes yet."""
    return [
        f"{old} → {new}"
        for old, news in TRANSITIONS.items()
        for new in sorted(news)
        if not {old, new} & NOT_BUILT_YET and (old.value, new.value) not in EDGES
    ]


def test_scripts_do_what_the_model_does(fleet: ServerFleet) -> None:
    server = fleet.shared("valkey-9")
    search(server.url, settings(max_examples=int(os.environ.get("EX", "60")), stateful_step_count=50, derandomize=True, **UNHURRIED))  # type: ignore[arg-type]


@pytest.mark.torture
@pytest.mark.timeout(7200)
def test_long_search_covers_every_transition(
    fleet: ServerFleet, server_version: str, capsys: pytest.CaptureFixture[str]
) -> None:
    EDGES.clear()
    examples = int(os.environ.get("PENSTOCK_TORTURE_EXAMPLES", "200"))
    server = fleet.shared(server_version)
    search(server.url, settings(max_examples=examples, stateful_step_count=80, **UNHURRIED))  # type: ignore[arg-type]
    with capsys.disabled():
        lines = [f"{old:>14} → {new:<12}{seen:>7}" for (old, new), seen in sorted(EDGES.items())]
        sys.stdout.write("\n".join(["", f"{server_version}: moves seen", *lines, ""]))
    assert not uncovered_edges()
