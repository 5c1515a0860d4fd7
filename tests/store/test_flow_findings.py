"""What the state machine found in the scripts of flow control, each in as few calls as it takes."""

import pytest

from tests.store.scene import Scene

pytestmark = pytest.mark.usefixtures("server")


def in_seconds(scene: Scene, seconds: float) -> float:
    """A time by the scene's clock, in seconds since the epoch."""
    return (scene.clock.script_time_ms() or 0) / 1000 + seconds


@pytest.mark.parametrize("kind", ["suspend", "defer", "release"])
async def test_a_job_that_started_in_time_does_not_expire(scene: Scene, kind: str) -> None:
    await scene.add("a", expires_at=in_seconds(scene, 10))
    await scene.settle(await scene.take_one("a"), kind, "later", 20_000)  # type: ignore[arg-type]
    scene.clock.advance(seconds=20)
    await scene.engine.promote()
    await scene.take_one("a")
