"""Calls of tasks under the type checker: what is wrong is an error, and nothing else is."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
FIXTURE = Path("tests/tasks/typing_fixture.py")
MARK = re.compile(r"# error: ([a-z-]+)$")
REPORT = re.compile(r"typing_fixture\.py:(\d+): error: .*\[([a-z-]+)\]$")


@pytest.mark.timeout(300)
def test_a_wrong_argument_is_a_type_error() -> None:
    lines = (REPOSITORY / FIXTURE).read_text(encoding="utf-8").splitlines()
    marked = [(number, mark[1]) for number, line in enumerate(lines, 1) if (mark := MARK.search(line))]
    checked = subprocess.run(
        # With the cache of `make check`, so that it need not read all of Penstock again.
        [sys.executable, "-m", "mypy", "--no-pretty", str(FIXTURE)],
        cwd=REPOSITORY,
        check=False,
        capture_output=True,
        text=True,
    )
    reports = map(REPORT.search, checked.stdout.splitlines())
    reported = [(int(report[1]), report[2]) for report in reports if report]
    assert len(marked) >= 15
    assert reported == marked, checked.stdout + checked.stderr
