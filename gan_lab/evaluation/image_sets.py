"""Image sets to be evaluated: numbered batches that ranks take in turn."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from gan_lab.common.capabilities import RealImages, Reconstructs, Samples
from gan_lab.common.distributed import rank_and_world_size
from gan_lab.common.domains import Domain
from gan_lab.common.images import to_float, to_uint8
from gan_lab.common.precision import full_precision
from gan_lab.common.progress import track
from gan_lab.common.stopping import in_rounds
from gan_lab.data.subsets import capped_count, evenly_spaced, evenly_spaced_numbers, shared_blocks


@runtime_checkable
class HasLabels(Protocol):
    """Data whose items may have classes."""

    classes: int
    """K, or 0 for unlabelled data."""

    def labels(self, split: str) -> Tensor:
        """Returns the classes of a split's items, int64 (N,)."""


@runtime_checkable
class HasSizes(Protocol):
    """Data whose images may have other sizes than the data are set to."""

    def one_size(self, split: str) -> tuple[int, int] | None:
        """Returns the height and width of the images of a split; None if they differ."""


def visible_shape(data: RealImages, split: str, domain: Domain | None = None) -> tuple[int, int, int] | None:
    """Returns the shape (C, H, W) of a split's images as they are shown; None if it is not the same for all."""
    size = data.one_size(split) if isinstance(data, HasSizes) else (data.height, data.width)
    channels = data.channels if domain is None else 3 if domain.labels else domain.channels
    return None if size is None else (channels, *size)


class ImageSet(ABC):
    """A set of n numbered images, or clips.

    Attributes:
        name: the name of the set, shown at the progress bar.
        n: the number of images.
        shape: (C, H, W), or None if it is not the same for all.
        labels: the classes of the images, int64 (n,), or None if they have none.
        class_names: names of the classes, in the order of their numbers; empty if they are not known.
        key: plain values that identify the set's pixels, under which statistics are cached; None turns caching off.
    """

    name: str
    n: int
    shape: tuple[int, int, int] | None = None
    labels: Tensor | None = None
    class_names: Sequence[str] = ()
    key: Sequence[object] | None = None

    @abstractmethod
    def batches(self, progress: bool) -> Iterator[tuple[Tensor, Tensor]]:
        """Yields this rank's share: numbers (m,), and uint8 images (m, C, H, W) or clips (m, T, C, H, W)."""


class SelectableImageSet(ImageSet):
    """An image set whose images can be selected by number."""

    @abstractmethod
    def select(self, numbers: Tensor) -> Tensor:
        """Returns the images with the numbers (m,), uint8 (m, C, H, W)."""


class SplitImages(SelectableImageSet):
    """The images of a split, or a subset evenly spaced over it, numbered from 0.

    Args:
        data: the data module.
        split: "train", "test" or "whole".
        limit: maximal number of images; None takes all.
        domain: the images' domain if the data module does not know it; label maps are shown in their classes' colours.
    """

    def __init__(self, data: RealImages, split: str, limit: int | None = None, domain: Domain | None = None) -> None:
        self.name, self.data, self.split, self.domain = str(getattr(data, "name", "")), data, split, domain
        count = data.count(split)
        self.n = min(count, limit or count)
        self.selected = evenly_spaced_numbers(count, self.n)
        self.shape = visible_shape(data, split, domain)
        shown = [*domain.ids] if domain and domain.ids else domain.labels if domain else 0
        unknown = ["unknown"] if domain and domain.unknown else []  # it is shown in black
        self.key = ["real", data.fingerprint(split), self.n, shown, *unknown]
        self.labels = data.labels(split)[self.selected] if isinstance(data, HasLabels) and data.classes else None
        self.class_names = list(getattr(data, "class_names", ()))

    def batches(self, progress: bool) -> Iterator[tuple[Tensor, Tensor]]:
        """Yields this rank's share: numbers (m,) and uint8 images (m, C, H, W)."""
        (rank, world), parts = rank_and_world_size(), evenly_spaced(self.data, self.split, self.n)
        parts = track(parts, "real images", self.n, progress and rank == 0, lambda part: len(part[1]))
        for number, (start, images) in enumerate(in_rounds(parts, world)):
            if number % world == rank:
                yield torch.arange(start, start + len(images)), self._visible(images)

    def select(self, numbers: Tensor) -> Tensor:
        """Returns the images with the numbers (m,), uint8 (m, C, H, W); reads the split up to the last of them."""
        assert self.shape is not None, "Images of different sizes cannot be selected."
        wanted = self.selected[numbers]
        found, start = torch.zeros(len(numbers), *self.shape, dtype=torch.uint8), 0
        for images in self.data.images(self.split, int(wanted.max()) + 1):
            here = (wanted >= start) & (wanted < start + len(images))
            found[here] = self._visible(images[wanted[here] - start])
            start += len(images)
        return found

    def _visible(self, images: Tensor) -> Tensor:
        return images if self.domain is None else visible_pixels(self.domain, images)


def visible_pixels(domain: Domain, pixels: Tensor) -> Tensor:
    """Converts stored pixels (N, C, H, W) into uint8 images (N, 1 or 3, H, W), label maps in colour."""
    return to_uint8(domain.visualize(domain.encode(pixels))) if domain.labels else pixels


class SampledImages(SelectableImageSet):
    """Samples 0 … n - 1 of a seed.

    Args:
        model: the sampler; sample i of a class-conditional one is of class i mod K.
        shape: (C, H, W).
        n: the number of samples.
        seed: seed of the samples.
        truncation: in (0, 1], shrinks the latents.
        batch_size: samples generated at once.
        key: see ``ImageSet``.
        name: see ``ImageSet``.
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
        self.seed, self.truncation, self.batch_size = seed, truncation, batch_size
        classes = num_classes(model)
        self.labels = torch.arange(n) % classes if classes else None

    def batches(self, progress: bool) -> Iterator[tuple[Tensor, Tensor]]:
        """Yields this rank's share: numbers (m,) and uint8 images (m, C, H, W)."""
        for start, count in shared_blocks(self.n, self.batch_size, self.name, progress):
            yield torch.arange(start, start + count), self._sample(start, count)

    def select(self, numbers: Tensor) -> Tensor:
        """Generates the samples with the numbers (m,), one at a time; uint8 (m, C, H, W) on the CPU."""
        return torch.cat([self._sample(number, 1) for number in numbers.tolist()]).cpu()

    @torch.no_grad()
    @full_precision()
    def _sample(self, start: int, count: int) -> Tensor:
        return to_uint8(self.model.sample(count, seed=self.seed, start=start, truncation=self.truncation))


class ReconstructedImages(ImageSet):
    """A model's reconstructions of images evenly spaced over a split.

    Args:
        model: the model.
        data: the data module.
        split: "train", "test" or "whole".
        n: maximal number of images; None takes all.
        batch_size: images reconstructed at once.
    """

    name = "reconstructions"

    def __init__(
        self, model: Reconstructs, data: RealImages, split: str = "test", n: int | None = None, batch_size: int = 256
    ) -> None:
        self.model, self.data, self.split, self.batch_size = model, data, split, batch_size
        self.n = capped_count(data, split, n)
        self.shape = (data.channels, data.height, data.width)

    def batches(self, progress: bool) -> Iterator[tuple[Tensor, Tensor]]:
        """Yields this rank's share: numbers (m,) and uint8 images (m, C, H, W)."""
        for index, images, label in model_inputs(
            self.model, self.data, self.split, self.n, self.batch_size, self.name, progress
        ):
            with torch.no_grad(), full_precision():
                reconstructed = self.model.reconstruct(images, label)
            yield index, to_uint8(reconstructed)


class NumberedImages(Protocol):
    """Images that are stored under consecutive numbers."""

    def part(self, start: int, n: int) -> Tensor:
        """Returns the images start … start + n - 1, uint8 (n, C, H, W)."""


class StoredSampler:
    """Presents stored images as a model's samples: sample i is image i, for every seed.

    Args:
        data: the images.
        device: the device that metrics are computed on.
        key: identifies the images, so that their statistics are cached; None turns caching off.
    """

    def __init__(self, data: NumberedImages, device: torch.device, key: Sequence[object] | None = None) -> None:
        self.data, self.device, self.key = data, device, key

    def sample(
        self, n: int, seed: int = 0, start: int = 0, label: int | Tensor | None = None, truncation: float = 1.0
    ) -> Tensor:
        """Returns the images start … start + n - 1, float32 (n, C, H, W) in [-1, 1]; label, a class or int64 (n,), and
        the other arguments are ignored.
        """
        return to_float(self.data.part(start, n))


def num_classes(model: object) -> int:
    """Returns the number of classes that a model is conditioned on, 0 if it is unconditional."""
    return int(getattr(model, "classes", 0))


def device_of(model: object) -> torch.device:
    """Returns the device of a model, the CPU if it has none."""
    return torch.device(getattr(model, "device", "cpu"))


def labels_match(model: object, data: object) -> bool:
    """Tells whether the data are images, labelled with the model's classes if it is class-conditional."""
    classes = num_classes(model)
    return isinstance(data, RealImages) and (not classes or (isinstance(data, HasLabels) and data.classes == classes))


def model_inputs(
    model: object, data: RealImages, split: str, n: int, size: int, description: str, progress: bool = True
) -> Iterator[tuple[Tensor, Tensor, Tensor | None]]:
    """Yields a rank's share of n images evenly spaced over a split, as inputs of a model.

    Each item holds the images' numbers (m,), the images as float32 (m, C, H, W) in [-1, 1] on the model's device, and
    their classes (m,) for a class-conditional model, else None.

    Args:
        model: the model.
        data: the data module, with labels if the model is class-conditional.
        split: "train", "test" or "whole".
        n: the number of images.
        size: maximal number of images in an item.
        description: text at the progress bar.
        progress: show a progress bar.
    """
    (rank, world), device = rank_and_world_size(), device_of(model)
    labels = None
    if num_classes(model) and isinstance(data, HasLabels):
        labels = data.labels(split)[evenly_spaced_numbers(data.count(split), n)]
    parts = track(
        evenly_spaced(data, split, n, size), description, n, progress and rank == 0, lambda part: len(part[1])
    )
    for number, (start, images) in enumerate(in_rounds(parts, world)):
        if number % world == rank:
            index = torch.arange(start, start + len(images))
            yield index, to_float(images.to(device)), None if labels is None else labels[index].to(device)
