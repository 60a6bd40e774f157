"""Watching and changing what the layers of a network return in a pass."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

FEWEST_MAPS = 4
"""Fewer maps are taken for an image."""

Hook = Callable[[nn.Module, tuple[Any, ...], Any], Any]
"""Gets a layer, its inputs and its output; returns another output, or None to keep it."""


@contextmanager
def watching(layers: Iterable[nn.Module], hook: Hook) -> Iterator[None]:
    """Calls a function after each pass through one of the layers."""
    handles = [layer.register_forward_hook(hook) for layer in layers]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def are_maps(output: object) -> bool:
    """Tells whether a layer's output is feature maps (N, F, h, w), and no image."""
    return isinstance(output, Tensor) and output.ndim == 4 and output.shape[1] >= FEWEST_MAPS
