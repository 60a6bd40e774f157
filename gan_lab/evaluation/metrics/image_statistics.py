"""What can be read off pixels without any network: the power spectrum, sharpness, light and colour."""

import torch
import torch.nn.functional as F
from torch import Tensor

from gan_lab.evaluation.features.extractors import luma
from gan_lab.evaluation.statistics import Comparison, Statistic, Values

Shape = tuple[int, int, int]
"""(C, H, W)."""


class PowerSpectrum(Statistic):
    """The mean power of pictures' luma by frequency: averaged over rings of equal frequency, then over pictures.

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
        self.rings = min(height, width) // 2 + 1  # up to half a cycle a pixel; the corners beyond are left out
        self.add_sum_state("power", self.rings)

    def add(self, values: Tensor, index: Tensor) -> None:
        """Pictures (m, C, H, W) uint8."""
        light = luma(values) / 255
        power = torch.fft.fft2(light[:, 0], norm="ortho").abs().square().sum(0).double().to(self.power)
        ring = self.ring.to(power.device)
        inside = ring < self.rings
        sums = torch.zeros_like(self.power).index_add_(0, ring[inside], power[inside])
        self.power += sums / torch.bincount(ring[inside], minlength=self.rings)

    def compute(self) -> Tensor:
        """Power (R,) of 0, 1, …, R - 1 cycles along the shorter side, over all ranks (a collective)."""
        return self.power / self.count


class SpectrumComparison(Comparison):
    """``spectrum``, by how many decibels the samples' power spectrum differs from the real one's: root mean square over
    frequencies from one cycle a picture to half a cycle a pixel. With the curves ``spectrum.real`` and
    ``spectrum.fake`` in decibels. Generators often have too much or too little at the highest frequencies.

    Durall et al. 2020, "Watch Your Up-Convolution", section 3.

    Args:
        shape: (C, H, W).
    """

    input = "images"

    def __init__(self, shape: Shape) -> None:
        super().__init__(PowerSpectrum(shape), PowerSpectrum(shape))

    def compare(self, real: Tensor, fake: Tensor) -> Values:
        curves = [10 * side[1:].clamp(min=1e-12).log10() for side in (real, fake)]
        gap = (curves[1] - curves[0]).square().mean().sqrt().item()
        return {"spectrum": gap, "spectrum.real": curves[0].tolist(), "spectrum.fake": curves[1].tolist()}


IMAGE_STATISTICS = ("sharpness", "brightness", "contrast", "colourfulness")


class ImageStatistics(Statistic):
    """Means over pictures of what the eye notices first; see ``image_statistics``.

    Args:
        shape: (C, H, W).
    """

    total: Tensor
    squares: Tensor

    def __init__(self, shape: Shape) -> None:
        super().__init__(list(shape))
        self.add_sum_state("total", len(IMAGE_STATISTICS))
        self.add_sum_state("squares", len(IMAGE_STATISTICS))

    def add(self, values: Tensor, index: Tensor) -> None:
        """Pictures (m, C, H, W) uint8."""
        found = image_statistics(values).double().to(self.total)
        self.total += found.sum(0)
        self.squares += found.square().sum(0)

    def compute(self) -> Tensor:
        """Means and their standard errors (2, 4), over all ranks (a collective)."""
        mean = self.total / self.count
        variance = (self.squares / self.count - mean.square()).clamp(min=0)
        return torch.stack([mean, (variance / self.count).sqrt()])


def image_statistics(images: Tensor) -> Tensor:
    """Of pictures (N, C, H, W) uint8 four figures each, (N, 4), of levels from 0 to 255:

    - sharpness: the deviation of the luma's Laplacian (Pertuz et al. 2013, LAPV, its root);
    - brightness: the mean of the luma;
    - contrast: its deviation;
    - colourfulness: of Hasler and Süsstrunk 2003, M3; 0 for grey pictures.
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


class ImageStatisticsComparison(Comparison):
    """``sharpness``, ``brightness``, ``contrast`` and ``colourfulness`` of the samples, with ``.error`` and, of the
    real pictures, ``.real``; see ``image_statistics``.

    Args:
        shape: (C, H, W).
    """

    input = "images"

    def __init__(self, shape: Shape) -> None:
        super().__init__(ImageStatistics(shape), ImageStatistics(shape))
        self.names = IMAGE_STATISTICS if shape[0] > 1 else IMAGE_STATISTICS[:-1]  # grey pictures have no colours

    def compare(self, real: Tensor, fake: Tensor) -> Values:
        found: Values = {}
        for place, name in enumerate(self.names):
            found[name], found[f"{name}.error"] = fake[0, place].item(), fake[1, place].item()
            found[f"{name}.real"] = real[0, place].item()
        return found
