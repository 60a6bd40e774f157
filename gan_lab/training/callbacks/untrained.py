"""The weights before training, kept in a file, so that showing what they make does not delay the first step."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import torch
from torch import Tensor, nn


class Untrained:
    """A module's weights and buffers as they are now, in a temporary file: memory holds them only while they are shown.

    Args:
        module: the module.
        folder: of the file, which has no name and is gone when the process ends.

    Raises:
        OSError: if the file cannot be written.
    """

    def __init__(self, module: nn.Module, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.file: IO[bytes] = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115
        torch.save([tensor.detach() for tensor in _tensors(module)], self.file)
        self.file.flush()

    @contextmanager
    def restored(self, module: nn.Module) -> Iterator[None]:
        """Gives the module these weights in the block, and its present ones back at the end, to the bit."""
        self.file.seek(0)
        kept = torch.load(self.file, map_location="cpu", weights_only=True)
        _exchange(module, kept)
        try:
            yield
        finally:
            _exchange(module, kept)

    def close(self) -> None:
        """Removes the file."""
        self.file.close()


def _tensors(module: nn.Module) -> list[Tensor]:
    return [*module.parameters(), *module.buffers()]


@torch.no_grad()
def _exchange(module: nn.Module, others: list[Tensor]) -> None:
    """Exchanges the values of a module's tensors with others, one at a time."""
    for own, other in zip(_tensors(module), others, strict=True):
        now = own.detach().cpu().clone()
        own.copy_(other)
        other.copy_(now)
