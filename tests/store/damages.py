"""Ways in which a job's hash can be broken by hand."""

from typing import Any

from tests.store.scene import Scene

DAMAGES: dict[str, list[Any]] = {
    "no spec": ["HDEL", "spec"],
    "no status": ["HDEL", "status"],
    "unknown status": ["HSET", "status", "dancing"],
    "attempt is no number": ["HSET", "attempt", "many"],
    "a string": ["SET", "what?"],
    "a list": ["LPUSH", "what?"],
}


async def damage(scene: Scene, job_id: str, how: str) -> None:
    """Break a job's hash."""
    key = scene.keys.job + job_id
    command, *rest = DAMAGES[how]
    if command in {"SET", "LPUSH"}:
        await scene.client.delete(key)
    await scene.client.execute_command(command, key, *rest)
