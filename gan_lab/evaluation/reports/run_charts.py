"""The charts on a run's page: metrics, losses, health and performance over images seen."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from gan_lab.evaluation.reports.charts import SMOOTHED, Points, colour_class, line_chart, thinned
from gan_lab.evaluation.reports.history import History
from gan_lab.evaluation.reports.pages import json_for_script
from gan_lab.evaluation.reports.tables import metric_rows

LOSSES = "losses"

NON_LOSSES = {"real": "logits on real and fake", "fake": "logits on real and fake", "accuracy": "accuracy"}
"""Charts of logs that are not losses, by the first word of a term's name."""

PERFORMANCE = {
    "perf/images_per_second": "Images per second",
    "perf/data_share": "Share of time waiting for data",
    "perf/peak_memory_gib": "Peak memory, GiB",
}

HEALTH = {
    "ema_distance_": "Distance of EMA from live networks",
    "spread_": "Spread of samples relative to real images",
}
"""Charts of the health monitor's logs, by the beginnings of names."""


@dataclass(frozen=True)
class Curve:
    """A curve's entry in the legend: name, CSS class of its colour, and last value."""

    name: str
    colour: str
    last: str


@dataclass(frozen=True)
class Chart:
    """A chart for ``charts.html.j2``.

    Args:
        title: the chart's title.
        svg: the chart with a linear axis.
        log_svg: the same with a logarithmic axis; empty if the values do not call for one.
        legend: an entry for each curve.
        at: last value of the x-axis.
        data: the drawn points as JSON: for each curve all x, and all y.
        smoothed: whether a running mean is drawn.
    """

    title: str
    svg: str
    log_svg: str
    legend: list[Curve]
    at: float
    data: str
    smoothed: bool


def run_charts(run: History) -> list[Chart]:
    """Returns the charts of a run: metrics first, then losses by phase, then the rest."""
    grouped: dict[str, dict[str, Points]] = {}
    for column, points in run.series.items():
        if not column.startswith("metric_") and len(points) > 1:
            title, name = _chart_of(column)
            grouped.setdefault(title, {})[name] = points
    order = sorted(grouped, key=lambda title: (title in PERFORMANCE.values(), not title.endswith(LOSSES)))
    return [*_metric_charts(run), *(make_chart(title, grouped[title]) for title in order)]


def _chart_of(column: str) -> tuple[str, str]:
    """Returns the title of the chart that a column belongs to, and the curve's name there."""
    group, _, rest = column.partition("/")
    phase, _, term = rest.rpartition("/")
    for start, title in HEALTH.items():
        if group == "health" and rest.startswith(start):
            return title, rest.removeprefix(start)
    if group != "train" or not phase:
        return PERFORMANCE.get(column, column), term
    if term == "grad_norm":
        return "Gradient norms", phase
    return f"{phase.capitalize()}: {NON_LOSSES.get(term.split('_')[0], LOSSES)}", term


def _metric_charts(run: History) -> Iterator[Chart]:
    """Yields a chart for each metric: the quick tier's curve, and the final tier's last point."""
    metrics: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for record in run.records:
        for row in metric_rows(record["figures"]):
            series = metrics.setdefault(row.name.removeprefix("quick_"), {})
            before = series.get(row.name, []) if record.get("tier") == "quick" else []
            series[row.name] = [*before, (record["images_seen"], row.value)]
    for name, series in metrics.items():
        if any(len(points) > 1 for points in series.values()):
            yield make_chart(name, series)


def make_chart(title: str, series: Mapping[str, Points], x_name: str = "images seen") -> Chart:
    """Makes a chart of curves; it also has a logarithmic axis if values are above 0 and span a wide range."""
    values = [y for points in series.values() for _, y in points]
    wide_range = min(values) > 0 and max(values) > 5 * min(values)
    drawn = {name: thinned(points) for name, points in series.items()}
    return Chart(
        title,
        svg=line_chart(title, series, x_name, ""),
        log_svg=line_chart(title, series, x_name, "", log=True) if wide_range else "",
        legend=[
            Curve(name, colour_class(n), f"{float(f'{points[-1][1]:.4g}'):.10g}")
            for n, (name, points) in enumerate(drawn.items())
        ],
        at=max(points[-1][0] for points in drawn.values()),
        data=json_for_script([[list(axis) for axis in zip(*points, strict=True)] for points in drawn.values()]),
        smoothed=any(len(points) > SMOOTHED for points in series.values()),
    )
