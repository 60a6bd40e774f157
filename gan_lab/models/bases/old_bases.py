"""Base classes of the last version, for users' methods that extend them; they work for one version.

Models now hold ``gan_lab.models.bases.labels.Labels`` and use the functions of ``gan_lab.models.bases.latents``.
"""

from typing import Any

import torch
from torch import Tensor

from gan_lab.common.errors import UserError
from gan_lab.common.gradients import bounded
from gan_lab.common.types import Batch
from gan_lab.models.bases.labels import Label, Labels
from gan_lab.models.bases.latents import Prior, sample_latents
from gan_lab.training.alternating import AlternatingModule


class SamplingModule(AlternatingModule):
    """Generates images, with labels or without.

    Args:
        classes: K of a conditional model, whose networks take labels (N,) as well; 0 for an unconditional one.
        core: arguments of ``AlternatingModule``.
    """

    def __init__(self, classes: int = 0, **core: Any) -> None:
        super().__init__(**core)
        self.labels, self.classes = Labels(classes), classes

    @property
    def num_labels(self) -> int:
        """Number of labels to choose among when sampling; 0 without labels."""
        return self.classes

    def condition(self, batch: Batch) -> tuple[Tensor, ...]:
        """Returns the extra network inputs: ``(labels,)``, int64 (N,), for a conditional model, else ``()``."""
        return self.labels.condition(batch)

    def labelled(self, label: Label, n: int) -> tuple[Tensor, ...]:
        """Returns the extra network inputs of n samples, labels (n,); see ``Labels.expand``."""
        return self.labels.expand(label, n, self.device)

    def in_turn(self, label: Label, n: int, start: int) -> Label:
        """Returns the label of samples start … start + n - 1, a class or labels (n,); see ``Labels.cyclic``."""
        return self.labels.cyclic(label, n, start)


class LatentModule(SamplingModule):
    """Generates images from latents. Satisfies ``Samples``, ``Decodes`` and ``Traverses``. Methods state ``generate``.

    Args:
        prior: distribution of the latents.
        sampling: arguments of ``SamplingModule``.
    """

    def __init__(self, prior: Prior, **sampling: Any) -> None:
        super().__init__(**sampling)
        self.prior = prior

    def generate(self, latents: Tensor, *labels: Tensor) -> Tensor:
        """Returns images (n, C, H, W), given latents (n, Z) and labels (n,).

        Raises:
            UserError: if the method does not override this.
        """
        raise UserError(f"{type(self).__name__} does not decode latents: return images from generate().")

    def latents(self, n: int, seed: int = 0, start: int = 0, truncation: float = 1.0, label: Label = None) -> Tensor:
        """Returns latents (n, Z) of samples start … start + n - 1 of the seed; the label is not used."""
        return sample_latents(self.prior, n, seed, start, truncation).to(self.device)

    def latent_range(self) -> Tensor:
        """Returns the half-range of useful values of each latent, (Z,)."""
        return torch.full((self.latents(1).shape[1],), self.prior.latent_range, device=self.device)

    def decode(self, latents: Tensor, label: Label = None) -> Tensor:
        """Returns images (n, C, H, W) in [-1, 1], float32, given latents (n, Z); of class 0 if the label is None."""
        labels = self.labels.expand(label, len(latents), self.device)
        with self.inference_mode():
            return bounded(self.generate(latents.to(self.device), *labels))

    def sample(self, n: int, seed: int = 0, start: int = 0, label: Label = None, truncation: float = 1.0) -> Tensor:
        """Returns samples (n, C, H, W); if the label is None, sample i of a conditional model has class i mod K."""
        return self.decode(self.latents(n, seed, start, truncation), self.labels.cyclic(label, n, start))
