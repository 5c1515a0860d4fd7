"""What features cost where they are not used: this tree beside an earlier revision of itself.

Both run on the same interpreter and libraries, on one server, in turns; whose turn is first changes
with every round. Each pair gives a ratio, and the median of the pairs is what counts, since a slow
minute meets both sides of a pair. The earlier revision is measured by this tree's benchmark, which
takes the place of its own.
"""

from __future__ import annotations

import asyncio
import shutil
import statistics
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table

from penstock.bench.plan import CONCURRENCIES, MIDDLE, Plan
from penstock.bench.suite import Results, run_suite
from penstock.bench.systems import SOURCES, penstock_at, source_tree
from penstock.core.errors import ConfigurationError

if TYPE_CHECKING:
    from penstock.bench.book import Book
    from penstock.bench.suite import Report

LIMIT_PERCENT = 3.0
BEFORE = "baseline"
NOW = "penstock"

# More is better in the first, less in the second.
_RATES = (
    "enqueue_one", "enqueue_bulk", *(f"drain.{at}" for at in CONCURRENCIES), "drain_recorded",
    "drain_two_workers",
)  # fmt: skip
_COSTS = ("worker_cpu_us_per_job", "server_cpu_us_per_job", "pickup_p50_ms", "bytes_per_job", "worker_rss_mb")
_LABELS = {
    "worker_cpu_us_per_job": f"worker's CPU time a job at {MIDDLE}, µs",
    "server_cpu_us_per_job": f"server's CPU time a job at {MIDDLE}, µs",
    "pickup_p50_ms": "pickup, median, ms",
    "bytes_per_job": "memory a waiting job, bytes",
    "worker_rss_mb": "memory of a worker's processes, MiB",
}


async def compare(plan: Plan, revision: str, report: Report) -> dict[str, Any]:
    """Measure both; the document says for each measure what this tree costs more, in percent.

    Raises ``ConfigurationError`` when there is no such revision to take sources from.
    """
    report(f"sources of {revision}")
    before = penstock_at(await _sources_of(revision), BEFORE)
    results = await run_suite(plan, [penstock_at(), before], None, report)
    return document(results, revision)


def document(results: Results, revision: str) -> dict[str, Any]:
    """``{"machine": …, "baseline": …, "limit_percent": 3, "measures": {…}, "failures": {…}}``."""
    book = results.book
    measures = {name: found for name in (*_RATES, *_COSTS) if (found := _compared(book, name))}
    return {
        "machine": results.machine | {"rounds": results.rounds_done},
        "baseline": revision,
        "limit_percent": LIMIT_PERCENT,
        "measures": measures,
        "failures": {name: reasons for name in (NOW, BEFORE) if (reasons := book.reasons(name))},
    }


def _compared(book: Book, measure: str) -> dict[str, Any] | None:
    now, before = book.values[NOW, measure], book.values[BEFORE, measure]
    if not now or not before:
        return None
    # A round that failed on one side leaves no pairs, only the medians.
    pairs = list(zip(now, before, strict=True)) if len(now) == len(before) else []
    pairs = pairs or [(statistics.median(now), statistics.median(before))]
    costs = [(old / new if measure in _RATES else new / old) for new, old in pairs]
    return {
        "baseline": book.median(BEFORE, measure),
        "now": book.median(NOW, measure),
        "cost_percent": _percent(statistics.median(costs)),
        "of_pairs_percent": sorted(map(_percent, costs)),
    }


def _percent(cost: float) -> float:
    return round((cost - 1) * 100, 2)


def table(found: dict[str, Any]) -> Table:
    """The document as a table."""
    grid = Table(title=f"This tree beside {found['baseline']}, features unused", title_justify="left")
    grid.add_column()
    for heading in ("before", "now", "costs more, %", "pairs from … to, %"):
        grid.add_column(heading, justify="right")
    for name, measure in found["measures"].items():
        pairs, cost = measure["of_pairs_percent"], measure["cost_percent"]
        above = " [bold]above[/]" if cost > found["limit_percent"] else ""
        grid.add_row(
            _LABELS.get(name, f"{name.replace('_', ' ').replace('.', ' at ')}, jobs/s"),
            f"{measure['baseline']:,.4g}",
            f"{measure['now']:,.4g}",
            f"{cost:+.1f}{above}",
            f"{pairs[0]:+.1f} … {pairs[-1]:+.1f}",
        )
    return grid


async def _sources_of(revision: str) -> Path:
    """``src`` of a revision under ``.bench``, with this tree's benchmark in the place of its own."""
    tree = source_tree()
    if tree is None or not (tree / ".git").exists():
        raise ConfigurationError(
            "--features compares with an earlier revision, for which it needs a git checkout of Penstock: "
            "run it in one"
        )
    name = (await _git(tree, "rev-parse", "--short=12", f"{revision}^{{commit}}", revision=revision)).strip()
    home = tree / ".bench" / f"revision-{name}"
    if not (home / "src").is_dir():
        home.mkdir(parents=True, exist_ok=True)
        packed = home / "src.tar"
        await _git(tree, "archive", "--output", str(packed), name, "src", revision=revision)
        with tarfile.open(packed) as archive:
            archive.extractall(home, filter="data")
        packed.unlink()
    theirs = home / "src" / "penstock" / "bench"
    shutil.rmtree(theirs, ignore_errors=True)
    shutil.copytree(SOURCES / "penstock" / "bench", theirs, ignore=shutil.ignore_patterns("__pycache__"))
    return home / "src"


async def _git(tree: Path, *words: str, revision: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *("git", "-C", str(tree), *words), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    said, errors = await process.communicate()
    if process.returncode:
        raise ConfigurationError(
            f"--baseline {revision!r} cannot be had from git: {errors.decode(errors='replace').strip()}"
        )
    return said.decode()
