"""The statistics of one image set: equal ones are accumulated once, those of a set that does not change are cached."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

import torch
from torch import Tensor

from gan_lab.common.distributed import all_gather
from gan_lab.common.errors import RankError, reason
from gan_lab.common.stopping import separately
from gan_lab.evaluation.cache import find, keep
from gan_lab.evaluation.derived import known, remember
from gan_lab.evaluation.feature_table import FeatureTable
from gan_lab.evaluation.features.extractors import Extractor
from gan_lab.evaluation.image_sets import ImageSet
from gan_lab.evaluation.metrics.frechet import FeatureMoments
from gan_lab.evaluation.statistics import Statistic

Device = torch.device | str
Result = TypeVar("Result")

CACHE_VERSION = 4
"""Version of the cached statistics: increment when the computation from image to statistic, the name of a statistic's
class, or the names of its states change."""

ROWS = 2048
"""Rows of a table that are converted to float64 at once."""

MAX_CACHED = 1 << 30
"""Bytes of a statistic at most that are cached: 130,000 images in Inception's features."""


class ImageCount(Statistic[int]):
    """The number of images."""

    def accumulate(self, values: Tensor, index: Tensor) -> None:
        """Does nothing: every statistic counts its images."""

    def compute(self) -> int:
        """Returns the number of images of all ranks (collective)."""
        return int(self.count)


@dataclass(frozen=True)
class Entry:
    """A statistic, the values that it takes ("features", "logits", "images"), and the extractor that computes these."""

    extractor: Extractor | None
    input: str
    statistic: Statistic[object]


class StatisticSet:
    """The statistics of one image set: equal ones are accumulated once, however many comparisons need them.

    Args:
        device: the device of the states; the CPU replaces "mps", which has no float64.
    """

    def __init__(self, device: Device) -> None:
        self.device = torch.device("cpu") if torch.device(device).type == "mps" else device
        self.count = ImageCount()
        self.entries: dict[str, Entry] = {}
        self.failed: dict[str, tuple[Entry, Exception]] = {}
        self.kept: set[str] = set()

    def add(self, extractor: Extractor | None, values: str, statistic: Statistic[Result]) -> Statistic[Result]:
        """Returns the equal statistic that is already in the set, or adds this one.

        Args:
            extractor: computes the values; None for images.
            values: "features", "logits" or "images".
            statistic: the statistic.
        """
        key = repr([extractor_key(extractor), values, statistic.key])
        entry = self.entries.setdefault(key, Entry(extractor, values, statistic.to(self.device)))
        return cast(Statistic[Result], entry.statistic)

    def error_of(self, statistic: Statistic[Any]) -> Exception | None:
        """Returns what a statistic of the set failed with; None if it did not."""
        return next((error for entry, error in self.failed.values() if entry.statistic is statistic), None)

    def update(self, index: Tensor, images: Tensor) -> None:
        """Adds images (m, C, H, W) or clips (m, T, C, H, W), uint8, with the numbers ``index`` (m,)."""
        self.count.update(index, index)
        extracted: dict[str, dict[str, Tensor]] = {"": {"images": images}}
        for key, entry in self.entries.items():
            if key in self.failed:
                continue
            try:
                name = entry.extractor.name if entry.extractor else ""
                if entry.extractor and name not in extracted:
                    features, logits = entry.extractor(images)
                    extracted[name] = {"features": features, "logits": logits}
                entry.statistic.update(extracted[name][entry.input], index)
            except Exception as error:  # the other statistics are worth having
                self.failed[key] = entry, error

    def accumulate(self, images: ImageSet, device: Device, progress: bool) -> None:
        """Adds this rank's share of an image set; statistics that fail on any rank move to ``failed`` (collective).

        Raises:
            RuntimeError: unless all ranks together saw each image once.
        """

        def read() -> None:
            for index, batch in images.batches(progress):
                self.update(index, batch.to(device))

        separately(read)
        for reasons in all_gather({key: reason(error) for key, (_, error) in self.failed.items()}):
            for key, why in reasons.items():
                self.failed.setdefault(key, (self.entries[key], RankError(why)))
        self.entries = {key: entry for key, entry in self.entries.items() if key not in self.failed}
        if self.count.compute() != images.n:
            raise RuntimeError(f"{self.count.compute()} images were counted instead of {images.n}.")

    def missing(self, images: ImageSet, cache_dir: str | Path | None) -> "StatisticSet":
        """Loads what is in the cache, and returns the set of the statistics that are still empty (collective)."""
        rest = StatisticSet(self.device)
        for name, entry in self.entries.items():
            if entry.statistic.update_called:
                continue
            states = None
            if images.key and entry.statistic.cached:
                states = find([CACHE_VERSION, *images.key, name], cache_dir)
            if states is None:
                rest.entries[name] = entry
            else:
                entry.statistic.load_states(states)
        return rest

    def complete(self, images: ImageSet, device: Device, cache_dir: str | Path | None, progress: bool) -> None:
        """Accumulates the statistics that are neither known nor cached, and caches them (collective)."""
        rest = self.missing(images, cache_dir)
        if not rest.entries:
            return
        rest.accumulate(images, device, progress)
        self.failed |= rest.failed
        for name in rest.failed:
            del self.entries[name]
        for name, entry in rest.entries.items():
            states = entry.statistic.merged_states()
            entry.statistic.load_states(states)
            small = sum(state.nbytes for state in states.values()) <= MAX_CACHED
            if images.key and entry.statistic.cached and small:
                keep([CACHE_VERSION, *images.key, name], states, cache_dir)

    def recall(
        self, statistic: Statistic[Any], names: Sequence[str], images: ImageSet, folder: str | Path | None
    ) -> None:
        """Loads what was derived from a table of the set before, as far as it is in the cache (collective)."""
        for name, key in self._derived_keys(statistic, names, images):
            found = find(key, folder)
            if found is not None:
                remember(statistic.compute(), name, found["derived"].to(self.device))
                self.kept.add(repr(key))

    def keep_derived(
        self, statistic: Statistic[Any], names: Sequence[str], images: ImageSet, folder: str | Path | None
    ) -> None:
        """Caches what was derived from a table of the set."""
        for name, key in self._derived_keys(statistic, names, images):
            found = known(statistic.compute(), name)
            if found is not None:
                keep(key, {"derived": found.cpu().contiguous()}, folder)
                self.kept.add(repr(key))

    def _derived_keys(
        self, statistic: Statistic[Any], names: Sequence[str], images: ImageSet
    ) -> Iterator[tuple[str, list[object]]]:
        """Yields those of the names that are not cached yet, with their keys."""
        entry = next((name for name, each in self.entries.items() if each.statistic is statistic), None)
        if not images.key or entry is None or not isinstance(statistic, FeatureTable):
            return
        for name in names:
            key = [CACHE_VERSION, *images.key, entry, name]
            if repr(key) not in self.kept:
                yield name, key


def total_variance(statistic: Statistic[Any]) -> float | None:
    """Returns the total variance of the features of a statistic; None if it does not have it."""
    if int(statistic.count) < 2:
        return None
    if isinstance(statistic, FeatureMoments):
        return float(statistic.compute().covariance.trace())
    if isinstance(statistic, FeatureTable) and len(statistic.arrivals) > 1:
        return _variance_of_rows(statistic.compute())
    return None


def _variance_of_rows(rows: Tensor) -> float:
    """Computes the total variance of features (n, d) in float64, in blocks: a copy of a whole table would be large."""
    blocks = rows.split(ROWS)
    mean = torch.stack([block.double().sum(0) for block in blocks]).sum(0) / len(rows)
    return sum(float((block.double() - mean).square().sum()) for block in blocks) / (len(rows) - 1)


def extractor_key(extractor: Extractor | None) -> list[object]:
    """Returns plain values that identify an extractor's features."""
    return [extractor.name, extractor.describe()] if extractor else []
