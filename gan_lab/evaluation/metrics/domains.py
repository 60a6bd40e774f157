"""The quality of translations among many domains: sets of them, and what is measured while they are generated.

Choi et al. 2020, "StarGAN v2: Diverse Image Synthesis for Multiple Domains", section 4 and appendix C: for each ordered
pair of domains, each source is translated in ten styles, drawn at random or of references, and the translations are
compared with images of the target.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import permutations

import numpy as np
import torch
from torch import Tensor

from gan_lab.common.capabilities import LabelledImages, TranslatesAmong
from gan_lab.common.class_names import class_names
from gan_lab.common.errors import UserError
from gan_lab.common.images import to_float, to_uint8
from gan_lab.common.precision import full_precision
from gan_lab.data.class_view import ClassView
from gan_lab.data.loading.keyed_random import permutation
from gan_lab.data.subsets import capped_count, evenly_spaced, evenly_spaced_numbers
from gan_lab.evaluation.features.perceptual import PerceptualDistance
from gan_lab.evaluation.image_sets import ImageSet
from gan_lab.evaluation.metrics.shared_parts import shared_parts
from gan_lab.evaluation.metrics.style_diversity import pairwise_diversity
from gan_lab.evaluation.metrics.translation import Mean
from gan_lab.evaluation.statistic_set import Device
from gan_lab.inference.restyling import num_styles, restyled
from gan_lab.inference.translation import SPLIT

STYLES = 10
"""Styles that each source is translated in."""
MAX_PAIRS = 30
"""Ordered pairs of domains at most: those of six domains; of more, pairs spread evenly over all."""
MIN_IMAGES = 3
"""Test images, and training images, that a domain needs for distances."""
MAX_REFERENCES = 256
"""References of a domain at most."""
CHECKED = 1 / 8
"""Share of the sources of which perceptual distances are measured, at least two."""


@dataclass(frozen=True)
class DomainPair:
    """A domain to translate from, one to translate to, and a name for both: "cat2dog"."""

    source: int
    target: int
    name: str


def domain_pairs(model: TranslatesAmong, data: LabelledImages) -> list[DomainPair]:
    """Returns the ordered pairs of domains with enough test images, at most ``MAX_PAIRS``.

    Raises:
        UserError: if there are no two such domains.
    """
    counts = [torch.bincount(data.labels(split), minlength=model.classes) for split in (SPLIT, "train")]
    known = (torch.stack(counts).amin(0) >= MIN_IMAGES).nonzero().flatten().tolist()
    if len(known) < 2:
        raise UserError(
            f"Distances need at least {MIN_IMAGES} test and training images of each of two domains: add images (a "
            "tenth of each domain is held out if there is no test split), or train without evaluation by "
            "callbacks.fidelity=null."
        )
    pairs = list(permutations(known, 2))
    chosen = evenly_spaced_numbers(len(pairs), min(len(pairs), MAX_PAIRS)).tolist()
    names = plain_names(model)
    joint = "2" if not any(char.isdigit() for name in names for char in name) else "_to_"
    return [DomainPair(a, b, f"{names[a]}{joint}{names[b]}") for a, b in (pairs[number] for number in chosen)]


def plain_names(model: TranslatesAmong) -> list[str]:
    """Returns the domains' names, or their numbers, with underscores for all but letters and digits."""
    names = class_names(model) or [str(number) for number in range(model.classes)]
    plain = ["".join(char if char.isalnum() else "_" for char in name) for name in names]
    return plain if len({*plain}) == len(plain) else [str(number) for number in range(model.classes)]


@dataclass
class Checks:
    """Measures the first translations of a pair, image by image; exact over ranks.

    Args:
        distance: perceptual.
        styles: S, the number of translations of a source.
        diversity: mean distance of the translations of a source from each other.
        own, other: mean distance of a translation from its source, and from the next one.
    """

    distance: PerceptualDistance
    styles: int
    diversity: Mean
    own: Mean
    other: Mean

    @classmethod
    def on(cls, device: torch.device, distance: PerceptualDistance, styles: int) -> "Checks":
        """Returns checks of translations in ``styles`` styles on a device."""
        sums = "cpu" if device.type == "mps" else device  # Apple's GPUs have no float64
        return cls(distance.to(device), styles, *(Mean().to(sums) for _ in range(3)))

    @torch.no_grad()
    @full_precision()
    def update(self, translations: Tensor, sources: Tensor, others: Tensor) -> None:
        """Measures translations (m, S, C, H, W) of sources (m, C, H, W), beside other sources (m, C, H, W)."""
        if self.styles > 1:
            self.diversity.update(pairwise_diversity(translations, self.distance))
        self.own.update(self.distance(translations[:, 0], sources))
        self.other.update(self.distance(translations[:, 0], others))

    def compute(self) -> dict[str, float]:
        """Returns ``pose``, below 1 if translations are nearer to their own sources than to others, and ``diversity``
        if there are styles (collective).
        """
        own, other = self.own.compute().item(), self.other.compute().item()
        several = {"diversity": self.diversity.compute().item()} if self.styles > 1 else {}
        return {f"{key}_{self.distance.name}": value for key, value in {**several, "pose": own / other}.items()}


class StyledImages(ImageSet):
    """Translations of the test images of one domain to another, in several styles each, checked on the way.

    Translation j of source i has the number i S + j, and style i S + j of the seed, or the style of a reference: test
    images of the target in random order, none again before all were.

    Args:
        model: the model.
        data: the data module.
        pair: the domains.
        guided: "latent" draws styles, "reference" takes those of references.
        sources: the number of sources.
        seed: of the styles, and of the order of references.
        batch_size: translations at once.
        device: the model's device.
        distance: for checks; None checks nothing.
    """

    def __init__(
        self,
        model: TranslatesAmong,
        data: LabelledImages,
        pair: DomainPair,
        guided: str,
        sources: int,
        seed: int,
        batch_size: int,
        device: Device,
        distance: PerceptualDistance | None = None,
    ) -> None:
        self.model, self.pair, self.guided, self.sources, self.seed = model, pair, guided, sources, seed
        self.source, self.target = ClassView(data, pair.source), ClassView(data, pair.target)
        self.device, self.name = torch.device(device), f"{pair.name}, {guided}"
        self.styles = STYLES if num_styles(model) else 1
        self.n, self.shape = sources * self.styles, (data.channels, data.height, data.width)
        self.at_once = max(1, batch_size // self.styles)
        self.checked = min(sources, max(2, round(sources * CHECKED)))
        self.checks = None if distance is None else Checks.on(self.device, distance, self.styles)

    def batches(self, progress: bool) -> Iterator[tuple[Tensor, Tensor]]:
        """Yields this rank's share: numbers (m,) and uint8 translations (m, C, H, W). Ranks take batches in turn."""
        bank = self._styles_of_references() if self.guided == "reference" else None
        first = self._first_sources() if self.checks else None
        for start, pixels in shared_parts(self.source, SPLIT, self.sources, self.at_once, self.name, progress):
            numbers = torch.arange(start * self.styles, (start + len(pixels)) * self.styles)
            sources = to_float(pixels.to(self.device))
            images = self._translate(sources, numbers, bank)
            if first is not None and start < self.checked:
                self._check(images, sources, start, first)
            yield numbers, images

    def _styles_of_references(self) -> Tensor:
        """Returns the styles of references in random order, as many as there are translations, (n, S)."""
        count = capped_count(self.target, SPLIT, MAX_REFERENCES)
        with torch.no_grad(), full_precision():
            found = torch.cat(
                [
                    self.model.styles_of(to_float(images.to(self.device)), self.pair.target)
                    for _, images in evenly_spaced(self.target, SPLIT, count)
                ]
            )
        orders = [permutation(count, self.seed, number) for number in range(-(-self.n // count))]
        return found[torch.from_numpy(np.concatenate(orders)[: self.n]).to(found.device)]

    def _first_sources(self) -> Tensor:
        """Returns the sources that are checked, (m, C, H, W)."""
        found: list[Tensor] = []
        for _, pixels in evenly_spaced(self.source, SPLIT, self.sources):
            found.append(pixels)
            if sum(map(len, found)) >= self.checked:
                break
        return to_float(torch.cat(found)[: self.checked].to(self.device))

    def _translate(self, sources: Tensor, numbers: Tensor, bank: Tensor | None) -> Tensor:
        images, to = sources.repeat_interleave(self.styles, 0), self.pair.target
        if bank is None:
            with full_precision():
                styles = self.model.random_styles(len(images), to, self.seed, int(numbers[0]))
        else:
            styles = bank[numbers.to(bank.device)]
        return to_uint8(restyled(self.model, images, to, styles.to(self.device)))

    def _check(self, images: Tensor, sources: Tensor, start: int, first: Tensor) -> None:
        assert self.checks is not None
        count = min(len(sources), self.checked - start)
        translations = to_float(images).unflatten(0, (-1, self.styles))[:count]
        others = first.roll(-1, 0)[start : start + count]
        self.checks.update(translations, sources[:count], others)
