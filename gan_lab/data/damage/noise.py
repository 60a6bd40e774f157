"""Noise of cameras and transmission."""

import numpy as np

from gan_lab.common.bounds import Probability
from gan_lab.data.damage.draws import Damaged, Draws, Range, check_range, to_uint8
from gan_lab.data.types import UInt8Array


class GaussianNoise:
    """Adds noise of a normal distribution (satisfies ``Damage``).

    Args:
        sigma: its standard deviation in grey levels of 255; two numbers are bounds of a random level for each image
            (Zhang et al. 2017, "Beyond a Gaussian Denoiser", draw it from 0 to 55).
        grey: probability that all channels get the same noise.

    Raises:
        UserError: for a level outside 0 to 255.
    """

    factor, masks = 1, False

    def __init__(self, sigma: Range = (0.0, 55.0), grey: Probability = 0.0) -> None:
        check_range("sigma", sigma, 0, 255)
        self.sigma, self.grey = sigma, grey

    def __call__(self, pixels: UInt8Array, draws: Draws) -> Damaged:
        """Returns the noisy image (C, H, W), given one."""
        sigma, grey = draws.within(self.sigma), draws.chance(self.grey)
        noise = draws.normal(1 if grey else len(pixels), *pixels.shape[1:])
        return Damaged(to_uint8(pixels + np.float32(sigma) * noise))


class PoissonNoise:
    """Replaces each value by the count of photons that it stands for (satisfies ``Damage``).

    The distribution is that of the normal approximation, whose variance is the mean.

    Args:
        photons: of a white pixel; fewer mean more noise.

    Raises:
        UserError: for fewer than one photon.
    """

    factor, masks = 1, False

    def __init__(self, photons: Range = (10.0, 1000.0)) -> None:
        check_range("photons", photons, 1, 1e6)
        self.photons = photons

    def __call__(self, pixels: UInt8Array, draws: Draws) -> Damaged:
        """Returns the noisy image (C, H, W), given one."""
        photons = np.float32(draws.within(self.photons))
        counts = pixels.astype(np.float32) / 255 * photons
        noisy = np.rint(counts + np.sqrt(counts) * draws.normal(*pixels.shape))
        return Damaged(to_uint8(noisy * (255 / photons)))


class SaltAndPepper:
    """Makes pixels black or white, with equal probabilities (satisfies ``Damage``).

    Args:
        share: of the pixels.

    Raises:
        UserError: for a share outside 0 to 1.
    """

    factor, masks = 1, False

    def __init__(self, share: Range = (0.0, 0.2)) -> None:
        check_range("share", share, 0, 1)
        self.share = share

    def __call__(self, pixels: UInt8Array, draws: Draws) -> Damaged:
        """Returns the noisy image (C, H, W), given one."""
        share, chance = draws.within(self.share), draws.uniform(*pixels.shape[1:])
        noisy = np.where(chance < share / 2, 0, np.where(chance < share, 255, pixels))
        return Damaged(noisy.astype(np.uint8))
