"""`penstock dev` as a user runs it: started, used by its own words, stopped, and nothing left."""

import asyncio
import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from penstock.cli.extras import needs
from penstock.core.errors import ConfigurationError
from tests.acceptance.command_line import TRACEBACK, penstock, written
from tests.harness.dev_stack import DevStack

TEXTS = {"a.md": "# One\n\nThe gate opens slowly.\n", "b.txt": "Water falls.\n"}


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    written(tmp_path / "workspace", TEXTS)
    return tmp_path


@pytest.fixture
def stack(directory: Path) -> Iterator[DevStack]:
    stack = DevStack(directory)
    yield stack
    stack.close()


def printed_curl(stack: DevStack) -> str:
    """The command that it prints, as one would copy it."""
    start = next(index for index, line in enumerate(stack.notes) if "curl -X POST" in line)
    lines = []
    for line in stack.notes[start:]:
        lines.append(line.strip().removesuffix("\\"))
        if not line.endswith("\\"):
            break
    return " ".join(lines)


def test_start_use_by_its_own_words_and_stop(stack: DevStack) -> None:
    stack.until_ready()
    answer = subprocess.run(
        ["bash", "-c", f"{printed_curl(stack)} --silent --show-error"],
        check=True,
        capture_output=True,
        text=True,
    )
    said = json.loads(answer.stdout)
    assert (said["status"], said["result"]["answer"]) == ("completed", "2 files.")
    assert any("loopback" in note for note in stack.notes)

    printed = asyncio.run(penstock("token", "--actor", "ann", "--data-dir", str(stack.data_dir)))
    headers = {"Authorization": f"Bearer {printed.stdout.strip()}"}
    secret = httpx.get(f"{stack.url}/webhooks/secret", headers=headers).json()
    assert secret["actor"] == "ann"
    assert secret["secret"].startswith("whsec_")

    key = (stack.data_dir / "secret.key").read_text()
    descendants = stack.descendants()
    for process in descendants:
        assert key not in " ".join(process.cmdline())
        assert "redis://" not in " ".join(process.cmdline())
    assert stack.stop() == 0
    assert not any(process.is_running() for process in descendants)
    assert TRACEBACK not in stack.output


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_it_starts_stops_it_all_the_same(stack: DevStack, number: signal.Signals) -> None:
    stack.note("PostgreSQL is started")
    os.kill(stack.pid, number)
    assert stack.ended() == 0
    assert not any("curl" in note for note in stack.notes)
    assert TRACEBACK not in stack.output


def test_what_is_left_of_a_killed_one_is_taken_over(directory: Path, stack: DevStack) -> None:
    """Its services end by themselves; the next one finds engines and runs, and stops all in the end."""
    stack.until_ready()
    headers = stack.headers("ann")
    body = {"goal": "Count the words in b.txt.", "actor": "ann"}
    first = httpx.post(f"{stack.url}/act", headers=headers, json=body).json()
    services = [stack.child("penstock.cli.stack.child", word) for word in ("api", "worker", "keeper")]
    engines = [one for one in psutil.Process(stack.pid).children() if one not in services]
    stack.kill()
    _, alive = psutil.wait_procs(services, timeout=30)
    assert not alive
    again = DevStack(directory)
    try:
        again.until_ready()
        assert [note for note in again.notes if "was running" in note]
        listed = httpx.get(f"{again.url}/runs", headers=headers).json()["runs"]
        assert [(run["run_id"], run["status"]) for run in listed] == [(first["run_id"], "completed")]
        assert again.stop() == 0
        _, alive = psutil.wait_procs(engines, timeout=10)
        assert not alive
    finally:
        again.close()


async def test_a_taken_port_is_said_before_anything_is_lost(stack: DevStack, tmp_path: Path) -> None:
    stack.until_ready()
    port = stack.url.rpartition(":")[2]
    words = ["dev", "--port", port, "--data-dir", str(tmp_path / "other")]
    finished = await penstock(*words, cwd=tmp_path)
    assert finished.code == 2
    assert f"port {port}" in finished.error
    assert "--port" in finished.error


async def test_a_token_needs_a_data_directory_that_was_used(tmp_path: Path) -> None:
    finished = await penstock("token", "--actor", "ann", "--data-dir", str(tmp_path))
    assert finished.code == 2
    assert "penstock dev" in finished.error


def test_a_library_that_is_missing_is_named_with_its_extras() -> None:
    expected = r"needs uvicorn, which is not installed: pip install 'penstock\[server,webhooks\]'"
    with pytest.raises(ConfigurationError, match=expected), needs("server", "webhooks"):
        raise ModuleNotFoundError("No module named 'uvicorn'", name="uvicorn.config")
