"""DRAW: generates an image step by step, with two recurrent networks that read and write through attention windows.

Gregor et al. 2015, "DRAW: A Recurrent Neural Network For Image Generation"; equation numbers are the paper's. Its T
glimpses are called steps here. Each step has Z latents with prior N(0, I), so standard normal numbers are latents.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn

from gan_lab.common.bounds import Natural, PositiveInt
from gan_lab.networks.hierarchical_vae import LatentSample, soft_clamp
from gan_lab.networks.layers import concat_labels

MAX_LOG = 10.0
"""Bound of the absolute logarithms that define a window; beyond it their exponentials could overflow."""

CANVAS_GAIN = 10.0
"""Factor from the learned parameter to the initial canvas c_0.

It makes c_0 learn faster than the windows, so that c_0 captures what all images have in common.
"""


class Likelihood(Protocol):
    """A distribution of images given the canvas, see ``gan_lab.losses.likelihoods``."""

    parameters: int
    """P, parameters of the distribution for each value."""

    def mean(self, given: Tensor) -> Tensor:
        """Returns the expected images (N, C, H, W) for a canvas (N, P·C, H, W)."""


class IdentityEncoder(nn.Module):
    """Returns images (N, C, H, W) as they are, also with labels (N,): DRAW itself reads the image at every step."""

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        return images


class Filters(NamedTuple):
    """A K×K grid of Gaussian filters.

    Attributes:
        rows: F_Y, (N, 1, K, H).
        columns: F_X, (N, 1, K, W).
        intensity: γ, (N, 1, 1, 1).
    """

    rows: Tensor
    columns: Tensor
    intensity: Tensor


def filterbank(parameters: Tensor, size: int, height: int, width: int) -> Filters:
    """Returns a window's filters (eq. 19-26).

    Args:
        parameters: g̃_X, g̃_Y, log σ², log δ̃ and log γ, (N, 5). With a single filter the stride δ has no effect.
        size: K.
        height, width: size of the image.
    """
    parameters = parameters.float()
    across, down = parameters[:, :2].unbind(1)
    log_variance, log_stride, log_intensity = parameters[:, 2:].clamp(-MAX_LOG, MAX_LOG).unbind(1)
    stride = _max_stride(size, height, width) * log_stride.exp()
    rows = _gaussians((height + 1) / 2 * (down + 1), stride, log_variance, size, height)  # eq. 23
    columns = _gaussians((width + 1) / 2 * (across + 1), stride, log_variance, size, width)  # eq. 22
    return Filters(rows[:, None], columns[:, None], log_intensity.exp()[:, None, None, None])


def _max_stride(size: int, height: int, width: int) -> float:
    """Returns the stride at which the window spans the image's longer side (eq. 24)."""
    return (max(height, width) - 1) / max(size - 1, 1)


def _gaussians(centre: Tensor, stride: Tensor, log_variance: Tensor, size: int, length: int) -> Tensor:
    """Returns the filters over pixels 1 to ``length`` of an axis, (N, K, length), each with sum 1 (eq. 19, 20, 25, 26).

    Args:
        centre, stride, log_variance: (N,).
        size: K.
        length: pixels.
    """
    offsets = torch.arange(size, device=centre.device) - (size - 1) / 2
    means = centre[:, None] + stride[:, None] * offsets
    pixels = torch.arange(1.0, length + 1, device=centre.device)
    sharpness = (-log_variance).exp()[:, None, None] / 2
    # The Gaussian over its sum is a softmax, which is stable even if the whole filter is far outside the image.
    return (-sharpness * (pixels - means[..., None]).square()).softmax(2)


class Window(nn.Module):
    """Maps the decoder's state (N, U) to the filters of a window (eq. 21).

    At the start of training all windows are centred and span the image; their filters have a deviation of a quarter of
    the stride. The intensity of a window that writes starts so that a filter's peak is 1. With an intensity of 1 the
    strokes would be fainter: they would have to grow first, and then all grow at once and too far.

    Args:
        height, width: size of the image.
        units: U.
        size: K.
        writes: the window is written through, not read through.
    """

    def __init__(self, height: int, width: int, units: int, size: int, writes: bool) -> None:
        super().__init__()
        self.shape = (size, height, width)
        self.place = nn.Linear(units, 5)
        nn.init.xavier_uniform_(self.place.weight, 0.1)
        variance = max((_max_stride(*self.shape) / 4) ** 2, 1e-2)
        with torch.no_grad():
            self.place.bias.zero_()
            self.place.bias[2] = math.log(variance)
            self.place.bias[4] = -math.log(2 * math.pi * variance) if writes else 0

    def forward(self, state: Tensor) -> Filters:
        return filterbank(self.place(state), *self.shape)


class Read(nn.Module):
    """Maps image and error image, (N, C, H, W) each, and the decoder's state (N, U) to a glimpse (N, ``out``).

    Args:
        channels, height, width: size of each image.
        units: U.
        size: K of the window, which all channels share (eq. 27); None reads the whole images (eq. 17).
    """

    def __init__(self, channels: int, height: int, width: int, units: int, size: int | None) -> None:
        super().__init__()
        self.out = 2 * channels * (size * size if size else height * width)
        self.window = Window(height, width, units, size, writes=False) if size else None

    def forward(self, images: Tensor, error: Tensor, state: Tensor) -> Tensor:
        glimpse = torch.cat([images, error], 1)
        if self.window is not None:
            rows, columns, intensity = self.window(state)
            glimpse = intensity * (rows @ glimpse @ columns.mT)
        return glimpse.flatten(1)


class Write(nn.Module):
    """Maps the decoder's state (N, U) to an update of the canvas, (N, channels, H, W).

    Args:
        channels, height, width: size of the canvas.
        units: U.
        size: K of the patch that is written through a window (eq. 28 and 29); None writes the whole canvas (eq. 18).
    """

    def __init__(self, channels: int, height: int, width: int, units: int, size: int | None) -> None:
        super().__init__()
        self.shape = (channels, size, size) if size else (channels, height, width)
        self.patch = nn.Linear(units, math.prod(self.shape))
        nn.init.xavier_uniform_(self.patch.weight)
        self.window = Window(height, width, units, size, writes=True) if size else None

    def forward(self, state: Tensor) -> Tensor:
        patch: Tensor = self.patch(state).unflatten(1, self.shape)
        if self.window is None:
            return patch
        rows, columns, intensity = self.window(state)
        return (rows.mT @ patch @ columns) / intensity


def _recurrent(inputs: int, units: int) -> nn.LSTMCell:
    """Returns an LSTM with Glorot and Bengio's weights (2010) and forget biases of 1 (Jozefowicz et al. 2015)."""
    cell = nn.LSTMCell(inputs, units)
    for name, parameter in cell.named_parameters():
        nn.init.xavier_uniform_(parameter) if name.startswith("weight") else nn.init.zeros_(parameter)
    nn.init.ones_(cell.bias_ih[units : 2 * units])
    return cell


class DRAW(nn.Module):
    """Maps the latents of all steps (N, T·Z) to the canvas after the last step, (N, P·C, H, W).

    The canvas holds the parameters of the likelihood for each value: logits for binary images, as in the paper, and
    locations for others. If the likelihood has free scales, their logarithms are written through the same window. The
    error image (eq. 3) is the image minus the likelihood's mean given the canvas.

    Args:
        channels, height, width: size of the images.
        likelihood: of images given the canvas.
        steps: T, glimpses.
        dim: Z, latents of each step.
        units: U, units of each of the two LSTMs.
        read, write: sizes of the windows; None reads, or writes, the whole image (section 3.1).
        classes: K; if not 0, labels (N,) are taken as well and concatenated one-hot to the inputs of both LSTMs.

    Attributes:
        latent: T·Z.

    Raises:
        ValueError: if ``steps``, ``dim``, ``units``, ``read`` or ``write`` is below 1.
    """

    def __init__(
        self,
        channels: PositiveInt,
        height: PositiveInt,
        width: PositiveInt,
        likelihood: Likelihood,
        steps: PositiveInt = 64,
        dim: PositiveInt = 100,
        units: PositiveInt = 256,
        read: PositiveInt | None = 2,
        write: PositiveInt | None = 5,
        classes: Natural = 0,
    ) -> None:
        super().__init__()
        for name, value in {"steps": steps, "dim": dim, "units": units, "read": read, "write": write}.items():
            if value is not None and value < 1:
                raise ValueError(f"model.decoder.{name}={value} is not valid: give an integer of at least 1.")
        self.likelihood, self.steps, self.dim, self.classes = likelihood, steps, dim, classes
        self.latent = steps * dim
        maps = channels * likelihood.parameters
        self.read = Read(channels, height, width, units, read)
        self.encoder = _recurrent(self.read.out + units + classes, units)
        self.posterior = nn.Linear(units, 2 * dim)
        nn.init.xavier_uniform_(self.posterior.weight)
        self.decoder = _recurrent(dim + classes, units)
        self.write = Write(maps, height, width, units, write)
        self.canvas = nn.Parameter(torch.zeros(1, maps, height, width))
        self.begin = nn.Parameter(torch.zeros(4, units))  # hidden state and cell of encoder and decoder

    def forward(self, epsilon: Tensor, labels: Tensor | None = None) -> Tensor:
        *_, (canvas, _) = self._steps(epsilon, None, labels)
        return canvas

    def canvases(self, epsilon: Tensor, labels: Tensor | None = None) -> Tensor:
        """Maps latents (N, T·Z), and labels (N,) if conditional, to the canvas after each step, (N, T, P·C, H, W)."""
        return torch.stack([canvas for canvas, _ in self._steps(epsilon, None, labels)], 1)

    def infer(self, images: Tensor, epsilon: Tensor, labels: Tensor | None = None) -> LatentSample:
        """Samples the posterior of images, z = μ + σε at each step.

        Args:
            images: (N, C, H, W).
            epsilon: standard normal numbers (N, T·Z).
            labels: (N,), if conditional.
        """
        *_, (canvas, _) = steps = [*self._steps(epsilon, images, labels)]
        sample, kl, log_ratio = (
            torch.cat(each, 1) for each in zip(*(posterior for _, posterior in steps), strict=True)
        )
        return LatentSample(canvas, sample, kl, log_ratio)

    def _steps(
        self, epsilon: Tensor, images: Tensor | None, labels: Tensor | None
    ) -> Iterator[tuple[Tensor, tuple[Tensor, ...]]]:
        """Yields the canvas after each step (eq. 3-8), and, if there are images, its ``LatentSample`` fields."""
        n = len(epsilon)
        canvas = CANVAS_GAIN * self.canvas.expand(n, -1, -1, -1)
        *encoded, hidden, cell = (each.expand(n, -1) for each in self.begin)
        for z in epsilon.split(self.dim, 1):
            posterior: tuple[Tensor, ...] = ()
            if images is not None:
                glimpse = self.read(images, images - self.likelihood.mean(canvas), hidden)
                inputs = concat_labels(torch.cat([glimpse, hidden], 1), labels, self.classes)
                encoded = [*self.encoder(inputs, (encoded[0], encoded[1]))]
                posterior = _posterior(self.posterior(encoded[0]), z)
                z = posterior[0]
            hidden, cell = self.decoder(concat_labels(z, labels, self.classes), (hidden, cell))
            canvas = canvas + self.write(hidden)
            yield canvas, posterior


def _posterior(parameters: Tensor, epsilon: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Returns the ``LatentSample`` fields of a sample of N(μ, σ²), given μ and log σ (eq. 1, 2 and 11)."""
    mean, log_scale = parameters.float().chunk(2, 1)
    log_scale = soft_clamp(log_scale)
    z = mean + log_scale.exp() * epsilon
    kl = (mean.square() + (2 * log_scale).exp() - 1) / 2 - log_scale
    return z, kl, (epsilon.square() - z.square()) / 2 + log_scale
