"""Progress of a command: a bar with rate and remaining time on a terminal, a line every few seconds elsewhere."""

import contextlib
import time
from collections.abc import Iterator

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from proofdesk.cli import output
from proofdesk.core.progress import ReportProgress, ignore_progress

LINE_EVERY = 10.0  # seconds


@contextlib.contextmanager
def progress(title: str, *, shown: bool = True, console: Console = output.progress_console) -> Iterator[ReportProgress]:
    """Show on standard error the progress that the block reports."""
    if not shown:
        yield ignore_progress
    elif console.is_terminal:
        with Progress(*_columns(), console=console) as bars:
            bar = _Bar(bars, title)
            yield bar.report
            bar.finish()
    else:
        lines = _Lines(console, title)
        yield lines.report
        lines.finish()


def _columns() -> tuple[ProgressColumn, ...]:
    return (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[unit]}"),
        _Rate(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )


class _Rate(ProgressColumn):
    """Column with the number of units per second."""

    def render(self, task: Task) -> Text:
        """Return the text of the column."""
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else _rate(speed))


class _Bar:
    """A bar that starts again with each stage of the work, so that its rate belongs to that stage."""

    def __init__(self, bars: Progress, title: str):
        self._bars = bars
        self._unit = ""
        self._bar: TaskID = bars.add_task(title, total=None, unit="")

    def report(self, done: int, total: int | None, unit: str) -> None:
        if unit != self._unit:
            self._unit = unit
            self._bars.reset(self._bar, unit=unit)
        self._bars.update(self._bar, completed=done, total=total)

    def finish(self) -> None:
        self._bars.update(self._bar, total=self._bars.tasks[0].completed)


class _Lines:
    """A line every `LINE_EVERY` seconds, and one at the end of each stage."""

    def __init__(self, console: Console, title: str):
        self._console = console
        self._title = title
        self._unit = ""
        self._done, self._total = 0, None
        self._started_at = self._printed_at = time.monotonic()
        self._first_done = 0

    def report(self, done: int, total: int | None, unit: str) -> None:
        if unit != self._unit:
            self.finish()
            self._unit, self._first_done, self._started_at = unit, done, time.monotonic()
        self._done, self._total = done, total
        if time.monotonic() - self._printed_at >= LINE_EVERY:
            self._print()

    def finish(self) -> None:
        if self._unit:
            self._print()

    def _print(self) -> None:
        self._printed_at = time.monotonic()
        elapsed = self._printed_at - self._started_at
        rate = (self._done - self._first_done) / elapsed if elapsed else 0.0
        of = "" if self._total is None else f" of {self._total}"
        line = f"{self._title}: {self._done}{of} {self._unit}"
        if rate:  # unknown for a stage that ended with its first report
            line += f", {_rate(rate)}"
        if rate and self._total is not None and self._total > self._done:
            line += f", {_clock((self._total - self._done) / rate)} left"
        self._console.print(line, markup=False, soft_wrap=True)


def _rate(per_second: float) -> str:
    return f"{per_second:.1f}/s" if per_second < 10 else f"{per_second:.0f}/s"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"
