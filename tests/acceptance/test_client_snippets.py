"""What the first users were shown runs as it was shown to them, host and token apart."""

import asyncio
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from penstock.store.embedded.ports import free_port
from tests.acceptance.command_line import TRACEBACK, written
from tests.harness.dev_stack import DevStack
from tests.harness.processes import ProcessStarter

pytestmark = pytest.mark.xdist_group("dev")

GOAL = "Count the words in notes/water.txt."
ANSWER = "notes/water.txt: 12 words"

# Quoted against the shell, for which & has a meaning; "..." stand for values of one's own.
CURL = """
# Synchronous execution (existing behavior)
curl -X POST /act \\
  -H "Authorization: Bearer <token>" \\
  -d '{"goal": "...", "actor": "..."}'
"""
CURL_IN_BACKGROUND = """
# Asynchronous execution (new)
curl -X POST "/act?background=true&webhook_url=https://example.com/webhook" \\
  -H "Authorization: Bearer <token>" \\
  -d '{"goal": "...", "actor": "..."}'
"""
POLLING = """
import httpx
import asyncio

async def poll_job_status(run_id: str, token: str):
    async with httpx.AsyncClient() as client:
        while True:
            response = await client.get(
                f"http://localhost:8000/runs/{run_id}/status",
                headers={"Authorization": f"Bearer {token}"}
            )

            data = response.json()
            print(f"Status: {data['status']}, Progress: {data['progress']}%")

            if data["status"] in ["completed", "failed"]:
                break

            await asyncio.sleep(2)  # Poll every 2 seconds
"""
HANDLER = """
from fastapi import FastAPI, Request

app = FastAPI()

@app.post("/webhooks/job-complete")
async def handle_webhook(request: Request):
    payload = await request.json()

    if payload["event"] == "run.completed":
        print(f"Job {payload['run_id']} completed!")
        print(f"Result: {payload['result']}")

    elif payload["event"] == "run.failed":
        print(f"Job {payload['run_id']} failed!")
        print(f"Error: {payload['error']}")

    return {"status": "received"}
"""


def curled(stack: DevStack, snippet: str, goal: str = GOAL, *more: str) -> dict[str, Any]:
    """Run a snippet in a shell and read what it printed."""
    body = json.dumps({"goal": goal, "actor": "user-123"})
    command = (
        snippet.replace("/act", f"{stack.url}/act", 1)
        .replace("<token>", stack.token("user-123"))
        .replace('{"goal": "...", "actor": "..."}', body)
        .rstrip()
    )
    words = " ".join([command, "--silent", "--show-error", *more])
    done = subprocess.run(["bash", "-c", words], check=True, capture_output=True, text=True)
    said: dict[str, Any] = json.loads(done.stdout)
    return said


@pytest.mark.parametrize("more", [[], ["-H", "Content-Type:"], ["-H", "'Content-Type: text/plain'"]])
def test_curl_waits_for_the_result_whatever_the_content_type(dev_stack: DevStack, more: list[str]) -> None:
    said = curled(dev_stack, CURL, GOAL, *more)
    assert said["status"] == "completed"
    assert said["result"]["answer"] == ANSWER
    assert said["result"]["model"] == "offline"


def test_curl_in_the_background_is_answered_as_shown(dev_stack: DevStack) -> None:
    said = curled(dev_stack, CURL_IN_BACKGROUND)
    run_id = said["run_id"]
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", run_id)
    assert re.fullmatch(r"[0-9a-f]{32}", said["trace_id"])
    assert said == {
        "run_id": run_id,
        "trace_id": said["trace_id"],
        "status": "queued",
        "message": "Job queued for background processing",
        "autonomy_level": "L2_ExecuteNotify",
        "poll_url": f"/runs/{run_id}/status",
    }


def test_polling_sees_the_end_of_a_run(dev_stack: DevStack, capsys: pytest.CaptureFixture[str]) -> None:
    run_id = curled(dev_stack, CURL_IN_BACKGROUND)["run_id"]
    names: dict[str, Any] = {}
    exec(POLLING.replace("http://localhost:8000", dev_stack.url), names)  # noqa: S102 - what is shown is run
    asyncio.run(names["poll_job_status"](run_id, dev_stack.token("user-123")))
    assert capsys.readouterr().out.splitlines()[-1] == "Status: completed, Progress: 100%"


async def test_the_webhook_handler_hears_of_both_ends(
    dev_stack: DevStack, processes: ProcessStarter, tmp_path: Path
) -> None:
    written(tmp_path, {"receiver.py": HANDLER})
    port = free_port()
    words = ("-m", "uvicorn", "receiver:app", "--port", str(port), "--app-dir", str(tmp_path))
    receiver = await processes.python(*words)
    await receiver.line("Uvicorn running")
    snippet = CURL_IN_BACKGROUND.replace(
        "https://example.com/webhook", f"http://127.0.0.1:{port}/webhooks/job-complete"
    )
    good = await asyncio.to_thread(curled, dev_stack, snippet)
    bad = await asyncio.to_thread(curled, dev_stack, snippet, "Bake a cake.")
    await receiver.line(f"Job {good['run_id']} completed!")
    await receiver.line(f"Job {bad['run_id']} failed!")
    assert ANSWER in await receiver.line("Result: ")
    assert "the offline model cannot plan this" in await receiver.line("Error: ")
    assert TRACEBACK not in receiver.output
