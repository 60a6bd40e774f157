"""How good a model's translations are: by direction, against the other domain's test pictures and against its own."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import repeat
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric

from gan_lab.imaging import reflect_to, up
from gan_lab.metrics.cache import ranks
from gan_lab.metrics.extractors import Extractor
from gan_lab.metrics.features import FeatureTable, seen, spread
from gan_lab.metrics.fidelity import Report, circumstances
from gan_lab.metrics.perceptual import Compare, Perceptual, comparisons, l1, wrong
from gan_lab.metrics.statistics import Device
from gan_lab.metrics.targets import SPLIT, Counts, Figures, Targets, counts, distances, ends, targets
from gan_lab.precision import full_precision
from gan_lab.progress import track
from gan_lab.types import Translates, TwoDomains, UserError

Pairs = Mapping[str, Mapping[str, Compare]]
"""By direction and name, what translations and their own real pictures are compared by."""


@torch.no_grad()
@full_precision()
def translated(model: Translates, pictures: Tensor, to: str, seed: int = 0, start: int = 0) -> Tensor:
    """Pictures (N, C, H, W) as a network sees them → domain ``to``, in float32 and at their size.

    Where the model cannot take the size, pictures are reflected up to one that it can, and what that adds is cut off.
    """
    height, width = pictures.shape[2:]
    larger = reflect_to(pictures, (up(height, model.multiple), up(width, model.multiple)))
    made = model.translate(larger, to, seed, start)
    return made[..., :height, :width].float()


class Mean(Metric):
    """The mean of a figure over pictures, in float64 and exact over ranks."""

    full_state_update = False
    total: Tensor
    count: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("total", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("count", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, values: Tensor) -> None:
        """A figure a picture, (N,)."""
        self.total += values.detach().to(self.total).sum()
        self.count += len(values)

    def compute(self) -> Tensor:
        """A collective."""
        return self.total / self.count


class Direction:
    """One direction while it is measured: takes pixels part by part, the same parts on no two ranks.

    Args:
        name: "a2b" or "b2a".
        n: the number of pictures that will be translated, over all ranks.
        compared: what a translation and its own real picture are compared by; empty without pairs.
    """

    def __init__(
        self,
        model: Translates,
        name: str,
        n: int,
        extractors: Sequence[Extractor],
        compared: Mapping[str, Compare],
        seed: int,
        device: Device,
    ) -> None:
        self.model, self.name, self.seed, self.device = model, name, seed, torch.device(device)
        self.source, self.target = ends(name)
        self.extractors, self.compared = [each.to(device) for each in extractors], compared
        for each in compared.values():
            if isinstance(each, Perceptual):
                each.to(device)
        self.returns = f"{self.target}2{self.source}" in model.directions
        self.alike = model.domains["a"] == model.domains["b"]
        self.features = {each.name: FeatureTable(each.dim, n).to(device) for each in extractors}
        names = [f"cycle_{self.source}"] * self.returns + [f"identity_{self.target}"] * self.alike
        sums = "cpu" if self.device.type == "mps" else self.device  # Apple's GPUs have no float64
        self.means = {key: Mean().to(sums) for key in [*names, *(f"{each}_{name}" for each in compared)]}

    def translate(self, start: int, pixels: Tensor, partners: Tensor | None) -> None:
        """The source's pictures start, start + 1, …, uint8 (m, C, H, W), and the target's that they belong to."""
        domains = self.model.domains
        given = domains[self.source].encode(pixels.to(self.device))
        made = translated(self.model, given, self.target, self.seed, start)
        shown = seen(domains[self.target], domains[self.target].decode(made))
        for each in self.extractors:
            self.features[each.name].update(each(shown)[0], start)
        if self.returns:
            again = translated(self.model, made, self.source, self.seed, start)
            self.means[f"cycle_{self.source}"].update(self._differ(self.source, again, given))
        if partners is not None:
            self._compare(made, domains[self.target].encode(partners.to(self.device)))

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

    def keep(self, start: int, pixels: Tensor) -> None:
        """The target's own pictures, which the translator should leave as they are."""
        given = self.model.domains[self.target].encode(pixels.to(self.device))
        made = translated(self.model, given, self.target, self.seed, start)
        self.means[f"identity_{self.target}"].update(self._differ(self.target, made, given))

    def _differ(self, side: str, made: Tensor, given: Tensor) -> Tensor:
        return (wrong if self.model.domains[side].labels else l1)(made, given)

    def figures(self, known: Targets) -> Figures:
        """Of all ranks (a collective)."""
        found: Figures = {}
        for each in self.extractors:
            target = known[self.name][each.name]
            found |= distances(each, self.name, self.features[each.name].compute(), target.features) | target.figures
        return found | {name: mean.compute().item() for name, mean in self.means.items()}


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
    extractors: Sequence[Extractor],
    n: int = 10_000,
    seed: int = 0,
    pairs: Pairs | None = None,
    batch_size: int = 256,
    device: Device = "cpu",
    known: Targets | None = None,
    cache_dir: str | Path | None = None,
    progress: bool = True,
) -> Report:
    """Measures the translations of the test pictures; every rank calls it and gets the same report (a collective).

    Its figures, for every extractor (here of "colour") and direction (here "a2b"):

    - ``fd_colour``, ``kd_colour``: the means over the directions, first of all, so the best checkpoint goes by them.
    - ``fd_colour_a2b``, ``kd_colour_a2b``: Fréchet and kernel distance of the translations from the target's test
      pictures, the latter with ``kd_colour_a2b_error``. The same with ``_untranslated``, of the sources as they are,
      and with ``_real``, of as many of the target's own train pictures: the floor at this number.
    - ``cycle_a`` where the model knows the way back: by what a → b → a differs from the source. ``identity_b`` where
      the domains are alike: by what the translator to b changes pictures that are of b already. Pictures differ by
      their L1 in [-1, 1], maps by the share of pixels of another class.
    - Of pairs ``l1_a2b``, ``ssim_a2b``, ``pd_colour_a2b``, ``lpips_alex_a2b``; of maps ``wrong_a2b``.

    Args:
        n: pictures of each set at most, evenly spread over it.
        seed: of the model's chance.
        pairs: where picture i of "a" belongs to picture i of "b", what they are compared by: see ``comparing``.
        batch_size: pictures translated at once at most; fewer of large ones.
        known: the targets, if the caller has them from ``targets`` with the same arguments.
        cache_dir: where features that do not change are kept (default GAN_LAB_CACHE, else ~/.cache/gan_lab).

    Raises:
        UserError: where there are too few pictures, or pairs that do not match.
    """
    numbers, pairs = counts(model, data, n), pairs or {}
    known = known or targets(model, data, extractors, n, device, cache_dir, progress)
    figures: Figures = {}
    for name, count in numbers.items():
        direction = Direction(model, name, count.translated, extractors, pairs.get(name, {}), seed, device)
        _go_through(direction, data, count, batch_size, progress)
        figures |= direction.figures(known)
    described = {"paired": data.paired, **{side: data.sides[side].describe() for side in ("a", "b")}}
    protocol = _protocol(numbers, pairs) | {"seed": seed} | circumstances(described, extractors)
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


def _go_through(direction: Direction, data: TwoDomains, count: Counts, batch_size: int, progress: bool) -> None:
    """Ranks take parts in turn."""
    rank, world = ranks()
    source, target = data.sides[direction.source], data.sides[direction.target]
    partners: Iterable[tuple[int, Tensor | None]] = repeat((0, None))
    if direction.compared:
        partners = spread(target, SPLIT, count.real, batch_size)
    given = track(spread(source, SPLIT, count.translated, batch_size), direction.name, None, progress and rank == 0)
    for number, ((start, pixels), (_, partner)) in enumerate(zip(given, partners, strict=False)):
        if number % world == rank:
            direction.translate(start, pixels, partner)
    if direction.alike:
        own = track(spread(target, SPLIT, count.real, batch_size), direction.name, None, progress and rank == 0)
        for number, (start, pixels) in enumerate(own):
            if number % world == rank:
                direction.keep(start, pixels)


def _overall(directions: Sequence[str], extractors: Sequence[Extractor], figures: Figures) -> Figures:
    names = [name for each in extractors for name in (each.distance, each.kernel)]
    return {name: sum(figures[f"{name}_{direction}"] for direction in directions) / len(directions) for name in names}
