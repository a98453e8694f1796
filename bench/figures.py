"""What was measured: figures beside their goal and beside a floor of the same run."""

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """One measurement: it took `times` the floor, and `met` the goal or not."""

    work: str
    goal: str
    measured: str
    floor: str = ""
    times: float | None = None
    met: bool | None = None


def percentile(values: Sequence[float], percent: float) -> float:
    """The value that so many percent of the values do not exceed."""
    return sorted(values)[min(len(values) - 1, math.ceil(len(values) * percent / 100) - 1)]


def table(figures: Sequence[Figure]) -> str:
    """The figures as a Markdown table."""
    lines = ["| Work | Goal | Measured | Floor in the same run | Times the floor |", "| --- | --- | --- | --- | --- |"]
    for one in figures:
        times = "" if one.times is None else f"{one.times:.1f}"
        measured = one.measured if one.met is None else f"{one.measured} {'✓' if one.met else '✗'}"
        lines.append(f"| {one.work} | {one.goal} | {measured} | {one.floor} | {times} |")
    return "\n".join(lines)
