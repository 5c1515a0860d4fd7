"""Calls of tasks, right and wrong. A test runs the type checker on this file and counts its errors.

Each line that is wrong ends with a comment that names the error; no other line may have one.
"""

from typing import assert_type

from penstock import CurrentJob, Depends, Job, JobContext, JobHandle, task


class Client:
    """What the worker provides."""


async def get_client() -> Client:
    return Client()


@task(queue="mail", timeout_seconds=30, concurrency_key="{to}")
async def send(
    to: str, subject: str = "", *, copies: int = 1, client: Client = Depends(get_client)
) -> list[str]:
    return [to, subject] * copies


@task
def resize(path: str, width: int, ctx: JobContext = CurrentJob()) -> int:
    return width


@task(run_in="process")
def crunch(numbers: list[int]) -> int:
    return sum(numbers)


async def right() -> None:
    assert_type(await send.enqueue("ada"), JobHandle[list[str]])
    assert_type(await send.enqueue(to="ada", subject="x", copies=2), JobHandle[list[str]])
    assert_type(send.enqueue_sync("ada", "x"), JobHandle[list[str]])
    assert_type(await (await send.enqueue("ada")).result(timeout_seconds=5), list[str])
    assert_type(await send("ada"), list[str])
    assert_type(await send.options(delay_seconds=5, job_id="one").enqueue("ada"), JobHandle[list[str]])
    assert_type(send.job("ada"), Job)
    assert_type(resize("a.png", 80), int)
    assert_type(await resize.enqueue("a.png", width=80), JobHandle[int])
    assert_type(resize.enqueue_sync("a.png", 80).result_sync(), int)
    assert_type(await crunch.enqueue([1, 2]), JobHandle[int])


async def wrong() -> None:
    await send.enqueue()  # error: call-arg
    await send.enqueue(5)  # error: arg-type
    await send.enqueue("ada", "x", 2)  # error: call-arg
    await send.enqueue(to="ada", subjekt="x")  # error: call-arg
    await send.enqueue("ada", copies="two")  # error: arg-type
    send.enqueue_sync(subject="x")  # error: call-arg
    send.enqueue_sync(to=None)  # error: arg-type
    send.job(b"ada")  # error: arg-type
    await send.options(delay_seconds=5).enqueue(5)  # error: arg-type
    send.options(delay="soon")  # error: call-arg
    send.options(priority="high")  # error: arg-type
    resize.enqueue_sync("a.png", "80")  # error: arg-type
    await resize.enqueue("a.png")  # error: call-arg
    await crunch.enqueue(["1"])  # error: list-item
    assert_type(await (await send.enqueue("ada")).result(), int)  # error: assert-type
