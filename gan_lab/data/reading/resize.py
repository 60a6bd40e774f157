"""The fixed part of a set's transform: size, channels and how an image is brought to them."""

from dataclasses import dataclass

from PIL import Image, ImageOps

from gan_lab.common.errors import UserError
from gan_lab.data.reading.pixels import from_image
from gan_lab.data.types import UInt8Array

MODES = {1: "L", 3: "RGB"}
"""Pillow modes by the number of channels."""

MULTIPLE = 4
"""Sides of whole images of varying size are multiples of it, as in pix2pix and CycleGAN."""

MAX_PROPORTION = 40
"""Longest side in shortest sides of an image that is resized with its proportions."""

MAX_PIXELS = 1 << 26
"""Pixels above which no image is enlarged."""

WORDS = {
    "cover": "to cover the size, then center crop",
    "stretch": "ignoring the aspect ratio",
    "width": "to the width",
    "shortside": "to the shorter side",
    "keep": "only where the size requires it",
}
"""Descriptions of the resize modes."""


@dataclass(frozen=True)
class ResizeSpec:
    """Size and channels of images before random crops and flips.

    Args:
        size: (H, W) of the part that a data module yields; None yields whole images, of the size that the mode gives.
        target_size: (H, W) that images are resized to; larger than ``size`` if random crops need a margin.
        channels: 1 (grey) or 3 (RGB), to which other images are converted; 2 for label maps with numbers of objects.
        resize_mode: "cover" resizes until the target is covered and crops the center, "stretch" ignores the aspect
            ratio, "width" and "shortside" keep it and bring that side to the target's, "keep" leaves the size alone.
        label_map: pixels are class ids, which are resized by nearest neighbour and never blended.
        half: "left" or "right" reads that half of each image alone.
        shortcut: the decoder may reduce a large JPEG to no less than twice the target size, which is several times
            faster but leaves images a little softer or sharper than the same pixels in another format.
    """

    size: tuple[int, int] | None
    target_size: tuple[int, int]
    channels: int
    resize_mode: str = "cover"
    label_map: bool = False
    half: str | None = None
    shortcut: bool = True

    @property
    def fixed_size(self) -> bool:
        """True if all images get one size, whatever size they are stored in."""
        return self.resize_mode in ("cover", "stretch")

    def resized(self, height: int, width: int) -> tuple[int, int]:
        """Returns the (H, W) that an image of this size gets: multiples of 4, or at least ``size`` if it is cropped.

        Raises:
            ValueError: for extreme proportions, and for an image that would be enlarged to too many pixels.
        """
        if self.fixed_size:
            return self.target_size
        if max(height, width) > MAX_PROPORTION * min(height, width):
            raise ValueError(f"{width}×{height} px, one side more than {MAX_PROPORTION} times the other")
        found = self._in_proportion(height, width)
        if found[0] * found[1] > max(MAX_PIXELS, height * width):
            raise ValueError(f"{width}×{height} px would become {found[1]}×{found[0]}, too many pixels")
        return found

    def _in_proportion(self, height: int, width: int) -> tuple[int, int]:
        factor = {
            "width": self.target_size[1] / width,
            "shortside": min(self.target_size) / min(height, width),
            "keep": 1.0,
        }[self.resize_mode]
        if self.size is None:
            rows, columns = (MULTIPLE * round(side * factor / MULTIPLE) for side in (height, width))
            return max(MULTIPLE, rows), max(MULTIPLE, columns)
        factor = max(factor, self.size[0] / height, self.size[1] / width)
        return max(self.size[0], round(height * factor)), max(self.size[1], round(width * factor))

    def apply(self, image: Image.Image) -> UInt8Array:
        """Resizes and converts an 8-bit opaque image, or class ids in mode L.

        Images are resized by antialiased bicubic interpolation, class ids by nearest neighbour.

        Returns:
            Pixels uint8 (C, H, W).

        Raises:
            UserError: unless there are 1 or 3 channels.
            ValueError: for a size that ``resized`` refuses.
        """
        if self.channels not in MODES:
            raise UserError(f"data.channels={self.channels} is not valid: images are grey (1) or RGB (3).")
        mode = MODES[self.channels]
        image = image if image.mode == "L" else image.convert(mode)  # one channel is resized in a third of the time
        height, width = self.resized(image.height, image.width)
        method = Image.Resampling.NEAREST if self.label_map else Image.Resampling.BICUBIC
        resize = ImageOps.fit if self.resize_mode == "cover" else Image.Image.resize
        return from_image(resize(image, (width, height), method).convert(mode))

    def center_crop(self, pixels: UInt8Array) -> UInt8Array:
        """Returns the central ``size`` of pixels (..., H, W) as a view; all of them if there is no size."""
        if self.size is None:
            return pixels
        (height, width), (whole_height, whole_width) = self.size, pixels.shape[-2:]
        top, left = (whole_height - height) // 2, (whole_width - width) // 2
        return pixels[..., top : top + height, left : left + width]

    @property
    def method(self) -> str:
        """The interpolation and the resize mode, in words."""
        return f"{'nearest neighbour' if self.label_map else 'antialiased bicubic'} {WORDS[self.resize_mode]}"

    @property
    def goal(self) -> str:
        """The resulting size, in words."""
        height, width = self.target_size
        named = {"keep": "the stored size", "width": f"width {width}", "shortside": f"{min(self.target_size)} px"}
        whole = named.get(self.resize_mode, f"{width}×{height}")
        if self.size is None or (self.fixed_size and self.size == self.target_size):
            return f"to {whole}"
        return f"to {self.size[1]}×{self.size[0]}, random crop from {whole}"
