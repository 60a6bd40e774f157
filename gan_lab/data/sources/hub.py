"""Images of Hugging Face's hub, or of a data set that ``datasets`` saved, as a source.

Images are taken as the bytes of their files and decoded by our own reader.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from gan_lab.common.errors import UserError
from gan_lab.common.hub import reason_without_addresses, without_user
from gan_lab.data.reading.download import check_contact
from gan_lab.data.reading.tables import (
    EMPTY,
    Column,
    TableImages,
    TablesOfImages,
    choose_column,
    choose_splits,
    usable_labels,
    with_labels,
)
from gan_lab.data.sources.hub_files import FilesBeside, folders_of
from gan_lab.data.sources.parquet import found_lines
from gan_lab.data.types import Int64Array


class HubTable:
    """Images in one column of a split of ``datasets`` (satisfies ``gan_lab.data.reading.tables.Table``).

    Args:
        data: the split, a ``datasets.Dataset``.
        column: of images, which are not decoded.
        folders: pictures that are stated as paths are read only from here, or from beside the split's own files.
    """

    def __init__(self, data: Any, column: str, folders: Sequence[Path] = ()) -> None:
        from datasets import Image

        self.column, self.data = column, data.select_columns([column]).cast_column(column, Image(decode=False))
        own = [Path(each["filename"]) for each in data.cache_files]
        self.beside = FilesBeside([*folders, *(file.parent for file in own)])
        self.files: Sequence[Path] = [*own, *self.beside.among(self.data.data.column(column))]
        self.groups: Int64Array = np.arange(len(data) + 1)

    def contents(self, rows: Int64Array) -> Iterator[bytes]:
        """Yields the bytes of the image files in rows, empty where there are none that may be read."""
        for row in rows.tolist():
            value = self.data[row][self.column] or {}
            if value.get("bytes") is None and value.get("path"):
                yield self.beside.read(value["path"])
            else:
                yield bytes(value.get("bytes") or b"")

    def why_empty(self, row: int) -> str:
        """Says why a row has no bytes."""
        value = self.data[row][self.column] or {}
        path = value.get("path") if value.get("bytes") is None else None
        return (path and self.beside.refusal(path)) or EMPTY

    def names(self) -> Sequence[str | None]:
        """Returns the names of the image files, (N,), where they are known."""
        return self._names

    @cached_property
    def _names(self) -> Sequence[str | None]:
        flat = self.data.flatten().select_columns([f"{self.column}.path"])
        return list(flat[f"{self.column}.path"])


class HubImages(TablesOfImages):
    """A data set of the hub, or one in a local folder (satisfies ``ImageSource``).

    Args:
        name: of the data set on the hub, "user/set".
        root: a folder that ``datasets`` saved or can load; None reads the hub.
        subset: one of several configurations of the data set; None takes the default.
        revision: a branch, tag or commit of the data set.
        split, test_split: see ``gan_lab.data.reading.tables.choose_splits``.
        column, label: see ``gan_lab.data.reading.tables.choose_column``.
    """

    def __init__(
        self,
        name: str,
        root: str | None = None,
        subset: str | None = None,
        revision: str | None = None,
        split: str | None = None,
        test_split: str | None = None,
        column: str | None = None,
        label: str | None = None,
    ) -> None:
        self.name, self.root = name, None if root is None else Path(root).expanduser()
        self.subset, self.revision = subset, revision
        self.split_names, self.columns = (split, test_split), (column, label)

    @cached_property
    def _found(self) -> tuple[dict[str, TableImages], list[str]]:
        place = self.name if self.root is None else without_user(f"data.root={self.root}")
        loaded = self._loaded(place)
        chosen = choose_splits(list(loaded), *self.split_names, place)
        features = loaded[next(iter(chosen.values()))].features
        column, label = choose_column(list(features), _image_columns(features), *self.columns, place)
        data = {split: loaded[name] for split, name in chosen.items()}
        folders = folders_of(self.root, self.name)
        tables = {split: HubTable(each, column, folders) for split, each in data.items()}
        labels = {split: _labels(each, label) for split, each in data.items()} if label is not None else {}
        labels = usable_labels(labels, str(label), self.columns[1] is not None)
        found = with_labels(tables, {split: len(each) for split, each in data.items()}, labels)
        return found, found_lines(place, chosen, column, label if labels else None)

    def _loaded(self, place: str) -> Mapping[str, Any]:
        """Returns the splits of the data set, by name."""
        if self.root is None and self.name == "hub":
            raise UserError("data=hub needs a data set: give data.name=user/set, or a local folder as data.root=.")
        if self.root is None:
            advice = "data.name=user/set yourself, or root=… with a local folder"
            check_contact(f"data.name={self.name} of the hub", advice)
        datasets = _datasets()
        if self.root is not None and not self.root.exists():
            raise UserError(f"{place} does not exist: give a folder that datasets saved, or leave out data.root.")
        try:
            loaded = self._load(datasets)
        except Exception as error:  # datasets and its file systems raise many kinds of exceptions
            raise UserError(
                f"{place} cannot be loaded as a data set ({reason_without_addresses(error)[:300]}): "
                "check data.name, data.subset, data.revision, or give a local folder as data.root=."
            ) from error
        return loaded if isinstance(loaded, datasets.DatasetDict) else {"train": loaded}

    def _load(self, datasets: Any) -> Any:
        saved = ("dataset_dict.json", "state.json")
        if self.root is not None and any((self.root / name).is_file() for name in saved):
            return datasets.load_from_disk(str(self.root))
        if self.root is not None:
            return datasets.load_dataset(str(self.root), self.subset)
        return datasets.load_dataset(self.name, self.subset, revision=self.revision)


def _datasets() -> Any:
    try:
        import datasets
    except ImportError as error:
        raise UserError("Data sets of the hub need datasets: run pip install gan_lab[hub].") from error
    return datasets


def _image_columns(features: Mapping[str, Any]) -> list[str]:
    """Returns the names of columns that may hold images: images, and bytes of files."""
    from datasets import Image

    return [
        name
        for name, feature in features.items()
        if isinstance(feature, Image)
        or _is_bytes(feature)
        or (isinstance(feature, dict) and _is_bytes(feature.get("bytes")))
    ]


def _is_bytes(feature: Any) -> bool:
    return "binary" in str(getattr(feature, "dtype", ""))


def _labels(data: Any, column: str) -> Column:
    from datasets import ClassLabel, Value

    feature = data.features[column]
    if not isinstance(feature, (ClassLabel, Value)):
        return Column((), nested=type(feature).__name__)
    return Column(list(data[column]), getattr(feature, "names", None) or ())
