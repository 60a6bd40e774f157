"""Random changes in front of the discriminator, of real and generated pictures alike: (images, noise) → images.

Each is differentiable twice, so that gradients reach the generator and penalties pass through. Images are (N, C, H, W)
in [-1, 1], noise as in ``gan_lab.common.types.RandomStream``.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


class DiffAugment:
    """Colour, translation and cutout (Zhao et al. 2020, Differentiable Augmentation for Data-Efficient GAN Training).

    Args:
        colour, translation, cutout: which of them.
        probability: with which each is done to each picture; the paper's is 1. It can follow a schedule.
    """

    def __init__(
        self, colour: bool = True, translation: bool = True, cutout: bool = True, probability: float = 1.0
    ) -> None:
        chosen = {recolour: colour, translate: translation, cut_out: cutout}
        self.changes: list[Callable[[Tensor, Any], Tensor]] = [change for change, wanted in chosen.items() if wanted]
        self.probability = probability

    def __call__(self, images: Tensor, noise: Any) -> Tensor:
        for change in self.changes:
            changed = change(images, noise)
            if self.probability < 1:
                done = noise.uniform(len(images), 1, 1, 1) < self.probability
                changed = torch.where(done, changed, images)
            images = changed
        return images


class InstanceNoise:
    """Gaussian noise on every pixel, of clips too (Sønderby et al. 2017; Roth et al. 2017).

    Args:
        std: its deviation; it can follow a schedule.
    """

    def __init__(self, std: float = 0.1) -> None:
        self.std = std

    def __call__(self, images: Tensor, noise: Any) -> Tensor:
        return images + self.std * noise.normal(*images.shape) if self.std else images


class Mirror:
    """From left to right, every second picture by chance."""

    def __call__(self, images: Tensor, noise: Any) -> Tensor:
        return torch.where(noise.uniform(len(images), 1, 1, 1) < 0.5, images.flip(3), images)


class Chain:
    """Several changes, one after the other.

    Args:
        changes: by name; null entries are left out.
    """

    def __init__(self, **changes: Callable[[Tensor, Any], Tensor] | None) -> None:
        self.changes = [change for change in changes.values() if change is not None]

    def __call__(self, images: Tensor, noise: Any) -> Tensor:
        for change in self.changes:
            images = change(images, noise)
        return images


def recolour(images: Tensor, noise: Any) -> Tensor:
    """Brightness by up to a quarter of the range, saturation from 0 to 2 times, contrast from ½ to 1½ times."""
    brightness, saturation, contrast = noise.uniform(len(images), 3, 1, 1, 1).unbind(1)
    images = images + (brightness - 0.5)
    grey = images.mean(1, keepdim=True)
    images = grey + (images - grey) * (2 * saturation)
    mean = images.mean((1, 2, 3), keepdim=True)
    return mean + (images - mean) * (contrast + 0.5)


def translate(images: Tensor, noise: Any, share: float = 0.125) -> Tensor:
    """By whole pixels, up to ``share`` of either side; what comes in is 0."""
    n, _, height, width = images.shape
    reach = [int(share * side + 0.5) for side in (height, width)]
    shift = [(noise.uniform(n) * (2 * most + 1)).long() - most for most in reach]
    padded = F.pad(images, (reach[1], reach[1], reach[0], reach[0]))
    rows, columns = (
        torch.arange(side, device=images.device) + most + each[:, None]
        for side, most, each in zip((height, width), reach, shift, strict=True)
    )
    picture = torch.arange(n, device=images.device)[:, None, None]
    return padded.permute(0, 2, 3, 1)[picture, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def cut_out(images: Tensor, noise: Any, share: float = 0.5) -> Tensor:
    """A rectangle of ``share`` of either side, its middle anywhere, becomes 0."""
    n, _, height, width = images.shape
    kept = [_outside(side, int(share * side + 0.5), noise.uniform(n), images.device) for side in (height, width)]
    return images * (kept[0][:, :, None] | kept[1][:, None, :])[:, None].to(images.dtype)


def _outside(side: int, length: int, place: Tensor, device: torch.device) -> Tensor:
    """Which of ``side`` pixels lie outside a stretch of ``length``, its middle at a share of the side: (N, side)."""
    first = (place * (side + 1 - length % 2)).long() - length // 2
    pixels = torch.arange(side, device=device)
    return (pixels < first[:, None]) | (pixels >= first[:, None] + length)
