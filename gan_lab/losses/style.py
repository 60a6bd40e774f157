"""Losses of content and style, over the maps of any network.

Gatys, Ecker and Bethge 2016, "Image Style Transfer Using Convolutional Neural Networks"; Huang and Belongie 2017.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d


def gram(maps: Tensor, mask: Tensor | None = None) -> Tensor:
    """Returns the correlations of features, (N, C, C), of maps (N, C, H, W), averaged over space (Gatys, eq. 3).

    Args:
        maps: of a layer.
        mask: weights of the positions (N or 1, 1, H', W'), of any size; None weighs all alike.
    """
    if mask is None:
        flat = maps.flatten(2)
        return flat @ flat.mT / flat.shape[2]
    weights = adaptive_avg_pool2d(mask, maps.shape[2:])  # type: ignore[arg-type]
    flat, weighted = maps.flatten(2), (maps * weights).flatten(2)
    return weighted @ flat.mT / weights.sum((2, 3)).clamp(min=1e-6)[..., None]


def moments(maps: Tensor) -> Tensor:
    """Returns means and standard deviations of each map over space, (N, 2, C), of maps (N, C, H, W).

    They are the style in adaptive instance normalisation (Huang and Belongie 2017, section 5).
    """
    variance, mean = torch.var_mean(maps.flatten(2), 2, correction=0)
    return torch.stack([mean, (variance + 1e-5).sqrt()], 1)


def style_loss(statistics: Sequence[Tensor], targets: Sequence[Tensor]) -> Tensor:
    """Returns the mean over layers of squared differences of statistics, relative to the targets' squares.

    Gatys' weights of the layers are fixed numbers for VGG-19; relative to the targets, layers of any network count
    alike.

    Args:
        statistics: of each layer, (N, …): Gram matrices or moments.
        targets: those of the style, (N or 1, …).
    """
    pairs = zip(statistics, targets, strict=True)
    return torch.stack([_relative(own - target, target.square()) for own, target in pairs]).mean()


def content_loss(maps: Sequence[Tensor], targets: Sequence[Tensor]) -> Tensor:
    """Returns the mean over layers of squared differences of maps, relative to the targets' variances.

    Args:
        maps: of each layer, (N, C, H, W).
        targets: those of the content, of the same shapes.
    """
    pairs = zip(maps, targets, strict=True)
    return torch.stack([_relative(own - target, _deviations(target).square()) for own, target in pairs]).mean()


def _relative(difference: Tensor, scale: Tensor) -> Tensor:
    """Returns the mean over images of mean squares (N, …), each relative to the mean of a scale (N or 1, …)."""
    return (difference.square().flatten(1).mean(1) / scale.flatten(1).mean(1).clamp(min=1e-6)).mean()


def _deviations(maps: Tensor) -> Tensor:
    return maps - maps.flatten(1).mean(1).view(-1, 1, 1, 1)


def total_variation(images: Tensor) -> Tensor:
    """Returns the mean squared difference of neighbouring pixels of images (N, C, H, W)."""
    steps = images[:, :, 1:] - images[:, :, :-1], images[..., 1:] - images[..., :-1]
    return torch.stack([each.square().sum() / max(1, each.numel()) for each in steps]).sum()  # a side may be 1 px
