"""Perceptual path length: the smoothness of the latent space.

Karras et al. 2019, "A Style-Based Generator Architecture for Generative Adversarial Networks", section 4.1.
"""

from collections.abc import Mapping

import numpy as np
import torch

from gan_lab.common.bounds import PositiveFloat, PositiveInt
from gan_lab.common.capabilities import Decodes
from gan_lab.common.errors import UserError
from gan_lab.common.precision import full_precision
from gan_lab.data.subsets import shared_blocks
from gan_lab.evaluation.feature_table import FeatureTable
from gan_lab.evaluation.features.perceptual import PerceptualDistance, perceptual_distance
from gan_lab.evaluation.model_metric import DEFAULT_OPTIONS, EvalOptions, ModelMetric
from gan_lab.evaluation.statistics import Values
from gan_lab.inference.interpolation import slerp

DISCARDED = 0.01
"""Share of the lengths discarded at either end, as in the authors' code: single jumps would dominate the mean."""


class PathLength(ModelMetric[Decodes, object]):
    """``path_length_<distance>``: the perceptual distance over a step of ε along the great arc between two latents,
    divided by ε², and its standard error. The step is in Z, at a random place of the path ("full").

    Args:
        n: the number of paths, at least 2.
        distance: None takes LPIPS over VGG16, which published values use, or AlexNet if there are weights, else our
            colour network's distance; see ``features.perceptual``.
        epsilon: ε.
        shape: (C, H, W) of the images.
        weights: files of the networks, by name.

    Raises:
        UserError: if n is below 2.
    """

    def __init__(
        self,
        n: PositiveInt = 1000,
        distance: PerceptualDistance | None = None,
        epsilon: PositiveFloat = 1e-4,
        shape: tuple[PositiveInt, PositiveInt, PositiveInt] | None = None,
        weights: Mapping[str, str | None] | None = None,
    ) -> None:
        super().__init__()
        if n < 2:
            raise UserError(f"n={n} is not valid for the path length: give at least 2 paths.")
        self.distance = distance or perceptual_distance(("vgg16", "alexnet"), min(shape[1:]) if shape else 0, weights)
        self.n, self.epsilon, self.lengths = n, epsilon, FeatureTable(1, n)
        self.described = {"distance": self.distance.name, "sha256": self.distance.sha256}

    def applies_to(self, model: object, data: object) -> bool:
        """Tells whether the model has a latent space."""
        return isinstance(model, Decodes)

    @torch.no_grad()
    @full_precision()
    def update(self, model: Decodes, data: object, options: EvalOptions = DEFAULT_OPTIONS) -> None:
        """Measures this rank's share of the paths."""
        num_labels = getattr(model, "num_labels", 0)
        for start, count in shared_blocks(self.n, options.batch_size, "path length", options.progress):
            index = torch.arange(start, start + count)
            one, other = (
                model.latents(count, options.seed, first, options.truncation) for first in (start, self.n + start)
            )
            places = [np.random.default_rng([options.seed, i]).random() for i in index.tolist()]
            place = torch.tensor(places, dtype=torch.float32, device=one.device)[:, None]
            label = index % num_labels if num_labels else None
            near, far = (model.decode(slerp(one, other, t), label) for t in (place, place + self.epsilon))
            self.lengths.update(self.distance(near, far)[:, None] / self.epsilon**2, index)

    def compute(self) -> Values:
        """Returns the metric over all ranks (collective)."""
        lengths = self.lengths.compute()[:, 0].cpu().double()
        low = lengths.quantile(DISCARDED, interpolation="lower")
        high = lengths.quantile(1 - DISCARDED, interpolation="higher")
        kept = lengths[(lengths >= low) & (lengths <= high)]
        name = f"path_length_{self.distance.name}"
        return {name: kept.mean().item(), f"{name}.error": (kept.std() / len(kept) ** 0.5).item()}

    def reset(self) -> None:
        """Forgets the paths."""
        super().reset()
        self.lengths.reset()
