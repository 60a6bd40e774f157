"""Penalties on a discriminator, and projections of it.

A penalty is called with (discriminator, real, fake, logits, noise) and returns one value per sample, or their mean.

- ``points`` names the images ("real", "fake") at which it differentiates ``logits``: the caller then passes images that
  require gradients, and logits computed from them in float32.
- ``weight`` multiplies it.
- ``interval`` makes it lazy (Karras et al. 2020): computed every ``interval`` iterations, weighted by ``interval``.
- ``per_sample`` is true if each sample's logit is differentiated with respect to its own image, which batch
  normalisation would invalidate.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from gan_lab.common.bounds import Decay, NonNegative, PositiveFloat, PositiveInt
from gan_lab.common.constraints import has_single_images
from gan_lab.common.distributed import all_reduce_mean
from gan_lab.common.errors import UserError
from gan_lab.common.old_arguments import accept_old_arguments
from gan_lab.common.renames import ARGUMENTS
from gan_lab.common.types import RandomStream
from gan_lab.losses.objective import Discriminator

Logits = Mapping[str, Tensor]
"""Logits of the ``real`` and the ``fake`` images."""


def input_gradient(logits: Tensor, images: Tensor) -> Tensor:
    """Returns the gradient (N, C·H·W) of each sample's summed logits with respect to its image; it is differentiable.

    Args:
        logits: of any shape with N first.
        images: (N, C, H, W), or of any shape with N first; they require gradients.
    """
    (gradient,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
    return gradient.flatten(1)


def one_per_sample(images: Tensor, noise: RandomStream) -> Tensor:
    """Returns a number uniform in [0, 1) for each image or clip, (N, 1, …, 1), given images (N, …)."""
    return noise.uniform(len(images), *[1] * (images.ndim - 1))


@accept_old_arguments(ARGUMENTS["losses.penalties"])
class R1:
    """½‖∇D(x)‖² at real images (Mescheder et al. 2018, eq. 9); ``weight`` is the paper's γ."""

    points = frozenset({"real"})
    per_sample = True

    def __init__(self, weight: NonNegative = 10.0, interval: PositiveInt = 1) -> None:
        self.weight, self.interval = weight, interval

    def __call__(
        self, discriminator: Discriminator, real: Tensor, fake: Tensor, logits: Logits, noise: RandomStream
    ) -> Tensor:
        """Returns values (N,), given real and generated images, both (N, C, H, W)."""
        return input_gradient(logits["real"], real).square().sum(1) / 2


class R1BySize(R1):
    """R1 with StyleGAN2-ADA's weight by the size of images and batch, 0.0002 · H · W / N (Karras et al. 2020b).

    Args:
        weight: multiplies the rule's weight.
        interval: iterations between two evaluations.
        batch_size: N, over all devices.
    """

    def __init__(self, weight: NonNegative = 1.0, interval: PositiveInt = 16, batch_size: PositiveInt = 32) -> None:
        super().__init__(weight, interval)
        self.batch_size = batch_size

    def __call__(
        self, discriminator: Discriminator, real: Tensor, fake: Tensor, logits: Logits, noise: RandomStream
    ) -> Tensor:
        """Returns values (N,), given real and generated images, both (N, C, H, W)."""
        rule = 2e-4 * real.shape[2] * real.shape[3] / self.batch_size
        return rule * super().__call__(discriminator, real, fake, logits, noise)


class R2(R1):
    """½‖∇D(x)‖² at generated images (Mescheder et al. 2018, eq. 10)."""

    points = frozenset({"fake"})

    def __call__(
        self, discriminator: Discriminator, real: Tensor, fake: Tensor, logits: Logits, noise: RandomStream
    ) -> Tensor:
        """Returns values (N,), given real and generated images, both (N, C, H, W)."""
        return input_gradient(logits["fake"], fake).square().sum(1) / 2


@accept_old_arguments(ARGUMENTS["losses.penalties"])
class GradientPenalty:
    """(‖∇D(x̂)‖ - 1)² at random points x̂ = εx + (1 - ε)G(z) between real and fake (Gulrajani et al. 2017, eq. 3).

    Args:
        weight: λ.
        interval: iterations between two evaluations.
        target: γ of (‖∇D(x̂)‖ - γ)² / γ²; 750 on CIFAR-10 in Karras et al. 2018 (appendix D).
    """

    points = frozenset[str]()
    per_sample = True

    def __init__(self, weight: NonNegative = 10.0, interval: PositiveInt = 1, target: PositiveFloat = 1.0) -> None:
        self.weight, self.interval, self.target = weight, interval, target

    def __call__(
        self, discriminator: Discriminator, real: Tensor, fake: Tensor, logits: Logits, noise: RandomStream
    ) -> Tensor:
        """Returns values (N,), given real and generated images, both (N, C, H, W), or clips of one shape."""
        epsilon = one_per_sample(real, noise)
        return self._at(epsilon * real + (1 - epsilon) * fake, discriminator)

    def _at(self, points: Tensor, discriminator: Discriminator) -> Tensor:
        """Returns the penalty at points (N, …)."""
        points = points.detach().float().requires_grad_()
        norms = input_gradient(discriminator(points), points).norm(dim=1)
        return ((norms - self.target) / self.target).square()


class DRAGAN(GradientPenalty):
    """(‖∇D(x̂)‖ - 1)² around the data (Kodali et al. 2017, eq. 4), at x̂ = x + ½ α std(x) u.

    α is one number per image and u one per pixel, both uniform in [0, 1): their code's noise, whereas the text has a
    Gaussian. std(x) is the standard deviation of all real pixels in the batch, over all ranks, or in the micro-batch.
    """

    def __call__(
        self, discriminator: Discriminator, real: Tensor, fake: Tensor, logits: Logits, noise: RandomStream
    ) -> Tensor:
        """Returns values (N,), given real and generated images, both (N, C, H, W)."""
        mean, square = all_reduce_mean(torch.stack([real.mean(), real.square().mean()]).detach())
        std = (square - mean.square()).clamp(min=0).sqrt()
        distance = 0.5 * std * one_per_sample(real, noise)
        return self._at(real + distance * noise.uniform(*real.shape), discriminator)


class Drift:
    """D(x)² of real images, which keeps logits near 0 (Karras et al. 2018, appendix A.1)."""

    points = frozenset[str]()
    per_sample = False

    def __init__(self, weight: NonNegative = 0.001, interval: PositiveInt = 1) -> None:
        self.weight, self.interval = weight, interval

    def __call__(
        self, discriminator: Discriminator, real: Tensor, fake: Tensor, logits: Logits, noise: RandomStream
    ) -> Tensor:
        """Returns the square of each real logit, of any shape; the images, both (N, C, H, W), are not used."""
        return logits["real"].square()


@accept_old_arguments(ARGUMENTS["losses.penalties"])
class LeCam:
    """(D(x) - α_F)² + (D(G(z)) - α_R)² (Tseng et al. 2021, eq. 5): keeps the logits of each side near the other side's.

    The anchors α_R and α_F are moving averages of the mean logits of real and generated images, over all ranks; with
    several micro-batches each of them moves the anchors.

    Args:
        weight: λ; 0.3 in the paper for few CIFAR images.
        decay: decay of the anchors.
        interval: iterations between two evaluations.
    """

    points = frozenset[str]()
    per_sample = False

    def __init__(self, weight: NonNegative = 0.3, decay: Decay = 0.99, interval: PositiveInt = 1) -> None:
        self.weight, self.decay, self.interval = weight, decay, interval
        self.anchors: Tensor | None = None

    @staticmethod
    def check_data(data: Mapping[str, Any], **_: object) -> None:
        """Checks that the data are single images, see ``ChecksData``.

        Raises:
            UserError: if they are not.
        """
        require_single_images("remedy=lecam", data)

    def __call__(
        self, discriminator: Discriminator, real: Tensor, fake: Tensor, logits: Logits, noise: RandomStream
    ) -> Tensor:
        """Returns the mean, a scalar; the images, both (N, C, H, W), are not used."""
        means = all_reduce_mean(torch.stack([logits["real"].detach().mean(), logits["fake"].detach().mean()]))
        past = means if self.anchors is None else self.anchors.to(means.device)
        self.anchors = past.lerp(means, 1 - self.decay)
        return (logits["real"] - self.anchors[1]).square().mean() + (logits["fake"] - self.anchors[0]).square().mean()

    def state_dict(self) -> dict[str, Tensor | None]:
        return {"anchors": self.anchors}

    def load_state_dict(self, state_dict: dict[str, Tensor | None]) -> None:
        self.anchors = state_dict["anchors"]


@accept_old_arguments(ARGUMENTS["losses.penalties"])
class Consistency:
    """(D(x) - D(T(x)))²: logits must not change under harmless augmentations T (Zhang et al. 2020, CR-GAN, eq. 5).

    Args:
        change: T, (images, noise) → images; the paper's mirrors and shifts.
        weight: λ, the paper's 10.
        balanced: applies it to generated images too (Zhao et al. 2021, bCR).
        interval: iterations between two evaluations.
    """

    points = frozenset[str]()
    per_sample = False

    def __init__(
        self,
        change: Callable[[Tensor, RandomStream], Tensor],
        weight: NonNegative = 10.0,
        balanced: bool = False,
        interval: PositiveInt = 1,
    ) -> None:
        self.change, self.weight, self.balanced, self.interval = change, weight, balanced, interval

    @staticmethod
    def check_data(data: Mapping[str, Any], **_: object) -> None:
        """Checks that the data are single images, see ``ChecksData``.

        Raises:
            UserError: if they are not.
        """
        require_single_images("remedy=consistency", data)

    def __call__(
        self, discriminator: Discriminator, real: Tensor, fake: Tensor, logits: Logits, noise: RandomStream
    ) -> Tensor:
        """Returns the mean, a scalar, given real and generated images, both (N, C, H, W)."""
        difference = (logits["real"] - discriminator(self.change(real, noise))).square().mean()
        if self.balanced:
            difference = difference + (logits["fake"] - discriminator(self.change(fake, noise))).square().mean()
        return difference


class WeightClip:
    """Clamps every parameter to [-limit, limit] after the discriminator's step (Arjovsky et al. 2017, algorithm 1)."""

    def __init__(self, limit: PositiveFloat = 0.01) -> None:
        self.limit = limit

    @torch.no_grad()
    def __call__(self, discriminator: nn.Module) -> None:
        for parameter in discriminator.parameters():
            parameter.clamp_(-self.limit, self.limit)


def require_single_images(remedy: str, data: Mapping[str, Any]) -> None:
    """Checks that the data are single images, which one discriminator sees.

    Raises:
        UserError: for clips and for models that translate.
    """
    if not has_single_images(data):
        raise UserError(f"{remedy} works with GANs of single images: leave it out.")
