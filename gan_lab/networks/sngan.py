"""Residual generator and critic of Gulrajani et al. 2017 and Miyato et al. 2018, with SAGAN's attention by choice."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate, max_pool2d, relu

from gan_lab.networks.layers import halvings, make_norm


class Generator(nn.Module):
    """Latents (N, Z), and labels (N,) if there are classes → images (N, C, H, W) in [-1, 1].

    Up to 32 px every block has 4 · ``base`` maps; above, the last has ``base``, doubled at each block before it up to
    16 · ``base``. With base 64 and Z = 128 it has 4,276,739 parameters at 32×32×3.

    Args:
        latent: Z.
        channels, height, width: of the images.
        base: see above.
        classes: K; then batch norms have a gain and a bias for each class (Dumoulin et al. 2017).
        attention: side in pixels of the maps that attend to themselves (SAGAN: 32); None leaves attention out.
    """

    def __init__(
        self,
        latent: int,
        channels: int,
        height: int,
        width: int,
        base: int = 64,
        classes: int = 0,
        attention: int | None = None,
    ) -> None:
        super().__init__()
        times = halvings(height, width)
        maps = [_maps(base, times - i, times, flat=4) for i in range(times + 1)]
        self.start = (maps[0], height >> times, width >> times)
        self.dense = nn.Linear(latent, maps[0] * self.start[1] * self.start[2])
        blocks: list[nn.Module] = []
        for i in range(times + 1):
            if i:
                blocks.append(UpBlock(maps[i - 1], maps[i], classes))
            if attention == min(height, width) >> (times - i):
                blocks.append(Attention(maps[i]))
        _refuse_unmatched(attention, blocks)
        self.blocks = nn.ModuleList(blocks)
        self.norm, self.out = nn.BatchNorm2d(maps[-1]), nn.Conv2d(maps[-1], channels, 3, padding=1)
        init_residual(self)

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        x = self.dense(latents).view(-1, *self.start)
        for block in self.blocks:
            x = block(x, labels)
        return torch.tanh(self.out(relu(self.norm(x))))


class Discriminator(nn.Module):
    """Images (N, C, H, W), and labels (N,) if there are classes → logits (N,).

    Up to 32 px four blocks of 2 · ``base`` maps, of which two halve; above, the first has ``base``, doubled at each
    halving up to 16 · ``base``, and one more block follows, which halves at 64 px and not above. Features are summed
    over the picture; labels enter as an inner product with them (Miyato and Koyama 2018, projection). With base 64 it
    has 1,053,825 parameters at 32×32×3.

    Args:
        channels, height, width: of the images.
        base: see above.
        classes: K.
        attention: side in pixels of the maps that attend to themselves; None leaves attention out.
        norm: within the blocks, see ``make_norm``; SNGAN's is none, for it has spectral norm.
    """

    def __init__(
        self,
        channels: int,
        height: int,
        width: int,
        base: int = 64,
        classes: int = 0,
        attention: int | None = None,
        norm: str = "none",
    ) -> None:
        super().__init__()
        times = halvings(height, width)
        halved = min(times, 2) if times <= 3 else times
        maps = [_maps(base, i, times, flat=2) for i in range(halved)]
        maps += [maps[-1]] * (2 if times <= 3 else 1) if times != 4 else [16 * base]
        halved += times == 4  # at 64 px the last block halves too
        blocks: list[nn.Module] = [FirstBlock(channels, maps[0])]
        for i, (before, after) in enumerate(pairwise(maps), 1):
            if attention == min(height, width) >> i and i <= halved:
                blocks.append(Attention(before))
            blocks.append(DownBlock(before, after, norm, halve=i < halved))
        _refuse_unmatched(attention, blocks)
        self.blocks = nn.Sequential(*blocks)
        self.width, self.out = maps[-1], nn.Linear(maps[-1], 1)
        self.projection = nn.Embedding(classes, maps[-1]) if classes else None
        init_residual(self)

    def features(self, images: Tensor) -> Tensor:
        """What the logits are made from, (N, width)."""
        return relu(self.blocks(images)).sum((2, 3))

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.logits(self.features(images), labels)

    def logits(self, features: Tensor, labels: Tensor | None = None) -> Tensor:
        logits = self.out(features).squeeze(1)
        return logits if self.projection is None else logits + (self.projection(labels) * features).sum(1)


def _refuse_unmatched(attention: int | None, blocks: Sequence[nn.Module]) -> None:
    if attention is not None and not any(isinstance(block, Attention) for block in blocks):
        raise ValueError(
            f"There are no maps of {attention} px between blocks for network.attention: give half or a quarter of the "
            "pictures' shorter side, or null."
        )


def _maps(base: int, halvings: int, times: int, flat: int) -> int:
    return flat * base if times <= 3 else base * min(1 << halvings, 16)


class ConditionalNorm(nn.Module):
    """Batch norm with a gain and a bias for each class (Dumoulin et al. 2017), an ordinary one without classes."""

    def __init__(self, maps: int, classes: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(maps, affine=not classes)
        self.gains = nn.Parameter(torch.zeros(classes, 2 * maps)) if classes else None  # around 1, and around 0

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        x = self.norm(x)
        if self.gains is None:
            return x
        gain, bias = self.gains[labels][:, :, None, None].chunk(2, 1)
        return x * (1 + gain) + bias


class Block(nn.Module):
    """Two 3×3 convolutions, and a 1×1 that is added to them."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList([nn.Conv2d(before, after, 3, padding=1), nn.Conv2d(after, after, 3, padding=1)])
        self.skip: nn.Module = nn.Conv2d(before, after, 1)


class UpBlock(Block):
    """x doubled + two 3×3 convolutions of x, doubled before the first."""

    def __init__(self, before: int, after: int, classes: int) -> None:
        super().__init__(before, after)
        self.norms = nn.ModuleList([ConditionalNorm(before, classes), ConditionalNorm(after, classes)])

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        y = interpolate(relu(self.norms[0](x, labels)), scale_factor=2)
        y = relu(self.norms[1](self.convs[0](y), labels))
        return self.convs[1](y) + interpolate(self.skip(x), scale_factor=2)


class FirstBlock(Block):
    """The critic's first: no rectifier before a picture, halved at the end."""

    def forward(self, x: Tensor) -> Tensor:
        return avg_pool2d(self.convs[1](relu(self.convs[0](x))), 2) + self.skip(avg_pool2d(x, 2))


class DownBlock(Block):
    """x + two 3×3 convolutions of x, both halved if asked."""

    def __init__(self, before: int, after: int, norm: str, halve: bool) -> None:
        super().__init__(before, after)
        self.norms = nn.ModuleList([make_norm(norm, before), make_norm(norm, after)])
        if before == after and not halve:
            self.skip = nn.Identity()
        self.halve = halve

    def forward(self, x: Tensor) -> Tensor:
        y = self.convs[0](relu(self.norms[0](x)))
        y = self.convs[1](relu(self.norms[1](y)))
        x = self.skip(x)
        return avg_pool2d(x + y, 2) if self.halve else x + y


class Attention(nn.Module):
    """Every place looks at all others (Zhang et al. 2019, SAGAN, eq. 1 to 3), keys and values halved as in its code.

    What it adds begins at nothing.
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
        seen = (value @ weights.transpose(1, 2)).unflatten(2, x.shape[2:])
        return x + self.gain * self.out(seen)


def init_residual(network: nn.Module) -> None:
    """Glorot's uniform weights, of the blocks' convolutions with gain √2, biases 0."""
    within = {conv for block in network.modules() if isinstance(block, Block) for conv in block.convs}
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear | nn.Embedding):
            nn.init.xavier_uniform_(layer.weight, 2**0.5 if layer in within else 1.0)
        if isinstance(layer, nn.Conv2d | nn.Linear) and layer.bias is not None:
            nn.init.zeros_(layer.bias)
