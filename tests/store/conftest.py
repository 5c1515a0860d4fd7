"""Fixtures for tests of the store."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from penstock import ManualClock, QueueConfig
from penstock.store.engine import Engine
from tests.conftest import MakeClient, MakeQueue
from tests.harness.servers import Server
from tests.store.scene import MoveWatch, Scene

MakeScene = Callable[..., Awaitable[Scene]]


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> MoveWatch:
    """Holds every move that a script makes in this test against TRANSITIONS."""
    watch = MoveWatch()
    send = Engine._call

    async def watched(
        engine: Engine, name: str, once: dict[str, Any], each: Sequence[Sequence[Any]] = ()
    ) -> Any:
        # A beat moves no job, and tests send many.
        if name == "renew":
            return await send(engine, name, once, each)
        with watch.turn() as turn:
            before = await watch.look(engine)
            answer = await send(engine, name, once, each)
            after = await watch.look(engine) if before else {}
            # What others do meanwhile cannot be told from what this call does.
            if before and watch.was_alone(turn):
                watch.compare(name, before, after)
        return answer

    monkeypatch.setattr(Engine, "_call", watched)
    return watch


@pytest.fixture
def make_scene(make_queue: MakeQueue, make_client: MakeClient, target: Server, watch: MoveWatch) -> MakeScene:
    """Makes scenes on the test's server, with settings of their own if need be."""

    async def make(queue_name: str = "q", **settings: Any) -> Scene:
        clock = ManualClock()
        # Tests make large values of one letter, which would not be large once compressed.
        config = QueueConfig(**{"compress_above_bytes": 1_048_576} | settings)
        queue = await make_queue(queue_name, clock=clock, config=config)
        return Scene(queue, clock, make_client(target), watch)

    return make


@pytest.fixture
async def scene(make_scene: MakeScene) -> Scene:
    """A queue with a clock that the test moves."""
    return await make_scene()
