"""The networks of BigGAN and BigGAN-deep (Brock, Donahue and Simonyan 2019, appendix B)."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, embedding, interpolate, relu

from gan_lab.common.bounds import Natural, PositiveInt
from gan_lab.networks import sngan
from gan_lab.networks.layers import num_downsamplings
from gan_lab.networks.resampled_conv import DoubledConv2d
from gan_lab.networks.sngan import Attention, DownBlock, FirstBlock, check_attention

GENERATOR_MAPS = {4: [16, 16, 8, 4, 2], 5: [16, 16, 8, 4, 2, 1], 6: [16, 16, 8, 8, 4, 2, 1]}
GENERATOR_MAPS[7] = [*GENERATOR_MAPS[6], 1]
DISCRIMINATOR_MAPS = {4: [1, 2, 4, 8, 16], 5: [1, 2, 4, 8, 16, 16], 6: [1, 2, 4, 8, 8, 16, 16]}
DISCRIMINATOR_MAPS[7] = [1, *DISCRIMINATOR_MAPS[6]]
"""Feature maps in multiples of ``base``, by the number of halvings (tables 4 to 9); of smaller images 4 throughout."""


class Generator(nn.Module):
    """Maps latents (N, Z) and, if conditional, labels (N,) to images (N, C, H, W) in [-1, 1].

    One embedding of classes serves all layers. The latent is divided into equal parts: the first is the input, and the
    others join the embedding in the conditional batch norms of one block each. At 128×128×3 with 1,000 classes, base 96
    and Z = 120 it has 70,433,988 parameters.

    Args:
        latent: Z, at least the number of blocks + 1; what an equal division leaves over joins the input.
        channels, height, width: size of the images; their sides halve down to 4 to 7 px.
        base: feature maps of the last block from 128 px on.
        classes: K, or 0 for an unconditional generator.
        embedding: dimensions of the embedding of classes.
        attention: shorter side in pixels of the maps with self-attention; None for none.

    Raises:
        ValueError: for a latent that is too short, and if no maps have the side ``attention``.
    """

    def __init__(
        self,
        latent: PositiveInt,
        channels: PositiveInt,
        height: PositiveInt,
        width: PositiveInt,
        base: PositiveInt = 96,
        classes: Natural = 0,
        embedding: PositiveInt = 128,
        attention: PositiveInt | None = None,
    ) -> None:
        super().__init__()
        times = num_downsamplings(height, width)
        maps = [base * each for each in GENERATOR_MAPS.get(times, [4] * (times + 1))]
        self.start, condition = (maps[0], height >> times, width >> times), embedding * bool(classes)
        self.parts = self.num_parts(times)
        if latent < self.parts:
            raise ValueError(
                f"{latent} latents are too few for {self.parts} parts, one for the input and one for each block: "
                f"give model.prior.dim={20 * self.parts}."
            )
        # No layer, because spectral norm is not applied to it.
        self.classes = nn.Parameter(torch.empty(classes, embedding)) if classes else None
        self.dense = nn.Linear(self.input_size(latent, condition), maps[0] * self.start[1] * self.start[2])
        self.blocks = nn.ModuleList([Attention(maps[0])] if attention == min(self.start[1:]) else [])
        for i, (before, after) in enumerate(pairwise(maps)):
            self.blocks.append(self.level(before, after, self.condition_size(latent, condition)))
            if attention == min(height, width) >> (times - i - 1):
                self.blocks.append(Attention(after))
        check_attention(attention, self.blocks)
        self.norm, self.out = nn.BatchNorm2d(maps[-1]), nn.Conv2d(maps[-1], channels, 3, padding=1)
        init_orthogonal(self)

    def num_parts(self, times: int) -> int:
        """Returns the number of parts of a latent."""
        return times + 1

    def input_size(self, latent: int, condition: int) -> int:
        """Returns the inputs of the first layer."""
        return latent - (self.parts - 1) * (latent // self.parts)

    def condition_size(self, latent: int, condition: int) -> int:
        """Returns the inputs of a conditional batch norm."""
        return condition + latent // self.parts

    def level(self, before: int, after: int, condition: int) -> nn.Module:
        """Returns what doubles the sides."""
        return UpBlock(before, after, condition)

    def conditions(self, latents: Tensor, labels: Tensor | None) -> tuple[Tensor, Sequence[Tensor]]:
        """Returns the input of the first layer, and the condition of each block, all (N, …).

        Args:
            latents: (N, Z).
            labels: (N,) of a conditional generator.
        """
        part = latents.shape[1] // self.parts
        first, *others = latents.split([latents.shape[1] - (self.parts - 1) * part, *[part] * (self.parts - 1)], 1)
        if self.classes is None:
            return first, others
        assert labels is not None
        shared = embedding(labels, self.classes)
        return first, [torch.cat([shared, part], 1) for part in others]

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        first, conditions = self.conditions(latents, labels)
        x, each = self.dense(first).view(-1, *self.start), iter(conditions)
        for block in self.blocks:
            x = block(x) if isinstance(block, Attention) else block(x, next(each))
        return torch.tanh(self.out(relu(self.norm(x))))


class DeepGenerator(Generator):
    """BigGAN-deep's: four convolutions in a bottleneck for each block, two blocks for each size, no learned shortcuts.

    The whole latent and the embedding are the input and every condition. At 128×128×3 with 1,000 classes, base 128 and
    Z = 128 it has 50,244,484 parameters. Arguments as in ``Generator``.
    """

    def num_parts(self, times: int) -> int:
        return 1

    def input_size(self, latent: int, condition: int) -> int:
        return latent + condition

    def condition_size(self, latent: int, condition: int) -> int:
        return latent + condition

    def level(self, before: int, after: int, condition: int) -> nn.Module:
        same, doubled = DeepUpBlock(before, before, condition), DeepUpBlock(before, after, condition, double=True)
        return InOrder([same, doubled])

    def conditions(self, latents: Tensor, labels: Tensor | None) -> tuple[Tensor, Sequence[Tensor]]:
        if self.classes is not None:
            assert labels is not None
            latents = torch.cat([embedding(labels, self.classes), latents], 1)
        return latents, [latents] * len(self.blocks)


class Discriminator(nn.Module):
    """Maps images (N, C, H, W) and, if conditional, labels (N,) to logits (N,), with a projection on classes.

    At 128×128×3 with 1,000 classes and base 96 it has 87,982,370 parameters.

    Args:
        channels, height, width: size of the images.
        base: feature maps of the first block from 128 px on.
        classes: K, or 0 for an unconditional discriminator.
        attention: shorter side in pixels of the maps with self-attention; None for none.

    Raises:
        ValueError: if no maps have the side ``attention``.
    """

    def __init__(
        self,
        channels: PositiveInt,
        height: PositiveInt,
        width: PositiveInt,
        base: PositiveInt = 96,
        classes: Natural = 0,
        attention: PositiveInt | None = None,
    ) -> None:
        super().__init__()
        times = num_downsamplings(height, width)
        maps = [base * each for each in DISCRIMINATOR_MAPS.get(times, [4] * 4)]
        halvings = times if times > 3 else min(times, 2)
        blocks: list[nn.Module] = []
        for i, (before, after) in enumerate(self.levels(channels, maps)):
            blocks.append(self.level(before, after, halve=i < halvings, first=i == 0))
            if i < halvings and attention == min(height, width) >> (i + 1):
                blocks.append(Attention(after))
        check_attention(attention, blocks)
        self.begin, self.blocks = self.entrance(channels, maps[0]), nn.Sequential(*blocks)
        self.width, self.out = maps[-1], nn.Linear(maps[-1], 1)
        self.projection = nn.Embedding(classes, maps[-1]) if classes else None
        init_orthogonal(self)

    def levels(self, channels: int, maps: Sequence[int]) -> Sequence[tuple[int, int]]:
        """Returns the feature maps before and after each level."""
        return [*pairwise([channels, *maps])]

    def level(self, before: int, after: int, halve: bool, first: bool) -> nn.Module:
        """Returns the blocks of one size."""
        return FirstBlock(before, after) if first else DownBlock(before, after, "none", halve)

    def entrance(self, channels: int, maps: int) -> nn.Module:
        """Returns what comes before the blocks."""
        return nn.Identity()

    def features(self, images: Tensor) -> Tensor:
        """Maps images (N, C, H, W) to the last features (N, width)."""
        return relu(self.blocks(self.begin(images))).sum((2, 3))

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.logits(self.features(images), labels)

    def logits(self, features: Tensor, labels: Tensor | None = None) -> Tensor:
        """Maps features (N, width) and, if conditional, labels (N,) to logits (N,)."""
        logits = self.out(features).squeeze(1)
        return logits if self.projection is None else logits + (self.projection(labels) * features).sum(1)


class DeepDiscriminator(Discriminator):
    """BigGAN-deep's: a convolution, and two bottleneck blocks for each size, without learned changes of what is kept.

    At 128×128×3 with 1,000 classes and base 128 it has 34,590,210 parameters. Arguments as in ``Discriminator``.
    """

    def levels(self, channels: int, maps: Sequence[int]) -> Sequence[tuple[int, int]]:
        return [*pairwise(maps)]

    def level(self, before: int, after: int, halve: bool, first: bool) -> nn.Module:
        return nn.Sequential(DeepDownBlock(before, after, halve), DeepDownBlock(after, after, halve=False))

    def entrance(self, channels: int, maps: int) -> nn.Module:
        return nn.Conv2d(channels, maps, 3, padding=1)


class InOrder(nn.ModuleList):
    """Blocks that take maps (N, before, H, W) and a condition (N, …), one after another."""

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        for block in self:
            x = block(x, condition)
        return x


class ConditionalNorm(nn.Module):
    """Batch norm of maps (N, maps, H, W), with gains and biases that are linear maps of a condition (N, condition)."""

    def __init__(self, maps: int, condition: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(maps, affine=False)
        self.gain, self.bias = (nn.Linear(condition, maps, bias=False) for _ in range(2))

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        gain, bias = (layer(condition).to(x.dtype)[:, :, None, None] for layer in (self.gain, self.bias))
        return self.norm(x) * (1 + gain) + bias


class UpBlock(sngan.UpBlock):
    """Doubles the sides of maps (N, before, H, W), given a condition (N, …) → (N, after, 2 H, 2 W) (figure 15)."""

    def __init__(self, before: int, after: int, condition: int) -> None:
        super().__init__(before, after, classes=0)
        self.norms = nn.ModuleList([ConditionalNorm(maps, condition) for maps in (before, after)])


class DeepUpBlock(nn.Module):
    """Maps (N, before, H, W) and a condition (N, …) → (N, after, H, W), or twice the sides (figure 16).

    The shortcut drops feature maps that are too many.
    """

    def __init__(self, before: int, after: int, condition: int, double: bool = False) -> None:
        super().__init__()
        narrow, self.after, self.doubles = max(1, before // 4), after, double
        self.norms = nn.ModuleList([ConditionalNorm(maps, condition) for maps in (before, *[narrow] * 3)])
        self.convs = bottleneck(before, narrow, after, double)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        y, x = x, x[:, : self.after]
        for norm, conv in zip(self.norms, self.convs, strict=True):
            y = conv(relu(norm(y, condition)))
        return y + (interpolate(x, scale_factor=2) if self.doubles else x)


class DeepDownBlock(nn.Module):
    """Maps (N, before, H, W) → (N, after, H, W), or half the sides (figure 16); new maps are added by a convolution."""

    def __init__(self, before: int, after: int, halve: bool) -> None:
        super().__init__()
        self.convs, self.halve = bottleneck(before, max(1, after // 4), after), halve
        self.more = nn.Conv2d(before, after - before, 1) if after > before else None

    def forward(self, x: Tensor) -> Tensor:
        y = x
        for conv in self.convs[:3]:
            y = conv(relu(y))
        y = relu(y)
        if self.halve:
            x, y = avg_pool2d(x, 2), avg_pool2d(y, 2)
        y = self.convs[3](y)
        return y + (x if self.more is None else torch.cat([x, self.more(x)], 1))


def bottleneck(before: int, narrow: int, after: int, double: bool = False) -> nn.ModuleList:
    """Returns convolutions of 1×1, 3×3, which may double the sides, 3×3 and 1×1."""
    ends = nn.Conv2d(before, narrow, 1), nn.Conv2d(narrow, after, 1)
    second = DoubledConv2d(narrow, narrow) if double else nn.Conv2d(narrow, narrow, 3, padding=1)
    return nn.ModuleList([ends[0], second, nn.Conv2d(narrow, narrow, 3, padding=1), ends[1]])


def init_orthogonal(network: nn.Module) -> None:
    """Draws orthogonal weights (Saxe et al. 2014); biases are 0."""
    for name, parameter in network.named_parameters():
        if parameter.ndim > 1:
            nn.init.orthogonal_(parameter)
        elif name.endswith("bias"):
            nn.init.zeros_(parameter)
