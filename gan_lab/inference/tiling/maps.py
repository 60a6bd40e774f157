"""Feature maps that are too large to be held at once, stored by rows in memory or on disk."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

MapFactory = Callable[[int, int, int], "Map"]
"""Creates a map to be written from channels, height and width."""
Crop = Callable[[int, int, int, int], Tensor]
"""Returns part of an image, float32 (1, C, H, W) as a network sees it, from its top, bottom, left and right."""
Emit = Callable[[int, Tensor], None]
"""Receives the number of the first row, and rows (1, C, rows, W) of a result."""


class Rows(Protocol):
    """An image or map (C, H, W) that is read by rows."""

    @property
    def channels(self) -> int: ...

    @property
    def height(self) -> int: ...

    @property
    def width(self) -> int: ...

    def read(self, start: int, stop: int) -> Tensor:
        """Returns rows start … stop - 1, a float32 (1, C, rows, W) that the caller may change."""


class Map(Rows, Protocol):
    """An image or map that is read and written by rows."""

    def write(self, start: int, rows: Tensor) -> None:
        """Writes rows (1, C, rows, W), from any device, at row ``start``."""

    def close(self) -> None:
        """Frees the storage."""


class InMemory:
    """A map in main memory (satisfies ``Map``)."""

    def __init__(self, channels: int, height: int, width: int) -> None:
        self.channels, self.height, self.width = channels, height, width
        self.values = torch.empty(channels, height, width)

    def read(self, start: int, stop: int) -> Tensor:
        return self.values[None, :, start:stop].clone()

    def write(self, start: int, rows: Tensor) -> None:
        """Writes rows (1, C, rows, W) at row ``start``."""
        self.values[:, start : start + rows.shape[2]] = rows[0].cpu()

    def close(self) -> None:
        self.values = torch.empty(0)


class OnDisk:
    """A map in an unnamed file, which disappears with the process whatever ends it (satisfies ``Map``).

    The file is read and written, not memory-mapped: mapped pages would count as this process's memory. All channels of
    a row are stored together, so that a strip is one contiguous part of the file.

    Args:
        channels: C.
        height: H.
        width: W.
        folder: folder on a disk with enough space; None takes the system's folder for temporary files.
    """

    def __init__(self, channels: int, height: int, width: int, folder: Path | None = None) -> None:
        self.channels, self.height, self.width = channels, height, width
        self.file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115 - closed by close
        self.row_bytes = 4 * channels * width

    def read(self, start: int, stop: int) -> Tensor:
        rows = torch.empty(stop - start, self.channels, self.width)
        remaining = _bytes(rows)
        self.file.seek(start * self.row_bytes)
        while remaining and (count := self.file.readinto(remaining)):
            remaining = remaining[count:]
        return rows.transpose(0, 1)[None].contiguous()

    def write(self, start: int, rows: Tensor) -> None:
        """Writes rows (1, C, rows, W) at row ``start``."""
        remaining = _bytes(rows[0].cpu().transpose(0, 1).contiguous())
        self.file.seek(start * self.row_bytes)
        while remaining:
            remaining = remaining[self.file.write(remaining) :]

    def close(self) -> None:
        self.file.close()


def _bytes(values: Tensor) -> memoryview:
    return values.numpy().data.cast("B")
