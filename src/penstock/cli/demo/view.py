"""What the demo shows while it runs: live bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn
from rich.table import Table

from penstock.cli.demo.outcome import Outcome

PLAIN_LINE_SECONDS = 2.0
_NAME_WIDTH = 44


@dataclass(frozen=True, slots=True)
class RunningJob:
    """A job that a worker holds now."""

    job: str
    name: str
    worker: str
    percent: float
    step: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Where the batch stands at one moment; `seconds` since the demo began."""

    seconds: float
    documents: int
    ended: int
    failed: int
    running: tuple[RunningJob, ...]
    waiting_for: str | None = None
    """What everybody waits for, when nothing else moves."""


class View(Protocol):
    """Shows the demo; used as a context, so that the terminal is itself again afterwards."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    def say(self, text: str, style: str = "") -> None:
        """Tell something that happened once; it stays to be read."""

    def show(self, snapshot: Snapshot) -> None:
        """Show where the batch stands now."""


def choose_view(console: Console) -> View:
    """Live bars if the console is a terminal, plain lines if it is a file or a pipe."""
    return LiveView(console) if console.is_terminal else PlainView(console)


class LiveView:
    """A bar for all documents and one for each running job, below the lines of what happened."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=30),
            TextColumn("{task.fields[amount]}", style="cyan", markup=False),
            TextColumn("{task.fields[detail]}", style="dim", markup=False),
            console=console,
            transient=True,
        )
        self._all: TaskID | None = None
        self._bars: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def say(self, text: str, style: str = "") -> None:
        """Print above the bars."""
        self._progress.console.print(text, style=style, markup=False, highlight=False)

    def show(self, snapshot: Snapshot) -> None:
        """Move the bars."""
        if self._all is None:
            self._all = self._progress.add_task("documents", total=None, amount="", detail="")
        failed = f", {snapshot.failed} failed" if snapshot.failed else ""
        self._progress.update(
            self._all,
            total=snapshot.documents,
            completed=snapshot.ended,
            amount=f"{snapshot.ended} of {snapshot.documents}{failed}",
            detail=snapshot.waiting_for or f"{snapshot.seconds:.0f} s",
        )
        now = {job.job for job in snapshot.running}
        for gone in self._bars.keys() - now:
            self._progress.remove_task(self._bars.pop(gone))
        for job in snapshot.running:
            bar = self._bars.get(job.job)
            if bar is None:
                description = f"  {_shortened(job.name)}"
                bar = self._progress.add_task(description, total=100, amount="", detail="")
                self._bars[job.job] = bar
            detail = f"{job.worker}: {job.step}" if job.step else job.worker
            self._progress.update(bar, completed=job.percent, amount=f"{job.percent:.0f} %", detail=detail)


class PlainView:
    """One line for what happens, and one every two seconds for where the batch stands."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._shown_seconds = float("-inf")
        self._shown: tuple[object, ...] = ()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        return None

    def say(self, text: str, style: str = "") -> None:
        """Print a line."""
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def show(self, snapshot: Snapshot) -> None:
        """Print a line if something moved since the last one."""
        state = (snapshot.ended, snapshot.failed, snapshot.running, snapshot.waiting_for)
        if state == self._shown or snapshot.seconds - self._shown_seconds < PLAIN_LINE_SECONDS:
            return
        self._shown, self._shown_seconds = state, snapshot.seconds
        parts = [f"{snapshot.ended} of {snapshot.documents} documents"]
        if snapshot.failed:
            parts.append(f"{snapshot.failed} failed")
        parts += [
            f"{job.worker}: {_shortened(job.name)} {job.percent:.0f} % {job.step}".rstrip()
            for job in snapshot.running
        ]
        if snapshot.waiting_for:
            parts.append(snapshot.waiting_for)
        self.say(f"{snapshot.seconds:6.1f} s  " + ", ".join(parts))


def print_outcome(console: Console, outcome: Outcome, report: str) -> None:
    """Print the numbers of a run, what is wrong with them if anything, and where the report is."""
    table = Table(show_header=False, box=None, padding=(0, 2))
    table.add_column(style="bold")
    table.add_column(justify="right")
    for name, value in outcome.as_json().items():
        shown = "none" if value is None else f"{value:,.1f}" if isinstance(value, float) else f"{value:,}"
        table.add_row(name.replace("_", " "), shown)
    console.print()
    console.print(table)
    console.print()
    for shortcoming in outcome.shortcomings():
        console.print(f"Not as promised: {shortcoming}.", style="red", markup=False, soft_wrap=True)
    console.print(f"The report is {report}", markup=False, highlight=False, soft_wrap=True)


def _shortened(name: str) -> str:
    return name if len(name) <= _NAME_WIDTH else "…" + name[-_NAME_WIDTH + 1 :]
