"""Autoregressive models of pixels: PixelCNN and PixelRNN (van den Oord et al. 2016), depending on the network."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from gan_lab.common.bounds import Natural, PositiveInt
from gan_lab.common.errors import UserError
from gan_lab.common.images import to_float, to_uint8
from gan_lab.common.types import Batch, Losses, Phase, RandomStream, Shared
from gan_lab.models.bases.ancestral import ancestral_sampling, negative_log_likelihood
from gan_lab.models.bases.labels import Label, Labels
from gan_lab.training.alternating import AlternatingModule, MakeOptimizer
from gan_lab.training.options import EngineOptions


class Autoregressive(AlternatingModule):
    """Exact likelihood p(x) = Π p(xᵢ | x₁ … xᵢ₋₁) of values in raster order (2016a, eq. 1).

    Satisfies ``Samples``, ``HasLikelihood`` and ``Restores`` by the network's moving average.

    Args:
        network: values (N, C, H, W) in [0, K), and labels → logits (N, K, C, H, W); see
            ``networks.ancestral.Autoregressive``.
        shape: (C, H, W) of the images.
        levels: K; each of fewer than 256 levels stands for several neighbouring ones of an 8-bit image.
        optimizer: function from parameters to an optimizer.
        classes: number of classes of a conditional model; 0 for an unconditional one.
        engine: options that do not depend on the method.

    Raises:
        UserError: for a number of levels outside [2, 256].
    """

    exact = True

    def __init__(
        self,
        network: nn.Module,
        shape: Sequence[PositiveInt],
        levels: PositiveInt,
        optimizer: MakeOptimizer,
        classes: Natural = 0,
        engine: EngineOptions | None = None,
    ) -> None:
        super().__init__({"network": optimizer}, engine, {"network": network})
        if not 2 <= levels <= 256:
            raise UserError(f"model.levels={levels} is not valid: give an integer from 2 to 256.")
        self.network, self.levels = network, levels
        channels, height, width = shape
        self.shape = (channels, height, width)
        self.labels, self.classes = Labels(classes), classes

    def phases(self) -> Sequence[Phase]:
        return [Phase("network", self.losses)]

    def trainable(self, phase: str) -> Sequence[nn.Module]:
        return [self.network]

    def modules_to_compile(self) -> Sequence[nn.Module]:
        return [self.network]

    def losses(self, batch: Batch, shared: Shared, noise: RandomStream) -> Losses:
        """Returns the negative log-likelihood in nats per image."""
        values, labels = self.to_values(batch["image"]), self.labels.condition(batch)
        nll = negative_log_likelihood(self.network, values, *labels).mean()
        return Losses({"nll": nll}, {"bits": nll / (math.prod(self.shape) * math.log(2))})

    def to_values(self, images: Tensor) -> Tensor:
        """Returns int64 values in [0, K), given images in [-1, 1] of the same shape."""
        return to_uint8(images).long() * self.levels // 256

    def to_images(self, values: Tensor) -> Tensor:
        """Returns images in [-1, 1], given values in [0, K) of the same shape.

        The levels are spread evenly from black to white, each at one of the 8-bit levels that it stands for.
        """
        spread = (values * 255 / (self.levels - 1)).round()
        first, after = ((256 * value / self.levels).ceil() for value in (values, values + 1))
        return to_float(spread.clamp(first, after - 1))

    # Capabilities.

    @property
    def num_labels(self) -> int:
        """Number of labels to choose among when sampling, 0 without labels."""
        return self.labels.classes

    def logits_of(self, image: Tensor, label: Label = None) -> Tensor:
        """Returns logits (N, K, C, H, W) of the values of images (N, C, H, W)."""
        labels = self.labels.expand(label, len(image), self.device)
        with self.inference_mode():
            logits: Tensor = self.averaged("network")(self.to_values(image.to(self.device)), *labels)
            return logits.float()

    def log_likelihood(self, image: Tensor, label: Label = None, k: int = 1, seed: int = 0, start: int = 0) -> Tensor:
        """Returns log p in nats (N,) of images (N, C, H, W) at K levels; ``k`` and the seed are not used."""
        labels = self.labels.expand(label, len(image), self.device)
        with self.inference_mode():
            return -negative_log_likelihood(self.averaged("network"), self.to_values(image.to(self.device)), *labels)

    def sample(self, n: int, seed: int = 0, start: int = 0, label: Label = None, truncation: float = 1.0) -> Tensor:
        """Returns samples (n, C, H, W); if the label is None, sample i of a conditional model has class i mod K."""
        labels = self.labels.of_samples(label, n, start, self.device)
        with self.inference_mode():
            values = ancestral_sampling(self.averaged("network"), self.shape, n, seed, start, truncation, labels)
            return self.to_images(values)

    def restore(self, image: Tensor, mask: Tensor, label: Label = None, seed: int = 0, start: int = 0) -> Tensor:
        """Inpaints images (N, C, H, W) where the mask (N, 1, H, W) is 0.

        Unknown pixels are conditioned on known pixels above and to the left only.
        """
        image, known = image.to(self.device), mask.to(self.device) > 0
        n, (channels, height, width) = len(image), image.shape[1:]
        labels = self.labels.expand(label, n, self.device)
        with self.inference_mode():
            values = ancestral_sampling(
                self.averaged("network"), (channels, height, width), n, seed, start,
                labels=labels, known=self.to_values(image), mask=known,
            )  # fmt: skip
            return torch.where(known, image, self.to_images(values))
