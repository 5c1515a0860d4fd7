"""The scenarios: which faults, on which server, under which load."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

from penstock.core.timings import LeaseTimings
from penstock.torture import faults
from penstock.torture.faults import Fault
from penstock.torture.orders import DEFAULT_TIMINGS, QUICK_TIMINGS


@dataclass(frozen=True)
class Scenario:
    """One kind of run.

    With ``jobs``, that many are enqueued at the beginning and faults strike until all are done; else
    jobs of all kinds come in for as long as faults strike, which is ``seconds`` or the scenario's share
    of the time given. ``work_ms`` bounds the work of even jobs. ``pace_seconds`` lie between two faults.
    """

    faults: tuple[Fault, ...]
    workers: int = 3
    concurrency: int = 8
    timings: LeaseTimings = QUICK_TIMINGS
    jobs: int | None = None
    work_ms: tuple[int, int] = (0, 0)
    seconds: float | None = None
    pace_seconds: tuple[float, float] = (0.4, 1.6)
    appendfsync: str = "always"
    needs_own_server: bool = False
    is_networked: bool = False
    is_watched: bool = False
    has_clock: bool = False
    #: Bounds that the issue of each names, in seconds; none where there is none.
    most_recovery_s: float | None = None
    most_pause_s: float | None = None


_QUIET = (faults.flush_scripts, faults.destroy_group, faults.delete_consumers, faults.cut_clients)

SCENARIOS = MappingProxyType(
    {
        "workers_killed": Scenario((faults.kill_worker,)),
        "workers_frozen": Scenario((faults.freeze_worker,)),
        "server_frozen": Scenario((faults.freeze_server,), needs_own_server=True),
        "memory_full": Scenario((faults.fill_memory, faults.kill_worker), needs_own_server=True),
        "state_dropped": Scenario(_QUIET, needs_own_server=True),
        "network": Scenario(
            (
                faults.cut_links,
                faults.mute_links,
                faults.slow_links,
                faults.hold_one,
                faults.hold_all,
            ),
            is_networked=True,
        ),
        "clock_jumps": Scenario((faults.jump_clock, faults.jump_clock, faults.kill_worker), has_clock=True),
        "everything": Scenario(
            (
                faults.kill_worker,
                faults.freeze_worker,
                faults.freeze_server,
                faults.kill_server,
                faults.fill_memory,
                *_QUIET,
            ),
            needs_own_server=True,
        ),
        "redis_kill_always": Scenario((faults.kill_server,), needs_own_server=True, most_pause_s=5.0),
        "redis_kill_everysec": Scenario(
            (faults.cut_power,), needs_own_server=True, appendfsync="everysec", pace_seconds=(2.0, 4.0)
        ),
        "sentinel": Scenario(
            (faults.fail_over,), seconds=45.0, is_watched=True, needs_own_server=True, pace_seconds=(2.0, 4.0)
        ),
        "kills": Scenario(
            (faults.kill_worker,),
            workers=4,
            concurrency=16,
            timings=DEFAULT_TIMINGS,
            jobs=10_000,
            work_ms=(100, 500),
            pace_seconds=(2.0, 2.0),
            appendfsync="everysec",
            most_recovery_s=20.0,
        ),
        "redis_away": Scenario(
            (),
            workers=2,
            concurrency=10,
            timings=DEFAULT_TIMINGS,
            jobs=20,
            seconds=60.0,
            needs_own_server=True,
        ),
    }
)
#: Asked for by name alone: a million jobs take minutes.
MILLION = "million"
NAMES = (*SCENARIOS, MILLION)
