"""Distances between lists of maps of a network: of a discriminator, or of a fixed one."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import l1_loss

from gan_lab.common.bounds import NonNegative
from gan_lab.common.distributed import all_reduce_mean


def feature_matching(maps: Sequence[Tensor], wanted: Sequence[Tensor]) -> Tensor:
    """Returns the mean absolute differences of maps (N, F, h, w), summed over layers (Wang et al. 2018, eq. 4)."""
    pairs = zip(maps, wanted, strict=True)
    return torch.stack([l1_loss(own.float(), other.float()) for own, other in pairs]).sum()


def perceptual_l1(
    maps: Sequence[Tensor], wanted: Sequence[Tensor], weights: Sequence[NonNegative] | None = None
) -> Tensor:
    """Returns a weighted sum over layers of the mean absolute differences of maps (N, F, h, w), a scalar.

    Collective without weights.

    Args:
        maps: of each layer, of the images.
        wanted: those of the images that they should look like.
        weights: of the layers; None makes the differences relative to the wanted maps' mean magnitudes in the batches
            of all ranks, and the sum a mean, so that maps of any network count alike.
    """
    differences = torch.stack([l1_loss(a.float(), b.float()) for a, b in zip(maps, wanted, strict=True)])
    if weights is None:
        magnitudes = all_reduce_mean(torch.stack([each.detach().float().abs().mean() for each in wanted]))
        return (differences / magnitudes.clamp(min=1e-6)).mean()
    return (differences * differences.new_tensor([*weights])).sum()
