"""Two folders of images that are compared with each other."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from gan_lab.common.errors import UserError
from gan_lab.data.checks import parse_size
from gan_lab.data.loading.cache import Ragged, render
from gan_lab.data.loading.splits import SplitView, log_summary
from gan_lab.data.reading.files import ImageFiles
from gan_lab.data.reading.images import open_image
from gan_lab.data.reading.listing import Entry, list_images, open_entry, open_zips
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
    """Reads all images of two folders or zips at one size. Images that have the size already keep their pixels.

    Args:
        real, fake: paths of the folders.
        size: a side in pixels, or [H, W]; None takes that of the first real image.

    Raises:
        UserError: for an invalid size, for folders without images, and if more than 1 % of them cannot be read.
    """
    shape = None if size is None else parse_size(size, "size")
    entries = {name: list_images(Path(path).expanduser(), name) for name, path in (("real", real), ("fake", fake))}
    first = [_first_format(each) for each in entries.values()]
    shape = shape or first[0][0]
    spec = ResizeSpec(shape, shape, 1 if all(mode in ("1", "L") for _, mode in first) else 3)
    return _view("real", entries["real"], spec), _view("fake", entries["fake"], spec)


def _first_format(entries: Sequence[Entry]) -> tuple[tuple[int, int], str]:
    """The format of the first readable image; whether too many are unreadable is checked when all are read."""
    for entry in entries:
        with suppress(OSError, ValueError):
            return _format(entry)
    raise UserError(f"{entries[0].name} cannot be read, and no other image in its folder: give a folder of images.")


def _format(entry: Entry) -> tuple[tuple[int, int], str]:
    """The upright (H, W) of an image, and its Pillow mode as stored."""
    with open_zips([entry]) as zips, open_entry(zips, entry) as file:
        opened = open_image(file)
        return (opened.image.height, opened.image.width), opened.mode


def _view(name: str, entries: Sequence[Entry], spec: ResizeSpec) -> IndexedView:
    rendered = render(ImageFiles(entries), spec)
    log_summary(name, rendered)
    return IndexedView(name, lambda _: rendered, spec.channels, spec.target_size, {})
