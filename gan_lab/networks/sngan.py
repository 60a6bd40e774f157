"""Residual generator and discriminator of Gulrajani et al. 2017 and Miyato et al. 2018, with SAGAN's attention."""

from collections.abc import Iterable
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate, max_pool2d, relu

from gan_lab.common.bounds import Natural, PositiveInt
from gan_lab.networks.layers import make_norm, num_downsamplings
from gan_lab.networks.resampled_conv import DoubledConv2d, PooledConv2d


class Generator(nn.Module):
    """Maps latents (N, Z) and, if conditional, labels (N,) to images (N, C, H, W) in [-1, 1].

    Up to 32 px every block has 4 · ``base`` feature maps. Above, the last block has ``base``, doubled at each block
    before it up to 16 · ``base``. With base 64 and Z = 128 it has 4,276,739 parameters at 32×32×3.

    Args:
        latent: Z.
        channels, height, width: size of the images.
        base: see above.
        classes: K, or 0 for an unconditional generator; batch norms have a gain and a bias for each class.
        attention: shorter side in pixels of the maps with self-attention (SAGAN: 32); None means no attention.

    Raises:
        ValueError: if no block has maps of the size ``attention``.
    """

    def __init__(
        self,
        latent: PositiveInt,
        channels: PositiveInt,
        height: PositiveInt,
        width: PositiveInt,
        base: PositiveInt = 64,
        classes: Natural = 0,
        attention: PositiveInt | None = None,
    ) -> None:
        super().__init__()
        times = num_downsamplings(height, width)
        maps = [_maps(base, times - i, times, flat=4) for i in range(times + 1)]
        self.start = (maps[0], height >> times, width >> times)
        self.dense = nn.Linear(latent, maps[0] * self.start[1] * self.start[2])
        blocks: list[nn.Module] = []
        for i in range(times + 1):
            if i:
                blocks.append(UpBlock(maps[i - 1], maps[i], classes))
            if attention == min(height, width) >> (times - i):
                blocks.append(Attention(maps[i]))
        check_attention(attention, blocks)
        self.blocks = nn.ModuleList(blocks)
        self.norm, self.out = nn.BatchNorm2d(maps[-1]), nn.Conv2d(maps[-1], channels, 3, padding=1)
        init_residual(self)

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        x = self.dense(latents).view(-1, *self.start)
        for block in self.blocks:
            x = block(x, labels)
        return torch.tanh(self.out(relu(self.norm(x))))


class Discriminator(nn.Module):
    """Maps images (N, C, H, W) and, if conditional, labels (N,) to logits (N,).

    Up to 32 px it has four blocks of 2 · ``base`` feature maps, two of which halve the size. Above, the first block
    has ``base``, doubled at each halving up to 16 · ``base``, and one more block follows, which halves at 64 px only.
    Features are summed over the image; labels enter by projection (Miyato and Koyama 2018): the inner product of
    features and a class embedding is added to the logit. With base 64 it has 1,053,825 parameters at 32×32×3.

    Args:
        channels, height, width: size of the images.
        base: see above.
        classes: K, or 0 for an unconditional discriminator.
        attention: shorter side in pixels of the maps with self-attention; None means no attention.
        norm: in the blocks, see ``make_norm``; SNGAN uses none, because it has spectral norm.

    Raises:
        ValueError: if no block has maps of the size ``attention``, and for another norm.
    """

    def __init__(
        self,
        channels: PositiveInt,
        height: PositiveInt,
        width: PositiveInt,
        base: PositiveInt = 64,
        classes: Natural = 0,
        attention: PositiveInt | None = None,
        norm: str = "none",
    ) -> None:
        super().__init__()
        times = num_downsamplings(height, width)
        halved = min(times, 2) if times <= 3 else times
        maps = [_maps(base, i, times, flat=2) for i in range(halved)]
        maps += [maps[-1]] * (2 if times <= 3 else 1) if times != 4 else [16 * base]
        halved += times == 4  # at 64 px the last block halves the size too
        blocks: list[nn.Module] = [FirstBlock(channels, maps[0])]
        for i, (before, after) in enumerate(pairwise(maps), 1):
            if attention == min(height, width) >> i and i <= halved:
                blocks.append(Attention(before))
            blocks.append(DownBlock(before, after, norm, halve=i < halved))
        check_attention(attention, blocks)
        self.blocks = nn.Sequential(*blocks)
        self.width, self.out = maps[-1], nn.Linear(maps[-1], 1)
        self.projection = nn.Embedding(classes, maps[-1]) if classes else None
        init_residual(self)

    def features(self, images: Tensor) -> Tensor:
        """Maps images (N, C, H, W) to the last features (N, width)."""
        return relu(self.blocks(images)).sum((2, 3))

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.logits(self.features(images), labels)

    def logits(self, features: Tensor, labels: Tensor | None = None) -> Tensor:
        """Maps features (N, width) and, if conditional, labels (N,) to logits (N,)."""
        logits = self.out(features).squeeze(1)
        return logits if self.projection is None else logits + (self.projection(labels) * features).sum(1)


def check_attention(attention: int | None, blocks: Iterable[nn.Module]) -> None:
    """Checks that one of the blocks is attention if it is asked for.

    Raises:
        ValueError: if none is.
    """
    if attention is not None and not any(isinstance(block, Attention) for block in blocks):
        raise ValueError(
            f"self_attention={attention} is not valid, because no maps between blocks have this size: give "
            "half or a quarter of the images' shorter side, or null."
        )


def _maps(base: int, level: int, times: int, flat: int) -> int:
    """Returns the feature maps after ``level`` of ``times`` halvings: ``flat`` · base for images up to 32 px."""
    return flat * base if times <= 3 else base * min(1 << level, 16)


class ConditionalNorm(nn.Module):
    """Batch norm of maps (N, maps, H, W), with a gain and a bias for each class if labels (N,) are given.

    Dumoulin et al. 2017. Without classes it is an ordinary batch norm.
    """

    def __init__(self, maps: int, classes: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(maps, affine=not classes)
        self.gains = nn.Parameter(torch.zeros(classes, 2 * maps)) if classes else None  # differences from 1 and from 0

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        x = self.norm(x)
        if self.gains is None:
            return x
        gain, bias = self.gains[labels][:, :, None, None].chunk(2, 1)
        return x * (1 + gain) + bias


class Block(nn.Module):
    """The convolutions of a residual block: two 3×3, and a 1×1 for the shortcut.

    Args:
        before, after: feature maps of the input and of the output.
        doubles: the first one doubles the sides.
        halves: the second one halves them.
    """

    def __init__(self, before: int, after: int, doubles: bool = False, halves: bool = False) -> None:
        super().__init__()
        first = DoubledConv2d(before, after) if doubles else nn.Conv2d(before, after, 3, padding=1)
        second = PooledConv2d(after, after) if halves else nn.Conv2d(after, after, 3, padding=1)
        self.convs = nn.ModuleList([first, second])
        self.skip: nn.Module = nn.Conv2d(before, after, 1)


class UpBlock(Block):
    """Computes upsampled x + two 3×3 convolutions of upsampled x: (N, before, H, W) → (N, after, 2 H, 2 W)."""

    def __init__(self, before: int, after: int, classes: int) -> None:
        super().__init__(before, after, doubles=True)
        self.norms = nn.ModuleList([ConditionalNorm(before, classes), ConditionalNorm(after, classes)])

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        y = self.convs[0](relu(self.norms[0](x, labels)))
        y = relu(self.norms[1](y, labels))
        return self.convs[1](y) + interpolate(self.skip(x), scale_factor=2)


class FirstBlock(Block):
    """The discriminator's first block, which has no ReLU at its input.

    Maps (N, before, H, W) to (N, after, H / 2, W / 2).
    """

    def __init__(self, before: int, after: int) -> None:
        super().__init__(before, after, halves=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.convs[1](relu(self.convs[0](x))) + self.skip(avg_pool2d(x, 2))


class DownBlock(Block):
    """Computes x + two 3×3 convolutions of x, then halves the size if ``halve``: (N, before, H, W) → (N, after, …)."""

    def __init__(self, before: int, after: int, norm: str, halve: bool) -> None:
        super().__init__(before, after, halves=halve)
        self.norms = nn.ModuleList([make_norm(norm, before), make_norm(norm, after)])
        if before == after and not halve:
            self.skip = nn.Identity()
        self.halve = halve

    def forward(self, x: Tensor) -> Tensor:
        y = self.convs[0](relu(self.norms[0](x)))
        y = self.convs[1](relu(self.norms[1](y)))
        # A convolution of single pixels and a mean of pixels can change places: the smaller maps come first.
        return self.skip(avg_pool2d(x, 2) if self.halve else x) + y


class Attention(nn.Module):
    """Self-attention (Zhang et al. 2019, SAGAN, eq. 1 to 3): (N, maps, H, W) → (N, maps, H, W).

    Keys and values are pooled to half the size, as in its code. Its output is scaled by a gain that starts at 0.
    """

    def __init__(self, maps: int) -> None:
        super().__init__()
        narrow, half = max(maps // 8, 1), max(maps // 2, 1)
        self.query, self.key = nn.Conv2d(maps, narrow, 1, bias=False), nn.Conv2d(maps, narrow, 1, bias=False)
        self.value, self.out = nn.Conv2d(maps, half, 1, bias=False), nn.Conv2d(half, maps, 1, bias=False)
        self.gain = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        query = self.query(x).flatten(2)
        key, value = (max_pool2d(layer(x), 2).flatten(2) for layer in (self.key, self.value))
        weights = torch.softmax(query.transpose(1, 2) @ key, 2)
        attended = (value @ weights.transpose(1, 2)).unflatten(2, x.shape[2:])
        return x + self.gain * self.out(attended)


def init_residual(network: nn.Module) -> None:
    """Draws Glorot's uniform weights, with gain √2 for the residual blocks' convolutions; biases are 0."""
    within = {conv for block in network.modules() if isinstance(block, Block) for conv in block.convs}
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear | nn.Embedding):
            nn.init.xavier_uniform_(layer.weight, 2**0.5 if layer in within else 1.0)
        if isinstance(layer, nn.Conv2d | nn.Linear) and layer.bias is not None:
            nn.init.zeros_(layer.bias)
