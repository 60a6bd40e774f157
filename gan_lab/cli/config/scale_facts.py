"""The facts of a set of images that a scale depends on, found from the names and headers of its files."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from omegaconf import DictConfig, OmegaConf

from gan_lab.cli.config.compose import resolve_part
from gan_lab.cli.config.found_data import PRESETS, is_own, sets_of, without_messages
from gan_lab.common.errors import UserError
from gan_lab.common.instantiate import instantiate
from gan_lab.data.loading.cache import cache_folder
from gan_lab.data.loading.splits import MAX_TEST_SIZE, TEST_SHARE
from gan_lab.data.modules.clips import ClipsDataModule
from gan_lab.data.reading.formats import Formats, formats_of
from gan_lab.data.reading.image_sets import EncodedImages, ImageSet

OWN_SETS = tuple(
    PRESETS + name
    for name in (
        "folder",
        "parquet",
        "hub",
        "domains",
        "unpaired",
        "paired",
        "labelled",
        "frames",
        "colorize",
        "edges",
    )
)
"""Data that are read from the user's own files, or from a data set of the hub that the user names."""


@dataclass(frozen=True)
class Facts:
    """Facts of a set.

    Args:
        own: the files are the user's own.
        train: images of the larger domain's training split; None if they are not in files, or not known.
        formats: sizes and colours of all images; None if they were not looked at.
        classes: number of classes that the folders have.
    """

    own: bool = False
    train: int | None = None
    formats: Formats | None = None
    classes: int = 0

    @property
    def channels(self) -> int | None:
        """1 if all images are grey, else 3; None if it is not known."""
        return self.formats.channels if self.formats else None


def is_own_set(data: DictConfig) -> bool:
    """Tells whether data are the user's own files: neither a public set, nor a copy of one."""
    raw = OmegaConf.to_container(data, resolve=False)
    assert isinstance(raw, dict)
    return raw.get("_target_") in OWN_SETS and is_own(raw) and raw.get("archive") is None and raw.get("of") is None


def find_facts(config: DictConfig) -> Facts:
    """Returns the facts of a run's data.

    Raises:
        UserError: if the user's own data are missing.
    """
    own = is_own_set(config.data)
    try:
        with without_messages():
            data = instantiate(resolve_part(config, "data"))
            sets = {} if isinstance(data, ClipsDataModule) else sets_of(getattr(data, "source", None))
    except UserError:
        if own:
            raise
        return Facts()  # of a public set that is still to be downloaded
    return _facts(own, sets, config.data)


def _facts(own: bool, sets: Mapping[str, Mapping[str, Any]], data: DictConfig) -> Facts:
    counts = [_training(splits, data.get("limit")) for splits in sets.values()]
    files = [images for splits in sets.values() for images in splits.values() if isinstance(images, EncodedImages)]
    if not counts or not files:
        return Facts(own)
    with without_messages():
        formats = sum((formats_of(each, cache_folder(data.get("cache_dir"))) for each in files), Formats())
    classes = max((images.classes for splits in sets.values() for images in splits.values()), default=0)
    return Facts(own, max(counts), formats or None, classes)


def _training(splits: Mapping[str, ImageSet], limit: int | None) -> int:
    """Returns the number of images that a run trains on: without a test split a tenth is held out."""
    if "train" in splits:
        count = len(splits["train"])
    else:
        whole = len(splits["all"])
        count = whole - min(max(1, round(TEST_SHARE * whole)), MAX_TEST_SIZE)
    return min(count, limit) if limit else count
