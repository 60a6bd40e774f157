"""Recordings: folders of frames, animations, videos and arrays; which there are at a path, decoded frame by frame.

Shapes are written with T frames, C channels, H height, W width.
"""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, cast

from PIL import Image

from gan_lab.common.errors import UserError
from gan_lab.data.loading.cache import Rendered, render
from gan_lab.data.reading.files import ENDINGS, TESTS, Entry, Files, walked
from gan_lab.data.reading.frames import ANIMATIONS, ARRAYS, READERS, VIDEOS, pyav, unreadable
from gan_lab.data.reading.images import reason
from gan_lab.data.reading.pictures import Bytes, Damaged, Decoded, Frame, Indices, Pictures

ACCEPTED = f"a folder of frames, or a file that ends in {', '.join((*ANIMATIONS, *VIDEOS, *ARRAYS))}"


@dataclass
class Recording:
    """One recording. Frames count once each, however long a file wants them shown.

    It is to ``gan_lab.data.loading.cache.render`` what ``Pictures`` are, a frame a picture.

    Args:
        path: a folder, or the file that holds all frames.
        name: what it is called in messages.
        stills: the pictures that are its frames, in their order; empty where the file holds them.
        most: frames that are read at most; None reads all.
    """

    path: Path
    name: str
    stills: Sequence[Path] = ()
    most: int | None = None
    labels: Indices | None = None
    costly: bool = True

    def __len__(self) -> int:
        """Its files, for frames are only counted when they are decoded."""
        return len(self.stills) or 1

    @property
    def _files(self) -> Files:
        return Files([Entry((file.name,), file) for file in self.stills or (self.path,)])

    def content(self, memory: Path) -> str:
        """A hash of names and bytes, and of a video's decoder."""
        decoder = f" PyAV {pyav().__version__}" if self.path.suffix.lower() in VIDEOS and not self.stills else ""
        return self._files.content(memory) + decoder

    def transform(self, frame: Frame) -> str:
        return frame.method

    def render(self, frame: Frame) -> Iterator[Decoded]:
        """Every frame, in order; of a video there is one in memory at a time.

        Raises:
            UserError: if there are none, if they differ in size, and if one cannot be read.
        """
        first: Decoded | None = None
        for number, found in enumerate(islice(self._decoded(frame), self.most), 1):
            first = first or found
            if (found.width, found.height) != (first.width, first.height):
                raise UserError(
                    f"Frame {number} of {self.path} is {found.width}×{found.height} and the first is "
                    f"{first.width}×{first.height}: "
                    "give frames of one size."
                )
            yield found
        if first is None:
            raise UserError(f"{self.path} has no frames in it: give another recording, or take it away.")

    def _decoded(self, frame: Frame) -> Iterator[Decoded]:
        try:
            if self.stills:
                yield from self._pictures(frame)
            else:
                yield from READERS[self.path.suffix.lower()](self.path, frame)
        except UserError:
            raise
        except Exception as problem:  # a damaged file raises whatever its decoder happens to
            raise unreadable(self.path, reason(problem)) from problem

    def _pictures(self, frame: Frame) -> Iterator[Decoded]:
        for file, found in zip(self.stills, self._files.render(frame), strict=True):
            if isinstance(found, Damaged):  # without it, time would jump
                raise unreadable(file, found.reason)
            yield found


def read_recording(path: Path, frame: Frame, most: int | None = None) -> Bytes:
    """The frames of one recording, uint8 (T, C, H, W), scaled as the frame says; all, or so many at most.

    Raises:
        UserError: if there is nothing, or no recording, or one that cannot be read.
    """
    return cast(Bytes, decoded(replace(recording(path), most=most), frame, "memory").pixels)


def decoded(found: Recording, frame: Frame, cache: str = "auto", folder: str | None = None) -> Rendered:
    """The frames of a recording, decoded now or kept from before; see ``gan_lab.data.loading.cache.render``."""
    return render(cast(Pictures, found), frame, cache, folder)  # rows of a recording are never taken


def recording(path: Path) -> Recording:
    """The one recording at a path: a folder's own pictures, or a file.

    Raises:
        UserError: if there is nothing, or nothing that could be a recording.
    """
    _check_exists(path, f"{path}")
    if path.is_file():
        return _in_file(path, path.name)
    _, _, names = next(os.walk(path))
    for found in _in_folder(path, names, path.name):
        if found.stills:
            return found
    raise UserError(f"{path} has no frames in it: give {ACCEPTED}.")


def recordings(root: Path, key: str = "data.root") -> dict[str, list[Recording]]:
    """The recordings below a path, in the natural order of their names: ``{"train": …, "test": …}`` where it has such
    subfolders (for "test" also ``val``, ``valid`` or ``validation``), else ``{"all": …}``.

    The path may be one recording. In a folder each animation, video and array is one, and so are all still pictures
    together; the same holds for its subfolders, at any depth. Other files are ignored, and so is whatever begins with a
    dot or ``__``.

    Args:
        root: the path.
        key: what the user calls it.

    Raises:
        UserError: if there is nothing, or no recording.
    """
    _check_exists(root, f"{key}={root}")
    folders = {path.name.lower(): path for path in root.iterdir() if path.is_dir()} if root.is_dir() else {}
    test = next((name for name in TESTS if name in folders), None)
    if "train" in folders and test:
        return {"train": _below(folders["train"], key), "test": _below(folders[test], key)}
    return {"all": _below(root, key)}


def _check_exists(path: Path, stated: str) -> None:
    if not path.exists():
        raise UserError(f"{stated} does not exist: give {ACCEPTED}.")


def _below(root: Path, key: str) -> list[Recording]:
    if root.is_file():
        return [_in_file(root, root.name)]
    found: list[Recording] = []
    for folder, names in walked(root):
        parts = folder.relative_to(root).parts
        if not any(_hidden(part) for part in parts):
            found += _in_folder(folder, names, "/".join(parts))
    if not found:
        raise UserError(f"{key}={root} has no recordings in it: give {ACCEPTED}.")
    return sorted(found, key=lambda each: natural(each.name))


def _in_folder(folder: Path, names: Sequence[str], name: str) -> Iterator[Recording]:
    """Each file that holds frames, and all still pictures together."""
    files = [folder / file for file in sorted(names, key=natural) if not _hidden(file)]
    holders = [file for file in files if _holds_frames(file)]
    stills = [file for file in files if file.suffix.lower() in ENDINGS and file not in set(holders)]
    if stills:
        yield Recording(folder, name or folder.name, stills)
    yield from (Recording(file, f"{name}/{file.name}".lstrip("/")) for file in holders)


def _in_file(file: Path, name: str) -> Recording:
    if _holds_frames(file):
        return Recording(file, name)
    if file.suffix.lower() in ENDINGS:
        return Recording(file, name, [file])
    raise UserError(f"{file} is no recording: give {ACCEPTED}.")


def _holds_frames(file: Path) -> bool:
    ending = file.suffix.lower()
    return _animated(file) if ending in ENDINGS else ending in READERS


def _animated(file: Path) -> bool:
    if file.suffix.lower() not in ANIMATIONS:
        return False
    try:
        with Image.open(file) as image:
            return bool(getattr(image, "is_animated", False))
    except Exception:  # what is damaged is a picture until it is decoded, which says why it cannot be
        return False


def _hidden(name: str) -> bool:
    return name.startswith((".", "__"))


def natural(name: str) -> tuple[list[Any], str]:
    """What to sort names by, numbers as numbers: frame2 before frame10."""
    parts = re.split(r"(\d+)", name)
    return [int(part) if place % 2 else part for place, part in enumerate(parts)], name
