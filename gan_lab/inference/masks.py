"""Masks of what is to be filled in photographs: pictures, folders of pictures, transparency, and rectangles."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from gan_lab.common.errors import UserError
from gan_lab.data.reading.images import LoadedImage, open_image
from gan_lab.data.reading.listing import Entry, list_images

Rectangle = tuple[int, int, int, int]
"""Left, top, right and bottom in pixels; the last column and row are not part of it."""

Mask = Callable[[Entry, LoadedImage], Tensor]
"""Returns the known pixels of a photograph, uint8 (1, H, W): 0 where they are to be filled."""

HALF = 128
"""Values of a mask from which on pixels are to be filled, and opacities below which they are."""


def mask_of(spec: str | Path) -> Mask:
    """Returns the masks that a user states.

    Args:
        spec: "alpha" fills what is transparent; "left,top,right,bottom" a rectangle in pixels, several joined by "+"; a
            path of a picture fills where it is white, in every photograph, and one of a folder or zip where the picture
            of the same name is white.

    Raises:
        UserError: for a path that leads to no picture, and for numbers that are no rectangles.
    """
    if spec == "alpha":
        return lambda _, photo: from_alpha(photo)
    if re.fullmatch(r"[\d +-]*,[\d, +-]*", str(spec)):
        boxes = [rectangle(part) for part in str(spec).split("+")]
        return lambda _, photo: from_rectangles(boxes, *photo.pixels.shape[1:])
    return from_files(Path(spec).expanduser())


def rectangle(text: str) -> Rectangle:
    """Returns the rectangle that four numbers state.

    Raises:
        UserError: for other numbers.
    """
    try:
        left, top, right, bottom = map(int, text.split(","))
    except ValueError:
        left = top = right = bottom = -1
    if not (0 <= left < right and 0 <= top < bottom):
        raise UserError(f"mask={text} is not valid: give left,top,right,bottom in pixels, such as mask=40,60,120,140.")
    return left, top, right, bottom


def from_alpha(photo: LoadedImage) -> Tensor:
    """Returns the known pixels (1, H, W) of a photograph: those that are mostly opaque.

    Raises:
        ValueError: if it has no transparency.
    """
    if photo.alpha is None:
        raise ValueError("it has no transparency that could be the mask")
    return torch.from_numpy((np.asarray(photo.alpha) >= HALF).astype(np.uint8))[None]


def from_rectangles(boxes: Sequence[Rectangle], height: int, width: int) -> Tensor:
    """Returns the known pixels (1, H, W): those outside all rectangles.

    Raises:
        ValueError: for a rectangle that lies outside the image.
    """
    known = torch.ones(1, height, width, dtype=torch.uint8)
    for left, top, right, bottom in boxes:
        if left >= width or top >= height:
            raise ValueError(f"the mask {left},{top},{right},{bottom} lies outside its {width}×{height} px")
        known[:, top:bottom, left:right] = 0
    return known


def from_files(path: Path) -> Mask:
    """Returns masks in a picture, or in pictures of a folder or zip, which are matched by name without ending.

    Raises:
        UserError: if the path leads to no picture.
    """
    if path.is_file() and path.suffix.lower() != ".zip":
        known = _read(path)
        return lambda _, photo: _fitting(known, photo)
    by_name = {Path(entry.name).with_suffix("").as_posix(): entry for entry in list_images(path, "mask")}

    def found(entry: Entry, photo: LoadedImage) -> Tensor:
        name = Path(entry.name).with_suffix("").as_posix()
        if name not in by_name:
            raise ValueError(f"{path} has no mask of its name")
        return _fitting(_read(by_name[name].file), photo)

    return found


def _read(path: Path) -> Tensor:
    try:
        with path.open("rb") as file:
            image: Image.Image = open_image(file).image.convert("L")
    except Exception as problem:  # decoders raise many kinds of exceptions for damaged files
        raise UserError(
            f"mask={path} cannot be read as an image: give one that is white where pixels are to be filled."
        ) from problem
    return torch.from_numpy((np.asarray(image) < HALF).astype(np.uint8))[None]


def _fitting(known: Tensor, photo: LoadedImage) -> Tensor:
    if known.shape[1:] != photo.pixels.shape[1:]:
        sizes = [f"{each.shape[2]}×{each.shape[1]}" for each in (known, photo.pixels)]
        raise ValueError(f"its mask has {sizes[0]} px, and it has {sizes[1]}")
    return known
