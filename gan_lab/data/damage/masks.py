"""Unknown pixels: strokes, boxes and borders, drawn at random (after Suvorov et al. 2022, "LaMa", supplement)."""

from collections.abc import Mapping
from typing import Protocol

import numpy as np
from PIL import Image, ImageDraw

from gan_lab.common.errors import UserError
from gan_lab.data.damage.draws import Damaged, Draws, Range, check_range
from gan_lab.data.types import UInt8Array

GREY = 127
"""Value of unknown pixels."""


class Shape(Protocol):
    """Draws which pixels are unknown."""

    def __call__(self, height: int, width: int, draws: Draws) -> UInt8Array:
        """Returns the unknown pixels, uint8 (H, W): 1 where they are."""


class Strokes:
    """Broken lines of random directions.

    Args:
        width: of a line, in shares of the shorter side.
        length: of each straight part, in shares of the shorter side.
        count: lines.
        parts: straight parts of a line.
    """

    def __init__(
        self, width: Range = (0.04, 0.12), length: Range = (0.1, 0.4), count: Range = (1, 5), parts: Range = (2, 8)
    ) -> None:
        check_range("width", width, 0, 1)
        check_range("length", length, 0, 2)
        check_range("count", count, 1, 100)
        check_range("parts", parts, 1, 100)
        self.width, self.length, self.count, self.parts = width, length, count, parts

    def __call__(self, height: int, width: int, draws: Draws) -> UInt8Array:
        """Returns the unknown pixels, uint8 (H, W): 1 where they are."""
        image = Image.new("L", (width, height))
        pen, side = ImageDraw.Draw(image), min(height, width)
        for _ in range(draws.integer(self.count)):
            thick = max(1, round(draws.within(self.width) * side))
            x, y = draws.within((0, width - 1)), draws.within((0, height - 1))
            angle = draws.within((0, 2 * np.pi))
            for _ in range(draws.integer(self.parts)):
                angle += draws.within((-2.0, 2.0))
                step = draws.within(self.length) * side
                to_x = float(np.clip(x + step * np.cos(angle), 0, width - 1))
                to_y = float(np.clip(y + step * np.sin(angle), 0, height - 1))
                pen.line([x, y, to_x, to_y], fill=1, width=thick)
                pen.ellipse([to_x - thick / 2, to_y - thick / 2, to_x + thick / 2, to_y + thick / 2], fill=1)
                x, y = to_x, to_y
        return np.asarray(image).copy()


class Boxes:
    """Rectangles.

    Args:
        side: of a rectangle, in shares of the image's side.
        count: rectangles.
    """

    def __init__(self, side: Range = (0.15, 0.4), count: Range = (1, 4)) -> None:
        check_range("side", side, 0, 1)
        check_range("count", count, 1, 100)
        self.side, self.count = side, count

    def __call__(self, height: int, width: int, draws: Draws) -> UInt8Array:
        """Returns the unknown pixels, uint8 (H, W): 1 where they are."""
        unknown = np.zeros((height, width), np.uint8)
        for _ in range(draws.integer(self.count)):
            unknown[window(height, width, self.side, draws)] = 1
        return unknown


class Border:
    """Everything outside a window: outpainting.

    Args:
        known: the window's sides, in shares of the image's.
    """

    def __init__(self, known: Range = (0.5, 0.8)) -> None:
        check_range("known", known, 0, 1)
        self.known = known

    def __call__(self, height: int, width: int, draws: Draws) -> UInt8Array:
        """Returns the unknown pixels, uint8 (H, W): 1 where they are."""
        unknown = np.ones((height, width), np.uint8)
        unknown[window(height, width, self.known, draws)] = 0
        return unknown


class Unknown:
    """Makes pixels unknown, and grey (satisfies ``Damage``). At least one pixel stays known.

    Args:
        shapes: by name, functions of height, width and draws that return the unknown pixels; None removes one.
        weights: by the same names, how often each is drawn; equally often by default.

    Raises:
        UserError: without a shape, or for weights of other names.
    """

    factor, masks = 1, True

    def __init__(self, shapes: Mapping[str, Shape | None], weights: Mapping[str, float] | None = None) -> None:
        self.shapes = {name: shape for name, shape in shapes.items() if shape is not None}
        given = dict.fromkeys(shapes, 1.0) if weights is None else dict(weights)
        if not self.shapes or given.keys() - shapes.keys() or self.shapes.keys() - given.keys():
            raise UserError(f"weights={list(given)} is not valid for the shapes {list(self.shapes)}: name each.")
        self.weights = {name: given[name] for name in self.shapes}

    def __call__(self, pixels: UInt8Array, draws: Draws) -> Damaged:
        """Returns the image (C, H, W) with grey in place of unknown pixels, and which are known, (1, H, W)."""
        name = list(self.shapes)[draws.choice([self.weights[name] for name in self.shapes])]
        unknown = self.shapes[name](pixels.shape[1], pixels.shape[2], draws)
        if unknown.all():
            unknown[0, 0] = 0
        return Damaged(np.where(unknown, np.uint8(GREY), pixels), 1 - unknown[None])


def window(height: int, width: int, share: Range, draws: Draws) -> tuple[slice, slice]:
    """Returns the rows and columns of a random rectangle, each side a random share of the image's."""
    rows, columns = (max(1, round(draws.within(share) * side)) for side in (height, width))
    top, left = draws.integer((0, height - rows)), draws.integer((0, width - columns))
    return slice(top, top + rows), slice(left, left + columns)
