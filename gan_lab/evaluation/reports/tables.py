"""Tables of metrics: one line while a model trains, a table at the end."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from rich.table import Table

from gan_lab.evaluation.reports.marks import mark_notes, metric_mark
from gan_lab.evaluation.reports.records import Protocol

BASELINES = {
    "real": "real images",
    "untranslated": "untranslated",
    "gaussian": "pixel Gaussian",
    "reconstructed": "reconstructed",
    "elbo": "one-sample ELBO",
    "repeat": "last frame repeated",
    "black": "black frames",
}
"""Headings of the values that a metric may be compared with, by the endings of their names."""

SPREADS = ("error", "std")

IN_ONE_LINE = 16
"""Metrics in one line at most: the means come first, before those of pairs of domains."""


@dataclass
class MetricRow:
    """One metric with its spread and its baselines.

    Args:
        name: the metric's name, such as "fd_grey".
        value: the model's value.
        spread: the standard error, or a standard deviation over splits.
        spread_is_error: whether ``spread`` is a standard error.
        baselines: values to compare with, by the keys of ``BASELINES``.
        mark: of a metric that is no evidence, see ``marks``; it follows a space.
    """

    name: str
    value: float
    spread: float | None = None
    spread_is_error: bool = True
    baselines: dict[str, float] = field(default_factory=dict)
    mark: str = ""


def metric_rows(
    values: Mapping[str, float], classes: bool = False, protocol: Protocol | None = None
) -> list[MetricRow]:
    """Groups values by name with their spreads (``<name>_error``) and baselines (``<name>_real``).

    Args:
        values: values by name; a metric must come before its spread and baselines.
        classes: include the metrics of single classes.
        protocol: how they were computed; it says which metrics are marked.
    """
    rows: dict[str, MetricRow] = {}
    for name, value in values.items():
        base, _, end = name.rpartition("_")
        if base in rows and end in SPREADS:
            rows[base].spread, rows[base].spread_is_error = value, end == "error"
        elif base in rows and end in BASELINES:
            rows[base].baselines[end] = value
        elif not _is_spread_of_baseline(name) and (classes or "_class_" not in name):
            rows[name] = MetricRow(name, value, mark=metric_mark(name, protocol))
    return list(rows.values())


def baselines_of(rows: list[MetricRow], protocol: Protocol | None = None) -> dict[str, str]:
    """Returns the baselines that any of the rows has, in the order of ``BASELINES``, with their headings.

    That of held-out real images has their number, because distances of few images are larger.
    """
    held_out = ((protocol or {}).get("held_out") or {}).get("n")
    headings = BASELINES | ({"real": f"{held_out:,} real images"} if held_out else {})
    return {key: heading for key, heading in headings.items() if any(key in row.baselines for row in rows)}


def _is_spread_of_baseline(name: str) -> bool:
    base, _, end = name.rpartition("_")
    return end in SPREADS and base.rpartition("_")[2] in BASELINES


def one_line(values: Mapping[str, float], comparison: str) -> str:
    """Formats the first metrics in one line, such as "fd_grey 2.5; 100 samples against 1,617 images"."""
    parts, rows = [], metric_rows(values)
    for row in rows[:IN_ONE_LINE]:
        baseline = f" (untranslated {row.baselines['untranslated']:.4g})" if "untranslated" in row.baselines else ""
        parts.append(f"{row.name} {row.value:.4g}{baseline}")
    more = f" and {len(rows) - IN_ONE_LINE} more" if len(rows) > IN_ONE_LINE else ""
    return f"{', '.join(parts)}{more}; {comparison}"


def metrics_table(
    values: Mapping[str, float], caption: str, images_seen: int | None = None, protocol: Protocol | None = None
) -> Table:
    """Builds a table for the terminal with a row for each metric.

    Args:
        values: values by name, see ``metric_rows``.
        caption: which sets were compared.
        images_seen: images that the model was trained on.
        protocol: how they were computed; it says which metrics are marked.
    """
    rows = metric_rows(values, protocol=protocol)
    baselines = baselines_of(rows, protocol)
    caption = "\n".join((caption, *mark_notes(row.mark for row in rows)))
    after = "" if images_seen is None else f" after {images_seen:,} images"
    table = Table("", f"model{after}", "±", *baselines.values(), caption=caption, padding=0)
    table.columns[0].overflow, table.columns[0].no_wrap = "fold", True
    for row in rows:
        cells = [f"{row.value:.4g}", "" if row.spread is None else f"{row.spread:.2g}"]
        cells += [f"{row.baselines[key]:.4g}" if key in row.baselines else "" for key in baselines]
        table.add_row(row.name + row.mark, *cells)
    for column in table.columns[1:]:  # in a narrow terminal, names and headings are broken before digits are
        column.min_width = max((len(str(cell)) for cell in column.cells), default=1)
    return table
