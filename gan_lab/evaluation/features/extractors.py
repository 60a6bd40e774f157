"""Feature extractors: they map uint8 images or clips to features and logits in float32. Small ones are packaged.

Only metrics in Inception's features may be called FID, KID and IS; those of the others have names of their own, such as
``fd_grey`` or ``cs_colour``.
"""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar, cast

import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from gan_lab.common.bounds import Natural, PositiveInt
from gan_lab.common.deprecation import accept_old_methods
from gan_lab.common.errors import UserError
from gan_lab.common.images import to_float
from gan_lab.common.precision import full_precision
from gan_lab.networks.classifier import Classifier
from gan_lab.networks.clips import ClipClassifier

WEIGHTS = Path(__file__).parent / "weights"
NDIM = {"images": 4, "clips": 5}
"""Dimensions of a batch of the items that an extractor takes."""


class Extractor(nn.Module, ABC):
    """A feature extractor, always in evaluation mode, without gradients, and in float32 even under autocast.

    Attributes:
        name: the name that the user chooses it by: "grey", "colour", "video" or "inception".
        dim: the dimension of the features.
        classes: K, the number of logits.
        resizer: how images of other sizes become the network's input.
        sha256: of the weight file.
        published: by a metric's kind ("fd", "kd", "cs"), its name in the literature in these features: "fid" and so on
            for Inception only.
        items: what it takes: "images" (N, C, H, W) or "clips" (N, T, C, H, W).
        class_logits: by the name of a data set whose classes it knows, the slice of their logits.
        spread: the total variance of its features over the images that it was trained on; None if not known.
        least_variety: the share of that variance from which on images are of a kind that it knows.
        at_once: items that it takes at once on a CPU, where more need memory and are no faster; None takes all.
    """

    name: str
    dim: PositiveInt
    classes: Natural
    resizer: str
    sha256: str
    published: Mapping[str, str] = MappingProxyType({})
    items: ClassVar[str] = "images"
    class_logits: ClassVar[Mapping[str, slice]] = {}
    spread: float | None = None
    least_variety: ClassVar[float] = 0.5
    at_once: ClassVar[int | None] = None

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        accept_old_methods(cls, Extractor)

    def describe(self) -> dict[str, object]:
        """Returns plain values that the features depend on, for protocols and as a key of the cache."""
        return {key: getattr(self, key) for key in ("resizer", "sha256", "dim", "classes")}

    def metric_name(self, kind: str) -> str:
        """Returns the name of a metric in these features: ``fd_grey`` for "fd", or ``fid`` in Inception's."""
        return self.published.get(kind, f"{kind}_{self.name}")

    def knows(self, variance: float, data: str = "") -> bool:
        """Tells whether it can tell images of a set apart.

        Args:
            variance: the total variance of the features of the set's real images.
            data: the set's name.
        """
        return self.spread is None or data in self.class_logits or variance >= self.least_variety * self.spread

    def train(self, mode: bool = True) -> "Extractor":
        """Stays in evaluation mode."""
        return super().train(False)

    @torch.no_grad()
    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Computes features (N, dim) and logits (N, classes), float32.

        Args:
            images: uint8 images (N, C, H, W), or clips (N, T, C, H, W), with C = 1 or 3.

        Raises:
            TypeError: if they are not uint8.
            UserError: if they have another shape.
        """
        if images.dtype != torch.uint8:
            raise TypeError(f"An extractor takes uint8 images, but these are {images.dtype}.")
        if images.ndim != NDIM[self.items] or images.shape[-3] not in (1, 3):
            raise UserError(
                f"The extractor {self.name} takes {self.items} of 1 or 3 channels, not {tuple(images.shape)}."
            )
        size = self.at_once if images.device.type == "cpu" and self.at_once else max(len(images), 1)
        with torch.autocast(images.device.type, enabled=False), full_precision():
            parts = [self.extract(part) for part in images.split(size)]
        return parts[0] if len(parts) == 1 else (torch.cat([f for f, _ in parts]), torch.cat([k for _, k in parts]))

    @abstractmethod
    def extract(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Computes the features (N, dim) and logits (N, classes) of ``forward``, with gradients off and in full
        precision, from uint8 images (N, C, H, W) or clips.
        """


def luma(images: Tensor) -> Tensor:
    """Computes the luma, float32 (N, 1, H, W), of images (N, 1 or 3, H, W) in any range, by ITU-R BT.601."""
    if images.shape[1] == 1:
        return images.float()
    weights = torch.tensor((0.299, 0.587, 0.114), device=images.device)
    return torch.einsum("nchw,c->nhw", images.float(), weights).unsqueeze(1)


def resize(images: Tensor, size: int) -> Tensor:
    """Resizes images (N, C, H, W) to float32 (N, C, size, size), bilinear with antialiasing; that size is unchanged."""
    if images.shape[2:] == (size, size):
        return images.float()
    return F.interpolate(images.float(), (size, size), mode="bilinear", align_corners=False, antialias=True)


class PackagedExtractor(Extractor):
    """A small classifier of ours, in a safetensors file whose header has its widths (experiments/train_extractor.py).

    Args:
        weights: another file; None takes the packaged one.

    Raises:
        UserError: if the file cannot be read, or holds another extractor.
    """

    network_class: ClassVar[type[nn.Module]] = Classifier

    def __init__(self, weights: str | Path | None = None) -> None:
        super().__init__()
        self.header, state, self.sha256 = read_packaged(self.name, weights)
        widths = [int(width) for width in self.header["widths"].split(",")]
        self.classes, self.dim = int(self.header["classes"]), widths[-1]
        self.spread = spread_of(type(self), self.header, self.sha256)
        self.network = self.network_class(int(self.header["channels"]), self.classes, widths)
        self.network.load_state_dict(state)
        self.requires_grad_(False).eval()
        if self.items == "images":
            self.to(memory_format=torch.channels_last)  # 1/7 faster on a CPU

    def extract(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Computes features (N, dim) and logits (N, classes) of uint8 images (N, C, H, W) or clips."""
        prepared = self.prepare(images)
        if self.items == "images":
            prepared = prepared.contiguous(memory_format=torch.channels_last)
        return cast(tuple[Tensor, Tensor], self.network(prepared))

    @abstractmethod
    def prepare(self, images: Tensor) -> Tensor:
        """Maps uint8 images (N, 1 or 3, H, W) to the network's input (N, C, H', W'), float32 in [-1, 1]."""


def read_packaged(name: str, weights: str | Path | None = None) -> tuple[dict[str, str], dict[str, Tensor], str]:
    """Returns an extractor's header, its tensors and the SHA-256 of its file.

    Floating tensors are returned as float32; matrices are stored in float16.

    Args:
        name: the extractor's name.
        weights: another file; None takes the packaged one.

    Raises:
        UserError: if the file cannot be read, or holds another extractor.
    """
    path = Path(weights or WEIGHTS / f"{name}.safetensors")
    try:
        with safe_open(str(path), framework="pt") as file:
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a mapping)
            header = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path} cannot be read ({error}): leave it out to use the packaged file.") from error
    if header.get("name") != name:
        raise UserError(f"{path} does not hold the extractor {name}: leave it out to use the packaged file.")
    return header, {k: t.float() if t.is_floating_point() else t for k, t in tensors.items()}, sha256(path)


def spread_of(extractor: type[Extractor], header: Mapping[str, str], digest: str) -> float | None:
    """Returns the spread that the header of an extractor's file states, else that of its class if the file, with the
    SHA-256 ``digest``, is the packaged one; None if it is another, because its features have a spread of their own.
    """
    if "spread" in header:
        return float(header["spread"])
    packaged = WEIGHTS / f"{extractor.name}.safetensors"
    return extractor.spread if packaged.exists() and digest == sha256(packaged) else None


class Grey(PackagedExtractor):
    """Classifies MNIST's digits (logits 0 to 9) and Fashion-MNIST's articles (10 to 19), by the luma of images.

    Args:
        weights: see ``PackagedExtractor``.
    """

    name = "grey"
    resizer = "28x28 padded with black to 32, else bilinear-antialias 32"
    digits = slice(0, 10)
    spread = 36.3
    class_logits: ClassVar[Mapping[str, slice]] = {"digits": digits, "mnist": digits, "fashion_mnist": slice(10, 20)}

    def prepare(self, images: Tensor) -> Tensor:
        """Maps uint8 images (N, 1 or 3, H, W) to float32 (N, 1, 32, 32) in [-1, 1]."""
        images = luma(images)
        padded = F.pad(images, (2, 2, 2, 2)) if images.shape[2:] == (28, 28) else resize(images, 32)
        return to_float(padded)


class Colour(PackagedExtractor):
    """Classifies CIFAR-10's classes, in alphabetical order; grey images get three equal channels.

    Args:
        weights: see ``PackagedExtractor``.
    """

    name = "colour"
    resizer = "bilinear-antialias 32"
    spread = 6.34
    class_logits: ClassVar[Mapping[str, slice]] = {"cifar10": slice(0, 10)}

    def prepare(self, images: Tensor) -> Tensor:
        """Maps uint8 images (N, 1 or 3, H, W) to float32 (N, 3, 32, 32) in [-1, 1]."""
        return to_float(resize(images, 32)).expand(-1, 3, -1, -1)


class Video(PackagedExtractor):
    """Classifies moving digits, images under a moving camera, and their motion (experiments/train_video_extractor.py).

    It takes any number of frames; grey ones get three equal channels.

    Args:
        weights: see ``PackagedExtractor``.
    """

    name = "video"
    resizer = "each frame bilinear-antialias 32"
    items, network_class = "clips", ClipClassifier

    def prepare(self, images: Tensor) -> Tensor:
        """Maps uint8 clips (N, T, 1 or 3, H, W) to float32 (N, T, 3, 32, 32) in [-1, 1]."""
        frames = to_float(resize(images.flatten(0, 1), 32)).expand(-1, 3, -1, -1)
        return frames.unflatten(0, images.shape[:2])


def sha256(path: str | Path) -> str:
    """Returns the SHA-256 of a file."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
