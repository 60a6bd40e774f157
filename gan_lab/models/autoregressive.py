"""Autoregressive models of pixels: PixelCNN and PixelRNN (van den Oord et al. 2016) by the network they are given."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from gan_lab.common.errors import UserError
from gan_lab.common.images import to_float, to_uint8
from gan_lab.common.types import Batch, Losses, Phase, RandomStream, Shared
from gan_lab.models.bases.ancestral import ancestral_sampling, negative_log_likelihood
from gan_lab.models.bases.sampling import SamplingModule
from gan_lab.training.alternating import MakeOptimizer
from gan_lab.training.ema import EMA


class Autoregressive(SamplingModule):
    """Each value given those before it in raster order: p(x) = Π p(xᵢ | x₁ … xᵢ₋₁), exactly (2016a, eq. 1).

    Satisfies ``Samples``, ``HasLikelihood`` and ``Restores``. Pictures are made by the network's moving average.

    Args:
        network: values (N, C, H, W) in [0, K), and labels → logits (N, K, C, H, W); see ``networks.ancestral.Autoregressive``.
        shape: (C, H, W) of pictures.
        levels: K; of fewer than 256 each stands for as many neighbouring ones of a picture's.
        optimizer: parameters → optimizer.
        ema_half_life: in images.
        ema_ramp: its upper bound as a share of the images seen; None sets none.
        sampling: what ``SamplingModule`` takes.
    """

    exact = True

    def __init__(
        self,
        network: nn.Module,
        shape: Sequence[int],
        levels: int,
        optimizer: MakeOptimizer,
        ema_half_life: float = 10_000,
        ema_ramp: float | None = 0.05,
        **sampling: Any,
    ) -> None:
        ema = EMA({"network": network}, ema_half_life, ema_ramp)
        super().__init__(optimizers={"network": optimizer}, ema=ema, **sampling)
        if not 2 <= levels <= 256:
            raise UserError(f"model.levels={levels} does not serve: give a whole number from 2 to 256.")
        self.network, self.levels = network, levels
        self.shape: tuple[int, int, int] = tuple(shape)  # type: ignore[assignment]

    def phases(self) -> Sequence[Phase]:
        return [Phase("network", self.losses)]

    def trainable(self, phase: str) -> Sequence[nn.Module]:
        return [self.network]

    def modules_to_compile(self) -> Sequence[nn.Module]:
        return [self.network]

    def losses(self, batch: Batch, shared: Shared, noise: RandomStream) -> Losses:
        likely = negative_log_likelihood(self.network, self.values(batch["image"]), *self.condition(batch)).mean()
        return Losses({"nll": likely}, {"bits": likely / (math.prod(self.shape) * math.log(2))})

    def values(self, images: Tensor) -> Tensor:
        """Images in [-1, 1] → values in [0, K), int64."""
        return to_uint8(images).long() * self.levels // 256

    def pictures(self, values: Tensor) -> Tensor:
        """Values in [0, K) → images in [-1, 1], spread from black to white, each by a level that it stands for."""
        spread = (values * 255 / (self.levels - 1)).round()
        first, after = ((256 * value / self.levels).ceil() for value in (values, values + 1))
        return to_float(spread.clamp(first, after - 1))

    def log_likelihood(
        self, image: Tensor, label: int | Tensor | None = None, k: int = 1, seed: int = 0, start: int = 0
    ) -> Tensor:
        """Of the picture in K levels; k and the seed play no part."""
        labels = self.expand_labels(label, len(image))
        with self.inference_mode():
            return -negative_log_likelihood(self.averaged("network"), self.values(image.to(self.device)), *labels)

    def sample(
        self, n: int, seed: int = 0, start: int = 0, label: int | Tensor | None = None, truncation: float = 1.0
    ) -> Tensor:
        """Without a label, sample i of a conditional model is of class i mod K."""
        labels = self.expand_labels(self.cyclic_labels(label, n, start), n)
        with self.inference_mode():
            return self.pictures(
                ancestral_sampling(self.averaged("network"), self.shape, n, seed, start, truncation, labels)
            )

    def restore(
        self, image: Tensor, mask: Tensor, label: int | Tensor | None = None, seed: int = 0, start: int = 0
    ) -> Tensor:
        """What is drawn heeds what is known above it and to its left in its row, and no more."""
        image, known = image.to(self.device), mask.to(self.device) > 0
        n, labels = len(image), self.expand_labels(label, len(image))
        with self.inference_mode():
            given = {"labels": labels, "known": self.values(image), "mask": known}
            made = ancestral_sampling(self.averaged("network"), tuple(image.shape[1:]), n, seed, start, **given)  # type: ignore[arg-type]
            return torch.where(known, image, self.pictures(made))
