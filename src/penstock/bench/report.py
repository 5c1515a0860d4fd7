"""What came out as a document for programs, and as a table for people."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, TypeAlias

from rich.console import Console
from rich.table import Column, Table

from penstock.bench.plan import CONCURRENCIES, MIDDLE
from penstock.bench.suite import Results
from penstock.bench.systems import LABELS, PEERS

Figures: TypeAlias = dict[str, Any]

_UNBOUNDED = 10_000
_WIDEST_LABEL = 30
_WHOLE_FROM = 100
_PLAIN = (
    "enqueue_one", "enqueue_bulk", "drain_two_workers", "pickup_p50_ms", "pickup_p99_ms", "bytes_per_job",
    "worker_rss_mb", "recovery_s", "worker_cpu_us_per_job", "server_cpu_us_per_job",
)  # fmt: skip
_OURS = ("drain_recorded", "bytes_per_job_tuned", "round_trips_per_job")
# Where less is better.
_COSTS = ("pickup_p50_ms", "pickup_p99_ms", "bytes_per_job", "worker_rss_mb", "recovery_s")


def document(results: Results) -> Figures:
    """``{"machine": …, "systems": {"penstock": …, "raw": …, …}, "ratios": …}``; ``None`` is "not measured".

    Rates are jobs a second, medians of the rounds; ``spread`` holds the least and the greatest.
    ``failures`` says why a figure is missing. Ratios are Penstock's figure over the ceiling's
    (``to_raw``) and over the best peer's (``to_best_peer``, with its name).
    """
    names = dict.fromkeys([*results.descriptions, *(name for name, _ in results.book.failures)])
    systems = {name: _system(results, name) for name in names}
    return {
        "machine": results.machine | {"rounds": results.rounds_done},
        "systems": systems,
        "ratios": _ratios(systems),
    }


def _system(results: Results, name: str) -> Figures:
    book = results.book
    described = results.descriptions.get(name, {})
    figures: Figures = {figure: book.median(name, figure) for figure in _PLAIN}
    figures |= {"drain": {str(at): book.median(name, f"drain.{at}") for at in CONCURRENCIES}}
    if described.get("best"):
        figures |= {"drain_best": book.median(name, "drain_best"), "drain_best_options": described["best"]}
    if name == "penstock":
        figures |= {figure: book.median(name, figure) for figure in _OURS}
        backlog = results.backlog
        figures["claim_backlog"] = None if backlog is None else _rounded(dataclasses.asdict(backlog))
        strain = results.strain
        figures["strain"] = None if strain is None else _rounded(dataclasses.asdict(strain))
    return {
        "version": described.get("version"),
        "setting": described.get("setting"),
        "packages": described.get("packages"),
        **figures,
        "spread": book.spread(name),
        "failures": book.reasons(name),
    }


def _ratios(systems: Figures) -> Figures:
    ours = systems.get("penstock", {})
    found: Figures = {"to_raw": {}, "to_best_peer": {}}
    for path in _paths():
        mine = at(ours, path)
        name = ".".join(path)
        found["to_raw"][name] = ratio(mine, at(systems.get("raw", {}), path))
        best = best_peer(systems, path)
        if best is not None:
            found["to_best_peer"][name] = {"ratio": ratio(mine, best[1]), "peer": best[0]}
    plain = at(ours, ("drain", str(MIDDLE)))
    found["recorded_to_plain"] = ratio(ours.get("drain_recorded"), plain)
    found["two_workers_to_one"] = ratio(ours.get("drain_two_workers"), plain)
    return found


def best_peer(systems: Figures, path: Sequence[str]) -> tuple[str, float] | None:
    """The peer with the best figure, and the figure: the least where it is a cost, else the greatest."""
    known = [(name, value) for name in PEERS if (value := at(systems.get(name, {}), path)) is not None]
    if not known:
        return None
    return (min if path[0] in _COSTS else max)(known, key=lambda pair: pair[1])


def at(figures: Figures, path: Sequence[str]) -> float | None:
    """The number at a path of keys, if there is one."""
    found: Any = figures
    for name in path:
        found = found.get(name) if isinstance(found, dict) else None
    return found if isinstance(found, int | float) else None


def ratio(one: float | None, other: float | None) -> float | None:
    """``one`` over ``other``, where both are known."""
    return None if one is None or not other else round(one / other, 3)


def shown(value: float | None) -> str:
    """A figure for people; nothing where there is none."""
    if value is None:
        return ""
    return f"{value:,.0f}" if value >= _WHOLE_FROM else f"{value:.3g}"


ROWS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("enqueue, one at a time", "jobs/s", ("enqueue_one",)),
    ("enqueue, in bulk", "jobs/s", ("enqueue_bulk",)),
    *((f"drain at concurrency {at}", "jobs/s", ("drain", str(at))) for at in CONCURRENCIES),
    (f"drain at {MIDDLE}, recorded", "jobs/s", ("drain_recorded",)),
    (f"drain at {MIDDLE}, two workers", "jobs/s", ("drain_two_workers",)),
    ("drain, own best set-up on two cores", "jobs/s", ("drain_best",)),
    ("pickup, median", "ms", ("pickup_p50_ms",)),
    ("pickup, 99th percentile", "ms", ("pickup_p99_ms",)),
    ("memory a waiting job", "bytes", ("bytes_per_job",)),
    ("… hash-max-listpack-value 2048", "bytes", ("bytes_per_job_tuned",)),
    ("memory of a worker's processes", "MiB", ("worker_rss_mb",)),
    ("worker's CPU time a job", "µs", ("worker_cpu_us_per_job",)),
    ("server's CPU time a job", "µs", ("server_cpu_us_per_job",)),
    ("round trips a job under load", "", ("round_trips_per_job",)),
    ("recovery after SIGKILL", "s", ("recovery_s",)),
    ("claim with a short backlog", "ms", ("claim_backlog", "short_ms")),
    ("claim with a long backlog", "ms", ("claim_backlog", "long_ms")),
    ("idle worker", "% of a core", ("strain", "idle_cpu_percent")),
    ("idle worker's calls", "a second", ("strain", "idle_calls_per_s")),
    ("event loop under load, at worst late by", "ms", ("strain", "loop_lag_ms")),
    ("scripts under load, p99", "ms", ("strain", "script_p99_ms")),
    ("slowest script under load", "ms", ("strain", "slowest_script_ms")),
)


def _paths() -> list[tuple[str, ...]]:
    return [path for _, _, path in ROWS if path[0] not in {*_OURS, "drain_best", "claim_backlog", "strain"}]


def tables(figures: Figures, console: Console) -> list[Table]:
    """The document as tables, a column for each system; more than one where the console is too narrow.

    Each begins with the system that is measured first, so that the others can be held against it.
    """
    unbounded = console.options.update(max_width=_UNBOUNDED)
    most = len(figures["systems"])
    found = _blocks(figures, most)
    while most > 1 and any(
        console.measure(table, options=unbounded).maximum > console.width for table in found
    ):
        most -= 1
        found = _blocks(figures, most)
    found[0].title_justify = "left"
    found[0].title = "Jobs of 150 bytes that do nothing"
    found[-1].caption = _caption(figures)
    return found


def _blocks(figures: Figures, most: int) -> list[Table]:
    """Tables of at most so many systems beside the first."""
    first, *others = figures["systems"]
    starts = range(0, len(others), most) or (0,)
    return [_table(figures, first, others[at : at + most], is_first=at == 0) for at in starts]


def _table(figures: Figures, first: str, others: list[str], *, is_first: bool) -> Table:
    names = [first, *others]
    systems = figures["systems"]
    grid = Table(
        Column(max_width=_WIDEST_LABEL),
        *(Column(LABELS.get(name, name), justify="right", no_wrap=True) for name in names),
    )
    for label, unit, path in ROWS:
        values = {name: at(systems[name], path) for name in names}
        told = names if is_first else others
        if any(values[name] is not None for name in told):
            grid.add_row(f"{label} [dim]{unit}[/]", *(shown(values[name]) for name in names))
    return grid


def failures(figures: Figures) -> list[str]:
    """A line for each thing that could not be measured."""
    return [
        f"{LABELS.get(name, name)}: {measure}: {reason}"
        for name, system in figures["systems"].items()
        for measure, reason in system["failures"].items()
    ]


def _caption(figures: Figures) -> str:
    machine = figures["machine"]
    server = machine["server"]
    appendonly = server["settings"].get("appendonly", "?")
    return (
        f"{machine['cores']} cores, {machine['processor']}; {server['name']} {server['version']} on "
        f"{server['allocator']}, appendonly {appendonly}; load {machine['load_before']} to "
        f"{machine['load_after']}; {machine['rounds']} rounds. Only ratios of one run can be compared."
    )


def _rounded(values: dict[str, Any]) -> dict[str, Any]:
    return {
        key: float(f"{value:.4g}") if isinstance(value, float) else value for key, value in values.items()
    }
