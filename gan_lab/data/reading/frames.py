"""Files that hold several frames, read one frame at a time: animations, videos and arrays."""

from collections.abc import Callable, Iterator
from itertools import repeat
from pathlib import Path

import numpy as np
from PIL import Image

from gan_lab.common.errors import UserError
from gan_lab.data.reading.exif import upright
from gan_lab.data.reading.image_sets import DecodedImage
from gan_lab.data.reading.images import plain_colours, reason
from gan_lab.data.reading.resize import ResizeSpec
from gan_lab.data.reading.stated_colours import profile_of
from gan_lab.data.reading.timing import CUT_SHORT, MAX_REPEATS, frame_counts
from gan_lab.data.reading.videos import VIDEOS, read_video
from gan_lab.data.types import UInt8Array

ANIMATIONS = (".apng", ".gif", ".png", ".webp")
ARRAYS = (".npy", ".npz")

READER = 3
"""Version of the computation from a file of frames to frames, a part of the key of cached frames.

Version 2 repeats frames that stay longer, and shows videos as players do; version 3 converts colours that files state
without a profile.
"""

GIF_TICK, GIF_SHORTEST = 10, 20
"""Milliseconds to which GIF files, and what is made of them, round durations; and the shortest that browsers keep."""


def unreadable(path: Path, why: str) -> UserError:
    """Returns the error for a file that cannot be read."""
    return UserError(f"{path} cannot be read ({why}): repair or remove it.")


def _decoded(pixels: UInt8Array, image: Image.Image, *notes: str) -> DecodedImage:
    return DecodedImage(pixels, image.width, image.height, image.mode, notes)


def _read_animation(path: Path, spec: ResizeSpec) -> Iterator[DecodedImage]:
    """Yields frames at a constant rate: programs store frames that are equal as one that stays longer."""
    frames, durations, colours = [], [], None
    with Image.open(path) as image:
        first = int(bool(image.info.get("default_image")))  # a PNG's image for programs that show no animations
        for number in range(first, getattr(image, "n_frames", 1)):
            image.seek(number)
            image.load()
            if colours is None:
                with path.open("rb") as file:  # the other one is read in order
                    colours = profile_of(image, file)
            plain, note, _ = plain_colours(upright(image), *colours)
            frames.append(_decoded(spec.apply(plain), image, *filter(None, [note])))
            durations.append(float(image.info.get("duration", 0)))
    counts = frame_counts(durations, tolerance=GIF_TICK, shortest=GIF_SHORTEST)
    for frame, count in zip(frames, counts.tolist(), strict=True):
        cut_short = (CUT_SHORT,) if count == MAX_REPEATS else ()
        yield from repeat(frame._replace(notes=(*frame.notes, *cut_short)), count)


def _read_frames_of_array(path: Path, spec: ResizeSpec) -> Iterator[DecodedImage]:
    frames = read_array(path, "frames")
    if frames.dtype != np.uint8 or frames.ndim not in (3, 4) or not (frames.ndim == 3 or _channel_axis(frames)):
        raise UserError(
            f"{path} has {frames.dtype} of shape {frames.shape}: give uint8 of shape (T, H, W), (T, H, W, 3) or "
            "(T, 3, H, W)."
        )
    if 0 in frames.shape[1:]:
        raise UserError(f"{path} has frames without pixels, of shape {frames.shape}: give another file.")
    if frames.ndim == 4:
        frames = np.moveaxis(frames, _channel_axis(frames), 3)
    for pixels in frames:
        image = Image.fromarray(np.ascontiguousarray(pixels if pixels.shape[2:] != (1,) else pixels[..., 0]))
        yield _decoded(spec.apply(image), image)


def _channel_axis(frames: UInt8Array) -> int:
    """The axis of the channels among four, 0 if there is none."""
    return next((axis for number in (3, 1) for axis in (3, 1) if frames.shape[axis] == number), 0)


def read_array(path: Path, key: str) -> UInt8Array:
    """Reads the array of an .npy, memory-mapped, or of an .npz: the one of that key, or the only one.

    The type of its values is not checked.

    Raises:
        UserError: if the file is missing or cannot be read, or an .npz has several arrays and none of that key.
    """
    if not path.exists():
        raise UserError(f"{path} does not exist: give an .npy or .npz file.")
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
        raise UserError(f"{path} has several arrays and none is called {key}: give that name to one.") from error
    except Exception as problem:  # decoders raise many kinds of exceptions for damaged archives
        why = reason(problem)
        raise unreadable(path, "no array of numbers" if "pickle" in why else why) from problem


READERS: dict[str, Callable[[Path, ResizeSpec], Iterator[DecodedImage]]] = {
    **dict.fromkeys(ANIMATIONS, _read_animation),
    **dict.fromkeys(VIDEOS, read_video),
    **dict.fromkeys(ARRAYS, _read_frames_of_array),
}
"""Functions that read the frames of a file, by its suffix."""
