"""The data module of two domains: what training, metrics and callbacks see of them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from pathlib import PurePosixPath
from typing import Any, ClassVar

import numpy as np
from lightning.pytorch import LightningDataModule
from lightning.pytorch.utilities import rank_zero_info

from gan_lab.common.bounds import Natural, PositiveInt, Seed
from gan_lab.common.capabilities import Identity, RealImages
from gan_lab.common.domains import Domain
from gan_lab.common.errors import UserError
from gan_lab.common.images import round_up
from gan_lab.common.types import Batch
from gan_lab.data.checks import check_choice, check_counts, parse_size
from gan_lab.data.loading.batches import DomainBatches, RandomCropFlip
from gan_lab.data.loading.cache import CACHES, render
from gan_lab.data.loading.keyed_random import keyed_uniform
from gan_lab.data.loading.label_maps import check_ids, count_ids, describe_ids, misfit
from gan_lab.data.loading.loader import EpochBatchSampler, KeyedLoader, ZippedBatches, sampler_position
from gan_lab.data.loading.rendered import Rendered
from gan_lab.data.loading.splits import SPLITS, SplitView, log_summary, train_and_test, with_crop_margin
from gan_lab.data.reading.files import ImageFiles, same_format
from gan_lab.data.reading.image_sets import ImageSet, TwoDomainSource
from gan_lab.data.reading.resize import ResizeSpec

RESIZE_MODES = {
    "resize_and_crop": "stretch",
    "crop": "keep",
    "scale_width": "width",
    "scale_width_and_crop": "width",
    "scale_shortside": "shortside",
    "none": "keep",
}
"""Resize modes by the value of ``preprocess``; those with "crop" in the name train on random crops of the size."""


class TranslationDataModule(LightningDataModule):
    """Images of domains "a" and "b", decoded once (satisfies ``gan_lab.common.capabilities.TwoDomains``).

    Unpaired batches have ``a`` and ``b``, paired ones ``source`` and ``target``, each (N, depth, H, W) as
    ``Domain.encode`` gives it. If the sources are label maps with objects, paired batches also have ``instances``, the
    number of the object that each pixel belongs to, uint8 (N, 1, H, W). Unpaired domains are sampled independently,
    each without repetition until it is used up, and an epoch is as long as the larger one; one with fewer images than
    a batch repeats them in each. The halves of a pair share crop and flip.

    Metrics and callbacks see whole images at the size, not crops of enlarged ones.

    Args:
        source: where the images come from.
        name: of the set, in logs and run folders.
        domains: arguments of ``Domain`` for "a" and "b".
        paired: row i of "a" belongs to row i of "b".
        size: side in pixels, or [H, W].
        batch_size: over all ranks.
        seed: of the orders, the crops and the flips.
        limit: trains on this many images of each domain, chosen at random by ``split_seed``.
        flip: mirrors images horizontally at random.
        preprocess: "resize_and_crop" resizes to ``load_size``, ignoring the aspect ratio, and crops at random; "crop"
            crops at random at the stored scale; "scale_width" resizes to the width of ``size``, "scale_width_and_crop"
            to that of ``load_size`` before it crops at random, "scale_shortside" to the shorter side of ``size``;
            "none" changes nothing. Sides of whole images become multiples of 4.
        load_size: side, or [H, W], that random crops are taken from; None stands for 286/256 of ``size``.
        workers: processes that make batches.
        cache, cache_dir: see ``ImageDataModule``.
        split_seed: of held-out images and of ``limit``.

    Raises:
        UserError: for invalid values; when the data are read, for what the source refuses, if more than 1 % of a
            domain's images cannot be read, and if the halves of a pair differ in size.
    """

    names_in_pairs: ClassVar[Mapping[str, str]] = {"source": "a", "target": "b"}
    """Domains by the names that the images of a pair have in a batch."""

    def __init__(
        self,
        source: TwoDomainSource,
        name: str,
        domains: Mapping[str, Mapping[str, Any]],
        paired: bool,
        size: PositiveInt | Sequence[PositiveInt],
        batch_size: PositiveInt,
        seed: Seed = 0,
        limit: PositiveInt | None = None,
        flip: bool = True,
        preprocess: str = "resize_and_crop",
        load_size: PositiveInt | Sequence[PositiveInt] | None = None,
        workers: Natural = 0,
        cache: str = "auto",
        cache_dir: str | None = None,
        split_seed: Seed = 0,
    ) -> None:
        super().__init__()
        check_choice("preprocess", preprocess, tuple(RESIZE_MODES))
        check_choice("cache", cache, CACHES)
        check_counts(batch_size=batch_size, limit=limit)
        self.source, self.name, self.paired, self.preprocess = source, name, paired, preprocess
        self.domains = {side: _domain(side, **domains[side]) for side in "ab"}
        self.size = parse_size(size)
        self.load_size = _load_size(load_size, size, preprocess)
        self.batch_size, self.workers, self.seed, self.split_seed = batch_size, workers, seed, split_seed
        self.limit, self.flip, self.cache, self.cache_dir = limit, flip, cache, cache_dir
        self._rendered: dict[tuple[str, bool], dict[str, Rendered]] = {}
        self.sides: Mapping[str, RealImages] = {side: self._view(side) for side in "ab"}

    def _view(self, side: str) -> SplitView:
        facts = {
            "domain": side,
            "labels": self.domains[side].labels,
            **({"ids": list(ids)} if (ids := self.domains[side].ids) else {}),
            **{name: True for name in ("unknown", "instances") if getattr(self.domains[side], name)},
            "paired": self.paired,
            "preprocess": self.preprocess,
            "load_size": list(self.load_size),
            **{"limit": self.limit, "flip": self.flip, "split_seed": self.split_seed},
        }
        rendered = partial(self._whole, side)
        return SplitView(str(self.name), rendered, self.domains[side].stored_channels, self.size, facts)

    def resize_spec(self, side: str, training: bool) -> ResizeSpec:
        """Returns size and channels of a domain's images before random crops, or as metrics see them."""
        crop = training and "crop" in self.preprocess
        target_size = self.load_size if crop else self.size
        mode, domain = RESIZE_MODES[self.preprocess], self.domains[side]
        whole = self.size if mode == "stretch" else None
        return ResizeSpec(
            self.size if crop else whole, target_size, domain.stored_channels, mode, label_map=domain.labels > 0
        )

    @cached_property
    def _splits(self) -> dict[str, dict[str, ImageSet]]:
        """Splits by domain."""
        splits = self.source.domain_splits()
        return {side: train_and_test(splits[side], str(self.name), self.limit, self.split_seed) for side in "ab"}

    @cached_property
    def _same_format(self) -> bool:
        """False if JPEGs and other files must be decoded alike, because the domains and splits are compared."""
        return same_format(images for splits in self._splits.values() for images in splits.values())

    def _whole(self, side: str, split: str) -> Rendered:
        check_choice("split", split, SPLITS)
        return self.rendered(split, training=False)[side]

    def rendered(self, split: str, training: bool) -> dict[str, Rendered]:
        """Returns the pixels of a split by domain, rendered on first use."""
        if (split, training) not in self._rendered:
            sets = {side: self._splits[side][split] for side in "ab"}
            both = {side: self._render(side, sets[side], training) for side in "ab"}
            self._rendered[split, training] = self._whole_pairs(sets, both, training) if self.paired else both
        return self._rendered[split, training]

    def _render(self, side: str, images: ImageSet, training: bool) -> Rendered:
        spec = replace(self.resize_spec(side, training), shortcut=self._same_format)
        return render(images, spec, self.cache, self.cache_dir)

    def _whole_pairs(
        self, sets: Mapping[str, ImageSet], both: dict[str, Rendered], training: bool
    ) -> dict[str, Rendered]:
        """Leaves out pairs with an unreadable half.

        Raises:
            UserError: if the halves of a pair differ in size.
        """
        readable = set(both["a"].scan.rows) & set(both["b"].scan.rows)
        unreadable = {**both["a"].scan.unreadable, **both["b"].scan.unreadable}
        for side in "ab":
            if len(both[side]) > len(readable):
                both[side] = self._render(side, sets[side].take(np.array(sorted(readable))), training)
            both[side] = replace(both[side], scan=replace(both[side].scan, unreadable=unreadable))
        self._check_sizes(both)
        return both

    def _check_sizes(self, both: Mapping[str, Rendered]) -> None:
        if (both["a"].shapes != both["b"].shapes).any():
            raise UserError(
                f"data.preprocess={self.preprocess} leaves halves of pairs in {self.name} that differ in size: "
                "give data.preprocess=resize_and_crop."
            )

    def crop_grid(self, side: str) -> int:
        """Returns what the places of a domain's random crops are multiples of, in pixels."""
        return 1

    def names(self, side: str, split: str) -> list[str]:
        """Returns the names of a domain's images in a split, without ending; none if they are not in files."""
        images, rows = self._splits[side][split], self.rendered(split, training=False)[side].scan.rows
        if not isinstance(images, ImageFiles):
            return []
        return [PurePosixPath(images.entries[row].parts[-1]).stem for row in rows]

    def prepare_data(self) -> None:
        """Downloads and decodes what is missing, on one rank, and logs a summary."""
        for split in SPLITS:
            for side, rendered in self.rendered(split, training=split == "train").items():
                log_summary(f"{self.name}, {side}, {split}", rendered)
        for side, found in self._ids.items():
            if not misfit(found, self.domains[side], side):  # training refuses the others
                rank_zero_info(f"Data {self.name}, {side}: {describe_ids(found, self.domains[side])}.")

    def setup(self, stage: str) -> None:
        """Reads the data.

        Raises:
            UserError: before training, if label maps have other ids than their classes.
        """
        for split in SPLITS:
            self.rendered(split, training=split == "train")
        if stage == "fit":
            for side, found in self._ids.items():
                check_ids(found, self.domains[side], f"data.domains.{side}")

    @cached_property
    def _ids(self) -> dict[str, dict[int, int]]:
        """Pixels by class id in the label maps of both splits, by domain."""
        splits = [self.rendered(split, training=split == "train") for split in SPLITS]
        return {side: count_ids([both[side] for both in splits]) for side in "ab" if self.domains[side].labels}

    def train_dataloader(self) -> KeyedLoader:
        """Returns batches of this rank's part, from the module's ``iteration`` on; see ``KeyedLoader``.

        Raises:
            UserError: if a domain has fewer images than a batch takes, the ranks cannot share a batch evenly, or a
                batch would have images of different sizes.
        """
        both, position = self.rendered("train", training=True), sampler_position(self.trainer)
        names = self.names_in_pairs if self.paired else {"a": "a", "b": "b"}
        images, samplers = {}, {}
        longest = max(map(len, both.values()))
        for number, (name, side) in enumerate(names.items()):
            # The halves of pairs have one order; unpaired domains of equal length must not.
            seed = self.seed if self.paired else _domain_seed(self.seed, number)
            images[name] = RandomCropFlip(both[side], self.flip, seed, self.crop_grid(side))
            few = len(both[side]) < self.batch_size <= longest and not self.paired  # such as one picture of a style
            rows = round_up(self.batch_size, len(both[side])) if few else len(both[side])
            samplers[name] = EpochBatchSampler(rows, self.batch_size, seed, **position)
            self._check_one_size(both[side], samplers[name].per_rank)
        return KeyedLoader(DomainBatches(images), ZippedBatches(samplers), self.workers, self.trainer)

    def _check_one_size(self, rendered: Rendered, per_rank: int) -> None:
        if per_rank > 1 and rendered.spec.size is None and rendered.one_size is None:
            raise UserError(
                f"data.preprocess={self.preprocess} leaves images of different sizes, and {per_rank} of them cannot "
                "share a batch: give batch_size=1 on each device, or data.preprocess=resize_and_crop."
            )

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        sides = self.names_in_pairs
        encoded = {name: self.domains[sides.get(name, name)].encode(pixels) for name, pixels in batch.items()}
        if self.paired and self.domains["a"].instances:
            encoded["instances"] = batch[next(iter(sides))][:, 1:2]
        return encoded

    def identities(self) -> dict[str, Identity]:
        """Returns what each split of each domain is known again by: "train, a", …."""
        return {
            f"{split}, {side}": rendered.identity()
            for split in SPLITS
            for side, rendered in self.rendered(split, training=split == "train").items()
        }

    def describe(self) -> dict[str, object]:
        """Returns plain facts about both domains for an evaluation protocol."""
        return {"name": self.name, "paired": self.paired, **{side: self.sides[side].describe() for side in "ab"}}


def _domain(
    side: str,
    channels: int = 3,
    labels: int = 0,
    ids: Sequence[int] | None = None,
    unknown: bool = False,
    instances: bool = False,
) -> Domain:
    if channels not in (1, 3):
        raise UserError(f"data.domains.{side}.channels={channels} is not valid: images are grey (1) or RGB (3).")
    if not 0 <= labels <= 255:
        raise UserError(f"data.domains.{side}.labels={labels} is not valid: give the number of classes, at most 255.")
    if ids and (len(set(ids)) != labels or len(ids) != labels or not all(0 <= number <= 255 for number in ids)):
        raise UserError(
            f"data.domains.{side}.ids={list(ids)} is not valid: give the id, 0 to 255, of each of the {labels} classes."
        )
    return Domain(channels, labels, ids or (), unknown, instances)


def _load_size(load_size: int | Sequence[int] | None, size: int | Sequence[int], preprocess: str) -> tuple[int, int]:
    """The (H, W) that random crops are taken from."""
    if load_size is None:
        return with_crop_margin(parse_size(size))
    if "crop" not in preprocess:
        raise UserError(
            f"data.load_size={load_size} has no effect, because data.preprocess={preprocess} does not crop: set "
            "data.size instead."
        )
    parsed = parse_size(load_size, "data.load_size")
    if any(room < side for room, side in zip(parsed, parse_size(size), strict=True)):
        raise UserError(f"data.load_size={load_size} is less than data.size={size}: give a larger one.")
    return parsed


def _domain_seed(seed: int, number: int) -> int:
    """Derives a seed for each domain of a run."""
    return int(keyed_uniform(np.array([number]), seed)[0] * 2**53)
