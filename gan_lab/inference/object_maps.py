"""Maps of objects beside the label maps that are translated."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch

from gan_lab.common.errors import UserError
from gan_lab.common.images import from_pil
from gan_lab.data.reading.images import LoadedImage, NotLabelMapError
from gan_lab.data.reading.label_files import object_numbers
from gan_lab.data.reading.listing import Entry, is_image, list_images, open_entry, open_zips
from gan_lab.data.sources.domains import by_stem

CITYSCAPES = re.compile(r"_gtFine_(labelIds|labelTrainIds|instanceIds)$")
"""Ends of the names of Cityscapes' files, which differ for a label map and its map of objects."""

WITHOUT = "edges are those between classes only, because instances=… gives no maps of objects"


@dataclass(frozen=True)
class ObjectMaps:
    """Maps of objects in files that have the names of label maps.

    Args:
        path: a folder or zip, or the one map of a single label map; None if there are none.
        files: by path without suffix; empty if there is one for all.
    """

    path: Path | None = None
    files: Mapping[tuple[str, ...], Entry] = field(default_factory=dict)

    @classmethod
    def at(cls, path: Path | None) -> "ObjectMaps":
        """Lists the maps of objects at a path.

        Raises:
            UserError: if there are none.
        """
        if path is None or (path.is_file() and is_image(path.name)):
            return cls(path)
        return cls(path, {_name(stem): entry for stem, entry in by_stem(list_images(path, "instances")).items()})

    def joined(self, labels: Entry, photo: LoadedImage) -> LoadedImage:
        """Returns a label map with the numbers of its objects as second channel; without maps, objects are classes.

        Args:
            labels: the file of the label map.
            photo: what was read from it, pixels uint8 (1, H, W).

        Raises:
            ValueError: if its map of objects is missing, holds colours, or has another size.
        """
        if self.path is None:
            return replace(photo, pixels=photo.pixels.expand(2, -1, -1).contiguous(), notes=[*photo.notes, WITHOUT])
        entry = self._of(labels)
        try:
            with open_zips([entry]) as zips, open_entry(zips, entry) as file:
                numbers = from_pil(object_numbers(file))
        except NotLabelMapError as problem:
            raise ValueError(f"its map of objects {entry.name} is {problem}") from None
        if numbers.shape != photo.pixels.shape:
            sizes = [f"{each.shape[2]}×{each.shape[1]}" for each in (photo.pixels, numbers)]
            raise ValueError(f"it has {sizes[0]} px, and its map of objects {entry.name} has {sizes[1]}")
        return replace(photo, pixels=torch.cat([photo.pixels, numbers]))

    def _of(self, labels: Entry) -> Entry:
        assert self.path is not None
        if not self.files:
            return Entry((self.path.name,), str(self.path))
        [stem] = by_stem([labels])
        if _name(stem) not in self.files:
            raise ValueError(f"instances={self.path} has no map of objects of the same name")
        return self.files[_name(stem)]


def check_takes_objects(path: Path | None, takes: bool) -> None:
    """Checks that maps of objects are given only to a model that takes them.

    Raises:
        UserError: if it does not.
    """
    if path is not None and not takes:
        raise UserError(f"The model takes no maps of objects: leave out instances={path}.")


def _name(stem: tuple[str, ...]) -> tuple[str, ...]:
    return (*stem[:-1], CITYSCAPES.sub("", stem[-1]))
