"""Each part of the stack is killed once while fifty runs go on: all of them end, and all are told."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import httpx
import psutil
import pytest

from penstock import RedisStreamsQueue
from penstock.core.settings import ServiceSettings
from penstock.runs.embedded import EmbeddedPostgres
from penstock.runs.history import open_history
from penstock.runs.queues import open_run_queue, open_webhook_queue
from penstock.store.embedded import EmbeddedValkey
from tests.acceptance.command_line import tracebacks, written
from tests.acceptance.conftest import TEXTS
from tests.harness.dev_stack import DevStack
from tests.harness.receiver import Receiver
from tests.harness.waiting import WaitTimeout

ACTOR: Final = "user-123"
BATCH: Final = 10
LOOK_SECONDS: Final = 0.05
GOALS: Final = (
    "Give the 5 key words of large.txt, then count the lines in gate.md.",
    "Summarise gate.md in one sentence and write it to summary.txt.",
    'Which file mentions "gate" most often?',
    "Give the 3 key words of large.txt, then list the files.",
    'Show the lines that mention "wheel" in notes/water.txt.',
)
LARGE: Final = "The gate opens slowly. Water falls through the pipe, and the wheel turns.\n" * 20_000
SERVICE: Final = "penstock.cli.stack.child"
#: What is killed, how its process is known, and what `penstock dev` says when it starts anew.
VICTIMS: Final = {
    "worker": ((SERVICE, "worker"), r"dev-\S+ ended by signal 9; it is started anew"),
    "api": ((SERVICE, "api"), r"api ended by signal 9; it is started anew"),
    "keeper": ((SERVICE, "keeper"), r"keeper ended by signal 9; it is started anew"),
    "Valkey": (("valkey-server",), r"Valkey is back"),
    "PostgreSQL": (("postgres",), r"PostgreSQL is back"),
}


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[DevStack]:
    # Large enough that a batch of runs is at work for some seconds.
    written(tmp_path / "workspace", {**TEXTS, "large.txt": LARGE})
    stack = DevStack(tmp_path)
    stack.until_ready()
    yield stack
    stack.close()


class Caller:
    """Submits runs and asks for them; what does not answer at the moment is asked again."""

    def __init__(self, stack: DevStack, client: httpx.AsyncClient, webhook_url: str) -> None:
        self._stack = stack
        self._client = client
        self._webhook_url = webhook_url
        self.statuses: dict[str, dict[str, Any]] = {}

    async def submit(self, count: int) -> None:
        """Submit runs, each of which must be accepted at once."""
        await self.until_healthy()
        for number in range(count):
            query = {"background": "true", "webhook_url": self._webhook_url}
            body = {"goal": GOALS[number % len(GOALS)], "actor": ACTOR}
            answer = await self._client.post("/act", params=query, json=body)
            assert answer.status_code == 202, answer.text
            self.statuses[answer.json()["run_id"]] = {"status": "queued"}

    async def until_healthy(self) -> None:
        """Wait until the API answers, and its engines with it."""
        async for health in self._asking("/healthz", 60):
            if health == {"queue": "ok", "history": "ok"}:
                return

    async def look(self) -> Counter[str]:
        """Ask how the runs stand that have not ended; how many there are of each status."""
        for run_id, known in self.statuses.items():
            if known["status"] not in {"completed", "failed", "cancelled"}:
                async for status in self._asking(f"/runs/{run_id}/status", 60):
                    self.statuses[run_id] = status
                    break
        return Counter(status["status"] for status in self.statuses.values())

    async def until_one_is_running(self, first: int) -> None:
        """Wait until one of the runs from number `first` on is at work."""
        deadline = time.monotonic() + 60
        while True:
            await self.look()
            fresh = list(self.statuses.values())[first:]
            if any(one["status"] == "running" for one in fresh):
                return
            assert any(one["status"] == "queued" for one in fresh), (
                "all have ended before anything was killed"
            )
            assert time.monotonic() < deadline, f"{self.statuses}\n{self._stack.output}"
            await asyncio.sleep(LOOK_SECONDS)

    async def until(self, status: str, count: int, seconds: float) -> None:
        """Wait until so many runs have a status."""
        deadline = time.monotonic() + seconds
        while (await self.look())[status] < count:
            if time.monotonic() > deadline:
                raise WaitTimeout(f"{await self.look()}: {self.statuses}\n{self._stack.output}")
            await asyncio.sleep(LOOK_SECONDS)

    async def rows(self, count: int, seconds: float) -> list[dict[str, Any]]:
        """The history, as soon as it has so many runs that have ended well."""
        async for listed in self._asking("/runs?limit=500&status=completed", seconds):
            if len(listed["runs"]) >= count:
                break
        async for listed in self._asking("/runs?limit=500", 10):
            found: list[dict[str, Any]] = listed["runs"]
            return found
        raise AssertionError("unreachable: asking ends with an answer or an error")

    async def _asking(self, path: str, seconds: float) -> AsyncIterator[dict[str, Any]]:
        deadline = time.monotonic() + seconds
        said = "nothing was asked"
        while time.monotonic() < deadline:
            try:
                answer = await self._client.get(path)
                said = answer.text
                if answer.status_code == 200:
                    yield answer.json()
            except httpx.TransportError as error:
                said = repr(error)
            await asyncio.sleep(LOOK_SECONDS)
        raise WaitTimeout(f"GET {path} for {seconds} s: {said}\n{self._stack.output}")


@asynccontextmanager
async def queues(stack: DevStack) -> AsyncIterator[list[RedisStreamsQueue]]:
    """The stack's two queues, seen from outside."""
    async with EmbeddedValkey(stack.data_dir / "valkey") as server:
        assert server.adopted
        settings = ServiceSettings()
        opened = [await open_run_queue(settings, server.url), await open_webhook_queue(settings, server.url)]
        yield opened
        for queue in opened:
            await queue.close()


async def kill(stack: DevStack, words: tuple[str, ...], note: str) -> None:
    said = len(stack.notes)
    children = psutil.Process(stack.pid).children()
    (victim,) = [one for one in children if words[0] == one.name()] or [stack.child(*words)]
    victim.kill()
    await asyncio.to_thread(stack.note, note, 60, after=said)


@pytest.mark.timeout(400)
async def test_each_part_is_killed_once_during_fifty_runs(stack: DevStack) -> None:
    receiver = Receiver()
    await receiver.start()
    try:
        async with httpx.AsyncClient(base_url=stack.url, headers=stack.headers(ACTOR), timeout=30) as client:
            secret = (await client.get("/webhooks/secret")).json()["secret"]
            caller = Caller(stack, client, receiver.url())
            for words, note in VICTIMS.values():
                ended = len(caller.statuses)
                await caller.submit(BATCH)
                await caller.until_one_is_running(ended)
                await kill(stack, words, note)
            total = BATCH * len(VICTIMS)
            await caller.until("completed", total, 150)
            rows = await caller.rows(total, 60)
        assert len(rows) == total
        assert {row["run_id"] for row in rows} == caller.statuses.keys()
        await receiver_hears_of(receiver, caller.statuses.keys(), secret)
        await nothing_is_stuck(stack, total)
        await history_is_whole(stack, total)
        assert tracebacks(stack.output) == []
        assert stack.stop() == 0
    finally:
        await receiver.stop()


async def receiver_hears_of(receiver: Receiver, runs: Collection[str], secret: str) -> None:
    """Wait until a good webhook has come for each run; each run's has an id of its own."""
    deadline = time.monotonic() + 90
    while {one.json["run_id"] for one in receiver.requests} != set(runs):
        assert time.monotonic() < deadline, f"{len(receiver.requests)} webhooks came"
        await asyncio.sleep(LOOK_SECONDS)
    told = {(one.headers["webhook-id"], one.verified(secret)["run_id"]) for one in receiver.requests}
    assert len(told) == len({run for _, run in told}) == len({name for name, _ in told}) == len(set(runs))
    assert {one.json["event"] for one in receiver.requests} == {"run.completed"}


async def nothing_is_stuck(stack: DevStack, total: int) -> None:
    async with queues(stack) as opened:
        deadline = time.monotonic() + 60
        for queue in opened:
            while (stats := await queue.get_queue_stats())["completed"] != total:
                assert time.monotonic() < deadline, stats
                await asyncio.sleep(LOOK_SECONDS)
            assert {name: count for name, count in stats.items() if count} == {"completed": total}


async def history_is_whole(stack: DevStack, total: int) -> None:
    """PostgreSQL knows each run with its webhook, and of the kill that a run went through."""
    async with EmbeddedPostgres(stack.data_dir / "postgres") as server, open_history(server.url) as history:
        assert server.adopted
        assert history is not None
        runs = await history.list_runs(limit=500)
        assert any(run.attempt > 1 for run in runs), "no run was at work when the worker was killed"
        deadline = time.monotonic() + 60
        while True:
            sent = [one for run in runs for one in await history.deliveries_of(run.run_id)]
            if [one.status for one in sent] == ["completed"] * total:
                return
            assert time.monotonic() < deadline, sent
            await asyncio.sleep(LOOK_SECONDS)
