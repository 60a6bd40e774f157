"""Cadence counted in images, so that it means the same at any batch size and on any number of devices."""


class Every:
    """True once whenever another ``images`` pictures have been seen.

    Args:
        images: the interval in images; 0 or less means never.
    """

    def __init__(self, images: int) -> None:
        self.images = images
        self.last = 0

    def due(self, images_seen: int) -> bool:
        """Whether a multiple of the interval lies in (the count when last true, images_seen]."""
        if self.images <= 0 or images_seen // self.images <= self.last // self.images:
            return False
        self.last = images_seen
        return True

    def state_dict(self) -> dict[str, int]:
        return {"last": self.last}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.last = state["last"]
