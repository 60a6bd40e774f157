"""Computes the metrics of a set of generated images against real ones."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import cast

import torch
from torch import Tensor

from gan_lab.common.distributed import raise_lost_rank, rank_and_world_size
from gan_lab.common.errors import UserError
from gan_lab.common.progress import console, track
from gan_lab.common.stopping import attempt, separately
from gan_lab.evaluation.factories import AnyComparison, MetricFactory, build_metric, comparison_class, metric_name
from gan_lab.evaluation.feature_table import FeatureTable
from gan_lab.evaluation.features.extractors import Extractor
from gan_lab.evaluation.features.general import General
from gan_lab.evaluation.image_sets import ImageSet
from gan_lab.evaluation.statistic_set import Device, StatisticSet, total_variance
from gan_lab.evaluation.statistics import NotApplicableError, Values, curves_of, scalars_of

Value = float | list[float]
Built = tuple[str, Extractor | None, AnyComparison]
"""A metric's name, its extractor and the comparison built of them."""


class Suite:
    """Compares generated images with real ones by several metrics.

    A metric is built with those of the following arguments that its factory takes, and is left out if one that it
    needs is missing:

    - ``dim``: d of features, or K of logits, for a metric whose input these are;
    - ``extractor``: the extractor of its features or logits;
    - ``shape``: (C, H, W);
    - ``real``, ``fake``: the number of images on each side;
    - ``held_out``: the number of images of the baseline "real", if there is one;
    - ``labels``: the classes of the images of both sides, ``classes``, K, and ``class_names``, empty if they have none;
    - ``class_logits``: the slice of the extractor's logits that are the data's classes;
    - everything in ``context``.

    Args:
        metrics: factories by name; those of model metrics are not allowed.
        extractors: compute features and logits; metrics of images need none.
        real: the real images.
        baselines: by name, other sets that metrics with ``baseline_keys`` also compare with the real images.
        context: further arguments that metrics may take, such as the ``mode_classifier``.
        device: the device of the extractors.
        cache_dir: the folder of cached statistics (default GAN_LAB_CACHE, else ~/.cache/gan_lab).
        progress: show progress bars.

    Raises:
        UserError: if two extractors have the same name.
    """

    def __init__(
        self,
        metrics: Mapping[str, MetricFactory],
        extractors: Sequence[Extractor],
        real: ImageSet,
        baselines: Mapping[str, ImageSet] | None = None,
        context: Mapping[str, object] | None = None,
        device: Device = "cpu",
        cache_dir: str | Path | None = None,
        progress: bool = True,
    ) -> None:
        names = [each.name for each in extractors]
        if len(set(names)) < len(names):
            raise UserError(f"Several extractors have one name: {', '.join(names)}. Give each a name of its own.")
        self.metrics, self.extractors = metrics, [each.to(device) for each in extractors]
        self.real, self.baselines, self.context = real, dict(baselines or {}), dict(context or {})
        self.device, self.cache_dir, self.progress = device, cache_dir, progress
        self.real_statistics, self.fake_statistics = StatisticSet(device), StatisticSet(device)
        self.baseline_values: dict[str, dict[tuple[Extractor | None, str], Value]] = {}
        self.described: dict[str, Mapping[str, object]] = {}
        self.printed: set[str] = set()
        self.failed: dict[str, Exception] = {}
        self.judged: set[str] = set()
        self.unknown: dict[str, float] = {}
        """By extractors that do not know such images, the share of the variance that they should have."""

    def evaluate(self, fake: ImageSet, infix: str = "") -> tuple[dict[str, float], dict[str, list[float]]]:
        """Returns metrics and curves by name, equal on every rank (collective).

        A metric that raises an error is left out: ``failed`` has the errors of the last evaluation by metric.

        Args:
            fake: the generated images.
            infix: becomes part of each name, such as a direction of translation.
        """
        statistics = self.fake_statistics = StatisticSet(self.device)
        self.failed = {}
        comparisons = list(self._comparisons(fake, statistics))
        self.real_statistics.complete(self.real, self.device, self.cache_dir, self.progress)
        if fake.key:
            statistics.complete(fake, self.device, self.cache_dir, self.progress)
        else:
            statistics.accumulate(fake, self.device, self.progress)
        self._warn_of_unknown()
        found: Values = {}
        comparisons.sort(key=lambda built: built[1] is not None and built[1].name in self.unknown)
        shown = track(comparisons, "metrics", len(comparisons), self.progress and rank_and_world_size()[0] == 0)
        for name, extractor, comparison in shown:
            values = self._compare(self._label(name, extractor), comparison, statistics)
            found |= {metric_name(extractor, key, infix): value for key, value in values.items()}
        for name in self.baselines:
            for (extractor, key), value in self._of_baseline(name).items():
                if metric_name(extractor, key, infix) in found:
                    # A score knows its real side itself.
                    found.setdefault(metric_name(extractor, key, infix, name), value)
        for _, extractor, comparison in comparisons:
            self._relate(extractor, comparison, found, infix)
        return scalars_of(found), curves_of(found)

    def _relate(self, extractor: Extractor | None, comparison: AnyComparison, found: Values, infix: str) -> None:
        """Divides the values of a comparison by those of the baseline that they are relative to."""
        if comparison.relative_to is None:
            return
        for key in comparison.baseline_keys:
            base = self.baseline_values.get(comparison.relative_to, {}).get((extractor, key))
            for name in ("", *self.baselines):
                value = found.pop(metric_name(extractor, key, infix, name), None)
                if isinstance(value, float) and isinstance(base, float) and base and name != comparison.relative_to:
                    found[metric_name(extractor, key, infix, name)] = value / base

    def _warn_of_unknown(self) -> None:
        """Finds and names the extractors that do not know such images, by the variance of the real images' features."""
        for entry in self.real_statistics.entries.values():
            extractor = entry.extractor
            if extractor is None or extractor.spread is None or entry.input != "features":
                continue
            if extractor.name in self.judged or (variance := total_variance(entry.statistic)) is None:
                continue
            self.judged.add(extractor.name)
            if not extractor.knows(variance, self.real.name):
                self.unknown[extractor.name] = share = variance / extractor.spread
                self._print_once(
                    f"{extractor.name} does not know such images: their features vary {share:.0%} as much as those of "
                    f"the images it was trained on. Do not compare models by it; {_instead_of(extractor)}."
                )

    def set_baseline(self, name: str, images: ImageSet) -> None:
        """Adds or replaces a baseline set, whose metrics are then computed anew."""
        self.baselines[name] = images
        self.baseline_values.pop(name, None)

    def tables(self, extractor: Extractor) -> tuple[Tensor, Tensor] | None:
        """Returns the features of the real images (m, d) and of the last generated ones (n, d), or None if no metric
        keeps them image by image.
        """
        found = [
            entry.statistic.compute()
            for statistics in (self.real_statistics, self.fake_statistics)
            for entry in statistics.entries.values()
            if isinstance(entry.statistic, FeatureTable) and entry.extractor is extractor and entry.input == "features"
        ]
        return (found[0], found[1]) if len(found) == 2 else None

    def _of_baseline(self, name: str) -> dict[tuple[Extractor | None, str], Value]:
        """Returns the values of a baseline, which are computed once unless some fail."""
        if name in self.baseline_values:
            return self.baseline_values[name]
        before = len(self.failed)
        found: dict[tuple[Extractor | None, str], Value] = {}
        try:
            comparisons, statistics = self._complete_baseline(name)
        except Exception as error:
            self._fail(name, error)
            return {}
        for metric, extractor, comparison in comparisons:
            values = self._compare(self._label(metric, extractor, name), comparison, statistics)
            found |= {(extractor, key): values[key] for key in comparison.baseline_keys if key in values}
        if len(self.failed) == before:
            self.baseline_values[name] = found
        return found

    def _complete_baseline(self, name: str) -> tuple[list[Built], StatisticSet]:
        statistics = StatisticSet(self.device)
        comparisons = list(self._comparisons(self.baselines[name], statistics, baseline=True))
        self.real_statistics.complete(self.real, self.device, self.cache_dir, self.progress)
        statistics.complete(self.baselines[name], self.device, self.cache_dir, self.progress)
        return comparisons, statistics

    def _comparisons(self, fake: ImageSet, statistics: StatisticSet, baseline: bool = False) -> Iterator[Built]:
        """Builds the comparisons that apply to these images, or of those the ones with baselines, and shares their
        statistics.
        """
        for name, factory in self.metrics.items():
            kind = comparison_class(factory)
            if kind is None or (baseline and not kind.baseline_keys):
                continue
            for extractor in [None] if kind.input == "images" else self.extractors:
                if baseline and self._label(name, extractor) in self.failed:
                    continue
                comparison = self._build(name, factory, extractor, fake, kind.input)
                if comparison is None:
                    continue
                self.described[name] = comparison.described
                comparison.real = self.real_statistics.add(extractor, kind.input, comparison.real)
                comparison.fake = statistics.add(extractor, kind.input, comparison.fake)
                yield name, extractor, comparison

    def _compare(self, label: str, comparison: AnyComparison, statistics: StatisticSet) -> Values:
        """Returns the values of a comparison, none if it fails on any rank (collective)."""
        earlier = self.real_statistics.error_of(comparison.real) or statistics.error_of(comparison.fake)
        if earlier is not None:
            self._fail(label, earlier)
            return {}
        sides = [attempt(each.compute) for each in (comparison.real, comparison.fake)]
        derived = comparison.real, comparison.of_real, self.real, self.cache_dir
        try:
            self.real_statistics.recall(*derived)
            values = separately(lambda: comparison.compare(*(side() for side in sides)))
            self.real_statistics.keep_derived(*derived)
            return values
        except NotApplicableError as why:
            self._print_once(f"{label} is left out: {why}")
        except Exception as error:
            self._fail(label, error)
        return {}

    def _fail(self, label: str, error: Exception) -> None:
        raise_lost_rank(error)
        self.failed[label] = error

    def _label(self, metric: str, extractor: Extractor | None, *more: str) -> str:
        """Returns the name of what fails: the metric's, and what tells it from others of the same name."""
        return "_".join([metric, *([extractor.name] if extractor and len(self.extractors) > 1 else []), *more])

    def _build(
        self, name: str, factory: MetricFactory, extractor: Extractor | None, fake: ImageSet, values: str
    ) -> AnyComparison | None:
        """Builds a comparison, or returns None if it does not apply, or fails."""
        try:
            built = separately(lambda: build_metric(factory, self._arguments(extractor, fake, values)))
            return cast(AnyComparison | None, built and built.to(self.real_statistics.device))
        except NotApplicableError as why:
            self._print_once(f"{name} is left out: {why}")
        except Exception as error:
            self._fail(self._label(name, extractor), error)
        return None

    def _arguments(self, extractor: Extractor | None, fake: ImageSet, values: str) -> dict[str, object]:
        """Returns the arguments that a metric can take for these images."""
        offered: dict[str, object] = {**self.context, "real": self.real.n, "fake": fake.n}
        if "real" in self.baselines:
            offered["held_out"] = self.baselines["real"].n
        if fake.shape is not None and self.real.shape == fake.shape:
            offered["shape"] = fake.shape
        if extractor:
            offered["extractor"] = extractor
            if values == "features" or extractor.classes:
                offered["dim"] = extractor.dim if values == "features" else extractor.classes
            if self.real.name in extractor.class_logits:
                offered["class_logits"] = extractor.class_logits[self.real.name]
        if self.real.labels is not None and fake.labels is not None:
            offered["labels"] = self.real.labels, fake.labels
            offered["class_names"] = self.real.class_names
            offered["classes"] = int(torch.cat([self.real.labels, fake.labels]).max()) + 1
        return offered

    def _print_once(self, sentence: str) -> None:
        if sentence not in self.printed and rank_and_world_size()[0] == 0:
            console.print(sentence, soft_wrap=True, highlight=False)
        self.printed.add(sentence)


def _instead_of(extractor: Extractor) -> str:
    if isinstance(extractor, General):
        return "look at the samples, and at fwd and swd (metrics=[wavelet,patches]), which need no network"
    return "extractor=general knows more kinds"
