"""An adversarial objective with its penalties, whoever the critic is and whatever it is shown besides."""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from gan_lab.common.deprecation import accept_old_attributes
from gan_lab.common.errors import UserError
from gan_lab.common.precision import full_precision
from gan_lab.common.types import Losses, RandomStream

Critic = Callable[[Tensor], Tensor]
"""Images (N, C, H, W) → logits in float32, of any shape with N first."""


class AdversarialLoss(Protocol):
    """See ``gan_lab.losses.adversarial``."""

    relativistic: bool
    decision_threshold: float | None

    def d(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor: ...

    def g(self, fake_logits: Tensor, real_logits: Tensor) -> Tensor: ...


class Penalty(Protocol):
    """See ``gan_lab.losses.penalties``."""

    weight: float
    interval: int
    points: frozenset[str]
    per_sample: bool

    def __call__(
        self, critic: Critic, real: Tensor, fake: Tensor, logits: Mapping[str, Tensor], noise: RandomStream
    ) -> Tensor: ...


class AdversarialObjective:
    """What a critic and a generator minimise against each other.

    Args:
        loss: the objective on logits.
        penalties: on the critic, by the name they are logged under; null entries are left out.
        critics: the networks that the penalties will be asked about.

    Raises:
        UserError: for a per-sample penalty over a critic with batch normalisation, which mixes samples.
    """

    def __init__(
        self,
        loss: AdversarialLoss,
        penalties: Mapping[str, Penalty | None] | None = None,
        critics: Mapping[str, nn.Module] | None = None,
    ) -> None:
        self.loss = loss
        self.penalties = {name: penalty for name, penalty in (penalties or {}).items() if penalty is not None}
        accept_old_attributes("AdversarialLoss", loss)
        accept_old_attributes("Penalty", *self.penalties.values())
        accept_old_attributes("Discriminator", *(critics or {}).values())
        for name, network in (critics or {}).items():
            refuse_batch_norm(name, network, self.penalties)

    @property
    def differentiates_twice(self) -> bool:
        """Whether a penalty takes the gradient of a gradient, which torch.compile cannot."""
        return any(penalty.per_sample for penalty in self.penalties.values())

    def extra_state(self) -> dict[str, Any]:
        """The penalties that remember something, by name."""
        return {name: penalty for name, penalty in self.penalties.items() if hasattr(penalty, "state_dict")}

    def d(self, critic: Critic, real: Tensor, fake: Tensor, noise: RandomStream, iteration: int = 0) -> Losses:
        """The critic's terms: ``adversarial`` and the penalties that are due in the iteration.

        Raises:
            UserError: for a penalty between pictures of different sizes.
        """
        due = {name: p for name, p in self.penalties.items() if iteration % p.interval == 0}
        points = frozenset[str]().union(*(penalty.points for penalty in due.values()))
        real, real_logits = _judge(critic, real, differentiable="real" in points)
        fake, fake_logits = _judge(critic, fake, differentiable="fake" in points)
        terms = {"adversarial": self._apart(real_logits, fake_logits)}
        logits = {"real": real_logits, "fake": fake_logits}
        for name, penalty in due.items():
            if penalty.per_sample and not penalty.points and real.shape != fake.shape:
                raise UserError(
                    f"The penalty {name} is taken between real and generated pictures, which differ in size here: "
                    "choose another loss=, or data.preprocess=resize_and_crop."
                )
            with in_float32(real) if penalty.per_sample else contextlib.nullcontext():
                value = penalty(critic, real, fake, logits, noise)
            terms[name] = penalty.weight * penalty.interval * value.mean()
        return Losses(terms, self._verdict(real_logits.detach(), fake_logits.detach()))

    def g(self, critic: Critic, fake: Tensor, real: Tensor) -> Tensor:
        """The generator's adversarial term, a scalar; only a relativistic loss looks at the real pictures."""
        fake_logits = critic(fake)
        real_logits = critic(real) if self.loss.relativistic else fake_logits.detach()
        return self.loss.g(*_fitting(fake_logits, real_logits)).mean()

    def _apart(self, real: Tensor, fake: Tensor) -> Tensor:
        """The critic's loss, a scalar; one side's terms do not ask for the other's unless the loss is relativistic."""
        if real.shape == fake.shape or self.loss.relativistic:
            return self.loss.d(*_fitting(real, fake)).mean()
        real, fake = real.flatten(1), fake.flatten(1)
        one, other = real[:, :1].detach(), fake[:, :1].detach()
        return self.loss.d(real, other).mean() + self.loss.d(one, fake).mean() - self.loss.d(one, other).mean()

    def _verdict(self, real_logits: Tensor, fake_logits: Tensor) -> dict[str, Tensor]:
        """Mean logits, and the share of right calls where the objective has a boundary between them."""
        means = {"real": real_logits.mean(), "fake": fake_logits.mean()}
        if self.loss.decision_threshold is None:
            return means
        right = [real_logits > self.loss.decision_threshold, fake_logits < self.loss.decision_threshold]
        return {**means, "accuracy": torch.stack([calls.float().mean() for calls in right]).mean()}


def _fitting(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Logits as they are; of pictures that differ in size, each patch of one beside each of the other.

    The mean of a sum of both sides' terms is the same either way.
    """
    return (a, b) if a.shape == b.shape else (a.flatten(1)[:, :, None], b.flatten(1)[:, None, :])


def _judge(critic: Critic, images: Tensor, differentiable: bool) -> tuple[Tensor, Tensor]:
    """Images and their logits; where a penalty differentiates at them, one float32 pass serves it and the loss."""
    if not differentiable:
        return images, critic(images)
    images = images.detach().float().requires_grad_()
    with in_float32(images):
        return images, critic(images)


@contextlib.contextmanager
def in_float32(images: Tensor) -> Iterator[None]:
    """Without autocast and TF32 on the images' device: what is differentiated twice needs the digits."""
    with torch.autocast(images.device.type, enabled=False), full_precision():
        yield


def refuse_batch_norm(name: str, critic: nn.Module, penalties: Mapping[str, Penalty]) -> None:
    """Raises UserError if a per-sample penalty would see a critic whose logits depend on the other samples."""
    mixes = any(isinstance(layer, nn.modules.batchnorm._BatchNorm) for layer in critic.modules())
    for penalty, each in penalties.items():
        if each.per_sample and mixes:
            raise UserError(
                f"The penalty {penalty} differentiates each sample's logit, but batch normalisation in the {name} "
                "mixes samples: choose loss.critic.norm=layer, instance or none."
            )
