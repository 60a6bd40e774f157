"""Figures in a table, each with what matters of its protocol."""

from collections.abc import Mapping
from typing import Any

from gan_lab.evaluation.evaluators.base import Record
from gan_lab.evaluation.reports.tables import rows

COLUMNS = (
    *("images", "tier", "figure", "value", "error", "compared", "against", "split", "extractor", "resizer", "weights"),
    *("averaged", "seed", "truncation", "precision", "versions"),
)


def lines_of(record: Record, against: str) -> list[list[Any]]:
    """A line a figure, its cells by ``COLUMNS``.

    Args:
        record: of a measurement, with ``images_seen`` and ``tier``.
        against: what was measured against what, N on both sides.
    """
    protocol = record["protocol"]
    versions = ", ".join(f"{name} {version}" for name, version in protocol["versions"].items())
    how = [protocol["ema"], protocol.get("seed"), protocol.get("truncation"), protocol["precision"], versions]
    found = []
    for row in rows(record["figures"]):
        compared = ", ".join(f"{end} {value:.4g}" for end, value in row.beside.items())
        extractor = _extractor(row.name, protocol["extractors"])
        told = [extractor.get(key) for key in ("name", "resizer", "sha256")]
        cells = [row.name, row.value, row.spread, compared or None, against, protocol["split"], *told, *how]
        found.append([record["images_seen"], record["tier"], *cells])
    return found


def _extractor(figure: str, extractors: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Any]:
    """The one in whose features the figure was taken; empty for a figure of pixels."""
    for name, told in extractors.items():
        named = (name, *(told.get(kind) for kind in ("distance", "kernel", "score")))
        if any(each and f"_{each}_" in f"_{figure}_" for each in named):
            return {"name": name, **told}
    return {}
