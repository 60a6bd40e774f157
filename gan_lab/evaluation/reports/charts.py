"""Curves and bars as SVG that stands in a page by itself, in its colours, light or dark."""

import math
from collections.abc import Mapping, Sequence
from html import escape
from itertools import accumulate

WIDTH, HEIGHT = 560, 260
LEFT, RIGHT, TOP, BOTTOM = 56, 12, 12, 40


def ticks(low: float, high: float, wanted: int = 5) -> list[float]:
    """Round numbers from low to high, about so many."""
    span = (high - low) or abs(high) or 1.0
    rough = span / wanted
    power = 10 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
    first = math.ceil(low / step)
    return [round(number * step, 12) for number in range(first, math.floor(high / step + 1e-9) + 1)]


def short(value: float) -> str:
    """A tick's name: 1500 is 1.5k, 2000000 is 2M."""
    if value == 0 or not 1e3 <= abs(value) < 1e12:
        return f"{value:g}"
    power = min(3, int(math.log10(abs(value)) / 3 + 1e-9))
    return f"{value / 1000**power:.4g}{' kMG'[power]}"


def powers(low: float, high: float) -> list[float]:
    """Ticks of a logarithmic axis: powers of ten, over few of them also twice and five times these; at most seven."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    factors = (1, 2, 5) if high <= 100 * low else (1,)
    found = [10.0**power * factor for power in range(first, last + 1) for factor in factors]
    inside = [value for value in found if low * (1 - 1e-9) <= value <= high * (1 + 1e-9)]
    return inside[:: -(-len(inside) // 7) or 1]


class Axes:
    """A frame with ticks, into which points are put.

    Args:
        x, y: (lowest, highest) of what is drawn.
        x_name, y_name: with units.
        log: whether heights go by the logarithm; ``y`` is then above 0.
    """

    def __init__(
        self, x: tuple[float, float], y: tuple[float, float], x_name: str, y_name: str, log: bool = False
    ) -> None:
        self.x, self.y, self.names, self.log = x, y, (x_name, y_name), log

    def place(self, x: float, y: float) -> tuple[float, float]:
        """Pixels of a point."""
        low, high, y = (math.log10(each) if self.log else each for each in (*self.y, y))
        across = (x - self.x[0]) / ((self.x[1] - self.x[0]) or 1)
        up = (y - low) / ((high - low) or 1)
        return LEFT + across * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM)

    def svg(self, title: str, marks: str, x_ticks: Sequence[float] | None = None) -> str:
        """The picture, with these marks in it. It says where its x-axis lies, for scripts."""
        grid, bottom = [], HEIGHT - BOTTOM
        for value in powers(*self.y) if self.log else ticks(*self.y):
            _, height = self.place(self.x[0], value)
            grid.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{height:.1f}" y2="{height:.1f}"/>')
            grid.append(f'<text x="{LEFT - 6}" y="{height + 4:.1f}" text-anchor="end">{short(value)}</text>')
        for value in ticks(*self.x) if x_ticks is None else x_ticks:
            across, _ = self.place(value, self.y[0])
            grid.append(f'<text x="{across:.1f}" y="{bottom + 16}" text-anchor="middle">{short(value)}</text>')
        x_name = f'<text x="{(WIDTH + LEFT) / 2}" y="{HEIGHT - 4}" text-anchor="middle">{escape(self.names[0])}</text>'
        middle = (TOP + bottom) / 2
        turned = f'x="12" y="{middle}" transform="rotate(-90 12 {middle})"'
        y_name = f'<text {turned} text-anchor="middle">{escape(self.names[1])}</text>'
        spans = f'data-x="{self.x[0]:.10g},{self.x[1]:.10g},{LEFT},{WIDTH - RIGHT},{TOP},{bottom}"'
        head = f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}" {spans}>'
        return f"{head}<title>{escape(title)}</title>{''.join(grid)}{x_name}{y_name}{marks}</svg>"


Points = Sequence[tuple[float, float]]
"""(x, y) of a curve, by ascending x, all finite."""

MARKED, SMOOTHED = 30, 100
"""Curves of at most so many points show each; of more than so many also the mean over neighbours."""


def lines(title: str, series: Mapping[str, Points], x_name: str, y_name: str, log: bool = False) -> str:
    """Curves, the first in the first colour and so on.

    Those of many points are drawn faintly, under their running mean; of those of few each point is marked.
    """
    xs, ys = ([point[axis] for points in series.values() for point in points] for axis in (0, 1))
    axes = Axes((min(xs), max(xs)), _wider(min(ys), max(ys), log), x_name, y_name, log)
    return axes.svg(title, "".join(_curve(axes, number, points) for number, points in enumerate(series.values())))


def _wider(low: float, high: float, log: bool, share: float = 0.04) -> tuple[float, float]:
    """A little air below and above; what is all above 0 stays there."""
    if log:
        return low / (high / low) ** share, high * (high / low) ** share
    air = share * (high - low)
    return (max(0.0, low - air) if low >= 0 else low - air), high + air


def _curve(axes: Axes, number: int, points: Points) -> str:
    if len(points) <= SMOOTHED:
        dots = (axes.place(*point) for point in points if len(points) <= MARKED)
        marked = "".join(f'<circle class="{ink(number)}" cx="{x:.1f}" cy="{y:.1f}" r="2.5"/>' for x, y in dots)
        return _polyline(axes, ink(number), points) + marked
    mean = thinned(smoothed(points))
    return _polyline(axes, f"{ink(number)} faint", thinned(points)) + _polyline(axes, ink(number), mean)


def _polyline(axes: Axes, kind: str, points: Points) -> str:
    told = " ".join(f"{x:.1f},{y:.1f}" for x, y in (axes.place(*point) for point in points))
    return f'<polyline class="curve {kind}" points="{told}"/>'


def ink(number: int) -> str:
    """The class of a curve's colour; where colours begin anew the line is dashed."""
    return f"c{number % COLOURS}" + (" dashed" if number >= COLOURS else "")


COLOURS = 8


def thinned(points: Points, most: int = 400) -> Points:
    """At most so many of the points: the lowest and the highest of each stretch, so that spikes stay, and the last."""
    if len(points) <= most:
        return points
    stretch = -(-2 * len(points) // (most - 1))
    kept: list[tuple[float, float]] = []
    for start in range(0, len(points), stretch):
        part = points[start : start + stretch]
        low, high = (choose(range(len(part)), key=lambda i: part[i][1]) for choose in (min, max))
        kept += [part[i] for i in sorted({low, high})]
    return kept if kept[-1] == points[-1] else [*kept, points[-1]]


def smoothed(points: Points, share: float = 0.05) -> Points:
    """The mean over so large a share of the points around each; at the ends over those that there are."""
    half = max(1, round(len(points) * share / 2))
    sums = [0.0, *accumulate(y for _, y in points)]
    windows = ((max(0, i - half), min(len(points), i + half + 1)) for i in range(len(points)))
    return [
        (x, (sums[end] - sums[start]) / (end - start)) for (x, _), (start, end) in zip(points, windows, strict=True)
    ]


def curves(title: str, series: Mapping[str, Sequence[float]], x_name: str, y_name: str) -> str:
    """Curves over 1, 2, …, each with its name in a legend."""
    names = [
        f'<text class="{ink(number)}" x="{WIDTH - RIGHT - 8}" y="{TOP + 16 + 16 * number}" text-anchor="end">'
        f"{escape(name)}</text>"
        for number, name in enumerate(series)
    ]
    points = {
        name: [(float(x), y) for x, y in enumerate(values, 1) if math.isfinite(y)] for name, values in series.items()
    }
    return lines(title, points, x_name, y_name).replace("</svg>", f"{''.join(names)}</svg>")


def bars(
    title: str,
    values: Mapping[str, float],
    y_name: str,
    mean: float | None = None,
    spreads: Mapping[str, float] | None = None,
) -> str:
    """A bar for each name, from zero up or down, and a line across at the mean.

    Args:
        spreads: by how much values spread, for marks from so far below to so far above them.
    """
    found = spreads or {}
    ends = [0, mean or 0, *(value + sign * found.get(name, 0) for name, value in values.items() for sign in (-1, 1))]
    spans = (1.05 * min(ends), 1.05 * max(ends)) if any(ends) else (0, 1)
    axes = Axes((-0.5, len(values) - 0.5), spans, "", y_name)
    wide = 0.8 * (WIDTH - LEFT - RIGHT) / len(values)
    marks = []
    for number, (name, value) in enumerate(values.items()):
        x, top = axes.place(number, max(value, 0))
        _, bottom = axes.place(number, min(value, 0))
        box = f'x="{x - wide / 2:.1f}" y="{top:.1f}" width="{wide:.1f}" height="{bottom - top:.1f}"'
        told = f"{value:.4g}" + (f" ± {found[name]:.2g}" if name in found else "")
        marks.append(f'<rect class="bar" {box}><title>{escape(name)}: {told}</title></rect>')
        if name in found:
            low, high = (axes.place(number, value + sign * found[name])[1] for sign in (-1, 1))
            marks.append(f'<line class="spread" x1="{x:.1f}" x2="{x:.1f}" y1="{low:.1f}" y2="{high:.1f}"/>')
        if len(values) <= 20:
            room = int((WIDTH - LEFT - RIGHT) / len(values) / 6)  # letters
            told = name if len(name) <= room else f"{name[: room - 1]}…"
            marks.append(f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{escape(told)}</text>')
    if mean is not None:
        _, y = axes.place(0, mean)
        marks.append(f'<line class="mean" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
    return axes.svg(title, "".join(marks), x_ticks=[])


def alone(svg: str) -> str:
    """A chart of bars as a file of its own, readable on light and dark."""
    how = f'xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" fill="#777"'
    font = 'font-family="sans-serif" font-size="11"'
    lines = ".grid,.mean{stroke:#bbb}.mean{stroke-dasharray:4 3}.spread{stroke:#777;stroke-width:2}"
    style = f"<style>{lines}.bar{{fill:#2a78c2}}</style>"
    return svg.replace("<svg ", f"<svg {how} {font} ", 1).replace("<title>", f"{style}<title>", 1) + "\n"
