"""What happens to workers and server, and the scenarios made of it."""

from __future__ import annotations

import random
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TypeAlias

from penstock.store.keys import QueueKeys
from penstock.torture.anvil import Anvil
from penstock.torture.crew import Crew
from penstock.torture.orders import TIMINGS


@dataclass(frozen=True)
class Blow:
    """One fault that was dealt: to which worker (``None``: to the server), from when to when."""

    name: str
    worker: str | None
    began_at: float
    ended_at: float


@dataclass
class Scene:
    """What faults are dealt to, and the record of those dealt."""

    anvil: Anvil
    crew: Crew
    keys: QueueKeys
    group: str
    chance: random.Random
    blows: list[Blow] = field(default_factory=list)

    def note(self, name: str, began_at: float, worker: str | None = None) -> None:
        """Write a fault down; it has ended."""
        self.blows.append(Blow(name, worker, began_at, time.time()))


Fault: TypeAlias = Callable[[Scene], Awaitable[None]]


async def kill_worker(scene: Scene) -> None:
    """SIGKILL a worker and start another in its place."""
    hand = scene.chance.choice(scene.crew.hands)
    began_at = time.time()
    await scene.crew.kill(hand)
    scene.note("kill_worker", began_at, hand.worker_id)
    await scene.crew.replace(hand)


async def freeze_worker(scene: Scene) -> None:
    """SIGSTOP a worker past its leases, then let it go on: a zombie."""
    hand = scene.chance.choice(scene.crew.hands)
    began_at = time.time()
    await scene.crew.freeze(hand, TIMINGS.presumed_dead_seconds + scene.chance.uniform(0.3, 1.0))
    scene.note("freeze_worker", began_at, hand.worker_id)


async def freeze_server(scene: Scene) -> None:
    """SIGSTOP the server for longer than a lease."""
    began_at = time.time()
    await scene.anvil.freeze(scene.chance.uniform(1.0, 2.0) * TIMINGS.presumed_dead_seconds)
    scene.note("freeze_server", began_at)


async def kill_server(scene: Scene) -> None:
    """SIGKILL the server, and start it on its append-only file."""
    began_at = time.time()
    await scene.anvil.kill_and_restart(scene.chance.uniform(0.0, 1.5) * TIMINGS.presumed_dead_seconds)
    scene.note("kill_server", began_at)


async def flush_scripts(scene: Scene) -> None:
    """SCRIPT FLUSH."""
    began_at = time.time()
    await scene.anvil.tell("SCRIPT", "FLUSH")
    scene.note("flush_scripts", began_at)


async def destroy_group(scene: Scene) -> None:
    """XGROUP DESTROY on every lane."""
    began_at = time.time()
    keys = scene.keys
    for home in (keys.stream, keys.stream_high, keys.stream_low, keys.stream_suspects):
        await scene.anvil.tell("XGROUP", "DESTROY", home, scene.group)
    scene.note("destroy_group", began_at)


async def cut_clients(scene: Scene) -> None:
    """CLIENT KILL of every connection but the torturer's."""
    began_at = time.time()
    await scene.anvil.tell("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    scene.note("cut_clients", began_at)


SCENARIOS: Mapping[str, tuple[Fault, ...]] = MappingProxyType(
    {
        "workers-killed": (kill_worker,),
        "workers-frozen": (freeze_worker,),
        "server-frozen": (freeze_server,),
        "server-killed": (kill_server,),
        "state-dropped": (flush_scripts, destroy_group, cut_clients),
        "everything": (
            kill_worker,
            freeze_worker,
            freeze_server,
            kill_server,
            flush_scripts,
            destroy_group,
            cut_clients,
        ),
    }
)
NEEDS_OWN_SERVER: frozenset[Fault] = frozenset({freeze_server, kill_server})
