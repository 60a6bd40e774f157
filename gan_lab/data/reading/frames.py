"""Files that hold frames: animations, videos and arrays, read frame by frame."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gan_lab.common.errors import UserError
from gan_lab.data.reading.exif import upright
from gan_lab.data.reading.images import plain_colours, reason
from gan_lab.data.reading.pictures import Bytes, Decoded, Frame

ANIMATIONS = (".apng", ".gif", ".png", ".webp")
VIDEOS = (".avi", ".mkv", ".mov", ".mp4", ".webm")
ARRAYS = (".npy", ".npz")


def unreadable(path: Path, why: str) -> UserError:
    return UserError(f"{path} cannot be read ({why}): mend it, or take it away.")


def _decoded(pixels: Bytes, image: Image.Image, *notes: str) -> Decoded:
    return Decoded(pixels, image.width, image.height, image.mode, notes)


def _animation(path: Path, frame: Frame) -> Iterator[Decoded]:
    with Image.open(path) as image:
        for number in range(getattr(image, "n_frames", 1)):
            image.seek(number)
            image.load()
            plain, note = plain_colours(upright(image))
            yield _decoded(frame.fit(plain), image, *filter(None, [note]))


def _video(path: Path, frame: Frame) -> Iterator[Decoded]:
    with pyav().open(str(path)) as container:
        for stream in container.streams.video[:1]:
            stream.thread_type = "AUTO"
            for picture in container.decode(stream):
                # a telephone held upright films lying down, and says so
                image = picture.to_image().rotate(picture.rotation, expand=True)
                yield _decoded(frame.fit(image), image)


def pyav() -> Any:
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
        yield _decoded(frame.fit(image), image)


def _channels(frames: NDArray[Any]) -> int:
    """The axis of four that has the channels, 0 if there is none."""
    return next((axis for number in (3, 1) for axis in (3, 1) if frames.shape[axis] == number), 0)


def read_array(path: Path, key: str) -> NDArray[Any]:
    """The array in an .npy, which stays on the disk, or in an .npz: the one of that key, or the only one.

    Raises:
        UserError: if it is not there or cannot be read, or an .npz has several and none of that key.
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
        raise UserError(f"{path} has several arrays and none is called {key}: name one so.") from error
    except Exception as problem:  # a damaged archive raises whatever its decoder happens to
        told = reason(problem)
        raise unreadable(path, "no array of numbers" if "pickle" in told else told) from problem


READERS: dict[str, Callable[[Path, Frame], Iterator[Decoded]]] = {
    **dict.fromkeys(ANIMATIONS, _animation),
    **dict.fromkeys(VIDEOS, _video),
    **dict.fromkeys(ARRAYS, _array),
}
