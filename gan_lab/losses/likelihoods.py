"""Likelihoods of pictures given what a decoder says of each value.

Each is called with ``given`` (N, P·C, H, W), P numbers for each value (all channels' first numbers come first), and
images (N, C, H, W) in [-1, 1]; ``log_prob`` gives nats (N,), summed over values, ``mean`` the expected picture, and
``shared_forward`` the picture at uniform numbers (N, C, H, W) in [0, 1), by the inverse of each value's distribution function.
``levels`` says how many values there are: of two, or of the 256 of 8-bit pictures. Where ``noisy`` is true the
likelihood is a density, and pictures need noise within their levels for it to bound their probability: see
``Gaussian``.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

BIN = 2 / 255
"""The width of a level of 8-bit pictures in [-1, 1]."""

FLOOR = -7.0
"""Of the logarithm of a scale that a network chooses: below it a density would grow without bound (PixelCNN++)."""


class Bernoulli:
    """Two-coloured pictures: given are logits of white (Kingma and Welling 2014, appendix C.1)."""

    parameters, levels, noisy = 1, 2, False

    def log_prob(self, given: Tensor, images: Tensor) -> Tensor:
        white = (images.float() + 1) / 2
        return -F.binary_cross_entropy_with_logits(given.float(), white, reduction="none").flatten(1).sum(1)

    def mean(self, given: Tensor) -> Tensor:
        return given.float().sigmoid() * 2 - 1

    def draw(self, given: Tensor, uniform: Tensor) -> Tensor:
        return (uniform < given.float().sigmoid()).float() * 2 - 1


class Gaussian:
    """A density over values in [-1, 1] (Kingma and Welling 2014, appendix C.2).

    In nats of 8-bit pictures: the density times the width of a level, which bounds the probability of the level from
    below where the picture has uniform noise of that width added (Theis et al. 2016, eq. 5).

    Args:
        scale: the deviation; None lets the network say it for each value.
    """

    levels, noisy = 256, True

    def __init__(self, scale: float | None = None) -> None:
        self.scale = _positive(scale)
        self.parameters = 2 if scale is None else 1

    def log_prob(self, given: Tensor, images: Tensor) -> Tensor:
        mean, log_scale = _located(given, self.scale)
        each = -0.5 * ((images.float() - mean) * (-log_scale).exp()).square() - log_scale - 0.5 * math.log(2 * math.pi)
        return (each + math.log(BIN)).flatten(1).sum(1)

    def mean(self, given: Tensor) -> Tensor:
        return _located(given, self.scale)[0].clamp(-1, 1)

    def draw(self, given: Tensor, uniform: Tensor) -> Tensor:
        mean, log_scale = _located(given, self.scale)
        return (mean + log_scale.exp() * torch.special.ndtri(uniform.clamp(1e-6, 1 - 1e-6))).clamp(-1, 1)


class DiscretizedLogistic:
    """The probability of each of 256 levels under a logistic distribution (Kingma et al. 2016, eq. 17).

    The lowest and the highest level take what lies beyond them, so that probabilities sum to one.

    Args:
        scale: s; None lets the network say it for each value.
    """

    levels, noisy = 256, False

    def __init__(self, scale: float | None = None) -> None:
        self.scale = _positive(scale)
        self.parameters = 2 if scale is None else 1

    def log_prob(self, given: Tensor, images: Tensor) -> Tensor:
        mean, log_scale = _located(given, self.scale)
        images = images.float()
        inverse = (-log_scale).exp()
        above, below = (images + BIN / 2 - mean) * inverse, (images - BIN / 2 - mean) * inverse
        # log(σ(a) - σ(b)) = log σ(a) + log σ(-b) + log(1 - exp(b - a))
        width = (BIN * inverse).expand_as(above)
        within = F.logsigmoid(above) + F.logsigmoid(-below) + torch.log(-torch.expm1(-width))
        ends = torch.where(images <= -1 + BIN / 2, F.logsigmoid(above), F.logsigmoid(-below))
        return torch.where(images.abs() >= 1 - BIN / 2, ends, within).flatten(1).sum(1)

    def mean(self, given: Tensor) -> Tensor:
        """The location, within the range: the mean but for what lies beyond the ends."""
        return _located(given, self.scale)[0].clamp(-1, 1)

    def draw(self, given: Tensor, uniform: Tensor) -> Tensor:
        """At a level of 8-bit pictures."""
        mean, log_scale = _located(given, self.scale)
        found = (mean + log_scale.exp() * uniform.logit(1e-6)).clamp(-1, 1)
        return ((found + 1) / BIN).round() * BIN - 1


def _positive(scale: float | None) -> float | None:
    if scale is not None and not scale > 0:
        raise ValueError(f"likelihood.scale={scale} does not serve: give a number above 0, or null.")
    return scale


def _located(given: Tensor, scale: float | None) -> tuple[Tensor, Tensor]:
    """Locations, and logarithms of the scales."""
    given = given.float()
    if scale is not None:
        return given, torch.full((), math.log(scale), device=given.device)
    location, log_scale = given.chunk(2, 1)
    return location, log_scale.clamp(min=FLOOR)
