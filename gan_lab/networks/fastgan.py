"""The networks of FastGAN.

Liu et al. 2021, "Towards Faster and Stabilized GAN Training for High-fidelity Few-shot Image Synthesis".

Numbers of maps, and noise, are those of the published code. Its discriminator also has excitations, and a second part
for images of 128 px, which the paper does not describe; they are left out.
"""

from collections.abc import Sequence
from itertools import pairwise, zip_longest

import torch
from torch import Tensor, nn

from gan_lab.common.bounds import Natural, PositiveInt
from gan_lab.networks.layers import init_normal, make_norm, num_downsamplings
from gan_lab.networks.resampled_conv import DoubledConv2d

MULTIPLES = (16, 8, 4, 2, 2, 1, 1 / 2, 1 / 4, 1 / 8)
"""Feature maps as multiples of ``base``, from the smallest size, 4 px for powers of two, to 256 times its sides."""
DEPTHS = range(2, len(MULTIPLES))
"""How often images may halve: the discriminator needs two sizes of maps above the smallest."""
REACH, EXCITATIONS = 4, 4
"""Doublings from the maps that excite to those that are excited, and the most pairs of them: 4 → 64 to 32 → 512 px."""
LARGEST_INPUT = 5
"""Halvings by residual blocks at most, from 256 to 8 px; larger images are halved by one convolution each time."""
LARGEST_RECONSTRUCTION = 4
"""Doublings by a decoder at most, from 8 to 128 px."""
SLOPE = 0.2


def depth(height: int, width: int, classes: int = 0) -> int:
    """Returns how often the sides of images halve, down to 4 to 7 px.

    Raises:
        ValueError: for images that these networks do not take, and for classes.
    """
    if classes:
        raise ValueError("FastGAN's networks take no labels: give conditional=false, or another network.")
    times = num_downsamplings(height, width)
    if times not in DEPTHS:
        raise ValueError(
            f"FastGAN's networks take images of 16 to 1,792 px, not {height}×{width}: data.size=256 works."
        )
    return times


def gated(x: Tensor) -> Tensor:
    """Returns a gated linear unit, (N, 2 C, H, W) → (N, C, H, W): ``F.glu`` is half as fast with channels last."""
    values, gates = x.chunk(2, 1)
    return values * torch.sigmoid(gates)


class Layer(nn.Module):
    """A 3×3 convolution, noise, normalisation and GLU: (N, inputs, H, W) → (N, outputs, H, W), or twice the sides.

    Args:
        inputs, outputs: feature maps.
        size: of the constant noise, that of the result; None leaves noise out.
        norm: see ``make_norm``.
        doubles: repeats each pixel 2×2 times before the convolution.
    """

    noise: Tensor

    def __init__(
        self, inputs: int, outputs: int, size: tuple[int, int] | None, norm: str = "batch", doubles: bool = False
    ) -> None:
        super().__init__()
        maps = inputs, 2 * outputs
        self.conv = DoubledConv2d(*maps, bias=False) if doubles else nn.Conv2d(*maps, 3, padding=1, bias=False)
        self.norm = make_norm(norm, 2 * outputs)
        self.strength = None if size is None else nn.Parameter(torch.zeros(()))
        if size is not None:
            self.register_buffer("noise", torch.randn(1, 1, *size))

    def forward(self, x: Tensor, noise: Tensor | None = None) -> Tensor:
        """Returns the maps, with noise (N, 1, H, W); None for the constant noise."""
        x = self.conv(x)
        if self.strength is not None:
            x = x + (self.strength * (self.noise if noise is None else noise)).to(x.dtype)
        return gated(self.norm(x))


class Up(nn.Module):
    """Doubles the sides of maps to the nearest pixel: (N, inputs, h, w) → (N, outputs, 2 h, 2 w).

    One layer follows, or two with noise if their ``size`` (2 h, 2 w) is given.
    """

    def __init__(self, inputs: int, outputs: int, size: tuple[int, int] | None = None, norm: str = "batch") -> None:
        super().__init__()
        widths = [inputs, outputs] if size is None else [inputs, outputs, outputs]
        steps = enumerate(pairwise(widths))
        self.layers = nn.ModuleList(Layer(a, b, size, norm, doubles=not number) for number, (a, b) in steps)

    def forward(self, x: Tensor, noise: Sequence[Tensor] = ()) -> Tensor:
        """Returns the maps, with the noise of each layer, (N, 1, 2 h, 2 w), in place of the constant noise."""
        for layer, own in zip_longest(self.layers, noise):
            x = layer(x, own)
        return x


class Excitation(nn.Module):
    """Skip-layer excitation (section 3.1, eq. 2): small maps give each large map a factor between 0 and 1.

    Args:
        small, large: feature maps of the two sizes.
    """

    def __init__(self, small: int, large: int) -> None:
        super().__init__()
        self.factors = nn.Sequential(
            nn.AdaptiveAvgPool2d(4),
            nn.Conv2d(small, large, 4, bias=False),
            nn.LeakyReLU(SLOPE, inplace=True),
            nn.Conv2d(large, large, 1, bias=False),
            nn.Sigmoid(),
        )

    def forward(self, small: Tensor, large: Tensor) -> Tensor:
        """Returns the large maps (N, large, H, W) times their factors, given maps (N, small, h, w)."""
        return large * self.factors(small)


class Generator(nn.Module):
    """Maps latents (N, Z) to images (N, C, H, W) in [-1, 1] (figure 3).

    Every second block has noise and two layers, and the first is one of them. Maps excite those of 16 times their
    sides: there are three excitations at 256 px, one at 64 px and none at 32 px. With base 64 and Z = 256 it has 29.1
    million parameters at 256×256×3.

    Args:
        latent: Z.
        channels, height, width: size of the images; their sides halve down to 4 to 7 px, two to eight times.
        base: the paper's 64; there are 16 times as many maps at the smallest size.
        classes: 0; the networks take no labels.

    Raises:
        ValueError: for another size, and for classes.
    """

    def __init__(
        self,
        latent: PositiveInt,
        channels: PositiveInt,
        height: PositiveInt,
        width: PositiveInt,
        base: PositiveInt = 64,
        classes: Natural = 0,
    ) -> None:
        super().__init__()
        times = depth(height, width, classes)
        sizes = [(height >> level, width >> level) for level in range(times, -1, -1)]
        maps = [max(1, int(base * multiple)) for multiple in MULTIPLES[: times + 1]]
        self.start = (2 * maps[0], *sizes[0])
        # A transposed convolution of a single pixel is a linear layer.
        self.dense = nn.Linear(latent, 2 * maps[0] * sizes[0][0] * sizes[0][1], bias=False)
        self.norm = nn.BatchNorm2d(2 * maps[0])
        noisy = [size if level % 2 else None for level, size in enumerate(sizes)]
        self.blocks = nn.ModuleList(Up(a, b, size) for (a, b), size in zip(pairwise(maps), noisy[1:], strict=True))
        excited = zip(maps[:EXCITATIONS], maps[REACH:], strict=False)
        self.excitations = nn.ModuleList(Excitation(small, large) for small, large in excited)
        self.out = nn.Conv2d(maps[-1], channels, 3, padding=1, bias=False)
        init_normal(self)

    @property
    def noise_sizes(self) -> list[tuple[int, int]]:
        """Height and width of the noise of each layer that has noise."""
        noises = [layer.noise for layer in self.modules() if isinstance(layer, Layer) and layer.strength is not None]
        return [(int(noise.shape[2]), int(noise.shape[3])) for noise in noises]

    def forward(self, latents: Tensor, noise: Sequence[Tensor] | None = None) -> Tensor:
        """Returns images.

        Args:
            latents: (N, Z).
            noise: of each layer that has noise, (N, 1, h, w) by ``noise_sizes``; None for the constant noise.
        """
        maps = [gated(self.norm(self.dense(latents).view(-1, *self.start)))]
        for level, block in enumerate(self.blocks, 1):
            x = block(maps[-1], noise[level - 1 : level + 1] if noise and level % 2 else ())
            if 0 <= level - REACH < EXCITATIONS:
                x = self.excitations[level - REACH](maps[level - REACH], x)
            maps.append(x)
        return torch.tanh(self.out(maps[-1]))


class Down(nn.Module):
    """The mean of two paths that halve the sides (figure 4): (N, inputs, H, W) → (N, outputs, H / 2, W / 2).

    Args:
        inputs, outputs: feature maps.
        norm: see ``make_norm``.
    """

    def __init__(self, inputs: int, outputs: int, norm: str) -> None:
        super().__init__()
        self.main = nn.Sequential(
            *norm_act(nn.Conv2d(inputs, outputs, 4, 2, 1, bias=False), norm),
            *norm_act(nn.Conv2d(outputs, outputs, 3, padding=1, bias=False), norm),
        )
        self.direct = nn.Sequential(nn.AvgPool2d(2), *norm_act(nn.Conv2d(inputs, outputs, 1, bias=False), norm))

    def forward(self, x: Tensor) -> Tensor:
        return (self.main(x) + self.direct(x)) / 2


def norm_act(conv: nn.Conv2d, norm: str) -> list[nn.Module]:
    """Returns a convolution, its normalisation and leaky ReLU."""
    return [conv, make_norm(norm, conv.out_channels), nn.LeakyReLU(SLOPE, inplace=True)]


class Decoder(nn.Sequential):
    """Reconstructs images in [-1, 1] from maps (section 3.2): (N, inputs, h, w) → (N, C, 2^times · h, 2^times · w).

    Args:
        inputs: feature maps.
        channels: C.
        base: of the discriminator; half as many multiples of it as the generator has.
        times: doublings.
        norm: see ``make_norm``.
    """

    def __init__(self, inputs: int, channels: int, base: int, times: int, norm: str) -> None:
        maps = [inputs, *(max(1, int(base * multiple / 2)) for multiple in MULTIPLES[2 : 2 + times])]
        out = nn.Conv2d(maps[-1], channels, 3, padding=1, bias=False)
        super().__init__(*(Up(a, b, norm=norm) for a, b in pairwise(maps)), out, nn.Tanh())


class Discriminator(nn.Module):
    """Maps images (N, C, H, W) to logits of patches (N, 1, h - 3, w - 3), 5×5 for powers of two (figure 4).

    Images of every size halve down to the paper's maps f1 of 16 px and f2 of 8 px (to 31 and 15 px), from which the
    decoders reconstruct. Their images have half the sides of the model's, but twice to 16 times those of f2: 32 px for
    images of 64 px, 128 px for 256 px and more. With base 64 it has 8.9 million parameters at 256×256×3, of which 2.3
    million are in the decoders.

    Args:
        channels, height, width, base, classes: see ``Generator``.
        norm: see ``make_norm``.

    Raises:
        ValueError: for another size, another norm, and for classes.
    """

    def __init__(
        self,
        channels: PositiveInt,
        height: PositiveInt,
        width: PositiveInt,
        base: PositiveInt = 64,
        norm: str = "batch",
        classes: Natural = 0,
    ) -> None:
        super().__init__()
        times = depth(height, width, classes) - 1
        maps = [max(1, 8 * base >> level) for level in range(times, -1, -1)]
        strided = max(0, times - LARGEST_INPUT)
        self.first = nn.Sequential(*_first(channels, maps, strided, norm))
        self.blocks = nn.ModuleList(Down(a, b, norm) for a, b in pairwise(maps[strided:]))
        self.width = maps[-1] * (height >> times) * (width >> times)
        self.head = nn.Sequential(*norm_act(nn.Conv2d(maps[-1], 16 * base, 1, bias=False), norm))
        self.out = nn.Conv2d(16 * base, 1, 4, bias=False)
        doublings = min(LARGEST_RECONSTRUCTION, max(1, times - 1))
        self.decode_part, self.decode_whole = (Decoder(each, channels, base, doublings, norm) for each in maps[-2:])
        init_normal(self)

    def maps(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Maps images (N, C, H, W) to f1 (N, 4 · base, 2 h, 2 w) and f2 (N, 8 · base, h, w)."""
        x = self.first(images)
        for block in self.blocks[:-1]:
            x = block(x)
        return x, self.blocks[-1](x)

    def features(self, images: Tensor) -> Tensor:
        """Maps images (N, C, H, W) to the last features f2 (N, 8 · base, h, w), ``width`` numbers each."""
        return self.maps(images)[1]

    def logits(self, features: Tensor) -> Tensor:
        """Maps f2 (N, 8 · base, h, w) to logits (N, 1, h - 3, w - 3)."""
        logits: Tensor = self.out(self.head(features))
        return logits

    def forward(self, images: Tensor) -> Tensor:
        return self.logits(self.features(images))


def _first(channels: int, maps: Sequence[int], strided: int, norm: str) -> list[nn.Module]:
    """Returns the layers in front of the residual blocks; the first of them has no normalisation.

    Args:
        channels: C.
        maps: feature maps by halvings of the images.
        strided: convolutions that halve the sides, or 0 for one that does not.
        norm: see ``make_norm``.
    """
    if not strided:
        return norm_act(nn.Conv2d(channels, maps[0], 3, padding=1, bias=False), "none")
    convs = [nn.Conv2d(a, b, 4, 2, 1, bias=False) for a, b in pairwise([channels, *maps[1 : strided + 1]])]
    return [each for i, conv in enumerate(convs) for each in norm_act(conv, norm if i else "none")]
