"""An interval counted in images: it means the same at any batch size and on any number of devices."""

from typing import Any

State = dict[str, Any]
"""A callback's state in a checkpoint: plain containers, which ``torch.load(weights_only=True)`` accepts."""


class ImageInterval:
    """Comes due each time another ``images`` images have been seen.

    Args:
        images: length of the interval; an interval of 0 or less never comes due.
    """

    def __init__(self, images: int) -> None:
        self.images = images
        self.last = 0

    def due(self, images_seen: int) -> bool:
        """Returns True if a multiple of the interval lies between the count of the last True and ``images_seen``."""
        if self.images <= 0 or images_seen // self.images <= self.last // self.images:
            return False
        self.last = images_seen
        return True

    def state_dict(self) -> dict[str, int]:
        return {"last": self.last}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.last = state["last"]
