"""What the webhook tests share: settings, jobs, addresses that a test decides."""

import socket
from typing import Any

from aiohttp.abc import AbstractResolver, ResolveResult

from penstock import Job, RedisStreamsQueue
from penstock.core.names import new_nonce
from penstock.core.settings import ServiceSettings
from penstock.store.events import EventReader, Fact

SECRET_KEY = "a secret key of the tests, long enough"
ACTOR = "user-123"


def settings_with(**changed: Any) -> ServiceSettings:
    """Settings with a key, short waits and loopback allowed."""
    given = {
        "secret_key": SECRET_KEY,
        "webhooks_allow_loopback": True,
        "webhook_backoff_base": 0.1,
        "webhook_timeout_seconds": 5.0,
    }
    return ServiceSettings(**(given | changed))


def delivery(url: str, run_id: str = "run-1", **changed: Any) -> Job:
    """A recorded `webhook` job as the relay makes them; `changed` parts of its payload."""
    given = {
        "url": url,
        "event": "run.completed",
        "run_id": run_id,
        "actor": ACTOR,
        "body": {"event": "run.completed", "run_id": run_id, "actor": ACTOR, "status": "completed"},
    }
    return Job(given | changed, type="webhook", id=f"wh:{run_id}:run.completed", max_attempts=5, record=True)


async def facts_of(queue: RedisStreamsQueue, event: str) -> list[Fact]:
    """All facts of one kind on the queue's events stream, of which there are few."""
    reader = EventReader(queue.engine, f"test-{new_nonce()}", "test")
    await reader.make_group()
    return [fact for fact in await reader.read(block_ms=10) if fact.event == event]


class NameTable(AbstractResolver):
    """A resolver's source that answers from lists: the first at the first question, and so on.

    The last answer stays. `asked` counts the questions.
    """

    def __init__(self, *answers: list[str]) -> None:
        self._answers = list(answers)
        self.asked = 0

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        self.asked += 1
        addresses = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address in addresses
        ]

    async def close(self) -> None:
        """Holds nothing."""
