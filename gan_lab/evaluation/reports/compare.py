"""Several evaluations side by side."""

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gan_lab.common.errors import UserError
from gan_lab.evaluation.reports.tables import Row, rows

HIGHER_IS_BETTER = dict.fromkeys(
    (
        *("cs", "is", "precision", "recall", "density", "coverage", "authenticity", "diversity"),
        *("label_accuracy", "cas", "modes", "ssim", "psnr"),
        *("reconstruction_psnr", "reconstruction_ssim", "codebook_usage", "codebook_perplexity"),
    ),
    True,
) | dict.fromkeys(
    (
        *("fd", "fid", "kd", "kid", "spectrum", "ms_ssim", "path_length", "modes_kl", "modes_missed"),
        *("pd", "lpips", "l1", "wrong", "cycle", "identity"),
        *("nll", "bits", "reconstruction_mse", "reconstruction_pd", "reconstruction_lpips"),
    ),
    False,
)
"""By the kind of a figure; of what is not here, such as the brightness, neither way is known to be better."""

_PREFIXES = re.compile("(quick_)?(clean_|unresized_)?")
"""What may stand before a figure's kind: the tier, and another resizer than the published one."""

_TELLS_NO_METHOD = re.compile(r"\d{4}-\d\d-\d\d|(.*-)?evaluation$")
"""The folders that runs make themselves begin with the date, and evaluations are called after checkpoints."""

_STRICT = ("samples", "real", "directions", "split", "truncation", "data")
_LENIENT = ("ema", "extractors", "metrics", "networks", "judge")
"""What figures depend on, of a protocol; of the second only what several runs say, for the figures that they share were
not made with what one of them alone has."""

_OF_TRAINING = {"classes", "flip", "limit", "preprocess", "load_size", "paired", "root"}
"""What data say of themselves that does not change the pictures that are measured: how many there are is told apart."""


@dataclass(frozen=True, eq=False)
class Run:
    """One evaluation, equal to none but itself.

    Args:
        name: tells it from the others.
        figures: by name.
        protocol: how they were made.
        counts: the numbers of made and of real pictures, in words.
        folder: where its checkpoint is, and a picture of samples, if any.
    """

    name: str
    figures: Mapping[str, Row]
    protocol: Mapping[str, Any]
    counts: str
    folder: Path


def read_runs(paths: Sequence[Path]) -> list[Run]:
    """The evaluations in JSON files, whose paths are absolute.

    Raises:
        UserError: if one holds none.
    """
    return [_read(path, name) for path, name in zip(paths, names(paths), strict=True)]


def _read(path: Path, name: str) -> Run:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        figures = {name: float(value) for name, value in record["figures"].items()}
        protocol = record["protocol"]
        return Run(name, {row.name: row for row in rows(figures)}, protocol, counts(protocol), path.parent)
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise UserError(f"{path} holds no evaluation: give files that gan_lab.evaluate wrote.") from error


def names(paths: Sequence[Path]) -> list[str]:
    """Of each path the shortest end that no other has and that tells the method; file names only where they differ."""
    alike = len({path.name for path in paths}) == 1
    parts = [(path.parent if alike else path.with_suffix("")).parts for path in paths]
    return [_end(own, [other for other in parts if other != own]) for own in parts]


def _end(own: Sequence[str], others: Sequence[Sequence[str]]) -> str:
    ends = (own[-n:] for n in range(1, len(own) + 1))
    telling = (end for end in ends if not _TELLS_NO_METHOD.match(end[0]) and all(o[-len(end) :] != end for o in others))
    return Path(*next(telling, own)).as_posix()


def counts(protocol: Mapping[str, Any]) -> str:
    """The numbers of made and of real pictures; where a model translates, of each direction."""
    directions = protocol.get("directions") or {}
    if directions:
        return ", ".join(f"{name} {n['translated']:,} / {n['real']:,}" for name, n in directions.items())
    return " / ".join(f"{protocol[key]:,}" for key in ("samples", "real") if key in protocol)


def higher_is_better(name: str) -> bool | None:
    """Of a figure; None where neither way is better, or it is not known."""
    rest = _PREFIXES.sub("", name, count=1)
    kinds = [kind for kind in HIGHER_IS_BETTER if f"{rest}_".startswith(f"{kind}_")]
    return HIGHER_IS_BETTER[max(kinds, key=len)] if kinds else None


def order(runs: Sequence[Run], by: str) -> list[Run]:
    """The best first, the lowest where neither way is better, and what is no number last.

    Raises:
        UserError: if some have no such figure.
    """
    without = [run.name for run in runs if by not in run.figures]
    if without:
        raise UserError(f"{without[0]} has no {by}: give by= one of {', '.join(shared(runs)) or 'their figures'}.")
    sign = -1 if higher_is_better(by) else 1
    return sorted(runs, key=lambda run: (math.isnan(run.figures[by].value), sign * run.figures[by].value))


def shared(runs: Sequence[Run]) -> list[str]:
    """The figures that all have."""
    return [name for name in runs[0].figures if all(name in run.figures for run in runs)]


def ties(runs: Sequence[Run], name: str) -> set[Run]:
    """The runs that are the best, or differ from it by less than twice the error of the difference."""
    if higher_is_better(name) is None:
        return set()
    best = order(runs, name)[0].figures[name]
    found = set()
    for run in runs:
        own = run.figures[name]
        if abs(own.value - best.value) <= 2 * math.hypot(_error(own), _error(best)):
            found.add(run)
    return found


def _error(row: Row) -> float:
    return row.spread if row.spread is not None and row.spread_is_error else 0.0


def differences(runs: Sequence[Run]) -> list[str]:
    """In what the protocols differ that figures depend on, in a sentence each."""
    found = []
    for key in (*_STRICT, *_LENIENT):
        told = [dict(_leaves(_depended_on(run.protocol, key))) for run in runs]
        differing = _differing(told, key in _LENIENT)
        if differing:
            which = ", ".join(filter(None, differing))
            part = f"{key} ({which})" if which else key
            found.append(f"These runs differ in {part}, so their figures are not comparable as they stand.")
    return found


def _differing(told: Sequence[Mapping[str, str]], lenient: bool) -> list[str]:
    """The keys of which not all have the same value, or, leniently, not all that have the key."""
    keys = dict.fromkeys(key for each in told for key in each)
    return [key for key in keys if len({each.get(key) for each in told if key in each or not lenient}) > 1]


def _depended_on(protocol: Mapping[str, Any], key: str) -> Any:
    """What a protocol says under a key, as far as figures depend on it."""
    told = protocol.get(key)
    if key == "data":
        return _measured(told, str(protocol.get("split")))
    if key == "directions" and isinstance(told, Mapping):  # the floor is a figure beside others
        return {name: {kind: n[kind] for kind in ("translated", "real")} for name, n in told.items()}
    return {} if told is None and key in _LENIENT else told


def _measured(data: Any, split: str) -> Any:
    """What tells the real pictures of a split from others; of the whole set, which has no entry, how it came to be."""
    if not isinstance(data, Mapping):
        return data
    found = {key: _measured(value, split) for key, value in data.items() if key not in _OF_TRAINING | {"splits"}}
    splits = data.get("splits")
    if isinstance(splits, Mapping):
        kept = ("transform", "found") if split in splits else ("transform",)
        own = splits.get(split) or splits.get("train") or {}
        found |= {key: own.get(key) for key in kept}
    return found


def _leaves(node: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    """The values of nested mappings as JSON, by dotted keys."""
    if not isinstance(node, Mapping):
        yield prefix, json.dumps(node, sort_keys=True)
        return
    for key, value in node.items():
        yield from _leaves(value, f"{prefix}.{key}" if prefix else str(key))
