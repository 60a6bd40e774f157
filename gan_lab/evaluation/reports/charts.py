"""Line and bar charts as inline SVG, in the colours of the page, light or dark."""

import math
from collections.abc import Mapping, Sequence
from html import escape
from itertools import accumulate

WIDTH, HEIGHT = 560, 260
LEFT, RIGHT, TOP, BOTTOM = 64, 12, 12, 40
COLOURS = 8
"""Colours that the style sheet has for curves."""

Points = Sequence[tuple[float, float]]
"""(x, y) of a curve in ascending x, all finite."""

MARKED, SMOOTHED = 30, 100
"""Curves of at most ``MARKED`` points mark each; curves of more than ``SMOOTHED`` also show a running mean."""


def ticks(low: float, high: float, wanted: int = 5) -> list[float]:
    """Returns round numbers from low to high, about ``wanted`` of them."""
    span = (high - low) or abs(high) or 1.0
    rough = span / wanted
    power = 10 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
    first = math.ceil(low / step)
    return [round(number * step, 12) for number in range(first, math.floor(high / step + 1e-9) + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """Returns ticks of a logarithmic axis: powers of ten, on short axes also 2 and 5 times these; at most seven."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    factors = (1, 2, 5) if high <= 100 * low else (1,)
    values = [10.0**power * factor for power in range(first, last + 1) for factor in factors]
    inside = [value for value in values if low * (1 - 1e-9) <= value <= high * (1 + 1e-9)]
    return inside[:: -(-len(inside) // 7) or 1]


def tick_label(value: float) -> str:
    """Formats a tick's value: 1500 as 1.5k, 2000000 as 2M."""
    if value == 0 or not 1e3 <= abs(value) < 1e12:
        return f"{value:g}"
    power = min(3, int(math.log10(abs(value)) / 3 + 1e-9))
    return f"{value / 1000**power:.4g}{' kMG'[power]}"


class Axes:
    """Axes with ticks, on which marks are drawn.

    Example: ``Axes((0, 10), (0, 1), "images seen", "share").svg("Title", marks)``

    Args:
        x: (lowest, highest) value across.
        y: (lowest, highest) value upwards.
        x_name: name of the x-axis, with its unit.
        y_name: name of the y-axis, with its unit.
        log: whether the y-axis is logarithmic; ``y`` must then be above 0.
    """

    def __init__(
        self, x: tuple[float, float], y: tuple[float, float], x_name: str, y_name: str, log: bool = False
    ) -> None:
        self.x, self.y, self.names, self.log = x, y, (x_name, y_name), log

    def to_pixels(self, x: float, y: float) -> tuple[float, float]:
        """Returns the position of a point in the SVG."""
        low, high, y = (math.log10(each) if self.log else each for each in (*self.y, y))
        across = (x - self.x[0]) / ((self.x[1] - self.x[0]) or 1)
        up = (y - low) / ((high - low) or 1)
        return LEFT + across * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM)

    def svg(self, title: str, marks: str, x_ticks: Sequence[float] | None = None) -> str:
        """Returns the chart with these SVG marks; ``data-x`` tells scripts the position of the x-axis."""
        bottom = HEIGHT - BOTTOM
        spans = f'data-x="{self.x[0]:.10g},{self.x[1]:.10g},{LEFT},{WIDTH - RIGHT},{TOP},{bottom}"'
        head = f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}" {spans}>'
        return f"{head}<title>{escape(title)}</title>{self._grid(x_ticks)}{self._axis_names()}{marks}</svg>"

    def _grid(self, x_ticks: Sequence[float] | None) -> str:
        parts = []
        for value in log_ticks(*self.y) if self.log else ticks(*self.y):
            _, y = self.to_pixels(self.x[0], value)
            parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
            parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{tick_label(value)}</text>')
        for value in ticks(*self.x) if x_ticks is None else x_ticks:
            x, _ = self.to_pixels(value, self.y[0])
            place = f'x="{x:.1f}" y="{HEIGHT - BOTTOM + 16}"'
            parts.append(f'<text {place} text-anchor="middle">{tick_label(value)}</text>')
        return "".join(parts)

    def _axis_names(self) -> str:
        x_name, y_name = map(escape, self.names)
        middle = (TOP + HEIGHT - BOTTOM) / 2
        rotated = f'x="12" y="{middle}" transform="rotate(-90 12 {middle})"'
        return (
            f'<text x="{(WIDTH + LEFT) / 2}" y="{HEIGHT - 4}" text-anchor="middle">{x_name}</text>'
            f'<text {rotated} text-anchor="middle">{y_name}</text>'
        )


def line_chart(title: str, series: Mapping[str, Points], x_name: str, y_name: str, log: bool = False) -> str:
    """Draws one curve for each series, in the order of the colours.

    Curves of many points are drawn faintly under their running mean; curves of few points have each point marked.
    """
    xs, ys = ([point[axis] for points in series.values() for point in points] for axis in (0, 1))
    axes = Axes((min(xs), max(xs)), _with_margin(min(ys), max(ys), log), x_name, y_name, log)
    return axes.svg(title, "".join(_curve(axes, number, points) for number, points in enumerate(series.values())))


def _with_margin(low: float, high: float, log: bool, share: float = 0.04) -> tuple[float, float]:
    """Adds a margin below and above; a range that does not go below 0 stays there."""
    if log:
        return low / (high / low) ** share, high * (high / low) ** share
    margin = share * (high - low)
    return (max(0.0, low - margin) if low >= 0 else low - margin), high + margin


def _curve(axes: Axes, number: int, points: Points) -> str:
    colour = colour_class(number)
    if len(points) <= SMOOTHED:
        dots = (axes.to_pixels(*point) for point in points if len(points) <= MARKED)
        marks = "".join(f'<circle class="{colour}" cx="{x:.1f}" cy="{y:.1f}" r="2.5"/>' for x, y in dots)
        return _polyline(axes, colour, points) + marks
    mean = thinned(smoothed(points))
    return _polyline(axes, f"{colour} faint", thinned(points)) + _polyline(axes, colour, mean)


def _polyline(axes: Axes, css_class: str, points: Points) -> str:
    coordinates = " ".join(f"{x:.1f},{y:.1f}" for x, y in (axes.to_pixels(*point) for point in points))
    return f'<polyline class="curve {css_class}" points="{coordinates}"/>'


def colour_class(number: int) -> str:
    """Returns the CSS class of a curve's colour; curves beyond the last colour are dashed."""
    return f"c{number % COLOURS}" + (" dashed" if number >= COLOURS else "")


def thinned(points: Points, most: int = 400) -> Points:
    """Returns at most ``most`` of the points: lowest and highest of each stretch, so that spikes stay, and the last."""
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
    """Returns running means over the given share of the points; the window is cut off at both ends."""
    half = max(1, round(len(points) * share / 2))
    sums = [0.0, *accumulate(y for _, y in points)]
    windows = ((max(0, i - half), min(len(points), i + half + 1)) for i in range(len(points)))
    return [
        (x, (sums[end] - sums[start]) / (end - start)) for (x, _), (start, end) in zip(points, windows, strict=True)
    ]


def sequence_chart(title: str, series: Mapping[str, Sequence[float]], x_name: str, y_name: str) -> str:
    """Draws curves over 1, 2, …, with a legend in the chart."""
    legend = [
        f'<text class="{colour_class(number)}" x="{WIDTH - RIGHT - 8}" y="{TOP + 16 + 16 * number}" text-anchor="end">'
        f"{escape(name)}</text>"
        for number, name in enumerate(series)
    ]
    points = {
        name: [(float(x), y) for x, y in enumerate(values, 1) if math.isfinite(y)] for name, values in series.items()
    }
    return line_chart(title, points, x_name, y_name).replace("</svg>", f"{''.join(legend)}</svg>")


def bar_chart(
    title: str,
    values: Mapping[str, float],
    y_name: str,
    mean: float | None = None,
    deviations: Mapping[str, float] | None = None,
) -> str:
    """Draws a bar from zero, up or down, for each name.

    Args:
        title: the chart's title.
        values: values by name.
        y_name: name of the y-axis.
        mean: value of a dashed line across the chart.
        deviations: standard deviations by name, drawn as error bars.
    """
    deviations = deviations or {}
    ends = [0, mean or 0]
    ends += [value + sign * deviations.get(name, 0) for name, value in values.items() for sign in (-1, 1)]
    spans = (1.05 * min(ends), 1.05 * max(ends)) if any(ends) else (0, 1)
    axes = Axes((-0.5, len(values) - 0.5), spans, "", y_name)
    marks = "".join(
        _bar(axes, number, len(values), name, value, deviations.get(name))
        for number, (name, value) in enumerate(values.items())
    )
    if mean is not None:
        _, y = axes.to_pixels(0, mean)
        marks += f'<line class="mean" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
    return axes.svg(title, marks, x_ticks=[])


def _bar(axes: Axes, number: int, count: int, name: str, value: float, deviation: float | None) -> str:
    """Returns the SVG marks of bar ``number`` of ``count``: the bar, its error bar, and its name if there is space."""
    width = 0.8 * (WIDTH - LEFT - RIGHT) / count
    x, top = axes.to_pixels(number, max(value, 0))
    _, bottom = axes.to_pixels(number, min(value, 0))
    box = f'x="{x - width / 2:.1f}" y="{top:.1f}" width="{width:.1f}" height="{bottom - top:.1f}"'
    text = f"{value:.4g}" + ("" if deviation is None else f" ± {deviation:.2g}")
    marks = f'<rect class="bar" {box}><title>{escape(name)}: {text}</title></rect>'
    if deviation is not None:
        low, high = (axes.to_pixels(number, value + sign * deviation)[1] for sign in (-1, 1))
        marks += f'<line class="spread" x1="{x:.1f}" x2="{x:.1f}" y1="{low:.1f}" y2="{high:.1f}"/>'
    if count <= 20:
        letters = int((WIDTH - LEFT - RIGHT) / count / 6)
        label = name if len(name) <= letters else f"{name[: letters - 1]}…"
        marks += f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{escape(label)}</text>'
    return marks


def standalone(svg: str) -> str:
    """Turns a bar chart into a file of its own, readable on light and dark backgrounds."""
    size = f'xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" fill="#777"'
    font = 'font-family="sans-serif" font-size="11"'
    lines = ".grid,.mean{stroke:#bbb}.mean{stroke-dasharray:4 3}.spread{stroke:#777;stroke-width:2}"
    style = f"<style>{lines}.bar{{fill:#2a78c2}}</style>"
    return svg.replace("<svg ", f"<svg {size} {font} ", 1).replace("<title>", f"{style}<title>", 1) + "\n"
