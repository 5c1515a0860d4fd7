"""What every measured system's player shares: the tally, the clock, and the loops that are timed.

A player is a script that plays one system: it enqueues no-op jobs with a payload of 150 bytes, or is
that system's worker. Penstock's and the bare baseline's stand beside this file, the peers' in the
folder ``bench/peers`` of the source tree. This file needs nothing but the standard library, because
it also runs in the peers' own environments, where it is imported as ``player``.

All systems are observed in the same way: a handler counts its call in a file that its process has
mapped into memory, with the moment it began. That costs every system the same fraction of a
microsecond and no round trip; the benchmark reads the files from outside.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.metadata
import json
import mmap
import os
import random
import struct
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn, Protocol

PAYLOAD = {"text": "x" * 139}
"""150 bytes as JSON."""

OPTIONS: dict[str, Any] = json.loads(os.environ.get("PENSTOCK_BENCH", "{}"))
"""What the benchmark asks for: ``url`` and ``queue``, and what the role needs."""

ANSWER = "answer: "
_SLOT = struct.Struct("=Qd")
_WARM_UP = 20
_PICKUP_LIMIT_SECONDS = 15.0
# So that an enqueue meets a polling worker at no particular point of its interval.
_PAUSE_SECONDS = (0.002, 0.02)


class Tally:
    """Counts this process's calls of the handler in a mapped file; forks get a file of their own."""

    def __init__(self, directory: str | None) -> None:
        """``directory`` is where the benchmark looks; without one nothing is written."""
        self._directory = directory
        self._lock = threading.Lock()
        self._map: mmap.mmap | None = None
        self._calls = 0
        os.register_at_fork(after_in_child=self._reset)

    def count(self, calls: int = 1) -> None:
        """Note that ``calls`` more jobs have begun, just now."""
        with self._lock:
            self._calls += calls
            if self._map is None:
                self._map = self._open()
            _SLOT.pack_into(self._map, 0, self._calls, time.monotonic())

    def _reset(self) -> None:
        # The parent's lock may have been held by a thread that the child does not have.
        self._lock = threading.Lock()
        self._map = None
        self._calls = 0

    def _open(self) -> mmap.mmap:
        if self._directory is None:
            return mmap.mmap(-1, _SLOT.size)
        path = Path(self._directory) / f"{os.getpid()}"
        path.write_bytes(bytes(_SLOT.size))
        with path.open("r+b") as file:
            return mmap.mmap(file.fileno(), _SLOT.size)


def read_tally(directory: Path) -> tuple[int, float]:
    """How many jobs have begun in all processes, and when the latest one did (monotonic seconds)."""
    calls, latest = 0, 0.0
    for file in directory.iterdir():
        raw = file.read_bytes()
        if len(raw) == _SLOT.size:
            here, moment = _SLOT.unpack(raw)
            calls, latest = calls + here, max(latest, moment)
    return calls, latest


TALLY = Tally(OPTIONS.get("tally"))


def hangs(marker: str) -> bool:
    """Whether this call of the job is the first, which is to hang until its worker is killed.

    The first caller leaves its process id in the file ``marker``; a later one is counted.
    """
    half_written = f"{marker}.{os.getpid()}"
    Path(half_written).write_text(str(os.getpid()), encoding="ascii")
    try:
        # Appears whole or not at all, and once only.
        os.link(half_written, marker)
    except FileExistsError:
        TALLY.count()
        return False
    return True


@dataclass(frozen=True)
class Producer:
    """The enqueueing side: one job, many in the fastest way there is, and one that hangs once."""

    one: Callable[[], Coroutine[Any, Any, Any]]
    many: Callable[[int], Coroutine[Any, Any, Any]]
    hang: Callable[[str], Coroutine[Any, Any, Any]]


class OpensProducer(Protocol):
    """Connects, as a context."""

    def __call__(self) -> contextlib.AbstractAsyncContextManager[Producer]:
        """Open the connection of the side that enqueues."""


def blocking(
    one: Callable[[], object], many: Callable[[int], object], hang: Callable[[str], object]
) -> OpensProducer:
    """A producer of plain calls that block, as the systems without asyncio have them."""

    async def one_of() -> None:
        one()

    async def many_of(how_many: int) -> None:
        many(how_many)

    async def hang_of(marker: str) -> None:
        hang(marker)

    @contextlib.asynccontextmanager
    async def opened() -> AsyncIterator[Producer]:
        yield Producer(one_of, many_of, hang_of)

    return opened


@dataclass(frozen=True)
class Player:
    """One system as it is measured."""

    producer: OpensProducer
    work: Callable[[], object]
    """The worker, in the foreground, until it is killed."""
    packages: Sequence[str]
    """What is installed for it; the first is the system itself."""
    setting: str
    """What was chosen where its defaults are slower, and what one worker process is."""
    best: dict[str, Any] | None = None
    """Options of the fastest set-up on two cores, when it is another than one or two such workers."""
    unable: dict[str, str] = field(default_factory=dict)
    """Measures it cannot do at all, and why."""


def main(player: Player) -> None:
    """Play the role named on the command line and print what came out."""
    role = sys.argv[1]
    if role == "worker":
        player.work()
    elif role == "describe":
        _answer(_description(player))
    else:
        run_fast(_produce(player, role))


def become(program: str, *words: str) -> NoReturn:
    """Turn into a program of this environment, the way a system's workers are started by hand."""
    path = str(Path(sys.executable).parent / program)
    os.execv(path, [path, *words])  # noqa: S606 - no shell is wanted


def run_fast(work: Coroutine[Any, Any, Any]) -> None:
    """Run on uvloop where it is installed."""
    try:
        import uvloop
    except ImportError:
        asyncio.run(work)
    else:
        uvloop.run(work)


async def _produce(player: Player, role: str) -> None:
    async with player.producer() as producer:
        if role == "enqueue":
            _answer(await _timed_enqueueing(producer))
        elif role == "fill":
            await producer.many(OPTIONS["how_many"])
            _answer({})
        elif role == "pickup":
            _answer(await _timed_pickups(producer))
        elif role == "hang":
            await producer.hang(OPTIONS["marker"])
            _answer({})


async def _timed_enqueueing(producer: Producer) -> dict[str, float]:
    """Jobs a second: from the first call to the last answer, connections and scripts loaded before."""
    for _ in range(_WARM_UP):
        await producer.one()
    await producer.many(64)
    singles, until = 0, time.perf_counter() + OPTIONS["seconds"]
    started = now = time.perf_counter()
    while now < until and singles < OPTIONS["how_many"]:
        await producer.one()
        singles += 1
        now = time.perf_counter()
    one = singles / (now - started)
    bulk = min(OPTIONS["bulk"], max(64, int(OPTIONS["seconds"] * OPTIONS["bulk_rate"])))
    started = time.perf_counter()
    await producer.many(bulk)
    return {"one": one, "bulk": bulk / (time.perf_counter() - started)}


async def _timed_pickups(producer: Producer) -> list[float]:
    """Milliseconds from the call that enqueues to the first line of the handler, one job at a time.

    The worker is idle each time. Both ends read the monotonic clock, which all processes of a machine
    share. Ends early when the worker is slow.
    """
    directory = Path(OPTIONS["tally"])
    pauses = random.Random(7)  # noqa: S311 - lengths of pauses
    await _one_wait(producer, directory)
    await _waits(producer, directory, pauses, _WARM_UP)
    return await _waits(producer, directory, pauses, OPTIONS["how_many"])


async def _waits(producer: Producer, directory: Path, pauses: random.Random, how_many: int) -> list[float]:
    waits: list[float] = []
    until = time.monotonic() + OPTIONS["seconds"]
    while len(waits) < how_many and (not waits or time.monotonic() < until):
        await asyncio.sleep(pauses.uniform(*_PAUSE_SECONDS))
        waits.append(await _one_wait(producer, directory))
    return waits


async def _one_wait(producer: Producer, directory: Path) -> float:
    before, _ = read_tally(directory)
    called = time.monotonic()
    await producer.one()
    return (await _begun(directory, before + 1) - called) * 1000


async def _begun(directory: Path, calls: int) -> float:
    until = time.monotonic() + _PICKUP_LIMIT_SECONDS
    while time.monotonic() < until:
        begun, latest = read_tally(directory)
        if begun >= calls:
            return latest
        await asyncio.sleep(0.001)
    raise TimeoutError(f"an idle worker did not begin a job within {_PICKUP_LIMIT_SECONDS:.0f} s")


def _description(player: Player) -> dict[str, Any]:
    return {
        "version": _version(player.packages[0]),
        "packages": {name: _version(name) for name in player.packages},
        "python": sys.version.split()[0],
        "setting": player.setting,
        "best": player.best,
        "unable": player.unable,
    }


def _version(package: str) -> str | None:
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        return importlib.metadata.version(package)
    return None


def _answer(answer: Any) -> None:
    print(ANSWER + json.dumps(answer), flush=True)  # noqa: T201 - the benchmark reads it here
