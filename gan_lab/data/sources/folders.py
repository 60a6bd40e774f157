"""Two folders, zips or .npz files of images that are compared with each other."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

import numpy as np
import torch
from lightning.pytorch.utilities import rank_zero_info
from torch import Tensor

from gan_lab.common.errors import UserError
from gan_lab.data.checks import parse_size
from gan_lab.data.loading.cache import cache_folder, render
from gan_lab.data.loading.rendered import Ragged
from gan_lab.data.loading.splits import SplitView, log_summary
from gan_lab.data.reading.files import ImageFiles
from gan_lab.data.reading.formats import Formats, formats_of
from gan_lab.data.reading.image_sets import ImageSet
from gan_lab.data.reading.listing import list_images
from gan_lab.data.reading.npz import NpzImages
from gan_lab.data.reading.resize import ResizeSpec


class IndexedView(SplitView):
    """Images of one size with access by number, memory-mapped from a cache on disk."""

    def part(self, start: int, n: int) -> Tensor:
        """Returns images start … start + n - 1, uint8 (n, C, H, W)."""
        rendered = self.rendered("train")
        pixels = rendered.pixels
        assert not isinstance(pixels, Ragged)
        return torch.from_numpy(np.array(rendered.spec.center_crop(pixels[start : start + n])))


def compared_folders(real: str, fake: str, size: int | Sequence[int] | None = None) -> tuple[IndexedView, IndexedView]:
    """Reads all images of two folders, zips or .npz files at one size, in one way.

    Images that have the size keep their pixels.

    They are compared in grey if all of both folders are grey, else in colour. JPEGs are decoded at full size, because
    the decoder's own reduction would make them differ from the same pixels in another format.

    Args:
        real, fake: paths of the folders; a name that ends in .npz is a file of ``NpzImages``.
        size: a side in pixels, or [H, W]; None takes the most frequent size of the real images.

    Raises:
        UserError: for an invalid size, for folders or files without images, and if more than 1 % of them cannot be
            read.
    """
    shape = None if size is None else parse_size(size, "size")
    sets = {name: _images(Path(path).expanduser(), name) for name, path in (("real", real), ("fake", fake))}
    formats = {name: _formats(images) for name, images in sets.items()}
    both = formats["real"] + formats["fake"]
    spec = ResizeSpec(
        shape or formats["real"].usual_size, shape or formats["real"].usual_size, both.channels, shortcut=False
    )
    rank_zero_info(_decision(spec.target_size, formats, shape is None))
    return _view("real", sets["real"], spec), _view("fake", sets["fake"], spec)


def _images(path: Path, key: str) -> ImageFiles | NpzImages:
    if path.suffix.lower() == ".npz" and not path.is_dir():
        return NpzImages(path)
    return ImageFiles(list_images(path, key))


def _formats(images: ImageFiles | NpzImages) -> Formats:
    """The formats of the readable images; whether too many are unreadable is checked when all are read."""
    if isinstance(images, NpzImages):
        return images.formats()
    if found := formats_of(images, cache_folder()):
        return found
    raise UserError(
        f"{images.entries[0].name} cannot be read, and no other image in its folder: give a folder of images."
    )


def _decision(size: tuple[int, int], formats: Mapping[str, Formats], chosen: bool) -> str:
    """Says at which size and in which colours the images are compared, and why if they differ."""
    real, both = formats["real"], formats["real"] + formats["fake"]
    count = real.sizes[size]
    most = f", the most frequent size of the real images ({count:,} of {len(real):,})" if count < len(real) else ""
    mixed = (
        f", because {len(both) - both.grey:,} of {len(both):,} images are" if both.grey and both.channels == 3 else ""
    )
    colours = "grey" if both.channels == 1 else "colour"
    return f"Compared at {size[1]}×{size[0]}{most if chosen else ''}, in {colours}{mixed}."


def _view(name: str, images: ImageFiles | NpzImages, spec: ResizeSpec) -> IndexedView:
    rendered = render(cast(ImageSet, images), spec)
    log_summary(name, rendered)
    return IndexedView(name, lambda _: rendered, spec.channels, spec.target_size, {})
