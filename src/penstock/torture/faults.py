"""What happens to workers, server, network and clock: one function a fault."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeAlias, cast

from penstock.core.timings import LeaseTimings
from penstock.store.keys import QueueKeys
from penstock.torture.anvil import Anvil
from penstock.torture.clock import JumpingClock
from penstock.torture.crew import Crew, Hand
from penstock.torture.proxy import Port

#: What a power cut takes with `appendfsync everysec`, and how far the file's sampled length may be off.
LOST_SECONDS, LOST_SLACK_SECONDS = 1.0, 1.0
#: How far back a careful client repeats its enqueues by id after data may have been lost.
REPEATED_SECONDS = 5.0


class Struck(StrEnum):
    """What a fault may excuse: nothing, new starts of a worker's jobs, or those of what was lost."""

    NOTHING = "nothing"
    WORKER = "worker"
    SERVER = "server"
    DATA = "data"


@dataclass(frozen=True)
class Blow:
    """One fault that was dealt, from when to when; ``pid`` is the struck worker's.

    ``data`` blows may take what was written from ``lost_from`` to their end.
    """

    name: str
    struck: Struck
    began_at: float
    ended_at: float
    pid: int = 0
    lost_from: float = 0.0


@dataclass
class Scene:
    """What faults are dealt to, and the record of those dealt."""

    anvil: Anvil
    crew: Crew
    keys: QueueKeys
    group: str
    timings: LeaseTimings
    chance: random.Random
    ports: list[Port]
    clock: JumpingClock | None
    repeat: Callable[[float], Awaitable[None]]
    blows: list[Blow] = field(default_factory=list)

    def note(
        self, name: str, began_at: float, struck: Struck = Struck.NOTHING, pid: int = 0, lost_from: float = 0
    ) -> None:
        """Write a fault down; it has ended."""
        self.blows.append(Blow(name, struck, began_at, time.time(), pid, lost_from))

    @property
    def lease_seconds(self) -> float:
        """How long a worker may be silent."""
        return self.timings.presumed_dead_seconds

    def lanes(self) -> tuple[str, ...]:
        """The streams of the queue."""
        keys = self.keys
        return keys.stream, keys.stream_high, keys.stream_low, keys.stream_suspects, keys.stream_keyed


Fault: TypeAlias = Callable[[Scene], Awaitable[None]]


def _a_hand(scene: Scene) -> Hand:
    return scene.chance.choice(scene.crew.hands)


async def kill_worker(scene: Scene) -> None:
    """SIGKILL a worker and start another in its place."""
    hand = _a_hand(scene)
    began_at = time.time()
    await scene.crew.kill(hand)
    scene.note("kill_worker", began_at, Struck.WORKER, hand.pid)
    await scene.crew.replace(hand)


async def freeze_worker(scene: Scene) -> None:
    """SIGSTOP a worker past its leases, then let it go on: a zombie."""
    hand = _a_hand(scene)
    began_at = time.time()
    await scene.crew.freeze(hand, scene.lease_seconds + scene.chance.uniform(0.3, 1.0))
    scene.note("freeze_worker", began_at, Struck.WORKER, hand.pid)


async def freeze_server(scene: Scene) -> None:
    """SIGSTOP the server for longer than a lease."""
    began_at = time.time()
    await scene.anvil.freeze(scene.chance.uniform(1.0, 2.0) * scene.lease_seconds)
    scene.note("freeze_server", began_at, Struck.SERVER)


async def kill_server(scene: Scene) -> None:
    """SIGKILL the server, and start it on its append-only file."""
    began_at = time.time()
    await scene.anvil.kill_and_restart(scene.chance.uniform(0.0, 1.5) * scene.lease_seconds)
    scene.note("kill_server", began_at, Struck.SERVER)


async def cut_power(scene: Scene) -> None:
    """SIGKILL the server and take the last second of its file; a careful client repeats its enqueues."""
    began_at = time.time()
    await scene.anvil.kill_and_restart(scene.chance.uniform(0.0, 1.5) * scene.lease_seconds, LOST_SECONDS)
    lost_from = began_at - LOST_SECONDS - LOST_SLACK_SECONDS
    scene.note("cut_power", began_at, Struck.DATA, lost_from=lost_from)
    await scene.repeat(began_at)


async def fail_over(scene: Scene) -> None:
    """SIGKILL or freeze the master: the replica takes over, and the old one comes back as its replica."""
    began_at = time.time()
    strike = scene.chance.choice((scene.anvil.kill_and_restart, scene.anvil.freeze))
    await strike(scene.chance.uniform(0.2, 2.0))
    name = "kill_master" if strike == scene.anvil.kill_and_restart else "freeze_master"
    scene.note(name, began_at, Struck.DATA, lost_from=began_at - LOST_SECONDS)
    await scene.repeat(began_at)


async def fill_memory(scene: Scene) -> None:
    """Hold the server at maxmemory for a while."""
    began_at = time.time()
    await scene.anvil.tell("CONFIG", "SET", "maxmemory", "1mb")
    try:
        await asyncio.sleep(scene.chance.uniform(0.5, 1.5) * scene.lease_seconds)
    finally:
        await scene.anvil.tell("CONFIG", "SET", "maxmemory", "0")
    scene.note("fill_memory", began_at)


async def flush_scripts(scene: Scene) -> None:
    """SCRIPT FLUSH."""
    began_at = time.time()
    await scene.anvil.tell("SCRIPT", "FLUSH")
    scene.note("flush_scripts", began_at)


async def destroy_group(scene: Scene) -> None:
    """XGROUP DESTROY on every lane."""
    began_at = time.time()
    for lane in scene.lanes():
        await scene.anvil.tell("XGROUP", "DESTROY", lane, scene.group)
    scene.note("destroy_group", began_at)


async def delete_consumers(scene: Scene) -> None:
    """XGROUP DELCONSUMER of every consumer, with what it holds."""
    began_at = time.time()
    for lane in scene.lanes():
        for facts in await scene.anvil.tell("XINFO", "CONSUMERS", lane, scene.group) or ():
            await scene.anvil.tell("XGROUP", "DELCONSUMER", lane, scene.group, _name_of(facts))
    scene.note("delete_consumers", began_at)


def _name_of(facts: Any) -> str:
    if not isinstance(facts, dict):
        facts = dict(zip(facts[::2], facts[1::2], strict=True))
    name = facts.get("name", facts.get(b"name"))
    return name.decode() if isinstance(name, bytes) else cast("str", name)


async def cut_clients(scene: Scene) -> None:
    """CLIENT KILL of every connection but the torturer's."""
    began_at = time.time()
    await scene.anvil.tell("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    scene.note("cut_clients", began_at)


async def cut_links(scene: Scene) -> None:
    """Cut one worker's connections, or the client's."""
    began_at = time.time()
    await scene.chance.choice(scene.ports).cut()
    scene.note("cut_links", began_at)


async def mute_links(scene: Scene) -> None:
    """Lose every reply to one worker, or to the client, on the connections it has now."""
    began_at = time.time()
    scene.chance.choice(scene.ports).mute()
    scene.note("mute_links", began_at)


async def slow_links(scene: Scene) -> None:
    """Make the network slow for all."""
    began_at = time.time()
    for port in scene.ports:
        port.delay_seconds = scene.chance.uniform(0.01, 0.1)
    try:
        await asyncio.sleep(scene.chance.uniform(0.5, 1.5) * scene.lease_seconds)
    finally:
        for port in scene.ports:
            port.delay_seconds = 0.0
    scene.note("slow_links", began_at)


async def hold_one(scene: Scene) -> None:
    """Leave one worker's connections half-open for longer than its leases: it is as good as dead."""
    place = scene.chance.randrange(len(scene.crew.hands))
    hand, port = scene.crew.hands[place], scene.ports[place]
    began_at = time.time()
    port.hold()
    try:
        await asyncio.sleep(scene.lease_seconds + scene.chance.uniform(0.3, 1.0))
    finally:
        port.release()
    scene.note("hold_one", began_at, Struck.WORKER, hand.pid)


async def hold_all(scene: Scene) -> None:
    """Leave everyone's connections half-open for longer than a lease: an outage, and no death."""
    began_at = time.time()
    for port in scene.ports:
        port.hold()
    try:
        await asyncio.sleep(scene.lease_seconds * scene.chance.uniform(1.0, 2.0))
    finally:
        for port in scene.ports:
            port.release()
    scene.note("hold_all", began_at, Struck.SERVER)


async def jump_clock(scene: Scene) -> None:
    """Move the clock by up to an hour, either way."""
    assert scene.clock is not None  # noqa: S101 - the scenario has one
    began_at = time.time()
    scene.clock.jump(scene.chance.choice((-1, 1)) * scene.chance.choice((3.0, 60.0, 3600.0)))
    scene.note("jump_clock", began_at)
