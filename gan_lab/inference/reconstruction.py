"""Reconstructing and completing images with a trained model."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from gan_lab.common.capabilities import Decodes, Encodes, HasPosterior, Reconstructs, Restores
from gan_lab.common.errors import UserError
from gan_lab.common.images import grid_by_label
from gan_lab.common.precision import full_precision
from gan_lab.inference.interpolation import lerp, slerp, walk

Hidden = Literal["bottom", "top", "left", "right", "center"]
GREY = 0.0
"""Stands for hidden pixels."""


@dataclass(frozen=True)
class LabelledImages:
    """Images with what a conditional model needs to know of them.

    Args:
        images: float32 (N, C, H, W) in [-1, 1].
        label: a class for all, the classes (N,), or None.
    """

    images: Tensor
    label: int | Tensor | None = None

    def first(self, n: int) -> "LabelledImages":
        """The first n images."""
        return LabelledImages(self.images[:n], self._labels(slice(n)))

    def batches(self, size: int, device: torch.device | str) -> Iterator[tuple[int, Tensor, int | Tensor | None]]:
        """Yields the number of each batch's first image, its images (m, C, H, W) on the device, and their labels."""
        for start in range(0, len(self.images), size):
            rows = slice(start, start + size)
            yield start, self.images[rows].to(device), self._labels(rows)

    def _labels(self, rows: slice) -> int | Tensor | None:
        return self.label[rows] if isinstance(self.label, Tensor) else self.label


def require_capabilities(model: object, complete: bool, walk: bool) -> None:
    """Checks that a model can reconstruct images, or complete them, and walk between their encodings.

    Raises:
        UserError: if it cannot; the sentence names the option to leave out.
    """
    lacks = None
    if not complete and not isinstance(model, Reconstructs):
        lacks = "completes images, but has no encoder to reconstruct whole ones: give hide=bottom"
    elif complete and not isinstance(model, Restores):
        lacks = "reconstructs images, but cannot complete them: leave out hide=…"
    elif walk and not (isinstance(model, Encodes) and isinstance(model, Decodes)):
        lacks = "has no encodings to walk between: leave out interpolate=…"
    if lacks:
        raise UserError(f"{type(model).__name__} {lacks}.")


@torch.no_grad()
def reconstruct_images(
    model: Reconstructs, given: LabelledImages, batch_size: int = 64, device: torch.device | str = "cpu"
) -> Tensor:
    """Returns the reconstructions (N, C, H, W) in [-1, 1], on the CPU."""
    with full_precision():
        return torch.cat(
            [model.reconstruct(image, label).cpu() for _, image, label in given.batches(batch_size, device)]
        )


@torch.no_grad()
def complete_images(
    model: Restores,
    given: LabelledImages,
    known: Tensor,
    seed: int = 0,
    batch_size: int = 64,
    device: torch.device | str = "cpu",
) -> Tensor:
    """Returns the images (N, C, H, W) in [-1, 1] with their unknown pixels filled, on the CPU.

    Args:
        known: a mask (1, H, W), 1 where pixels are known.
        seed: of the completion; the completion of image i depends on (seed, i) alone.
    """
    completed = []
    with full_precision():
        for start, images, label in given.batches(batch_size, device):
            mask = known.to(device).expand(len(images), -1, -1, -1)
            visible = torch.where(mask > 0, images, GREY)
            completed.append(model.restore(visible, mask, label, seed, start).cpu())
    return torch.cat(completed)


def known_mask(hidden: Hidden, height: int, width: int) -> Tensor:
    """Returns a mask (1, H, W), 0 in the hidden half of the image (for "center" half its height and width), else 1."""
    rows = {"bottom": slice(height // 2, None), "top": slice(height // 2), "center": _middle(height)}
    columns = {"right": slice(width // 2, None), "left": slice(width // 2), "center": _middle(width)}
    known = torch.ones(1, height, width)
    known[:, rows.get(hidden, slice(None)), columns.get(hidden, slice(None))] = 0
    return known


def _middle(length: int) -> slice:
    return slice(length // 4, length - length // 4)


@torch.no_grad()
def walk_between_encodings(
    model: Decodes, given: LabelledImages, steps: int = 12, batch_size: int = 64, device: torch.device | str = "cpu"
) -> Tensor:
    """Returns images (T, C, H, W) in [-1, 1] on a walk through the encodings of the given images, on the CPU."""
    assert isinstance(model, Encodes)
    with full_precision():
        encoded = torch.cat([model.encode(image, label) for _, image, label in given.batches(batch_size, device)])
        between = slerp if isinstance(model, HasPosterior) else lerp  # only Gaussian latents lie near a sphere
        return walk(model, encoded, steps, given.label, False, between, batch_size)


def rows_sheet(rows: Sequence[Tensor], columns: int) -> Tensor:
    """Arranges rows of the same N images, each (N, C, H, W), in blocks ``columns`` wide: uint8 (C, H', W')."""
    block = torch.arange(len(rows[0])) // columns * len(rows)
    return grid_by_label(torch.cat([*rows]), torch.cat([block + row for row in range(len(rows))]))
