"""The importance-weighted autoencoder (Burda, Grosse and Salakhutdinov 2016): a tighter bound from several samples."""

import math

from torch import nn

from gan_lab.common.bounds import Natural, NonNegative, PositiveInt
from gan_lab.common.errors import UserError
from gan_lab.common.types import Batch, Losses, RandomStream, Shared
from gan_lab.models.bases.latents import Prior
from gan_lab.models.vae import VAE, Likelihood, elbo_logs
from gan_lab.training.alternating import MakeOptimizer
from gan_lab.training.options import EngineOptions


class IWAE(VAE):
    """Maximises the bound by k importance-weighted samples of each image (eq. 8).

    Args:
        encoder, decoder, likelihood, optimizer, prior, classes, engine: see ``VAE``.
        samples: k.
        beta, free_bits: 1 and 0.

    Raises:
        UserError: for a number of samples below 1, and for β or free bits, which do not apply to this bound.
    """

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        likelihood: Likelihood,
        optimizer: MakeOptimizer,
        prior: Prior,
        samples: PositiveInt = 5,
        beta: NonNegative = 1.0,
        free_bits: NonNegative = 0.0,
        classes: Natural = 0,
        engine: EngineOptions | None = None,
    ) -> None:
        super().__init__(encoder, decoder, likelihood, optimizer, prior, beta, free_bits, classes, engine)
        if type(samples) is not int or samples < 1:
            raise UserError(f"samples={samples} is not valid: give an integer of at least 1.")
        if beta != 1 or free_bits or "beta" in self.scheduled.schedules:
            raise UserError(
                "The importance-weighted bound has no KL term of its own: leave beta, its schedule and free_bits out."
            )
        self.samples = samples

    def losses(self, batch: Batch, shared: Shared, noise: RandomStream) -> Losses:
        """Returns the negative bound of eq. 8."""
        images, labels = batch["image"], self.condition(batch)
        n, k = len(images), self.samples
        epsilon = self.prior(noise, n * k).view(n, k, -1)
        encoded, dequantized = self.encoder(images, *labels), self.dequantize(images, noise)
        weights, log_likelihood, kl = self.log_weights(self.decoder, dequantized, encoded, epsilon, *labels)
        bound = (weights.logsumexp(1) - math.log(k)).mean()
        return Losses({"bound": -bound}, elbo_logs(images, kl.mean(), -log_likelihood.mean()))
