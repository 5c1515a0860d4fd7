"""Workers that make room for a fresh process, and the fleet that keeps their seats filled."""

import os
import signal
from collections import Counter
from typing import Any

import pytest

import penstock
from penstock import Job, JobContext, Worker
from penstock.core.errors import ConfigurationError
from penstock.worker.recycling import BYTES_A_MEGABYTE, resident_bytes
from tests.acceptance.command_line import penstock as run_penstock
from tests.conftest import MakeQueue
from tests.harness.guardian import Guardian
from tests.harness.ledger import Ledger
from tests.harness.processes import ManagedProcess, ProcessStarter
from tests.harness.servers import Server
from tests.tasks import fleet_jobs
from tests.worker.fleet import FAST
from tests.worker.support import children, command_of, completed, is_running, starts, until

MODULE = "tests.tasks.fleet_jobs"


async def start_fleet(processes: ProcessStarter, *words: str) -> ManagedProcess:
    command = ("-m", "penstock", "worker", "--tasks", MODULE, "--queue", "fleet", "--worker-id", "w")
    return await processes.python(*command, *words)


def workers_of(fleet: ManagedProcess) -> list[int]:
    return [pid for pid in children(fleet.pid) if "--supervised" in command_of(pid)]


async def test_a_worker_stops_by_itself_after_so_many_jobs(make_queue: MakeQueue) -> None:
    queue = await make_queue(timings=FAST)

    async def handler(ctx: JobContext) -> str:
        return ctx.id

    ids = await queue.enqueue_many([Job({}) for _ in range(7)])
    worker = Worker(queue, handler, max_concurrent=2, max_jobs=3)
    done = []
    for _ in range(2):
        await worker.run()
        assert worker.is_stopping
        stats = await queue.get_queue_stats()
        done.append(stats["completed"])
    await worker.run_until_idle()
    await completed(queue, ids)
    # It claims two at a time, so it stops at three or at four.
    assert done[0] in {3, 4}
    assert done[1] > done[0]


async def test_a_worker_that_grew_too_large_lets_its_jobs_finish_and_stops(make_queue: MakeQueue) -> None:
    queue = await make_queue("fleet", timings=FAST)
    limit = resident_bytes() / BYTES_A_MEGABYTE + 60
    ids = await queue.enqueue_many([Job({"megabytes": 80}, type="grow")])
    try:
        await Worker(queue, tasks=[fleet_jobs.grow], max_rss_mb=limit).run()
    finally:
        fleet_jobs.HELD.clear()
    await completed(queue, ids)


@pytest.mark.parametrize("limits", [{"max_jobs": 0}, {"max_rss_mb": -1}, {"max_jobs": True}])
async def test_limits_that_cannot_be_are_refused(make_queue: MakeQueue, limits: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="must be more than 0"):
        Worker(await make_queue(), tasks=[fleet_jobs.grow], **limits)


async def test_a_limit_below_what_an_idle_worker_holds_is_refused(make_queue: MakeQueue) -> None:
    worker = Worker(await make_queue(timings=FAST), tasks=[fleet_jobs.grow], max_rss_mb=1)
    with pytest.raises(ConfigurationError, match=r"max_rss_mb is 1, and the process holds \d+ MB before"):
        await worker.run()


async def test_a_fleet_replaces_its_processes_and_loses_no_job(
    valkey: Server, make_queue: MakeQueue, processes: ProcessStarter, ledger: Ledger
) -> None:
    queue = await make_queue("fleet")
    async with penstock.connect(valkey.url):
        ids = [str(await fleet_jobs.count.enqueue(number)) for number in range(24)]
    words = ("--processes", "2", "--max-jobs", "4", "-c", "2")
    fleet = await start_fleet(processes, *words)
    await completed(queue, ids, timeout_seconds=60)
    await fleet.line("worker w-1 made room", timeout_seconds=30)
    fleet.terminate()
    assert await fleet.exited(40) == 0, fleet.output
    ran = Counter(entry["process"] for entry in ledger.entries("end"))
    # Each job ran once, and no process ran more than its share and what it had claimed with it.
    assert set(starts(ledger).values()) == {1}
    assert max(ran.values()) <= 5
    assert len(ran) >= 5
    assert not any(is_running(pid) for pid in ran)


async def test_on_sigterm_all_finish_within_their_grace(
    valkey: Server,
    make_queue: MakeQueue,
    processes: ProcessStarter,
    ledger: Ledger,
    guardian: Guardian,
) -> None:
    queue = await make_queue("fleet")
    gate = guardian.directory("gates") / "gate"
    async with penstock.connect(valkey.url):
        ids = [str(await fleet_jobs.wait_for.enqueue(str(gate))) for _ in range(2)]
    fleet = await start_fleet(processes, "--processes", "2", "-c", "1")

    async def both_run() -> bool:
        return len({entry["process"] for entry in ledger.entries("start")}) == 2

    await until(both_run, 40)
    fleet.terminate()
    for _ in range(2):
        await fleet.line("stopping; 1 jobs have 30 s to finish")
    gate.touch()
    assert await fleet.exited(40) == 0, fleet.output
    jobs = await completed(queue, ids)
    assert {job.attempts for job in jobs.values()} == {1}


async def test_a_worker_that_is_killed_is_replaced_and_so_is_its_job(
    valkey: Server,
    make_queue: MakeQueue,
    processes: ProcessStarter,
    ledger: Ledger,
    guardian: Guardian,
) -> None:
    queue = await make_queue("fleet")
    gate = guardian.directory("gates") / "gate"
    async with penstock.connect(valkey.url):
        handle = await fleet_jobs.wait_for.enqueue(str(gate))
    fleet = await start_fleet(processes, "--processes", "1", "--max-jobs", "100")

    async def runs() -> bool:
        return bool(list(ledger.entries("start")))

    await until(runs, 40)
    (victim,) = workers_of(fleet)
    os.kill(victim, signal.SIGKILL)
    await fleet.line(r"worker w-1 ended by signal -?9; a fresh one starts in 0.5 s")
    gate.touch()
    # As soon as the lease of the killed one has lapsed.
    (job,) = (await completed(queue, [handle.id], timeout_seconds=40)).values()
    assert job.result != victim
    fleet.terminate()
    assert await fleet.exited(40) == 0, fleet.output


async def test_a_fleet_dies_with_its_keeper(valkey: Server, processes: ProcessStarter) -> None:
    fleet = await start_fleet(processes, "--processes", "2")
    for number in (1, 2):
        await fleet.line(f"worker w-{number}: running on", timeout_seconds=40)
    workers = workers_of(fleet)
    assert len(workers) == 2
    fleet.kill()

    async def all_gone() -> bool:
        return not any(is_running(pid) for pid in workers)

    await until(all_gone, 40)


async def test_what_was_started_wrongly_is_not_started_again(valkey: Server) -> None:
    words = ["worker", "--tasks", "tests.tasks.nowhere", "--processes", "2"]
    finished = await run_penstock(*words, redis_url=valkey.url)
    assert finished.code == 2
    lines = set(finished.stderr.splitlines())
    assert any("--tasks 'tests.tasks.nowhere': there is no module" in line for line in lines)
    assert not any("Traceback" in line for line in lines)


async def test_tasks_of_all_queues_are_run_side_by_side(
    valkey: Server, make_queue: MakeQueue, processes: ProcessStarter
) -> None:
    queue = await make_queue("fleet")
    async with penstock.connect(valkey.url):
        one, two = await fleet_jobs.count.enqueue(1), await fleet_jobs.elsewhere.enqueue()
    worker = await processes.python("-m", "penstock", "worker", "--tasks", MODULE)
    await completed(queue, [one, two], timeout_seconds=40)
    worker.terminate()
    assert await worker.exited(40) == 0, worker.output


async def test_schedules_that_stand_beside_tasks_are_put(
    make_queue: MakeQueue, processes: ProcessStarter
) -> None:
    queue = await make_queue("pulse")
    worker = await processes.python("-m", "penstock", "worker", "--tasks", "tests.tasks.scheduled_jobs")

    async def came_twice() -> bool:
        return (await queue.get_queue_stats())["completed"] >= 2

    await until(came_twice, 40)
    worker.terminate()
    assert await worker.exited(40) == 0, worker.output
    (state,) = await queue.schedules.list()
    assert (state.schedule.name, state.schedule.type) == ("pulse", "beat")


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["--tasks", "tests.tasks"], "--tasks 'tests.tasks': there is no task in it; decorate functions"),
        (["--tasks", "tests.tasks.fleet_job"], "did you mean 'tests.tasks.fleet_jobs'?"),
        (["--tasks", "not a module"], "is malformed: expected a module, as in package.module"),
        (
            ["--tasks", MODULE, "--queue", "mail"],
            "none of the tasks is on queue 'mail'; they are on 'fleet', 'other'",
        ),
    ],
)
async def test_wrong_words_are_explained(valkey: Server, words: list[str], problem: str) -> None:
    finished = await run_penstock("worker", *words, redis_url=valkey.url)
    assert finished.code == 2
    assert problem in finished.error
