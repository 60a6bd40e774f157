"""What methods that make pictures from nothing share: labels to choose among, and latents that are numbered."""

from typing import Any, Protocol

import torch
from torch import Tensor

from gan_lab.common.deprecation import accept_old_attributes
from gan_lab.common.errors import UserError
from gan_lab.common.types import Batch, RandomStream
from gan_lab.models.bases.latents import draw_per_sample
from gan_lab.training.alternating import AlternatingModule


class Prior(Protocol):
    """Random numbers and a count n → latents (n, Z)."""

    latent_range: float
    """From minus to plus so much nearly all of each latent lies."""

    def __call__(self, noise: RandomStream, n: int) -> Tensor: ...


class SamplingModule(AlternatingModule):
    """Makes pictures, with labels or without.

    Args:
        classes: K of a conditional model, whose networks take labels (N,) as well; 0 of another.
        core: what ``AlternatingModule`` takes.
    """

    def __init__(self, classes: int = 0, **core: Any) -> None:
        super().__init__(**core)
        self.classes = classes

    @property
    def num_labels(self) -> int:
        """How many labels there are to choose among when sampling; 0 without labels."""
        return self.classes

    def condition(self, batch: Batch) -> tuple[Tensor, ...]:
        """What the networks are told besides: the labels, if the model is conditional."""
        return (batch["label"],) if self.classes else ()

    def expand_labels(self, label: int | Tensor | None, n: int) -> tuple[Tensor, ...]:
        """The same for n pictures that are made: the label given, or else class 0.

        Raises:
            UserError: for a label that the model does not know.
        """
        return (self.check_labels(0 if label is None else label, n),) if label is not None or self.classes else ()

    def cyclic_labels(self, label: int | Tensor | None, n: int, start: int) -> int | Tensor | None:
        """Labels of samples start … start + n - 1: without one, sample i of a conditional model is of class i mod K."""
        return torch.arange(start, start + n) % self.classes if label is None and self.classes else label

    def check_labels(self, label: int | Tensor, n: int) -> Tensor:
        """The labels (n,) of n samples.

        Raises:
            UserError: for a label that the model does not know.
        """
        if not self.num_labels:
            raise UserError("This model was trained without labels: leave label= away.")
        whole = isinstance(label, Tensor) and label.dtype == torch.int64 and label.shape in ((), (n,))
        if not whole and type(label) is not int:
            raise UserError(f"label={label} does not serve: give one class, a whole number.")
        labels = torch.as_tensor(label, device=self.device).expand(n)
        if n and not 0 <= int(labels.min()) <= int(labels.max()) < self.num_labels:
            raise UserError(f"label={label} does not serve: the model knows the classes 0 to {self.num_labels - 1}.")
        return labels


class LatentModule(SamplingModule):
    """Makes pictures of latents; satisfies ``gan_lab.common.capabilities.Samples`` and ``Decodes``. Methods state ``generate``.

    Args:
        prior: random numbers → latents.
        sampling: what ``SamplingModule`` takes.
    """

    def __init__(self, prior: Prior, **sampling: Any) -> None:
        super().__init__(**sampling)
        accept_old_attributes("Prior", prior)
        self.prior = prior

    def generate(self, latents: Tensor, *labels: Tensor) -> Tensor:
        """Latents (n, Z) and labels (n,) → images (n, C, H, W), by the networks that pictures are made by."""
        raise UserError(f"{type(self).__name__} makes no pictures of latents: a method returns them from generate().")

    def latents(
        self, n: int, seed: int = 0, start: int = 0, truncation: float = 1.0, label: int | Tensor | None = None
    ) -> Tensor:
        """Latents (n, Z) of samples start … start + n - 1 of the seed, shrunk towards the prior's mean; a label plays
        no part.
        """
        return truncation * draw_per_sample(lambda noise: self.prior(noise, 1), n, seed, start).to(self.device)

    def latent_range(self) -> Tensor:
        """From minus to plus so much each latent goes, (Z,)."""
        return torch.full((self.latents(1).shape[1],), self.prior.latent_range, device=self.device)

    def decode(self, latents: Tensor, label: int | Tensor | None = None) -> Tensor:
        """Latents (n, Z) → images in [-1, 1], in float32; without a label, of class 0.

        Raises:
            UserError: for a label that the model does not know.
        """
        labels = self.expand_labels(label, len(latents))
        with self.inference_mode():
            return self.generate(latents.to(self.device), *labels).float().clamp(-1, 1)

    def sample(
        self, n: int, seed: int = 0, start: int = 0, label: int | Tensor | None = None, truncation: float = 1.0
    ) -> Tensor:
        """Without a label, sample i of a conditional model is of class i mod K."""
        return self.decode(self.latents(n, seed, start, truncation), self.cyclic_labels(label, n, start))
