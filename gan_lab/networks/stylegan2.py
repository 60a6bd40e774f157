"""The networks of StyleGAN2 (Karras et al. 2020, "Analyzing and Improving the Image Quality of StyleGAN")."""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan_lab.common.bounds import Natural, PositiveInt
from gan_lab.networks.equalised import GAIN, Conv, Linear, activate
from gan_lab.networks.filters import Filter
from gan_lab.networks.layers import maps_per_size
from gan_lab.networks.minibatch_stddev import MinibatchStddev


class Mapping(nn.Module):
    """Maps latents (N, Z), normalised, and labels (N,) to styles (N, W).

    Args:
        latent: Z; 0 for labels alone.
        style: W.
        layers: fully connected layers, at a hundredth of the learning rate.
        classes: K, or 0.
    """

    def __init__(self, latent: Natural, style: PositiveInt, layers: PositiveInt = 8, classes: Natural = 0) -> None:
        super().__init__()
        self.embed = Linear(classes, style) if classes else None
        self.classes = classes
        widths = [latent + style * bool(classes), *[style] * layers]
        self.layers = nn.ModuleList(Linear(a, b, rate=0.01, gain=GAIN) for a, b in pairwise(widths))

    @property
    def device(self) -> torch.device:
        return next(self.parameters()).device

    def forward(self, latents: Tensor | None, labels: Tensor | None = None) -> Tensor:
        parts = [] if latents is None else [normalised(latents)]
        with torch.autocast(self.device.type, enabled=False):
            if self.embed is not None:
                assert labels is not None
                parts.append(normalised(self.embed(F.one_hot(labels, self.classes).float())))
            x = torch.cat(parts, 1)
            for layer in self.layers:
                x = activate(layer(x))
        return x


def normalised(x: Tensor) -> Tensor:
    """Returns vectors (N, Z) of mean square 1."""
    return x * (x.float().square().mean(1, keepdim=True) + 1e-8).rsqrt()


class Modulated(nn.Module):
    """A convolution with kernels that a style scales for each sample, normalised (section 2.2, eq. 1 and 3).

    Scaling the maps before and after one convolution is the same as a convolution with other kernels for each sample,
    which grouped convolutions are slower at.

    Args:
        inputs, outputs: feature maps.
        style: W.
        side: of the kernels.
        demodulate: whether to normalise.
        double: doubles the sides of the maps, and filters with [1 3 3 1].
    """

    def __init__(
        self, inputs: int, outputs: int, style: int, side: int, demodulate: bool = True, double: bool = False
    ) -> None:
        super().__init__()
        self.affine = Linear(style, inputs, bias=1.0)
        self.weight = nn.Parameter(torch.randn(outputs, inputs, side, side))
        self.gain = 1 / math.sqrt(self.weight[0].numel())
        self.demodulate, self.filter = demodulate, Filter() if double else None

    def forward(self, x: Tensor, style: Tensor, gain: float = 1.0) -> Tensor:
        """Returns the convolution, times ``gain`` if it is demodulated."""
        weight, scales = self.weight * self.gain, self.affine(style)
        scales = scales.to(torch.promote_types(scales.dtype, torch.float32))  # autocast may have made it bf16
        x = x * scales.to(x.dtype)[:, :, None, None]
        if self.filter is None:
            x = F.conv2d(x, weight, padding=weight.shape[-1] // 2)
        else:
            x = self.filter.smoothed(F.conv_transpose2d(x, 4 * weight.transpose(0, 1), stride=2), 1)
        if not self.demodulate:
            return x
        squares = scales.square() @ weight.square().sum((2, 3)).T
        return x * (gain * (squares + 1e-8).rsqrt()).to(x.dtype)[:, :, None, None]


class Layer(nn.Module):
    """A modulated convolution, noise, bias and activation: maps (N, inputs, h, w), styles (N, W) → (N, outputs, H, W).

    Args:
        inputs, outputs, style, double: see ``Modulated``.
        size: H and W, of the constant noise.
    """

    noise: Tensor

    def __init__(self, inputs: int, outputs: int, style: int, size: tuple[int, int], double: bool = False) -> None:
        super().__init__()
        self.conv = Modulated(inputs, outputs, style, 3, double=double)
        self.strength, self.bias = nn.Parameter(torch.zeros(())), nn.Parameter(torch.zeros(outputs))
        self.register_buffer("noise", torch.randn(1, 1, *size))

    def forward(self, x: Tensor, style: Tensor, noise: Tensor | None) -> Tensor:
        x = self.conv(x, style, GAIN)
        noise = (self.noise if noise is None else noise).movedim(1, 3)
        # A matrix product is several times faster than adding values of another shape in bf16 on a CPU.
        added = torch.addmm(GAIN * self.bias, noise.reshape(-1, 1), (GAIN * self.strength).expand(1, len(self.bias)))
        return activate(x + added.view(*noise.shape[:3], -1).movedim(3, 1).to(x.dtype))


class Block(nn.Module):
    """The layers of one size, and what they add to the image."""

    def __init__(self, inputs: int, maps: int, style: int, size: tuple[int, int], channels: int) -> None:
        super().__init__()
        doubles = inputs > 0
        self.first = Layer(inputs, maps, style, size, double=True) if doubles else None
        self.second = Layer(maps, maps, style, size)
        self.filter = Filter() if doubles else None
        self.image = Modulated(maps, channels, style, 1, demodulate=False)
        self.bias = nn.Parameter(torch.zeros(channels))

    @property
    def layers(self) -> list[Layer]:
        return [layer for layer in (self.first, self.second) if layer is not None]

    def forward(
        self, x: Tensor, image: Tensor | None, styles: Sequence[Tensor], noise: Sequence[Tensor | None]
    ) -> tuple[Tensor, Tensor]:
        """Maps maps and image of the size before, if there is one, to those of this size.

        Args:
            x: (N, inputs, h, w).
            image: (N, C, h, w).
            styles: (N, W) of each layer, and that of the image.
            noise: (N, 1, H, W) of each layer; None for the constant noise.
        """
        for layer, style, own in zip(self.layers, styles, noise, strict=False):
            x = layer(x, style, own)
        added = self.image(x, styles[-1]).float() + self.bias[:, None, None]
        if image is None or self.filter is None:
            return x, added
        with torch.autocast(x.device.type, enabled=False):  # the image is a sum over sizes
            return x, added + self.filter.doubled(image)


class Synthesis(nn.Module):
    """Maps styles, one for each layer, (N, ``num_styles``, W) to images (N, C, H, W): the blocks, from the smallest.

    Args:
        channels: C.
        sizes: height, width and feature maps of each block; see ``maps_per_size``.
        style: W.
    """

    def __init__(self, channels: int, sizes: Sequence[tuple[tuple[int, int], int]], style: int) -> None:
        super().__init__()
        self.start = nn.Parameter(torch.randn(1, sizes[0][1], *sizes[0][0]))
        before = [0, *(maps for _, maps in sizes)]
        self.blocks = nn.ModuleList(
            Block(inputs, maps, style, size, channels) for inputs, (size, maps) in zip(before, sizes, strict=False)
        )
        self.num_styles = 2 * len(sizes)

    @property
    def layers(self) -> list[Layer]:
        return [layer for block in self.blocks for layer in block.layers]  # type: ignore[operator,union-attr]

    def forward(self, styles: Tensor, noise: Sequence[Tensor] | None = None) -> Tensor:
        """Returns images.

        Args:
            styles: (N, ``num_styles``, W).
            noise: of each layer, (N, 1, h, w); None for the constant noise.
        """
        x, image, place = self.start.expand(len(styles), -1, -1, -1), None, 0
        each, maps = styles.unbind(1), iter([None] * len(self.layers) if noise is None else noise)
        for block in self.blocks:
            count = len(block.layers)  # type: ignore[arg-type]
            x, image = block(x, image, each[place : place + count + 1], [next(maps) for _ in range(count)])
            place += count
        assert image is not None
        return image


class Generator(nn.Module):
    """Maps latents (N, Z) and, if conditional, labels (N,) to images (N, C, H, W), about [-1, 1] but not bounded.

    At 256×256×3 it has 24.8 million parameters with base 16,384, and 30.0 million with 32,768.

    Args:
        latent: Z.
        channels, height, width: size of the images; their sides halve down to 4 to 7 px.
        base: feature maps times shorter side of the maps, until there are ``most``; None for 16,384, or 32,768 from
            512 px on (Karras et al. 2020b).
        most: the largest number of feature maps.
        style: W.
        mapping_layers: layers of the mapping network.
        classes: K, or 0 for an unconditional generator.
    """

    average_style: Tensor

    def __init__(
        self,
        latent: PositiveInt,
        channels: PositiveInt,
        height: PositiveInt,
        width: PositiveInt,
        base: PositiveInt | None = None,
        most: PositiveInt = 512,
        style: PositiveInt = 512,
        mapping_layers: PositiveInt = 8,
        classes: Natural = 0,
    ) -> None:
        super().__init__()
        self.mapping = Mapping(latent, style, mapping_layers, classes)
        sizes = maps_per_size(height, width, base or usual_base(height, width), most)
        self.synthesis = Synthesis(channels, sizes, style)
        self.register_buffer("average_style", torch.zeros(style))

    @property
    def num_styles(self) -> int:
        """Number of styles of an image."""
        return self.synthesis.num_styles

    @property
    def noise_sizes(self) -> list[tuple[int, int]]:
        """Height and width of each layer's noise."""
        return [(int(n.shape[2]), int(n.shape[3])) for n in (layer.noise for layer in self.synthesis.layers)]

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Returns images with the constant noise, all layers of an image in one style."""
        images: Tensor = self.synthesis(self.mapping(latents, labels)[:, None].expand(-1, self.num_styles, -1))
        return images


class Discriminator(nn.Module):
    """Maps images (N, C, H, W) and, if conditional, labels (N,) to logits (N,): residual blocks (section 4.1).

    At 256×256×3 it has 24.0 million parameters with base 16,384, and 28.9 million with 32,768.

    Args:
        channels, height, width, base, most, classes: see ``Generator``.
        group: samples in a group of the minibatch standard deviation.
        mapping_layers: of the class embedding, as wide as the last features.
        residual: whether blocks have shortcuts; StyleGAN2-ADA's for CIFAR-10 has none.
    """

    def __init__(
        self,
        channels: PositiveInt,
        height: PositiveInt,
        width: PositiveInt,
        base: PositiveInt | None = None,
        most: PositiveInt = 512,
        classes: Natural = 0,
        group: PositiveInt = 4,
        mapping_layers: PositiveInt = 8,
        residual: bool = True,
    ) -> None:
        super().__init__()
        sizes = maps_per_size(height, width, base or usual_base(height, width), most)[::-1]
        self.first = Conv(channels, sizes[0][1], 1, GAIN)
        # Named by size, so that networks for other images take their weights.
        self.blocks = nn.ModuleDict({f"{h}x{w}": Down(a, b, residual) for ((h, w), a), (_, b) in pairwise(sizes)})
        (rows, columns), self.width = sizes[-1]
        self.stddev, self.last = MinibatchStddev(group), Conv(self.width + 1, self.width, 3, GAIN)
        self.hidden = Linear(self.width * rows * columns, self.width, gain=GAIN)
        self.out = Linear(self.width, self.width if classes else 1)
        self.classes = Mapping(0, self.width, mapping_layers, classes) if classes else None

    def features(self, images: Tensor) -> Tensor:
        """Maps images (N, C, H, W) to the last features (N, width)."""
        x = activate(self.first(images))
        for block in self.blocks.values():
            x = block(x)
        return activate(self.hidden(activate(self.last(self.stddev(x))).flatten(1)))

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.logits(self.features(images), labels)

    def logits(self, features: Tensor, labels: Tensor | None = None) -> Tensor:
        """Maps features (N, width) and, if conditional, labels (N,) to logits (N,)."""
        outputs = self.out(features)
        if self.classes is None:
            return outputs.squeeze(1)
        return (outputs * self.classes(None, labels)).sum(1) / math.sqrt(self.width)


class Down(nn.Module):
    """A block that halves the sides, with a shortcut or without: (N, inputs, H, W) → (N, outputs, H / 2, W / 2)."""

    def __init__(self, inputs: int, outputs: int, residual: bool = True) -> None:
        super().__init__()
        # The sum of both branches is divided by √2.
        self.first, self.second = (
            Conv(inputs, inputs, 3, GAIN),
            Conv(inputs, outputs, 3, 1 if residual else GAIN, halve=True),
        )
        self.skip = Conv(inputs, outputs, 1, 1 / GAIN, bias=False, halve=True) if residual else None

    def forward(self, x: Tensor) -> Tensor:
        maps = activate(self.second(activate(self.first(x))))
        return maps if self.skip is None else maps + self.skip(x)


def usual_base(height: int, width: int) -> int:
    """Returns the base by the size of images (Karras et al. 2020b)."""
    return 32768 if min(height, width) >= 512 else 16384
