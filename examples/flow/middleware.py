"""Middleware: small objects around every handler of a worker, whatever its kind."""

import asyncio
from typing import Any

from playground import open_connection

from penstock import CallNext, JobContext, Worker, task


class Cache:
    """Answers a call that was answered before without running it."""

    def __init__(self) -> None:
        self._answers: dict[str, Any] = {}

    async def __call__(self, ctx: JobContext, call_next: CallNext) -> Any:
        """Go on only when nobody has asked before."""
        key = f"{ctx.job.type}:{ctx.payload}"
        if key not in self._answers:
            self._answers[key] = await call_next(ctx)
        return self._answers[key]


async def log(ctx: JobContext, call_next: CallNext) -> Any:
    """A function will do where nothing is kept."""
    try:
        result = await call_next(ctx)
    except Exception as error:
        print(f"{ctx.id}: {type(error).__name__}: {error}")
        raise
    print(f"{ctx.id}: {result}")
    return result


@task
def add(first: int, second: int) -> int:
    print(f"adding {first} and {second}")
    return first + second


@task(max_attempts=1)
async def divide(first: int, second: int) -> float:
    return first / second


async def main() -> None:
    async with open_connection() as p:
        for job_id in ("one", "two"):
            await add.options(job_id=job_id).enqueue(2, 3)
        await divide.options(job_id="three").enqueue(1, 0)
        worker = Worker(p.queue(), tasks=[add, divide], max_concurrent=1, middleware=[log, Cache()])
        await worker.run_until_idle()


if __name__ == "__main__":
    asyncio.run(main())
