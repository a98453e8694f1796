"""What was measured: figures beside their goal and beside a floor of the same run, and how they grow."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

LINEAR = 1.15  # a power of the size up to which growth counts as linear: measurements scatter


@dataclass(frozen=True)
class Figure:
    """One measurement: it took `times` the floor, and `met` the goal or not.

    More than `at_most` times the floor is a fault on any machine, however busy it is.
    """

    work: str
    goal: str
    measured: str
    floor: str = ""
    times: float | None = None
    met: bool | None = None
    at_most: float = math.inf

    @property
    def is_fault(self) -> bool:
        """Whether it is further from its floor than any machine explains."""
        return self.times is not None and self.times > self.at_most


@dataclass(frozen=True)
class Curve:
    """How one measurement grows: `value` in `unit` at each size, which counts `of`. `name` is that of its picture."""

    name: str
    title: str
    size_unit: str
    unit: str
    points: Sequence[tuple[int, float]]

    @property
    def power(self) -> float:
        """The power of the size with which it grows from the first size to the last: 1 is linear, 0 not at all."""
        (first, least), (last, most) = self.points[0], self.points[-1]
        return math.log(most / least) / math.log(last / first)

    @property
    def verdict(self) -> str:
        """That in words; what grows faster than its size is a defect."""
        grows = f"grows with the power {self.power:.2f} of the {self.size_unit}"
        return f"{grows}: a defect" if self.power > LINEAR else grows


@dataclass
class Measurements:
    """What one program measured."""

    figures: list[Figure] = field(default_factory=list)
    curves: list[Curve] = field(default_factory=list)


def percentile(values: Sequence[float], percent: float) -> float:
    """The value that so many percent of the values do not exceed."""
    return sorted(values)[min(len(values) - 1, math.ceil(len(values) * percent / 100) - 1)]


def markdown_table(figures: Sequence[Figure]) -> str:
    """The figures as a Markdown table."""
    lines = ["| Work | Goal | Measured | Floor in the same run | Times the floor |", "| --- | --- | --- | --- | --- |"]
    for figure in figures:
        times = "" if figure.times is None else f"{figure.times:.1f}"
        measured = figure.measured if figure.met is None else f"{figure.measured} {'✓' if figure.met else '✗'}"
        lines.append(f"| {figure.work} | {figure.goal} | {measured} | {figure.floor} | {times} |")
    return "\n".join(lines)
