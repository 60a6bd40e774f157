"""Inception, whose features the published figures are made of, and how its weights are found."""

import http.client
import shutil
import urllib.request
from functools import reduce
from pathlib import Path
from typing import cast

import torch
import torch.nn.functional as F
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor

from gan_lab.common.atomic import atomic_write
from gan_lab.common.errors import UserError
from gan_lab.evaluation.features.extractors import Colour, Extractor, Grey, sha256

INCEPTION_URL = (
    "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-inception-2015-12-05-6726825d.pth"
)
INCEPTION_SHA256 = "6726825d"
"""How the sha256 of Inception's weights begins; the file's name ends with it, as torch.hub's do."""

PUBLISHED = {"fd": "fid", "kd": "kid", "cs": "is", "fd_inf": "fid_inf"}
RESIZERS = {
    "tf": ("inception", "", "tf-bilinear 299 (torch-fidelity)"),
    "clean": ("inception_clean", "clean_", "antialiased bicubic 299"),
    "none": ("inception_none", "unresized_", "none"),
}
"""The name, the prefix of figures and the description."""


class Inception(Extractor):
    """The network of the published FID (Heusel et al. 2017) and IS (Salimans et al. 2016), with torch-fidelity's
    weights.

    Args:
        weights: a file that is known to be good (see ``inception_weights``): torch-fidelity unpickles it. None takes
            torch hub's copy, or downloads it.
        resizer: "tf", TensorFlow's bilinear one without antialiasing, which published figures have; "clean",
            antialiased bicubic (Parmar et al. 2022, "On Aliased Resizing and Surprising Subtleties in GAN
            Evaluation"), whose figures are called ``clean_fid`` and so on; or "none", for pictures of 75 px and more
            as they are.

        checked: the file must be the published one.

    Raises:
        UserError: for weights that are missing or not what they should be.
    """

    dim, classes = 2048, 1008

    def __init__(self, weights: str | Path | None = None, resizer: str = "tf", checked: bool = True) -> None:
        # Not imported at the top: it takes seconds, and few runs need it.
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

        super().__init__()
        if resizer not in RESIZERS:
            raise UserError(f"Inception has no resizer {resizer!r}: choose {', '.join(RESIZERS)}.")
        path = inception_weights(weights) if checked or weights is None else Path(weights)
        self.name, prefix, self.resizer = RESIZERS[resizer]
        self.kind, self.sha256 = resizer, sha256(path)
        self.published = {kind: prefix + name for kind, name in PUBLISHED.items()}
        self.network = FeatureExtractorInceptionV3("inception", ["2048", "logits_unbiased"], str(path))
        self.to(memory_format=torch.channels_last)

    def extract(self, images: Tensor) -> tuple[Tensor, Tensor]:
        images = images.expand(-1, 3, -1, -1)
        if self.kind == "tf":
            return cast(tuple[Tensor, Tensor], self.network(images))
        if self.kind == "clean":
            size = (299, 299)
            mode = "bicubic"
            resized = F.interpolate(images.float(), size, mode=mode, align_corners=False, antialias=True).clamp(0, 255)
        elif min(images.shape[2:]) < 75:
            raise UserError("Inception needs pictures of 75 px and more without a resizer: choose resizer=tf or clean.")
        else:
            resized = images.float()
        layers = [layer for name, layer in self.network.named_children() if name != "fc"]
        features = reduce(lambda x, layer: layer(x), layers, (resized - 128) / 128).flatten(1)
        return features, features @ self.network.fc.weight.T


def inception(weights: str | None = None, resizer: str = "tf", otherwise: str | None = None) -> Extractor:
    """The extractor, or where its weights are not to be had and ``otherwise`` is "grey" or "colour", that one of ours.

    Raises:
        UserError: for weights that are missing or not what they should be, unless there is an ``otherwise``.
    """
    try:
        return Inception(weights, resizer)
    except UserError as error:
        if otherwise is None:
            raise
        rank_zero_warn(f"{error} Figures are made with the extractor {otherwise} instead.")
        return {"grey": Grey, "colour": Colour}[otherwise]()


def inception_weights(path: str | Path | None = None, url: str | None = None, download: bool | None = None) -> Path:
    """Inception's checked weight file.

    Args:
        path: where it is; None stands for torch hub's folder.
        url: where it comes from; None stands for ``INCEPTION_URL``.
        download: fetches it if it is not there; None does so where no path is given.

    Raises:
        UserError: where it is neither there nor to be had, or is another file.
    """
    url = url or INCEPTION_URL
    name = url.rpartition("/")[2]
    target = Path(path or Path(torch.hub.get_dir()) / "checkpoints" / name).expanduser()
    mend = (
        f"put {name} at {target}, run python -m gan_lab.fetch inception where there is a network, or measure with "
        "extractor=grey or colour, which need no download"
    )
    if (path is None if download is None else download) and not target.exists():
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


def fetch(url: str, path: Path, sha256_prefix: str, timeout: float = 5.0) -> None:
    """Download to ``path``, which either is whole and checked or does not come to be.

    Args:
        timeout: seconds without an answer or a byte after which it gives up.

    Raises:
        OSError, http.client.HTTPException: where the network fails, or the file that came is another.
    """
    with atomic_write(path) as beside:
        with urllib.request.urlopen(url, timeout=timeout) as answer, beside.open("wb") as file:
            shutil.copyfileobj(answer, file)
        if not (found := sha256(beside)).startswith(sha256_prefix):
            raise OSError(f"the sha256 of {url} is {found[:8]}…, not {sha256_prefix}…")
