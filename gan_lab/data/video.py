"""Recordings: folders of frames, animations, videos and arrays, decoded frame by frame; and where their scenes change.

Shapes are written with T frames, C channels, H height, W width.
"""

import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from PIL import Image
from torch.nn.functional import adaptive_avg_pool2d

from gan_lab.data.cache import Rendered, render
from gan_lab.data.decoding import eight_bit, opaque
from gan_lab.data.files import ENDINGS, TESTS, Entry, Files, walked
from gan_lab.data.pictures import Bytes, Damaged, Decoded, Frame, Indices, Pictures
from gan_lab.types import UserError

ANIMATIONS = (".apng", ".gif", ".png", ".webp")
VIDEOS = (".avi", ".mkv", ".mov", ".mp4", ".webm")
ARRAYS = (".npy", ".npz")
ACCEPTED = f"a folder of frames, or a file that ends in {', '.join((*ANIMATIONS, *VIDEOS, *ARRAYS))}"

THUMB, CHUNK = 16, 256
FLOOR, FACTOR, NEAR = 12.0, 3.0, 8


@dataclass
class Recording:
    """One recording. Frames count once each, however long a file wants them shown.

    It is to ``gan_lab.data.cache.render`` what ``Pictures`` are, a frame a picture.

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
        decoder = f" PyAV {_pyav().__version__}" if self.path.suffix.lower() in VIDEOS and not self.stills else ""
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
            (width, height), (known_width, known_height) = found[1:3], first[1:3]
            if (width, height) != (known_width, known_height):
                raise UserError(
                    f"Frame {number} of {self.path} is {width}×{height} and the first is {known_width}×{known_height}: "
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
            reason = f"{problem}".splitlines()[0] if f"{problem}" else type(problem).__name__
            raise _unreadable(self.path, reason) from problem

    def _pictures(self, frame: Frame) -> Iterator[Decoded]:
        for file, found in zip(self.stills, self._files.render(frame), strict=True):
            if isinstance(found, Damaged):  # without it, time would jump
                raise _unreadable(file, found.reason)
            yield found


def _unreadable(path: Path, reason: str) -> UserError:
    return UserError(f"{path} cannot be read ({reason}): mend it, or take it away.")


def read_recording(path: Path, frame: Frame, most: int | None = None) -> Bytes:
    """The frames of one recording, uint8 (T, C, H, W), scaled as the frame says; all, or so many at most.

    Raises:
        UserError: if there is nothing, or no recording, or one that cannot be read.
    """
    return cast(Bytes, decoded(replace(recording(path), most=most), frame, "memory").pixels)


def decoded(found: Recording, frame: Frame, cache: str = "auto", folder: str | None = None) -> Rendered:
    """The frames of a recording, decoded now or kept from before; see ``gan_lab.data.cache.render``."""
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


def _seen(pixels: Bytes, image: Image.Image) -> Decoded:
    return Decoded(pixels, image.width, image.height, image.mode)


def _animation(path: Path, frame: Frame) -> Iterator[Decoded]:
    with Image.open(path) as image:
        for number in range(getattr(image, "n_frames", 1)):
            image.seek(number)
            yield _seen(frame.fit(opaque(eight_bit(image))), image)


def _video(path: Path, frame: Frame) -> Iterator[Decoded]:
    with _pyav().open(str(path)) as container:
        for stream in container.streams.video[:1]:
            stream.thread_type = "AUTO"
            for picture in container.decode(stream):
                # a telephone held upright films lying down, and says so
                image = picture.to_image().rotate(picture.rotation, expand=True)
                yield _seen(frame.fit(image), image)


def _pyav() -> Any:
    try:
        import av
    except ImportError as error:
        raise UserError(
            "Reading videos needs PyAV: run pip install gan_lab[video], or give an animation, an array or a folder of "
            "frames."
        ) from error
    return av


def _array(path: Path, frame: Frame) -> Iterator[Decoded]:
    frames = read_array(path, "frames")
    if frames.dtype != np.uint8 or frames.ndim not in (3, 4) or not (frames.ndim == 3 or _channels(frames)):
        raise UserError(
            f"{path} has {frames.dtype} of shape {frames.shape}: give uint8 of shape (T, H, W), (T, H, W, 3) or "
            "(T, 3, H, W)."
        )
    if 0 in frames.shape[1:]:
        raise UserError(f"{path} has frames without pixels, of shape {frames.shape}: give other ones.")
    if frames.ndim == 4:
        frames = np.moveaxis(frames, _channels(frames), 3)
    for picture in frames:
        image = Image.fromarray(np.ascontiguousarray(picture if picture.shape[2:] != (1,) else picture[..., 0]))
        yield _seen(frame.fit(image), image)


def _channels(frames: NDArray[Any]) -> int:
    """The axis of four that has the channels, 0 if there is none."""
    return next((axis for number in (3, 1) for axis in (3, 1) if frames.shape[axis] == number), 0)


def read_array(path: Path, key: str) -> NDArray[Any]:
    """The array in an .npy, which stays on the disk, or in an .npz: the one of that key, or the only one.

    Raises:
        UserError: if it cannot be read, or an .npz has several and none of that key.
    """
    try:
        found = np.load(path, mmap_mode="r", allow_pickle=False)
        if isinstance(found, np.ndarray):
            return found
        with found:
            if not found.files:
                raise UserError(f"{path} has no array in it: give another file.")
            name = found.files[0] if len(found.files) == 1 else key
            return np.asarray(found[name])
    except UserError:
        raise
    except KeyError as error:
        raise UserError(f"{path} has several arrays and none is called {key}: name one so.") from error
    except Exception as problem:  # a damaged archive raises whatever its decoder happens to
        raise _unreadable(path, f"{problem}".splitlines()[0] if f"{problem}" else type(problem).__name__) from problem


READERS: dict[str, Callable[[Path, Frame], Iterator[Decoded]]] = {
    **dict.fromkeys(ANIMATIONS, _animation),
    **dict.fromkeys(VIDEOS, _video),
    **dict.fromkeys(ARRAYS, _array),
}


def cuts(frames: Bytes) -> Indices:
    """The frames (T, C, H, W) with which a new scene begins, int64.

    Such a frame differs from the one before, in mean absolute grey levels of 16×16 thumbnails, by 12 of 255 at least
    and by three times the median of the differences up to eight frames away. So neither steady movement nor noise is
    taken for a cut; a fade, a cut between scenes equally dark, and one among fewer than four frames are not found, and
    a flash counts as two cuts.
    """
    if len(frames) < 2:
        return np.zeros(0, np.int64)
    changes = np.abs(np.diff(_thumbs(frames), axis=0)).mean((1, 2))
    padded = np.pad(changes, NEAR, constant_values=np.nan)
    usual = np.nanmedian(sliding_window_view(padded, 2 * NEAR + 1), 1)
    return np.flatnonzero((changes >= FLOOR) & (changes > FACTOR * usual)) + 1


def _thumbs(frames: Bytes) -> NDArray[np.float32]:
    """Grey (T, 16, 16), the mean of the channels, 0 to 255."""
    parts = [torch.from_numpy(np.array(frames[start : start + CHUNK])) for start in range(0, len(frames), CHUNK)]
    thumbs = torch.cat([adaptive_avg_pool2d(part.float(), THUMB).mean(1) for part in parts])
    return cast(NDArray[np.float32], thumbs.numpy())
