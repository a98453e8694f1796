"""How far a command is: a bar with rate and remaining time at a terminal, a line now and then elsewhere."""

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
    """What is reported in the block is shown on standard error, never among the output."""
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
    """How many a second."""

    def render(self, task: Task) -> Text:
        """The column."""
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else _rate(speed))


class _Bar:
    """A bar, begun anew with each stage of the work, so that rate and remaining time are the stage's own."""

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
        self._began = self._told = time.monotonic()
        self._first = 0

    def report(self, done: int, total: int | None, unit: str) -> None:
        if unit != self._unit:
            self.finish()
            self._unit, self._first, self._began = unit, done, time.monotonic()
        self._done, self._total = done, total
        if time.monotonic() - self._told >= LINE_EVERY:
            self._tell()

    def finish(self) -> None:
        if self._unit:
            self._tell()

    def _tell(self) -> None:
        self._told = time.monotonic()
        took = self._told - self._began
        rate = (self._done - self._first) / took if took else 0.0
        of = "" if self._total is None else f" of {self._total}"
        line = f"{self._title}: {self._done}{of} {self._unit}"
        if rate:  # nothing is known of a stage that was over with its first report
            line += f", {_rate(rate)}"
        if rate and self._total is not None and self._total > self._done:
            line += f", {_clock((self._total - self._done) / rate)} left"
        self._console.print(line, markup=False, soft_wrap=True)


def _rate(a_second: float) -> str:
    return f"{a_second:.1f}/s" if a_second < 10 else f"{a_second:.0f}/s"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"
