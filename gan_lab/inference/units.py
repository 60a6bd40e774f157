"""Units of a generator: the channels of its feature maps, and the classes of pixels that they draw.

Bau et al. 2019, "GAN Dissection: Visualizing and Understanding Generative Adversarial Networks".
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan_lab.common.bounds import PositiveInt
from gan_lab.common.capabilities import Decodes
from gan_lab.common.errors import UserError
from gan_lab.inference.watching import are_maps, watching

QUANTILES = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4)
"""Shares of a unit's activations that a threshold may leave above it."""
PLACES = 512
"""Places of each sample that thresholds are computed from."""
LEAST_SIDE = 8
"""Maps with fewer rows are not dissected unless they are asked for."""
Segment = Callable[[Tensor], Tensor]
"""Maps images (N, C, H, W) in [-1, 1] to the class of each pixel, int64 (N, H, W) in [0, K)."""


@dataclass(frozen=True)
class Layer:
    """The last feature maps of one size in a pass.

    Args:
        module: returns them.
        size: height and width.
        units: U, their number.
    """

    module: nn.Module
    size: tuple[int, int]
    units: int

    @property
    def name(self) -> str:
        """The height."""
        return str(self.size[0])


@dataclass(frozen=True)
class Subject:
    """A model, and the samples by which it is looked at; without a label they have the classes in turn.

    Args:
        model: the model.
        seed: of the samples.
        label: class of all samples, for conditional models.
    """

    model: Decodes
    seed: int = 0
    label: int | None = None

    @torch.no_grad()
    def images(self, n: int, start: int = 0) -> Tensor:
        """Returns samples start … start + n - 1, (n, C, H, W) in [-1, 1]."""
        classes = int(getattr(self.model, "num_labels", 0)) if self.label is None else 0
        label = torch.arange(start, start + n) % classes if classes else self.label
        return self.model.decode(self.model.latents(n, self.seed, start, label=label), label)

    def maps(self, layers: Sequence[Layer], n: int, start: int = 0) -> tuple[Tensor, list[Tensor]]:
        """Returns samples (n, C, H, W), and the maps (n, U, h, w) of each of the layers that they are made of."""
        seen: dict[tuple[int, int], Tensor] = {}
        sizes = {layer.module: [each.size for each in layers if each.module is layer.module] for layer in layers}

        def keep(module: nn.Module, _: tuple[Any, ...], output: Any) -> None:
            if isinstance(output, Tensor) and tuple(output.shape[2:]) in sizes[module]:
                height, width = output.shape[2:]
                seen[height, width] = output.clone()  # the next layer may work in place

        with watching(sizes, keep):
            images = self.images(n, start)
        return images, [seen[layer.size] for layer in layers]


def layers_of(subject: Subject, heights: Sequence[int] | None = None) -> list[Layer]:
    """Returns the layers of a generator, from the smallest maps to the largest.

    Args:
        subject: the model.
        heights: of the maps; None takes those from ``LEAST_SIDE`` rows to half of the image's.

    Raises:
        UserError: if there are no maps, or none of a height that is asked for.
    """
    found: dict[tuple[int, int], Layer] = {}

    def watch(module: nn.Module, _: tuple[Any, ...], output: Any) -> None:
        if are_maps(output):
            height, width = output.shape[2:]
            found[height, width] = Layer(module, (height, width), output.shape[1])

    model = subject.model
    with watching(model.modules() if isinstance(model, nn.Module) else (), watch):
        rows = subject.images(1).shape[2]
    layers = sorted(found.values(), key=lambda layer: layer.size)
    if not layers:
        raise UserError(f"{type(model).__name__}'s generator has no feature maps: its units cannot be dissected.")
    if heights is None:
        middle = [layer for layer in layers if LEAST_SIDE <= layer.size[0] <= rows // 2]
        return middle or layers[:1]
    if missing := [height for height in heights if height not in [layer.size[0] for layer in layers]]:
        known = ", ".join(layer.name for layer in layers)
        raise UserError(f"layers=[{missing[0]}] names no maps: this generator has maps with {known} rows.")
    return [layer for layer in layers if layer.size[0] in heights]


@dataclass(frozen=True)
class Dissection:
    """The agreement of the units of a layer with classes.

    Args:
        layer: the layer.
        agreement: intersection over union of the places where a unit is above its threshold with those of a class,
            (U, K), over samples that the threshold was not chosen by.
        thresholds: of each unit for each class, (U, K).
        levels: mean of each unit above that threshold, (U, K).
    """

    layer: Layer
    agreement: Tensor
    thresholds: Tensor
    levels: Tensor

    def best(self, class_id: int, count: int) -> Tensor:
        """Returns the numbers of the units that agree most with a class, the best first, int64 (count,)."""
        return self.agreement[:, class_id].topk(min(count, self.layer.units)).indices


def dissect(
    subject: Subject, layers: Sequence[Layer], segment: Segment, classes: int, n: PositiveInt, batch_size: PositiveInt
) -> list[Dissection]:
    """Measures the agreement of units with classes (section 3.1, eq. 1).

    For each unit and class, the threshold that gives the best agreement on every second sample is one of the unit's top
    ``QUANTILES``; the agreement is measured on the others. Maps are enlarged to the size of the image, bilinear.

    Args:
        subject: the model and its samples.
        layers: of the model.
        segment: finds the classes of pixels.
        classes: K.
        n: number of samples, at least two.
        batch_size: samples generated at once.

    Returns:
        a dissection for each layer.
    """
    overlaps = [Overlap.of(values, classes) for values in _activations(subject, layers, n, batch_size)]
    for start, images, maps in _batches(subject, layers, n, batch_size):
        found = F.one_hot(segment(images), classes).float()
        for overlap, each in zip(overlaps, maps, strict=True):
            for number, (own, pixels) in enumerate(zip(each, found, strict=True), start):
                overlap.add(number % 2, own, pixels)
    return [overlap.dissection(layer) for overlap, layer in zip(overlaps, layers, strict=True)]


def _batches(
    subject: Subject, layers: Sequence[Layer], n: int, batch_size: int
) -> Iterator[tuple[int, Tensor, list[Tensor]]]:
    """Yields the number of each batch's first sample, its images and the maps of each layer."""
    for start in range(0, n, batch_size):
        yield start, *subject.maps(layers, min(batch_size, n - start), start)


def _activations(subject: Subject, layers: Sequence[Layer], n: int, batch_size: int) -> list[Tensor]:
    """Returns the activations of the units of each layer at some places of each sample, (U, M)."""
    generator = torch.Generator().manual_seed(subject.seed)
    kept: list[list[Tensor]] = [[] for _ in layers]
    for _, _, maps in _batches(subject, layers, n, batch_size):
        for values, each in zip(kept, maps, strict=True):
            places = torch.randperm(each.shape[2] * each.shape[3], generator=generator)[:PLACES].to(each.device)
            values.append(each.flatten(2)[:, :, places].transpose(0, 1).flatten(1))
    return [torch.cat(values, 1) for values in kept]


@dataclass(frozen=True)
class Overlap:
    """Counts of pixels in each half of the samples.

    Args:
        thresholds, levels: of each unit by quantile, and its mean above the threshold, (U, Q).
        both: pixels of a class where a unit is above the threshold, (2, U, Q, K).
        above: pixels where it is, (2, U, Q, 1).
        masses: pixels of a class, (2, 1, 1, K).
    """

    thresholds: Tensor
    levels: Tensor
    both: Tensor
    above: Tensor
    masses: Tensor

    @classmethod
    def of(cls, activations: Tensor, classes: int) -> "Overlap":
        """Returns counts of 0, with thresholds for the activations (U, M) of a layer and K classes."""
        sorted_values = activations.float().sort(1, descending=True).values
        counts = [max(1, round(quantile * sorted_values.shape[1])) for quantile in QUANTILES]
        thresholds = torch.stack([sorted_values[:, min(count, sorted_values.shape[1] - 1)] for count in counts], 1)
        levels = torch.stack([sorted_values[:, :count].mean(1) for count in counts], 1)
        zeros = partial(torch.zeros, dtype=torch.float64, device=activations.device)
        both = zeros(2, *thresholds.shape, classes)
        return cls(thresholds, levels, both, zeros(2, *thresholds.shape, 1), zeros(2, 1, 1, classes))

    def add(self, half: int, maps: Tensor, pixels: Tensor) -> None:
        """Counts the pixels of a sample: its maps (U, h, w), and its classes (H, W, K) as ones and zeros."""
        large, flat = enlarged(maps, pixels.shape[:2]).flatten(1), pixels.flatten(0, 1)
        for at, threshold in enumerate(self.thresholds.unbind(1)):
            above = (large > threshold[:, None]).float()
            self.both[half, :, at] += above @ flat
            self.above[half, :, at, 0] += above.sum(1)
        self.masses[half, 0, 0] += flat.sum(0)

    def dissection(self, layer: Layer) -> Dissection:
        """Returns the agreements at the thresholds that are best in the first half, by the second half."""
        union = self.above + self.masses - self.both
        first, second = (self.both / union.clamp(min=1)).unbind()
        chosen = first.argmax(1, keepdim=True)
        agreement = second.gather(1, chosen)[:, 0].float()
        places = chosen[:, 0]
        return Dissection(layer, agreement, self.thresholds.gather(1, places), self.levels.gather(1, places))


def enlarged(maps: Tensor, size: Sequence[int]) -> Tensor:
    """Returns maps (U, h, w) at the size of an image, (U, H, W), between pixels bilinear."""
    return F.interpolate(maps[None], (size[0], size[1]), mode="bilinear", align_corners=False)[0]


@contextmanager
def switched(layer: Layer, units: Tensor, levels: Tensor | float = 0.0) -> Iterator[None]:
    """Sets units of a layer to a level everywhere (section 3.2): 0 switches them off.

    Args:
        layer: the layer.
        units: their numbers, int64 (U',).
        levels: of each of them, (U',), or of all.
    """

    def change(_: nn.Module, __: tuple[Any, ...], output: Any) -> Any:
        if not isinstance(output, Tensor) or tuple(output.shape[1:]) != (layer.units, *layer.size):
            return None
        changed, level = output.clone(), torch.as_tensor(levels).to(output)
        changed[:, units.to(output.device)] = level.view(-1, 1, 1)
        return changed

    with watching([layer.module], change):
        yield


def class_shares(
    subject: Subject, segment: Segment, classes: int, n: PositiveInt, batch_size: PositiveInt, start: int = 0
) -> Tensor:
    """Returns the share of each class among the pixels of samples start … start + n - 1, (K,)."""
    counts, pixels = torch.zeros(classes), 0
    for first in range(start, start + n, batch_size):
        found = segment(subject.images(min(batch_size, start + n - first), first)).flatten().cpu()
        counts += torch.bincount(found, minlength=classes)
        pixels += len(found)
    return counts / pixels
