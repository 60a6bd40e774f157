"""Networks that losses and discriminators look through, and that no method trains."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn


@dataclass
class FixedNetwork:
    """A network in evaluation mode that is built when it is first called, and is no part of the model that holds it.

    Args:
        build: function that returns the network.
    """

    build: Callable[[], nn.Module]
    network: nn.Module | None = field(default=None, init=False)

    def __call__(self, *images: Tensor) -> Any:
        """Returns what the network makes of images (N, C, H, W), on their device."""
        if self.network is None:
            self.network = self.build().to(images[0].device).requires_grad_(False).eval()
        return self.network(*images)
