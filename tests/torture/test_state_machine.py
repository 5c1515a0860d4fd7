"""The state machine over the scripts: a short search in every run, a long one by `-m torture`.

PENSTOCK_TORTURE_EXAMPLES and PENSTOCK_TORTURE_STEPS set how many examples the long search makes, and how long
each is.
"""

import os
import sys
from collections.abc import Callable, Iterator
from itertools import product

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from penstock.core.job import TRANSITIONS
from penstock.core.outcomes import OutcomeKind
from tests.harness.fleet import ServerFleet
from tests.torture.actors import CODES, EDGES
from tests.torture.model_parts import Options
from tests.torture.stories import QueueMachine
from tests.torture.stories_answers import ANSWERS, AnsweringMachine

#: A long search prints what reproduces a failure; a short one is the same each time.
UNHURRIED = {
    "deadline": None,
    "suppress_health_check": list(HealthCheck),
    "print_blob": True,
    "database": None,
}
PLAIN, KEYED = Options(), Options(key="red", limit=1)
WHERE = ("ready", "delayed", "retried", "asleep", "running")
WHAT = ("cancel", "damage", "death", "release", "time")
ENDINGS: tuple[OutcomeKind, ...] = ("complete", "fail")


def machine_on(url: str) -> type[QueueMachine]:
    return type("QueueMachineOnServer", (QueueMachine,), {"url": url})


def search(url: str, chosen: settings) -> None:
    run_state_machine_as_test(machine_on(url), settings=chosen)


def uncovered_edges() -> list[str]:
    """The moves of the table that no machine has made since they were last forgotten."""
    return [
        f"{old} → {new}"
        for old, news in TRANSITIONS.items()
        for new in sorted(news)
        if (old.value, new.value) not in EDGES
    ]


def report(title: str) -> None:
    """What was walked, how often, and what the scripts answered."""
    edges = [f"{old:>14} → {new:<12}{seen:>7}" for (old, new), seen in sorted(EDGES.items())]
    codes = [f"{code:>31}{seen:>7}" for code, seen in sorted(CODES.items())]
    sys.stdout.write("\n".join(["", f"{title}: moves seen", *edges, f"{title}: answers", *codes, ""]))


def stories(make: Callable[[], QueueMachine]) -> Iterator[QueueMachine]:
    """Each on a queue of its own; together they walk every edge of the table."""
    for where, what, chosen in product(WHERE, WHAT, (PLAIN, KEYED)):
        machine = make()
        machine.job_is_met(
            name="ann",
            chosen=chosen,
            recorded=True,
            where=where,
            what=what,
            damage="attempt",
            claims=what == "damage",
        )
        yield machine
    # Told one by one, which child comes first is the server's choice; told together, each is seen to move.
    for ending, policy, delay_ms, chunk in product(ENDINGS, ("cancel", "fail", "run"), (0, 60_000), (1, 2)):
        machine = make()
        machine.family_is_told(
            name="ann", by="bob", children=[PLAIN, KEYED], policy=policy, ending=ending, delay_ms=delay_ms,
            chunk=chunk, tells_first=True, expires=False, days=0,
        )  # fmt: skip
        yield machine
    for chosen in (PLAIN, KEYED):
        machine = make()
        machine.dead_letter_lives_again(
            name="ann",
            chosen=chosen,
            steps=2,
            kind="complete",
            recorded=True,
            told_first=True,
            forgotten=False,
        )
        yield machine


@pytest.mark.timeout(300)
def test_every_edge_is_walked_by_a_story(fleet: ServerFleet) -> None:
    EDGES.clear()
    make = machine_on(fleet.shared("valkey-9").url)
    for machine in stories(make):
        machine.teardown()
    assert not uncovered_edges()


@pytest.mark.timeout(300)
def test_every_answer_of_flow_control_is_given_in_a_story(fleet: ServerFleet) -> None:
    CODES.clear()
    url = fleet.shared("valkey-9").url
    machine = type("AnsweringMachineOnServer", (AnsweringMachine,), {"url": url})()
    machine.hears_every_answer()
    machine.teardown()
    never = {f"{script}: {code}" for script, codes in ANSWERS.items() for code in codes} - CODES.keys()
    assert not never


@pytest.mark.timeout(300)
def test_scripts_do_what_the_model_does(fleet: ServerFleet) -> None:
    server = fleet.shared("valkey-9")
    search(server.url, settings(max_examples=20, stateful_step_count=40, derandomize=True, **UNHURRIED))  # type: ignore[arg-type]


@pytest.mark.torture
@pytest.mark.timeout(7200)
def test_long_search_covers_every_transition(
    fleet: ServerFleet, server_version: str, capsys: pytest.CaptureFixture[str]
) -> None:
    EDGES.clear()
    CODES.clear()
    examples = int(os.environ.get("PENSTOCK_TORTURE_EXAMPLES", "200"))
    steps = int(os.environ.get("PENSTOCK_TORTURE_STEPS", "60"))
    server = fleet.shared(server_version)
    search(server.url, settings(max_examples=examples, stateful_step_count=steps, **UNHURRIED))  # type: ignore[arg-type]
    # Moves that are rare by chance are not left to it.
    for machine in stories(machine_on(server.url)):
        machine.teardown()
    with capsys.disabled():
        report(server_version)
    assert not uncovered_edges()
