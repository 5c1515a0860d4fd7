"""The kit for users' own tests, used as they use it: in a pytest of their own."""

import asyncio
import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "flow" / "test_with_penstock.py"
CONFTEST = 'pytest_plugins = ["penstock.testing"]\n'

OWN_TESTS = """
import asyncio
import time
from datetime import timedelta

import pytest

from penstock import ConfigurationError, Job, JobStatus, QueueUnavailableError
from penstock.testing import MovableClock, run_until_idle

seen_ids = []


async def note(ctx):
    return ctx.id


def plain(ctx):
    return ctx.payload


async def test_each_test_has_a_queue_of_its_own(penstock_queue):
    assert (await penstock_queue.get_queue_stats())["pending"] == 0
    await penstock_queue.enqueue(Job(id="same"))


async def test_what_the_last_test_left_is_gone(penstock_queue):
    assert await penstock_queue.get_status("same") is None


async def test_keys_go_with_the_test(penstock_queue):
    client = penstock_queue.client
    mine = penstock_queue.config.key_prefix.encode()
    assert [key async for key in client.scan_iter() if not key.startswith(mine)] == []


async def test_the_clock_makes_due_jobs_ready(penstock_queue, penstock_clock):
    await penstock_queue.enqueue(Job(id="a"), delay_seconds=60)
    await penstock_queue.enqueue(Job(id="b"), run_at=penstock_clock.now + timedelta(minutes=2))
    assert await penstock_clock.advance(59) == 0
    assert await penstock_clock.advance(timedelta(seconds=1)) == 1
    assert (await penstock_queue.get_status("a")).status is JobStatus.PENDING
    assert (await penstock_queue.get_status("b")).status is JobStatus.SCHEDULED
    with pytest.raises(ConfigurationError):
        await penstock_clock.advance(-1)


async def test_retention_and_expiry_obey_it(penstock_queue, penstock_clock):
    await penstock_queue.enqueue(Job(id="late", expires_at=penstock_clock.now.timestamp() + 60))
    await penstock_clock.advance(61)
    assert await run_until_idle(penstock_queue, note) == 0
    assert (await penstock_queue.get_status("late")).status is JobStatus.CANCELLED


async def test_run_until_idle_runs_chains_of_waits(penstock_queue, penstock_clock):
    began = penstock_clock.now
    await penstock_queue.enqueue(Job(id="a"), delay_seconds=3600)

    async def again(ctx):
        if ctx.id == "a":
            await penstock_queue.enqueue(Job(id="b"), delay_seconds=3600)

    assert await run_until_idle(penstock_queue, again) == 0
    assert await run_until_idle(penstock_queue, again, up_to_seconds=7200) == 2
    assert penstock_clock.now - began >= timedelta(hours=2)
    assert await run_until_idle(penstock_queue, again, up_to_seconds=7200) == 0


async def test_plain_functions_run_too(penstock_queue):
    job_id = await penstock_queue.enqueue(Job({"n": 1}))
    assert await run_until_idle(penstock_queue, plain) == 1
    assert await penstock_queue.result(job_id) == {"n": 1}


@pytest.mark.parametrize("call", ["settle", "claim"])
@pytest.mark.parametrize("fault", ["fail_next", "lose_reply_of"])
async def test_a_worker_gets_over_failures_of_the_store(penstock_queue, penstock_failures, fault, call):
    await penstock_queue.enqueue_many([Job(id=f"j{n}") for n in range(20)])
    getattr(penstock_failures, fault)(call, times=2)
    ran = []

    async def count(ctx):
        ran.append(ctx.id)

    assert await run_until_idle(penstock_queue, count) == 20
    assert sorted(ran) == sorted(f"j{n}" for n in range(20)), "once each"
    assert penstock_failures.left == 0


async def test_failing_means_nothing_reached_the_server(penstock_queue, penstock_failures):
    penstock_failures.fail_next("enqueue", times=2)
    for _ in range(2):
        with pytest.raises(QueueUnavailableError, match="cut by the test before the call 'enqueue'"):
            await penstock_queue.enqueue(Job(id="a"))
    assert await penstock_queue.get_status("a") is None
    # A server that does not know the script yet executes nothing: that reply is not the one to lose.
    await penstock_queue.client.script_flush()
    penstock_failures.lose_reply_of("enqueue")
    with pytest.raises(QueueUnavailableError, match="after"):
        await penstock_queue.enqueue_many([Job(id=f"m{n}") for n in range(200)])
    assert (await penstock_queue.get_status("m0")).status is JobStatus.PENDING
    with pytest.raises(ConfigurationError, match="did you mean 'settle'"):
        penstock_failures.fail_next("setle")


async def test_a_killed_handler_is_a_crash(penstock_queue, penstock_failures):
    penstock_failures.kill_handler("bad", times=2)
    penstock_failures.kill_handler("poison", times=3)
    for kind in ("bad", "poison", "good"):
        await penstock_queue.enqueue(Job(id=kind, type=kind))
    ran = []

    async def count(ctx):
        ran.append(ctx.id)

    await run_until_idle(penstock_queue, count)
    bad, poison, good = [await penstock_queue.get_status(name) for name in ("bad", "poison", "good")]
    assert (bad.status, bad.crashes) == (JobStatus.COMPLETED, 2)
    assert (poison.status, poison.crashes) == (JobStatus.FAILED, 3)
    assert (good.status, good.crashes) == (JobStatus.COMPLETED, 0)
    assert sorted(ran) == ["bad", "good"]
    assert penstock_failures.left == 0


async def test_a_clock_of_ones_own_is_asked_for(penstock_queue):
    penstock_queue.clock = None
    await penstock_queue.enqueue(Job(), delay_seconds=5)
    with pytest.raises(ConfigurationError, match="MovableClock"):
        await run_until_idle(penstock_queue, note, up_to_seconds=60)
"""


async def _pytest(directory: Path, *arguments: str) -> tuple[int, str]:
    # What the session gave its own processes must not reach a user's pytest, but for the token.
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-W",
        "error",
        "-o",
        "asyncio_default_fixture_loop_scope=function",
        *arguments,
        cwd=directory,
        env=kept | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    return process.returncode or 0, output.decode()


async def test_the_example_passes(tmp_path: Path) -> None:
    (tmp_path / EXAMPLE.name).write_text(EXAMPLE.read_text())
    code, output = await _pytest(tmp_path, "-p", "penstock.testing", EXAMPLE.name)
    assert code == 0, output
    assert "5 passed" in output


async def test_everything_in_the_kit(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_own.py").write_text(OWN_TESTS)
    code, output = await _pytest(tmp_path, "-o", "asyncio_mode=auto", "test_own.py")
    assert code == 0, output
    assert "14 passed" in output


async def test_the_kit_stops_its_server_with_the_session(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_url.py").write_text(
        "from pathlib import Path\ndef test_url(penstock_url):\n    Path('url').write_text(penstock_url)\n"
    )
    code, output = await _pytest(tmp_path, "test_url.py")
    assert code == 0, output
    port = int((tmp_path / "url").read_text().rpartition(":")[2])
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)
