"""Results of benchmarks: figures with their goal and a floor of the same run, and growth curves."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

LINEAR = 1.15  # exponents up to this count as linear growth, because measurements scatter


@dataclass(frozen=True)
class Figure:
    """One measurement. It took `times` the floor; `met` says whether it met the goal.

    More than `limit` times the floor is a fault on any machine, however busy.
    """

    work: str
    goal: str
    measured: str
    floor: str = ""
    times: float | None = None
    met: bool | None = None
    limit: float = math.inf

    @property
    def is_fault(self) -> bool:
        """Return whether the measurement exceeds its limit."""
        return self.times is not None and self.times > self.limit


@dataclass(frozen=True)
class Curve:
    """How a measurement grows: a value in `unit` at each size, counted in `size_unit`. `name` is its file name."""

    name: str
    title: str
    size_unit: str
    unit: str
    points: Sequence[tuple[int, float]]

    @property
    def power(self) -> float:
        """Return the exponent of the growth from the first to the last size: 1 is linear, 0 is constant."""
        (first, least), (last, most) = self.points[0], self.points[-1]
        return math.log(most / least) / math.log(last / first)

    @property
    def verdict(self) -> str:
        """Return the growth in words. Faster than linear growth is a defect."""
        grows = f"grows with the power {self.power:.2f} of the number of {self.size_unit}"
        return f"{grows}: a defect" if self.power > LINEAR else grows


@dataclass
class Measurements:
    """The results of one benchmark."""

    figures: list[Figure] = field(default_factory=list)
    curves: list[Curve] = field(default_factory=list)


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the given percentile of the values."""
    return sorted(values)[min(len(values) - 1, math.ceil(len(values) * percent / 100) - 1)]


def markdown_table(figures: Sequence[Figure]) -> str:
    """Return the figures as a Markdown table."""
    lines = ["| Work | Goal | Measured | Floor in the same run | Times the floor |", "| --- | --- | --- | --- | --- |"]
    for figure in figures:
        times = "" if figure.times is None else f"{figure.times:.1f}"
        measured = figure.measured if figure.met is None else f"{figure.measured} {'✓' if figure.met else '✗'}"
        lines.append(f"| {figure.work} | {figure.goal} | {measured} | {figure.floor} | {times} |")
    return "\n".join(lines)
