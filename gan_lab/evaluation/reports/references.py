"""Rows below a table of runs: what real images, untranslated ones and noise reached by the same metrics."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gan_lab.evaluation.reports.evaluations import higher_is_better
from gan_lab.evaluation.reports.index_table import Column
from gan_lab.evaluation.reports.tables import BASELINES, MetricRow

SHOWN = ("real", "untranslated", "gaussian")
"""Baselines with rows of their own."""
LEARNT_NOTHING = {
    "untranslated": "the untranslated images",
    "gaussian": "the pixel Gaussian, noise with the mean and the covariance of the real images' pixels",
}
"""What the baselines are that any model should surpass."""


@dataclass(frozen=True)
class Reference:
    """The row of a baseline.

    Args:
        key: the baseline, see ``BASELINES``.
        cells: a text for each column of the table.
        behind: the metrics by which every run is worse.
    """

    key: str
    cells: list[str]
    behind: list[str]

    @property
    def warning(self) -> str:
        """A sentence if no run surpasses a baseline that has learnt nothing; else empty."""
        if not self.behind or self.key not in LEARNT_NOTHING:
            return ""
        names = ", ".join(self.behind)
        return f"By {names} every run here is worse than {LEARNT_NOTHING[self.key]}: look at the samples."


def references(columns: Sequence[Column]) -> Iterator[Reference]:
    """Yields a row for each baseline that has any value; the first column has its name."""
    for key in SHOWN:
        values = [column.baseline(key) for column in columns]
        if any(value is not None for value in values):
            cells = ["" if value is None else f"{value:.5g}" for value in values]
            behind = [each.name for each, value in zip(columns, values, strict=True) if _all_worse(each.rows, value)]
            yield Reference(key, [BASELINES[key], *cells[1:]], behind)


def _all_worse(rows: Sequence[MetricRow | None], value: float | None) -> bool:
    """Tells whether all metrics are worse than a value by more than twice their standard errors."""
    present = [row for row in rows if row]
    higher = higher_is_better(present[0].name) if present else None
    if value is None or higher is None:
        return False
    leads = [(row.value - value) * (1 if higher else -1) for row in present]
    errors = [row.spread if row.spread is not None and row.spread_is_error else 0.0 for row in present]
    return all(lead < -2 * error for lead, error in zip(leads, errors, strict=True))
