"""Growth curves as SVG charts with logarithmic axes. The dashed line is linear growth."""

import math
from collections.abc import Callable, Iterator

from bench.figures import Curve

_WIDTH, _HEIGHT, _LEFT, _RIGHT, _BELOW, _ABOVE = 420, 260, 56, 44, 44, 34
_STYLE = (
    "text{font:12px system-ui,sans-serif;fill:#52606d}.title{font-weight:600;fill:#1f2933}"
    ".grid{stroke:#e4e7eb}.linear{stroke:#9aa5b1;stroke-dasharray:4 4}.curve{stroke:#2563eb;stroke-width:2;fill:none}"
    "circle{fill:#2563eb}"
)


def svg(curve: Curve) -> str:
    """Return a self-contained SVG chart of the curve."""
    across = _scale([size for size, _ in curve.points], _LEFT, _WIDTH - _RIGHT)
    first, least = curve.points[0]
    proportional = [least * size / first for size, _ in curve.points]
    up = _scale([*(value for _, value in curve.points), proportional[-1]], _HEIGHT - _BELOW, _ABOVE)
    drawn = [(across(size), up(value)) for size, value in curve.points]
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img">',
        f"<title>{curve.title}</title><style>{_STYLE}</style>",
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#fff"/>',
        f'<text class="title" x="12" y="20">{curve.title}</text>',
        *_grid(curve, across, up),
        f'<line class="linear" x1="{drawn[0][0]:.0f}" y1="{drawn[0][1]:.0f}"'
        f' x2="{drawn[-1][0]:.0f}" y2="{up(proportional[-1]):.0f}"/>',
        f'<polyline class="curve" points="{" ".join(f"{x:.0f},{y:.0f}" for x, y in drawn)}"/>',
        *(f'<circle cx="{x:.0f}" cy="{y:.0f}" r="3"/>' for x, y in drawn),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _grid(curve: Curve, across: Callable[[float], float], up: Callable[[float], float]) -> Iterator[str]:
    for size, value in curve.points:
        x, y = across(size), up(value)
        yield f'<line class="grid" x1="{x:.0f}" y1="{_ABOVE}" x2="{x:.0f}" y2="{_HEIGHT - _BELOW}"/>'
        yield f'<text x="{x:.0f}" y="{_HEIGHT - _BELOW + 16}" text-anchor="middle">{size:,}</text>'
        yield f'<text x="{x + 6:.0f}" y="{y - 8:.0f}" text-anchor="end">{value:.3g}</text>'
    yield f'<text x="{_WIDTH - 12}" y="{_HEIGHT - 8}" text-anchor="end">{curve.size_unit}</text>'
    yield f'<text x="12" y="{_ABOVE + 10}">{curve.unit}</text>'


def _scale(values: list[float], start: float, end: float) -> Callable[[float], float]:
    low, high = math.log(min(values)), math.log(max(values))
    spread = max(high - low, 0.1)
    return lambda value: start + (end - start) * (math.log(value) - low) / spread
