"""Smaller and blurred images, and chains of several kinds of damage."""

from collections.abc import Mapping, Sequence
from math import prod

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import convolve
from scipy.special import j1

from gan_lab.common.bounds import PositiveInt, Probability
from gan_lab.common.errors import UserError
from gan_lab.data.damage.draws import Damage, Damaged, Draws, Range, check_choices, check_range, to_uint8
from gan_lab.data.reading.pixels import from_image, to_image
from gan_lab.data.types import UInt8Array

METHODS = {
    "bicubic": Image.Resampling.BICUBIC,
    "bilinear": Image.Resampling.BILINEAR,
    "area": Image.Resampling.BOX,
    "lanczos": Image.Resampling.LANCZOS,
}
"""Pillow's filters, all of which antialias."""


class Smaller:
    """Reduces images (satisfies ``Damage``).

    Args:
        factor: sides before in sides after.
        methods: the interpolation, one of these at random.

    Raises:
        UserError: for an unknown interpolation.
    """

    masks = False

    def __init__(self, factor: PositiveInt = 2, methods: Sequence[str] = ("bicubic",)) -> None:
        check_choices("methods", methods, METHODS)
        self.factor, self.methods = factor, list(methods)

    def __call__(self, pixels: UInt8Array, draws: Draws) -> Damaged:
        """Returns the small image (C, H / factor, W / factor), given one."""
        method = self.methods[draws.choice([1.0] * len(self.methods))]
        height, width = (side // self.factor for side in pixels.shape[1:])
        return Damaged(from_image(to_image(pixels).resize((width, height), METHODS[method])))


class Rescaled:
    """Resizes images by a random factor and, at the end, back to the size that they had (satisfies ``Damage``).

    It stands in chains for the resizing of Real-ESRGAN's degradation; the image keeps its size for what follows.

    Args:
        scale: of the sides.
        methods: the interpolation each way, one of these at random.
    """

    factor, masks = 1, False

    def __init__(self, scale: Range = (0.3, 1.5), methods: Sequence[str] = ("area", "bilinear", "bicubic")) -> None:
        check_range("scale", scale, 0.05, 4)
        check_choices("methods", methods, METHODS)
        self.scale, self.methods = scale, list(methods)

    def __call__(self, pixels: UInt8Array, draws: Draws) -> Damaged:
        """Returns the resampled image (C, H, W), given one."""
        scale, (height, width) = draws.within(self.scale), pixels.shape[1:]
        image = to_image(pixels)
        for size in ((max(1, round(width * scale)), max(1, round(height * scale))), (width, height)):
            method = self.methods[draws.choice([1.0] * len(self.methods))]
            image = image.resize(size, METHODS[method])
        return Damaged(from_image(image))


class Blur:
    """Convolves images with a random Gaussian, which may be longer in one direction (satisfies ``Damage``).

    Args:
        sigma: standard deviation in pixels.
        isotropic: probability that both directions are equal.
        power: exponent β of the generalised Gaussian exp(-½ rᵝ…); 2 is the Gaussian itself.
    """

    factor, masks = 1, False

    def __init__(self, sigma: Range = (0.2, 3.0), isotropic: Probability = 0.6, power: Range = 2.0) -> None:
        check_range("sigma", sigma, 0.01, 20)
        check_range("power", power, 0.5, 8)
        self.sigma, self.isotropic, self.power = sigma, isotropic, power

    def __call__(self, pixels: UInt8Array, draws: Draws) -> Damaged:
        """Returns the blurred image (C, H, W), given one."""
        along, across = (draws.within(self.sigma) for _ in range(2))
        across = along if draws.chance(self.isotropic) else across
        kernel = gaussian_kernel(along, across, draws.within((0.0, np.pi)), draws.within(self.power))
        return Damaged(to_uint8(filtered(pixels, kernel)))


class Ringing:
    """Filters images with a circular low pass, which leaves rings at edges (Wang et al. 2021, "Real-ESRGAN", eq. 4).

    Satisfies ``Damage``.

    Args:
        cutoff: frequency ω in radians for each pixel.
        radius: of the kernel in pixels.
    """

    factor, masks = 1, False

    def __init__(self, cutoff: Range = (np.pi / 3, np.pi), radius: Range = (3, 10)) -> None:
        check_range("cutoff", cutoff, 0.1, np.pi)
        check_range("radius", radius, 1, 20)
        self.cutoff, self.radius = cutoff, radius

    def __call__(self, pixels: UInt8Array, draws: Draws) -> Damaged:
        """Returns the filtered image (C, H, W), given one."""
        kernel = sinc_kernel(draws.within(self.cutoff), draws.integer(self.radius))
        return Damaged(to_uint8(filtered(pixels, kernel)))


class Chain:
    """One damage after the other (satisfies ``Damage``).

    Args:
        steps: by name, in order; None leaves one out.
        probabilities: by name, how likely a step is; 1 for all others. What changes the size is always done.
        factor: sides before in sides after all steps, if it is to be checked.

    Raises:
        UserError: without steps, for probabilities of other names or another factor, and if a step before the last
            leaves pixels unknown.
    """

    def __init__(
        self,
        steps: Mapping[str, Damage | None],
        probabilities: Mapping[str, Probability] | None = None,
        factor: PositiveInt | None = None,
    ) -> None:
        self.steps = {name: step for name, step in steps.items() if step is not None}
        self.probabilities = dict(probabilities or {})
        if not self.steps or not self.probabilities.keys() <= steps.keys():
            raise UserError(f"probabilities={list(self.probabilities)} is not valid: the steps are {list(self.steps)}.")
        if any(step.masks for step in list(self.steps.values())[:-1]):
            raise UserError("A step that leaves pixels unknown must be the last of a chain.")
        self.factor = prod(step.factor for step in self.steps.values())
        if factor not in (None, self.factor):
            raise UserError(
                f"factor={factor} is not valid for steps that reduce images {self.factor} times: give that."
            )
        self.masks = list(self.steps.values())[-1].masks

    def __call__(self, pixels: UInt8Array, draws: Draws) -> Damaged:
        """Returns the image after all steps."""
        result = Damaged(pixels)
        for name, step in self.steps.items():
            if draws.chance(self.probabilities.get(name, 1.0)) or step.factor > 1:
                result = step(result.pixels, draws)
        return result


def gaussian_kernel(along: float, across: float, angle: float, power: float = 2.0) -> NDArray[np.float32]:
    """Returns a kernel with the sum 1, float32 (k, k), k odd, of a generalised Gaussian in two directions."""
    radius = max(1, int(np.ceil(3 * max(along, across))))
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1].astype(np.float64)
    u, v = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    kernel = np.exp(-0.5 * ((u / along) ** 2 + (v / across) ** 2) ** (power / 2))
    return (kernel / kernel.sum()).astype(np.float32)


def sinc_kernel(cutoff: float, radius: int) -> NDArray[np.float32]:
    """Returns a circular low pass with the sum 1, float32 (2 · radius + 1, 2 · radius + 1)."""
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1].astype(np.float64)
    distance = np.hypot(x, y)
    distance[radius, radius] = 1.0
    kernel = cutoff * j1(cutoff * distance) / (2 * np.pi * distance)
    kernel[radius, radius] = cutoff**2 / (4 * np.pi)
    return (kernel / kernel.sum()).astype(np.float32)


def filtered(pixels: UInt8Array, kernel: NDArray[np.float32]) -> NDArray[np.float32]:
    """Returns pixels (C, H, W) after convolution with a kernel (k, k), with reflected borders, float32."""
    return np.stack([convolve(channel.astype(np.float32), kernel, mode="mirror") for channel in pixels])
