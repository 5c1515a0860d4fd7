"""The examples of schedules and dead letters: run as printed, output asserted, quoted by their guides."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples" / "flow"
PRINTED = {
    "schedules": [
        "slots: 2026-03-28T01:30:00Z 2026-03-29T01:00:00Z 2026-03-30T00:30:00Z 2026-03-31T00:30:00Z",
        "after the pause: 2026-04-03T00:30:00Z",
        "beside its slots: now",
        "daily: next 2026-04-04 00:30:00 UTC",
        "pulse: next 2026-04-03 12:00:10 UTC",
    ],
    "dead_letters": [
        "dead: m1 (KeyError: 'adda') m2 (KeyError: 'bobb') m3 (KeyError: 'nobody')",
        "m1: 1 attempt, KeyError: 'adda'",
        "put back by their error: m2",
        "m1: completed, Dear m1, to ada@example.org",
        "m2: completed, Dear m2, to bob@example.org",
        "drafts: m1 m2 m3",
        "left: 0",
    ],
}
GUIDES = {"schedules": "schedules", "dead-letters": "dead_letters"}


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
    source = "".join((EXAMPLES / f"{GUIDES[guide]}.py").read_text("utf-8").split())
    snippets = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert snippets
    for snippet in snippets:
        assert "".join(snippet.split()) in source, snippet
