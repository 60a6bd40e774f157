"""Image sets in folders and zips, with or without class subfolders and splits."""

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from hashlib import blake2b, file_digest
from itertools import chain
from pathlib import Path
from zipfile import ZipFile

from lightning.pytorch.utilities import rank_zero_info, rank_zero_only, rank_zero_warn

from gan_lab.common.atomic import atomic_write, mark_used
from gan_lab.common.class_names import listed
from gan_lab.common.errors import UserError
from gan_lab.common.integrity import seal_bytes, unseal_bytes
from gan_lab.common.progress import track
from gan_lab.data.checks import check_choice
from gan_lab.data.reading.dataset_json import classes_of, read_dataset_json
from gan_lab.data.reading.image_sets import DamagedImage, DecodedImage, EncodedImages, ImageSet
from gan_lab.data.reading.images import NotLabelMapError, decode_image, reason
from gan_lab.data.reading.layout import Classes, Splits, classes_by_folder, find_splits
from gan_lab.data.reading.listing import Entry, list_images, open_entry, open_zips
from gan_lab.data.reading.resize import ResizeSpec
from gan_lab.data.reading.threads import map_in_threads
from gan_lab.data.types import Int64Array

JPEG_SUFFIXES = (".jfif", ".jpe", ".jpeg", ".jpg")


@dataclass
class ImageFiles:
    """Images in files, decoded in threads (satisfies ``ImageSet``).

    Args:
        entries: the files.
        labels: int64 (N,), -1 for an image without a class; or None.
        classes: number of classes; 0 without labels.
        half: "left" or "right" reads that half of each image alone.
        class_names: names of the classes, in the order of their numbers; empty if they are not known.
    """

    entries: Sequence[Entry]
    labels: Int64Array | None = None
    classes: int = 0
    half: str | None = None
    cacheable: bool = True
    class_names: Sequence[str] = ()

    def __len__(self) -> int:
        return len(self.entries)

    def take(self, rows: Int64Array) -> "ImageFiles":
        labels = None if self.labels is None else self.labels[rows]
        return replace(self, entries=[self.entries[row] for row in rows], labels=labels)

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
        zips = [Entry((), path) for path in sorted({entry.path for entry in self.entries if entry.member is not None})]
        stamps = _digest(_stamp(entry) for entry in (*self.entries, *zips))
        known = cache_folder / f"{stamps}.content"
        content = _known_content(known)
        mark_used(known)
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
            results = map_in_threads(partial(render_file, zips, spec), self.entries)
            show = getattr(rank_zero_only, "rank", 0) == 0
            yield from track(results, "Reading images", len(self), show=show)

    def contents(self) -> Iterator[bytes]:
        """Yields the bytes of every file, in order; none of what cannot be opened."""
        with open_zips(self.entries) as zips:
            for entry in self.entries:
                try:
                    with open_entry(zips, entry) as file:
                        yield file.read()
                except Exception:  # as in decoding
                    yield b""


class ImageFolder:
    """A folder or zip of images (satisfies ``ImageSource``).

    The splits are found by ``gan_lab.data.reading.layout.find_splits``. Classes are those of a ``dataset.json``, or
    else the subfolders. Other files are ignored, and so are names that begin with a dot or ``__``.

    Args:
        root: path of the folder or zip.
        class_order: of class folders: "natural" puts 2 before 10, "text" sorts by characters.

    Raises:
        UserError: for another order.
    """

    choice = "folder"
    """The choice of ``data``."""

    def __init__(self, root: str, class_order: str = "natural") -> None:
        check_choice("class_order", class_order, ("natural", "text"))
        self.root, self.class_order = Path(root).expanduser(), class_order

    def splits(self) -> dict[str, ImageSet]:
        """Returns "train" and "test" if there are such folders, else "all", and logs what was found.

        Raises:
            UserError: if the root is missing, is neither a folder nor a zip, or has no images; and if its folders or
                labels can be understood in two ways.
        """
        splits, classes = self._found
        for line in self.describe():
            rank_zero_info(line)
        return {split: _with_labels(split, entries, classes) for split, entries in splits.entries.items()}

    def class_names(self) -> list[str]:
        """Returns the names of the classes, in the order of their numbers; empty if there are none.

        Raises:
            UserError: as ``splits`` does.
        """
        classes = self._found[1]
        return classes.names if classes else []

    def describe(self) -> list[str]:
        """Returns lines on the splits and classes that were found.

        Raises:
            UserError: as ``splits`` does.
        """
        splits, classes = self._found
        lines = [splits.describe(), classes.describe(splits.entries) if classes else self._why_no_classes(splits)]
        return [f"Found in {self.root}: {line}." for line in lines if line]

    @cached_property
    def _found(self) -> tuple[Splits, Classes | None]:
        entries = list_images(self.root)
        splits = find_splits(entries)
        labels = read_dataset_json(self.root, entries)
        if labels is not None:
            return splits, classes_of(labels, splits.entries)
        return splits, classes_by_folder(splits.entries, self.class_order)

    def _why_no_classes(self, splits: Splits) -> str:
        """Says why the subfolders are no classes; empty if there are none."""
        folders = {entry.parts[0] for entries in splits.entries.values() for entry in entries if len(entry.parts) > 1}
        if len(folders) < 2:
            return ""
        return f"no classes: {listed(sorted(folders))} are numbered parts of one set"


def same_format(sets: Iterable[object]) -> bool:
    """Tells whether the decoder may reduce JPEGs without a difference between sets that are compared: all of their
    files are JPEGs, or none is.
    """
    files = [each for each in sets if isinstance(each, EncodedImages)]
    jpegs = sum(each.num_jpegs for each in files)
    return jpegs in (0, sum(len(each) for each in files))


def _with_labels(split: str, entries: list[Entry], classes: Classes | None) -> ImageFiles:
    if classes is None:
        return ImageFiles(entries)
    return ImageFiles(entries, classes.labels[split], len(classes.names), class_names=classes.names)


def render_file(zips: Mapping[Path, ZipFile], spec: ResizeSpec, entry: Entry) -> DecodedImage | DamagedImage:
    """Reads one file at the size of the spec; a damaged one gives the reason.

    Raises:
        UserError: if class ids are expected and the file holds colours.
    """
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
        found = os.stat(entry.path)  # noqa: PTH116 (a Path of each of a million files takes seconds)
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
