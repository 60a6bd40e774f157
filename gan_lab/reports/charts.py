"""Curves and bars as SVG that stands in a page by itself, in its colours, light or dark."""

import math
from collections.abc import Mapping, Sequence
from html import escape

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


class Axes:
    """A frame with ticks, into which points are put.

    Args:
        x, y: (lowest, highest) of what is drawn.
        x_name, y_name: with units.
    """

    def __init__(self, x: tuple[float, float], y: tuple[float, float], x_name: str, y_name: str) -> None:
        self.x, self.y, self.names = x, y, (x_name, y_name)

    def place(self, x: float, y: float) -> tuple[float, float]:
        """Pixels of a point."""
        across = (x - self.x[0]) / ((self.x[1] - self.x[0]) or 1)
        up = (y - self.y[0]) / ((self.y[1] - self.y[0]) or 1)
        return LEFT + across * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM)

    def svg(self, title: str, marks: str, x_ticks: Sequence[float] | None = None) -> str:
        """The picture, with these marks in it."""
        grid, bottom = [], HEIGHT - BOTTOM
        for value in ticks(*self.y):
            _, height = self.place(self.x[0], value)
            grid.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{height:.1f}" y2="{height:.1f}"/>')
            grid.append(f'<text x="{LEFT - 6}" y="{height + 4:.1f}" text-anchor="end">{value:g}</text>')
        for value in ticks(*self.x) if x_ticks is None else x_ticks:
            across, _ = self.place(value, self.y[0])
            grid.append(f'<text x="{across:.1f}" y="{bottom + 16}" text-anchor="middle">{value:g}</text>')
        x_name = f'<text x="{(WIDTH + LEFT) / 2}" y="{HEIGHT - 4}" text-anchor="middle">{escape(self.names[0])}</text>'
        middle = (TOP + bottom) / 2
        turned = f'x="12" y="{middle}" transform="rotate(-90 12 {middle})"'
        y_name = f'<text {turned} text-anchor="middle">{escape(self.names[1])}</text>'
        head = f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">'
        return f"{head}<title>{escape(title)}</title>{''.join(grid)}{x_name}{y_name}{marks}</svg>"


def curves(title: str, series: Mapping[str, Sequence[float]], x_name: str, y_name: str) -> str:
    """Curves over 1, 2, …, each with its name in a legend."""
    values = [value for each in series.values() for value in each if math.isfinite(value)]
    longest = max(len(each) for each in series.values())
    axes = Axes((1, max(2, longest)), (min(values), max(values)), x_name, y_name)
    marks = []
    for number, (name, each) in enumerate(series.items()):
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in (axes.place(*point) for point in enumerate(each, 1)))
        marks.append(f'<polyline class="curve c{number}" points="{points}"/>')
        marks.append(f'<text class="c{number}" x="{WIDTH - RIGHT - 8}" y="{TOP + 16 + 16 * number}" text-anchor="end">')
        marks.append(f"{escape(name)}</text>")
    return axes.svg(title, "".join(marks))


def bars(title: str, values: Mapping[str, float], y_name: str, mean: float | None = None) -> str:
    """A bar for each name, and a line across at the mean."""
    axes = Axes((-0.5, len(values) - 0.5), (0, max([*values.values(), mean or 0]) * 1.05 or 1), "", y_name)
    wide = 0.8 * (WIDTH - LEFT - RIGHT) / len(values)
    marks = []
    for number, (name, value) in enumerate(values.items()):
        x, y = axes.place(number, value)
        box = f'x="{x - wide / 2:.1f}" y="{y:.1f}" width="{wide:.1f}" height="{HEIGHT - BOTTOM - y:.1f}"'
        marks.append(f'<rect class="bar" {box}><title>{escape(name)}: {value:.4g}</title></rect>')
        if len(values) <= 20:
            marks.append(f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{escape(name)}</text>')
    if mean is not None:
        _, y = axes.place(0, mean)
        marks.append(f'<line class="mean" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
    return axes.svg(title, "".join(marks), x_ticks=[])


def alone(svg: str) -> str:
    """A chart as a file of its own, readable on light and dark."""
    how = f'xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" fill="#777"'
    font = 'font-family="sans-serif" font-size="11"'
    style = (
        "<style>.grid,.mean{stroke:#bbb}.mean{stroke-dasharray:4 3}.bar{fill:#2a78c2}"
        ".curve{fill:none;stroke-width:2}.c0{stroke:#2a78c2}.c1{stroke:#d2691e}"
        "text.c0{stroke:none;fill:#2a78c2}text.c1{stroke:none;fill:#d2691e}</style>"
    )
    return svg.replace("<svg ", f"<svg {how} {font} ", 1).replace("<title>", f"{style}<title>", 1) + "\n"
