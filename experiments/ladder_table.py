"""Tables of the ladder of damage (``ladder.py``), for docs/metrics.md."""

import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

Found = Mapping[str, Any]
"""τ and the share of pairs with their errors, and what was ordered wrongly, of one metric on one set."""

DEFAULT = "fd_general"


def ladder_tables(record: Mapping[str, Mapping[str, Mapping[str, Found]]], held_out: Sequence[str]) -> list[str]:
    """Returns a table of all metrics over all sets, and one of the default metric on each set.

    Args:
        record: by set, number of images and metric.
        held_out: sets that were not used to make the extractor ``general``.
    """
    columns = {(name, n): metrics for name, sizes in record.items() for n, metrics in sizes.items()}
    names = dict.fromkeys(name for metrics in columns.values() for name in metrics if not name.startswith("swd_"))
    rows = {name: [metrics[name] for metrics in columns.values() if name in metrics] for name in names}
    ranked = sorted(rows, key=lambda name: -statistics.mean(each["tau"][0] + each["pairs"][0] for each in rows[name]))
    lines = ["| metric | τ | worst τ | pairs | worst pairs | ordered wrongly most often |", "|---|---|---|---|---|---|"]
    for name in ranked:
        tau, pairs = ([each[key][0] for each in rows[name]] for key in ("tau", "pairs"))
        wrong = sum((Counter(each["wrong"]) for each in rows[name]), Counter[str]()).most_common(2)
        told = ", ".join(pair for pair, _ in wrong) or "nothing"
        cells = f"{statistics.mean(tau):.3f} | {min(tau):.3f} | {statistics.mean(pairs):.1%} | {min(pairs):.1%}"
        lines.append(f"| {'**' * (name == DEFAULT)}`{name}`{'**' * (name == DEFAULT)} | {cells} | {told} |")
    lines += ["", f"| set | N | τ of `{DEFAULT}` | pairs | least τ |", "|---|---|---|---|---|"]
    for (name, n), metrics in columns.items():
        found = metrics[DEFAULT]
        worst = min(found["by_damage"], key=found["by_damage"].get)
        least = f"{worst} {found['by_damage'][worst]:.2f}" if found["by_damage"][worst] < 0.995 else "all 1.00"
        told = f"{name}{' (held out)' if name in held_out else ''} | {n}"
        (tau, error), (pairs, spread) = found["tau"], found["pairs"]
        lines.append(f"| {told} | {tau:.3f} ± {error:.3f} | {pairs:.1%} ± {spread:.1%} | {least} |")
    return lines
