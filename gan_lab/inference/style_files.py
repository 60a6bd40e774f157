"""Giving files a style."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import ClassVar
from zipfile import ZipFile

import torch
from torch import Tensor

from gan_lab.common.atomic import fitting_name
from gan_lab.common.distributed import rank_and_world_size
from gan_lab.common.domains import Domain
from gan_lab.common.errors import UserError
from gan_lab.common.images import save_png, strip, to_float
from gan_lab.common.progress import bar
from gan_lab.data.reading.images import LoadedImage, read_image
from gan_lab.data.reading.listing import Entry
from gan_lab.inference.edit_files import Edited, FilesJob, read_entry
from gan_lab.inference.file_jobs import Job
from gan_lab.inference.masks import HALF
from gan_lab.inference.stylist import Stylist, sides_of
from gan_lab.inference.tiling.pixels import resize

COLOUR = Domain(3)
SHOWN = (0.0, 0.05, 0.15, 0.35, 0.65)
"""Shares of the work after which an image is kept for the strip."""
STRIP_SIDE = 256
"""Longer side of an image of the strip."""


@dataclass
class StyleJob(FilesJob):
    """Gives one image after the other a style, and reports the outcome of each.

    Args:
        overwrite, compression: see ``FilesJob``.
        stylist: what gives the style.
        masks: where each style applies, (K, h, w); None for everywhere.
        max_pixels: larger images are left out.
        strips: also write how each image came about, as a file with its name and ``.steps.png``.
    """

    stylist: Stylist
    masks: Tensor | None
    max_pixels: int
    strips: bool = False
    shown: dict[str, list[Tensor]] = field(default_factory=dict, init=False)

    doing: ClassVar[str] = "Stylising"
    result: ClassVar[str] = "stylisation"
    done: ClassVar[str] = "stylised"
    does: ClassVar[str] = "stylises"

    def read(self, entry: Entry, zips: dict[Path, ZipFile]) -> LoadedImage:
        return read_entry(entry, zips, partial(read_image, domain=COLOUR, max_pixels=self.max_pixels))

    def edit(self, job: Job, photo: LoadedImage, number: int) -> Edited:
        self._check(photo)
        shown: list[Tensor] = []
        with bar(job.name, rank_and_world_size()[0] == 0) as move:

            def watch(share: float, image: Callable[[], Tensor]) -> None:
                move(share)
                if self.strips and len(shown) < len(SHOWN) and share >= SHOWN[len(shown)]:
                    shown.append(image())

            pixels = self.stylist(photo.pixels, self.masks, watch)
        self.shown[job.name] = [*shown, pixels]
        alpha = None if photo.alpha is None else photo.alpha.resize((pixels.shape[2], pixels.shape[1]))
        return Edited(pixels, alpha, photo.exif)

    def _check(self, photo: LoadedImage) -> None:
        """Raises ValueError if the result would take too much memory, or the masks have another shape."""
        height, width = self.stylist.sides(photo.pixels)
        if height * width > self.stylist.largest:
            side = int(self.stylist.largest**0.5)
            raise ValueError(f"{width}×{height} px take too much memory: size={side} or less works")
        if self.masks is not None:
            tall, wide = self.masks.shape[1:]
            if abs(tall * width - wide * height) > max(tall, wide, height, width):
                raise ValueError(f"its masks have {wide}×{tall} px, which is another shape than {width}×{height}")

    def after(self, job: Job, photo: LoadedImage, edited: Edited) -> list[str]:
        """Writes the strip."""
        shown = self.shown.pop(job.name)
        if self.strips:
            size = sides_of(edited.pixels[None], STRIP_SIDE)
            images = torch.stack([resize(pixels, size) for pixels in [photo.pixels, *shown]])
            name = fitting_name(f"{job.output.name}.steps.png")
            save_png(job.output.with_name(name), strip(to_float(images), scale=1))
        return []

    def seconds(self, jobs: Sequence[Job]) -> float | None:
        """Returns about how long an image takes: the first that can be read and is still to do; None without one."""
        for job in jobs:
            with ExitStack() as opened:
                zips = {job.entry.file: opened.enter_context(ZipFile(job.entry.file))} if job.entry.member else {}
                photo = self._photo(job, zips)
            if isinstance(photo, LoadedImage):
                return self.stylist.seconds(photo.pixels)
        return None


def pictures(given: str | Path, key: str) -> list[Path]:
    """Returns the paths that a user states: one, or several that are separated by commas.

    Raises:
        UserError: if one does not exist.
    """
    whole = Path(given).expanduser()
    paths = [whole] if whole.is_file() else [Path(part.strip()).expanduser() for part in str(given).split(",")]
    for path in paths:
        if not path.is_file():
            raise UserError(f"There is no picture {path}: give {key}= the path of one, or several separated by commas.")
    return paths


def read_pictures(paths: Sequence[Path], key: str, channels: int = 3) -> list[Tensor]:
    """Returns the pictures in files, uint8 (channels, H, W).

    Raises:
        UserError: if one cannot be read.
    """
    found = []
    for path in paths:
        try:
            with path.open("rb") as file:
                found.append(read_image(file, Domain(channels)).pixels)
        except Exception as problem:  # decoders raise many kinds of exceptions for damaged files
            raise UserError(f"{key}={path} cannot be read as an image: give another picture.") from problem
    return found


def style_masks(paths: Sequence[Path], styles: int) -> Tensor:
    """Returns where each style applies, uint8 (K, H, W), from pictures that are white there.

    One mask fewer than styles leaves the rest to the last style.

    Raises:
        UserError: for another number of masks, masks of several sizes, and masks without a place for a style.
    """
    masks = [(mask[0] >= HALF).byte() for mask in read_pictures(paths, "mask", 1)]
    if len(masks) not in (styles - 1, styles):
        raise UserError(
            f"There are {len(masks)} masks and {styles} style pictures: give a mask for each, or for all but the last."
        )
    if not all(mask.any() for mask in masks):
        raise UserError("A mask is black: make it white where its style is to be.")
    if len({mask.shape for mask in masks}) > 1:
        raise UserError("The masks have several sizes: give masks of one size.")
    if len(masks) < styles:
        masks.append(1 - torch.stack(masks).amax(0))
        if not masks[-1].any():
            raise UserError("The masks leave no place for the last style: give fewer styles, or masks with less white.")
    return torch.stack(masks)
