"""What came out: a document for programs, a table for people."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias, TypeVar

from rich.table import Table

from penstock.bench.draining import Drain
from penstock.bench.suite import CONCURRENCIES, MIDDLE, Results, Rounds

Measured = TypeVar("Measured")
Figures: TypeAlias = dict[str, Any]

_SPREAD_MATTERS = 100


def document(results: Results) -> Figures:
    """``{"machine": …, "systems": {"penstock": …, "raw": …}, "ratios": …}``; ``None`` is "not measured".

    Rates are jobs a second, medians of the rounds. A ratio is Penstock's figure over the baseline's,
    or over the one it names.
    """
    ours, bare = _of_penstock(results), _of_raw(results)
    return {
        "machine": results.machine,
        "systems": {"penstock": ours, "raw": bare},
        "ratios": _ratios(ours, bare),
    }


def _of_penstock(results: Results) -> Figures:
    rounds = results.penstock
    middle = rounds.drains[MIDDLE]
    memory = results.memory
    return _common(rounds) | {
        "drain_recorded": _median(rounds.recorded, lambda drain: drain.rate),
        "bytes_per_job": _rounded(None if memory is None else memory.default),
        "bytes_per_job_tuned": _rounded(None if memory is None else memory.tuned),
        "round_trips_per_job": _median(middle, lambda drain: drain.round_trips_per_job),
        "worker_cpu_us_per_job": _median(middle, lambda drain: drain.worker_cpu_us),
        "server_cpu_us_per_job": _median(middle, lambda drain: drain.server_cpu_us),
        "worker_rss_mb": _median(middle, lambda drain: drain.worker_rss_mb),
        "heartbeat_rss_mb": _median(middle, lambda drain: drain.heartbeat_rss_mb),
        "recovery_s": _rounded(results.recovery_s),
    }


def _of_raw(results: Results) -> Figures:
    memory = results.memory
    return _common(results.raw) | {
        "enqueue_one_xadd": _median(results.raw.enqueueing, lambda rates: rates.one_by_xadd),
        "bytes_per_job": _rounded(None if memory is None else memory.raw),
    }


def _common(rounds: Rounds) -> Figures:
    def rate(drain: Drain) -> float:
        return drain.rate

    return {
        "enqueue_one": _median(rounds.enqueueing, lambda rates: rates.one),
        "enqueue_bulk": _median(rounds.enqueueing, lambda rates: rates.bulk),
        "drain": {str(at): _median(rounds.drains[at], rate) for at in CONCURRENCIES},
        "drain_two_workers": _median(rounds.two_workers, rate),
        "pickup_p50_ms": _median(rounds.pickups, lambda one: one.p50_ms),
        "pickup_p99_ms": _median(rounds.pickups, lambda one: one.p99_ms),
    }


def _ratios(ours: Figures, bare: Figures) -> Figures:
    middle = str(MIDDLE)
    return {
        "enqueue_one": _ratio(ours["enqueue_one"], bare["enqueue_one"]),
        "enqueue_one_to_xadd": _ratio(ours["enqueue_one"], bare["enqueue_one_xadd"]),
        "enqueue_bulk": _ratio(ours["enqueue_bulk"], bare["enqueue_bulk"]),
        "drain": {at: _ratio(rate, bare["drain"][at]) for at, rate in ours["drain"].items()},
        "drain_recorded": _ratio(ours["drain_recorded"], bare["drain"][middle]),
        "drain_recorded_to_plain": _ratio(ours["drain_recorded"], ours["drain"][middle]),
        "drain_two_workers": _ratio(ours["drain_two_workers"], bare["drain_two_workers"]),
        "two_workers_to_one": _ratio(ours["drain_two_workers"], ours["drain"][middle]),
        "pickup_p50_ms": _ratio(ours["pickup_p50_ms"], bare["pickup_p50_ms"]),
        "pickup_p99_ms": _ratio(ours["pickup_p99_ms"], bare["pickup_p99_ms"]),
        "bytes_per_job": _ratio(ours["bytes_per_job"], bare["bytes_per_job"]),
    }


def table(figures: Figures) -> Table:
    """The document as a table: Penstock, the baseline, and the first over the second."""
    grid = Table(title="Penstock beside bare redis-py", title_justify="left", caption=_caption(figures))
    grid.add_column()
    for heading in ("Penstock", "redis-py", "ratio"):
        grid.add_column(heading, justify="right")
    systems = figures["systems"]
    for label, unit, path in _ROWS:
        ours, bare = _at(systems["penstock"], path), _at(systems["raw"], path)
        if ours is not None:
            ratio = _at(figures["ratios"], path)
            grid.add_row(
                f"{label} [dim]{unit}[/]", _shown(ours), _shown(bare), "" if ratio is None else f"{ratio:.2f}"
            )
    return grid


_ROWS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("enqueue, one at a time", "jobs/s", ("enqueue_one",)),
    ("enqueue, in bulk", "jobs/s", ("enqueue_bulk",)),
    *((f"drain at concurrency {at}", "jobs/s", ("drain", str(at))) for at in CONCURRENCIES),
    (f"drain at {MIDDLE}, recorded", "jobs/s", ("drain_recorded",)),
    (f"drain at {MIDDLE}, two workers", "jobs/s", ("drain_two_workers",)),
    ("pickup, median", "ms", ("pickup_p50_ms",)),
    ("pickup, 99th percentile", "ms", ("pickup_p99_ms",)),
    ("memory a waiting job", "bytes", ("bytes_per_job",)),
    ("… hash-max-listpack-value 2048", "bytes", ("bytes_per_job_tuned",)),
    ("round trips a job under load", "", ("round_trips_per_job",)),
    ("worker's CPU time a job", "µs", ("worker_cpu_us_per_job",)),
    ("server's CPU time a job", "µs", ("server_cpu_us_per_job",)),
    ("worker's memory", "MiB", ("worker_rss_mb",)),
    ("heartbeat process's memory", "MiB", ("heartbeat_rss_mb",)),
    ("recovery after SIGKILL", "s", ("recovery_s",)),
)


def _caption(figures: Figures) -> str:
    machine = figures["machine"]
    server = machine["server"]
    return (
        f"{machine['cores']} cores, {machine['processor']}; {server['name']} {server['version']}, "
        f"appendonly {server['settings'].get('appendonly', '?')}; load {machine['load_before']} to "
        f"{machine['load_after']}. Only ratios of one run can be compared."
    )


def _at(figures: Figures, path: Sequence[str]) -> float | None:
    found: Any = figures
    for name in path:
        found = found.get(name) if isinstance(found, dict) else None
    return found if isinstance(found, int | float) else None


def _shown(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if value >= _SPREAD_MATTERS else f"{value:.3g}"


def _median(rounds: Sequence[Measured], figure: Callable[[Measured], float | None]) -> float | None:
    values = [value for one in rounds if (value := figure(one)) is not None]
    return _rounded(statistics.median(values)) if values else None


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.4g}")


def _ratio(one: float | None, other: float | None) -> float | None:
    return None if one is None or not other else round(one / other, 3)
