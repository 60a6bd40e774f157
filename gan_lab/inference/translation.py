"""Pictures of any size from one domain to the other, over the capability ``Translates``."""

import contextlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import torch
from torch import Tensor, nn

from gan_lab.common.capabilities import Translates
from gan_lab.common.errors import UserError
from gan_lab.common.images import reflect_pad, round_up
from gan_lab.common.precision import full_precision
from gan_lab.inference.tiling.blending import blend
from gan_lab.inference.tiling.fixed import tiles
from gan_lab.inference.tiling.maps import InMemory, Make, OnDisk
from gan_lab.inference.tiling.parts import Part, halo, take_apart
from gan_lab.inference.tiling.pixels import Canvas, Pixels, resize
from gan_lab.inference.tiling.tiling import Passes

SMALLEST = 8
"""Shorter sides are padded to this length: a residual generator reflects at a quarter of it."""
AT_ONCE, IN_STRIPS = 4, 8
"""Copies of its largest map that a network needs for a picture, and a pass for a strip. Measured: 3.6 and 6."""
COMFORTABLE = 512
"""Larger tiles, and larger downscaled pictures for statistics, gain nothing."""
FAITHFUL = 1e-3
"""What is taken apart must give this same result on a small picture, or it is not trusted."""


@dataclass(frozen=True)
class Tiling:
    """How pictures larger than memory are translated.

    Args:
        tile: pixels of a side that are worked on at a time; None takes every picture at once, "auto" those that fit.
        stats: where instance norm's statistics come from: "exact", the whole picture, layer by layer, or "fast", the
            picture downscaled.
        scratch: where exact tiling keeps what lies between two layers: "disk" or "memory".
        memory: bytes that may be taken for one picture, the picture itself aside.
        folder: of the disk that has room; None takes the system's for temporary files.
    """

    tile: int | str | None = "auto"
    stats: str = "exact"
    scratch: str = "disk"
    memory: int = 2 << 30
    folder: Path | None = None

    def __post_init__(self) -> None:
        if self.tile not in (None, "auto") and (not isinstance(self.tile, int) or self.tile < 1):
            raise UserError(f"tile={self.tile} does not serve: give auto, null, or a number of pixels such as 512.")
        for key, choices in (("stats", ("exact", "fast")), ("scratch", ("disk", "memory"))):
            if getattr(self, key) not in choices:
                raise UserError(f"{key}={getattr(self, key)} does not serve: give {' or '.join(choices)}.")

    @property
    def make(self) -> Make:
        return InMemory if self.scratch == "memory" else partial(OnDisk, folder=self.folder)


@dataclass(frozen=True)
class Translation:
    """A translated picture: uint8 (1 or 3, H, W) or ids (1, H, W), and how it was tiled, in words, if it was."""

    pixels: Tensor
    how: str = ""


class Translator:
    """Carries pictures to one domain.

    Args:
        model: one that translates, on the device that is to compute.
        direction: "a2b" or "b2a".
        size: (H, W) that pictures are resized to, by antialiased bicubic interpolation, label maps by the nearest
            pixel; None keeps theirs.
        tiling: how large pictures are translated.
        seed: of dropout, where it takes part.

    Raises:
        UserError: for a direction that the model does not know.
    """

    def __init__(
        self,
        model: Translates,
        direction: str,
        size: tuple[int, int] | None = None,
        tiling: Tiling = Tiling(),
        seed: int = 0,
    ) -> None:
        if direction not in model.directions:
            known = " or ".join(f"direction={known}" for known in model.directions)
            raise UserError(f"{type(model).__name__} does not translate {direction}: give {known}.")
        self.source, self.target = model.domains[direction[0]], model.domains[direction[-1]]
        self.model, self.to, self.size, self.tiling, self.seed = model, direction[-1], size, tiling, seed
        self.network = model.translator(self.to)

    @torch.no_grad()
    def __call__(self, pixels: Tensor, number: int = 0) -> Translation:
        """Pixels as they are stored, uint8 (C, H, W), of any size → the same in the other domain.

        They are padded by reflection to what the network can take, and the result is cut to their size. Where chance
        takes part, this is picture ``number`` of the seed.
        """
        pixels = pixels if self.size is None else resize(pixels, self.size, nearest=self.source.labels > 0)
        height, width = pixels.shape[1:]
        padded = self._padded(pixels)
        tile = self._tile(*padded.shape[1:])
        if tile is None:
            result, how = self.target.decode(self._at_once(self._seen(padded), number))[0].cpu(), ""
        else:
            with _steady(self.network, self.device):
                result, how = self._tiled(padded, tile, number)
        return Translation(result[:, :height, :width], how)

    def _padded(self, pixels: Tensor) -> Tensor:
        height, width = (round_up(max(side, SMALLEST), self.model.multiple) for side in pixels.shape[1:])
        return reflect_pad(pixels, (height, width))

    def _seen(self, pixels: Tensor) -> Tensor:
        return self.source.encode(pixels[None].to(self.device))

    def _at_once(self, image: Tensor, number: int) -> Tensor:
        return self.model.translate(image, self.to, self.seed, number)

    @cached_property
    def device(self) -> torch.device:
        return next(self.network.parameters()).device

    @cached_property
    def parts(self) -> list[Part] | None:
        """What the network was taken apart into, if that gives what the model gives."""
        parts = take_apart(self.network)
        return parts if parts is not None and self._agrees(parts) else None

    def _agrees(self, parts: list[Part]) -> bool:
        """Whether the parts do what the model does, by a small picture: a model may do more than its network."""
        noise = torch.Generator().manual_seed(0)
        shape = (self.source.stored_channels, *2 * (round_up(64, self.model.multiple),))
        pixels = torch.randint(self.source.labels or 256, shape, generator=noise, dtype=torch.uint8)
        expected = self._at_once(self._seen(pixels), 0)[0].cpu()
        found = torch.full_like(expected, math.inf)

        def emit(start: int, rows: Tensor) -> None:
            found[:, start : start + rows.shape[2]] = rows[0].cpu()

        with _steady(self.network, self.device):
            Passes(InMemory, expected.numel()).run(parts, Pixels(pixels, self.source), emit, self.device)
        return bool((found - expected).abs().max() < FAITHFUL)

    @cached_property
    def _widest(self) -> float:
        """Numbers of the network's largest map for each pixel of a picture."""
        side = round_up(64, self.model.multiple)
        sizes = [self.source.network_channels * side * side]
        hooks = [
            module.register_forward_hook(lambda *call: sizes.append(call[-1].numel()))
            for module in self.network.modules()
            if not list(module.children())
        ]
        self._at_once(self._seen(torch.zeros(self.source.stored_channels, side, side, dtype=torch.uint8)), 0)
        for hook in hooks:
            hook.remove()
        return max(sizes) / (side * side)

    @property
    def _fits(self) -> float:
        """Pixels of a picture that the network can take at once."""
        return self.tiling.memory / (4 * AT_ONCE * self._widest)

    def _tile(self, height: int, width: int) -> int | None:
        """The side of the tiles; None where the picture goes at once."""
        tile = self.tiling.tile
        if isinstance(tile, int):
            return None if tile >= max(height, width) else tile
        if tile is None or height * width <= self._fits:
            return None
        if self.parts is None:
            return max(min(math.isqrt(int(self._fits)), COMFORTABLE), self.model.multiple)
        if self.tiling.stats == "fast":
            return min(max(math.isqrt(int(self._fits)) - 2 * halo(self.parts), 64), COMFORTABLE)
        return min(math.isqrt(int(self._fits * AT_ONCE / IN_STRIPS)), COMFORTABLE)

    def _tiled(self, pixels: Tensor, tile: int, number: int) -> tuple[Tensor, str]:
        canvas = Canvas(self.target, *pixels.shape[1:])
        if self.parts is None:
            tile = round_up(tile, self.model.multiple)
            network = partial(self._at_once, number=number)
            blend(network, partial(self._crop, pixels), canvas.emit, canvas.size, tile)
            return (
                canvas.pixels,
                "in overlapping tiles, blended: the network cannot be taken apart, so tiles may differ",
            )
        if self.tiling.stats == "fast":
            crop, small = partial(self._crop, pixels), self._seen(self._small(pixels))
            gap = tiles(self.parts, small, crop, canvas.put, canvas.size, tile, self.model.multiple)
            return canvas.pixels, f"in fast tiles, {gap}"
        numbers = int(tile * tile * self._widest)
        picture = Pixels(pixels, self.source)
        Passes(self.tiling.make, numbers).run(self.parts, picture, canvas.emit, self.device)
        return canvas.pixels, "in exact tiles"

    def _crop(self, pixels: Tensor, top: int, bottom: int, left: int, right: int) -> Tensor:
        return self._seen(pixels[:, top:bottom, left:right])

    def _small(self, pixels: Tensor) -> Tensor:
        """The picture at a size that can be taken at once."""
        shrink = min(1.0, math.sqrt(min(self._fits, COMFORTABLE**2) / pixels[0].numel()))
        height, width = (max(1, int(side * shrink)) for side in pixels.shape[1:])
        return self._padded(resize(pixels, (height, width), nearest=self.source.labels > 0))


@contextlib.contextmanager
def _steady(network: nn.Module, device: torch.device) -> Iterator[None]:
    """The network in evaluation mode and in float32; its modes are given back."""
    before = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        with torch.autocast(device.type, enabled=False), full_precision():
            yield
    finally:
        for module, training in before:
            module.training = training


SPLIT = "test"


def ends(direction: str) -> tuple[str, str]:
    """The source and the target of "a2b" or "b2a"."""
    source, _, target = direction.partition("2")
    return source, target


@torch.no_grad()
@full_precision()
def translated(model: Translates, pictures: Tensor, to: str, seed: int = 0, start: int = 0) -> Tensor:
    """Pictures (N, C, H, W) as a network sees them → domain ``to``, in float32 and at their size.

    Where the model cannot take the size, pictures are reflected up to one that it can, and what that adds is cut off.
    """
    height, width = pictures.shape[2:]
    larger = reflect_pad(pictures, (round_up(height, model.multiple), round_up(width, model.multiple)))
    made = model.translate(larger, to, seed, start)
    return made[..., :height, :width].float()
