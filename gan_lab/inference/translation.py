"""Translation of images of any size to the other domain, for models with the capability ``Translates``."""

import contextlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import torch
from torch import Tensor, nn

from gan_lab.common.capabilities import Translates
from gan_lab.common.errors import UserError
from gan_lab.common.images import reflect_pad, round_up
from gan_lab.common.precision import asked_precision, at_inference, full_precision
from gan_lab.inference.tiling.blending import blend
from gan_lab.inference.tiling.exact import ExactTiling
from gan_lab.inference.tiling.fast import fast_tiles
from gan_lab.inference.tiling.maps import InMemory, MapFactory, OnDisk
from gan_lab.inference.tiling.parts import Part, decompose, halo
from gan_lab.inference.tiling.pixels import Canvas, Pixels, encode_part, resize

MIN_SIDE = 8
"""Shorter sides are padded to this length: a residual generator reflects at a quarter of it."""
WHOLE_COPIES, STRIP_COPIES = 4, 8
"""Copies of its largest map that a network needs for a whole image, and a pass for a strip. Measured: 3.6 and 6."""
MAX_TILE = 512
"""Larger tiles, and larger downscaled images for statistics, gain nothing."""
TOLERANCE = 1e-3
"""Largest difference on a small image for a decomposition to be used."""
SPLIT = "test"
"""Split whose images show and measure a translation."""


@dataclass(frozen=True)
class Tiling:
    """Options for images that are too large for memory.

    Args:
        tile: side of the tiles in pixels; None never tiles, "auto" tiles only images that do not fit.
        stats: source of instance norm's statistics: "exact" takes them from the whole image, layer by layer; "fast"
            takes them from the downscaled image.
        scratch: where exact tiling stores the maps between two layers: "disk" or "memory".
        memory: bytes that may be used for one image, the image itself aside.
        folder: folder for ``scratch="disk"``; None takes the system's folder for temporary files.

    Raises:
        UserError: for a value that is not one of these.
    """

    tile: int | str | None = "auto"
    stats: str = "exact"
    scratch: str = "disk"
    memory: int = 2 << 30
    folder: Path | None = None

    def __post_init__(self) -> None:
        if self.tile not in (None, "auto") and (not isinstance(self.tile, int) or self.tile < 1):
            raise UserError(f"tile={self.tile} is not valid: give auto, null, or a number of pixels such as 512.")
        for key, choices in (("stats", ("exact", "fast")), ("scratch", ("disk", "memory"))):
            if getattr(self, key) not in choices:
                raise UserError(f"{key}={getattr(self, key)} is not valid: give {' or '.join(choices)}.")

    @property
    def make_map(self) -> MapFactory:
        return InMemory if self.scratch == "memory" else partial(OnDisk, folder=self.folder)


@dataclass(frozen=True)
class Translation:
    """A translated image.

    Args:
        pixels: uint8 (1 or 3, H, W), or class ids (1, H, W).
        tiling: a description of the tiling for the user; empty if the image was translated at once.
    """

    pixels: Tensor
    tiling: str = ""


class Translator:
    """Translates images of any size to one domain.

    Example: ``zebra = Translator(gan_lab.load("last.ckpt"), "a2b")(pixels).pixels``

    Args:
        model: a translation model, on the device that is to compute.
        direction: "a2b" or "b2a".
        size: (H, W) that images are resized to first, by antialiased bicubic interpolation, label maps to the nearest
            pixel; a number is the length of the shorter side, in proportion; None keeps the images' sizes.
        tiling: options for large images.
        seed: seed of dropout, for models that keep it at inference.

    Raises:
        UserError: for a direction that the model does not have.
    """

    def __init__(
        self,
        model: Translates,
        direction: str,
        size: tuple[int, int] | int | None = None,
        tiling: Tiling = Tiling(),
        seed: int = 0,
    ) -> None:
        if direction not in model.directions:
            choices = " or ".join(f"direction={each}" for each in model.directions)
            raise UserError(f"{type(model).__name__} does not translate {direction}: give {choices}.")
        self.source, self.target = model.domains[direction[0]], model.domains[direction[-1]]
        self.model, self.to, self.size, self.tiling, self.seed = model, direction[-1], size, tiling, seed
        self.network = model.translator(self.to)

    @torch.no_grad()
    def __call__(self, pixels: Tensor, number: int = 0) -> Translation:
        """Translates stored pixels, uint8 (C, H, W), to an image of the same size (H, W).

        The image is padded by reflection to a size that the network accepts, and the result is cropped.

        Args:
            pixels: image or label map, uint8 (C, H, W); with objects, the second channel has their numbers.
            number: number of the image within the seed, for stochastic models.
        """
        pixels = resize(pixels, self.resized(*pixels.shape[1:]), nearest=self.source.labels > 0)
        height, width = pixels.shape[1:]
        padded = self._padded(pixels)
        tile = self._tile(*padded.shape[1:])
        if tile is None:
            result, tiling = self.target.decode(self._translate(self._encode(padded), number))[0].cpu(), ""
        else:
            with _in_eval_mode(self.network, self.device):
                result, tiling = self._translate_tiled(padded, tile, number)
        return Translation(result[:, :height, :width], tiling)

    def resized(self, height: int, width: int) -> tuple[int, int]:
        """Returns the (H, W) in which an image of this size is translated."""
        if self.size is None:
            return height, width
        if isinstance(self.size, tuple):
            return self.size
        scale = self.size / min(height, width)
        return max(1, round(height * scale)), max(1, round(width * scale))

    def _padded(self, pixels: Tensor) -> Tensor:
        height, width = (round_up(max(side, MIN_SIDE), self.model.multiple) for side in pixels.shape[1:])
        return reflect_pad(pixels, (height, width))

    def _encode(self, pixels: Tensor) -> Tensor:
        return self.source.encode(pixels[None].to(self.device))

    def _translate(self, image: Tensor, number: int) -> Tensor:
        return self.model.translate(image, self.to, self.seed, number)

    @cached_property
    def device(self) -> torch.device:
        return next(self.network.parameters()).device

    @cached_property
    def parts(self) -> list[Part] | None:
        """The network's decomposition; None if there is none, or its result differs from the model's."""
        parts = decompose(self.network)
        return parts if parts is not None and self._agrees(parts) else None

    def _agrees(self, parts: list[Part]) -> bool:
        """Compares the parts with the model on a small image, in fp32: a model may do more than its network."""
        with asked_precision("fp32", self.device):
            return self._difference(parts) < TOLERANCE

    def _difference(self, parts: list[Part]) -> float:
        noise = torch.Generator().manual_seed(0)
        shape = (self.source.stored_channels, *2 * (round_up(64, self.model.multiple),))
        pixels = torch.randint(self.source.labels or 256, shape, generator=noise, dtype=torch.uint8)
        expected = self._translate(self._encode(pixels), 0)[0].cpu()
        result = torch.full_like(expected, math.inf)

        def emit(start: int, rows: Tensor) -> None:
            result[:, start : start + rows.shape[2]] = rows[0].cpu()

        with _in_eval_mode(self.network, self.device):
            ExactTiling(InMemory, expected.numel()).run(parts, Pixels(pixels, self.source), emit, self.device)
        return float((result - expected).abs().max())

    @cached_property
    def _largest_map(self) -> float:
        """Numbers in the network's largest map for each pixel of an image."""
        side = round_up(64, self.model.multiple)
        sizes = [self.source.network_channels * side * side]
        hooks = [
            module.register_forward_hook(lambda *call: sizes.append(call[-1].numel()))
            for module in self.network.modules()
            if not list(module.children())
        ]
        self._translate(self._encode(torch.zeros(self.source.stored_channels, side, side, dtype=torch.uint8)), 0)
        for hook in hooks:
            hook.remove()
        return max(sizes) / (side * side)

    @property
    def _max_pixels(self) -> float:
        """Pixels of an image that the network can translate at once."""
        return self.tiling.memory / (4 * WHOLE_COPIES * self._largest_map)

    def _tile(self, height: int, width: int) -> int | None:
        """Chooses the side of the tiles; None translates the image at once."""
        tile = self.tiling.tile
        if isinstance(tile, int):
            return None if tile >= max(height, width) else tile
        if tile is None or height * width <= self._max_pixels:
            return None
        if self.parts is None:
            return max(min(math.isqrt(int(self._max_pixels)), MAX_TILE), self.model.multiple)
        if self.tiling.stats == "fast":
            return min(max(math.isqrt(int(self._max_pixels)) - 2 * halo(self.parts), 64), MAX_TILE)
        return min(math.isqrt(int(self._max_pixels * WHOLE_COPIES / STRIP_COPIES)), MAX_TILE)

    def _translate_tiled(self, pixels: Tensor, tile: int, number: int) -> tuple[Tensor, str]:
        canvas, crop = Canvas(self.target, *pixels.shape[1:]), partial(self._crop, pixels)
        if self.parts is None:
            network = partial(self._translate, number=number)
            blend(network, crop, canvas.emit, canvas.size, round_up(tile, self.model.multiple))
            return canvas.pixels, "in overlapping tiles, blended: the network cannot be decomposed, so tiles may differ"
        if self.tiling.stats == "fast":
            small = self._encode(self._downscaled(pixels))
            error = fast_tiles(self.parts, small, crop, canvas.put, canvas.size, tile, self.model.multiple)
            return canvas.pixels, f"in fast tiles, {error}"
        tiling = ExactTiling(self.tiling.make_map, int(tile * tile * self._largest_map))
        tiling.run(self.parts, Pixels(pixels, self.source), canvas.emit, self.device)
        return canvas.pixels, "in exact tiles"

    def _crop(self, pixels: Tensor, top: int, bottom: int, left: int, right: int) -> Tensor:
        return encode_part(self.source, pixels, top, bottom, left, right).to(self.device)

    def _downscaled(self, pixels: Tensor) -> Tensor:
        """Downscales the image to a size that can be translated at once."""
        scale = min(1.0, math.sqrt(min(self._max_pixels, MAX_TILE**2) / pixels[0].numel()))
        height, width = (max(1, int(side * scale)) for side in pixels.shape[1:])
        return self._padded(resize(pixels, (height, width), nearest=self.source.labels > 0))


@contextlib.contextmanager
def _in_eval_mode(network: nn.Module, device: torch.device) -> Iterator[None]:
    """Puts the network into evaluation mode, computes as ``at_inference``, and restores each module's mode."""
    before = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        with at_inference(device):
            yield
    finally:
        for module, training in before:
            module.training = training


def ends(direction: str) -> tuple[str, str]:
    """Returns the source and target domain of a direction: ("a", "b") for "a2b"."""
    source, _, target = direction.partition("2")
    return source, target


@torch.no_grad()
@full_precision()
def translated(model: Translates, images: Tensor, to: str, seed: int = 0, start: int = 0) -> Tensor:
    """Translates a batch of images, float32 (N, C', H, W), padding by reflection if the model needs another size.

    Example: ``translated(model, images, "b")``

    Args:
        model: a translation model.
        images: images as a network sees them, (N, C, H, W).
        to: the target domain, "a" or "b".
        seed: seed of stochastic models.
        start: number of the first image within the seed.
    """
    return padded(images, model.multiple, lambda image: model.translate(image, to, seed, start))


def padded(images: Tensor, multiple: int, translate: Callable[[Tensor], Tensor]) -> Tensor:
    """Translates images (N, C, H, W), float32 (N, C', H, W), by a function of images with sides that are multiples of a
    number: they are padded by reflection.
    """
    height, width = images.shape[2:]
    large = reflect_pad(images, (round_up(height, multiple), round_up(width, multiple)))
    return translate(large)[..., :height, :width].float()
