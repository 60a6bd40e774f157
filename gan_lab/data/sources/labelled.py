"""Sources of images with label maps, and perhaps with maps of the objects in them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from lightning.pytorch.utilities import rank_zero_info

from gan_lab.common.class_names import listed
from gan_lab.common.domains import UNKNOWN, Domain
from gan_lab.common.errors import UserError
from gan_lab.data.reading.files import ImageFiles
from gan_lab.data.reading.image_sets import DecodedImage
from gan_lab.data.reading.label_files import LabelFiles, place
from gan_lab.data.reading.layout import Folders, split_entries
from gan_lab.data.reading.listing import Entry, list_images, strip_common_folders
from gan_lab.data.reading.resize import ResizeSpec
from gan_lab.data.sources.domains import DomainSplits, by_stem, folder_names, matched
from gan_lab.data.sources.labelled_layouts import IMAGES, LABELS, OBJECTS, Classes, Found, find_layout

KEY = "data.domains.a"
"""The user's name for the domain of the label maps."""
OWN = "data.labels_folder=… and data.images_folder=…, and perhaps data.instances_folder=…"
LOOKED_AT = 50
"""Label maps that are looked at to say how many classes there may be."""


@dataclass(frozen=True)
class LabelledFolders:
    """The folders of images, of their label maps, and perhaps of maps of the objects in them.

    Args:
        root: a folder or zip with a known layout, see ``labelled_layouts``; or None.
        images, labels, instances: folders or zips instead, relative to the root if there is one; files of one image
            have one name.
        test_images, test_labels, test_instances: those of their test splits.
        ids: of Cityscapes' label maps, "all" or "train".
    """

    root: str | None = None
    images: str | None = None
    labels: str | None = None
    instances: str | None = None
    test_images: str | None = None
    test_labels: str | None = None
    test_instances: str | None = None
    ids: str | None = None

    @cached_property
    def found(self) -> Found:
        """The files, and what is known of their classes.

        Raises:
            UserError: for what is missing; it says what is expected.
        """
        if self.images is None and self.labels is None and self.instances is None:
            return self._in_root()
        if self.images is None or self.labels is None:
            missing = "images" if self.images is None else "labels"
            raise UserError(f"data.{missing}_folder is missing: give {OWN}.")
        named = {
            IMAGES: (self.images, self.test_images),
            LABELS: (self.labels, self.test_labels),
            OBJECTS: (self.instances, self.test_instances),
        }
        files = {kind: self._named(kind, path, test) for kind, (path, test) in named.items() if path is not None}
        return Found(", ".join(files), files)

    @property
    def where(self) -> str:
        """The folders, for messages."""
        named = (self.labels, self.images, self.instances)
        return str(self.root) if self.images is None else listed([each for each in named if each is not None])

    def _in_root(self) -> Found:
        if self.root is None:
            raise UserError(f"data.root is missing: give the path of a folder or zip, or {OWN}.")
        entries = list_images(Path(self.root).expanduser())
        found = find_layout(entries, self.ids)
        if found is None:
            raise UserError(
                f"data.root={self.root} must have train_img and train_label (as COCO-Stuff in SPADE), images and "
                "annotations (ADE20K), or leftImg8bit and gtFine (Cityscapes), but has images in "
                f"{folder_names(strip_common_folders(entries))}: rename the folders, or give {OWN}."
            )
        return found

    def _named(self, kind: str, path: str, test: str | None) -> Folders:
        entries = self._entries(path, f"{kind}_folder")
        if test is None:
            return split_entries(entries)
        return {"train": entries, "test": self._entries(test, f"test_{kind}_folder")}

    def _entries(self, path: str, key: str) -> list[Entry]:
        where = Path(self.root or "").expanduser() / Path(path).expanduser()
        return strip_common_folders(list_images(where, f"data.{key}"))

    def domain(
        self, labels: int | None, ids: Sequence[int] | None, unknown: bool | None, instances: bool | None
    ) -> dict[str, Any]:
        """Returns the arguments of the label maps' ``Domain``: those given, and what the folders say of the rest.

        Nothing is looked at if all but ``ids`` are given.

        Raises:
            UserError: if the number of classes is neither given nor known, and for objects without their maps.
        """
        if None not in (labels, unknown, instances):
            return {"channels": 1, "labels": labels, "ids": ids, "unknown": unknown, "instances": instances}
        known = self.found.classes
        classes = known if labels in (None, known.labels) and not ids else Classes()
        number = labels or len(ids or ()) or classes.labels
        if number is None:
            raise UserError(self._how_many())
        if instances and OBJECTS not in self.found.files:
            raise UserError(
                f"{KEY}.instances=true needs maps of objects, and there are {listed([*self.found.files])} only: add "
                "train_inst, or give data.instances_folder=…."
            )
        return {
            "channels": 1,
            "labels": number,
            "ids": list(ids or classes.ids),
            "unknown": bool(classes.unknown) if unknown is None else unknown,
            "instances": OBJECTS in self.found.files if instances is None else instances,
        }

    def _how_many(self) -> str:
        """Says that the number of classes must be given, with a guess from some of the label maps."""
        files = [entry for entries in self.found.files[LABELS].values() for entry in entries]
        rows = np.unique(np.linspace(0, len(files) - 1, LOOKED_AT).astype(int))
        spec = ResizeSpec(None, (1, 1), 1, "keep", label_map=True)
        looked_at = ImageFiles([files[row] for row in rows]).render(spec)
        ids = {number for each in looked_at if isinstance(each, DecodedImage) for number in np.unique(each.pixels)}
        known = sorted(ids - {UNKNOWN}) or [0]
        return (
            f"The number of classes is not given, and {len(rows)} of {len(files):,} label maps have ids up to "
            f"{known[-1]}: give {KEY}.labels={known[-1] + 1}, or {KEY}.ids=[…] with the id of each class."
        )


@dataclass(frozen=True)
class LabelledPairs:
    """Pairs of a label map, domain "a", and its photograph, "b" (satisfies ``TwoDomainSource``).

    Args:
        folders: where they are.
        domain: of the label maps.
    """

    folders: LabelledFolders
    domain: Domain

    def domain_splits(self) -> DomainSplits:
        """Returns the splits of "a" and "b", in which rows of the same number belong together.

        Raises:
            UserError: for what is missing; it says what is expected.
        """
        found = self.folders.found
        splits = matched({"a": found.files[LABELS], "b": found.files[IMAGES]})
        rank_zero_info(f"Found in {self.folders.where}: {found.name}, {_described(self.domain)}.")
        maps = {}
        for split, labels in splits["a"].items():
            photos = splits["b"][split]
            assert isinstance(labels, ImageFiles) and isinstance(photos, ImageFiles)
            own = _object_maps(labels, found.files[OBJECTS], split) if self.domain.instances else ()
            maps[split] = LabelFiles(
                labels.entries, photos=photos.entries, objects=own, expected=self._expected(found.classes), key=KEY
            )
        return {"a": maps, "b": splits["b"]}

    def _expected(self, classes: Classes) -> frozenset[int]:
        """Returns the ids that label maps may have; empty if the user states some of them, and others are no class."""
        if self.domain.ids and tuple(self.domain.ids) != tuple(classes.ids):
            return frozenset()
        return frozenset((*self.domain.class_ids, UNKNOWN, *classes.unknown))


def _object_maps(labels: ImageFiles, objects: Folders, split: str) -> list[Entry]:
    """Returns the map of objects of each label map; folders may have their splits in one, or other ones."""
    everywhere = [entry for entries in objects.values() for entry in entries]
    maps, stems = by_stem(objects.get(split, everywhere)), by_stem([*labels.entries])
    for stem, entry in stems.items():
        if stem not in maps:
            raise UserError(
                f"{place(entry)} has no map of objects of the same name: add it, or give {KEY}.instances=false."
            )
    return [maps[stem] for stem in stems]


def _described(domain: Domain) -> str:
    """Says what networks get."""
    unknown = ", a channel for pixels without a class" if domain.unknown else ""
    edges = ", edges of objects" if domain.instances else ""
    return f"{domain.labels} classes{unknown}{edges}"
