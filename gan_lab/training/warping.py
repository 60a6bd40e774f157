"""Moves of images by matrices, twice differentiable, with wavelet filters against aliasing."""

from collections.abc import Sequence
from functools import cache, partial

import torch
import torch.nn.functional as F
from torch import Tensor

from gan_lab.training import wavelets

BORDER = 6
"""Pixels by which images are continued, so that filters reach no edge."""
STEPS = ((wavelets.doubling, BORDER), (wavelets.halving,))


def warped(images: Tensor, matrices: Tensor) -> Tensor:
    """Returns images (N, C, H, W) moved by matrices (N, 3, 3), at twice the resolution in between.

    Images go on beyond their edges as their own mirror images.
    """
    n, _, height, width = images.shape
    place = partial(wavelets.placed, device=images.device, dtype=images.dtype)
    up, down = ([place(make, side, *more) for side in (height, width)] for make, *more in STEPS)
    halves = torch.tensor([width, height]) / 2
    back = torch.linalg.inv(matrices)[:, :2]
    corners = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0])] * 2) * (halves + wavelets.BEFORE / 2)
    reach = (corners @ back[:, :, :2].mT + back[:, None, :, 2]).abs().amax((0, 1))
    points = place(_points, height, width) @ back.mT.to(
        images, non_blocking=True
    )  # (N, H' · W', 2), pixels from the centre
    if (reach > halves - 0.5 + BORDER - 1).any():
        points = folded(points, halves.to(images, non_blocking=True) - 0.5)
    grid = (points - wavelets.LEAD / 2) / (halves.to(images, non_blocking=True) + BORDER)
    doubled = bilinear(up[0] @ images @ up[1].T, grid.view(n, down[0].shape[1], down[1].shape[1], 2))
    return down[0] @ doubled @ down[1].T


def folded(points: Tensor, edges: Tensor) -> Tensor:
    """Mirrors points (…, 2) at -edges and edges, (2,), until they lie in between.

    Points less than ``BORDER`` - 1 pixels beyond an edge stay, because images are continued so far.
    """
    edges = edges.clamp(min=0.25)
    turns = (points - edges) / (4 * edges)
    inside = ((turns - turns.floor()) * (4 * edges) - 2 * edges).abs() - edges
    return torch.where(points.abs() <= edges + BORDER - 1, points, inside)


def scaling(x: Tensor, y: Tensor) -> Tensor:
    """Returns matrices (N, 3, 3) that scale points (x, y, 1) by x and y, both (N,)."""
    return torch.diag_embed(torch.stack([x, y, torch.ones_like(x)], 1))


def rotation(angle: Tensor) -> Tensor:
    """Returns matrices (N, 3, 3) that rotate points (x, y, 1) by angles (N,), in radians."""
    zero, one = torch.zeros_like(angle), torch.ones_like(angle)
    rows = [angle.cos(), -angle.sin(), zero, angle.sin(), angle.cos(), zero, zero, zero, one]
    return torch.stack(rows, 1).view(-1, 3, 3)


def translation(shift: Tensor) -> Tensor:
    """Returns matrices (N, 3, 3) that shift points (x, y, 1) by vectors (N, 2)."""
    matrices = torch.eye(3).repeat(len(shift), 1, 1)
    matrices[:, :2, 2] = shift
    return matrices


def bilinear(images: Tensor, grid: Tensor) -> Tensor:
    """Returns images (N, C, H, W) at points (N, H', W', 2) in [-1, 1], between which they are linear; twice
    differentiable.
    """
    if _twice_differentiable(images.device):
        return F.grid_sample(images, grid, align_corners=False)
    return gathered(images, grid)


def gathered(images: Tensor, grid: Tensor) -> Tensor:
    """Does what ``bilinear`` does, from operations that torch can differentiate any number of times."""
    n, channels, height, width = images.shape
    sides = grid.new_tensor([width, height])
    points = ((grid + 1) * sides - 1) / 2
    first = points.floor()
    result = images.new_zeros(n, channels, *grid.shape[1:3])
    for x in (0, 1):
        for y in (0, 1):
            pixel = first + grid.new_tensor([x, y])
            weight = (1 - (points - pixel).abs()).prod(3) * ((pixel >= 0) & (pixel < sides)).all(3)
            index = (pixel[..., 1].clamp(0, height - 1) * width + pixel[..., 0].clamp(0, width - 1)).long()
            picked = images.flatten(2).gather(2, index.flatten(1)[:, None].expand(-1, channels, -1))
            result = result + picked.view_as(result) * weight[:, None]
    return result


@cache
def _twice_differentiable(device: torch.device) -> bool:
    """Says whether torch has the second derivative of its sampling on the device."""
    image = torch.ones(1, 1, 2, 2, device=device, requires_grad=True)
    try:
        with torch.enable_grad():
            sampled = F.grid_sample(image, torch.zeros(1, 1, 1, 2, device=device), align_corners=False)
            (slope,) = torch.autograd.grad(sampled.square().sum(), image, create_graph=True)
            torch.autograd.grad(slope.sum(), image)
    except RuntimeError:
        return False
    return True


def _points(height: int, width: int) -> Tensor:
    """Returns the points (x, y, 1), (H' · W', 3), that ``wavelets.halving`` needs, in pixels from the centre."""
    y, x = (
        (torch.arange(2 * (side + wavelets.BEFORE)) - wavelets.BEFORE + 0.5 + wavelets.LEAD - side) / 2
        for side in (height, width)
    )
    return torch.stack([x.expand(len(y), -1), y[:, None].expand(-1, len(x)), torch.ones(len(y), len(x))], 2).flatten(
        0, 1
    )


def in_order(matrices: Sequence[Tensor]) -> Tensor:
    """Returns the product of matrices (N, k, k) of which the first is applied first."""
    result = matrices[0]
    for matrix in matrices[1:]:
        result = matrix @ result
    return result
