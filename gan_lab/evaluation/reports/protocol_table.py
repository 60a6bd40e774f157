"""A table of metrics, each with the essentials of its protocol."""

from collections.abc import Mapping

from gan_lab.evaluation.reports.marks import extractor_of
from gan_lab.evaluation.reports.records import EvaluationRecord, Settings
from gan_lab.evaluation.reports.tables import metric_rows

COLUMNS = (
    *(
        "images",
        "tier",
        "metric",
        "value",
        "error",
        "baselines",
        "compared",
        "split",
        "extractor",
        "resizer",
        "weights",
    ),
    *("ema", "seed", "truncation", "precision", "versions"),
)

Cell = str | float | bool | None


def protocol_rows(record: EvaluationRecord, comparison: str) -> list[list[Cell]]:
    """Returns a row for each metric, its cells in the order of ``COLUMNS``.

    Args:
        record: a record with ``images_seen`` and ``tier``.
        comparison: which sets were compared, with N of both.
    """
    protocol = record["protocol"]
    versions = ", ".join(f"{name} {version}" for name, version in protocol["versions"].items())
    conditions = [protocol["ema"], protocol.get("seed"), protocol.get("truncation"), protocol["precision"], versions]
    rows: list[list[Cell]] = []
    for row in metric_rows(record["figures"]):
        baselines = ", ".join(f"{key} {value:.4g}" for key, value in row.baselines.items())
        extractor = _extractor(row.name, protocol["extractors"])
        features = [extractor.get(key) for key in ("name", "resizer", "sha256")]
        cells = [row.name, row.value, row.spread, baselines or None, comparison, protocol["split"]]
        rows.append([record["images_seen"], record["tier"], *cells, *features, *conditions])
    return rows


def _extractor(metric: str, extractors: Mapping[str, Settings]) -> Settings:
    """Finds the extractor of the metric's features; empty for a metric of pixels."""
    name = extractor_of(metric, extractors)
    return {} if name is None else {"name": name, **extractors[name]}
