"""Penalties on a discriminator, and projections of it.

A penalty is called with (critic, real, fake, logits, noise) and gives one value a sample. ``at`` names the points
("real", "fake") at which it differentiates ``logits``: the caller then hands images that require gradients and logits
computed from them in float32. ``weight`` multiplies it; ``every`` makes it lazy (Karras et al. 2020): it is computed in
every so manieth iteration and its weight multiplied by as much. ``per_sample`` says that each sample's logit is
differentiated with respect to its own image, which batch normalisation would spoil.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

Critic = Callable[[Tensor], Tensor]


def input_gradient(logits: Tensor, images: Tensor) -> Tensor:
    """Gradient of each sample's summed logits with respect to its image, (N, C·H·W), itself differentiable."""
    (gradient,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
    return gradient.flatten(1)


class R1:
    """½‖∇D(x)‖² at real images (Mescheder et al. 2018, eq. 9); ``weight`` is the paper's γ."""

    at = frozenset({"real"})
    per_sample = True

    def __init__(self, weight: float = 10.0, every: int = 1) -> None:
        self.weight, self.every = weight, every

    def __call__(self, critic: Critic, real: Tensor, fake: Tensor, logits: Mapping[str, Tensor], noise: Any) -> Tensor:
        return input_gradient(logits["real"], real).square().sum(1) / 2


class R2(R1):
    """½‖∇D(x)‖² at generated images (Mescheder et al. 2018, eq. 10)."""

    at = frozenset({"fake"})

    def __call__(self, critic: Critic, real: Tensor, fake: Tensor, logits: Mapping[str, Tensor], noise: Any) -> Tensor:
        return input_gradient(logits["fake"], fake).square().sum(1) / 2


class GradientPenalty:
    """(‖∇D(x̂)‖ - 1)² at random points x̂ = εx + (1 - ε)G(z) between real and fake (Gulrajani et al. 2017, eq. 3)."""

    at = frozenset[str]()
    per_sample = True

    def __init__(self, weight: float = 10.0, every: int = 1) -> None:
        self.weight, self.every = weight, every

    def __call__(self, critic: Critic, real: Tensor, fake: Tensor, logits: Mapping[str, Tensor], noise: Any) -> Tensor:
        epsilon = noise.uniform(len(real), 1, 1, 1)
        between = (epsilon * real + (1 - epsilon) * fake).detach().float().requires_grad_()
        return (input_gradient(critic(between), between).norm(dim=1) - 1).square()


class WeightClip:
    """Clamps every parameter to [-limit, limit] after the critic's step (Arjovsky et al. 2017, algorithm 1)."""

    def __init__(self, limit: float = 0.01) -> None:
        self.limit = limit

    @torch.no_grad()
    def __call__(self, critic: nn.Module) -> None:
        for parameter in critic.parameters():
            parameter.clamp_(-self.limit, self.limit)
