"""A set of images in shards: its index, its splits, and the reading of images by their numbers."""

import json
import struct
from collections import OrderedDict
from dataclasses import replace
from functools import cached_property
from hashlib import blake2b
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from lightning.pytorch.utilities import rank_zero_info, rank_zero_warn
from PIL import Image

from gan_lab.common.atomic import atomic_write
from gan_lab.common.errors import UserError
from gan_lab.common.progress import track
from gan_lab.data.loading.cache import cache_folder
from gan_lab.data.loading.splits import MAX_TEST_SIZE, TEST_SHARE
from gan_lab.data.reading.formats import Formats
from gan_lab.data.reading.images import decode_image, reason
from gan_lab.data.reading.listing import natural_key, role_of
from gan_lab.data.reading.resize import ResizeSpec
from gan_lab.data.shards.containers import Content, OpenShard, closed_after_errors, litdata_fields, open_chunk
from gan_lab.data.shards.index import DAMAGE, INDEX, Rows, Shard, ShardIndex, check_names, check_shards, join
from gan_lab.data.shards.places import ShardFolder, twice
from gan_lab.data.shards.tars import TarShard, tar_samples
from gan_lab.data.types import Int64Array, UInt8Array

LITDATA_INDEX = "index.json"
OPEN = 64
"""Shards that a process keeps open."""
TRIES = 10
"""Images in a row that may be damaged."""


class ShardSource:
    """Shards in a folder or at a URL.

    The splits are folders called train and test (or val), or there is one split. The index is the one that
    ``gan_lab.pack`` writes, or those of folders that were packed one by one; else that of litdata; else tar files are
    looked through once, which is remembered.

    Args:
        folder: where they are.
        cache_dir: folder that remembers; None stands for $GAN_LAB_CACHE, else ~/.cache/gan_lab.
    """

    def __init__(self, folder: ShardFolder, cache_dir: str | None = None) -> None:
        self.folder, self.cache = folder, cache_folder(cache_dir)

    @cached_property
    def index(self) -> ShardIndex:
        """The index.

        Raises:
            UserError: if there are no shards, or they are of an unknown kind.
        """
        root, place = self.folder.folder, f"data.root={self.folder.root}"
        if self.folder.is_remote:
            return ShardIndex.from_json(self.folder.content(INDEX), place)
        if (root / INDEX).is_file():
            stated = ShardIndex.from_json(self.folder.content(INDEX), place)
            if later := {part.name for part in _parts(root)} - stated.folders():
                rank_zero_warn(
                    f"{place} has a folder of shards, {min(later)}, that its {INDEX} does not name, so its images are "
                    f"left out: python -m gan_lab.pack join={root} adds it."
                )
            return stated
        if not root.is_dir():
            raise UserError(f"data.root={root} does not exist: give a folder of shards, as gan_lab.pack writes it.")
        found = joined_index(root, place) or _litdata_index(root) or _tar_index(root, self.cache)
        if found is None:
            raise UserError(
                f"{place} has no shards: give a folder with {INDEX}, {LITDATA_INDEX} of litdata, or .tar files of "
                "WebDataset; python -m gan_lab.pack format=shards writes one."
            )
        return found

    def class_names(self) -> list[str]:
        """Returns the names of the classes, in the order of their numbers; empty if they are not known."""
        return self.index.names

    def formats(self) -> Formats:
        """Returns the size and the colours of the images; nothing if they are not known."""
        return self.index.formats()

    def rows(self, limit: int | None = None) -> dict[str, Rows]:
        """Returns the images of "train", "test" and "whole".

        Without a test split the last tenth is held out, at most 10,000 images.

        Args:
            limit: "train" has at most this many, from the first on.

        Raises:
            UserError: if there is a single image, and as ``index`` does.
        """
        index = self.index
        if "all" in index.splits:
            shards, count = index.splits["all"], index.count("all")
            if count < 2:
                raise UserError(f"data.root={self.folder.root} has a single image: give at least two.")
            end = count - min(max(1, round(TEST_SHARE * count)), MAX_TEST_SIZE)
            test = Rows(shards, end, count)
        else:
            shards, end = index.splits["train"], index.count("train")
            test = Rows(index.splits["test"], 0, index.count("test"))
        return {"train": Rows(shards, 0, min(end, limit or end)), "test": test, "whole": Rows(shards, 0, end)}


class ShardReader:
    """Images of a split by their numbers. A process keeps a few shards open.

    Args:
        source: the shards.
        rows: the images.
        spec: size and channels, and how images get them.
    """

    def __init__(self, source: ShardSource, rows: Rows, spec: ResizeSpec) -> None:
        self.folder, self.rows, self.spec = source.folder, rows, spec
        self.kind, self.fields = source.index.kind, source.index.fields
        stored = source.index.channels, source.index.size
        self.unchanged = stored == (spec.channels, spec.size) and spec.target_size == spec.size
        self.opened: OrderedDict[int, OpenShard] = OrderedDict()

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "opened": OrderedDict()}

    def read(self, rows: Int64Array) -> tuple[UInt8Array, Int64Array]:
        """Returns images uint8 (m, C, H, W) and classes int64 (m,), -1 for none; in place of a damaged one the next.

        They are read shard by shard, because to open one may close another.

        Raises:
            UserError: if ten images in a row are damaged, or a shard is.
        """
        images = np.empty((len(rows), self.spec.channels, *self.spec.target_size), np.uint8)
        labels = np.empty(len(rows), np.int64)
        shards, numbers = self.rows.places(rows)
        for shard in np.unique(shards).tolist():
            found, places = self._open(shard), np.flatnonzero(shards == shard)
            pairs = zip(places.tolist(), numbers[places].tolist(), strict=True)
            if found.pixels is None:
                for place, number in pairs:
                    images[place], labels[place] = self._sample(found, shard, number)
            else:
                pixels, labels[places] = found.pixels, found.labels[numbers[places]]
                for place, number in pairs:  # one copy each, where an index array makes two
                    images[place] = pixels[number]
        return images, labels

    def _sample(self, opened: OpenShard, shard: int, number: int) -> tuple[UInt8Array, int]:
        """Returns an image with its class, or, if it is damaged, those of the next one that is not."""
        name = self.rows.shards[shard].name
        for tried in range(number, number + TRIES):
            try:
                found = opened.sample(tried % len(opened))
                return self._pixels(found.content), found.label
            except Exception as problem:  # decoders raise many kinds of exceptions for damaged files
                rank_zero_warn(f"Image {tried} of {name} cannot be read ({reason(problem)}): the next is used.")
        raise UserError(f"{TRIES} images of {self.folder.root}/{name} cannot be read: pack them again.")

    def _pixels(self, content: Content) -> UInt8Array:
        if isinstance(content, bytes):
            return decode_image(BytesIO(content), self.spec).pixels
        channels, height, width = content.shape
        if channels == self.spec.channels and self.spec.resized(height, width) == (height, width):
            return content
        return self.spec.apply(Image.fromarray(content[0] if channels == 1 else content.transpose(1, 2, 0)))

    def _open(self, shard: int) -> OpenShard:
        if shard in self.opened:
            self.opened.move_to_end(shard)
            return self.opened[shard]
        if len(self.opened) >= OPEN:
            self.opened.popitem(last=False)[1].close()
        stated = self.rows.shards[shard]
        try:
            found = twice(lambda: self._opened(self.folder.path(stated.name, stated.digest)))
            with closed_after_errors(found.close):
                self._check(found, stated.count)
        except (OSError, ValueError, TypeError, LookupError, ArithmeticError, struct.error) as error:
            raise UserError(
                f"{self.folder.root}/{stated.name} cannot be read ({reason(error)}): copy or pack it again."
            ) from error
        self.opened[shard] = found
        return found

    def _check(self, found: OpenShard, count: int) -> None:
        """Maps a shard, if its images are used as they are, and checks that it has what the index states."""
        if len(found) != count:
            raise ValueError(f"it has {len(found)} images instead of {count}")
        if self.unchanged and count:
            found.map()
        if found.pixels is None:
            return
        if found.pixels.shape[1:] != (self.spec.channels, *self.spec.target_size) or len(found.pixels) < count:
            raise ValueError("its images are not those that the index states")

    def _opened(self, path: Path) -> OpenShard:
        return open_chunk(path, self.fields) if self.kind == "litdata" else TarShard(path)


def _split_folders(root: Path) -> dict[str, Path]:
    """Returns the folders of "train" and "test", or the root as "all"."""
    roles = {
        role: folder
        for folder in sorted(root.iterdir(), reverse=True)
        if folder.is_dir()
        for role in [role_of(folder.name)]
    }
    test = roles.get("test", roles.get("val"))
    return {"train": roles["train"], "test": test} if "train" in roles and test else {"all": roles.get("train", root)}


def joined_index(root: Path, place: str) -> ShardIndex | None:
    """Returns the index of folders that were packed one by one; None if there are none."""
    parts = {
        folder.name: ShardIndex.from_json((folder / INDEX).read_bytes(), str(folder))
        for folder in sorted(_parts(root), key=lambda each: natural_key(each.name))
    }
    return join(parts, place) if parts else None


def _parts(root: Path) -> list[Path]:
    """Returns the folders of shards in a folder; one with a leading dot is being written, or was left by a crash."""
    return [each for each in root.iterdir() if not each.name.startswith(".") and (each / INDEX).is_file()]


def write_joined_index(root: Path, place: str) -> ShardIndex:
    """Writes the index of folders that were packed one by one, which a set at a URL needs, and returns it.

    Raises:
        UserError: if there are none, if they were packed differently, and if the folder has shards of its own.
    """
    index = joined_index(root, place)
    if index is None:
        raise UserError(f"{place} has no folders of shards: pack parts of the set into folders of it.")
    if (root / INDEX).is_file():
        before = ShardIndex.from_json((root / INDEX).read_bytes(), place)
        if before.folders() - {part.name for part in _parts(root)}:
            raise UserError(f"{place} has shards beside those of its folders: move them into a folder of their own.")
    with atomic_write(root / INDEX) as file:
        file.write_text(index.to_json())
    return index


def _litdata_index(root: Path) -> ShardIndex | None:
    """Returns the index that litdata wrote; None if there is none."""
    splits: dict[str, list[Shard]] = {}
    fields: list[tuple[str, str]] = []
    for split, folder in _split_folders(root).items():
        file = folder / LITDATA_INDEX
        if not file.is_file():
            return None
        try:
            found = _litdata_chunks(file)
        except DAMAGE as error:
            raise UserError(f"{file} is no index of litdata ({reason(error)}): write the chunks again.") from error
        if found is None:
            return None
        fields, shards = found
        prefix = "" if folder == root else f"{folder.name}/"
        splits[split] = [replace(shard, name=prefix + shard.name) for shard in shards]
    return ShardIndex("litdata", splits, fields)


def _litdata_chunks(file: Path) -> tuple[list[tuple[str, str]], list[Shard]] | None:
    """Returns names and formats of the parts of a sample, and the shards; None for a file that is not litdata's.

    Raises:
        UserError: for samples that are no images, and for chunks outside of the folder.
        ValueError, LookupError, TypeError, AttributeError, RecursionError: if it is damaged.
    """
    text = file.read_bytes()
    digest, plain = blake2b(text, digest_size=16).hexdigest(), json.loads(text)
    if not isinstance(plain, dict) or not {"config", "chunks"} <= {*plain}:
        return None
    fields = litdata_fields(plain["config"], str(file))
    shards = [Shard(each["filename"], each["chunk_size"], digest) for each in plain["chunks"]]
    check_shards(shards)
    check_names(shards, str(file))
    return fields, shards


def _tar_index(root: Path, cache: Path) -> ShardIndex | None:
    """Looks through the tar files of WebDataset; None if there are none. What is found is kept for the next time."""
    files = {
        split: sorted(folder.rglob("*.tar"), key=lambda each: natural_key(str(each)))
        for split, folder in _split_folders(root).items()
    }
    everything = [file for each in files.values() for file in each]
    if not everything:
        return None
    stamps = [(str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in everything]
    known = cache / f"{blake2b(json.dumps(stamps).encode(), digest_size=16).hexdigest()}.shards"
    if known.is_file():
        return ShardIndex.from_json(known.read_bytes(), str(cache))
    rank_zero_info(f"{root} has no {INDEX}: its {len(everything):,} tar files are looked through once.")
    shown = iter(track(everything, "Looking through shards", len(everything)))
    splits = {split: [_tar_shard(root, next(shown)) for _ in each] for split, each in files.items()}
    found = ShardIndex("webdataset", splits)
    with atomic_write(known) as file:
        file.write_text(found.to_json())
    return found


def _tar_shard(root: Path, file: Path) -> Shard:
    try:
        samples = [*tar_samples(file)]
    except (OSError, ValueError) as error:
        raise UserError(f"{file} cannot be read ({reason(error)}): remove it, or copy it again.") from error
    digest = blake2b(json.dumps(samples).encode(), digest_size=16).hexdigest()
    return Shard(file.relative_to(root).as_posix(), len(samples), digest)
