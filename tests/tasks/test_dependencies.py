"""What the worker provides: made in order, once for each job or once for the worker, and closed again."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

import penstock
from penstock import CurrentJob, Depends, JobContext, JobStatus, Worker, task
from penstock.core.errors import ConfigurationError, DependencyError
from tests.conftest import MakeQueue
from tests.harness.servers import Server
from tests.tasks.jobs import Log, get_log, get_pool, query
from tests.worker.fleet import FAST
from tests.worker.support import has_status, running, until

pytestmark = pytest.mark.usefixtures("valkey")


@pytest.fixture
async def connection(valkey: Server) -> Any:
    async with penstock.connect(valkey.url) as connection:
        yield connection


@pytest.fixture
def log() -> Log:
    return Log()


async def test_each_scope_is_made_and_closed_in_its_time(
    make_queue: MakeQueue, connection: object, log: Log
) -> None:
    queue = await make_queue(timings=FAST)
    first = await query.options(job_id="first").enqueue("a")
    await Worker(queue, tasks=[query], dependency_overrides={get_log: lambda: log}).run_until_idle()
    second = await query.options(job_id="second").enqueue("b")
    await Worker(queue, tasks=[query], dependency_overrides={get_log: lambda: log}).run_until_idle()
    for handle in (first, second):
        assert await handle.result(timeout_seconds=10) == "pool/session pool/session/cursor in penstock"
    assert log.lines == [
        "pool opened",
        "session of first opened",
        "query a",
        "session of first closed",
        "pool closed",
        "pool opened",
        "session of second opened",
        "query b",
        "session of second closed",
        "pool closed",
    ]


async def test_a_generator_is_told_of_the_error(make_queue: MakeQueue, connection: object, log: Log) -> None:
    queue = await make_queue(timings=FAST)
    handle = await query.options(job_id="job").enqueue("bad")
    await Worker(queue, tasks=[query], dependency_overrides={get_log: lambda: log}).run_until_idle()
    assert "session of job rolled back" in log.lines
    job = await queue.get_status(handle)
    assert job is not None
    assert (job.status, job.error) == (JobStatus.FAILED, "ValueError: bad query")


async def test_a_generator_that_swallows_the_error_does_not_complete_the_job(
    make_queue: MakeQueue, connection: object
) -> None:
    async def deaf() -> AsyncIterator[int]:
        with suppress(ValueError):
            yield 1

    def deaf_too() -> Iterator[int]:
        with suppress(ValueError):
            yield 2

    @task
    async def fails(one: int = Depends(deaf), two: int = Depends(deaf_too)) -> None:
        raise ValueError(f"{one} and {two}")

    queue = await make_queue(timings=FAST)
    handle = await fails.enqueue()
    await Worker(queue, tasks=[fails]).run_until_idle()
    job = await queue.get_status(handle)
    assert job is not None
    assert (job.status, job.error) == (JobStatus.FAILED, "ValueError: 1 and 2")


async def test_a_provider_is_called_once_a_job_and_workers_values_once(
    make_queue: MakeQueue, connection: object
) -> None:
    calls: list[str] = []

    def config() -> str:
        calls.append(f"config in {threading.current_thread().name.split('-')[0]}")
        return "config"

    class Client:
        def __init__(self, settings: str = Depends(config)) -> None:
            calls.append("client")
            self.settings = settings

    async def token(client: Client = Depends(Client, scope="worker"), own: str = Depends(config)) -> str:
        calls.append("token")
        return f"{client.settings}+{own}"

    @task
    def work(
        number: int,
        client: Client = Depends(Client, scope="worker"),
        one: str = Depends(token),
        two: str = Depends(token),
        ctx: JobContext = CurrentJob(),
    ) -> str:
        ctx.wait(ctx.progress(50))
        return f"{number}: {client.settings} {one} {two}"

    queue = await make_queue(timings=FAST)
    handles = [await work.enqueue(number) for number in range(2)]
    worker = Worker(queue, tasks=[work], max_concurrent=1)
    await worker.run_until_idle()
    assert [await handle.result(timeout_seconds=10) for handle in handles] == [
        "0: config config+config config+config",
        "1: config config+config config+config",
    ]
    a_job = ["config in penstock", "token"]
    assert calls == ["config in penstock", "client", *a_job, *a_job]


async def test_a_worker_whose_resource_fails_does_not_start(
    make_queue: MakeQueue, connection: object, log: Log
) -> None:
    async def broken(pool: str = Depends(get_pool)) -> str:
        raise ConnectionError("no database here")

    @task
    async def work(value: str = Depends(broken, scope="worker")) -> None: ...

    queue = await make_queue(timings=FAST)
    handle = await work.enqueue()
    worker = Worker(queue, tasks=[work], dependency_overrides={get_log: lambda: log})
    with pytest.raises(
        DependencyError, match=r"its dependency .*broken failed with ConnectionError: no data"
    ):
        await worker.start()
    assert not worker.is_running
    # What was made before is closed again, and the job is where it was.
    assert log.lines == ["pool opened", "pool closed"]
    assert await handle.status() is JobStatus.PENDING


async def test_a_cancelled_job_closes_what_was_made_for_it(make_queue: MakeQueue, connection: object) -> None:
    lines: list[str] = []
    seen: list[JobContext] = []
    may_enter = threading.Event()

    async def entered() -> bool:
        return bool(seen)

    async def told_to_stop() -> bool:
        return any(ctx.cancelled for ctx in seen)

    def slow(ctx: JobContext = CurrentJob()) -> Iterator[str]:
        seen.append(ctx)
        lines.append("entering")
        may_enter.wait()
        try:
            yield "slow"
        finally:
            lines.append("left")

    async def quick() -> AsyncIterator[str]:
        try:
            yield "quick"
        finally:
            await asyncio.sleep(0)
            lines.append("quick closed")

    @task
    async def work(one: str = Depends(quick), two: str = Depends(slow)) -> None:
        lines.append("never")

    queue = await make_queue(timings=FAST)
    handle = await work.enqueue()
    async with running(Worker(queue, tasks=[work])):
        await until(entered)
        assert await handle.cancel()
        await until(told_to_stop)
        may_enter.set()
        await has_status(queue, handle, JobStatus.CANCELLED)
    assert lines == ["entering", "left", "quick closed"]


def needs_nobody(what: int) -> int:
    return what


def for_each_job() -> int:
    return 1


def wants_a_job(value: int = Depends(for_each_job, scope="job")) -> int:
    return value


def wants_the_context(ctx: JobContext = CurrentJob()) -> str:
    return ctx.id


def _with(default: Any) -> Callable[[], Any]:
    async def work(value: Any = default) -> None: ...

    return lambda: task(work)


@pytest.mark.parametrize(
    ("default", "problem"),
    [
        (Depends(needs_nobody), "nothing provides 'what' of needs_nobody"),
        (Depends(wants_a_job, scope="worker"), "cannot depend on for_each_job, which is made for each job"),
        (Depends(wants_the_context, scope="worker"), "asks for the current job, but belongs to the worker"),
    ],
)
async def test_what_cannot_be_provided_is_refused_by_the_worker(
    make_queue: MakeQueue, default: Any, problem: str
) -> None:
    queue = await make_queue(timings=FAST)
    with pytest.raises(ConfigurationError, match=problem):
        Worker(queue, tasks=[_with(default)()])


def test_a_marker_says_what_is_wrong_with_it() -> None:
    with pytest.raises(ConfigurationError, match="pass it without calling it"):
        Depends(for_each_job())  # type: ignore[call-overload]
    with pytest.raises(ConfigurationError, match="scope must be 'job' or 'worker', got 'app'"):
        Depends(for_each_job, scope="app")  # type: ignore[call-overload]
