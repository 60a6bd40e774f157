"""Feature extractors for Fréchet distances and classifier scores: uint8 pictures → features and logits, in float32.

Two small ones of our own travel with the package, and Inception's weights are found or downloaded. Only figures made
with Inception may be called FID, KID and IS: the others have names of their own (``fd_grey``, ``cs_colour``, …).
"""

import hashlib
import http.client
import shutil
import urllib.request
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, cast

import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from gan_lab.atomic import replacing
from gan_lab.networks.classifier import Classifier
from gan_lab.precision import full_precision
from gan_lab.types import UserError, to_float

WEIGHTS = Path(__file__).parent / "weights"
INCEPTION_URL = (
    "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-inception-2015-12-05-6726825d.pth"
)
INCEPTION_SHA256 = "6726825d"
"""How the sha256 of Inception's weights begins; the file's name ends with it, as torch.hub's do."""


class Extractor(nn.Module, ABC):
    """Always in evaluation mode, without gradients, in float32 whatever the surrounding autocast.

    Attributes:
        name: what the user chooses it by: "grey", "colour" or "inception".
        dim: dimension of the features.
        classes: K, the number of logits.
        resizer: how pictures of other sizes become the network's input.
        sha256: of the weight file.
        distance: name of the Fréchet distance in these features; "fid" for Inception alone.
        kernel: name of the kernel distance in these features; "kid" for Inception alone.
        score: name of the score exp(E KL(p(y|x) || p(y))) of these logits; "is" for Inception alone.
        knows: by the name of a set whose classes it knows, where their logits are.
    """

    name: str
    dim: int
    classes: int
    resizer: str
    sha256: str
    distance: str
    kernel: str
    score: str
    knows: ClassVar[Mapping[str, slice]] = {}

    def train(self, mode: bool = True) -> "Extractor":
        return super().train(False)

    @torch.no_grad()
    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Pictures (N, C, H, W) uint8, C of 1 or 3 → features (N, dim), logits (N, classes), float32."""
        if images.dtype != torch.uint8:
            raise TypeError(f"An extractor takes uint8 pictures, but these are {images.dtype}.")
        if images.ndim != 4 or images.shape[1] not in (1, 3):
            raise UserError(f"The extractor {self.name} takes pictures of 1 or 3 channels, not {tuple(images.shape)}.")
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

    def __init__(self, weights: str | Path) -> None:
        super().__init__()
        try:
            self.header, state = _read(weights)
        except (SafetensorError, OSError) as error:
            raise UserError(f"{weights} cannot be read ({error}): leave it out to use the shipped file.") from error
        if self.header.get("name") != self.name:
            raise UserError(f"{weights} does not hold the extractor {self.name}: leave it out to use the shipped file.")
        self.sha256 = sha256(weights)
        widths = [int(width) for width in self.header["widths"].split(",")]
        self.classes, self.dim = int(self.header["classes"]), widths[-1]
        self.network = Classifier(int(self.header["channels"]), self.classes, widths)
        self.network.load_state_dict(state)
        self.to(memory_format=torch.channels_last).requires_grad_(False).eval()

    def extract(self, images: Tensor) -> tuple[Tensor, Tensor]:
        prepared = self.prepare(images).contiguous(memory_format=torch.channels_last)  # a seventh faster on a CPU
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

    name, distance, kernel, score = "grey", "fd_grey", "kd_grey", "cs_grey"
    resizer = "28x28 padded with black to 32, else bilinear-antialias 32"
    digits = slice(0, 10)
    knows: ClassVar[Mapping[str, slice]] = {"digits": digits, "mnist": digits, "fashion_mnist": slice(10, 20)}

    def prepare(self, images: Tensor) -> Tensor:
        images = luma(images)
        padded = F.pad(images, (2, 2, 2, 2)) if images.shape[2:] == (28, 28) else resize(images, 32)
        return to_float(padded)


class Colour(_Small):
    """Knows CIFAR-10's classes in alphabetical order; grey pictures are seen with three equal channels."""

    name, distance, kernel, score = "colour", "fd_colour", "kd_colour", "cs_colour"
    resizer = "bilinear-antialias 32"
    knows: ClassVar[Mapping[str, slice]] = {"cifar10": slice(0, 10)}

    def prepare(self, images: Tensor) -> Tensor:
        return to_float(resize(images, 32)).expand(-1, 3, -1, -1)


class Inception(Extractor):
    """The network of the published FID (Heusel et al. 2017) and IS (Salimans et al. 2016), through torch-fidelity.

    Args:
        weights: a file that is known to be good (see ``inception_weights``): torch-fidelity unpickles it.
    """

    name, distance, kernel, score = "inception", "fid", "kid", "is"
    dim, classes = 2048, 1008
    resizer = "tf-bilinear 299 (torch-fidelity)"

    def __init__(self, weights: str | Path) -> None:
        # Not imported at the top: it takes seconds, and few runs need it.
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

        super().__init__()
        self.sha256 = sha256(weights)
        self.network = FeatureExtractorInceptionV3(self.name, ["2048", "logits_unbiased"], str(weights))

    def extract(self, images: Tensor) -> tuple[Tensor, Tensor]:
        return cast(tuple[Tensor, Tensor], self.network(images.expand(-1, 3, -1, -1)))


def extractor(name: str, weights: str | None = None) -> Extractor:
    """The extractor "grey", "colour" or "inception", on the CPU.

    Args:
        weights: its file; by default the one in the package, and for Inception torch hub's copy or a download.

    Raises:
        UserError: for an unknown name, and for weights that are missing, cannot be read or are not what they should be.
    """
    if name == "inception":
        return Inception(inception_weights(weights))
    small = {"grey": Grey, "colour": Colour}
    if name not in small:
        raise UserError(f"There is no extractor {name!r}: choose grey, colour or inception.")
    return small[name](weights or WEIGHTS / f"{name}.safetensors")


def default_for(channels: int) -> str:
    """The extractor of ours for pictures of so many channels: "grey" for 1, else "colour"."""
    return "grey" if channels == 1 else "colour"


def inception_weights(path: str | None = None, url: str = INCEPTION_URL) -> Path:
    """Inception's checked weight file: ``path``, else torch hub's copy, downloaded from ``url`` if it is absent.

    Raises:
        UserError: where it is neither there nor to be had, or is another file.
    """
    name = url.rpartition("/")[2]
    target = Path(path or Path(torch.hub.get_dir()) / "checkpoints" / name)
    mend = f"put {name} at {target}, or measure with extractors=[grey] or [colour], which need no download"
    if not path and not target.exists():
        try:
            fetch(url, target, INCEPTION_SHA256)
        except (OSError, http.client.HTTPException) as error:
            raise UserError(f"Inception's weights could not be downloaded ({error}): {mend}.") from error
    if not target.is_file():
        raise UserError(f"Inception's weights are not at {target}: {mend}.")
    if not sha256(target).startswith(INCEPTION_SHA256):
        raise UserError(
            f"The sha256 of {target} does not begin with {INCEPTION_SHA256}, so it is another file: {mend}."
        )
    return target


def sha256(path: str | Path) -> str:
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fetch(url: str, path: Path, sha256_prefix: str, timeout: float = 5.0) -> None:
    """Download to ``path``, which either is whole and checked or does not come to be.

    Args:
        timeout: seconds without an answer or a byte after which it gives up.

    Raises:
        OSError, http.client.HTTPException: where the network fails, or the file that came is another.
    """
    with replacing(path) as beside:
        with urllib.request.urlopen(url, timeout=timeout) as answer, beside.open("wb") as file:
            shutil.copyfileobj(answer, file)
        if not (found := sha256(beside)).startswith(sha256_prefix):
            raise OSError(f"the sha256 of {url} is {found[:8]}…, not {sha256_prefix}…")
