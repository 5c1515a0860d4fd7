"""The examples of keys, rates, unique jobs, flows and whether jobs run: run as printed, output asserted."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples" / "flow"
PRINTED = {
    "fair_turns": ["1001 jobs, the small tenant's was number 2"],
    "rate_limits": [
        "first call: paused",
        "calls: 5 for 4 jobs",
        "nobody called while the key was paused: True",
    ],
    "unique_jobs": [
        "existing: report-1 report-1",
        "reject: job report-3 was rejected: job report-1 holds its unique_key until it has ended",
        "debounce: index-1 cancelled",
        "debounce: index-2 cancelled",
        "debounce: index-3 scheduled",
        "throttle: mail-1",
    ],
    "flows": [
        "sum: completed 5",
        "total: completed 106",
        "cancelled: cancelled ParentFailed: its parent broken ended as failed",
        "too: cancelled ParentFailed: its parent cancelled ended as cancelled",
        "anyway: completed 7",
    ],
    "whether": [
        "cancel: {'long': True, 'later': True, 'nobody': False}",
        "long: cancelled",
        "later: cancelled",
        "late: cancelled (Expired: the job had not started by its expires_at)",
        "paused: pending",
        "resumed: completed",
    ],
}
GUIDES = ["fair-turns", "rate-limits", "unique-jobs", "flows", "cancel-expire-pause"]


@pytest.mark.parametrize("name", PRINTED)
def test_the_example_prints_what_it_says(name: str) -> None:
    ran = subprocess.run(
        [sys.executable, EXAMPLES / f"{name}.py"], capture_output=True, text=True, timeout=120, check=False
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.splitlines() == PRINTED[name]


@pytest.mark.parametrize("guide", GUIDES)
def test_the_guide_quotes_its_example(guide: str) -> None:
    text = (ROOT / "docs" / "howto" / f"{guide}.md").read_text("utf-8")
    (example,) = re.findall(r"\.\./\.\./examples/flow/(\w+)\.py", text)
    assert example in PRINTED
    source = "".join((EXAMPLES / f"{example}.py").read_text("utf-8").split())
    for snippet in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        assert "".join(snippet.split()).rstrip(",") in source, snippet
