"""The linear maps that a generator applies to codes first, found by watching a pass."""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from gan_lab.common.errors import UserError
from gan_lab.inference.spaces import Space


@dataclass(frozen=True)
class Reader:
    """A layer that reads codes, or a part of them, as they are.

    Args:
        layer: the layer.
        begin: number of the first of the code's numbers that it reads.
        shape: of its input for one code, such as (Z,) or (Z, 1, 1).
    """

    layer: nn.Module
    begin: int
    shape: tuple[int, ...]

    def matrix(self, size: int, device: torch.device) -> Tensor | None:
        """Returns the layer's map as a matrix (R, size) of whole codes, on the CPU; None if it is not linear."""
        width = math.prod(self.shape)
        basis = torch.eye(width, device=device).view(width, *self.shape)
        offset = self.layer(torch.zeros_like(basis[:1]))
        columns, twice = self.layer(basis) - offset, self.layer(2 * basis) - offset
        if not torch.allclose(twice, 2 * columns, rtol=1e-3, atol=1e-5):
            return None
        whole = torch.zeros(columns[0].numel(), size)
        whole[:, self.begin : self.begin + width] = columns.flatten(1).T.cpu()
        return whole


@torch.no_grad()
def first_maps(space: Space) -> Tensor:
    """Returns the rows of all linear maps that a generator applies to codes as they are, (R, Z), on the CPU.

    For styles these are the maps of all layers; for latents of most other generators, that of the first.

    Raises:
        UserError: if no layer reads the codes as they are, but a function of them.
    """
    codes = space.of_samples(1).clone()
    readers = _readers(space, codes)
    matrices = [each.matrix(codes.shape[-1], codes.device) for each in readers]
    linear = [matrix for matrix in matrices if matrix is not None]
    if not linear:
        raise UserError(f"No layer of this model reads its {space.name} directly: give method=pca, or space=w.")
    return torch.cat(linear)


def _readers(space: Space, codes: Tensor) -> list[Reader]:
    """Returns the innermost layers with an input in the memory of a code (1, Z)."""
    place, found = codes.untyped_storage().data_ptr(), dict[nn.Module, Reader]()

    def watch(layer: nn.Module, inputs: tuple[Any, ...]) -> None:
        given = inputs[0] if len(inputs) == 1 else None
        if isinstance(given, Tensor) and given.ndim > 1 and given.untyped_storage().data_ptr() == place:
            found[layer] = Reader(layer, int(given.storage_offset()) % codes.shape[-1], tuple(given.shape[1:]))

    handles = [layer.register_forward_pre_hook(watch) for layer in space.network.modules()]
    try:
        space.images(codes)
    finally:
        for handle in handles:
            handle.remove()
    return [
        reader
        for layer, reader in found.items()
        if not any(other in found for other in layer.modules() if other is not layer)
    ]
