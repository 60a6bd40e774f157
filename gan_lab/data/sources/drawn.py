"""Drawn animals as sets and as two domains, which need no download."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from lightning.pytorch.utilities import rank_zero_only
from PIL import Image

from gan_lab.common.errors import UserError
from gan_lab.common.progress import track
from gan_lab.data.loading.splits import check_counts
from gan_lab.data.reading.pictures import Decoded, Frame, Indices, Pictures
from gan_lab.data.reading.threads import in_threads
from gan_lab.data.sources.animals import VERSION, draw


@dataclass
class Drawn:
    """Pictures of animals, drawn at the size of the frame (satisfies ``Pictures``).

    Args:
        numbers: of the pictures, int64 (N,).
        what: "plain" or "striped" animals, or the "labels" of either.
        seed: of all pictures.
    """

    numbers: Indices
    what: str
    seed: int = 0
    labels: Indices | None = None
    classes: int = 0
    costly: bool = True

    def __len__(self) -> int:
        return len(self.numbers)

    def take(self, rows: Indices) -> "Drawn":
        return replace(self, numbers=self.numbers[rows])

    def content(self, memory: Path) -> str:
        return f"animals {VERSION} {self.what} {self.seed} {self.numbers.tolist()}"

    def transform(self, frame: Frame) -> str:
        return f"{self.what}, drawn"

    def render(self, frame: Frame) -> Iterator[Decoded]:
        """Every picture, in order.

        Raises:
            UserError: if pictures are wanted as class ids, or ids as pictures.
        """
        if frame.ids != (self.what == "labels"):
            kind = "label maps" if frame.ids else "pictures"
            raise UserError(f"The {self.what} of drawn animals are no {kind}: leave data.domains as the set states it.")
        drawn = in_threads(partial(self._drawn, frame), self.numbers.tolist())
        return track(drawn, "Drawing animals", len(self), show=getattr(rank_zero_only, "rank", 0) == 0)

    def _drawn(self, frame: Frame, number: int) -> Decoded:
        height, width = frame.scaled(*frame.box)
        picture, classes = draw(self.seed, number, self.what == "striped", height, width)
        if frame.ids:
            return Decoded(classes, width, height, "L")
        if frame.channels == 1:
            picture = np.asarray(Image.fromarray(picture.transpose(1, 2, 0)).convert("L"))[None]
        return Decoded(picture, width, height, "RGB")


class Animals:
    """Drawn animals as one set (satisfies ``Source``) or as two domains (satisfies ``TwoSided``).

    Args:
        count, test_count: pictures of the splits, on each side.
        what: the two sides' ``Drawn.what``; one set has the first.
        paired: whether both sides show the same scenes; otherwise no scene is on both.
        seed: of all pictures.
    """

    def __init__(
        self,
        count: int,
        test_count: int,
        what: Sequence[str] = ("plain", "striped"),
        paired: bool = True,
        seed: int = 0,
    ) -> None:
        check_counts(count=count, test_count=test_count)
        self.count, self.test_count, self.what, self.paired, self.seed = count, test_count, what, paired, seed

    def splits(self) -> dict[str, Pictures]:
        return self._made(self.what[0], 0)

    def sides(self) -> dict[str, dict[str, Pictures]]:
        apart = 0 if self.paired else self.count + self.test_count
        return {"a": self._made(self.what[0], 0), "b": self._made(self.what[1], apart)}

    def _made(self, what: str, start: int) -> dict[str, Pictures]:
        middle = start + self.count
        return {
            "train": Drawn(np.arange(start, middle), what, self.seed),
            "test": Drawn(np.arange(middle, middle + self.test_count), what, self.seed),
        }
