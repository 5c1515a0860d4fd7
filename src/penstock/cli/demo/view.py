"""What the demo shows while it runs: a live bar a run on a terminal, plain lines elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from types import TracebackType
from typing import Final, Protocol, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn
from rich.table import Table

from penstock.cli.demo.outcome import Outcome

PLAIN_LINE_SECONDS: Final = 2.0
_GOAL_WIDTH: Final = 46
_STEP_WIDTH: Final = 40
_MOST_NAMED: Final = 4


@dataclass(frozen=True, slots=True)
class RunLine:
    """How one run stands; `progress` is from 0 to 100."""

    run_id: str
    number: int
    title: str
    status: str
    progress: int
    step: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """How all runs stand at one moment; `seconds` since the demo began."""

    seconds: float
    runs: tuple[RunLine, ...]
    ended: int
    webhooks: int
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
        """Show where the runs stand now."""


def choose_view(console: Console) -> View:
    """Live bars if the console is a terminal, plain lines if it is a file or a pipe."""
    return LiveView(console) if console.is_terminal else PlainView(console)


class LiveView:
    """A bar for each run and one for all, below the lines of what happened."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
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
        for run in snapshot.runs:
            bar = self._bars.get(run.run_id)
            if bar is None:
                title = f"{run.number:>2} {shortened(run.title, _GOAL_WIDTH)}"
                bar = self._progress.add_task(title, total=100, amount="", detail="")
                self._bars[run.run_id] = bar
            detail = shortened(run.step, _STEP_WIDTH) if run.step else run.status
            self._progress.update(bar, completed=run.progress, amount=f"{run.progress} %", detail=detail)
        if self._all is None:
            self._all = self._progress.add_task("all runs", total=len(snapshot.runs), amount="", detail="")
        self._progress.update(
            self._all,
            completed=snapshot.ended,
            amount=f"{snapshot.ended} of {len(snapshot.runs)}",
            detail=snapshot.waiting_for or f"{snapshot.webhooks} webhooks, {snapshot.seconds:.0f} s",
        )


class PlainView:
    """One line for what happens, and one every two seconds for where the runs stand."""

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
        state = (snapshot.runs, snapshot.webhooks, snapshot.waiting_for)
        if state == self._shown or snapshot.seconds - self._shown_seconds < PLAIN_LINE_SECONDS:
            return
        self._shown, self._shown_seconds = state, snapshot.seconds
        running = [run for run in snapshot.runs if run.status in {"running", "retrying"}]
        parts = [f"{snapshot.ended} of {len(snapshot.runs)} runs ended, {snapshot.webhooks} webhooks"]
        parts += [
            f"run {run.number} {run.progress} % {shortened(run.step, _STEP_WIDTH)}".rstrip()
            for run in running[:_MOST_NAMED]
        ]
        if snapshot.waiting_for:
            parts.append(snapshot.waiting_for)
        self.say(f"{snapshot.seconds:6.1f} s  " + "; ".join(parts))


def print_outcome(console: Console, outcome: Outcome) -> None:
    """Print the numbers of a demo, and what is wrong with them if anything."""
    table = Table(show_header=False, box=None, padding=(0, 2))
    table.add_column(style="bold")
    table.add_column(justify="right")
    for name, value in outcome.as_json().items():
        if name == "jobs":
            continue
        shown = "none" if value is None else f"{value:,.1f}" if isinstance(value, float) else f"{value:,}"
        table.add_row(name.replace("_", " "), shown)
    console.print()
    console.print(table)
    console.print()
    for shortcoming in outcome.shortcomings():
        console.print(f"Not as promised: {shortcoming}.", style="red", markup=False, soft_wrap=True)


def shortened(text: str, width: int) -> str:
    """The text on one line of at most `width` characters."""
    line = " ".join(text.split())
    return line if len(line) <= width else f"{line[: width - 1]}…"
