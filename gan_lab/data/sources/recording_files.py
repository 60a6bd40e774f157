"""Recordings at a path, decoded frame by frame: folders of frames, animations, videos and arrays.

Shapes are written with T frames, C channels, H height, W width.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import cast

from lightning.pytorch.utilities import rank_zero_info, rank_zero_warn
from PIL import Image

from gan_lab.common.errors import UserError
from gan_lab.data.loading.cache import render
from gan_lab.data.loading.rendered import Rendered
from gan_lab.data.reading.files import ImageFiles
from gan_lab.data.reading.frames import ANIMATIONS, ARRAYS, READER, READERS, unreadable
from gan_lab.data.reading.image_sets import DamagedImage, DecodedImage, remarks
from gan_lab.data.reading.images import reason
from gan_lab.data.reading.listing import IMAGE_SUFFIXES, Entry, natural_key, split_folders, walk_folders
from gan_lab.data.reading.passed_over import PassedOver, special_kind
from gan_lab.data.reading.resize import ResizeSpec
from gan_lab.data.reading.videos import VIDEOS, pyav
from gan_lab.data.types import Int64Array, UInt8Array

ACCEPTED = f"a folder of frames, or a file that ends in {', '.join((*ANIMATIONS, *VIDEOS, *ARRAYS))}"


@dataclass
class Recording:
    """One recording, whose frames are the images of a set (satisfies ``ImageSet``, but rows are never taken).

    Frames of a file follow each other at a constant rate: see ``gan_lab.data.reading.timing``. Images in a folder count
    once each.

    Args:
        path: a folder, or the file that holds all frames.
        name: of the recording, in messages.
        stills: images that are its frames, in order; empty if one file holds them.
        max_frames: limit of the frames that are read; None reads all.
    """

    path: Path
    name: str
    stills: Sequence[Path] = ()
    max_frames: int | None = None
    labels: Int64Array | None = None
    classes: int = 0
    cacheable: bool = True

    def __len__(self) -> int:
        """Returns the number of files, because frames are only counted when they are decoded."""
        return len(self.stills) or 1

    @property
    def _files(self) -> ImageFiles:
        return ImageFiles([Entry((file.name,), str(file)) for file in self.stills or (self.path,)])

    def take(self, rows: Int64Array) -> "Recording":
        """Refuses to select frames, because they are only known when they are decoded.

        Raises:
            TypeError: always.
        """
        raise TypeError("Frames of a recording cannot be selected before they are decoded.")

    def content_hash(self, cache_folder: Path) -> str:
        """Returns a hash of names and bytes, and, for a file of frames, the versions of its reader and decoder."""
        content = self._files.content_hash(cache_folder)
        if self.stills:
            return content
        decoder = f" PyAV {pyav().__version__}" if self.path.suffix.lower() in VIDEOS else ""
        return f"{content} frames {READER}{decoder}"

    def describe_transform(self, spec: ResizeSpec) -> str:
        return spec.method

    def render(self, spec: ResizeSpec) -> Iterator[DecodedImage]:
        """Yields every frame, in order; a video has one frame in memory at a time.

        Raises:
            UserError: if there are none, if they differ in size, or if one cannot be read.
        """
        first: DecodedImage | None = None
        for number, frame in enumerate(islice(self._decoded(spec), self.max_frames), 1):
            first = first or frame
            if (frame.width, frame.height) != (first.width, first.height):
                raise UserError(
                    f"Frame {number} of {self.path} is {frame.width}×{frame.height} and the first is "
                    f"{first.width}×{first.height}: give frames of one size."
                )
            yield frame
        if first is None:
            raise UserError(f"{self.path} has no frames in it: give another recording, or remove it.")

    def _decoded(self, spec: ResizeSpec) -> Iterator[DecodedImage]:
        try:
            if self.stills:
                yield from self._decoded_stills(spec)
            else:
                yield from READERS[self.path.suffix.lower()](self.path, spec)
        except UserError:
            raise
        except Exception as problem:  # decoders raise many kinds of exceptions for damaged files
            raise unreadable(self.path, reason(problem)) from problem

    def _decoded_stills(self, spec: ResizeSpec) -> Iterator[DecodedImage]:
        for file, image in zip(self.stills, self._files.render(spec), strict=True):
            if isinstance(image, DamagedImage):  # without it, time would jump
                raise unreadable(file, image.reason)
            yield image


def read_recording(path: Path, spec: ResizeSpec, max_frames: int | None = None) -> UInt8Array:
    """Reads the frames of one recording, uint8 (T, C, H, W), at the size of the spec; warns of what is not converted.

    Args:
        path: a folder or file.
        spec: size and channels.
        max_frames: limit of the frames that are read; None reads all.

    Raises:
        UserError: if there is nothing, or no recording, or one that cannot be read.
    """
    recording = replace(find_recording(path), max_frames=max_frames)
    rendered = decode_recording(recording, spec, "memory")
    if rendered.scan.notes:
        rank_zero_warn(f"{path}{remarks(rendered.scan.notes).replace(';', ':', 1)}.")
    return cast(UInt8Array, rendered.pixels)


def decode_recording(
    recording: Recording, spec: ResizeSpec, cache: str = "auto", folder: str | None = None
) -> Rendered:
    """Decodes the frames of a recording, or loads them from the cache; see ``gan_lab.data.loading.cache.render``.

    Raises:
        UserError: see ``Recording.render``.
    """
    return render(recording, spec, cache, folder)


def find_recording(path: Path) -> Recording:
    """Returns the one recording at a path: a folder's own images, or a file.

    Raises:
        UserError: if there is nothing, or nothing that could be a recording.
    """
    _check_exists(path, f"{path}")
    if path.is_file():
        return _in_file(path, path.name)
    _, _, names = next(os.walk(path))
    for recording in _in_folder(path, names, path.name, PassedOver()):
        if recording.stills:
            return recording
    raise UserError(f"{path} has no frames in it: give {ACCEPTED}.")


def find_recordings(root: Path, key: str = "data.root") -> dict[str, list[Recording]]:
    """Finds the recordings below a path, in the natural order of their names.

    The path may be one recording. In a folder, each animation, video and array is one, and so are all still images
    together; the same holds for its subfolders, at any depth. Other files are ignored, and so are names that begin with
    a dot or ``__``.

    Args:
        root: the path.
        key: the user's name for it.

    Returns:
        Recordings of "train" and "test" if there are such subfolders (see ``listing.split_folders``), else of "all".

    Raises:
        UserError: if there is nothing, or no recording, or two folders could be the training split.
    """
    _check_exists(root, f"{key}={root}")
    folders = [path for path in sorted(root.iterdir()) if path.is_dir()] if root.is_dir() else []
    chosen = split_folders([path.name for path in folders])
    if chosen is None:
        return {"all": _below(root, key)}
    unused = [path.name for path in folders if path.name not in chosen.values() and not _is_hidden(path.name)]
    if unused:
        rank_zero_info(f"{root}: {chosen['train']} trains, {chosen['test']} tests; not used: {', '.join(unused)}.")
    return {split: _below(root / name, key) for split, name in chosen.items()}


def _check_exists(path: Path, stated: str) -> None:
    if not path.exists():
        raise UserError(f"{stated} does not exist: give {ACCEPTED}.")
    if kind := special_kind(path):
        raise UserError(f"{stated} is {kind}: give {ACCEPTED}.")


def _below(root: Path, key: str) -> list[Recording]:
    if root.is_file():
        return [_in_file(root, root.name)]
    recordings: list[Recording] = []
    passed = PassedOver()
    for folder, names in walk_folders(root):
        parts = folder.relative_to(root).parts
        if not any(_is_hidden(part) for part in parts):
            recordings += _in_folder(folder, names, "/".join(parts), passed)
    if not recordings:
        raise UserError(f"{key}={root} has no recordings in it: give {ACCEPTED}.")
    if passed:
        rank_zero_info(f"{key}={root}: passed over {passed.text()}.")
    return sorted(recordings, key=lambda each: natural_key(each.name))


def _in_folder(folder: Path, names: Sequence[str], name: str, passed: PassedOver) -> Iterator[Recording]:
    """Yields each file that holds frames, and all still images together."""
    visible = [folder / file for file in sorted(names, key=natural_key) if not _is_hidden(file)]
    files = [file for file in visible if not passed.is_special(file, f"{name}/{file.name}".lstrip("/"))]
    for file in files:
        if file.suffix.lower() not in (*IMAGE_SUFFIXES, *READERS):
            passed.add(file, file.name)
    holders = [file for file in files if _holds_frames(file)]
    stills = [file for file in files if file.suffix.lower() in IMAGE_SUFFIXES and file not in set(holders)]
    if stills:
        yield Recording(folder, name or folder.name, stills)
    yield from (Recording(file, f"{name}/{file.name}".lstrip("/")) for file in holders)


def _in_file(file: Path, name: str) -> Recording:
    if _holds_frames(file):
        return Recording(file, name)
    if file.suffix.lower() in IMAGE_SUFFIXES:
        return Recording(file, name, [file])
    raise UserError(f"{file} is no recording: give {ACCEPTED}.")


def _holds_frames(file: Path) -> bool:
    suffix = file.suffix.lower()
    return _is_animated(file) if suffix in IMAGE_SUFFIXES else suffix in READERS


def _is_animated(file: Path) -> bool:
    if file.suffix.lower() not in ANIMATIONS:
        return False
    try:
        with Image.open(file) as image:
            return bool(getattr(image, "is_animated", False))
    except Exception:  # a damaged file counts as an image until it is decoded, which gives the reason
        return False


def _is_hidden(name: str) -> bool:
    return name.startswith((".", "__"))
