"""Tables of the runs of known order (``order.py``), for docs/metrics.md."""

from collections.abc import Mapping
from typing import Any

METRICS = ("fd_general", "mind_general", "fd_grey", "fd_colour")


def order_tables(record: Mapping[str, Any]) -> list[str]:
    """Returns a table of the runs on faces, and one of the garbled translations beside the untranslated pictures.

    Args:
        record: ``results/order.json``.
    """
    lines = [f"| trained for | images | {' | '.join(METRICS)} |", f"|---|---|{'---|' * len(METRICS)}"]
    for name, run in record["faces"].items():
        values = " | ".join(f"{run['last'][metric]:.4g}" for metric in METRICS)
        lines.append(f"| {name} | {run['images']:,} | {values} |")
    wrong = " | ".join("; ".join(record["wrong"]["last"][metric]) or "none" for metric in METRICS)
    lines.append(f"| ordered wrongly, of {record['pairs']} pairs | | {wrong} |")
    lines += ["", f"| garbled (untranslated) | {' | '.join(METRICS)} |", f"|---|{'---|' * len(METRICS)}"]
    for pair, found in record["garbled"].items():
        for way in ("a2b", "b2a"):
            cells = (f"{found[f'{each}_{way}']:.4g} ({found[f'{each}_{way}_untranslated']:.4g})" for each in METRICS)
            lines.append(f"| {pair}, {way} | {' | '.join(cells)} |")
    return lines
