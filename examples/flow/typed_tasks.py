"""Functions whose calls become jobs: checked against their signature here, run at a worker there."""

import asyncio

from playground import open_connection

from penstock import RetryPolicy, Worker, task


@task(queue="mail", retry=RetryPolicy(5), timeout_seconds=30, unique_key="mail:{to}")
async def send(to: str, subject: str = "Welcome") -> str:
    return f"{subject}, {to}!"


@task
def shout(text: str) -> str:
    return text.upper()


@task(run_in="process")
def count_primes(below: int) -> int:
    return sum(all(number % divisor for divisor in range(2, number)) for number in range(2, below))


def view_of_a_web_framework() -> str:
    """Code without an event loop, as in Django or Flask."""
    return shout.enqueue_sync("from a thread").id


async def main() -> None:
    async with open_connection() as p:
        mail = await send.enqueue(to="ada")
        same = await send.enqueue(to="ada", subject="Hello again")
        later = await send.options(delay_seconds=3600, job_id="later").enqueue("bo")
        primes = await count_primes.enqueue(below=100)
        shouted = await asyncio.to_thread(view_of_a_web_framework)
        try:
            await send.enqueue(too="ada")  # type: ignore[call-arg]
        except TypeError as error:
            print(error)

        await Worker(p.queue("mail"), tasks=[send]).run_until_idle()
        await Worker(p.queue(), tasks=[shout, count_primes]).run_until_idle()

        print(await mail.result(timeout_seconds=10), "- one job:", mail == same)
        print(await p.queue().result(shouted), await primes.result())
        print(later, await later.status(), "- cancelled:", await later.cancel())
        print("here and now:", await send("cy"))


if __name__ == "__main__":
    asyncio.run(main())
