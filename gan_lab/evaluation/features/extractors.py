"""Feature extractors: uint8 pictures → features and logits, in float32. Small ones travel with the package.

Only figures made with Inception may be called FID, KID and IS: the others have names of their own (``fd_grey``,
``cs_colour``, …).
"""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, cast

import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from gan_lab.common.errors import UserError
from gan_lab.common.images import to_float
from gan_lab.common.precision import full_precision
from gan_lab.networks.classifier import Classifier
from gan_lab.networks.clips import ClipClassifier

WEIGHTS = Path(__file__).parent / "weights"


class Extractor(nn.Module, ABC):
    """Always in evaluation mode, without gradients, in float32 whatever the surrounding autocast.

    Attributes:
        name: what the user chooses it by: "grey", "colour", "video" or "inception".
        dim: dimension of the features.
        classes: K, the number of logits.
        resizer: how pictures of other sizes become the network's input.
        sha256: of the weight file.
        published: by a figure's kind ("fd", "kd", "cs") the name that it has in the literature in these features: "fid"
            and so on for Inception alone.
        knows: by the name of a set whose classes it knows, where their logits are.
    """

    name: str
    dim: int
    classes: int
    resizer: str
    sha256: str
    published: Mapping[str, str] = MappingProxyType({})
    axes: ClassVar[int] = 4
    """Of what it takes: pictures (N, C, H, W), or clips (N, T, C, H, W)."""

    knows: ClassVar[Mapping[str, slice]] = {}

    def describe(self) -> dict[str, Any]:
        """What its features depend on, in plain values: for protocols, and to know them again."""
        return {key: getattr(self, key) for key in ("resizer", "sha256", "dim", "classes")}

    def figure(self, kind: str) -> str:
        """The name of a figure in these features: ``fd_grey`` of "fd"; ``fid`` in Inception's."""
        return self.published.get(kind, f"{kind}_{self.name}")

    def train(self, mode: bool = True) -> "Extractor":
        return super().train(False)

    @torch.no_grad()
    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Pictures (N, C, H, W) uint8, or clips, C of 1 or 3 → features (N, dim), logits (N, classes), float32."""
        if images.dtype != torch.uint8:
            raise TypeError(f"An extractor takes uint8 pictures, but these are {images.dtype}.")
        if images.ndim != self.axes or images.shape[-3] not in (1, 3):
            kind = "pictures" if self.axes == 4 else "clips"
            raise UserError(f"The extractor {self.name} takes {kind} of 1 or 3 channels, not {tuple(images.shape)}.")
        with torch.autocast(images.device.type, enabled=False), full_precision():
            return self.extract(images)

    @abstractmethod
    def extract(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """What ``forward`` gives, with gradients off and in full precision."""


def luma(images: Tensor) -> Tensor:
    """(N, 1 or 3, H, W) in any range → (N, 1, H, W) float32 with the weights of ITU-R BT.601."""
    if images.shape[1] == 1:
        return images.float()
    weights = torch.tensor((0.299, 0.587, 0.114), device=images.device)
    return torch.einsum("nchw,c->nhw", images.float(), weights).unsqueeze(1)


def resize(images: Tensor, size: int) -> Tensor:
    """(N, C, H, W) → float32 (N, C, size, size), bilinear with antialiasing; unchanged where they have that size."""
    if images.shape[2:] == (size, size):
        return images.float()
    return F.interpolate(images.float(), (size, size), mode="bilinear", align_corners=False, antialias=True)


class _Small(Extractor):
    """A classifier of ours, from a safetensors file whose header tells its shape (experiments/train_extractor.py)."""

    kind: ClassVar[type[nn.Module]] = Classifier

    def __init__(self, weights: str | Path | None = None) -> None:
        super().__init__()
        weights = weights or WEIGHTS / f"{self.name}.safetensors"
        try:
            self.header, state = _read(weights)
        except (SafetensorError, OSError) as error:
            raise UserError(f"{weights} cannot be read ({error}): leave it out to use the shipped file.") from error
        if self.header.get("name") != self.name:
            raise UserError(f"{weights} does not hold the extractor {self.name}: leave it out to use the shipped file.")
        self.sha256 = sha256(weights)
        widths = [int(width) for width in self.header["widths"].split(",")]
        self.classes, self.dim = int(self.header["classes"]), widths[-1]
        self.network: Any = self.kind(int(self.header["channels"]), self.classes, widths)
        self.network.load_state_dict(state)
        self.requires_grad_(False).eval()
        if self.axes == 4:
            self.to(memory_format=torch.channels_last)  # a seventh faster on a CPU

    def extract(self, images: Tensor) -> tuple[Tensor, Tensor]:
        prepared = self.prepare(images)
        if self.axes == 4:
            prepared = prepared.contiguous(memory_format=torch.channels_last)
        return cast(tuple[Tensor, Tensor], self.network(prepared))

    @abstractmethod
    def prepare(self, images: Tensor) -> Tensor:
        """uint8 (N, 1 or 3, H, W) → the network's input, float32 in [-1, 1]."""


def _read(path: str | Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    """The header's strings and the tensors, floating ones as float32 (matrices are stored in float16)."""
    with safe_open(str(path), framework="pt") as file:
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a mapping)
        return file.metadata() or {}, {k: t.float() if t.is_floating_point() else t for k, t in tensors.items()}


class Grey(_Small):
    """Knows MNIST's digits (logits 0 to 9) and Fashion-MNIST's articles (10 to 19); RGB is seen by its luma."""

    name = "grey"
    resizer = "28x28 padded with black to 32, else bilinear-antialias 32"
    digits = slice(0, 10)
    knows: ClassVar[Mapping[str, slice]] = {"digits": digits, "mnist": digits, "fashion_mnist": slice(10, 20)}

    def prepare(self, images: Tensor) -> Tensor:
        images = luma(images)
        padded = F.pad(images, (2, 2, 2, 2)) if images.shape[2:] == (28, 28) else resize(images, 32)
        return to_float(padded)


class Colour(_Small):
    """Knows CIFAR-10's classes in alphabetical order; grey pictures are seen with three equal channels."""

    name = "colour"
    resizer = "bilinear-antialias 32"
    knows: ClassVar[Mapping[str, slice]] = {"cifar10": slice(0, 10)}

    def prepare(self, images: Tensor) -> Tensor:
        return to_float(resize(images, 32)).expand(-1, 3, -1, -1)


class Video(_Small):
    """Knows moving digits and pictures under a moving camera, and how they move (experiments/train_video_extractor.py).

    Any number of frames; grey ones are seen with three equal channels.
    """

    name = "video"
    resizer = "each frame bilinear-antialias 32"
    axes, kind = 5, ClipClassifier

    def prepare(self, images: Tensor) -> Tensor:
        frames = to_float(resize(images.flatten(0, 1), 32)).expand(-1, 3, -1, -1)
        return frames.unflatten(0, images.shape[:2])


def default_extractor(channels: int) -> Extractor:
    """The extractor of ours for pictures of so many channels: "grey" for 1, else "colour"."""
    return Grey() if channels == 1 else Colour()


def sha256(path: str | Path) -> str:
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
