"""A smooth continuation of known pixels into unknown ones: where networks that fill images may start from."""

import torch
import torch.nn.functional as F
from torch import Tensor


def smooth_fill(image: Tensor, known: Tensor, relaxations: int = 4) -> Tensor:
    """Fills unknown pixels with values that vary as little as the known ones around them allow.

    Push and pull (Gortler et al. 1996, "The Lumigraph", section 3.4): each unknown pixel takes the mean of the known
    ones at the finest of several halved sizes that has any there. At each size, steps of Jacobi's method towards the
    membrane, at which a pixel is the mean of its four neighbours, then remove the traces of the coarser one.

    Args:
        image: (N, C, H, W), of any values at unknown pixels but NaN and infinite ones.
        known: 1 at known pixels, else 0, (N, 1, H, W).
        relaxations: steps at each size.

    Returns:
        (N, C, H, W), equal to ``image`` at known pixels, within its range at others; zero if no pixel is known.
    """
    image, size = image * known, image.shape[2:]
    if max(size) == 1:
        return image
    share, total = (F.avg_pool2d(maps, 2, ceil_mode=True, count_include_pad=False) for maps in (known, image))
    coarse = smooth_fill(total / share.clamp(min=1e-6), (share > 0).to(known.dtype), relaxations)
    filled = torch.lerp(F.interpolate(coarse, size=size, mode="bilinear", align_corners=False), image, known)
    for _ in range(relaxations):
        padded = F.pad(filled, (1, 1, 1, 1), mode="replicate")
        beside = padded[..., 1:-1, :-2] + padded[..., 1:-1, 2:]
        above = padded[..., :-2, 1:-1] + padded[..., 2:, 1:-1]
        filled = torch.lerp((beside + above) / 4, image, known)
    return filled
