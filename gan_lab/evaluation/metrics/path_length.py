"""How evenly pictures change along ways through the latent space.

Karras et al. 2019, "A Style-Based Generator Architecture for Generative Adversarial Networks", section 4.1.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from gan_lab.common.capabilities import Decodes
from gan_lab.common.errors import UserError
from gan_lab.common.precision import full_precision
from gan_lab.data.subsets import shared_blocks
from gan_lab.evaluation.feature_table import FeatureTable
from gan_lab.evaluation.features.perceptual import Perceptual, perceptual
from gan_lab.evaluation.model_metric import DEFAULT_OPTIONS, EvalOptions, ModelMetric
from gan_lab.evaluation.statistics import Values
from gan_lab.inference.interpolation import slerp

DISCARDED = 0.01
"""Of the lengths at either end, as in the authors' code: single jumps would carry the mean."""


class PathLength(ModelMetric):
    """``path_length_<distance>``: what a step of ε along the great arc between two latents changes in the perceptual
    distance d, over ε², and its standard error. In Z at random places of the way ("full").

    Args:
        n: paths, 2 at least.
        distance: None takes LPIPS over VGG16, which the published figure is made with, or AlexNet where its weights
            are, else our colour network's; see ``metrics.perceptual``.
        epsilon: ε.
        shape: (C, H, W) of the pictures.
        weights: files of the networks, by name.

    Raises:
        UserError: for fewer than two paths.
    """

    def __init__(
        self,
        n: int = 1000,
        distance: Perceptual | None = None,
        epsilon: float = 1e-4,
        shape: tuple[int, int, int] | None = None,
        weights: Mapping[str, str | None] | None = None,
    ) -> None:
        super().__init__()
        if n < 2:
            raise UserError(f"A mean path length needs at least 2 paths, not {n}.")
        self.distance = distance or perceptual(("vgg16", "alexnet"), min(shape[1:]) if shape else 0, weights)
        self.n, self.epsilon, self.lengths = n, epsilon, FeatureTable(1, n)
        self.described = {"distance": self.distance.name, "sha256": self.distance.sha256}

    def applies_to(self, model: Any, data: Any) -> bool:
        return isinstance(model, Decodes)

    @torch.no_grad()
    @full_precision()
    def update(self, model: Any, data: Any, how: EvalOptions = DEFAULT_OPTIONS) -> None:
        num_labels = getattr(model, "num_labels", 0)
        for start, count in shared_blocks(self.n, how.batch_size, "path length", how.progress):
            index = torch.arange(start, start + count)
            one, other = (model.latents(count, how.seed, at, how.truncation) for at in (start, self.n + start))
            places = [np.random.default_rng([how.seed, i]).random() for i in index.tolist()]
            place = torch.tensor(places, dtype=torch.float32, device=one.device)[:, None]
            label = index % num_labels if num_labels else None
            near, far = (model.decode(slerp(one, other, t), label) for t in (place, place + self.epsilon))
            self.lengths.update(self.distance(near, far)[:, None] / self.epsilon**2, index)

    def compute(self) -> Values:
        lengths = self.lengths.compute()[:, 0].cpu().double()
        low = lengths.quantile(DISCARDED, interpolation="lower")
        high = lengths.quantile(1 - DISCARDED, interpolation="higher")
        kept = lengths[(lengths >= low) & (lengths <= high)]
        name = f"path_length_{self.distance.name}"
        return {name: kept.mean().item(), f"{name}.error": (kept.std() / len(kept) ** 0.5).item()}

    def reset(self) -> None:
        super().reset()
        self.lengths.reset()
