"""Damage by image formats: JPEG, and the loss of colours."""

from collections.abc import Sequence
from io import BytesIO

from PIL import Image

from gan_lab.data.damage.draws import Damaged, Draws, Range, check_choices, check_range
from gan_lab.data.reading.pixels import from_image, to_image
from gan_lab.data.types import UInt8Array

SUBSAMPLING = {"4:4:4": 0, "4:2:2": 1, "4:2:0": 2}
"""Pillow's numbers of the ways to store colours at less than full size."""


class Jpeg:
    """Writes an image as JPEG, and reads it again (satisfies ``Damage``).

    Args:
        quality: 1 to 95, as in Pillow and libjpeg; two numbers are bounds of a random one.
        subsampling: of the colours, one of these at random: "4:4:4", "4:2:2", "4:2:0".

    Raises:
        UserError: for other values.
    """

    factor, masks = 1, False

    def __init__(self, quality: Range = (10, 60), subsampling: Sequence[str] = ("4:2:0", "4:4:4")) -> None:
        check_range("quality", quality, 1, 95)
        check_choices("subsampling", subsampling, SUBSAMPLING)
        self.quality, self.subsampling = quality, list(subsampling)

    def __call__(self, pixels: UInt8Array, draws: Draws) -> Damaged:
        """Returns the image as it is read from the file, uint8 (C, H, W), given one with 1 or 3 channels."""
        quality, which = draws.integer(self.quality), draws.choice([1.0] * len(self.subsampling))
        stream = BytesIO()
        colours = {"subsampling": SUBSAMPLING[self.subsampling[which]]} if len(pixels) == 3 else {}
        to_image(pixels).save(stream, "JPEG", quality=quality, **colours)
        return Damaged(from_image(Image.open(stream)))


class Grey:
    """Takes the colours away, and keeps three equal channels (satisfies ``Damage``)."""

    factor, masks = 1, False

    def __call__(self, pixels: UInt8Array, draws: Draws) -> Damaged:
        """Returns the grey image (3, H, W), given one in colour (3, H, W)."""
        return Damaged(from_image(to_image(pixels).convert("L")).repeat(len(pixels), axis=0))
