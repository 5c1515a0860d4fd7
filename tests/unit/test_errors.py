"""The tree of errors: as drawn, and which server replies mean waiting."""

import inspect
import re

import pytest

from penstock.core import errors
from penstock.core.errors import WAIT_AND_RETRY_CODES, PenstockError, RetryLater, means_wait

KINDS = {
    name: kind
    for name, kind in vars(errors).items()
    if inspect.isclass(kind) and issubclass(kind, PenstockError)
}
LINE = re.compile(r"^(?P<branch>[│├└─ ]*)(?P<name>[A-Z]\w+)(?:.*\(also (?P<also>\w+)\))?")


def test_the_drawing_is_the_tree() -> None:
    drawn: dict[str, str | None] = {}
    above: list[tuple[int, str]] = []
    for line in (errors.__doc__ or "").splitlines():
        match = LINE.match(line)
        if not match or match["name"] not in KINDS:
            continue
        depth, name = len(match["branch"]), match["name"]
        above = [(level, parent) for level, parent in above if level < depth]
        drawn[name] = above[-1][1] if above else None
        if match["also"]:
            assert match["also"] in {kind.__name__ for kind in KINDS[name].__mro__}
        above.append((depth, name))
    assert drawn.keys() == KINDS.keys()
    for name, parent in drawn.items():
        if parent:
            assert KINDS[parent] in KINDS[name].__bases__, f"{name} is drawn under {parent}"


@pytest.mark.parametrize("name", KINDS)
def test_each_says_when_it_is_raised(name: str) -> None:
    assert KINDS[name].__doc__


@pytest.mark.parametrize(
    ("message", "waits"),
    [
        ("OOM command not allowed when used memory > 'maxmemory'.", True),
        (
            "Error running script (call to f_12): @user_script:5: @user_script: 5: -OOM command not allowed",
            True,
        ),
        ("READONLY You can't write against a read only replica.", True),
        ("LOADING Redis is loading the dataset in memory", True),
        ("NOGROUP No such key 'x' or consumer group 'y'", True),
        ("UNBLOCKED client unblocked via CLIENT UNBLOCK", True),
        ("MISCONF Redis is configured to save RDB snapshots", True),
        ("TRYAGAIN Multiple keys request during rehashing of slot", True),
        ("CLUSTERDOWN Hash slot not served", True),
        ("NOREPLICAS Not enough good replicas to write.", True),
        ("MASTERDOWN Link with MASTER is down", True),
        ("BUSY Redis is busy running a script.", True),
        ("BUSYGROUP Consumer Group name already exists", False),
        ("WRONGTYPE Operation against a key holding the wrong kind of value", False),
        ("ERR unknown command 'FOO'", False),
        ("NOAUTH Authentication required.", False),
        ("", False),
    ],
)
def test_which_replies_mean_waiting(message: str, waits: bool) -> None:
    assert means_wait(message) is waits


def test_each_code_has_its_case_above() -> None:
    assert {code for code in WAIT_AND_RETRY_CODES if means_wait(f"{code} x")} == WAIT_AND_RETRY_CODES


def test_a_later_try_keeps_its_wait() -> None:
    error = RetryLater(7.5, "busy")
    assert (error.retry_after, str(error)) == (7.5, "busy")
