"""The importance-weighted autoencoder (Burda, Grosse and Salakhutdinov 2016): a tighter bound from several draws."""

import math
from typing import Any

from gan_lab.common.errors import UserError
from gan_lab.common.types import Batch, Losses, RandomStream, Shared
from gan_lab.models.vae import VAE, logs


class IWAE(VAE):
    """Maximises the bound by k importance-weighted samples of each picture (eq. 8).

    Args:
        samples: k.
        vae: what ``VAE`` takes.

    Raises:
        UserError: for β or free bits, which this bound has no place for.
    """

    def __init__(self, samples: int = 5, **vae: Any) -> None:
        super().__init__(**vae)
        if type(samples) is not int or samples < 1:
            raise UserError(f"samples={samples} does not serve: give a whole number from 1 up.")
        if self.beta != 1 or self.free_bits or "beta" in self.scheduled.schedules:
            raise UserError(
                "The importance-weighted bound has no KL term of its own: leave beta, its schedule and free_bits away."
            )
        self.samples = samples

    def losses(self, batch: Batch, shared: Shared, noise: RandomStream) -> Losses:
        images, labels = batch["image"], self.condition(batch)
        n, k = len(images), self.samples
        epsilon = self.prior(noise, n * k).view(n, k, -1)
        encoded, seen = self.encoder(images, *labels), self.dequantize(images, noise)
        weights, explained, kl = self.log_weights(self.decoder, seen, encoded, epsilon, *labels)
        bound = (weights.logsumexp(1) - math.log(k)).mean()
        return Losses({"bound": -bound}, logs(images, kl.mean(), -explained.mean()))
