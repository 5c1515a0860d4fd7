"""What tasks need is made by providers: once for each job, or once for the worker."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator

from playground import open_connection

from penstock import CurrentJob, Depends, JobContext, Worker, task


def get_path() -> str:
    return ":memory:"


async def get_database(path: str = Depends(get_path)) -> AsyncIterator[sqlite3.Connection]:
    database = sqlite3.connect(path, uri=True)
    database.execute("create table bookings (amount integer)")
    yield database
    (total,) = database.execute("select sum(amount) from bookings").fetchone()
    print("the worker closes", path, "with a total of", total)
    database.close()


async def get_transaction(
    database: sqlite3.Connection = Depends(get_database, scope="worker"), ctx: JobContext = CurrentJob()
) -> AsyncIterator[sqlite3.Connection]:
    with database:
        yield database
    print(ctx.id, "is committed")


@task
async def book(amount: int, transaction: sqlite3.Connection = Depends(get_transaction)) -> int:
    transaction.execute("insert into bookings values (?)", [amount])
    if amount < 0:
        raise ValueError("an amount is not negative")
    return amount


def get_test_path() -> str:
    return "file:test?mode=memory"


async def main() -> None:
    async with open_connection() as p:
        good = await book.options(job_id="good").enqueue(5)
        bad = await book.options(job_id="bad").enqueue(-5)
        await Worker(p.queue(), tasks=[book], max_concurrent=1).run_until_idle()
        print(await good.result(), await bad.status())

        await book.options(job_id="test").enqueue(1)
        overrides = {get_path: get_test_path}
        await Worker(p.queue(), tasks=[book], dependency_overrides=overrides).run_until_idle()


if __name__ == "__main__":
    asyncio.run(main())
