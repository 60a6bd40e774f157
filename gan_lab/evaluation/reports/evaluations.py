"""Evaluations read from files: their order by a metric, ties with the best, and whether they are comparable."""

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gan_lab.common.errors import UserError
from gan_lab.evaluation.reports.records import Protocol
from gan_lab.evaluation.reports.tables import MetricRow, metric_rows

HIGHER_IS_BETTER = dict.fromkeys(
    (
        *("cs", "is", "precision", "recall", "density", "coverage", "authenticity", "diversity"),
        *("label_accuracy", "agreement", "cas", "modes", "ssim", "psnr", "miou", "pixel_accuracy"),
        *("reconstruction_psnr", "reconstruction_ssim", "codebook_usage", "codebook_perplexity"),
    ),
    True,
) | dict.fromkeys(
    (
        *("fd", "fid", "fdr", "sfid", "kd", "kid", "mind", "cmmd", "swd", "fwd", "spectrum"),
        *("ms_ssim", "path_length", "modes_kl", "modes_missed"),
        *("pd", "lpips", "l1", "wrong", "cycle", "identity", "pose"),
        *("nll", "bits", "reconstruction_mse", "reconstruction_pd", "reconstruction_lpips"),
    ),
    False,
)
"""Direction of improvement by the metric's kind. Metrics that are not listed, such as brightness, have none."""

_PREFIXES = re.compile("(quick_)?(clean_|unresized_)?")
"""Prefixes of a metric's kind: the tier, and a resizer other than the published one."""

_GENERIC_NAME = re.compile(r"\d{4}-\d\d-\d\d|(.*-)?evaluation$")
"""Names that do not identify a method: default run folders begin with the date; evaluations are named by checkpoint."""

_STRICT = ("samples", "real", "directions", "pairs", "guided", "styles", "split", "truncation", "data")
_LENIENT = ("ema", "extractors", "metrics", "networks", "judge")
"""Parts of a protocol that metrics depend on. Of the lenient ones only entries that several evaluations have are
compared: an entry that just one has cannot have influenced the metrics that all share."""

_TRAINING_ONLY = {
    *("classes", "class_names", "flip", "limit", "preprocess", "load_size", "paired", "root"),
    *("domains", "resized_crops"),
}
"""Keys of the data's description that do not change the images of an evaluation; their number is compared elsewhere."""


@dataclass(frozen=True, eq=False)
class EvaluationResult:
    """The result of one evaluation; every instance is equal only to itself.

    Args:
        name: a name that no other evaluation has.
        metrics: metrics by name.
        protocol: how they were computed.
        counts: numbers of generated and of real images, as text.
        folder: folder of the checkpoint and, if any, of an image of samples.
    """

    name: str
    metrics: Mapping[str, MetricRow]
    protocol: Protocol
    counts: str
    folder: Path


def read_evaluations(paths: Sequence[Path]) -> list[EvaluationResult]:
    """Reads evaluations from JSON files with absolute paths.

    Raises:
        UserError: if a file contains none.
    """
    return [_read(path, name) for path, name in zip(paths, unique_names(paths), strict=True)]


def _read(path: Path, name: str) -> EvaluationResult:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        values = {name: float(value) for name, value in record["figures"].items()}
        protocol = record["protocol"]
        if not is_protocol(protocol):
            raise TypeError("the protocol has entries of other types")
        metrics = {row.name: row for row in metric_rows(values, protocol=protocol)}
        return EvaluationResult(name, metrics, protocol, counts(protocol), path.parent)
    except (ArithmeticError, AttributeError, LookupError, OSError, RecursionError, TypeError, ValueError) as error:
        raise UserError(f"{path} contains no evaluation: give files that gan_lab.evaluate wrote.") from error


def is_protocol(node: object) -> bool:
    """Returns True if an object has a protocol's structure, as far as reports rely on it."""
    if not isinstance(node, Mapping):
        return False
    parts = [node.get(key) or {} for key in ("directions", "extractors", "versions")]
    if not all(isinstance(part, Mapping) for part in parts):
        return False
    directions, extractors, _ = parts
    numbers = [node[key] for key in ("samples", "real") if key in node]
    for each in directions.values():
        numbers += [each.get(key) for key in ("translated", "real")] if isinstance(each, Mapping) else [None]
    return all(isinstance(number, int) for number in numbers) and all(
        isinstance(each, Mapping) for each in extractors.values()
    )


def unique_names(paths: Sequence[Path]) -> list[str]:
    """Returns the shortest end of each path that is unique and identifies a method; file names only if they differ."""
    same_name = len({path.name for path in paths}) == 1
    parts = [(path.parent if same_name else path.with_suffix("")).parts for path in paths]
    return [_unique_end(own, [other for other in parts if other != own]) for own in parts]


def _unique_end(own: Sequence[str], others: Sequence[Sequence[str]]) -> str:
    ends = (own[-n:] for n in range(1, len(own) + 1))
    unique = (end for end in ends if not _GENERIC_NAME.match(end[0]) and all(o[-len(end) :] != end for o in others))
    return Path(*next(unique, own)).as_posix()


def counts(protocol: Protocol) -> str:
    """Formats the numbers of generated and of real images, of a translation model for each direction."""
    if pairs := protocol.get("pairs"):  # of domains, which may be many
        translated = len(protocol["guided"]) * sum(each["translated"] for each in pairs.values())
        return f"{translated:,} / {max(each['real'] for each in pairs.values()):,}"
    directions = protocol.get("directions") or {}
    if directions:
        return ", ".join(f"{name} {n['translated']:,} / {n['real']:,}" for name, n in directions.items())
    return " / ".join(f"{protocol[key]:,}" for key in ("samples", "real") if key in protocol)


def higher_is_better(name: str) -> bool | None:
    """Returns the direction of improvement of a metric; None if it has none or is not known."""
    rest = _PREFIXES.sub("", name, count=1)
    kinds = [kind for kind in HIGHER_IS_BETTER if f"{rest}_".startswith(f"{kind}_")]
    return HIGHER_IS_BETTER[max(kinds, key=len)] if kinds else None


def sort_evaluations(evaluations: Sequence[EvaluationResult], by: str) -> list[EvaluationResult]:
    """Sorts by a metric: the best first, or the lowest if the metric has no direction; NaN last.

    Raises:
        UserError: if an evaluation does not have the metric.
    """
    without = [each.name for each in evaluations if by not in each.metrics]
    if without:
        choices = ", ".join(shared_metrics(evaluations)) or "their metrics"
        raise UserError(f"{without[0]} has no {by}: give by= one of {choices}.")
    sign = -1 if higher_is_better(by) else 1
    return sorted(evaluations, key=lambda each: (math.isnan(each.metrics[by].value), sign * each.metrics[by].value))


def shared_metrics(evaluations: Sequence[EvaluationResult]) -> list[str]:
    """Returns the names of the metrics that all evaluations have."""
    return [name for name in evaluations[0].metrics if all(name in each.metrics for each in evaluations)]


def tied_with_best(evaluations: Sequence[EvaluationResult], name: str) -> set[EvaluationResult]:
    """Returns the best evaluation and those that differ from it by at most twice the difference's standard error."""
    if higher_is_better(name) is None:
        return set()
    best = sort_evaluations(evaluations, name)[0].metrics[name]
    ties = set()
    for evaluation in evaluations:
        own = evaluation.metrics[name]
        if abs(own.value - best.value) <= 2 * math.hypot(_error(own), _error(best)):
            ties.add(evaluation)
    return ties


def _error(row: MetricRow) -> float:
    return row.spread if row.spread is not None and row.spread_is_error else 0.0


def protocol_differences(evaluations: Sequence[EvaluationResult]) -> list[str]:
    """Returns a sentence about the parts of the protocols that metrics depend on, if any differ."""
    parts: dict[str, list[str]] = {}
    for entry in differing_entries([each.protocol for each in evaluations]):
        key, _, name = entry.partition(".")
        parts.setdefault(key, []).extend([name] if name else [])
    named = ", ".join(f"{key} ({', '.join(names)})" if names else key for key, names in parts.items())
    return [f"These runs differ in {named}, so their metrics are not comparable as they stand."] if parts else []


def differing_entries(protocols: Sequence[Protocol | None]) -> dict[str, list[str]]:
    """Returns the entries that metrics depend on and that differ, by dotted keys, with their values.

    Args:
        protocols: those of several evaluations; None stands for one without any, which differs in nothing.

    Returns:
        for each entry a text per protocol, empty where it has none.
    """
    found = {}
    for key in (*_STRICT, *_LENIENT):
        leaves = [None if each is None else dict(_leaves(_relevant(each, key))) for each in protocols]
        for name in _differing([each for each in leaves if each is not None], key in _LENIENT):
            values = ((each or {}).get(name, "null") for each in leaves)
            found[f"{key}.{name}" if name else key] = ["" if text == "null" else text.strip('"') for text in values]
    return found


def _differing(leaves: Sequence[Mapping[str, str]], lenient: bool) -> list[str]:
    """Returns keys whose values differ; in the lenient case only among those that have the key."""
    keys = dict.fromkeys(key for each in leaves for key in each)
    return [key for key in keys if len({each.get(key) for each in leaves if key in each or not lenient}) > 1]


def _relevant(protocol: Protocol, key: str) -> object:
    """Returns the part of a protocol under a key that metrics depend on."""
    value = protocol.get(key)
    if key == "data":
        return _relevant_data(value, str(protocol.get("split")))
    if key == "directions" and isinstance(value, Mapping):  # the floor's count belongs to a baseline
        return {name: {kind: n[kind] for kind in ("translated", "real")} for name, n in value.items()}
    return {} if value is None and key in _LENIENT else value


def _relevant_data(data: object, split: str) -> object:
    """Returns the part of a data description that identifies the real images of a split.

    The split "whole" has no entry: the transform of its training part stands for it.
    """
    if not isinstance(data, Mapping):
        return data
    relevant = {
        key: _relevant_data(value, split) for key, value in data.items() if key not in _TRAINING_ONLY | {"splits"}
    }
    splits = data.get("splits")
    if isinstance(splits, Mapping):
        kept = ("transform", "found") if split in splits else ("transform",)
        own = splits.get(split) or splits.get("train")
        relevant |= {key: own.get(key) if isinstance(own, Mapping) else None for key in kept}
    return relevant


def _leaves(node: object, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yields the values of nested mappings as JSON, by dotted keys."""
    if not isinstance(node, Mapping):
        yield prefix, json.dumps(node, sort_keys=True)
        return
    for key, value in node.items():
        yield from _leaves(value, f"{prefix}.{key}" if prefix else str(key))
