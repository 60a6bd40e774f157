"""The charts of a run's curves, each with what it shows as data, for a page to read out."""

from collections.abc import Iterator, Mapping
from typing import Any

from gan_lab.evaluation.reports.charts import SMOOTHED, Points, ink, lines, thinned
from gan_lab.evaluation.reports.history import History
from gan_lab.evaluation.reports.pages import as_script
from gan_lab.evaluation.reports.tables import rows

OVER = "images seen"

BESIDE_LOSSES = {"real": "on real and made", "fake": "on real and made", "accuracy": "accuracy"}
"""What is logged beside losses, by the first word of a term's name: such have charts of their own."""

LOSSES = "losses"

PERFORMANCE = {
    "perf/images_per_second": "Images per second",
    "perf/data_share": "Share of time waiting for data",
    "perf/peak_memory_gib": "Peak memory, GiB",
}

HEALTH = {
    "ema_distance_": "Distance of averaged from live networks",
    "spread_": "Spread of what is made, of real pictures 1",
}
"""Charts of what the health monitor logs, by the beginnings of names."""


def charts(run: History) -> list[dict[str, Any]]:
    """Figures, then losses by phase, then the rest."""
    grouped: dict[str, dict[str, Points]] = {}
    for column, points in run.series.items():
        if not column.startswith("metric_") and len(points) > 1:
            title, name = _place(column)
            grouped.setdefault(title, {})[name] = points
    order = sorted(grouped, key=lambda title: (title in PERFORMANCE.values(), not title.endswith(LOSSES)))
    return [*_figures(run), *(chart(title, grouped[title]) for title in order)]


def _place(column: str) -> tuple[str, str]:
    """The chart that a column belongs to, and its name there."""
    top, _, rest = column.partition("/")
    phase, _, term = rest.rpartition("/")
    for start, title in HEALTH.items():
        if top == "health" and rest.startswith(start):
            return title, rest.removeprefix(start)
    if top != "train" or not phase:
        return PERFORMANCE.get(column, column), term
    if term == "grad_norm":
        return "Gradient norms", phase
    return f"{phase.capitalize()}: {BESIDE_LOSSES.get(term.split('_')[0], LOSSES)}", term


def _figures(run: History) -> Iterator[dict[str, Any]]:
    """One chart a figure: the quick tier's curve, and the final tier's last point."""
    found: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for record in run.records:
        for row in rows(record["figures"]):
            series = found.setdefault(row.name.removeprefix("quick_"), {})
            before = series.get(row.name, []) if record.get("tier") == "quick" else []
            series[row.name] = [*before, (record["images_seen"], row.value)]
    for name, series in found.items():
        if any(len(points) > 1 for points in series.values()):
            yield chart(name, series)


def chart(title: str, series: Mapping[str, Points], x_name: str = OVER) -> dict[str, Any]:
    """A chart for ``chart.html.j2``: also over a logarithmic axis, where values span much and are above 0."""
    values = [y for points in series.values() for _, y in points]
    spans = min(values) > 0 and max(values) > 5 * min(values)
    drawn = {name: thinned(points) for name, points in series.items()}
    numbers = [[list(axis) for axis in zip(*points, strict=True)] for points in drawn.values()]
    return {
        "title": title,
        "svg": lines(title, series, x_name, ""),
        "log": lines(title, series, x_name, "", log=True) if spans else "",
        "names": [
            {"name": name, "ink": ink(n), "last": f"{float(f'{p[-1][1]:.4g}'):.10g}"}
            for n, (name, p) in enumerate(drawn.items())
        ],
        "at": max(points[-1][0] for points in drawn.values()),
        "data": as_script(numbers),
        "smoothed": any(len(points) > SMOOTHED for points in series.values()),
    }
