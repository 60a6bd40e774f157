"""Regions of generated images: maps of another code within them, and edits that stay within them.

Suzuki et al. 2018, "Spatially Controllable Image Synthesis with Internal Representation Collaging".
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan_lab.common.bounds import PositiveInt
from gan_lab.common.errors import UserError
from gan_lab.data.reading.images import open_image
from gan_lab.inference.spaces import Space
from gan_lab.inference.watching import watching

Box = tuple[int, int, int, int]
"""Left, top, right and bottom in pixels of the model's images."""
HALF = 0.5
Maps = dict[nn.Module, list[Tensor]]
"""What each layer made of a code, call by call."""


def region_of(spec: Box | Path, size: Sequence[int], key: str = "region") -> Tensor:
    """Returns a region of images of a size, (1, 1, H, W): 1 inside, 0 around it.

    Args:
        spec: a box, or a picture that is white inside, and is resized.
        size: H and W.
        key: the user's name for it.

    Raises:
        UserError: for a box beyond the images, and for a picture that cannot be read, or has another shape.
    """
    height, width = size
    if isinstance(spec, Path):
        found = _white(spec, key)
        if abs(found.shape[3] * height - found.shape[2] * width) > max(*found.shape[2:], *size):  # more than a pixel
            pixels = f"{found.shape[3]}×{found.shape[2]} px"
            raise UserError(f"{key}={spec} has {pixels}: give a picture of the model's shape, {width}×{height}.")
        return sized(found, size).clamp(0, 1)
    left, top, right, bottom = spec
    if not (0 <= left < right <= width and 0 <= top < bottom <= height):
        named = ",".join(map(str, spec))
        raise UserError(f"{key}={named} does not lie in the model's images of {width}×{height} px.")
    inside = torch.zeros(1, 1, height, width)
    inside[..., top:bottom, left:right] = 1
    return inside


def sized(images: Tensor, size: Sequence[int]) -> Tensor:
    """Returns images (N, C, h, w) in another size, (N, C, *size), antialiased."""
    if images.shape[2:] == torch.Size(size):
        return images
    return F.interpolate(images, tuple(size), mode="bilinear", antialias=True)


def _white(path: Path, key: str) -> Tensor:
    """Returns a picture's brightness (1, 1, h, w) in [0, 1]."""
    try:
        with path.open("rb") as file:
            values = np.asarray(open_image(file).image.convert("L"), np.float32)
    except Exception as problem:  # decoders raise many kinds of exceptions for damaged files
        raise UserError(f"{key}={path} cannot be read as an image: give one that is white in the region.") from problem
    return torch.from_numpy(values / 255)[None, None]


@contextmanager
def swapped(
    space: Space, other: Tensor, region: Tensor, reduction: PositiveInt = 4, noise: list[Tensor] | None = None
) -> Iterator[None]:
    """Lets the maps of images come from another code within a region.

    All maps up to a size are exchanged, so that the layers after them can join what differs.

    Args:
        space: of the codes.
        other: the other code, (1, …).
        region: the other's maps are taken where it is at least a half, (1, 1, H, W).
        reduction: sides of the images in sides of the largest maps that are exchanged.
        noise: of the layers, (1, 1, h, w) each; None for the constant noise.

    Raises:
        UserError: if the model has no maps of such a size.
    """
    most = tuple(side // reduction for side in region.shape[2:])
    with torch.no_grad(), _watched(space.network, most) as theirs:
        space.images(other, noise)
    if not theirs:
        raise UserError(f"This model has no maps of {most[1]}×{most[0]} or less to exchange: give another reduction.")
    calls, whole = dict.fromkeys(theirs, 0), (region >= HALF).float()  # a share would be taken again at each layer

    def exchange(layer: nn.Module, _: Any, output: Any) -> Any:
        if not _is_maps(output, most):
            return None
        taken = theirs[layer][calls[layer] % len(theirs[layer])]
        calls[layer] += 1
        share = F.interpolate(whole.to(output), output.shape[2:], mode="area")
        return torch.lerp(output, taken.to(output).expand_as(output), share)

    with watching(theirs, exchange):
        yield


@contextmanager
def _watched(network: nn.Module, most: Sequence[int]) -> Iterator[Maps]:
    """Collects the maps of layers up to a size."""
    found: Maps = {}

    def watch(layer: nn.Module, _: Any, output: Any) -> None:
        if _is_maps(output, most):
            found.setdefault(layer, []).append(output.detach())

    with watching(network.modules(), watch):
        yield found


def _is_maps(output: Any, most: Sequence[int]) -> bool:
    """Tells maps with more than one place and at most that size."""
    if not isinstance(output, Tensor) or output.ndim != 4:
        return False
    return output.shape[2:].numel() > 1 and all(
        side <= limit for side, limit in zip(output.shape[2:], most, strict=True)
    )
