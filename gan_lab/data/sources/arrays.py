"""Pictures that are arrays already: the bundled digits and random tensors."""

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from gan_lab.data.reading.pictures import Bytes, Decoded, Frame, Indices, Pictures, Source


@dataclass
class Arrays:
    """Pictures (N, C, H, W) of one size (satisfies ``Pictures``).

    Args:
        images: uint8 (N, C, H, W).
        labels: int64 (N,), or None.
        classes: their number, 0 without labels.
        padding: where black borders of so many pixels make the wanted size, they do instead of scaling.
    """

    images: Bytes
    labels: Indices | None = None
    classes: int = 0
    padding: int = 0
    costly: bool = False

    def __len__(self) -> int:
        return len(self.images)

    def take(self, rows: Indices) -> "Arrays":
        labels = None if self.labels is None else self.labels[rows]
        return Arrays(self.images[rows], labels, self.classes, self.padding, self.costly)

    def content(self, memory: Path) -> str:
        head = f"{self.images.shape} {self.padding} ".encode()
        return blake2b(head + np.ascontiguousarray(self.images).tobytes(), digest_size=16).hexdigest()

    def transform(self, frame: Frame) -> str:
        border = self.padding
        if self._fits(frame):
            return "pixels as they are"
        return f"{border} black pixels at each side" if self._fits(frame, border) else frame.method

    def _fits(self, frame: Frame, border: int = 0) -> bool:
        """Whether the pixels make the frame as they are, or with a border."""
        channels, height, width = self.images.shape[1:]
        size = height + 2 * border, width + 2 * border
        return channels == frame.channels and frame.scaled(*size) == size

    def render(self, frame: Frame) -> Iterator[Decoded]:
        """All pictures: as they are, padded, or scaled, whichever comes first."""
        border, whole, padded = self.padding, self._fits(frame), self._fits(frame, self.padding)
        channels, height, width = self.images.shape[1:]
        for image in self.images:
            if whole:
                pixels = image
            elif padded:
                pixels = np.zeros((channels, height + 2 * border, width + 2 * border), np.uint8)
                pixels[:, border:-border, border:-border] = image
            else:
                pixels = frame.fit(_image(image))
            yield Decoded(pixels, width, height, _mode(channels))


def _mode(channels: int) -> str:
    return {1: "L", 3: "RGB"}.get(channels, f"{channels} channels")


def _image(pixels: Bytes) -> Image.Image:
    return Image.fromarray(pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0))


class Digits:
    """1,797 handwritten digits of 8 × 8 pixels that come with scikit-learn (satisfies ``Source``).

    Source: Alpaydin & Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning Repository, 1998.
    """

    def splits(self) -> dict[str, Pictures]:
        from sklearn.datasets import load_digits  # here, for it takes seconds to import

        digits = load_digits()
        images = np.rint(digits.images * (255 / 16)).astype(np.uint8)[:, None]
        return {"all": Arrays(images, digits.target.astype(np.int64), 10)}


class Stacked:
    """Pictures of grey ones, three at a time as channels, chosen by chance (satisfies ``Source``).

    Args:
        source: of grey arrays of one size, with train and test.
        count: of the training split; the test split has a tenth of it.
        seed: of the choice.
    """

    def __init__(self, source: Source, count: int, seed: int) -> None:
        self.source, self.count, self.seed = source, count, seed

    def splits(self) -> dict[str, Pictures]:
        counts = {"train": self.count, "test": max(1, self.count // 10)}
        return {split: self._stacked(own, counts[split]) for split, own in self.source.splits().items()}

    def _stacked(self, own: Any, count: int) -> Arrays:
        rows = np.random.default_rng(self.seed).integers(0, len(own), (count, 3))
        return Arrays(own.images[rows, 0], padding=own.padding)


class Fake:
    """Random pixels, for tests (satisfies ``Source``).

    Args:
        count: pictures of the training split; the test split has half as many.
        channels, size: their shape; ``size`` is (H, W).
        classes: labels 0, 1, …, classes - 1, 0, … unless 0.
    """

    def __init__(self, count: int, channels: int, size: tuple[int, int], classes: int = 0) -> None:
        self.count, self.shape, self.classes = count, (channels, *size), classes

    def splits(self) -> dict[str, Pictures]:
        return {"train": self._made(self.count, 0), "test": self._made(max(1, self.count // 2), 1)}

    def _made(self, count: int, seed: int) -> Arrays:
        images = np.random.default_rng(seed).integers(0, 256, (count, *self.shape), np.uint8)
        return Arrays(images, np.arange(count) % self.classes if self.classes else None, self.classes)
