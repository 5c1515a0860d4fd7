"""The examples of following jobs along: run as printed, output asserted; the guides quote them."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples" / "flow"
PRINTED = {
    "live_feed": [
        "first reader: a",
        "first reader: gate",
        "first reader: a",
        "first reader: fall",
        "second reader: emit {'word': 'a'}",
        "second reader: emit {'word': 'wheel'}",
        "second reader: end completed",
    ],
    "results": [
        "job by-1 has not ended within 0.1 s; it goes on: wait again or cancel",
        "by-1 12.0",
        "by-2 6.0",
        "by-3 4.0",
        "by-0 failed in attempt 1 with ValueError: nothing can be divided by 0",
    ],
    "durable_enqueue": [
        "on disk: order-1",
        "on disk: 100 more, behind few waits for the disk",
        "again, after a lost answer: order-1",
        "kept: 101",
    ],
    "usage": [
        "cost: 1.5",
        "tokens: 7",
        "chat of north: 1 cost",
        "chat of north: 6 tokens",
        "chat of south: 0.5 cost",
        "chat of south: 1 tokens",
    ],
}
GUIDES = {
    "live-feed": "live_feed",
    "results": "results",
    "durability": "durable_enqueue",
    "testing": "test_with_penstock",
    "usage": "usage",
}


@pytest.mark.parametrize("name", PRINTED)
def test_the_example_prints_what_it_says(name: str) -> None:
    ran = subprocess.run(
        [sys.executable, EXAMPLES / f"{name}.py"], capture_output=True, text=True, timeout=120, check=False
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.splitlines() == PRINTED[name]


@pytest.mark.parametrize(("guide", "example"), GUIDES.items())
def test_the_guide_quotes_its_example(guide: str, example: str) -> None:
    text = (ROOT / "docs" / "howto" / f"{guide}.md").read_text("utf-8")
    assert f"../../examples/flow/{example}.py" in text
    source = "".join((EXAMPLES / f"{example}.py").read_text("utf-8").split())
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert blocks
    for block in blocks:
        assert "".join(block.split()) in source, (
            f"{guide} shows code that {example}.py does not have:\n{block}"
        )
