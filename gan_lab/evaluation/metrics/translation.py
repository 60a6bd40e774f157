"""The quality of translations: cycle, identity and pair errors, which are measured while translations are generated.

The distance of a direction's translations from the target domain is computed by a ``Suite``, as that of samples.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from gan_lab.common.capabilities import RealImages, Translates, TwoDomains
from gan_lab.common.distributed import rank_and_world_size
from gan_lab.common.errors import UserError
from gan_lab.common.precision import full_precision
from gan_lab.common.progress import track
from gan_lab.common.stopping import in_rounds
from gan_lab.data.subsets import evenly_spaced
from gan_lab.evaluation.factories import MetricFactory, comparisons_of
from gan_lab.evaluation.features.extractors import Extractor
from gan_lab.evaluation.features.perceptual import PairMetric, l1, paired_metrics, pixel_error
from gan_lab.evaluation.image_sets import ImageSet, SplitImages, visible_pixels, visible_shape
from gan_lab.evaluation.statistic_set import Device
from gan_lab.evaluation.statistics import Statistic
from gan_lab.evaluation.suite import Suite
from gan_lab.inference.translation import SPLIT, ends, translated

PairMetrics = Mapping[str, Mapping[str, PairMetric]]
"""By direction and name, the metrics of translations and their own targets."""


@dataclass(frozen=True)
class DirectionCounts:
    """The number of images of one direction: translations, test images and training images of the target domain."""

    translated: int
    real: int
    floor: int


def direction_counts(model: Translates, data: TwoDomains, n: int) -> dict[str, DirectionCounts]:
    """Returns the number of images of each direction.

    The floor has as many training images as there are translations, if the target domain has that many.

    Args:
        model: the model.
        data: the data module.
        n: maximal number of translations, and of the target's test images.

    Raises:
        UserError: if a set has fewer than three images.
    """
    found = {}
    for direction in model.directions:
        source, target = (data.sides[side] for side in ends(direction))
        count = min(n, source.count(SPLIT))
        each = DirectionCounts(count, min(n, target.count(SPLIT)), min(count, target.count("train")))
        if min(each.translated, each.real, each.floor) < 3:
            raise UserError(
                f"Distances need at least 3 images of each set, but {direction} has {each.translated} to translate, "
                f"{each.real} to compare them with and {each.floor} for the floor: add images (a tenth is held out "
                "if there is no test split), or train without evaluation by callbacks.fidelity=null."
            )
        found[direction] = each
    return found


def direction_suites(
    model: Translates,
    data: TwoDomains,
    metrics: Mapping[str, MetricFactory],
    extractors: Sequence[Extractor],
    n: int,
    device: Device = "cpu",
    cache_dir: str | Path | None = None,
    progress: bool = True,
) -> dict[str, Suite]:
    """Builds the comparisons of features and of images with the target's test images, by direction.

    The baselines are the untranslated sources, and as many of the target's own training images ("real"): the floor of
    the distance at this number of images.
    """
    found = {}
    for direction, count in direction_counts(model, data, n).items():
        source, target = ends(direction)
        untranslated = SplitImages(data.sides[source], SPLIT, count.translated, model.domains[source])
        floor = SplitImages(data.sides[target], "train", count.floor, model.domains[target])
        real = SplitImages(data.sides[target], SPLIT, count.real, model.domains[target])
        baselines = {"untranslated": untranslated, "real": floor}
        execution = (device, cache_dir, progress)
        chosen = comparisons_of(metrics, "features", "images")
        found[direction] = Suite(chosen, extractors, real, baselines, None, *execution)
    return found


class Mean(Statistic[Tensor]):
    """The mean over images of a value, in float64 and exact over ranks."""

    total: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_sum_state("total")

    def accumulate(self, values: Tensor, index: Tensor) -> None:
        """Adds the values (m,) of the images with the numbers ``index`` (m,)."""
        self.total += values.to(self.total).sum()

    def compute(self) -> Tensor:
        """Returns the mean, a scalar, over all ranks (collective)."""
        return self.total / self.count


class TranslatedImages(ImageSet):
    """One direction's translations of the test images, which measures errors image by image on the way.

    - ``cycle_a``: the error of a → b → a, if the model knows the way back;
    - ``identity_b``: the change of images of b by the translator to b, if the domains have the same form;
    - ``<metric>_a2b``: the pair metrics.

    Cycle and identity errors of images are the L1 distance in [-1, 1], of label maps the share of wrong pixels.

    Args:
        model: the model.
        data: the data module.
        name: the direction, "a2b" or "b2a".
        count: the number of images.
        pair_metrics: metrics of a translation and its own target; empty for unpaired data.
        seed: seed of stochastic translations.
        batch_size: maximal number of images translated at once; fewer if they are large.
        device: the model's device.
    """

    def __init__(
        self,
        model: Translates,
        data: TwoDomains,
        name: str,
        count: DirectionCounts,
        pair_metrics: Mapping[str, PairMetric],
        seed: int,
        batch_size: int,
        device: Device,
    ) -> None:
        self.model, self.data, self.name, self.count, self.n = model, data, name, count, count.translated
        self.pair_metrics, self.seed, self.batch_size = pair_metrics, seed, batch_size
        self.device = torch.device(device)
        self.source, self.target = ends(name)
        domain = model.domains[self.target]
        size = visible_shape(data.sides[self.source], SPLIT)  # a translation has its source's
        self.shape = size and (3 if domain.labels else domain.channels, *size[1:])
        for metric in pair_metrics.values():
            if isinstance(metric, nn.Module):
                metric.to(device)
        self.has_cycle = f"{self.target}2{self.source}" in model.directions
        self.has_identity = model.domains["a"] == model.domains["b"]
        names = [f"cycle_{self.source}"] * self.has_cycle + [f"identity_{self.target}"] * self.has_identity
        sums = "cpu" if self.device.type == "mps" else self.device  # Apple's GPUs have no float64
        self.means = {key: Mean().to(sums) for key in [*names, *(f"{each}_{name}" for each in pair_metrics)]}

    def batches(self, progress: bool) -> Iterator[tuple[Tensor, Tensor]]:
        """Yields this rank's share: numbers (m,) and uint8 translations (m, C, H, W). Ranks take batches in turn."""
        rank, world = rank_and_world_size()
        source, target = (self.data.sides[side] for side in (self.source, self.target))
        targets: Iterable[tuple[int, Tensor | None]] = repeat((0, None))
        if self.pair_metrics:
            targets = evenly_spaced(target, SPLIT, self.count.real, self.batch_size)
        sources = self._parts(source, self.count.translated, progress)
        for number, ((start, pixels), (_, target_pixels)) in enumerate(zip(sources, targets, strict=False)):
            if number % world == rank:
                yield torch.arange(start, start + len(pixels)), self._translate(start, pixels, target_pixels)
        if self.has_identity:
            for number, (start, pixels) in enumerate(self._parts(target, self.count.real, progress)):
                if number % world == rank:
                    self._measure_identity(start, pixels)

    def _parts(self, side: RealImages, n: int, progress: bool) -> Iterator[tuple[int, Tensor]]:
        (rank, world), parts = rank_and_world_size(), evenly_spaced(side, SPLIT, n, self.batch_size)
        return in_rounds(track(parts, self.name, n, progress and rank == 0, lambda part: len(part[1])), world)

    def _translate(self, start: int, pixels: Tensor, targets: Tensor | None) -> Tensor:
        """Translates the source images start, start + 1, …, uint8 (m, C, H, W), and measures cycle and pair errors."""
        domains = self.model.domains
        image = domains[self.source].encode(pixels.to(self.device))
        translation = translated(self.model, image, self.target, self.seed, start)
        if self.has_cycle:
            cycle = translated(self.model, translation, self.source, self.seed, start)
            self.means[f"cycle_{self.source}"].update(self._error(self.source, cycle, image))
        if targets is not None:
            self._measure_pairs(translation, domains[self.target].encode(targets.to(self.device)))
        return visible_pixels(domains[self.target], domains[self.target].decode(translation))

    @torch.no_grad()
    @full_precision()
    def _measure_pairs(self, fake: Tensor, real: Tensor) -> None:
        if fake.shape != real.shape:
            raise UserError(
                f"An image of {tuple(fake.shape[2:])} and its target of {tuple(real.shape[2:])} cannot be compared: "
                "pairs must have equal sizes."
            )
        if labels := self.model.domains[self.target].labels:
            fake, real = fake[:, :labels], real[:, :labels]  # without the channel of pixels of no class
        for name, metric in self.pair_metrics.items():
            self.means[f"{name}_{self.name}"].update(metric(fake, real))

    def _measure_identity(self, start: int, pixels: Tensor) -> None:
        """Translates the target's own images, which the translator should leave as they are."""
        image = self.model.domains[self.target].encode(pixels.to(self.device))
        translation = translated(self.model, image, self.target, self.seed, start)
        self.means[f"identity_{self.target}"].update(self._error(self.target, translation, image))

    def _error(self, side: str, fake: Tensor, real: Tensor) -> Tensor:
        labels = self.model.domains[side].labels
        return pixel_error(fake[:, :labels], real[:, :labels]) if labels else l1(fake, real)

    def errors(self) -> dict[str, float]:
        """Returns the errors by name, over all ranks (collective); to be called after ``batches``."""
        return {name: mean.compute().item() for name, mean in self.means.items()}


def pair_metrics(
    model: Translates, data: TwoDomains, weights: Mapping[str, str | None] | None = None
) -> dict[str, Mapping[str, PairMetric]]:
    """Returns, by direction, the metrics of translations and their own targets.

    Label maps have ``wrong``, the share of wrong pixels; images have ``paired_metrics``.

    Args:
        model: the model.
        data: the data module.
        weights: files of LPIPS' networks, by name.

    Raises:
        UserError: if the numbers or the names of test images differ, or weights are not the published ones.
    """
    a, b = (data.sides[side] for side in ("a", "b"))
    if a.count(SPLIT) != b.count(SPLIT):
        raise UserError(f"{a.count(SPLIT)} and {b.count(SPLIT)} test images cannot be pairs: leave out paired=true.")
    _check_names(data)
    maps = {name: bool(model.domains[ends(name)[1]].labels) for name in model.directions}
    shortest = min(a.height, a.width, b.height, b.width)
    images = {} if all(maps.values()) else paired_metrics(shortest, weights or {})
    return {name: {"wrong": pixel_error} if maps[name] else images for name in model.directions}


@runtime_checkable
class HasNames(Protocol):
    """Two domains of images in files."""

    def names(self, side: str, split: str) -> Sequence[str]:
        """Returns the names of a domain's images, in order; none if they are not in files."""


def _check_names(data: TwoDomains) -> None:
    """Checks that images of unpaired data that are said to be pairs have the same names.

    Raises:
        UserError: if they differ.
    """
    if data.paired or not isinstance(data, HasNames):
        return
    for a, b in zip(*(data.names(side, SPLIT) for side in ("a", "b")), strict=False):
        if a != b:
            raise UserError(f"Test images called {a} and {b} cannot be pairs: leave out paired=true.")
