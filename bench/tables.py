"""The benchmark's figures as Markdown tables."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

LABELS = {
    "penstock": "Penstock",
    "raw": "bare redis-py",
    "taskiq": "taskiq-redis",
    "saq": "SAQ",
    "bullmq": "BullMQ (Python)",
    "rq": "RQ",
    "celery": "Celery",
}
Figures = dict[str, Any]
_WHOLE_FROM = 100


def number(value: float | None, unit: str = "") -> str:
    """A figure for people; a dash where there is none."""
    if value is None:
        return "-"
    return (f"{value:,.0f}" if value >= _WHOLE_FROM else f"{value:.3g}") + unit


def rows(head: list[str], lines: list[list[str]]) -> str:
    """A Markdown table whose columns but the first are numbers."""
    rule = ["---", *["---:"] * (len(head) - 1)]
    return "\n".join("| " + " | ".join(line) + " |" for line in [head, rule, *lines])


def machine_line(figures: Figures) -> str:
    """Where the figures come from."""
    machine = figures["machine"]
    server = machine["server"]
    return (
        f"Measured by `{machine['command']}` on {machine['cores']} cores ({machine['processor']}), "
        f"{server['name']} {server['version']} on {server['allocator']} with appendonly "
        f"{server['settings'].get('appendonly', '?')}, Python {machine['python']}; medians of "
        f"{machine['rounds']} rounds; load {machine['load_before']} before, {machine['load_after']} after."
    )


def comparison(figures: Figures) -> str:
    """A line for each system."""
    head = ["", "enqueue one", "in bulk", "drain at 1", "16", "100", "500", "100, two workers"]
    head += ["own best", "pickup p50 / p99, ms", "bytes a job", "worker, MiB", "recovery, s"]
    lines = []
    for name, one in figures["systems"].items():
        drain = one["drain"]
        pickup = f"{number(one['pickup_p50_ms'])} / {number(one['pickup_p99_ms'])}"
        values = [one["enqueue_one"], one["enqueue_bulk"], *(drain[at] for at in ("1", "16", "100", "500"))]
        values += [one["drain_two_workers"], one.get("drain_best")]
        tail = [one["bytes_per_job"], one["worker_rss_mb"], one["recovery_s"]]
        label = LABELS.get(name, name)
        line = [f"{label} {one['version'] or ''}".strip(), *map(number, values), pickup, *map(number, tail)]
        lines.append(line)
    return machine_line(figures) + "\n\n" + rows(head, lines)


def summary(figures: Figures) -> str:
    """Penstock, the ceiling and the best peer of each measure."""
    systems, ratios = figures["systems"], figures["ratios"]
    measures = {
        "enqueue_one": ("enqueue one at a time", " jobs/s"),
        "enqueue_bulk": ("enqueue in bulk", " jobs/s"),
        "drain.1": ("drain at concurrency 1", " jobs/s"),
        "drain.16": ("drain at concurrency 16", " jobs/s"),
        "drain.100": ("drain at concurrency 100", " jobs/s"),
        "drain.500": ("drain at concurrency 500", " jobs/s"),
        "pickup_p50_ms": ("pickup by an idle worker, median", " ms"),
        "pickup_p99_ms": ("pickup, 99th percentile", " ms"),
        "bytes_per_job": ("memory of a waiting job", " bytes"),
        "recovery_s": ("recovery after SIGKILL", " s"),
    }
    lines = []
    for path, (label, unit) in measures.items():
        best = ratios["to_best_peer"].get(path)
        theirs = (
            "-" if best is None else f"{number(_at(systems[best['peer']], path))} ({_label(best['peer'])})"
        )
        ours = number(_at(systems["penstock"], path), unit)
        bare = number(_at(systems["raw"], path))
        lines.append([label, ours, bare, theirs, "-" if best is None else f"{best['ratio']:.2f}"])
    lines += _ours_alone(systems["penstock"])
    head = ["", "Penstock", "bare redis-py", "best peer", "Penstock to best peer"]
    return machine_line(figures) + "\n\n" + rows(head, lines)


def _ours_alone(ours: Figures) -> list[list[str]]:
    drains = f"{number(ours['drain_recorded'])} / {number(ours['drain_two_workers'])} jobs/s"
    memory = f"{number(ours['bytes_per_job_tuned'])} bytes"
    found = [
        ["drain at 100, recorded / two workers", drains, "", "", ""],
        ["memory of a waiting job, embedded settings", memory, "", "", ""],
        ["round trips a job under load", number(ours["round_trips_per_job"]), "", "", ""],
    ]
    backlog = ours.get("claim_backlog")
    if backlog:
        what = f"claim of {backlog['batch']} jobs with {backlog['long']:,} waiting / {backlog['short']:,}"
        took = f"{number(backlog['long_ms'])} / {number(backlog['short_ms'])} ms"
        found.append([what, took, "", "", ""])
    strain = ours.get("strain")
    if strain:
        idle = f"{number(strain['idle_cpu_percent'], ' %')} / {number(strain['idle_calls_per_s'])}"
        found.append(["idle worker: of a core / calls a second", idle, "", "", ""])
        late = number(strain["loop_lag_ms"], " ms")
        found.append(["under load: event loop late at worst", late, "", "", ""])
        scripts = f"{number(strain['script_p99_ms'])} / {number(strain['slowest_script_ms'])} ms"
        found.append(["under load: scripts, 99th percentile / longest", scripts, "", "", ""])
    return found


def settings(figures: Figures) -> str:
    """What was chosen for each system."""
    lines = []
    for name, one in figures["systems"].items():
        best = one.get("drain_best_options")
        own = "" if not best else f" Own best: {', '.join(f'{key} {value}' for key, value in best.items())}."
        chosen = (one["setting"] or "not started").replace("<concurrency>", "N")
        title = f"{_label(name)} {one['version'] or ''}".strip()
        lines.append(f"- **{title}**: {chosen}.{own}")
    return "N is the concurrency.\n\n" + "\n".join(lines)


def missing(figures: Figures) -> str:
    """What could not be measured, and why."""
    lines = [
        f"- {_label(name)}, `{measure}`: {reason}."
        for name, one in figures["systems"].items()
        for measure, reason in one["failures"].items()
    ]
    return "\n".join(lines) or "Everything was measured."


def features_table(found: Figures) -> str:
    """What the features of this tree cost where they are not used."""
    lines = [
        [
            name.replace("_", " "),
            number(one["baseline"]),
            number(one["now"]),
            f"{one['cost_percent']:+.1f} %",
            f"{one['of_pairs_percent'][0]:+.1f} … {one['of_pairs_percent'][-1]:+.1f} %",
        ]
        for name, one in found["measures"].items()
    ]
    head = ["", f"at {found['baseline']}", "now", "costs more", "pairs from … to"]
    return machine_line(found) + "\n\n" + rows(head, lines)


def _label(name: str) -> str:
    return LABELS.get(name, name)


def _at(figures: Figures, path: str) -> float | None:
    value: Any = figures
    for key in path.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return value


def chart(figures: Figures) -> str:
    """The picture drawn from the same figures."""
    names = ", ".join(_label(name) for name in figures["systems"])
    return f"![Drain, bulk enqueue and pickup of {names}: bars on logarithmic scales](speed.svg)"


TABLES: dict[str, Callable[[Figures], str]] = {
    "comparison": comparison,
    "summary": summary,
    "settings": settings,
    "missing": missing,
    "chart": chart,
}
