"""What a task and one call of it say about the job, and what is refused when it is said."""

import asyncio
import time
from typing import Any

import pytest

import penstock
from penstock import Job, JobStatus, RetryPolicy, Worker, task
from penstock.core.errors import ConfigurationError, DuplicateJobError, TaskArgumentError
from tests.conftest import MakeQueue
from tests.harness.servers import Server
from tests.tasks.jobs import greet, ship
from tests.worker.fleet import FAST


@task(
    name="orders.pay",
    queue="money",
    retry=RetryPolicy(7),
    timeout=12,
    idle_timeout_seconds=3,
    priority=-1,
    concurrency_key="tenant:{tenant}",
    concurrency_limit=2,
    rate_key=lambda given: None if given["amount"] < 10 else "large",
    rate_units=4,
    unique_key="{tenant}/{note}",
    unique_policy="reject",
    unique_window_seconds=60,
    result_ttl_seconds=90,
    record=False,
    metadata={"team": "money"},
)
async def pay(tenant: str, amount: int, note: str = "none") -> int:
    return amount


def test_a_job_carries_what_its_task_says() -> None:
    job = pay.job("t1", amount=5)
    said = {name: getattr(job, name) for name in SAID}
    assert said == SAID
    large = pay.job("t1", 20, "x")
    assert (large.rate_key, large.rate_units, large.unique_key) == ("large", 4, "t1/x")
    # Defaults fill the templates, and stay out of the payload.
    assert job.payload == {"tenant": "t1", "amount": 5}


SAID: dict[str, Any] = {
    "type": "orders.pay",
    "queue_name": "money",
    "max_attempts": 7,
    "timeout_seconds": 12,
    "idle_timeout_seconds": 3,
    "priority": -1,
    "concurrency_key": "tenant:t1",
    "concurrency_limit": 2,
    "rate_key": None,
    "rate_units": 0,
    "unique_key": "t1/none",
    "unique_policy": "reject",
    "unique_window_seconds": 60,
    "result_ttl_seconds": 90,
    "metadata": {"team": "money"},
}


def test_options_of_a_call_win_and_leave_the_task_alone() -> None:
    other = pay.options(queue="slow", priority=3, max_attempts=1, timeout_seconds=None, job_id="one")
    job = other.job("t1", 5)
    assert (job.queue_name, job.priority, job.max_attempts) == ("slow", 3, 1)
    assert (job.timeout_seconds, job.id) == (None, "one")
    again = pay.job("t1", 5)
    assert (again.queue_name, again.priority, again.max_attempts, again.timeout_seconds) == (
        "money",
        -1,
        7,
        12,
    )
    assert again.id != "one"
    assert pay.retry == RetryPolicy(7)
    assert repr(pay) == "<task orders.pay on queue money>"


def test_a_job_of_a_call_cannot_carry_its_time() -> None:
    with pytest.raises(ConfigurationError, match="delay_seconds cannot be kept in a job"):
        greet.options(delay_seconds=5).job("Ada")
    assert isinstance(greet.job("Ada"), Job)


async def test_when_and_whether(valkey: Server, make_queue: MakeQueue) -> None:
    queue = await make_queue("money", timings=FAST)
    async with penstock.connect(valkey.url):
        later = await pay.options(delay_seconds=60).enqueue("t1", 1)
        at = await pay.options(run_at=time.time() + 60, unique_key="other").enqueue("t1", 1)
        assert (await later.status(), await at.status()) == (JobStatus.SCHEDULED, JobStatus.SCHEDULED)
        with pytest.raises(DuplicateJobError):
            await pay.enqueue("t1", 2)
        kept = await pay.options(unique_policy="existing").enqueue("t1", 3)
        assert kept == later
        now = await pay.enqueue("t1", 4, note="mine")
        await Worker(queue, pay).run_until_idle()
        assert await now.result(timeout_seconds=10) == 4


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"queu": "mail"}, "@task has no option 'queu'; did you mean 'queue'?"),
        ({"job_id": "one"}, "@task has no option 'job_id'"),
        ({"concurrency_key": "{who}"}, "names 'who', which is no argument; the arguments are"),
        ({"unique_key": "{to"}, "is no template"),
        ({"run_in": "thread"}, 'an async function cannot run in "thread"'),
        ({"run_in": "process"}, 'an async function cannot run in "process"'),
        ({"name": "a b"}, "job type 'a b' is not allowed"),
        ({"queue": "a b"}, "queue name 'a b' is not allowed"),
    ],
)
def test_what_cannot_work_is_refused_where_it_is_written(options: dict[str, Any], problem: str) -> None:
    async def send(to: str) -> None: ...

    with pytest.raises(ConfigurationError) as raised:
        task(**options)(send)
    assert problem in str(raised.value)


def test_functions_that_cannot_be_tasks() -> None:
    def plain() -> None: ...

    def many(*values: int) -> None: ...

    def context(ctx: Any = penstock.CurrentJob()) -> None: ...

    with pytest.raises(ConfigurationError, match='a plain function cannot run in "loop"'):
        task(run_in="loop")(plain)
    with pytest.raises(ConfigurationError, match=r"'\*values: int' has no name to be stored under"):
        task(many)
    with pytest.raises(ConfigurationError, match="define it at the top of a module"):
        task(run_in="process")(plain)
    context.__qualname__ = "context"
    with pytest.raises(ConfigurationError, match="the context stays with the worker"):
        task(run_in="process")(context)
    with pytest.raises(ConfigurationError, match=r"@task decorates functions, got 5"):
        task(5)  # type: ignore[call-overload]


def test_types_that_cannot_travel_are_named_at_the_first_use() -> None:
    class Socket:
        """Nothing that JSON knows."""

    async def send(socket: Socket) -> None: ...

    async def unknown(value: "Nowhere") -> None: ...  # type: ignore[name-defined]  # noqa: F821

    with pytest.raises(ConfigurationError, match=r"cannot travel as JSON.*Give what the worker provides"):
        task(send).job(Socket())
    with pytest.raises(ConfigurationError, match="the annotation 'Nowhere' of 'value' cannot be read"):
        task(unknown).job(1)


def test_a_key_that_cannot_be_made_names_the_task() -> None:
    @task(concurrency_key=lambda given: given["nobody"])
    async def send(to: str) -> None: ...

    with pytest.raises(TaskArgumentError, match=r"'send': its concurrency_key cannot be made .*KeyError"):
        send.job("ada")


def test_a_task_is_still_its_function() -> None:
    assert greet.__doc__ == "Greet somebody."
    assert (greet.function.__name__, greet.name, greet.queue) == ("greet", "greet", "default")
    assert asyncio.run(greet("Ada", times=2)) == "Hello Ada! Hello Ada!"
    assert ship.queue == "mail"
