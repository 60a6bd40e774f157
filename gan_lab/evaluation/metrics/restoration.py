"""The quality of restored images: errors and perceptual distances from the clean ones, beside simple baselines."""

from collections.abc import Callable, Iterator, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from gan_lab.common.bounds import PositiveInt
from gan_lab.common.capabilities import DamagedImages, Damages, Repairs
from gan_lab.common.distributed import rank_and_world_size
from gan_lab.common.errors import UserError
from gan_lab.common.images import to_float, to_uint8
from gan_lab.common.precision import full_precision
from gan_lab.common.progress import track
from gan_lab.common.stopping import in_rounds
from gan_lab.data.subsets import capped_count, evenly_spaced, evenly_spaced_numbers
from gan_lab.evaluation.feature_table import FeatureTable, mean_and_error
from gan_lab.evaluation.features.perceptual import (
    MIN_SIDE,
    PairMetric,
    PerceptualDistance,
    perceptual_distance,
    perceptual_name,
    ssim,
)
from gan_lab.evaluation.image_sets import ImageSet
from gan_lab.evaluation.metrics.reconstruction import psnr
from gan_lab.evaluation.model_metric import DEFAULT_OPTIONS, EvalOptions, ModelMetric
from gan_lab.evaluation.statistics import Values

SPLIT = "test"
LUMA = (65.481 / 255, 128.553 / 255, 24.966 / 255)
"""Weights of red, green and blue in the brightness Y, of ITU-R BT.601 with a range of 16 to 235."""

Repair = Callable[[Tensor, Tensor | None], Tensor]
"""Maps damaged images (N, C, h, w) and what is known of them to images (N, C, factor · h, factor · w)."""


class Restoration(ModelMetric[Repairs, Damages]):
    """Compares restored test images with the clean ones. Metrics are means over images, with ``.error``:

    - ``psnr`` in dB and ``ssim`` over all channels, ``psnr_y`` and ``ssim_y`` of the brightness of images in colour;
    - ``pd_colour`` or ``lpips_…``: a perceptual distance.

    Images are rounded to 8 bits first. Where images are enlarged, a border of ``factor`` px is left out, as the field
    does. Baselines stand behind each name: ``.damaged``, or ``.bicubic`` for low resolution, or ``.mean``, the mean
    colour of the known pixels.

    Args:
        n: the number of test images, evenly spaced over the split; None takes all, or ``max_n``.
        distance: None takes LPIPS if there are weights, else our colour network's distance; see
            ``features.perceptual``.
        shape: (C, H, W) of the clean images.
        weights: files of the networks, by name.
        max_n: the evaluation's maximal number of images; None for no maximum.

    Raises:
        UserError: if n is below 1.
    """

    def __init__(
        self,
        n: PositiveInt | None = None,
        distance: PerceptualDistance | None = None,
        shape: tuple[PositiveInt, PositiveInt, PositiveInt] | None = None,
        weights: Mapping[str, str | None] | None = None,
        max_n: PositiveInt | None = None,
    ) -> None:
        super().__init__()
        if n is not None and n < 1:
            raise UserError(f"n={n} is not valid for restorations: give at least 1 image.")
        self.n = min((each for each in (n, max_n) if each is not None), default=None)
        shortest = min(shape[1:]) if shape else 0
        self.distance = distance or perceptual_distance(("alexnet", "vgg16"), shortest, weights)
        whole: dict[str, PairMetric] = {"psnr": psnr}
        whole |= {"ssim": ssim} if shortest >= 2 * MIN_SIDE["ssim"] else {}
        self.pair_metrics = dict(whole)
        if shape and shape[0] == 3:
            self.pair_metrics |= {f"{name}_y": of_brightness(metric) for name, metric in whole.items()}
        self.pair_metrics[perceptual_name(self.distance)] = self.distance
        self.ways = [""]
        self.table: FeatureTable | None = None

    def applies_to(self, model: object, data: object) -> bool:
        """Tells whether the model undoes the data's damage."""
        return (
            isinstance(model, Repairs)
            and isinstance(data, Damages)
            and (model.factor, model.masks) == (data.factor, data.masks)
        )

    @torch.no_grad()
    @full_precision()
    def update(self, model: Repairs, data: Damages, options: EvalOptions = DEFAULT_OPTIONS) -> None:
        """Compares this rank's share of the test images."""
        n, simple = capped_count(data, SPLIT, self.n), baselines(data)
        self.ways = ["", *simple]
        self.described = {"n": n, "split": SPLIT, "border": border(data), "distance": self.distance.name}
        self.described |= {"sha256": self.distance.sha256}
        self.table = FeatureTable(len(self.pair_metrics) * len(self.ways), n).to(self.device)
        for index, made in damaged_images(data, n, options.batch_size, options.progress):
            clean, image, known = floats(made, self.device)
            ways = [model.repair(image, known), *(way(image, known) for way in simple.values())]
            found = [
                metric(*(inner(each, border(data)) for each in (rounded(way), clean)))
                for way in ways
                for metric in self.pair_metrics.values()
            ]
            self.table.update(torch.stack(found, 1), index.to(self.device))

    def compute(self) -> Values:
        """Returns the metrics over all ranks (collective)."""
        assert self.table is not None
        every = self.table.compute().cpu().double().unflatten(1, (len(self.ways), len(self.pair_metrics)))
        found: Values = {}
        for way, of_way in zip(self.ways, every.unbind(1), strict=True):
            for name, values in zip(self.pair_metrics, of_way.unbind(1), strict=True):
                ends = {f".{way}": values.mean().item()} if way else mean_and_error(values)
                found |= {f"{name}{end}": value for end, value in ends.items()}
        return found

    def reset(self) -> None:
        """Forgets the images."""
        super().reset()
        self.table = None


class RestoredImages(ImageSet):
    """A model's restorations of test images, or a baseline's, evenly spaced over the split.

    Args:
        restore: damaged images (N, C, h, w) and what is known → images (N, C, H, W).
        data: the data module.
        n: maximal number of images.
        batch_size: images restored at once.
        device: where they are restored.
        name: see ``ImageSet``.
        known: whether the result depends on the data alone, and its statistics may be cached.
    """

    def __init__(
        self,
        restore: Repair,
        data: Damages,
        n: int | None,
        batch_size: int,
        device: torch.device,
        name: str = "restorations",
        known: bool = False,
    ) -> None:
        self.restore, self.data, self.batch_size, self.device, self.name = restore, data, batch_size, device, name
        self.n = capped_count(data, SPLIT, n)
        self.shape = (data.channels, data.height, data.width)
        self.key = (
            ["restored", name, data.fingerprint(SPLIT), str(data.describe()["damage"]), self.n] if known else None
        )

    @torch.no_grad()
    @full_precision()
    def _restored(self, made: DamagedImages) -> Tensor:
        _, image, known = floats(made, self.device)
        return to_uint8(self.restore(image, known))

    def batches(self, progress: bool) -> Iterator[tuple[Tensor, Tensor]]:
        """Yields this rank's share: numbers (m,) and uint8 images (m, C, H, W)."""
        for index, made in damaged_images(self.data, self.n, self.batch_size, progress, self.name):
            yield index, self._restored(made)


def damaged_images(
    data: Damages, n: int, batch_size: int, progress: bool, name: str = "restorations"
) -> Iterator[tuple[Tensor, DamagedImages]]:
    """Yields a rank's share of n test images evenly spaced over the split: numbers (m,), and the images."""
    (rank, world), rows = rank_and_world_size(), evenly_spaced_numbers(data.count(SPLIT), n)
    parts = evenly_spaced(data, SPLIT, n, batch_size)
    shown = track(parts, name, n, progress and rank == 0, lambda part: len(part[1]))
    for number, (start, clean) in enumerate(in_rounds(shown, world)):
        if number % world == rank:
            numbers = torch.arange(start, start + len(clean))
            yield numbers, data.fixed_damage(clean, rows[numbers].tolist())


def floats(made: DamagedImages, device: torch.device) -> tuple[Tensor, Tensor, Tensor | None]:
    """Returns clean and damaged images in [-1, 1] and known pixels, float32 on a device."""
    known = None if made.known is None else made.known.to(device).float()
    return to_float(made.clean.to(device)), to_float(made.damaged.to(device)), known


def baselines(data: Damages) -> dict[str, Repair]:
    """Returns what needs no learning, by name."""
    if data.masks:
        return {"mean": mean_fill}
    if data.factor > 1:
        return {"bicubic": lambda image, _: bicubic(image, data.factor)}
    return {"damaged": lambda image, _: image}


def bicubic(image: Tensor, factor: int) -> Tensor:
    """Enlarges images (N, C, h, w) by cubic convolution (Keys 1981, a = -0.5) to (N, C, factor · h, factor · w)."""
    return F.interpolate(image, scale_factor=float(factor), mode="bicubic", antialias=True).clamp(-1, 1)


def mean_fill(image: Tensor, known: Tensor | None) -> Tensor:
    """Fills unknown pixels of images (N, C, H, W) by the mean colour of the known ones (N, 1, H, W)."""
    assert known is not None
    mean = (image * known).sum((2, 3), keepdim=True) / known.sum((2, 3), keepdim=True)
    return torch.lerp(mean.expand_as(image), image, known)


def border(data: Damages) -> int:
    """Returns how many pixels at each side are left out."""
    return data.factor if data.factor > 1 else 0


def inner(images: Tensor, width: int) -> Tensor:
    """Returns images (N, C, H, W) without a border."""
    return images[..., width : images.shape[2] - width, width : images.shape[3] - width]


def rounded(images: Tensor) -> Tensor:
    """Returns images (N, C, H, W) in [-1, 1] with the values of 8 bits."""
    return to_float(to_uint8(images))


def of_brightness(metric: PairMetric) -> PairMetric:
    """Returns the metric of the brightness Y of images in colour, (N, 3, H, W) in [-1, 1]."""
    weights = torch.tensor(LUMA).view(3, 1, 1)

    def brightness(images: Tensor) -> Tensor:
        zero_to_one = ((images.float() + 1) / 2 * weights.to(images.device)).sum(1, keepdim=True) + 16 / 255
        return zero_to_one * 2 - 1

    return lambda fake, real: metric(brightness(fake), brightness(real))
