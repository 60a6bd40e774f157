"""Adversarial objective: the loss on logits with penalties on the discriminator, whatever the networks are."""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_max_pool2d

from gan_lab.common.bounds import PositiveInt
from gan_lab.common.deprecation import accept_old_attributes
from gan_lab.common.errors import UserError
from gan_lab.common.precision import full_precision
from gan_lab.common.types import Losses, RandomStream, Stateful
from gan_lab.losses.samples import is_per_sample

Discriminator = Callable[[Tensor], Tensor]
"""Images (N, C, H, W) → logits in float32, of any shape with N first."""


class OfImages(partial[Tensor]):
    """A discriminator that is a function of nothing but images (N, C, H, W), and takes any number of them."""


class AdversarialLoss(Protocol):
    """Loss on logits; see ``gan_lab.losses.adversarial``."""

    relativistic: bool
    decision_threshold: float | None

    def d(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """Returns the discriminator's loss, of any shape that the real and fake logits, of any shape, broadcast to."""

    def g(self, fake_logits: Tensor, real_logits: Tensor) -> Tensor:
        """Returns the generator's loss, of any shape that the fake and real logits, of any shape, broadcast to."""


class Penalty(Protocol):
    """Penalty on a discriminator; see ``gan_lab.losses.penalties``."""

    weight: float
    interval: int
    points: frozenset[str]
    per_sample: bool

    def __call__(
        self,
        discriminator: Discriminator,
        real: Tensor,
        fake: Tensor,
        logits: Mapping[str, Tensor],
        noise: RandomStream,
    ) -> Tensor:
        """Returns values (N,), or a scalar, given real and generated images, both (N, C, H, W)."""


class AdversarialObjective:
    """The losses of a discriminator and a generator, and how often each of them steps.

    Args:
        loss: loss on logits.
        penalties: penalties on the discriminator, by the name they are logged under; null entries are skipped.
        projection: applied to the discriminator after each of its steps (weight clipping).
        n_critic: discriminator steps for each generator step.
        one_pass: gives real and generated images to a discriminator ``OfImages`` in one pass, unless a penalty
            differentiates at one of them; None: where none of its layers mixes samples, and both ways are equal within
            rounding.

    Raises:
        UserError: if ``n_critic`` is below 1.
    """

    def __init__(
        self,
        loss: AdversarialLoss,
        penalties: Mapping[str, Penalty | None] | None = None,
        projection: Callable[[nn.Module], None] | None = None,
        n_critic: PositiveInt = 1,
        one_pass: bool | None = None,
    ) -> None:
        if n_critic < 1:
            raise UserError(f"n_critic={n_critic} is not valid: give an integer of at least 1.")
        self.loss, self.projection, self.n_critic = loss, projection, n_critic
        self.one_pass, self.mixes = one_pass, True
        self.penalties = {name: penalty for name, penalty in (penalties or {}).items() if penalty is not None}
        accept_old_attributes("AdversarialLoss", loss)
        accept_old_attributes("Penalty", *self.penalties.values())

    def check(self, discriminators: Mapping[str, nn.Module]) -> None:
        """Checks that the penalties can be taken of these networks, given by name.

        Raises:
            UserError: for a per-sample penalty on a network with batch normalisation, which mixes samples.
        """
        accept_old_attributes("Discriminator", *discriminators.values())
        for name, network in discriminators.items():
            refuse_batch_norm(name, network, self.penalties)
        self.mixes = not all(map(is_per_sample, discriminators.values()))

    def extra_state(self) -> dict[str, Stateful]:
        """Returns the penalties that have a state, by name."""
        return {name: penalty for name, penalty in self.penalties.items() if isinstance(penalty, Stateful)}

    def project(self, *discriminators: nn.Module) -> None:
        """Applies the projection, if there is one, to networks that have just stepped."""
        if self.projection is not None:
            for network in discriminators:
                self.projection(network)

    def d(
        self,
        discriminator: Discriminator,
        real: Tensor,
        fake: Tensor,
        noise: RandomStream,
        iteration: int = 0,
        copied: Tensor | None = None,
        of_fake: Discriminator | None = None,
    ) -> Losses:
        """Returns the discriminator's losses: ``adversarial``, and the penalties that are due in the iteration.

        Args:
            discriminator: network, with all that it is conditioned on.
            real: real images (N, C, H, W).
            fake: generated images (N, C, H', W').
            noise: random numbers of the turn.
            iteration: index of the iteration.
            copied: 1 at pixels of the generated images that are real, (N, 1, H', W'). A discriminator of patches learns
                that patches are real if their own part of the image, a cell of H'/h by W'/w pixels, has no other pixel
                (Suvorov et al. 2022, section 2.2, as in their code). A relativistic loss, one without a decision
                threshold, or a discriminator of whole images, does not use it.
            of_fake: the discriminator of the generated images, if they have other conditions than the real ones;
                penalties between the two take those of the real ones.

        Raises:
            UserError: for a penalty between images of different sizes.
        """
        due = {name: p for name, p in self.penalties.items() if iteration % p.interval == 0}
        with uncompiled() if any(penalty.per_sample for penalty in due.values()) else contextlib.nullcontext():
            return self._d(discriminator, real, fake, noise, due, copied, of_fake or discriminator)

    def _d(
        self,
        discriminator: Discriminator,
        real: Tensor,
        fake: Tensor,
        noise: RandomStream,
        due: Mapping[str, Penalty],
        copied: Tensor | None,
        of_fake: Discriminator,
    ) -> Losses:
        points = frozenset[str]().union(*(penalty.points for penalty in due.values()))
        joint = isinstance(discriminator, OfImages) and of_fake is discriminator and not points
        if joint and self._joins(real, fake):
            real_logits, fake_logits = discriminator(torch.cat([real, fake])).chunk(2)
        else:
            real, real_logits = _logits(discriminator, real, differentiable="real" in points)
            fake, fake_logits = _logits(of_fake, fake, differentiable="fake" in points)
        logits = {"real": real_logits, "fake": fake_logits}
        generated = None if copied is None else self._generated(fake_logits, copied)
        terms = {"adversarial": self._d_loss(real_logits, fake_logits, generated)}
        for name, penalty in due.items():
            if penalty.per_sample and not penalty.points and real.shape != fake.shape:
                raise UserError(
                    f"The penalty {name} is taken between real and generated images, which differ in size here: "
                    "choose another loss=, or data.preprocess=resize_and_crop."
                )
            with in_float32(real) if penalty.per_sample else contextlib.nullcontext():
                value = penalty(discriminator, real, fake, logits, noise)
            terms[name] = penalty.weight * penalty.interval * value.mean()
        return Losses(terms, self._logs(real_logits.detach(), fake_logits.detach(), generated))

    def g(self, discriminator: Discriminator, fake: Tensor, real: Tensor) -> Tensor:
        """Returns the generator's adversarial loss, a scalar, given generated and real images, both (N, C, H, W).

        Only a relativistic loss evaluates the discriminator at the real images.
        """
        fake_logits = discriminator(fake)
        real_logits = discriminator(real) if self.loss.relativistic else fake_logits.detach()
        return self.loss.g(*_pair(fake_logits, real_logits)).mean()

    def _joins(self, real: Tensor, fake: Tensor) -> bool:
        """Says whether the images pass together."""
        return real.shape == fake.shape and (not self.mixes if self.one_pass is None else self.one_pass)

    def _generated(self, logits: Tensor, copied: Tensor) -> Tensor | None:
        """Returns which of the logits (N, 1, h, w) are of generated patches, bool; None if all count as generated."""
        if logits.ndim != 4 or self.loss.relativistic or self.loss.decision_threshold is None:
            return None
        return adaptive_max_pool2d(1 - copied.float(), (logits.shape[2], logits.shape[3])) > 0

    def _d_loss(self, real: Tensor, fake: Tensor, generated: Tensor | None = None) -> Tensor:
        """Returns the mean loss; logits of two shapes are averaged separately, unless the loss is relativistic.

        Where ``generated`` is false, a fake logit costs as much as a real one, up to a constant.
        """
        if generated is not None:
            middle = torch.full_like(fake, self.loss.decision_threshold or 0.0)
            as_real = self.loss.d(real, middle) + self.loss.d(fake, middle) - self.loss.d(middle, middle)
            return torch.where(generated, self.loss.d(real, fake), as_real).mean()
        if real.shape == fake.shape or self.loss.relativistic:
            return self.loss.d(*_pair(real, fake)).mean()
        real, fake = real.flatten(1), fake.flatten(1)
        one, other = real[:, :1].detach(), fake[:, :1].detach()
        return self.loss.d(real, other).mean() + self.loss.d(one, fake).mean() - self.loss.d(one, other).mean()

    def _logs(self, real_logits: Tensor, fake_logits: Tensor, generated: Tensor | None = None) -> dict[str, Tensor]:
        """Returns mean logits, the mean sign of real ones, and the discriminator's accuracy.

        The sign is that of the distance from the decision threshold. A loss without one has no accuracy, and signs are
        those of the distance from the mean of the fake ones. Copied patches are left out.
        """
        share = torch.ones_like(fake_logits) if generated is None else generated.to(fake_logits)
        share = share / share.sum().clamp(min=1)
        means = {"real": real_logits.mean(), "fake": (fake_logits * share).sum()}
        threshold = means["fake"] if self.loss.decision_threshold is None else self.loss.decision_threshold
        means["sign"] = (real_logits - threshold).sign().mean()
        if self.loss.decision_threshold is None:
            return means
        correct = (real_logits > self.loss.decision_threshold).float().mean()
        correct = correct + ((fake_logits < self.loss.decision_threshold) * share).sum()
        return {**means, "accuracy": correct / 2}


def _pair(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Returns logits of equal shapes unchanged; else each patch of one is paired with each patch of the other.

    The mean of a sum of terms of either side is the same both ways.
    """
    return (a, b) if a.shape == b.shape else (a.flatten(1)[:, :, None], b.flatten(1)[:, None, :])


def _logits(discriminator: Discriminator, images: Tensor, differentiable: bool) -> tuple[Tensor, Tensor]:
    """Returns images and their logits; if a penalty differentiates at them, one float32 pass is for it and the loss."""
    if not differentiable:
        return images, discriminator(images)
    images = images.detach().float().requires_grad_()
    with in_float32(images):
        return images, discriminator(images)


def uncompiled() -> contextlib.AbstractContextManager[object]:
    """Runs compiled networks as they are: torch.compile has no gradients of gradients."""
    return torch.compiler.set_stance("force_eager")


@contextlib.contextmanager
def in_float32(images: Tensor) -> Iterator[None]:
    """Disables autocast and TF32 on the device of the images (any shape): second derivatives need the precision."""
    with torch.autocast(images.device.type, enabled=False), full_precision():
        yield


def refuse_batch_norm(name: str, discriminator: nn.Module, penalties: Mapping[str, Penalty]) -> None:
    """Checks that no per-sample penalty is taken of a network whose logits depend on the other samples.

    Raises:
        UserError: if one is.
    """
    mixes = any(isinstance(layer, nn.modules.batchnorm._BatchNorm) for layer in discriminator.modules())
    for penalty_name, penalty in penalties.items():
        if penalty.per_sample and mixes:
            raise UserError(
                f"The penalty {penalty_name} differentiates each sample's logit, but batch normalisation in the {name} "
                "mixes samples: choose loss.discriminator.norm=layer, instance or none."
            )
