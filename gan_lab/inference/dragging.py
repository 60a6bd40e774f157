"""Dragging: moves points of a generated image to where they are wanted (Pan et al. 2023, "Drag Your GAN")."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan_lab.common.bounds import NonNegative, PositiveFloat, PositiveInt
from gan_lab.common.errors import UserError
from gan_lab.common.gradients import gradients, learning
from gan_lab.inference.spaces import Space
from gan_lab.inference.watching import are_maps, watching

NEAR = 1.0
"""Distance from its target, in pixels, at which a handle has arrived."""


@dataclass(frozen=True)
class Dragged:
    """A dragged image.

    Args:
        codes: (1, …).
        image: (1, C, H, W) in [-1, 1].
        paths: the handles (row, column) after each step, the given ones first, (T, K, 2).
        left: distance of each handle from its target in pixels, (K,).
    """

    codes: Tensor
    image: Tensor
    paths: Tensor
    left: Tensor


def drag(
    space: Space,
    codes: Tensor,
    handles: Tensor,
    targets: Tensor,
    movable: Tensor | None = None,
    steps: PositiveInt = 200,
    rate: PositiveFloat = 2e-3,
    radius: PositiveInt = 3,
    search: PositiveInt = 12,
    reduction: PositiveInt = 4,
    layers: PositiveInt | None = None,
    kept: NonNegative = 20.0,
    noise: list[Tensor] | None = None,
) -> Dragged:
    """Changes a code so that handles, points of its image, move to their targets.

    In turns, a step of Adam moves the features around each handle one pixel towards its target (motion supervision, eq.
    1), and the handle is found again as the nearest features in its neighbourhood (point tracking, eq. 2).

    Args:
        space: of the code; a style for each layer moves most freely.
        codes: (1, …).
        handles, targets: rows and columns in pixels, (K, 2).
        movable: 1 where the image may change, (1, 1, H, W); None for everywhere.
        steps: at most.
        rate: learning rate of Adam.
        radius: of the neighbourhood in which features move, in pixels.
        search: of the square in which a handle is looked for, in pixels to each side.
        reduction: sides of the image in sides of the features.
        layers: number of layers, from the first, with styles that change, of a style for each layer; None for all.
        kept: weight of the change of features where nothing may move.
        noise: of the layers, (1, 1, h, w) each; None for the constant noise.

    Raises:
        UserError: for points outside of the image, for layers of a code without them, and for a generator without
            features of that size.
    """
    check_points(space, handles, targets, reduction, layers)
    start = codes.detach().clone()
    change = torch.zeros_like(start).requires_grad_()
    optimizer = torch.optim.Adam([change], rate)
    handles, targets = handles.float(), targets.float()
    paths = [handles]
    with gradients(), learning(space.network, False):
        image, first = features(space, start, reduction, noise)
        first = first.detach()
        scale = torch.tensor(first.shape[2:]) / torch.tensor(image.shape[2:])
        wanted = sampled(first, handles[:, None], scale)
        still = None if movable is None else 1 - F.interpolate(movable.to(first), first.shape[2:], mode="area")
        for _ in range(steps):
            ways = targets - handles
            distances = ways.norm(dim=1, keepdim=True)
            if bool((distances <= NEAR).all()):
                break
            _, maps = features(space, start + change, reduction, noise)
            loss = _motion(maps, handles, ways / distances.clamp(min=NEAR), radius, scale)
            if still is not None:
                loss = loss + kept * ((maps - first).abs() * still).mean()
            optimizer.zero_grad()
            loss.backward()
            if layers is not None and change.grad is not None:
                change.grad[:, layers:] = 0
            optimizer.step()
            with torch.no_grad():
                _, maps = features(space, start + change, reduction, noise)
                handles = _tracked(maps, wanted, handles, search, scale, image.shape[2:])
            paths.append(handles)
    with torch.no_grad():
        final = start + change.detach()
        found = space.images(final, noise).clamp(-1, 1)
    return Dragged(final, found, torch.stack(paths), (targets - handles).norm(dim=1))


def features(space: Space, codes: Tensor, reduction: int, noise: list[Tensor] | None) -> tuple[Tensor, Tensor]:
    """Returns images (N, C, H, W), and the generator's last maps (N, F, H / reduction, W / reduction) of that size.

    Args:
        space: of the codes.
        codes: (N, …).
        reduction: sides of the images in sides of the maps.
        noise: of the layers, (N, 1, h, w) each; None for the constant noise.

    Raises:
        UserError: if there are none.
    """
    seen: dict[tuple[int, ...], Tensor] = {}

    def watch(_: nn.Module, __: tuple[Any, ...], output: Any) -> None:
        if are_maps(output):
            seen[tuple(output.shape[2:])] = output

    with watching(space.network.modules(), watch):
        images = space.images(codes, noise)
    size = tuple(side // reduction for side in images.shape[2:])
    if size not in seen:
        if not seen:
            raise UserError("This generator has no feature maps: its images cannot be dragged.")
        sizes = ", ".join(f"{height}×{width}" for height, width in sorted(seen))
        raise UserError(f"This generator has no maps of {size[0]}×{size[1]}, but {sizes}: give another reduction=.")
    return images, seen[size]


def sampled(maps: Tensor, points: Tensor, scale: Tensor) -> Tensor:
    """Returns the features (K, R, F) at points of the image, between pixels bilinear.

    Args:
        maps: (1, F, h, w).
        points: rows and columns in pixels of the image, (K, R, 2).
        scale: sides of the maps in sides of the image, (2,).
    """
    sides = torch.tensor(maps.shape[2:], device=points.device)
    places = ((points + 0.5) * scale.to(points)) / sides * 2 - 1
    found = F.grid_sample(
        maps, places.flip(2)[None].to(maps), mode="bilinear", padding_mode="border", align_corners=False
    )
    return found[0].movedim(0, 2)


def _motion(maps: Tensor, handles: Tensor, ways: Tensor, radius: int, scale: Tensor) -> Tensor:
    """Returns how far the features around handles (K, 2) are from those one step (K, 2) behind them, a scalar."""
    around = handles[:, None] + _disc(radius)
    here = sampled(maps, around, scale).detach()
    return (sampled(maps, around + ways[:, None], scale) - here).abs().mean()


def _tracked(maps: Tensor, wanted: Tensor, handles: Tensor, search: int, scale: Tensor, size: Sequence[int]) -> Tensor:
    """Returns the points (K, 2) near handles with the features (K, 1, F) that are nearest to those wanted."""
    steps = torch.arange(-search, search + 1).float()
    offsets = torch.cartesian_prod(steps, steps)
    limit = torch.tensor([*size]) - 1.0
    around = torch.minimum((handles[:, None] + offsets).clamp(min=0), limit)
    best = (sampled(maps, around, scale) - wanted).abs().sum(2).argmin(1).cpu()
    return around[torch.arange(len(handles)), best]


def _disc(radius: int) -> Tensor:
    """Returns the offsets (R, 2) of pixels within a radius."""
    steps = torch.arange(-radius, radius + 1).float()
    offsets = torch.cartesian_prod(steps, steps)
    return offsets[offsets.norm(dim=1) <= radius]


@torch.no_grad()
def check_points(
    space: Space, handles: Tensor, targets: Tensor, reduction: PositiveInt = 4, layers: PositiveInt | None = None
) -> None:
    """Checks that points of a space's images can be dragged.

    Args:
        space: the space.
        handles: rows and columns in pixels, (K, 2).
        targets: of each, (K, 2).
        reduction, layers: see ``drag``.

    Raises:
        UserError: as ``drag`` does.
    """
    if layers is not None and space.name != "w+":
        raise UserError("Only a style for each layer can change in some layers: give space=w+, or leave layers out.")
    image, _ = features(space, space.of_samples(1), reduction, None)
    height, width = image.shape[2:]
    if handles.shape != targets.shape or handles.ndim != 2 or handles.shape[1] != 2:
        raise UserError("Dragging needs a target for each handle, each a row and a column.")
    both = torch.cat([handles, targets])
    if bool((both < 0).any()) or bool((both > torch.tensor([height - 1, width - 1])).any()):
        raise UserError(f"A point lies outside of the image of {height}×{width} px: give rows and columns within it.")
