"""Augmentations in front of the discriminator, of real and generated images alike.

Each maps images (N, C, H, W) in [-1, 1] and a ``gan_lab.common.types.RandomStream`` to images of the same shape, and is
twice differentiable, so that gradients reach the generator and penalties pass through.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from torch import Tensor

from gan_lab.common.bounds import NonNegative, Probability
from gan_lab.common.constraints import height_and_width
from gan_lab.common.errors import UserError
from gan_lab.common.types import RandomStream, Stateful

Augmentation = Callable[[Tensor, RandomStream], Tensor]


@runtime_checkable
class Adaptive(Stateful, Protocol):
    """An augmentation with a probability that follows the discriminator."""

    p: float

    def follow(self, sign: Tensor, images: int) -> None:
        """Counts an iteration and its images, given the mean sign of the logits of real ones, a scalar."""


def apply_in_order(augmentations: Iterable[Augmentation], images: Tensor, noise: RandomStream) -> Tensor:
    """Applies one augmentation after another to images (N, C, H, W), or clips (N, T, C, H, W)."""
    for augmentation in augmentations:
        images = augmentation(images, noise)
    return images


class DiffAugment:
    """Colour, translation and cutout (Zhao et al. 2020, Differentiable Augmentation for Data-Efficient GAN Training).

    Args:
        colour, translation, cutout: which of them to apply.
        probability: probability with which each is applied to each image; the paper's is 1. It can follow a schedule.
    """

    def __init__(
        self, colour: bool = True, translation: bool = True, cutout: bool = True, probability: Probability = 1.0
    ) -> None:
        enabled: dict[Augmentation, bool] = {recolour: colour, translate: translation, cut_out: cutout}
        self.augmentations = [augmentation for augmentation, on in enabled.items() if on]
        self.probability = probability

    @staticmethod
    def check_data(data: Mapping[str, Any], **_: object) -> None:
        """Checks that the data are images, see ``ChecksData``.

        Raises:
            UserError: for clips, and for points of the plane.
        """
        if height_and_width(data["size"]) == (1, 1):
            raise UserError(
                "Points have no pixels to shift or cut out: leave remedy=diffaugment and remedy=consistency out."
            )
        if "length" in data:
            raise UserError("DiffAugment changes images, not clips: leave remedy=diffaugment out.")

    def __call__(self, images: Tensor, noise: RandomStream) -> Tensor:
        """Returns images (N, C, H, W), given as many."""
        for augmentation in self.augmentations:
            augmented = augmentation(images, noise)
            if self.probability < 1:
                selected = noise.uniform(len(images), 1, 1, 1) < self.probability
                augmented = torch.where(selected, augmented, images)
            images = augmented
        return images


class InstanceNoise:
    """Gaussian noise on every pixel, of images or clips (Sønderby et al. 2017; Roth et al. 2017).

    Args:
        std: standard deviation; it can follow a schedule.
    """

    def __init__(self, std: NonNegative = 0.1) -> None:
        self.std = std

    def __call__(self, images: Tensor, noise: RandomStream) -> Tensor:
        """Returns images of any shape with N first, given the same shape."""
        return images + self.std * noise.normal(*images.shape) if self.std else images


class Mirror:
    """Horizontal flip of each image with probability ½."""

    def __call__(self, images: Tensor, noise: RandomStream) -> Tensor:
        """Returns images (N, C, H, W), given as many."""
        return torch.where(noise.uniform(len(images), 1, 1, 1) < 0.5, images.flip(3), images)


class Chain:
    """Several augmentations, one after another.

    Args:
        augmentations: by name, given as keywords; null entries are skipped.
    """

    def __init__(self, **augmentations: Augmentation | None) -> None:
        self.augmentations = [augmentation for augmentation in augmentations.values() if augmentation is not None]

    def __call__(self, images: Tensor, noise: RandomStream) -> Tensor:
        """Returns images (N, C, H, W), given as many."""
        return apply_in_order(self.augmentations, images, noise)


def recolour(images: Tensor, noise: RandomStream) -> Tensor:
    """Changes images (N, C, H, W): brightness by up to a quarter of the range, saturation from 0 to 2 times, contrast
    from ½ to 1½ times.
    """
    brightness, saturation, contrast = noise.uniform(len(images), 3, 1, 1, 1).unbind(1)
    images = images + (brightness - 0.5)
    grey = images.mean(1, keepdim=True)
    images = grey + (images - grey) * (2 * saturation)
    mean = images.mean((1, 2, 3), keepdim=True)
    return mean + (images - mean) * (contrast + 0.5)


def translate(images: Tensor, noise: RandomStream, ratio: float = 0.125) -> Tensor:
    """Shifts images (N, C, H, W) by whole pixels, up to ``ratio`` of either side, and fills with 0."""
    n, _, height, width = images.shape
    largest = [int(ratio * side + 0.5) for side in (height, width)]
    shifts = [(noise.uniform(n) * (2 * most + 1)).long() - most for most in largest]
    padded = F.pad(images, (largest[1], largest[1], largest[0], largest[0]))
    rows, columns = (
        torch.arange(side, device=images.device) + most + shift[:, None]
        for side, most, shift in zip((height, width), largest, shifts, strict=True)
    )
    index = torch.arange(n, device=images.device)[:, None, None]
    return padded.permute(0, 2, 3, 1)[index, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def cut_out(images: Tensor, noise: RandomStream, ratio: float = 0.5) -> Tensor:
    """Sets a rectangle of ``ratio`` of either side of images (N, C, H, W) to 0; its centre may lie anywhere."""
    n, _, height, width = images.shape
    kept = [_outside(side, int(ratio * side + 0.5), noise.uniform(n), images.device) for side in (height, width)]
    return images * (kept[0][:, :, None] | kept[1][:, None, :])[:, None].to(images.dtype)


def _outside(side: int, length: int, centre: Tensor, device: torch.device) -> Tensor:
    """Returns true (N, side) outside an interval of ``length`` pixels, given its centre (N,) as a share of the side."""
    first = (centre * (side + 1 - length % 2)).long() - length // 2
    pixels = torch.arange(side, device=device)
    return (pixels < first[:, None]) | (pixels >= first[:, None] + length)
