"""The images of one class of labelled data, as a set of their own."""

from collections.abc import Iterator
from hashlib import blake2b

from torch import Tensor

from gan_lab.common.capabilities import LabelledImages


class ClassView:
    """The images of one class, in their order (satisfies ``gan_lab.common.capabilities.RealImages``).

    Args:
        data: the data module.
        label: the class.
    """

    classes = 0

    def __init__(self, data: LabelledImages, label: int) -> None:
        self.data, self.label, self.name = data, label, str(data.name)
        self.channels, self.height, self.width = data.channels, data.height, data.width

    def images(self, split: str, limit: int | None = None) -> Iterator[Tensor]:
        """Yields batches uint8 (n, C, H, W) of at most ``limit`` images of the class in a fixed order."""
        left, start = self.count(split) if limit is None else limit, 0
        chosen = self.data.labels(split) == self.label
        for images in self.data.images(split):
            own = images[chosen[start : start + len(images)]][:left]
            left, start = left - len(own), start + len(images)
            if len(own):
                yield own
            if left <= 0:
                return

    def count(self, split: str) -> int:
        """Returns the number of images of the class in a split."""
        return int((self.data.labels(split) == self.label).sum())

    def fingerprint(self, split: str) -> str:
        """Returns a hash of what ``images`` yields: of the split's pixels, and of which are of the class."""
        chosen = (self.data.labels(split) == self.label).numpy().tobytes()
        return blake2b(self.data.fingerprint(split).encode() + chosen, digest_size=16).hexdigest()

    def describe(self) -> dict[str, object]:
        """Returns plain facts for an evaluation protocol."""
        return {**self.data.describe(), "class": self.label}
