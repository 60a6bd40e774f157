"""Types of the records that runs and evaluations write as JSON, and that reports read."""

from collections.abc import Mapping
from typing import Any, NotRequired, TypedDict

Protocol = Mapping[str, Any]
"""How metrics were computed: N of both sets, split, extractors, seed, weights, versions; see ``evaluation.results``."""

Settings = Mapping[str, Any]
"""A resolved configuration, or part of one."""


class EvaluationRecord(TypedDict):
    """One evaluation: a line of ``metrics.jsonl``, or what ``gan_lab.evaluate`` writes."""

    figures: dict[str, float]
    """Values by metric."""
    protocol: Protocol
    curves: NotRequired[dict[str, list[float]]]
    tier: NotRequired[str]
    """"quick" or "final"."""
    images_seen: NotRequired[int]
    iteration: NotRequired[int]
    seconds: NotRequired[float]
    undefined: NotRequired[list[str]]
    """Metrics without a finite value."""
    failed: NotRequired[dict[str, str]]
    """Why metrics are missing that raised an error, by metric."""
    fake: NotRequired[Settings]
    """Description of the folder of generated images, if the images came from two folders."""


class BestMetric(TypedDict, total=False):
    """The value that the best checkpoint was chosen by; empty without one."""

    name: str
    value: float


class RunInfo(TypedDict, total=False):
    """``run.json``: the state of a run and its results."""

    state: str
    time: str
    command: str
    hardware: str
    versions: dict[str, str]
    error: str
    images_seen: NotRequired[int]
    iteration: int
    seconds: float
    figures: dict[str, float]
    best: BestMetric


class JobRecord(TypedDict):
    """A job's record in a sweep's folder ``jobs``."""

    job: int
    overrides: list[str]
    state: str
    run: NotRequired[str | None]
    error: NotRequired[str]
    found: NotRequired[bool]
