"""Mixtures in the plane."""

import torch
from torch import Tensor


class NearestMode:
    """Points (N, 2, 1, 1) within three deviations of the nearest centre.

    Args:
        centres: (K, 2).
        deviation: of the modes.
    """

    def __init__(self, centres: Tensor, deviation: float) -> None:
        self.centres, self.reach, self.modes = centres, 3 * deviation, len(centres)

    def __call__(self, images: Tensor) -> Tensor:
        exact = "donot_use_mm_for_euclid_dist"
        distance, mode = torch.cdist(images.flatten(1), self.centres.to(images), compute_mode=exact).min(1)
        return torch.where(distance <= self.reach, mode, -1)
