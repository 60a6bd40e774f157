"""Two folders of pictures that are to be compared as they are."""

from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import torch
from torch import Tensor

from gan_lab.common.errors import UserError
from gan_lab.data.loading.cache import Ragged, render
from gan_lab.data.loading.splits import Side, sides, tell
from gan_lab.data.reading.files import Entry, Files, listing, open_entry
from gan_lab.data.reading.images import open_image
from gan_lab.data.reading.pictures import Frame


class Numbered(Side):
    """Pictures of one size that can be had by their numbers; of files, pixels lie in a map of the disk."""

    def part(self, start: int, n: int) -> Tensor:
        """Pictures start … start + n - 1, uint8 (n, C, H, W)."""
        rendered = self.rendered("train")
        pixels = rendered.pixels
        assert not isinstance(pixels, Ragged)
        return torch.from_numpy(np.array(rendered.frame.centre(pixels[start : start + n])))


def folder_pictures(real: str, fake: str, size: int | Sequence[int] | None = None) -> tuple[Numbered, Numbered]:
    """All pictures of two folders or zips at one size, which leaves those alone that have it.

    Args:
        size: a side in pixels, or [H, W]; None takes the first real picture's.

    Raises:
        UserError: for a size that is none, folders without pictures, and where more than 1 % of them cannot be read.
    """
    asked = _shape(size)
    entries = {name: listing(Path(path).expanduser(), name) for name, path in (("real", real), ("fake", fake))}
    first = [_first(each) for each in entries.values()]
    shape = asked or first[0][0]
    frame = Frame(shape, shape, 1 if all(mode in ("1", "L") for _, mode in first) else 3)
    return _side("real", entries["real"], frame), _side("fake", entries["fake"], frame)


def _shape(size: int | Sequence[int] | None) -> tuple[int, int] | None:
    try:
        return None if size is None else sides(size)
    except UserError:  # its sentence names a key of data sets
        raise UserError(f"size={size} does not serve: give a side in pixels from 1 up, or [height, width].") from None


def _first(entries: Sequence[Entry]) -> tuple[tuple[int, int], str]:
    """What is seen of the first picture that can be read; how many cannot is judged where all are."""
    for entry in entries:
        with suppress(OSError, ValueError):
            return _seen(entry)
    raise UserError(f"{entries[0].name} cannot be read, nor any other picture beside it: give a folder of pictures.")


def _seen(entry: Entry) -> tuple[tuple[int, int], str]:
    """The size (H, W) of a picture, upright, and its PIL mode."""
    with ExitStack() as stack:
        zips = {entry.file: stack.enter_context(ZipFile(entry.file))} if entry.member else {}
        with open_entry(zips, entry) as file:
            opened = open_image(file)
            return (opened.image.height, opened.image.width), opened.mode


def _side(name: str, entries: Sequence[Entry], frame: Frame) -> Numbered:
    rendered = render(Files(entries), frame)
    tell(name, rendered)
    height, width = frame.box
    return Numbered(name, lambda _: rendered, frame.channels, (height, width), {})
