"""The examples of steps, waits, replays and timeouts: run as printed, and quoted by their guides."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples" / "flow"
PRINTED = {
    "durable_steps": [
        "a summary of 2 parts, sent in attempt 2",
        "transcribed: 1 and 1 times",
        "asked for a summary: 2 times in one attempt",
    ],
    "signals": [
        "monday: weir is suspended, attempts spent: 0",
        "monday: mill is suspended, attempts spent: 0",
        "approved: weir is suspended, attempts spent: 0",
        "approved: mill is suspended, attempts spent: 0",
        "a week later: weir is completed, attempts spent: 1",
        "a week later: mill is suspended, attempts spent: 0",
        "a day later: weir is completed, attempts spent: 1",
        "a day later: mill is completed, attempts spent: 1",
        "a draft about weirs, signed Ann, with a photo of a weir",
        "a draft about mills, signed Ann, with no photo",
    ],
    "replay_and_fork": [
        "ran: ['plan', 'facts', 'write']",
        "replayed to the end, same result",
        "agrees: False at step write",
        "ran: ['write']",
        "write(facts(plan(weirs)), short)",
    ],
    "timeouts": [
        "loop: failed, TimeoutError: the attempt took longer than timeout_seconds=0.2",
        "thread: failed, TimeoutError: the attempt took longer than timeout_seconds=0.2",
        "silent: failed, IdleTimeoutError: the attempt reported no progress, event, step or usage for "
        "idle_timeout_seconds=0.5",
    ],
}
GUIDES = ["durable-steps", "signals-and-sleep", "replay-and-fork", "timeouts"]
# Its thread is told of its end, which is worth a log line.
LOGS = {
    "timeouts": "job thread: the attempt took longer than timeout_seconds=0.2; its function runs in a thread"
}


@pytest.mark.parametrize("name", PRINTED)
def test_the_example_prints_what_it_says(name: str) -> None:
    ran = subprocess.run(
        [sys.executable, EXAMPLES / f"{name}.py"], capture_output=True, text=True, timeout=120, check=False
    )
    assert (ran.returncode, ran.stdout.splitlines()) == (0, PRINTED[name]), ran.stderr
    assert ran.stderr.startswith(LOGS.get(name, "")), ran.stderr
    assert bool(ran.stderr) == (name in LOGS)


@pytest.mark.parametrize("guide", GUIDES)
def test_the_guide_quotes_its_example(guide: str) -> None:
    text = (ROOT / "docs" / "howto" / f"{guide}.md").read_text("utf-8")
    (example,) = re.findall(r"\.\./\.\./examples/flow/(\w+)\.py", text)
    assert example in PRINTED
    source = "".join((EXAMPLES / f"{example}.py").read_text("utf-8").split())
    for snippet in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        assert "".join(snippet.split()) in source, snippet
