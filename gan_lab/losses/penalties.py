"""Penalties on a discriminator, and projections of it.

A penalty is called with (critic, real, fake, logits, noise) and gives one value a sample. ``points`` names the points
("real", "fake") at which it differentiates ``logits``: the caller then hands images that require gradients and logits
computed from them in float32. ``weight`` multiplies it; ``interval`` makes it lazy (Karras et al. 2020): it is computed in
every so manieth iteration and its weight multiplied by as much. ``per_sample`` says that each sample's logit is
differentiated with respect to its own image, which batch normalisation would spoil.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from gan_lab.common.distributed import all_reduce_mean

Critic = Callable[[Tensor], Tensor]


def input_gradient(logits: Tensor, images: Tensor) -> Tensor:
    """Gradient of each sample's summed logits with respect to its image, (N, C·H·W), itself differentiable."""
    (gradient,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
    return gradient.flatten(1)


class R1:
    """½‖∇D(x)‖² at real images (Mescheder et al. 2018, eq. 9); ``weight`` is the paper's γ."""

    points = frozenset({"real"})
    per_sample = True

    def __init__(self, weight: float = 10.0, interval: int = 1) -> None:
        self.weight, self.interval = weight, interval

    def __call__(self, critic: Critic, real: Tensor, fake: Tensor, logits: Mapping[str, Tensor], noise: Any) -> Tensor:
        return input_gradient(logits["real"], real).square().sum(1) / 2


class R2(R1):
    """½‖∇D(x)‖² at generated images (Mescheder et al. 2018, eq. 10)."""

    points = frozenset({"fake"})

    def __call__(self, critic: Critic, real: Tensor, fake: Tensor, logits: Mapping[str, Tensor], noise: Any) -> Tensor:
        return input_gradient(logits["fake"], fake).square().sum(1) / 2


class GradientPenalty:
    """(‖∇D(x̂)‖ - 1)² at random points x̂ = εx + (1 - ε)G(z) between real and fake (Gulrajani et al. 2017, eq. 3)."""

    points = frozenset[str]()
    per_sample = True

    def __init__(self, weight: float = 10.0, interval: int = 1) -> None:
        self.weight, self.interval = weight, interval

    def __call__(self, critic: Critic, real: Tensor, fake: Tensor, logits: Mapping[str, Tensor], noise: Any) -> Tensor:
        epsilon = one_each(real, noise)
        between = (epsilon * real + (1 - epsilon) * fake).detach().float().requires_grad_()
        return (input_gradient(critic(between), between).norm(dim=1) - 1).square()


def one_each(images: Tensor, noise: Any) -> Tensor:
    """A number uniform in [0, 1) for each picture or clip, of as many axes as they have."""
    numbers: Tensor = noise.uniform(len(images), *[1] * (images.ndim - 1))
    return numbers


class DRAGAN(GradientPenalty):
    """(‖∇D(x̂)‖ - 1)² around the data (Kodali et al. 2017, eq. 4), x̂ = x + ½ α std(x) u with α a picture's and u a
    pixel's, uniform in [0, 1): their code's noise, where the text has a Gaussian.

    The deviation is that of all real pixels in the batch, over all ranks, or in the micro-batch.
    """

    def __call__(self, critic: Critic, real: Tensor, fake: Tensor, logits: Mapping[str, Tensor], noise: Any) -> Tensor:
        mean, square = all_reduce_mean(torch.stack([real.mean(), real.square().mean()]).detach())
        deviation = (square - mean.square()).clamp(min=0).sqrt()
        far = 0.5 * deviation * one_each(real, noise)
        near = (real + far * noise.uniform(*real.shape)).detach().float().requires_grad_()
        return (input_gradient(critic(near), near).norm(dim=1) - 1).square()


class LeCam:
    """(D(x) - α_F)² + (D(G(z)) - α_R)²: neither side's logits go far from where the other's were (Tseng et al. 2021,
    eq. 5). The anchors α_R and α_F are moving averages of the mean logits of real and generated pictures, over all
    ranks; of several micro-batches each moves them.

    Args:
        weight: λ; 0.3 in the paper for few CIFAR pictures.
        decay: of the anchors.
        interval: see above.
    """

    points = frozenset[str]()
    per_sample = False

    def __init__(self, weight: float = 0.3, decay: float = 0.99, interval: int = 1) -> None:
        self.weight, self.decay, self.interval = weight, decay, interval
        self.anchors: Tensor | None = None

    def __call__(self, critic: Critic, real: Tensor, fake: Tensor, logits: Mapping[str, Tensor], noise: Any) -> Tensor:
        means = all_reduce_mean(torch.stack([logits["real"].detach().mean(), logits["fake"].detach().mean()]))
        past = means if self.anchors is None else self.anchors.to(means.device)
        self.anchors = past.lerp(means, 1 - self.decay)
        return (logits["real"] - self.anchors[1]).square().mean() + (logits["fake"] - self.anchors[0]).square().mean()

    def state_dict(self) -> dict[str, Any]:
        return {"anchors": self.anchors}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.anchors = state_dict["anchors"]


class Consistency:
    """(D(x) - D(T(x)))²: what the critic says must not change with a picture's harmless changes T (Zhang et al. 2020,
    CR-GAN, eq. 5); of generated pictures too with ``balanced`` (Zhao et al. 2021, bCR).

    Args:
        change: T, (images, noise) → images; the paper's mirrors and shifts.
        weight: λ, the paper's 10.
        balanced: see above.
        interval: see above.
    """

    points = frozenset[str]()
    per_sample = False

    def __init__(
        self,
        change: Callable[[Tensor, Any], Tensor],
        weight: float = 10.0,
        balanced: bool = False,
        interval: int = 1,
    ) -> None:
        self.change, self.weight, self.balanced, self.interval = change, weight, balanced, interval

    def __call__(self, critic: Critic, real: Tensor, fake: Tensor, logits: Mapping[str, Tensor], noise: Any) -> Tensor:
        moved = (logits["real"] - critic(self.change(real, noise))).square().mean()
        if self.balanced:
            moved = moved + (logits["fake"] - critic(self.change(fake, noise))).square().mean()
        return moved


class WeightClip:
    """Clamps every parameter to [-limit, limit] after the critic's step (Arjovsky et al. 2017, algorithm 1)."""

    def __init__(self, limit: float = 0.01) -> None:
        self.limit = limit

    @torch.no_grad()
    def __call__(self, critic: nn.Module) -> None:
        for parameter in critic.parameters():
            parameter.clamp_(-self.limit, self.limit)
