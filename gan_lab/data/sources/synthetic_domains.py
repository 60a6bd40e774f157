"""Drawings of animals as one set and as two domains, which need no download."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from lightning.pytorch.utilities import rank_zero_only
from PIL import Image

from gan_lab.common.errors import UserError
from gan_lab.common.progress import track
from gan_lab.data.checks import check_counts
from gan_lab.data.reading.image_sets import DecodedImage, ImageSet
from gan_lab.data.reading.resize import ResizeSpec
from gan_lab.data.reading.threads import map_in_threads
from gan_lab.data.sources.animals import VERSION, draw
from gan_lab.data.types import Int64Array


@dataclass
class AnimalImages:
    """Drawings of animals, made at the size of the spec (satisfies ``ImageSet``).

    Args:
        numbers: of the drawings, int64 (N,).
        content: "plain" or "striped" animals, or the "labels" of either.
        seed: of all drawings.
    """

    numbers: Int64Array
    content: str
    seed: int = 0
    labels: Int64Array | None = None
    classes: int = 0
    cacheable: bool = True

    def __len__(self) -> int:
        return len(self.numbers)

    def take(self, rows: Int64Array) -> "AnimalImages":
        return replace(self, numbers=self.numbers[rows])

    def content_hash(self, cache_folder: Path) -> str:
        return f"animals {VERSION} {self.content} {self.seed} {self.numbers.tolist()}"

    def describe_transform(self, spec: ResizeSpec) -> str:
        return f"drawn, {self.content}"

    def render(self, spec: ResizeSpec) -> Iterator[DecodedImage]:
        """Yields every drawing, in order.

        Raises:
            UserError: if label maps are expected and these are images, or the reverse.
        """
        if spec.label_map != (self.content == "labels"):
            found, expected = ("images", "label maps") if spec.label_map else ("label maps", "images")
            raise UserError(
                f"These drawings of animals are {found}, not {expected}: keep data.domains as the data configuration "
                "states it."
            )
        drawings = map_in_threads(partial(self._draw, spec), self.numbers.tolist())
        return track(drawings, "Drawing animals", len(self), show=getattr(rank_zero_only, "rank", 0) == 0)

    def _draw(self, spec: ResizeSpec, number: int) -> DecodedImage:
        height, width = spec.resized(*spec.target_size)
        pixels, classes = draw(self.seed, number, self.content == "striped", height, width)
        if spec.label_map:
            return DecodedImage(classes, width, height, "L")
        if spec.channels == 1:
            pixels = np.asarray(Image.fromarray(pixels.transpose(1, 2, 0)).convert("L"))[None]
        return DecodedImage(pixels, width, height, "RGB")


class SyntheticAnimals:
    """Drawings of animals as one set (satisfies ``ImageSource``) or as two domains (satisfies ``TwoDomainSource``).

    Args:
        count, test_count: images of the splits, in each domain.
        contents: ``AnimalImages.content`` of the two domains; a single set has the first.
        paired: both domains show the same scenes; otherwise they have no scene in common.
        seed: of all drawings.

    Raises:
        UserError: unless each split has at least one image.
    """

    def __init__(
        self,
        count: int,
        test_count: int,
        contents: Sequence[str] = ("plain", "striped"),
        paired: bool = True,
        seed: int = 0,
    ) -> None:
        check_counts(count=count, test_count=test_count)
        self.count, self.test_count, self.contents = count, test_count, contents
        self.paired, self.seed = paired, seed

    def splits(self) -> dict[str, ImageSet]:
        return self._splits(self.contents[0], 0)

    def domain_splits(self) -> dict[str, dict[str, ImageSet]]:
        offset = 0 if self.paired else self.count + self.test_count
        return {"a": self._splits(self.contents[0], 0), "b": self._splits(self.contents[1], offset)}

    def _splits(self, content: str, start: int) -> dict[str, ImageSet]:
        middle = start + self.count
        return {
            "train": AnimalImages(np.arange(start, middle), content, self.seed),
            "test": AnimalImages(np.arange(middle, middle + self.test_count), content, self.seed),
        }
