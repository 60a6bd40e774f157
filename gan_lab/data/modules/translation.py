"""The data module of two domains: what training, metrics and callbacks see of them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from typing import Any

import numpy as np
from lightning.pytorch import LightningDataModule

from gan_lab.common.capabilities import RealImages
from gan_lab.common.domains import Domain
from gan_lab.common.errors import UserError
from gan_lab.common.types import Batch
from gan_lab.data.loading.batches import SideBatches, Views
from gan_lab.data.loading.cache import Ragged, Rendered, render
from gan_lab.data.loading.keyed import Abreast, KeyedBatches, KeyedLoader, keyed_uniform, position
from gan_lab.data.loading.splits import SPLITS, Side, check_choice, check_counts, enlarged, sides, tell, train_and_test
from gan_lab.data.reading.pictures import Frame, Pictures, TwoSided

PREPROCESS = {
    "resize_and_crop": "stretch",
    "crop": "keep",
    "scale_width": "width",
    "scale_width_and_crop": "width",
    "scale_shortside": "shortside",
    "none": "keep",
}
"""How each mode brings pictures to the box; those with "crop" in the name then train on random parts of the size."""
PAIR = {"source": "a", "target": "b"}


class TranslationDataModule(LightningDataModule):
    """Pictures of domains "a" and "b", decoded once (satisfies ``gan_lab.common.capabilities.TwoDomains``).

    Batches are ``a`` and ``b`` (N, depth, H, W) where they are unpaired, ``source`` and ``target`` where they are
    paired, as ``Domain.encode`` makes them. Unpaired sides are drawn independently, each without repetition until it is
    used up, and an epoch is as long as the larger of them; the halves of a pair share crop and flip.

    Metrics and callbacks see whole pictures at the size, not parts of enlarged ones.

    Args:
        source: where the pictures come from.
        name: of the set, in logs and run folders.
        domains: ``Domain``'s arguments for "a" and "b".
        paired: whether row i of "a" belongs to row i of "b".
        size: side in pixels, or [H, W].
        batch_size: over all ranks.
        seed: of the orders, the crops and the flips.
        limit: trains on so many pictures of each side, chosen at random by ``split_seed``.
        flip: mirrors pictures from left to right at random.
        preprocess: "resize_and_crop" to ``load_size``, without regard to proportions, and a random part; "crop", a
            random part at the picture's own scale; "scale_width" to the size's width and "scale_width_and_crop" to that
            of ``load_size`` and a random part; "scale_shortside" to the size's shorter side; "none". Whole pictures get
            sides that are multiples of 4.
        load_size: side, or [H, W], that a random part is taken from; None stands for 286/256 of ``size``.
        workers: processes that make batches.
        cache, cache_dir: see ``ImageDataModule``.
        split_seed: of held-out pictures and of ``limit``.

    Raises:
        UserError: for a value that cannot work; when the data are read, for what the source refuses, if more than 1 %
            of a side cannot be read, and if the halves of a pair differ in size.
    """

    def __init__(
        self,
        source: TwoSided,
        name: str,
        domains: Mapping[str, Mapping[str, int]],
        paired: bool,
        size: int | Sequence[int],
        batch_size: int,
        seed: int = 0,
        limit: int | None = None,
        flip: bool = True,
        preprocess: str = "resize_and_crop",
        load_size: int | Sequence[int] | None = None,
        workers: int = 0,
        cache: str = "auto",
        cache_dir: str | None = None,
        split_seed: int = 0,
    ) -> None:
        super().__init__()
        check_choice("preprocess", preprocess, tuple(PREPROCESS))
        check_choice("cache", cache, ("auto", "memory", "disk"))
        check_counts(batch_size=batch_size, limit=limit)
        self.source, self.name, self.paired, self.preprocess = source, name, paired, preprocess
        self.domains = {side: _domain(side, **domains[side]) for side in "ab"}
        self.size = sides(size)
        if load_size is not None and "crop" not in preprocess:
            raise UserError(
                f"data.load_size serves where parts are cropped; data.preprocess={preprocess} goes by data.size."
            )
        self.load_size = enlarged(self.size) if load_size is None else sides(load_size, "load_size")
        if any(room < side for room, side in zip(self.load_size, self.size, strict=True)):
            raise UserError(f"data.load_size={load_size} is less than data.size={size}: give one that is not.")
        self.batch_size, self.workers, self.seed, self.split_seed = batch_size, workers, seed, split_seed
        self.limit, self.flip, self.cache, self.cache_dir = limit, flip, cache, cache_dir
        self._rendered: dict[tuple[str, bool], dict[str, Rendered]] = {}
        self.sides: Mapping[str, RealImages] = {side: self._side(side) for side in "ab"}

    def _side(self, side: str) -> Side:
        facts = {
            "domain": side,
            "labels": self.domains[side].labels,
            "paired": self.paired,
            "preprocess": self.preprocess,
            "load_size": list(self.load_size),
            **{"limit": self.limit, "flip": self.flip, "split_seed": self.split_seed},
        }
        rendered = partial(self._whole, side)
        return Side(str(self.name), rendered, self.domains[side].stored_channels, self.size, facts)

    def frame(self, side: str, training: bool) -> Frame:
        """What pictures of a side are before random crops and flips, or else as metrics see them."""
        part = training and "crop" in self.preprocess
        box, how, domain = self.load_size if part else self.size, PREPROCESS[self.preprocess], self.domains[side]
        whole = self.size if how == "stretch" else None
        return Frame(self.size if part else whole, box, domain.stored_channels, how, ids=domain.labels > 0)

    @cached_property
    def _splits(self) -> dict[str, dict[str, Pictures]]:
        """Splits of each side."""
        found = self.source.sides()
        return {side: train_and_test(found[side], str(self.name), self.limit, self.split_seed) for side in "ab"}

    def _whole(self, side: str, split: str) -> Rendered:
        check_choice("split", split, SPLITS)
        return self.rendered(split, training=False)[side]

    def rendered(self, split: str, training: bool) -> dict[str, Rendered]:
        """The pixels of both sides of a split, decoded now if they were not before."""
        if (split, training) not in self._rendered:
            pictures = {side: self._splits[side][split] for side in "ab"}
            both = {side: self._render(side, pictures[side], training) for side in "ab"}
            self._rendered[split, training] = self._pairs(pictures, both, training) if self.paired else both
        return self._rendered[split, training]

    def _render(self, side: str, pictures: Pictures, training: bool) -> Rendered:
        return render(pictures, self.frame(side, training), self.cache, self.cache_dir)

    def _pairs(
        self, pictures: Mapping[str, Pictures], both: dict[str, Rendered], training: bool
    ) -> dict[str, Rendered]:
        """Both halves, without the pairs of which one cannot be read.

        Raises:
            UserError: if the halves differ in size.
        """
        readable = set(both["a"].scan.rows) & set(both["b"].scan.rows)
        unreadable = {**both["a"].scan.unreadable, **both["b"].scan.unreadable}
        for side in "ab":
            if len(both[side]) > len(readable):
                both[side] = self._render(side, pictures[side].take(np.array(sorted(readable))), training)
            both[side] = replace(both[side], scan=replace(both[side].scan, unreadable=unreadable))
        if (both["a"].shapes != both["b"].shapes).any():
            raise UserError(
                f"data.preprocess={self.preprocess} leaves halves of pairs in {self.name} that differ in size: "
                "give data.preprocess=resize_and_crop."
            )
        return both

    def prepare_data(self) -> None:
        """Fetches and decodes what is not yet there, on one rank, and says what was found."""
        for split in SPLITS:
            for side, rendered in self.rendered(split, training=split == "train").items():
                tell(f"{self.name}, {side}, {split}", rendered)

    def setup(self, stage: str) -> None:
        for split in SPLITS:
            self.rendered(split, training=split == "train")

    def train_dataloader(self) -> KeyedLoader:
        """Batches of this rank's part, without end, from the one that the module's ``iteration`` counts.

        Raises:
            UserError: if a side has fewer pictures than a batch takes, the ranks cannot share one evenly, or pictures
                of different sizes would have to.
        """
        both, place = self.rendered("train", training=True), position(self.trainer)
        names = PAIR if self.paired else {"a": "a", "b": "b"}
        views, streams = {}, {}
        for number, (name, side) in enumerate(names.items()):
            # The halves of pairs are drawn alike; sides of equal length must not be.
            seed = self.seed if self.paired else _stream(self.seed, number)
            views[name] = Views(both[side], self.flip, seed)
            streams[name] = KeyedBatches(len(both[side]), self.batch_size, seed, **place)
            self._check_sizes(both[side], streams[name].part)
        return KeyedLoader(SideBatches(views), Abreast(streams), self.workers)

    def _check_sizes(self, rendered: Rendered, together: int) -> None:
        if together > 1 and rendered.frame.size is None and isinstance(rendered.pixels, Ragged):
            raise UserError(
                f"data.preprocess={self.preprocess} leaves pictures of different sizes, and {together} of them cannot "
                "share a batch: give batch_size=1 on each device, or data.preprocess=resize_and_crop."
            )

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        return {name: self.domains[PAIR.get(name, name)].encode(pixels) for name, pixels in batch.items()}

    def describe(self) -> dict[str, Any]:
        """Plain facts of both sides for a protocol."""
        return {"name": self.name, "paired": self.paired, **{side: self.sides[side].describe() for side in "ab"}}


def _domain(side: str, channels: int = 3, labels: int = 0) -> Domain:
    if channels not in (1, 3):
        raise UserError(
            f"data.domains.{side}.channels={channels} does not serve: pictures are grey (1) or in colour (3)."
        )
    if not 0 <= labels <= 255:
        raise UserError(f"data.domains.{side}.labels={labels} does not serve: give the number of classes, at most 255.")
    return Domain(channels, labels)


def _stream(seed: int, number: int) -> int:
    """A seed of its own for each of a run's streams."""
    return int(keyed_uniform(np.array([number]), seed)[0] * 2**53)
