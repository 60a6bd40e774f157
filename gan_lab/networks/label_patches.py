"""Two 3×3 convolutions of a label map, computed once for each patch of 5×5 pixels that occurs in it.

Within an object all patches are alike: at 128×96 px a seventh of CamVid's are different, at 256 px a twentieth. So on a
CPU a table of what the convolutions make of each patch, and a look at it for each pixel, replace most of the work.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx, once_differentiable

FEWEST = 2048
"""Pixels of a batch from which on patches are looked for: smaller maps are quick, and have few alike."""
SHARE = 0.4
"""Largest share of patches that differ for which a table pays."""


@dataclass(frozen=True)
class Patches:
    """The patches of label maps (N, C, H, W).

    Args:
        size: N, H, W.
        rows: the pixels of each patch of 3×3 that occurs, (A, 9 C), row by row; the last may be of none.
        inner: for each patch of 5×5 that occurs, the numbers of the nine patches of 3×3 in it, int64 (B, 9); A for one
            around a pixel outside of the map. The last may be of none.
        numbers: the number of the patch of 5×5 around each pixel, int64 (N · H · W,).
    """

    size: tuple[int, int, int]
    rows: Tensor
    inner: Tensor
    numbers: Tensor

    def convolved(self, first: nn.Conv2d, second: nn.Conv2d) -> Tensor:
        """Returns ``second(relu(first(labels)))``, within rounding, (N, O, H, W) in channels_last."""
        hidden = F.relu(F.linear(self.rows, _matrix(first), first.bias))
        hidden = torch.cat([hidden, hidden.new_zeros(1, hidden.shape[1])])  # a convolution pads with zeros
        windows = _taken(hidden, self.inner.flatten()).view(len(self.inner), -1)
        table = F.linear(windows, _matrix(second), second.bias)
        images, height, width = self.size
        return _taken(table, self.numbers).view(images, height, width, -1).permute(0, 3, 1, 2)


@torch.no_grad()
def find_patches(labels: Tensor, codes: Tensor) -> Patches | None:
    """Returns the patches of label maps (N, C, H, W) on a CPU; None where a table would not pay.

    Args:
        labels: see above.
        codes: of their pixels, (N, H, W); see ``pixel_codes``.
    """
    images, height, width = codes.shape
    if codes.numel() < FEWEST:
        return None
    large, numbers = _distinct(codes, 2)
    if len(large) > SHARE * codes.numel():
        return None
    small, inner = _distinct(codes, 1)
    pixels = F.pad(labels.permute(0, 2, 3, 1), (0, 0, 1, 1, 1, 1)).flatten(0, 2)
    rows = _rounded(pixels[_neighbours(small, height, width)].flatten(1))
    outside = F.pad(inner.view(images, height, width), (1, 1, 1, 1), value=len(rows)).flatten()
    return Patches((images, height, width), rows, _rounded(outside[_neighbours(large, height, width)]), numbers)


def _rounded(table: Tensor) -> Tensor:
    """Returns a table (K, C) with zeros at its end, so that few numbers of rows occur: one in eight of K at most.

    In bf16 a CPU keeps a program of its own for each shape, about a megabyte, of a thousand shapes at most.
    """
    step = 1 << max(len(table).bit_length() - 4, 0)
    return F.pad(table, (0, 0, 0, -len(table) % step))


def pixel_codes(labels: Tensor) -> Tensor | None:
    """Returns a number for each pixel of label maps (N, C, H, W), float64 (N, H, W): equal pixels have equal numbers.

    Unequal ones have, but for a chance of one in 10¹⁵, others. None on other devices than a CPU, which would wait for
    the number of patches, and while a network is compiled or exported.
    """
    if labels.device.type != "cpu" or torch.compiler.is_compiling() or torch.jit.is_tracing():  # type: ignore[no-untyped-call]
        return None
    return labels.detach().permute(0, 2, 3, 1).double() @ _random(labels.shape[1])


def _random(count: int) -> Tensor:
    """Returns fixed numbers between 1 and 2."""
    return 1 + torch.rand(count, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def _distinct(codes: Tensor, radius: int) -> tuple[Tensor, Tensor]:
    """Returns the place of one patch of each kind, int64 (K,), and the kind of the patch around each pixel, int64 (P,).

    Args:
        codes: (N, H, W).
        radius: pixels of a patch on each side of its middle.
    """
    side, (_, height, width) = 2 * radius + 1, codes.shape
    padded, sums = F.pad(codes, (radius,) * 4, value=-1.0), torch.zeros_like(codes)  # -1: outside of the map
    for number, weight in enumerate(_random(side * side).tolist()):
        top, left = divmod(number, side)
        sums.add_(padded[:, top : top + height, left : left + width], alpha=weight)
    kinds, numbers = torch.unique(sums.flatten(), return_inverse=True)
    places = torch.empty(len(kinds), dtype=torch.int64).scatter_(0, numbers, torch.arange(len(numbers)))
    return places, numbers


def _neighbours(places: Tensor, height: int, width: int) -> Tensor:
    """Returns the places (K, 9) of the 3×3 pixels around places (K,) of maps, counted with a border of one pixel."""
    image, row, column = places // (height * width), places // width % height, places % width
    corner = (image * (height + 2) + row) * (width + 2) + column
    steps = torch.tensor([down * (width + 2) + right for down in range(3) for right in range(3)])
    return corner[:, None] + steps


def _matrix(layer: nn.Conv2d) -> Tensor:
    """Returns the weights of a 3×3 convolution (O, I, 3, 3) as those of a linear layer, (O, 9 I)."""
    return layer.weight.permute(0, 2, 3, 1).flatten(1)


def _taken(table: Tensor, numbers: Tensor) -> Tensor:
    """Returns rows (P, C) of a table (K, C); gradients add up in float32."""
    taken: Tensor = _Taken.apply(table, numbers)
    return taken


class _Taken(torch.autograd.Function):
    @staticmethod
    def forward(ctx: FunctionCtx, table: Tensor, numbers: Tensor) -> Tensor:
        ctx.save_for_backward(numbers)
        ctx.rows = len(table)  # type: ignore[attr-defined]
        return table.index_select(0, numbers)

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: FunctionCtx, gradient: Tensor) -> tuple[Tensor, None]:
        (numbers,) = ctx.saved_tensors  # type: ignore[attr-defined]
        sums = gradient.new_zeros(ctx.rows, gradient.shape[1], dtype=torch.float32)  # type: ignore[attr-defined]
        return sums.index_add_(0, numbers, gradient.float()).to(gradient.dtype), None
