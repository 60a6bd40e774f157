"""The quality of reconstructions: errors and perceptual distances from the originals, and the loss of sharpness."""

from collections.abc import Mapping

import torch
from torch import Tensor

from gan_lab.common.bounds import PositiveInt
from gan_lab.common.capabilities import RealImages, Reconstructs
from gan_lab.common.errors import UserError
from gan_lab.common.images import to_uint8
from gan_lab.common.precision import full_precision
from gan_lab.data.subsets import capped_count
from gan_lab.evaluation.feature_table import FeatureTable, mean_and_error
from gan_lab.evaluation.features.perceptual import (
    MIN_SIDE,
    PairMetric,
    PerceptualDistance,
    perceptual_distance,
    perceptual_name,
    ssim,
)
from gan_lab.evaluation.image_sets import labels_match, model_inputs
from gan_lab.evaluation.metrics.image_statistics import IMAGE_STATISTICS, image_statistics
from gan_lab.evaluation.model_metric import DEFAULT_OPTIONS, EvalOptions, ModelMetric
from gan_lab.evaluation.statistics import Values

SPLIT = "test"
MIN_MSE = 1e-10
"""Mean squared errors count as at least this, so that no PSNR is above 100 dB."""


class Reconstruction(ModelMetric[Reconstructs, RealImages]):
    """Compares reconstructions of test images with the originals. Metrics are means over images, with ``.error``:

    - ``reconstruction_mse``: the mean squared error of values in [0, 1];
    - ``reconstruction_psnr``: in dB;
    - ``reconstruction_ssim``: of images of at least 11 px;
    - ``reconstruction_<distance>``: a perceptual distance;
    - ``reconstruction_sharpness``: the mean sharpness (see ``image_statistics``) relative to the originals': below 1 if
      reconstructions are blurred.

    Args:
        n: the number of test images, evenly spaced over the split.
        distance: None takes LPIPS over VGG16 or AlexNet if there are weights, else our colour network's,
            ``pd_colour``; see ``features.perceptual``.
        shape: (C, H, W) of the images.
        weights: files of the networks, by name.

    Raises:
        UserError: if n is below 1.
    """

    def __init__(
        self,
        n: PositiveInt = 1000,
        distance: PerceptualDistance | None = None,
        shape: tuple[PositiveInt, PositiveInt, PositiveInt] | None = None,
        weights: Mapping[str, str | None] | None = None,
    ) -> None:
        super().__init__()
        if n < 1:
            raise UserError(f"n={n} is not valid for reconstructions: give at least 1 image.")
        shortest = min(shape[1:]) if shape else 0
        self.n, self.distance = n, distance or perceptual_distance(("vgg16", "alexnet"), shortest, weights)
        self.pair_metrics: dict[str, PairMetric] = {"mse": mse, "psnr": psnr}
        self.pair_metrics |= {"ssim": ssim} if shortest >= MIN_SIDE["ssim"] else {}
        self.pair_metrics[perceptual_name(self.distance)] = self.distance
        self.table: FeatureTable | None = None

    def applies_to(self, model: object, data: object) -> bool:
        """Tells whether the model reconstructs such images."""
        return isinstance(model, Reconstructs) and labels_match(model, data)

    @torch.no_grad()
    @full_precision()
    def update(self, model: Reconstructs, data: RealImages, options: EvalOptions = DEFAULT_OPTIONS) -> None:
        """Compares this rank's share of the test images."""
        n = capped_count(data, SPLIT, self.n)
        self.described = {"n": n, "split": SPLIT, "distance": self.distance.name, "sha256": self.distance.sha256}
        self.table = FeatureTable(len(self.pair_metrics) + 2, n).to(self.device)
        for index, images, label in model_inputs(
            model, data, SPLIT, n, options.batch_size, "reconstructions", options.progress
        ):
            reconstructed = model.reconstruct(images, label).clamp(-1, 1)
            found = [metric(reconstructed, images) for metric in self.pair_metrics.values()]
            found += [_sharpness(each) for each in (reconstructed, images)]
            self.table.update(torch.stack(found, 1), index)

    def compute(self) -> Values:
        """Returns the metrics over all ranks (collective)."""
        assert self.table is not None
        *columns, own, real = self.table.compute().cpu().double().unbind(1)
        found = dict(zip(self.pair_metrics, map(mean_and_error, columns), strict=True))
        ratio, reference = own.mean() / real.mean(), real.mean().item()
        if reference:  # flat images have no sharpness
            # the error of a ratio of means is that of the residuals (delta method)
            error = mean_and_error(own - ratio * real)[".error"] / reference
            found["sharpness"] = {"": ratio.item(), ".error": error}
        return {f"reconstruction_{name}{end}": value for name, each in found.items() for end, value in each.items()}

    def reset(self) -> None:
        """Forgets the images."""
        super().reset()
        self.table = None


def _sharpness(images: Tensor) -> Tensor:
    return image_statistics(to_uint8(images))[:, IMAGE_STATISTICS.index("sharpness")]


def mse(fake: Tensor, real: Tensor) -> Tensor:
    """Returns the mean squared error (N,), of values in [0, 1], of images (N, C, H, W) and (N, C, H, W) in [-1, 1]."""
    return ((fake.float() - real.float()) / 2).square().mean((1, 2, 3))


def psnr(fake: Tensor, real: Tensor) -> Tensor:
    """Returns the peak signal-to-noise ratio (N,) in dB, at most 100, of images (N, C, H, W) and (N, C, H, W) in
    [-1, 1].
    """
    return -10 * mse(fake, real).clamp(min=MIN_MSE).log10()


def describe_errors(fake: Tensor, real: Tensor) -> str:
    """States the mean errors of reconstructions (N, C, H, W) of images (N, C, H, W) in [-1, 1]."""
    errors = [f"MSE {mse(fake, real).mean():.4f}", f"PSNR {psnr(fake, real).mean():.2f} dB"]
    errors += [f"SSIM {ssim(fake, real).mean():.3f}"] if min(real.shape[2:]) >= MIN_SIDE["ssim"] else []
    return ", ".join(errors)
