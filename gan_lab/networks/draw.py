"""DRAW: a picture drawn step by step, by two recurrent networks that look and write through windows.

After Gregor et al. 2015, "DRAW: A Recurrent Neural Network For Image Generation", whose equations are named below. Its
T glimpses are steps here: Z latents each, of prior N(0, I), so that standard normal numbers are latents.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn

from gan_lab.networks.hierarchical_vae import Shared, soft
from gan_lab.networks.layers import beside

BOUND = 10.0
"""Of the logarithms that place a window, either way: beyond it their exponentials would not be finite at all times."""

HASTE = 10.0
"""c_0 is so many times what is learned of it, to learn faster than windows: what all pictures share is its part."""


class Likelihood(Protocol):
    """What ``gan_lab.losses.likelihoods`` says of the canvas: P numbers for each value, and the picture to expect."""

    parameters: int

    def mean(self, given: Tensor) -> Tensor: ...


class Picture(nn.Module):
    """What the network is told of a picture: the picture itself, for it looks at it step by step."""

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        return images


class Filters(NamedTuple):
    """A K×K grid of Gaussian filters: F_Y (N, 1, K, H), F_X (N, 1, K, W), and the intensity γ (N, 1, 1, 1)."""

    rows: Tensor
    columns: Tensor
    intensity: Tensor


def filterbank(told: Tensor, size: int, height: int, width: int) -> Filters:
    """The filters that g̃_X, g̃_Y, log σ², log δ̃ and log γ, (N, 5), speak of (eq. 19-26), for a window of side K = size.

    Of a single filter the stride δ has no meaning.
    """
    told = told.float()
    across, down = told[:, :2].unbind(1)
    log_variance, log_stride, log_intensity = told[:, 2:].clamp(-BOUND, BOUND).unbind(1)
    stride = _widest(size, height, width) * log_stride.exp()
    rows = _gaussians((height + 1) / 2 * (down + 1), stride, log_variance, size, height)  # eq. 23
    columns = _gaussians((width + 1) / 2 * (across + 1), stride, log_variance, size, width)  # eq. 22
    return Filters(rows[:, None], columns[:, None], log_intensity.exp()[:, None, None, None])


def _widest(size: int, height: int, width: int) -> float:
    """The stride at which the window spans the picture's longer side (eq. 24)."""
    return (max(height, width) - 1) / max(size - 1, 1)


def _gaussians(centre: Tensor, stride: Tensor, log_variance: Tensor, size: int, length: int) -> Tensor:
    """The filters over pixels 1 to ``length`` of one axis, each of sum 1, (N, K, length) (eq. 19, 20, 25, 26)."""
    offsets = torch.arange(size, device=centre.device) - (size - 1) / 2
    means = centre[:, None] + stride[:, None] * offsets
    pixels = torch.arange(1.0, length + 1, device=centre.device)
    sharpness = (-log_variance).exp()[:, None, None] / 2
    # The Gaussian over its sum is a softmax, which holds where the whole filter lies far beyond the picture, too.
    return (-sharpness * (pixels - means[..., None]).square()).softmax(2)


class Window(nn.Module):
    """The decoder's state (N, U) → the filters of a window that it places (eq. 21).

    To begin with, all windows lie in the middle and span the picture, their filters a quarter of the stride wide. One
    that writes has an intensity at which a filter's peak is 1: fainter ones, as intensities of 1 make them, have to
    grow first, which they do all at once and past what serves.

    Args:
        height, width: of the picture.
        units: U.
        size: K.
        writes: whether it writes.
    """

    def __init__(self, height: int, width: int, units: int, size: int, writes: bool) -> None:
        super().__init__()
        self.shape = (size, height, width)
        self.place = nn.Linear(units, 5)
        nn.init.xavier_uniform_(self.place.weight, 0.1)
        variance = max((_widest(*self.shape) / 4) ** 2, 1e-2)
        with torch.no_grad():
            self.place.bias.zero_()
            self.place.bias[2] = math.log(variance)
            self.place.bias[4] = -math.log(2 * math.pi * variance) if writes else 0

    def forward(self, state: Tensor) -> Filters:
        return filterbank(self.place(state), *self.shape)


class Read(nn.Module):
    """Two pictures and the decoder's state (N, U) → what the encoder sees of them, (N, ``out``).

    Args:
        channels, height, width: of each picture.
        units: U.
        size: K, of the window, the same one for all channels (eq. 27); None reads all (eq. 17).
    """

    def __init__(self, channels: int, height: int, width: int, units: int, size: int | None) -> None:
        super().__init__()
        self.out = 2 * channels * (size * size if size else height * width)
        self.window = Window(height, width, units, size, writes=False) if size else None

    def forward(self, images: Tensor, error: Tensor, state: Tensor) -> Tensor:
        seen = torch.cat([images, error], 1)
        if self.window is not None:
            rows, columns, intensity = self.window(state)
            seen = intensity * (rows @ seen @ columns.mT)
        return seen.flatten(1)


class Write(nn.Module):
    """The decoder's state (N, U) → what is added to the canvas, (N, channels, H, W).

    Args:
        channels, height, width: of the canvas.
        units: U.
        size: K, of the patch that a window of its own brings onto the canvas (eq. 28 and 29); None writes all (eq. 18).
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
    """An LSTM whose gates hear their inputs from the start (Glorot and Bengio 2010), and which forgets little at first
    (Jozefowicz et al. 2015).
    """
    cell = nn.LSTMCell(inputs, units)
    for name, parameter in cell.named_parameters():
        nn.init.xavier_uniform_(parameter) if name.startswith("weight") else nn.init.zeros_(parameter)
    nn.init.ones_(cell.bias_ih[units : 2 * units])
    return cell


class Network(nn.Module):
    """Latents of all steps (N, T·Z) → the canvas after the last, which the likelihood is given, (N, P·C, H, W).

    The canvas holds all that the likelihood wants of each value: of two-coloured pictures their logits, as in the
    paper, of others locations, and, where the likelihood leaves them open, logarithms of scales, which are written
    through the same window. The error image (eq. 3) is the picture less what the likelihood expects of the canvas.

    Args:
        channels, height, width: of the pictures.
        likelihood: of pictures.
        steps: T, glimpses.
        dim: Z, latents at each step.
        units: U, of each of the two LSTMs.
        read, write: sides of the windows; None looks at, or writes, the whole picture (section 3.1).
        classes: K; then labels (N,) are taken as well, their indicators beside what both LSTMs are given.

    Attributes:
        latent: T·Z.

    Raises:
        ValueError: for numbers below 1.
    """

    def __init__(
        self,
        channels: int,
        height: int,
        width: int,
        likelihood: Likelihood,
        steps: int = 64,
        dim: int = 100,
        units: int = 256,
        read: int | None = 2,
        write: int | None = 5,
        classes: int = 0,
    ) -> None:
        super().__init__()
        for name, value in {"steps": steps, "dim": dim, "units": units, "read": read, "write": write}.items():
            if value is not None and value < 1:
                raise ValueError(f"coder.{name}={value} does not serve: give a whole number from 1 up.")
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
        self.begin = nn.Parameter(torch.zeros(4, units))  # the hidden state and the cell of encoder and of decoder

    def forward(self, epsilon: Tensor, labels: Tensor | None = None) -> Tensor:
        *_, (canvas, _) = self._draw(epsilon, None, labels)
        return canvas

    def canvases(self, epsilon: Tensor, labels: Tensor | None = None) -> Tensor:
        """The canvas after each step, (N, T, P·C, H, W)."""
        return torch.stack([canvas for canvas, _ in self._draw(epsilon, None, labels)], 1)

    def infer(self, images: Tensor, epsilon: Tensor, labels: Tensor | None = None) -> Shared:
        """A draw of the latents of given pictures (N, C, H, W): z = μ + σε at each step."""
        *_, (given, _) = steps = [*self._draw(epsilon, images, labels)]
        draw, kl, ratio = (torch.cat(each, 1) for each in zip(*(told for _, told in steps), strict=True))
        return Shared(given, draw, kl, ratio)

    def _draw(
        self, epsilon: Tensor, images: Tensor | None, labels: Tensor | None
    ) -> Iterator[tuple[Tensor, tuple[Tensor, ...]]]:
        """After each step the canvas (eq. 3-8), and what ``Shared`` tells of its latents; without pictures nothing."""
        n = len(epsilon)
        canvas = HASTE * self.canvas.expand(n, -1, -1, -1)
        *looked, hidden, cell = (each.expand(n, -1) for each in self.begin)
        for z in epsilon.split(self.dim, 1):
            told: tuple[Tensor, ...] = ()
            if images is not None:
                glimpse = self.read(images, images - self.likelihood.mean(canvas), hidden)
                seen = beside(torch.cat([glimpse, hidden], 1), labels, self.classes)
                looked = [*self.encoder(seen, (looked[0], looked[1]))]
                told = _posterior(self.posterior(looked[0]), z)
                z = told[0]
            hidden, cell = self.decoder(beside(z, labels, self.classes), (hidden, cell))
            canvas = canvas + self.write(hidden)
            yield canvas, told


def _posterior(told: Tensor, epsilon: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The draw, its divergence and its ratio (see ``Shared``) under N(μ, σ²), of μ and log σ (eq. 1, 2 and 11)."""
    mean, log_scale = told.float().chunk(2, 1)
    log_scale = soft(log_scale)
    z = mean + log_scale.exp() * epsilon
    kl = (mean.square() + (2 * log_scale).exp() - 1) / 2 - log_scale
    return z, kl, (epsilon.square() - z.square()) / 2 + log_scale
