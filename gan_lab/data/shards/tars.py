"""The tar files of WebDataset, with access to any sample by its place."""

import os
import re
import tarfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import numpy as np

from gan_lab.data.reading.listing import IMAGE_SUFFIXES
from gan_lab.data.shards.containers import LABEL, Sample, channels_first, closed_after_errors, mapped
from gan_lab.data.types import Int64Array, UInt8Array

BLOCK = 512
"""Bytes of a header of a tar file, and of what members are rounded up to."""
PLAIN = b"0\0"
"""Types of members that are plain files."""
OCTAL = re.compile(rb"[0-7]+")
"""Sizes as most tar files have them; others may be binary, padded, or damaged."""


class Member(NamedTuple):
    """A file in a tar file."""

    name: str
    start: int
    size: int


class TarShard:
    """A tar file of WebDataset: files with the same name up to its first dot are one sample.

    Args:
        path: of the file.

    Raises:
        OSError, ValueError: if it is no such file.
    """

    def __init__(self, path: Path) -> None:
        self.file = os.open(path, os.O_RDONLY)
        self.images: list[Member] = []
        labels: list[int] = []
        with closed_after_errors(self.close):
            for image, label in tar_samples(path):
                self.images.append(image)
                labels.append(-1 if label is None else int(os.pread(self.file, label.size, label.start)))
        self.labels: Int64Array = np.array(labels, np.int64)
        self.pixels: UInt8Array | None = None

    def __len__(self) -> int:
        return len(self.images)

    def map(self) -> None:
        """Maps the pixels, if all samples are arrays at equal distances."""
        first, content = self.images[0], self.sample(0).content
        if not isinstance(content, bytes) and len({image.size for image in self.images}) == 1:
            distance = np.diff([image.start for image in self.images])
            self.pixels = mapped(self.file, first.start + first.size - content.nbytes, distance, content)

    def sample(self, number: int) -> Sample:
        image, label = self.images[number], int(self.labels[number])
        content = os.pread(self.file, image.size, image.start)
        if not image.name.endswith(".npy"):
            return Sample(content, label)
        return Sample(channels_first(np.load(BytesIO(content), allow_pickle=False)), label)

    def close(self) -> None:
        os.close(self.file)


def tar_samples(path: Path) -> Iterator[tuple[Member, Member | None]]:
    """Yields the places of the image and the label of each sample that has an image.

    Raises:
        OSError, ValueError: if it is no tar file.
    """
    image: Member | None = None
    label: Member | None = None
    key = ""
    for member in _members(path):
        folder, _, base = member.name.rpartition("/")
        name, _, ending = base.partition(".")
        if f"{folder}/{name}" != key:
            if image is not None:
                yield image, label
            image, label, key = None, None, f"{folder}/{name}"
        if image is None and f".{ending}".lower().endswith((*IMAGE_SUFFIXES, ".npy")):
            image = member
        elif ending in LABEL:
            label = member
    if image is not None:
        yield image, label


def _members(path: Path) -> Iterator[Member]:
    """Yields the files of a tar file; headers of plain files are read here, because tarfile takes 20 times as long."""
    start = 0
    with path.open("rb", buffering=1 << 16) as file:
        while len(header := file.read(BLOCK)) == BLOCK and header.strip(b"\0"):
            octal = header[124:136].rstrip(b"\0 ")
            if header[257:262] != b"ustar" or header[345] or header[156] not in PLAIN or not OCTAL.fullmatch(octal):
                yield from _members_by_tarfile(path, start)
                return
            size = int(octal, 8)
            yield Member(header[:100].rstrip(b"\0").decode(), start + BLOCK, size)
            start += BLOCK + -(-size // BLOCK) * BLOCK
            file.seek(start)


def _members_by_tarfile(path: Path, start: int) -> Iterator[Member]:
    """Yields the files from a place on, whatever kind of headers they have.

    Raises:
        ValueError: for what is no tar file, and for sizes that lead backwards, on which tarfile would go on forever.
    """
    try:
        with path.open("rb") as file:
            file.seek(start)
            with tarfile.open(fileobj=file, mode="r:") as archive:
                for info in archive:
                    if info.size < 0 or info.offset_data < start:
                        raise ValueError(f"{info.name} has a size that leads backwards")
                    start = info.offset_data
                    if info.isfile():
                        yield Member(info.name, info.offset_data, info.size)
    except (tarfile.TarError, RecursionError, OverflowError) as error:
        raise ValueError(str(error)) from error
