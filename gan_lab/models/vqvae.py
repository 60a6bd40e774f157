"""VQ-VAE (van den Oord et al. 2017): pictures as entries of a codebook, and a prior over these that is learnt next."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan_lab.common.errors import UserError
from gan_lab.common.types import Batch, Losses, Phase, RandomStream, Shared
from gan_lab.models.bases.ancestral import ancestral_sampling, negative_log_likelihood
from gan_lab.models.bases.sampling import SamplingModule
from gan_lab.training.alternating import MakeOptimizer
from gan_lab.training.ema import EMA


class VQVAE(SamplingModule):
    """Until a share of the budget the autoencoder learns, from then on the prior over its codes.

    Satisfies ``Samples``, ``Decodes``, ``Encodes``, ``Reconstructs``, ``Restores`` and ``Quantizes``; what is called
    latents are the codebook's vectors, flat. Pictures are made by the moving averages of all networks. Labels are told
    to the prior alone.

    Args:
        encoder: images (N, C, H, W) → vectors (N, D, h, w).
        decoder: vectors → images.
        quantizer: vectors → entries of the codebook, see ``gan_lab.networks.quantizer.Quantizer``.
        prior: codes (N, 1, h, w), and labels → logits (N, K, 1, h, w); see ``networks.ancestral.Autoregressive``.
        size: (h, w).
        optimizer, prior_optimizer: parameters → optimizer.
        commitment: weight β of the encoder's distance from the entries (eq. 3).
        prior_begin: the share of the budget after which the prior learns.
        ema_half_life: in images.
        ema_ramp: its upper bound as a share of the images seen; None sets none.
        optimizers: of further players, by phase.
        sampling: what ``SamplingModule`` takes.
    """

    shares_graph = "autoencoder"

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        quantizer: Any,
        prior: nn.Module,
        size: Sequence[int],
        optimizer: MakeOptimizer,
        prior_optimizer: MakeOptimizer,
        commitment: float = 0.25,
        prior_begin: float = 0.5,
        ema_half_life: float = 10_000,
        ema_ramp: float | None = 0.05,
        optimizers: Mapping[str, MakeOptimizer] | None = None,
        **sampling: Any,
    ) -> None:
        networks = {"encoder": encoder, "decoder": decoder, "quantizer": quantizer, "prior": prior}
        super().__init__(
            optimizers={"autoencoder": optimizer, "prior": prior_optimizer, **(optimizers or {})},
            ema=EMA(networks, ema_half_life, ema_ramp),
            **sampling,
        )
        self.encoder, self.decoder, self.quantizer, self.prior = encoder, decoder, quantizer, prior
        self.size: tuple[int, int, int] = (1, *size)  # type: ignore[assignment]
        self.commitment, self.prior_begin = commitment, prior_begin
        self.entries = int(quantizer.entries)
        if not 0 < prior_begin < 1:
            raise UserError(f"prior_begin={prior_begin} does not serve: give a share of the budget such as 0.5.")

    def phases(self) -> Sequence[Phase]:
        autoencoder = Phase("autoencoder", self.losses, end=self.prior_begin)
        return [autoencoder, Phase("prior", self.prior_terms, begin=self.prior_begin)]

    def trainable(self, phase: str) -> Sequence[nn.Module]:
        return [self.prior] if phase == "prior" else [self.encoder, self.quantizer, self.decoder]

    def modules_to_compile(self) -> Sequence[nn.Module]:
        return [self.encoder, self.decoder, self.prior]

    def shared_forward(self, batch: Batch, noise: RandomStream) -> Shared:
        if self.progress >= self.prior_begin:
            return {}
        encoded = self.encoder(batch["image"])
        vectors, codes = self.quantizer(encoded)
        return {"encoded": encoded, "codes": codes, "made": self.decoder(vectors)}

    def losses(self, batch: Batch, shared: Shared, noise: RandomStream) -> Losses:
        """Equation 3."""
        commitment, codebook = self.quantizer.losses(shared["encoded"], shared["codes"])
        terms = {**self.unlike(batch["image"], shared["made"]), "commitment": self.commitment * commitment}
        terms |= {"codebook": codebook} if codebook.requires_grad else {}
        share = 1 / self.micro_batches
        return Losses(terms, self.quantizer.update(shared["encoded"], shared["codes"], noise, share))

    def unlike(self, images: Tensor, made: Tensor) -> dict[str, Tensor]:
        """How far the reconstructions are from the pictures."""
        return {"reconstruction": F.mse_loss(made.float(), images)}

    def prior_terms(self, batch: Batch, shared: Shared, noise: RandomStream) -> Losses:
        """The codes' likelihood, in nats a picture."""
        codes = self.codes(batch["image"])
        likely = negative_log_likelihood(self.prior, codes[:, None], *self.condition(batch)).mean()
        return Losses({"nll": likely}, {"nats_a_code": likely / codes[0].numel()})

    # Capabilities.

    def codes(self, image: Tensor) -> Tensor:
        with self.inference_mode():
            encoded = self.averaged("encoder")(image.to(self.device))
            codes: Tensor = self.averaged("quantizer").nearest(encoded)  # type: ignore[operator]
            return codes

    def embedded(self, codes: Tensor) -> Tensor:
        """Codes (n, h, w) → the entries, flat, (n, Z)."""
        vectors: Tensor = self.averaged("quantizer").embed(codes)  # type: ignore[operator]
        return vectors.flatten(1)

    def encode(self, image: Tensor, label: int | Tensor | None = None) -> Tensor:
        """Images (N, C, H, W) in [-1, 1] → the entries that stand for them, flat, (N, Z); a label plays no part."""
        self.expand_labels(label, len(image))
        with self.inference_mode():
            return self.embedded(self.codes(image))

    def latents(
        self, n: int, seed: int = 0, start: int = 0, truncation: float = 1.0, label: int | Tensor | None = None
    ) -> Tensor:
        """Entries (n, Z), flat, of samples start … start + n - 1 of the seed, as the prior draws them."""
        labels = self.expand_labels(self.cyclic_labels(label, n, start), n)
        with self.inference_mode():
            return self.embedded(
                ancestral_sampling(self.averaged("prior"), self.size, n, seed, start, truncation, labels)[:, 0]
            )

    def decode(self, latents: Tensor, label: int | Tensor | None = None) -> Tensor:
        """Vectors (n, Z), flat → images in [-1, 1], in float32; a label plays no part."""
        self.expand_labels(label, len(latents))
        with self.inference_mode():
            vectors = latents.to(self.device).unflatten(1, (-1, *self.size[1:]))
            return self.averaged("decoder")(vectors).float().clamp(-1, 1)

    def sample(
        self, n: int, seed: int = 0, start: int = 0, label: int | Tensor | None = None, truncation: float = 1.0
    ) -> Tensor:
        """Without a label, sample i of a conditional model is of class i mod K."""
        return self.decode(self.latents(n, seed, start, truncation, label))

    def reconstruct(self, image: Tensor, label: int | Tensor | None = None) -> Tensor:
        return self.decode(self.encode(image, label), label)

    def restore(
        self, image: Tensor, mask: Tensor, label: int | Tensor | None = None, seed: int = 0, start: int = 0
    ) -> Tensor:
        """Codes of places that are known in whole are kept, and the prior draws the others in raster order."""
        image, known = image.to(self.device), (mask.to(self.device) > 0).float()
        n, side = len(image), image.shape[-1] // self.size[-1]
        kept = -F.max_pool2d(-known, side) > 0
        with self.inference_mode():
            given = {"labels": self.expand_labels(label, n), "known": self.codes(image * known)[:, None], "mask": kept}
            codes = ancestral_sampling(self.averaged("prior"), self.size, n, seed, start, **given)  # type: ignore[arg-type]
            return torch.where(known > 0, image, self.decode(self.embedded(codes[:, 0])))
