"""Maps of activations too large to be held at once, kept by rows in memory or on disk."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

Make = Callable[[int, int, int], "Map"]
"""Channels, height and width → a map to be written."""
Crop = Callable[[int, int, int, int], Tensor]
"""Top, bottom, left and right → that part of a picture, float32 (1, C, H, W), as a network sees it."""
Emit = Callable[[int, Tensor], None]
"""Takes rows (1, C, rows, W) of a result and the number of the first."""


class Rows(Protocol):
    """A picture or map (C, H, W) that is read by rows."""

    @property
    def channels(self) -> int: ...

    @property
    def height(self) -> int: ...

    @property
    def width(self) -> int: ...

    def read(self, start: int, stop: int) -> Tensor:
        """Rows start … stop - 1, a float32 (1, C, rows, W) that the caller may change."""


class Map(Rows, Protocol):
    """One that is also written."""

    def write(self, start: int, rows: Tensor) -> None:
        """Puts rows (1, C, rows, W), from any device, at ``start``."""

    def close(self) -> None:
        """Gives its place back."""


class InMemory:
    """A map in main memory (satisfies ``Map``)."""

    def __init__(self, channels: int, height: int, width: int) -> None:
        self.channels, self.height, self.width = channels, height, width
        self.values = torch.empty(channels, height, width)

    def read(self, start: int, stop: int) -> Tensor:
        return self.values[None, :, start:stop].clone()

    def write(self, start: int, rows: Tensor) -> None:
        self.values[:, start : start + rows.shape[2]] = rows[0].cpu()

    def close(self) -> None:
        self.values = torch.empty(0)


class OnDisk:
    """A map in a file without a name, which is gone with the process whatever ends it (satisfies ``Map``).

    Read and written, not mapped: mapped pages would count as this process's memory. All maps of a row lie together, so
    that a strip is one piece of the file.

    Args:
        folder: on the disk that has room; None takes the system's for temporary files.
    """

    def __init__(self, channels: int, height: int, width: int, folder: Path | None = None) -> None:
        self.channels, self.height, self.width = channels, height, width
        self.file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115 - closed by close
        self.row = 4 * channels * width

    def read(self, start: int, stop: int) -> Tensor:
        rows = torch.empty(stop - start, self.channels, self.width)
        rest = _bytes(rows)
        self.file.seek(start * self.row)
        while rest and (got := self.file.readinto(rest)):
            rest = rest[got:]
        return rows.transpose(0, 1)[None].contiguous()

    def write(self, start: int, rows: Tensor) -> None:
        rest = _bytes(rows[0].cpu().transpose(0, 1).contiguous())
        self.file.seek(start * self.row)
        while rest:
            rest = rest[self.file.write(rest) :]

    def close(self) -> None:
        self.file.close()


def _bytes(values: Tensor) -> memoryview:
    return values.numpy().data.cast("B")
