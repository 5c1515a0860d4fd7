"""Jobs that are on the server's disk when ``enqueue`` returns, and many that go there together."""

import asyncio

from playground import open_queue

from penstock import DurabilityError, Job


async def main() -> None:
    async with open_queue() as queue:
        try:
            print("on disk:", await queue.enqueue(Job(id="order-1"), durable=True))
            ids = await asyncio.gather(
                *(queue.enqueue(Job(id=f"order-{number}"), durable=True) for number in range(2, 102))
            )
            print("on disk:", len(ids), "more, behind few waits for the disk")
        except DurabilityError as error:
            print("not promised:", error)
        print("again, after a lost answer:", await queue.enqueue(Job(id="order-1"), durable=True))
        print("kept:", (await queue.get_queue_stats())["pending"])


asyncio.run(main())
