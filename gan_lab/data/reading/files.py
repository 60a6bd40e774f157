"""Image sets in folders and zips, with or without class subfolders and splits."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from hashlib import blake2b, file_digest
from itertools import chain
from pathlib import Path
from zipfile import ZipFile

import numpy as np
from lightning.pytorch.utilities import rank_zero_only, rank_zero_warn

from gan_lab.common.atomic import atomic_write
from gan_lab.common.errors import UserError
from gan_lab.common.integrity import seal_bytes, unseal_bytes
from gan_lab.common.progress import track
from gan_lab.data.reading.image_sets import DamagedImage, DecodedImage, ImageSet
from gan_lab.data.reading.images import NotLabelMapError, decode_image, reason
from gan_lab.data.reading.listing import Entry, list_images, open_entry, open_zips, split_entries, strip_common_folders
from gan_lab.data.reading.resize import ResizeSpec
from gan_lab.data.reading.threads import map_in_threads
from gan_lab.data.types import Int64Array

JPEG_SUFFIXES = (".jfif", ".jpe", ".jpeg", ".jpg")


@dataclass
class ImageFiles:
    """Images in files, decoded in threads (satisfies ``ImageSet``).

    Args:
        entries: the files.
        labels: int64 (N,), or None.
        classes: number of classes; 0 without labels.
        half: "left" or "right" reads that half of each image alone.
    """

    entries: Sequence[Entry]
    labels: Int64Array | None = None
    classes: int = 0
    half: str | None = None
    cacheable: bool = True

    def __len__(self) -> int:
        return len(self.entries)

    def take(self, rows: Int64Array) -> "ImageFiles":
        labels = None if self.labels is None else self.labels[rows]
        return ImageFiles([self.entries[row] for row in rows], labels, self.classes, self.half)

    def content_hash(self, cache_folder: Path) -> str:
        """Returns a hash of names and bytes. Files are read again only if their size or times have changed.

        A zip is hashed as a whole: what its directory states about a member need not be true.
        """
        return f"{self._hash_of_files(cache_folder)} {self.half or ''}"

    def stamp(self) -> str:
        """Returns a hash that changes whenever a file does, without reading any."""
        return _digest(_stamp(entry) for entry in self.entries)

    @property
    def num_jpegs(self) -> int:
        """The number of JPEGs, by their names."""
        return sum(entry.parts[-1].lower().endswith(JPEG_SUFFIXES) for entry in self.entries)

    def _hash_of_files(self, cache_folder: Path) -> str:
        zips = [Entry((), file) for file in sorted({entry.file for entry in self.entries if entry.member is not None})]
        stamps = _digest(_stamp(entry) for entry in (*self.entries, *zips))
        known = cache_folder / f"{stamps}.content"
        content = _known_content(known)
        if content is None:
            content = _digest(chain(map(_checksum, zips), map_in_threads(_checksum, self.entries)))
            with atomic_write(known) as file:
                file.write_bytes(seal_bytes(content.encode()))
        return content

    def describe_transform(self, spec: ResizeSpec) -> str:
        half = f"{self.half} half, " if self.half else ""
        if spec.label_map:
            return f"{half}{spec.method}, EXIF applied"
        return f"{half}{self._decoding(spec)}{spec.method}, EXIF applied, colours in sRGB, alpha on white"

    def _decoding(self, spec: ResizeSpec) -> str:
        """Says whether the decoder may reduce JPEGs, if there are some."""
        if not (spec.fixed_size and self.num_jpegs):
            return ""
        return f"JPEGs {'reduced by the decoder if large' if spec.shortcut else 'decoded at full size'}, "

    def render(self, spec: ResizeSpec) -> Iterator[DecodedImage | DamagedImage]:
        """Yields every image at the size of the spec, in order; damaged ones with the reason.

        Raises:
            UserError: if class ids are expected and a file holds colours.
        """
        spec = replace(spec, half=self.half)
        with open_zips(self.entries) as zips:
            results = map_in_threads(partial(_render, zips, spec), self.entries)
            show = getattr(rank_zero_only, "rank", 0) == 0
            yield from track(results, "Reading images", len(self), show=show)


class ImageFolder:
    """A folder or zip of images (satisfies ``ImageSource``).

    Subfolders are classes, in the order of their names. If there are ``train`` and ``test`` (or ``val``, ``valid``,
    ``validation``) as subfolders or zips, they are the splits. Other files are ignored, and so are names that begin
    with a dot or ``__``.

    Args:
        root: path of the folder or zip.
    """

    def __init__(self, root: str) -> None:
        self.root = Path(root).expanduser()

    def splits(self) -> dict[str, ImageSet]:
        """Returns "train" and "test" if there are such folders, else "all".

        Raises:
            UserError: if the root is missing, is neither a folder nor a zip, or has no images.
        """
        entries = strip_common_folders(list_images(self.root))
        groups = split_entries(entries)
        names = _class_names(groups)
        return {split: _with_labels(group, names) for split, group in groups.items()}


def same_format(sets: Iterable[object]) -> bool:
    """Tells whether the decoder may reduce JPEGs without a difference between sets that are compared: all of their
    files are JPEGs, or none is.
    """
    files = [each for each in sets if isinstance(each, ImageFiles)]
    jpegs = sum(each.num_jpegs for each in files)
    return jpegs in (0, sum(len(each) for each in files))


def _class_names(groups: Mapping[str, list[Entry]]) -> list[str]:
    """The names of the subfolders, if every image lies in one and there are several; else none."""
    entries = [entry for group in groups.values() for entry in group]
    names = sorted({entry.parts[0] for entry in entries})
    return names if len(names) > 1 and all(len(entry.parts) > 1 for entry in entries) else []


def _with_labels(entries: list[Entry], names: list[str]) -> ImageFiles:
    if not names:
        return ImageFiles(entries)
    number = {name: index for index, name in enumerate(names)}
    return ImageFiles(entries, np.array([number[entry.parts[0]] for entry in entries], np.int64), len(names))


def _render(zips: Mapping[Path, ZipFile], spec: ResizeSpec, entry: Entry) -> DecodedImage | DamagedImage:
    try:
        with open_entry(zips, entry) as file:
            return decode_image(file, spec)
    except UserError:
        raise
    except NotLabelMapError as problem:
        raise UserError(
            f"{entry.file if entry.member is None else entry.name} is {problem} and no label map: give PNG files with "
            "one class id per pixel (mode L or P), or data.domains.….labels=0 to read it as an image."
        ) from None
    except Exception as problem:  # decoders raise many kinds of exceptions for damaged files
        return DamagedImage(entry.name, reason(problem))


def _stamp(entry: Entry) -> str:
    """Returns what changes whenever the bytes of a file do, without reading it."""
    if entry.member is not None:
        return f"{entry.name} {entry.checksum}"
    try:
        found = entry.file.stat()
    except OSError as error:
        return f"{entry.name} {error.errno}"
    # ctime catches bytes replaced under a kept modification time
    facts = found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
    return f"{entry.name} {facts}"


def _checksum(entry: Entry) -> str:
    if entry.member is not None:
        return f"{entry.name} {entry.checksum}"
    try:
        with entry.file.open("rb") as stream:
            digest = file_digest(stream, lambda: blake2b(digest_size=16))
        return f"{entry.name} {digest.hexdigest()}"
    except OSError as error:
        return f"{entry.name} {error.errno}"


def _known_content(file: Path) -> str | None:
    """Returns the hash in a file; None if it is missing, or, with a warning, if it is not as it was written."""
    if not file.is_file():
        return None
    try:
        content = unseal_bytes(file.read_bytes()).decode()
        if not re.fullmatch("[0-9a-f]{32}", content):
            raise ValueError("it is no hash")
        return content
    except (OSError, ValueError) as problem:
        rank_zero_warn(f"The cached hash {file} cannot be used ({reason(problem)}), and is computed anew.")
        return None


def _digest(lines: Iterator[str]) -> str:
    digest = blake2b(digest_size=16)
    for line in lines:
        digest.update(line.encode("utf-8", "surrogateescape") + b"\n")
    return digest.hexdigest()
