"""Two folders of pictures that are to be compared as they are."""

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from zipfile import ZipFile

from PIL import Image, ImageOps

from gan_lab.data.cache import render
from gan_lab.data.files import Entry, Files, listing, open_entry
from gan_lab.data.pictures import Frame
from gan_lab.data.sides import Side, sides, tell
from gan_lab.types import UserError


def folder_pictures(real: str, fake: str, size: int | Sequence[int] | None = None) -> tuple[Side, Side]:
    """All pictures of two folders or zips at one size, which leaves those alone that have it.

    Args:
        size: a side in pixels, or [H, W]; None takes the first real picture's.

    Raises:
        UserError: for folders without pictures, and where more than 1 % of them cannot be read.
    """
    entries = {name: listing(Path(path).expanduser(), name) for name, path in (("real", real), ("fake", fake))}
    first = [_seen(each[0]) for each in entries.values()]
    shape = sides(size) if size is not None else first[0][0]
    frame = Frame(shape, shape, 1 if all(mode in ("1", "L") for _, mode in first) else 3)
    return _side("real", entries["real"], frame), _side("fake", entries["fake"], frame)


def _seen(entry: Entry) -> tuple[tuple[int, int], str]:
    """The size (H, W) of a picture, upright, and its PIL mode."""
    with ExitStack() as opened:
        zips = {entry.file: opened.enter_context(ZipFile(entry.file))} if entry.member else {}
        try:
            with open_entry(zips, entry) as file, Image.open(file) as image:
                upright = ImageOps.exif_transpose(image)
                return (upright.height, upright.width), image.mode
        except (OSError, ValueError) as error:
            raise UserError(f"{entry.name} cannot be read ({error}): give size=…, or take it away.") from error


def _side(name: str, entries: Sequence[Entry], frame: Frame) -> Side:
    rendered = render(Files(entries), frame)
    tell(name, rendered)
    height, width = frame.box
    return Side(name, lambda _: rendered, frame.channels, (height, width), {})
