"""VQ-VAE (van den Oord et al. 2017): images as entries of a codebook, and a prior over the codes."""

from collections.abc import Mapping, Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan_lab.common.bounds import Natural, NonNegative, PositiveInt, Probability
from gan_lab.common.errors import UserError
from gan_lab.common.gradients import bounded
from gan_lab.common.types import Batch, Losses, Phase, RandomStream, Shared
from gan_lab.models.bases.ancestral import ancestral_sampling, negative_log_likelihood
from gan_lab.models.bases.labels import Label, Labels
from gan_lab.networks.quantizer import Quantizer
from gan_lab.training.alternating import AlternatingModule, MakeOptimizer
from gan_lab.training.options import EngineOptions


class VQVAE(AlternatingModule):
    """Phases: the autoencoder, up to a share of the budget; from then on the prior over its codes.

    Satisfies ``Samples``, ``Decodes``, ``Encodes``, ``Reconstructs``, ``Restores`` and ``Quantizes`` by the moving
    averages of all networks; the latents are vectors of the codebook, flattened. Only the prior is conditional.

    Args:
        encoder: images (N, C, H, W) → vectors (N, D, h, w).
        decoder: vectors (N, D, h, w) → images.
        quantizer: vectors → entries of the codebook.
        prior: codes (N, 1, h, w), and labels → logits (N, K, 1, h, w); see ``networks.ancestral.Autoregressive``.
        size: (h, w).
        optimizer, prior_optimizer: functions from parameters to an optimizer.
        commitment: weight β of the encoder's distance from the entries (eq. 3).
        prior_begin: share of the budget after which the prior is trained.
        classes: number of classes of a conditional model; 0 for an unconditional one.
        optimizers: optimizers of further phases, by phase.
        engine: options that do not depend on the method.

    Raises:
        UserError: for a share outside (0, 1).
    """

    shares_graph = "autoencoder"

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        quantizer: Quantizer,
        prior: nn.Module,
        size: Sequence[PositiveInt],
        optimizer: MakeOptimizer,
        prior_optimizer: MakeOptimizer,
        commitment: NonNegative = 0.25,
        prior_begin: Probability = 0.5,
        classes: Natural = 0,
        optimizers: Mapping[str, MakeOptimizer] | None = None,
        engine: EngineOptions | None = None,
    ) -> None:
        networks = {"encoder": encoder, "decoder": decoder, "quantizer": quantizer, "prior": prior}
        optimizers = {"autoencoder": optimizer, "prior": prior_optimizer, **(optimizers or {})}
        super().__init__(optimizers, engine, networks)
        if not 0 < prior_begin < 1:
            raise UserError(f"prior_begin={prior_begin} is not valid: give a share of the budget such as 0.5.")
        self.encoder, self.decoder, self.quantizer, self.prior = encoder, decoder, quantizer, prior
        self.labels, self.classes = Labels(classes), classes
        self.size, self.entries = (size[0], size[1]), int(quantizer.entries)
        self.commitment, self.prior_begin = commitment, prior_begin

    def phases(self) -> Sequence[Phase]:
        autoencoder = Phase("autoencoder", self.losses, end=self.prior_begin)
        return [autoencoder, Phase("prior", self.prior_losses, begin=self.prior_begin)]

    def trainable(self, phase: str) -> Sequence[nn.Module]:
        return [self.prior] if phase == "prior" else [self.encoder, self.quantizer, self.decoder]

    def modules_to_compile(self) -> Sequence[nn.Module]:
        return [self.encoder, self.decoder, self.prior]

    def shared_forward(self, batch: Batch, noise: RandomStream) -> Shared:
        if self.progress >= self.prior_begin:
            return {}
        encoded = self.encoder(batch["image"])
        vectors, codes = self.quantizer(encoded)
        return {"encoded": encoded, "codes": codes, "reconstructed": self.decoder(vectors)}

    def losses(self, batch: Batch, shared: Shared, noise: RandomStream) -> Losses:
        """Returns the losses of eq. 3."""
        commitment, codebook = self.quantizer.losses(shared["encoded"], shared["codes"])
        terms = self.reconstruction_losses(batch["image"], shared["reconstructed"])
        terms |= {"commitment": self.commitment * commitment}
        terms |= {"codebook": codebook} if codebook.requires_grad else {}
        share = 1 / self.engine.micro_batches
        return Losses(terms, self.quantizer.update(shared["encoded"], shared["codes"], noise, share))

    def reconstruction_losses(self, images: Tensor, reconstructed: Tensor) -> dict[str, Tensor]:
        """Returns the errors of reconstructions (N, C, H, W) of images (N, C, H, W)."""
        return {"reconstruction": F.mse_loss(reconstructed.float(), images)}

    def prior_losses(self, batch: Batch, shared: Shared, noise: RandomStream) -> Losses:
        """Returns the negative log-likelihood of the codes in nats per image."""
        codes = self.codes(batch["image"])
        nll = negative_log_likelihood(self.prior, codes[:, None], *self.labels.condition(batch)).mean()
        return Losses({"nll": nll}, {"nats_a_code": nll / codes[0].numel()})

    # Capabilities.

    @property
    def num_labels(self) -> int:
        """Number of labels to choose among when sampling, 0 without labels."""
        return self.labels.classes

    def codes(self, image: Tensor) -> Tensor:
        with self.inference_mode():
            encoded = self.averaged("encoder")(image.to(self.device))
            return cast(Quantizer, self.averaged("quantizer")).nearest(encoded)

    def embed(self, codes: Tensor) -> Tensor:
        """Returns the entries of codes (n, h, w), flattened, (n, Z)."""
        return cast(Quantizer, self.averaged("quantizer")).embed(codes).flatten(1)

    def encode(self, image: Tensor, label: Label = None) -> Tensor:
        """Returns the nearest entries, flattened, (N, Z), of images (N, C, H, W) in [-1, 1]; the label is not used."""
        self.labels.expand(label, len(image), self.device)
        with self.inference_mode():
            return self.embed(self.codes(image))

    def latents(self, n: int, seed: int = 0, start: int = 0, truncation: float = 1.0, label: Label = None) -> Tensor:
        """Returns entries drawn from the prior, flattened, (n, Z), for samples start … start + n - 1 of the seed."""
        labels = self.labels.of_samples(label, n, start, self.device)
        with self.inference_mode():
            codes = ancestral_sampling(self.averaged("prior"), (1, *self.size), n, seed, start, truncation, labels)
            return self.embed(codes[:, 0])

    def decode(self, latents: Tensor, label: Label = None) -> Tensor:
        """Returns images in [-1, 1], float32, given flattened vectors (n, Z); the label is not used."""
        self.labels.expand(label, len(latents), self.device)
        with self.inference_mode():
            vectors = latents.to(self.device).unflatten(1, (-1, *self.size))
            return bounded(self.averaged("decoder")(vectors))

    def sample(self, n: int, seed: int = 0, start: int = 0, label: Label = None, truncation: float = 1.0) -> Tensor:
        """Returns samples (n, C, H, W); if the label is None, sample i of a conditional model has class i mod K."""
        return self.decode(self.latents(n, seed, start, truncation, label))

    def reconstruct(self, image: Tensor, label: Label = None) -> Tensor:
        return self.decode(self.encode(image, label), label)

    def restore(self, image: Tensor, mask: Tensor, label: Label = None, seed: int = 0, start: int = 0) -> Tensor:
        """Inpaints images (N, C, H, W) where the mask (N, 1, H, W) is 0.

        Codes of places that are entirely known are kept; the prior draws the others in raster order.
        """
        image, known = image.to(self.device), (mask.to(self.device) > 0).float()
        n, stride = len(image), image.shape[-1] // self.size[-1]
        kept = -F.max_pool2d(-known, stride) > 0
        with self.inference_mode():
            codes = ancestral_sampling(
                self.averaged("prior"), (1, *self.size), n, seed, start,
                labels=self.labels.expand(label, n, self.device), known=self.codes(image * known)[:, None], mask=kept,
            )  # fmt: skip
            return torch.where(known > 0, image, self.decode(self.embed(codes[:, 0])))
