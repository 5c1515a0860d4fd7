"""The examples of tasks, dependencies and middleware: what they print, and that their pages quote them."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.acceptance.command_line import environment
from tests.harness.servers import Server

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples" / "flow"
GUIDES = ROOT / "docs" / "howto"
PRINTED = {
    "typed_tasks": [
        "task 'send': missing a required argument: 'to'; it takes (to: str, subject: str = 'Welcome')",
        "Welcome, ada! - one job: True",
        "FROM A THREAD 25",
        "later scheduled - cancelled: True",
        "here and now: Welcome, cy!",
    ],
    "dependencies": [
        "good is committed",
        "the worker closes :memory: with a total of 5",
        "5 failed",
        "test is committed",
        "the worker closes file:test?mode=memory with a total of 1",
    ],
    "middleware": [
        "adding 2 and 3",
        "one: 5",
        "two: 5",
        "three: ZeroDivisionError: division by zero",
    ],
}


def run_example(name: str, redis_url: str | None) -> list[str]:
    ran = subprocess.run(
        # A connection or a task that is left behind would be a warning, and so an error.
        [sys.executable, "-W", "error", EXAMPLES / f"{name}.py"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=environment(redis_url),
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    return ran.stdout.splitlines()


@pytest.mark.parametrize("name", PRINTED)
def test_an_example_prints_what_it_says(name: str, valkey: Server) -> None:
    assert run_example(name, valkey.url) == PRINTED[name]


def test_an_example_brings_its_own_server() -> None:
    assert run_example("middleware", None) == PRINTED["middleware"]


@pytest.mark.parametrize("page", ["typed-tasks", "dependencies", "middleware"])
def test_a_page_quotes_its_example(page: str) -> None:
    text = (GUIDES / f"{page}.md").read_text(encoding="utf-8")
    (name,) = re.findall(r"\.\./\.\./examples/flow/(\w+)\.py", text)
    source = "".join((EXAMPLES / f"{name}.py").read_text(encoding="utf-8").split())
    snippets = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert snippets
    for snippet in snippets:
        assert "".join(snippet.split()) in source, snippet


def test_the_page_on_recycling_names_options_that_exist() -> None:
    text = (GUIDES / "recycling.md").read_text(encoding="utf-8")
    (words,) = re.findall(r"^penstock (worker .*)$", text, re.MULTILINE)
    shown = subprocess.run(
        [sys.executable, "-m", "penstock", "worker", "--help"],
        capture_output=True,
        text=True,
        check=True,
        env=environment(None),
    ).stdout
    for option in re.findall(r"--[a-z-]+", words):
        assert option in shown
