"""Where pictures to be measured come from: numbered batches that ranks take in turn."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from gan_lab.common.capabilities import RealImages, Reconstructs, Samples
from gan_lab.common.distributed import rank_and_world_size
from gan_lab.common.domains import Domain
from gan_lab.common.images import to_float, to_uint8
from gan_lab.common.precision import full_precision
from gan_lab.common.progress import track
from gan_lab.data.sources.folders import IndexedView
from gan_lab.data.subsets import capped_count, evenly_spaced, evenly_spaced_numbers, shared_blocks


class ImageSet(ABC):
    """A set of n numbered pictures.

    Attributes:
        name: of the set.
        n: how many there are.
        shape: (C, H, W), where all have one.
        labels: their classes (n,), where they have any.
        key: what tells the set from any other, in plain values, so that what is known of it is kept; None: it is not.
    """

    name: str
    n: int
    shape: tuple[int, int, int] | None = None
    labels: Tensor | None = None
    key: Sequence[object] | None = None

    @abstractmethod
    def batches(self, progress: bool) -> Iterator[tuple[Tensor, Tensor]]:
        """Numbers (m,) of this rank's share, and uint8 pictures (m, C, H, W)."""


class SelectableImageSet(ImageSet):
    """A set whose pictures can be had one by one."""

    @abstractmethod
    def pick(self, numbers: Tensor) -> Tensor:
        """The pictures of these numbers (m,), uint8 (m, C, H, W)."""


class SplitImages(SelectableImageSet):
    """The pictures of a split, or some that are evenly spread over it, numbered anew.

    Args:
        data: the set.
        split: "train", "test" or "whole".
        limit: so many at most.
        domain: what the pictures are of, where it is not said by the set: of label maps, the classes' colours are seen.
    """

    def __init__(self, data: RealImages, split: str, limit: int | None = None, domain: Domain | None = None) -> None:
        self.name, self.data, self.split, self.domain = str(getattr(data, "name", "")), data, split, domain
        count = data.count(split)
        self.n = min(count, limit or count)
        self.chosen = evenly_spaced_numbers(count, self.n)
        channels = data.channels if domain is None else 3 if domain.labels else domain.channels
        self.shape: tuple[int, int, int] = (channels, data.height, data.width)
        self.key = ["real", data.fingerprint(split), self.n, domain.labels if domain else 0]
        self.labels = data.labels(split)[self.chosen] if hasattr(data, "labels") and data.classes else None

    def batches(self, progress: bool) -> Iterator[tuple[Tensor, Tensor]]:
        (rank, world), given = rank_and_world_size(), evenly_spaced(self.data, self.split, self.n)
        parts = track(given, "real pictures", self.n, progress and rank == 0, lambda part: len(part[1]))
        for number, (start, images) in enumerate(parts):
            if number % world == rank:
                yield torch.arange(start, start + len(images)), self._seen(images)

    def pick(self, numbers: Tensor) -> Tensor:
        wanted = self.chosen[numbers]
        found, start = torch.zeros(len(numbers), *self.shape, dtype=torch.uint8), 0
        for images in self.data.images(self.split, int(wanted.max()) + 1):
            here = (wanted >= start) & (wanted < start + len(images))
            found[here] = self._seen(images[wanted[here] - start])
            start += len(images)
        return found

    def _seen(self, images: Tensor) -> Tensor:
        return images if self.domain is None else seen(self.domain, images)


def seen(domain: Domain, pixels: Tensor) -> Tensor:
    """Pixels as they are stored → uint8 pictures (N, 1 or 3, H, W) that an extractor takes: maps in their colours."""
    return to_uint8(domain.visualize(domain.encode(pixels))) if domain.labels else pixels


class SampledImages(SelectableImageSet):
    """Samples 0 … n - 1 of a seed.

    Args:
        model: sample i of one with classes is of class i mod K.
        shape: (C, H, W).
        key: see ``ImageSet``.
        name: beside the bar.
    """

    def __init__(
        self,
        model: Samples,
        shape: tuple[int, int, int] | None,
        n: int,
        seed: int = 0,
        truncation: float = 1.0,
        batch_size: int = 256,
        key: Sequence[object] | None = None,
        name: str = "samples",
    ) -> None:
        self.model, self.shape, self.n, self.key, self.name = model, shape, n, key, name
        self.how: dict[str, Any] = {"seed": seed, "truncation": truncation}
        self.batch_size = batch_size
        kinds = getattr(model, "classes", 0)
        self.labels = torch.arange(n) % kinds if kinds else None

    def batches(self, progress: bool) -> Iterator[tuple[Tensor, Tensor]]:
        for start, count in shared_blocks(self.n, self.batch_size, self.name, progress):
            with torch.no_grad(), full_precision():
                made = self.model.sample(count, start=start, **self.how)
            yield torch.arange(start, start + count), to_uint8(made)

    def pick(self, numbers: Tensor) -> Tensor:
        with torch.no_grad(), full_precision():
            each = [self.model.sample(1, start=number, **self.how) for number in numbers.tolist()]
        return to_uint8(torch.cat(each)).cpu()


class ReconstructedImages(ImageSet):
    """What a model makes again of pictures that are evenly spread over a split.

    Args:
        n: so many at most; None takes all.
    """

    name = "reconstructions"

    def __init__(
        self, model: Reconstructs, data: RealImages, split: str = "test", n: int | None = None, batch_size: int = 256
    ) -> None:
        self.model, self.data, self.split, self.batch_size = model, data, split, batch_size
        self.n = capped_count(data, split, n)
        self.shape = (data.channels, data.height, data.width)

    def batches(self, progress: bool) -> Iterator[tuple[Tensor, Tensor]]:
        for index, images, label in shown(
            self.model, self.data, self.split, self.n, self.batch_size, self.name, progress
        ):
            with torch.no_grad(), full_precision():
                made = self.model.reconstruct(images, label)
            yield index, to_uint8(made)


def labels_match(model: Any, data: Any) -> bool:
    """Whether the data are pictures, with the classes that the model is told, if it is told any."""
    classes = getattr(model, "classes", 0)
    return isinstance(data, RealImages) and (not classes or (hasattr(data, "labels") and data.classes == classes))


def shown(
    model: Any, data: Any, split: str, n: int, size: int, description: str, progress: bool = True
) -> Iterator[tuple[Tensor, Tensor, Tensor | None]]:
    """A rank's share of n pictures that are evenly spread over a split, as a model is shown them: their numbers (m,),
    float32 (m, C, H, W) in [-1, 1] on its device, and their classes (m,) where it is told them.

    Args:
        size: pictures in a part at most.
    """
    (rank, world), device = rank_and_world_size(), model.device
    told = data.labels(split)[evenly_spaced_numbers(data.count(split), n)] if getattr(model, "classes", 0) else None
    parts = track(
        evenly_spaced(data, split, n, size), description, n, progress and rank == 0, lambda part: len(part[1])
    )
    for number, (start, images) in enumerate(parts):
        if number % world == rank:
            index = torch.arange(start, start + len(images))
            yield index, to_float(images.to(device)), None if told is None else told[index].to(device)


class StoredSampler:
    """Stored images as if a model sampled them: sample i is image i, whatever the seed."""

    def __init__(self, data: IndexedView, device: torch.device) -> None:
        self.data, self.device = data, device

    def sample(
        self, n: int, seed: int = 0, start: int = 0, label: int | Tensor | None = None, truncation: float = 1.0
    ) -> Tensor:
        """Images start … start + n - 1, float32 (n, C, H, W) in [-1, 1]."""
        return to_float(self.data.part(start, n))
