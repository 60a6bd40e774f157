"""Attributes of generated images: which codes have them, and how they change along directions."""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from gan_lab.common.bounds import PositiveInt, Share
from gan_lab.inference.directions import moved
from gan_lab.inference.spaces import Space

Attributes = Callable[[Tensor], Mapping[str, Tensor]]
"""Maps images (N, C, H, W) in [-1, 1] to attributes of each, (N,), by name."""


@torch.no_grad()
def of_samples(
    space: Space, attributes: Attributes, samples: PositiveInt = 2000, seed: int = 0, batch_size: PositiveInt = 50
) -> tuple[Tensor, dict[str, Tensor]]:
    """Returns the codes of samples as points (N, Z), and the attributes of their images, (N,) by name.

    Args:
        space: of the codes.
        attributes: of images.
        samples: N.
        seed: of the samples.
        batch_size: images generated at once.
    """
    starts = range(0, samples, batch_size)
    codes = [space.of_samples(min(batch_size, samples - begin), seed, begin) for begin in starts]
    return torch.cat([space.flat(each)[:, 0].cpu() for each in codes]), _of_codes(space, attributes, codes)


def extremes(points: Tensor, values: Tensor, share: Share = 0.2) -> tuple[Tensor, Tensor]:
    """Returns the points with the lowest and the highest values, and their labels 0 and 1.

    Args:
        points: (N, Z).
        values: (N,).
        share: of the points on either side that is kept (Shen et al. 2020, section 3.1).

    Returns:
        points (M, Z), and labels, int64 (M,).
    """
    order, count = values.argsort(stable=True), max(1, round(share * len(values)))
    return points[torch.cat([order[:count], order[-count:]])], torch.arange(2).repeat_interleave(count)


@torch.no_grad()
def responses(
    space: Space,
    direction: Tensor,
    attributes: Attributes,
    strengths: Sequence[float],
    samples: PositiveInt = 200,
    seed: int = 0,
    batch_size: PositiveInt = 50,
) -> dict[str, Tensor]:
    """Returns the mean attributes of samples that are moved along a direction, (S,) by name.

    They are in deviations over the samples as they are, from their mean.

    Args:
        space: the space.
        direction: (Z,).
        attributes: of images.
        strengths: S distances.
        samples: number of samples that are moved.
        seed: of the samples.
        batch_size: images generated at once.
    """
    parts = space.of_samples(samples, seed).split(batch_size)
    before = _of_codes(space, attributes, parts)
    rows = [
        _of_codes(space, attributes, [moved(space, part, direction, strength) for part in parts])
        for strength in strengths
    ]
    return {
        name: torch.stack([row[name].mean() - own.mean() for row in rows]) / own.std().clamp(min=1e-12)
        for name, own in before.items()
    }


@torch.no_grad()
def leaks(
    space: Space,
    directions: Mapping[str, Tensor],
    attributes: Attributes,
    strength: float,
    samples: PositiveInt = 200,
    seed: int = 0,
    batch_size: PositiveInt = 50,
) -> dict[str, dict[str, float]]:
    """Measures what each direction changes besides what it is named for.

    Args:
        space: the space.
        directions: (Z,) by name.
        attributes: of images.
        strength: codes move by minus and plus this distance.
        samples: number of samples that are moved.
        seed: of the samples.
        batch_size: images generated at once.

    Returns:
        for each direction the mean change of each attribute from one end to the other, in deviations of the attribute
        over the samples as they are.
    """
    parts = space.of_samples(samples, seed).split(batch_size)
    spread = {name: own.std().clamp(min=1e-12) for name, own in _of_codes(space, attributes, parts).items()}

    def changes(vector: Tensor) -> dict[str, float]:
        low, high = (
            _of_codes(space, attributes, [moved(space, part, vector, end) for part in parts])
            for end in (-strength, strength)
        )
        return {name: float((high[name] - low[name]).mean() / own) for name, own in spread.items()}

    return {name: changes(vector) for name, vector in directions.items()}


def _of_codes(space: Space, attributes: Attributes, parts: Sequence[Tensor]) -> dict[str, Tensor]:
    """Returns the attributes of the images of codes, float64 (N,) by name, on the CPU."""
    rows = [attributes(space.images(part).clamp(-1, 1)) for part in parts]
    return {name: torch.cat([row[name].cpu() for row in rows]).double() for name in rows[0]}
