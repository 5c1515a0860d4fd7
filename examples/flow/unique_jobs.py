"""One live job for a key: the one that is there, a clear no, the newest instead, or once a window."""

import asyncio

from playground import open_queue

from penstock import Job
from penstock.core.errors import DuplicateJobError


async def main() -> None:
    async with open_queue() as queue:
        first = await queue.enqueue(Job(id="report-1", unique_key="report:42"))
        again = await queue.enqueue(Job(id="report-2", unique_key="report:42"))
        print("existing:", first, again)
        try:
            await queue.enqueue(Job(id="report-3", unique_key="report:42", unique_policy="reject"))
        except DuplicateJobError as error:
            print("reject:", error)

        # Debounce: each call starts the wait anew, and the last payload wins.
        for version in (1, 2, 3):
            await queue.enqueue(
                Job({"version": version}, id=f"index-{version}", unique_key="index", unique_policy="replace"),
                delay_seconds=60,
            )
        for job_id in ("index-1", "index-2", "index-3"):
            print("debounce:", job_id, (await queue.get_status(job_id)).status)

        # Throttle: once an hour, whatever became of the first.
        await queue.enqueue(Job(id="mail-1", unique_key="mail", unique_window_seconds=3600))
        await queue.cancel("mail-1")
        print(
            "throttle:", await queue.enqueue(Job(id="mail-2", unique_key="mail", unique_window_seconds=3600))
        )


asyncio.run(main())
