"""How good a model's translations are: by direction, against the other domain's test pictures and against its own."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gan_lab.common.capabilities import Translates, TwoDomains
from gan_lab.common.distributed import rank_and_world_size
from gan_lab.common.errors import UserError
from gan_lab.common.precision import full_precision
from gan_lab.common.progress import track
from gan_lab.data.subsets import evenly_spaced
from gan_lab.evaluation.features.extractors import Extractor
from gan_lab.evaluation.features.perceptual import Compare, Perceptual, comparisons, l1, wrong
from gan_lab.evaluation.image_sets import ImageSet, SplitImages, seen
from gan_lab.evaluation.results import Report, environment_info
from gan_lab.evaluation.statistics import Statistic
from gan_lab.evaluation.suite import Device, MetricFactory, Suite, metric_class
from gan_lab.inference.translation import SPLIT, ends, translated

Figures = dict[str, float]
Pairs = Mapping[str, Mapping[str, Compare]]
"""By direction and name, what translations and their own real pictures are compared by."""


@dataclass(frozen=True)
class Counts:
    """How many pictures take part in one direction: translations, the target's test pictures, its train pictures."""

    translated: int
    real: int
    floor: int


def counts(model: Translates, data: TwoDomains, n: int) -> dict[str, Counts]:
    """By direction; the floor has as many train pictures as there are translations, where the target has them.

    Raises:
        UserError: where a set has fewer than three.
    """
    found = {}
    for direction in model.directions:
        source, target = (data.sides[side] for side in ends(direction))
        made = min(n, source.count(SPLIT))
        found[direction] = each = Counts(made, min(n, target.count(SPLIT)), min(made, target.count("train")))
        if min(each.translated, each.real, each.floor) < 3:
            raise UserError(
                f"Distances need at least 3 pictures of each set, but {direction} has {each.translated} to translate, "
                f"{each.real} to compare them with and {each.floor} for the floor: add pictures (a tenth is held out "
                "where there is no test split), or train unmeasured with callbacks.fidelity=null."
            )
    return found


def suites(
    model: Translates,
    data: TwoDomains,
    parts: Mapping[str, MetricFactory],
    extractors: Sequence[Extractor],
    n: int,
    device: Device = "cpu",
    cache_dir: str | Path | None = None,
    progress: bool = True,
) -> dict[str, Suite]:
    """By direction, comparisons with the target's test pictures; to compare, the untranslated sources and as many of
    the target's own train pictures: the floor at this number.
    """
    found = {}
    of_features = {name: part for name, part in parts.items() if getattr(metric_class(part), "input", "") == "features"}
    for direction, count in counts(model, data, n).items():
        source, target = ends(direction)
        idle = SplitImages(data.sides[source], SPLIT, count.translated, model.domains[source])
        own = SplitImages(data.sides[target], "train", count.floor, model.domains[target])
        real = SplitImages(data.sides[target], SPLIT, count.real, model.domains[target])
        baselines = {"untranslated": idle, "real": own}
        found[direction] = Suite(of_features, extractors, real, baselines, None, device, cache_dir, progress)
    return found


class Mean(Statistic):
    """The mean of a figure over pictures, in float64 and exact over ranks."""

    total: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_sum_state("total")

    def add(self, values: Tensor, index: Tensor) -> None:
        """A figure a picture, (m,)."""
        self.total += values.to(self.total).sum()

    def compute(self) -> Tensor:
        """A collective."""
        return self.total / self.count


class Translations(ImageSet):
    """One direction's translations of the test pictures: a set to be measured, which on its way measures what is told
    picture by picture.

    Args:
        name: "a2b" or "b2a".
        count: how many pictures take part.
        compared: what a translation and its own real picture are compared by; empty without pairs.
        seed: of the model's chance.
        batch_size: pictures translated at once at most; fewer of large ones.
    """

    def __init__(
        self,
        model: Translates,
        data: TwoDomains,
        name: str,
        count: Counts,
        compared: Mapping[str, Compare],
        seed: int,
        batch_size: int,
        device: Device,
    ) -> None:
        self.model, self.data, self.name, self.count, self.n = model, data, name, count, count.translated
        self.compared, self.seed, self.batch_size, self.device = compared, seed, batch_size, torch.device(device)
        self.source, self.target = ends(name)
        for each in compared.values():
            if isinstance(each, Perceptual):
                each.to(device)
        self.returns = f"{self.target}2{self.source}" in model.directions
        self.alike = model.domains["a"] == model.domains["b"]
        names = [f"cycle_{self.source}"] * self.returns + [f"identity_{self.target}"] * self.alike
        sums = "cpu" if self.device.type == "mps" else self.device  # Apple's GPUs have no float64
        self.means = {key: Mean().to(sums) for key in [*names, *(f"{each}_{name}" for each in compared)]}

    def batches(self, progress: bool) -> Iterator[tuple[Tensor, Tensor]]:
        """Ranks take parts in turn."""
        rank, world = rank_and_world_size()
        source, target = (self.data.sides[side] for side in (self.source, self.target))
        partners: Iterable[tuple[int, Tensor | None]] = repeat((0, None))
        if self.compared:
            partners = evenly_spaced(target, SPLIT, self.count.real, self.batch_size)
        given = self._parts(source, self.count.translated, progress)
        for number, ((start, pixels), (_, partner)) in enumerate(zip(given, partners, strict=False)):
            if number % world == rank:
                yield torch.arange(start, start + len(pixels)), self._translate(start, pixels, partner)
        if self.alike:
            for number, (start, pixels) in enumerate(self._parts(target, self.count.real, progress)):
                if number % world == rank:
                    self._keep(start, pixels)

    def _parts(self, side: Any, n: int, progress: bool) -> Iterator[tuple[int, Tensor]]:
        given, show = evenly_spaced(side, SPLIT, n, self.batch_size), progress and rank_and_world_size()[0] == 0
        return track(given, self.name, n, show, lambda part: len(part[1]))

    def _translate(self, start: int, pixels: Tensor, partners: Tensor | None) -> Tensor:
        """The source's pictures start, start + 1, …, uint8 (m, C, H, W), and the target's that they belong to."""
        domains = self.model.domains
        given = domains[self.source].encode(pixels.to(self.device))
        made = translated(self.model, given, self.target, self.seed, start)
        if self.returns:
            again = translated(self.model, made, self.source, self.seed, start)
            self.means[f"cycle_{self.source}"].update(self._differ(self.source, again, given))
        if partners is not None:
            self._compare(made, domains[self.target].encode(partners.to(self.device)))
        return seen(domains[self.target], domains[self.target].decode(made))

    @torch.no_grad()
    @full_precision()
    def _compare(self, made: Tensor, real: Tensor) -> None:
        if made.shape != real.shape:
            raise UserError(
                f"A picture of {tuple(made.shape[2:])} does not belong to one of {tuple(real.shape[2:])}: "
                "pairs must have equal sizes."
            )
        for name, compare in self.compared.items():
            self.means[f"{name}_{self.name}"].update(compare(made, real))

    def _keep(self, start: int, pixels: Tensor) -> None:
        """The target's own pictures, which the translator should leave as they are."""
        given = self.model.domains[self.target].encode(pixels.to(self.device))
        made = translated(self.model, given, self.target, self.seed, start)
        self.means[f"identity_{self.target}"].update(self._differ(self.target, made, given))

    def _differ(self, side: str, made: Tensor, given: Tensor) -> Tensor:
        return (wrong if self.model.domains[side].labels else l1)(made, given)

    def figures(self) -> Figures:
        """Of all ranks (a collective)."""
        return {name: mean.compute().item() for name, mean in self.means.items()}


def comparing(model: Translates, data: TwoDomains, weights: Mapping[str, str | None] | None = None) -> Pairs:
    """What translations and their own real pictures are compared by: of maps ``wrong`` alone, else ``comparisons``.

    Args:
        weights: files of LPIPS' trunks, by name.

    Raises:
        UserError: where the test pictures cannot be pairs, or weights are not what they should be.
    """
    a, b = (data.sides[side] for side in ("a", "b"))
    if a.count(SPLIT) != b.count(SPLIT):
        raise UserError(f"{a.count(SPLIT)} and {b.count(SPLIT)} test pictures are no pairs: leave paired=true away.")
    maps = {name: bool(model.domains[ends(name)[1]].labels) for name in model.directions}
    pictures = {} if all(maps.values()) else comparisons(min(a.height, a.width, b.height, b.width), weights or {})
    return {name: {"wrong": wrong} if maps[name] else pictures for name in model.directions}


def measure_translation(
    model: Translates,
    data: TwoDomains,
    suites: Mapping[str, Suite],
    n: int = 10_000,
    seed: int = 0,
    pairs: Pairs | None = None,
    batch_size: int = 256,
    device: Device = "cpu",
) -> Report:
    """Measures the translations of the test pictures; every rank calls it and gets the same report (a collective).

    Its figures, for every extractor (here of "colour") and direction (here "a2b"):

    - ``fd_colour``, ``kd_colour``: the means over the directions, first of all, so the best checkpoint goes by them.
    - ``fd_colour_a2b``, ``kd_colour_a2b`` and so on, by the suites' parts: of the translations from the target's test
      pictures. The same with ``_untranslated``, of the sources as they are, and with ``_real``, of as many of the
      target's own train pictures.
    - ``cycle_a`` where the model knows the way back: by what a → b → a differs from the source. ``identity_b`` where
      the domains are alike: by what the translator to b changes pictures that are of b already. Pictures differ by
      their L1 in [-1, 1], maps by the share of pixels of another class.
    - Of pairs ``l1_a2b``, ``ssim_a2b``, ``pd_colour_a2b``, ``lpips_alex_a2b``; of maps ``wrong_a2b``.

    Args:
        suites: by direction; see ``suites``.
        n: pictures of each set at most, evenly spread over it.
        seed: of the model's chance.
        pairs: where picture i of "a" belongs to picture i of "b", what they are compared by: see ``comparing``.
        batch_size: pictures translated at once at most; fewer of large ones.

    Raises:
        UserError: where there are too few pictures, or pairs that do not match.
    """
    numbers, pairs = counts(model, data, n), pairs or {}
    extractors = next(iter(suites.values())).extractors
    figures: Figures = {}
    for name, count in numbers.items():
        made = Translations(model, data, name, count, pairs.get(name, {}), seed, batch_size, device)
        figures |= suites[name].measure(made, name)[0] | made.figures()
    described = {"paired": data.paired, **{side: data.sides[side].describe() for side in ("a", "b")}}
    protocol = _protocol(numbers, pairs) | {"seed": seed} | environment_info(model, described, extractors)
    return Report(_overall(model.directions, extractors, figures) | figures, {}, protocol)


def _protocol(numbers: Mapping[str, Counts], pairs: Pairs) -> dict[str, Any]:
    compared = {name: compare for direction in pairs.values() for name, compare in direction.items()}
    return {
        "directions": {name: vars(count) for name, count in numbers.items()},
        "split": SPLIT,
        "precision": "fp32",
        "paired": bool(pairs),
        "kernel": "(x·y / d + 1)³, unbiased over all pairs; error by the jackknife",
        "networks": {name: each.sha256 for name, each in compared.items() if isinstance(each, Perceptual)},
    }


def _overall(directions: Sequence[str], extractors: Sequence[Extractor], figures: Figures) -> Figures:
    found = {}
    for name in (each.figure(kind) for each in extractors for kind in ("fd", "kd")):
        if f"{name}_{directions[0]}" in figures:
            found[name] = sum(figures[f"{name}_{direction}"] for direction in directions) / len(directions)
    return found
