"""The data module of many domains: labelled images, in which every domain is drawn equally often."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np

from gan_lab.common.bounds import Natural, PositiveInt, Seed
from gan_lab.common.class_names import listed
from gan_lab.common.errors import UserError
from gan_lab.common.images import to_float
from gan_lab.common.types import Batch
from gan_lab.data.checks import check_choice
from gan_lab.data.loading.balanced import DomainDraws, DrawSampler
from gan_lab.data.loading.cache import render
from gan_lab.data.loading.loader import KeyedLoader, sampler_position
from gan_lab.data.loading.rendered import Rendered
from gan_lab.data.loading.resized_crops import ResizedCropFlip
from gan_lab.data.loading.splits import held_out_of_each_class, with_crop_margin
from gan_lab.data.modules.images import ImageDataModule
from gan_lab.data.reading.image_sets import ImageSet, ImageSource

IMAGES = ("image", "reference", "second_reference")
"""Names of images in a batch."""


class DomainsDataModule(ImageDataModule):
    """Images of many domains, which are their classes (satisfies ``gan_lab.common.capabilities.LabelledImages``).

    Batches have ``image`` float32 (N, C, H, W) in [-1, 1] and ``label`` int64 (N,); with references also ``reference``
    and ``second_reference`` (N, C, H, W), two different images of the domain ``to`` int64 (N,). Images and references
    are drawn independently. Every domain is equally likely, and its images are drawn in random order, none again before
    all were. An epoch is as many draws as there are images.

    With attributes, domains are combinations of them: batches have ``attributes`` float32 (N, A) of 0 and 1, the binary
    digits of the labels, no references, and every image is equally likely.

    If the set has no test split, a tenth of each domain is held out.

    Args:
        source, name, channels, size, batch_size, workers, cache, cache_dir, split_seed: see ``ImageDataModule``.
        classes: number of domains; None takes what the source has.
        seed: of the draws, the crops and the flips.
        limit: trains on this many images, chosen at random by ``split_seed``.
        flip: mirrors images horizontally at random.
        crop: "resized" takes random crops of 80 to 100 % of the area of half of the images, as StarGAN v2 does;
            "center" none.
        references: batches have references.
        attributes: A, if domains are combinations of attributes; else 0.

    Raises:
        UserError: for invalid values; when the data are read, for what the source refuses, if there are no two domains,
            and if a domain has too few training images.
    """

    among_domains = True

    def __init__(
        self,
        source: ImageSource,
        name: str,
        channels: PositiveInt,
        classes: Natural | None,
        size: PositiveInt | Sequence[PositiveInt],
        batch_size: PositiveInt,
        seed: Seed = 0,
        limit: PositiveInt | None = None,
        flip: bool = True,
        crop: str = "resized",
        references: bool = True,
        workers: Natural = 0,
        cache: str = "auto",
        cache_dir: str | None = None,
        split_seed: Seed = 0,
        attributes: Natural = 0,
    ) -> None:
        check_choice("crop", crop, ("resized", "center"))
        super().__init__(
            source, name, channels, classes, size, batch_size, seed, limit, flip, "center", workers, cache, cache_dir,
            split_seed,
        )  # fmt: skip
        if references and attributes:
            raise UserError(
                "References are images of one domain, and several attributes have none: give data.references=false, or "
                "one column of the table."
            )
        if classes is not None and classes < 2:
            raise UserError(f"data.classes={classes} is not valid for translation among domains: give at least 2.")
        self.resized_crops, self.references, self.attributes = crop == "resized", references, attributes

    def _with_test_split(self, splits: Mapping[str, ImageSet]) -> Mapping[str, ImageSet]:
        return held_out_of_each_class(splits["all"], self.split_seed) if "all" in splits else splits

    @cached_property
    def _wide(self) -> Rendered | None:
        """The training images in a size from which no crop is enlarged."""
        if not self.resized_crops:
            return None
        spec = replace(self._decoding_spec, size=None, target_size=with_crop_margin(self.size))
        return render(self._splits["train"], spec, self.cache, self.cache_dir)

    def prepare_data(self) -> None:
        """Downloads and decodes what is missing, on one rank, and logs a summary."""
        super().prepare_data()
        assert self._wide is None or len(self._wide)

    def setup(self, stage: str) -> None:
        """Reads the data.

        Raises:
            UserError: before training, if a domain has too few images.
        """
        super().setup(stage)
        if stage == "fit" and not self.attributes:
            self._check_counts()

    def _check_counts(self) -> None:
        counts = np.bincount(self.labels("train").numpy(), minlength=self.classes)
        names = self.class_names or [str(number) for number in range(self.classes)]
        least = 2 if self.references else 1
        few = [f"{names[number]} ({counts[number]})" for number in np.flatnonzero(counts < least)]
        if few:
            why = ", because references are two different ones" if self.references else ""
            raise UserError(
                f"Too few training images of {listed(few)}: give at least {least} of each domain that can be read{why}."
            )

    def train_dataloader(self) -> KeyedLoader:
        """Returns batches of this rank's part, from the module's ``iteration`` on; see ``KeyedLoader``.

        Raises:
            UserError: if the ranks cannot share a batch evenly.
        """
        train = self.decoded("train")
        assert train.labels is not None
        images = ResizedCropFlip(train, self._wide, self.flip, self.seed)
        draws = DomainDraws(images, train.labels, self.seed, self.references, self.attributes)
        batches = DrawSampler(len(train), self.batch_size, **sampler_position(self.trainer))
        return KeyedLoader(draws, batches, self.workers, self.trainer)

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        return {name: to_float(value) if name in IMAGES else value for name, value in batch.items()}

    def describe(self) -> dict[str, object]:
        """Returns plain facts for an evaluation protocol, the number of images of each domain among them."""
        counts = {
            split: np.bincount(self.labels(split), minlength=self.classes).tolist() for split in ("train", "test")
        }
        return super().describe() | {"domains": counts, "resized_crops": self.resized_crops}
