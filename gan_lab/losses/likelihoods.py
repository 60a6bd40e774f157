"""Likelihoods of images given the output of a decoder.

``params`` (N, P·C, H, W) are P parameters of the distribution of each value, the first parameters of all channels
first. ``log_prob`` returns log p of images (N, C, H, W) in [-1, 1] in nats (N,), summed over values; ``mean`` the
expected image; ``draw`` the image at uniform numbers (N, C, H, W) in [0, 1), by the inverse of each value's
distribution function.

``parameters`` is P. ``levels`` is the number of values: 2 for binary images, 256 for 8-bit images. If ``is_density`` is
true, the likelihood is a density and bounds the probability of an image only if noise is added within its levels; see
``Gaussian``.
"""

import math
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from gan_lab.common.bounds import PositiveFloat
from gan_lab.common.errors import UserError

BIN_WIDTH = 2 / 255
"""Width of a level of 8-bit images in [-1, 1]."""

MIN_LOG_SCALE = -7.0
"""Lower bound of a predicted log-scale: without it a density would grow without bound (PixelCNN++)."""


class Bernoulli:
    """Binary images; the parameters are logits of white (Kingma and Welling 2014, appendix C.1)."""

    parameters, levels, is_density = 1, 2, False

    @staticmethod
    def check_data(data: Mapping[str, Any], **_: object) -> None:
        """Checks that the images are binary, see ``ChecksData``.

        Raises:
            UserError: if they are not.
        """
        if not data.get("binarize"):
            raise UserError(
                "likelihood=bernoulli needs binary images: add data.binarize=static or dynamic, or choose "
                "likelihood=logistic."
            )

    def log_prob(self, params: Tensor, images: Tensor) -> Tensor:
        """Returns nats (N,), given logits (N, C, H, W) and images (N, C, H, W) in [-1, 1]."""
        white = (images.float() + 1) / 2
        return -F.binary_cross_entropy_with_logits(params.float(), white, reduction="none").flatten(1).sum(1)

    def mean(self, params: Tensor) -> Tensor:
        """Returns the expected images (N, C, H, W), given logits of the same shape."""
        return params.float().sigmoid() * 2 - 1

    def draw(self, params: Tensor, uniform: Tensor) -> Tensor:
        """Returns images (N, C, H, W) of -1 and 1, given logits and uniform numbers, both (N, C, H, W)."""
        return (uniform < params.float().sigmoid()).float() * 2 - 1


class Gaussian:
    """Gaussian density of values in [-1, 1] (Kingma and Welling 2014, appendix C.2).

    The result is log(density · width of a level). It bounds the log-probability of the level from below if uniform
    noise of that width is added to the image (Theis et al. 2016, eq. 5).

    Args:
        scale: standard deviation; None lets the network predict it for each value.

    Raises:
        ValueError: if the scale is not positive.
    """

    levels, is_density = 256, True

    def __init__(self, scale: PositiveFloat | None = None) -> None:
        self.scale = _positive(scale)
        self.parameters = 2 if scale is None else 1

    @staticmethod
    def check_data(data: Mapping[str, Any], **_: object) -> None:
        """Checks that the images are not binary, see ``ChecksData``.

        Raises:
            UserError: if they are.
        """
        refuse_binary_images(data)

    def log_prob(self, params: Tensor, images: Tensor) -> Tensor:
        """Returns nats (N,), given parameters (N, P·C, H, W) and images (N, C, H, W) in [-1, 1]."""
        mean, log_scale = _location_and_log_scale(params, self.scale)
        log_density = (
            -0.5 * ((images.float() - mean) * (-log_scale).exp()).square() - log_scale - 0.5 * math.log(2 * math.pi)
        )
        return (log_density + math.log(BIN_WIDTH)).flatten(1).sum(1)

    def mean(self, params: Tensor) -> Tensor:
        """Returns the expected images (N, C, H, W), clamped to [-1, 1], given parameters (N, P·C, H, W)."""
        return _location_and_log_scale(params, self.scale)[0].clamp(-1, 1)

    def draw(self, params: Tensor, uniform: Tensor) -> Tensor:
        """Returns images (N, C, H, W), given parameters (N, P·C, H, W) and uniform numbers (N, C, H, W)."""
        mean, log_scale = _location_and_log_scale(params, self.scale)
        return (mean + log_scale.exp() * torch.special.ndtri(uniform.clamp(1e-6, 1 - 1e-6))).clamp(-1, 1)


class DiscretizedLogistic:
    """Probability of each of 256 levels under a logistic distribution (Kingma et al. 2016, eq. 17).

    The lowest and the highest level include the tails beyond them, so that probabilities sum to one.

    Args:
        scale: s; None lets the network predict it for each value.

    Raises:
        ValueError: if the scale is not positive.
    """

    levels, is_density = 256, False

    def __init__(self, scale: PositiveFloat | None = None) -> None:
        self.scale = _positive(scale)
        self.parameters = 2 if scale is None else 1

    @staticmethod
    def check_data(data: Mapping[str, Any], **_: object) -> None:
        """Checks that the images are not binary, see ``ChecksData``.

        Raises:
            UserError: if they are.
        """
        refuse_binary_images(data)

    def log_prob(self, params: Tensor, images: Tensor) -> Tensor:
        """Returns nats (N,), given parameters (N, P·C, H, W) and images (N, C, H, W) in [-1, 1]."""
        mean, log_scale = _location_and_log_scale(params, self.scale)
        images = images.float()
        inverse = (-log_scale).exp()
        above, below = (images + BIN_WIDTH / 2 - mean) * inverse, (images - BIN_WIDTH / 2 - mean) * inverse
        # log(σ(a) - σ(b)) = log σ(a) + log σ(-b) + log(1 - exp(b - a))
        width = (BIN_WIDTH * inverse).expand_as(above)
        inner = F.logsigmoid(above) + F.logsigmoid(-below) + torch.log(-torch.expm1(-width))
        ends = torch.where(images <= -1 + BIN_WIDTH / 2, F.logsigmoid(above), F.logsigmoid(-below))
        return torch.where(images.abs() >= 1 - BIN_WIDTH / 2, ends, inner).flatten(1).sum(1)

    def mean(self, params: Tensor) -> Tensor:
        """Returns the location clamped to [-1, 1], (N, C, H, W), given parameters (N, P·C, H, W).

        It differs from the mean by the tails beyond the ends.
        """
        return _location_and_log_scale(params, self.scale)[0].clamp(-1, 1)

    def draw(self, params: Tensor, uniform: Tensor) -> Tensor:
        """Returns images (N, C, H, W) at levels of 8-bit images, given parameters (N, P·C, H, W) and uniform numbers
        (N, C, H, W).
        """
        mean, log_scale = _location_and_log_scale(params, self.scale)
        values = (mean + log_scale.exp() * uniform.logit(1e-6)).clamp(-1, 1)
        return ((values + 1) / BIN_WIDTH).round() * BIN_WIDTH - 1


def _positive(scale: float | None) -> float | None:
    if scale is not None and not scale > 0:
        raise ValueError(f"likelihood.scale={scale} is not valid: give a number above 0, or null.")
    return scale


def _location_and_log_scale(params: Tensor, scale: float | None) -> tuple[Tensor, Tensor]:
    params = params.float()
    if scale is not None:
        return params, torch.full((), math.log(scale), device=params.device)
    location, log_scale = params.chunk(2, 1)
    return location, log_scale.clamp(min=MIN_LOG_SCALE)


def refuse_binary_images(data: Mapping[str, Any]) -> None:
    """Checks that the images of a data configuration are not binary.

    Raises:
        UserError: if they are.
    """
    if data.get("binarize") in ("static", "dynamic"):
        raise UserError("Binary images need a likelihood of their own: add likelihood=bernoulli.")
