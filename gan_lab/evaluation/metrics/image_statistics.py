"""Metrics of pixels that need no network: the power spectrum, sharpness, brightness, contrast and colourfulness."""

import torch
import torch.nn.functional as F
from torch import Tensor

from gan_lab.common.bounds import PositiveInt
from gan_lab.evaluation.features.extractors import luma
from gan_lab.evaluation.statistics import Comparison, Statistic, Values

Shape = tuple[PositiveInt, PositiveInt, PositiveInt]
"""(C, H, W)."""


class PowerSpectrum(Statistic[Tensor]):
    """The mean power of the images' luma by frequency: averaged over rings of equal frequency, then over images.

    Args:
        shape: (C, H, W).
    """

    power: Tensor
    ring: Tensor

    def __init__(self, shape: Shape) -> None:
        super().__init__(list(shape))
        _, height, width = shape
        cycles = torch.hypot(torch.fft.fftfreq(height)[:, None], torch.fft.fftfreq(width)[None])
        self.ring = (cycles * min(height, width)).round().long()
        self.rings = min(height, width) // 2 + 1  # up to half a cycle per pixel: the corners beyond are left out
        self.add_sum_state("power", self.rings)

    def accumulate(self, values: Tensor, index: Tensor) -> None:
        """Adds uint8 images (m, C, H, W) with the numbers ``index`` (m,)."""
        light = luma(values) / 255
        power = torch.fft.fft2(light[:, 0], norm="ortho").abs().square().sum(0).double().to(self.power)
        ring = self.ring.to(power.device)
        inside = ring < self.rings
        sums = torch.zeros_like(self.power).index_add_(0, ring[inside], power[inside])
        self.power += sums / torch.bincount(ring[inside], minlength=self.rings)

    def compute(self) -> Tensor:
        """Returns the power (R,) at 0, 1, …, R - 1 cycles along the shorter side, over all ranks (collective)."""
        return self.power / self.count


class SpectrumComparison(Comparison[Tensor, Tensor]):
    """``spectrum``, the difference of the samples' power spectrum from the real one in decibels: root mean square over
    frequencies from one cycle per image to half a cycle per pixel.

    The curves ``spectrum.real`` and ``spectrum.fake`` are the spectra in decibels. Generators often have too much or
    too little power at the highest frequencies: Durall et al. 2020, "Watch Your Up-Convolution", section 3.

    Args:
        shape: (C, H, W).
    """

    input = "images"

    def __init__(self, shape: Shape) -> None:
        super().__init__(PowerSpectrum(shape), PowerSpectrum(shape))

    def compare(self, real: Tensor, fake: Tensor) -> Values:
        """Returns the metric and the curves of the powers (R,) and (R,)."""
        curves = [10 * side[1:].clamp(min=1e-12).log10() for side in (real, fake)]
        gap = (curves[1] - curves[0]).square().mean().sqrt().item()
        return {"spectrum": gap, "spectrum.real": curves[0].tolist(), "spectrum.fake": curves[1].tolist()}


IMAGE_STATISTICS = ("sharpness", "brightness", "contrast", "colourfulness")


class ImageStatistics(Statistic[Tensor]):
    """The means over images of ``image_statistics``.

    Args:
        shape: (C, H, W).
    """

    total: Tensor
    squares: Tensor

    def __init__(self, shape: Shape) -> None:
        super().__init__(list(shape))
        self.add_sum_state("total", len(IMAGE_STATISTICS))
        self.add_sum_state("squares", len(IMAGE_STATISTICS))

    def accumulate(self, values: Tensor, index: Tensor) -> None:
        """Adds uint8 images (m, C, H, W) with the numbers ``index`` (m,)."""
        found = image_statistics(values).double().to(self.total)
        self.total += found.sum(0)
        self.squares += found.square().sum(0)

    def compute(self) -> Tensor:
        """Returns the means and their standard errors, (2, 4), over all ranks (collective)."""
        mean = self.total / self.count
        variance = (self.squares / self.count - mean.square()).clamp(min=0)
        return torch.stack([mean, (variance / self.count).sqrt()])


def image_statistics(images: Tensor) -> Tensor:
    """Returns four statistics (N, 4) of each of the uint8 images (N, C, H, W), on the scale of levels from 0 to 255.

    - sharpness: the standard deviation of the luma's Laplacian (the root of LAPV in Pertuz et al. 2013, "Analysis of
      Focus Measure Operators for Shape-from-Focus");
    - brightness: the mean of the luma;
    - contrast: the standard deviation of the luma;
    - colourfulness: M3 of Hasler and Süsstrunk 2003, "Measuring Colourfulness in Natural Images"; 0 for grey images.
    """
    light = luma(images)
    kernel = torch.tensor([[0.0, 1.0, 0.0], [1.0, -4.0, 1.0], [0.0, 1.0, 0.0]], device=light.device)
    edges = F.conv2d(light, kernel.view(1, 1, 3, 3))
    return torch.stack(
        [edges.flatten(1).std(1), light.mean((1, 2, 3)), light.flatten(1).std(1), _colourfulness(images)], 1
    )


def _colourfulness(images: Tensor) -> Tensor:
    if images.shape[1] == 1:
        return torch.zeros(len(images), device=images.device)
    red, green, blue = images.float().flatten(2).unbind(1)
    first, second = red - green, (red + green) / 2 - blue
    deviation = torch.hypot(first.std(1), second.std(1))
    return deviation + 0.3 * torch.hypot(first.mean(1), second.mean(1))


class ImageStatisticsComparison(Comparison[Tensor, Tensor]):
    """``sharpness``, ``brightness``, ``contrast`` and ``colourfulness`` of the samples, each with ``.error`` and with
    ``.real``, that of the real images; see ``image_statistics``.

    Args:
        shape: (C, H, W).
    """

    input = "images"

    def __init__(self, shape: Shape) -> None:
        super().__init__(ImageStatistics(shape), ImageStatistics(shape))
        self.names = IMAGE_STATISTICS if shape[0] > 1 else IMAGE_STATISTICS[:-1]  # grey images have no colours

    def compare(self, real: Tensor, fake: Tensor) -> Values:
        """Returns the metrics of means and errors (2, 4) and (2, 4)."""
        found: Values = {}
        for column, name in enumerate(self.names):
            found[name], found[f"{name}.error"] = fake[0, column].item(), fake[1, column].item()
            found[f"{name}.real"] = real[0, column].item()
        return found
