"""Images that are arrays already: the bundled digits, stacked digits, and random pixels."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path
from typing import cast

import numpy as np
from PIL import Image

from gan_lab.data.reading.image_sets import DecodedImage, ImageSet, ImageSource
from gan_lab.data.reading.resize import ResizeSpec
from gan_lab.data.types import Int64Array, UInt8Array


@dataclass
class ArrayImages:
    """Images of one size in one array (satisfies ``ImageSet``).

    Args:
        images: uint8 (N, C, H, W).
        labels: int64 (N,), or None.
        classes: number of classes; 0 without labels.
        padding: width of a black border. If it brings images to the wanted size exactly, they are padded, not resized.
        class_names: names of the classes, in the order of their numbers; empty if they are not known.
    """

    images: UInt8Array
    labels: Int64Array | None = None
    classes: int = 0
    padding: int = 0
    cacheable: bool = False
    class_names: Sequence[str] = ()

    def __len__(self) -> int:
        return len(self.images)

    def take(self, rows: Int64Array) -> "ArrayImages":
        labels = None if self.labels is None else self.labels[rows]
        return replace(self, images=self.images[rows], labels=labels)

    def content_hash(self, cache_folder: Path) -> str:
        head = f"{self.images.shape} {self.padding} ".encode()
        return blake2b(head + np.ascontiguousarray(self.images).tobytes(), digest_size=16).hexdigest()

    def describe_transform(self, spec: ResizeSpec) -> str:
        border = self.padding
        if self._fits(spec):
            return "unchanged pixels"
        return f"{border} black pixels on each side" if self._fits(spec, border) else spec.method

    def _fits(self, spec: ResizeSpec, border: int = 0) -> bool:
        """Tells whether the pixels, with a border, have the channels and size of the spec already."""
        channels, height, width = self.images.shape[1:]
        size = height + 2 * border, width + 2 * border
        return channels == spec.channels and spec.resized(*size) == size

    def render(self, spec: ResizeSpec) -> Iterator[DecodedImage]:
        """Yields all images: unchanged if they fit, else padded if that makes them fit, else resized."""
        border, whole, padded = self.padding, self._fits(spec), self._fits(spec, self.padding)
        channels, height, width = self.images.shape[1:]
        for image in self.images:
            if whole:
                pixels = image
            elif padded:
                pixels = np.zeros((channels, height + 2 * border, width + 2 * border), np.uint8)
                pixels[:, border:-border, border:-border] = image
            else:
                pixels = spec.apply(_to_pil(image))
            yield DecodedImage(pixels, width, height, _mode(channels))


def _mode(channels: int) -> str:
    return {1: "L", 3: "RGB"}.get(channels, f"{channels} channels")


def _to_pil(pixels: UInt8Array) -> Image.Image:
    return Image.fromarray(pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0))


class Digits:
    """1,797 handwritten digits of 8 × 8 pixels that come with scikit-learn (satisfies ``ImageSource``).

    Source: Alpaydin & Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning Repository, 1998.
    """

    def splits(self) -> dict[str, ImageSet]:
        from sklearn.datasets import load_digits  # imported here, because it takes seconds

        digits = load_digits()
        images = np.rint(digits.images * (255 / 16)).astype(np.uint8)[:, None]
        return {"all": ArrayImages(images, digits.target.astype(np.int64), 10, class_names=tuple("0123456789"))}


class StackedImages:
    """Images with three random grey images as their channels (satisfies ``ImageSource``).

    Args:
        source: splits "train" and "test" of grey ``ArrayImages`` of one size.
        count: images of the training split; the test split has a tenth of it.
        seed: of the choice.
    """

    def __init__(self, source: ImageSource, count: int, seed: int) -> None:
        self.source, self.count, self.seed = source, count, seed

    def splits(self) -> dict[str, ImageSet]:
        counts = {"train": self.count, "test": max(1, self.count // 10)}
        return {
            split: self._stacked(cast(ArrayImages, images), counts[split])
            for split, images in self.source.splits().items()
        }

    def _stacked(self, images: ArrayImages, count: int) -> ArrayImages:
        rows = np.random.default_rng(self.seed).integers(0, len(images), (count, 3))
        return ArrayImages(images.images[rows, 0], padding=images.padding)


class FakeImages:
    """Images of random pixels, for tests (satisfies ``ImageSource``).

    Args:
        count: images of the training split; the test split has half as many.
        channels, size: their shape; ``size`` is (H, W).
        classes: labels are 0, 1, …, classes - 1, 0, …; 0 for images without labels.
    """

    def __init__(self, count: int, channels: int, size: tuple[int, int], classes: int = 0) -> None:
        self.count, self.shape, self.classes = count, (channels, *size), classes

    def splits(self) -> dict[str, ImageSet]:
        return {"train": self._images(self.count, 0), "test": self._images(max(1, self.count // 2), 1)}

    def _images(self, count: int, seed: int) -> ArrayImages:
        images = np.random.default_rng(seed).integers(0, 256, (count, *self.shape), np.uint8)
        return ArrayImages(images, np.arange(count) % self.classes if self.classes else None, self.classes)
