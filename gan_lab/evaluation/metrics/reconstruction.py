"""How much of a picture is left when a model has encoded it and made it again."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from gan_lab.common.capabilities import Reconstructs
from gan_lab.common.errors import UserError
from gan_lab.common.images import to_uint8
from gan_lab.common.precision import full_precision
from gan_lab.data.subsets import capped_count
from gan_lab.evaluation.feature_table import FeatureTable, mean_and_error
from gan_lab.evaluation.features.perceptual import SMALLEST, Perceptual, perceptual, ssim
from gan_lab.evaluation.image_sets import labels_match, shown
from gan_lab.evaluation.metrics.image_statistics import IMAGE_STATISTICS, image_statistics
from gan_lab.evaluation.model_metric import DEFAULT_OPTIONS, EvalOptions, ModelMetric
from gan_lab.evaluation.statistics import Values

SPLIT = "test"
EXACT = 1e-10
"""No mean squared error counts as smaller, so that no ratio is above 100 dB."""


class Reconstruction(ModelMetric):
    """Test pictures beside what a model makes again of them, each figure a mean over pictures with ``.error``:
    ``reconstruction_mse`` of values in [0, 1], ``reconstruction_psnr`` in dB, ``reconstruction_ssim`` of pictures of
    11 px and more, ``reconstruction_<distance>`` in a network's eyes; and ``reconstruction_sharpness``, the mean
    sharpness (see ``pixels.image_statistics``) over the originals': below 1 where they are blurred.

    Args:
        n: pictures, spread over the split.
        distance: None takes LPIPS over VGG16 or AlexNet where the weights are, else our colour network's,
            ``pd_colour``; see ``metrics.perceptual``.
        shape: (C, H, W) of the pictures.
        weights: files of the networks, by name.

    Raises:
        UserError: for no pictures.
    """

    def __init__(
        self,
        n: int = 1000,
        distance: Perceptual | None = None,
        shape: tuple[int, int, int] | None = None,
        weights: Mapping[str, str | None] | None = None,
    ) -> None:
        super().__init__()
        if n < 1:
            raise UserError(f"Reconstructions are measured on 1 picture at least, not {n}.")
        shortest = min(shape[1:]) if shape else 0
        self.n, self.distance = n, distance or perceptual(("vgg16", "alexnet"), shortest, weights)
        build_metric = "pd_colour" if self.distance.name == "colour" else self.distance.name
        self.compared: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"mse": mse, "psnr": psnr}
        self.compared |= {"ssim": ssim} if shortest >= SMALLEST["ssim"] else {}
        self.compared[build_metric] = self.distance
        self.table: FeatureTable | None = None

    def applies_to(self, model: Any, data: Any) -> bool:
        return isinstance(model, Reconstructs) and labels_match(model, data)

    @torch.no_grad()
    @full_precision()
    def update(self, model: Any, data: Any, how: EvalOptions = DEFAULT_OPTIONS) -> None:
        n = capped_count(data, SPLIT, self.n)
        self.described = {"n": n, "split": SPLIT, "distance": self.distance.name, "sha256": self.distance.sha256}
        self.table = FeatureTable(len(self.compared) + 2, n).to(self.device)
        for index, images, label in shown(model, data, SPLIT, n, how.batch_size, "reconstructions", how.progress):
            made = model.reconstruct(images, label).clamp(-1, 1)
            found = [compare(made, images) for compare in self.compared.values()]
            found += [
                image_statistics(to_uint8(each))[:, IMAGE_STATISTICS.index("sharpness")] for each in (made, images)
            ]
            self.table.update(torch.stack(found, 1), index)

    def compute(self) -> Values:
        assert self.table is not None
        *compared, made, real = self.table.compute().cpu().double().unbind(1)
        found = dict(zip(self.compared, map(mean_and_error, compared), strict=True))
        ratio, usual = made.mean() / real.mean(), real.mean().item()
        # of a ratio of means: the error of what it leaves over (delta method)
        if usual:  # flat pictures have none
            found["sharpness"] = {"": ratio.item(), ".error": mean_and_error(made - ratio * real)[".error"] / usual}
        return {f"reconstruction_{name}{end}": value for name, each in found.items() for end, value in each.items()}

    def reset(self) -> None:
        super().reset()
        self.table = None


def mse(made: Tensor, real: Tensor) -> Tensor:
    """Mean squared difference, of values in [0, 1], of pictures (N, C, H, W) in [-1, 1] → (N,)."""
    return ((made.float() - real.float()) / 2).square().mean((1, 2, 3))


def psnr(made: Tensor, real: Tensor) -> Tensor:
    """Peak signal-to-noise ratio in dB, up to 100, of pictures (N, C, H, W) in [-1, 1] → (N,)."""
    return -10 * mse(made, real).clamp(min=EXACT).log10()


def describe_errors(results: Tensor, real: Tensor) -> str:
    """Mean errors of reconstructions of the same images, both (N, C, H, W) in [-1, 1], in words."""
    errors = [f"MSE {mse(results, real).mean():.4f}", f"PSNR {psnr(results, real).mean():.2f} dB"]
    errors += [f"SSIM {ssim(results, real).mean():.3f}"] if min(real.shape[2:]) >= SMALLEST["ssim"] else []
    return ", ".join(errors)
