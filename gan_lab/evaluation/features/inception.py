"""Inception, the network of the published FID, KID and IS, and the search for its weights."""

import http.client
from functools import reduce
from pathlib import Path
from typing import cast

import torch
import torch.nn.functional as F
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from gan_lab.common.atomic import atomic_write
from gan_lab.common.errors import UserError
from gan_lab.common.transfer import blocks, open_url
from gan_lab.evaluation.features.extractors import Colour, Extractor, Grey, sha256
from gan_lab.evaluation.features.general import General

INCEPTION_URL = (
    "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-inception-2015-12-05-6726825d.pth"
)
INCEPTION_SHA256 = "6726825d"
"""First digits of the SHA-256 of Inception's weights; the file's name ends with them, as torch.hub's do."""

MAX_BYTES = 1 << 28
"""Bytes of a weight file at most."""

PUBLISHED = {"fd": "fid", "kd": "kid", "cs": "is", "fd_inf": "fid_inf", "mind": "mind"}
RESIZERS = {
    "tf": ("inception", "", "tf-bilinear 299 (torch-fidelity)"),
    "clean": ("inception_clean", "clean_", "antialiased bicubic 299"),
    "none": ("inception_none", "unresized_", "none"),
}
"""By resizer: the extractor's name, the prefix of its metrics' names, and a description."""
SPATIAL = "inception_spatial"
PUBLISHED_NAMES = {
    name: {kind: prefix + each for kind, each in PUBLISHED.items()} for name, prefix, _ in RESIZERS.values()
} | {SPATIAL: {"fd": "sfid"}}
"""By the name of an extractor of Inception's features and by kind, the names that metrics have in the literature."""


class Inception(Extractor):
    """The network of the published FID (Heusel et al. 2017) and IS (Salimans et al. 2016), with torch-fidelity's
    weights.

    Args:
        weights: a file that is known to be safe (see ``inception_weights``), because torch-fidelity unpickles it. None
            takes torch hub's copy, or downloads it.
        resizer: "tf", TensorFlow's bilinear one without antialiasing, which published values use; "clean", antialiased
            bicubic (Parmar et al. 2022, "On Aliased Resizing and Surprising Subtleties in GAN Evaluation"), whose
            metrics are called ``clean_fid`` and so on; or "none", for images of at least 75 px as they are.
        checked: whether the file must be the published one.

    Raises:
        UserError: if the weights are missing or not the published ones, or there is no such resizer.
    """

    dim, classes = 2048, 1008
    at_once = 16  # measured: 1.3 GiB in all instead of 3.1 with 256, and as fast

    def __init__(self, weights: str | Path | None = None, resizer: str = "tf", checked: bool = True) -> None:
        # Imported here because it takes seconds, and few runs need it.
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

        super().__init__()
        if resizer not in RESIZERS:
            raise UserError(f"resizer={resizer!r} is not valid for Inception: choose {', '.join(RESIZERS)}.")
        path = inception_weights(weights) if checked or weights is None else Path(weights)
        self.name, _, self.resizer = RESIZERS[resizer]
        self.resizing, self.sha256 = resizer, sha256(path)
        self.published = PUBLISHED_NAMES[self.name]
        self.network = FeatureExtractorInceptionV3("inception", ["2048", "logits_unbiased"], str(path)).eval()
        fold_batch_norms(self.network)
        self.to(memory_format=torch.channels_last)

    def extract(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Computes features (N, 2048) and logits (N, 1008) of uint8 images (N, 1 or 3, H, W).

        Raises:
            UserError: if images are smaller than 75 px without a resizer.
        """
        images = images.expand(-1, 3, -1, -1)
        if self.resizing == "tf":
            return cast(tuple[Tensor, Tensor], self.network(images))
        if self.resizing == "clean":
            size = (299, 299)
            mode = "bicubic"
            resized = F.interpolate(images.float(), size, mode=mode, align_corners=False, antialias=True).clamp(0, 255)
        elif min(images.shape[2:]) < 75:
            raise UserError("Inception needs images of at least 75 px without a resizer: choose resizer=tf or clean.")
        else:
            resized = images.float()
        layers = [layer for name, layer in self.network.named_children() if name != "fc"]
        features = reduce(lambda x, layer: layer(x), layers, (resized - 128) / 128).flatten(1)
        return features, features @ self.network.fc.weight.T


def fold_batch_norms(network: nn.Module) -> None:
    """Puts each batch normalisation into the weights of the convolution before it; results are equal within rounding.

    Args:
        network: in evaluation mode, of blocks with ``conv``, ``bn``, and ReLU as the last step, as Inception has them.
    """
    for parent in [*network.modules()]:
        for name, block in [*parent.named_children()]:
            conv, norm = getattr(block, "conv", None), getattr(block, "bn", None)
            if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                setattr(parent, name, nn.Sequential(fuse_conv_bn_eval(conv, norm), nn.ReLU(inplace=True)))


class InceptionSpatial(Inception):
    """Features with a place, whose Fréchet distance is sFID (Nash et al. 2021, "Generating Images with Sparse
    Representations"): the first 7 channels of the 17×17 map after the first convolution of Inception's block mixed_6.

    Args:
        weights: see ``Inception``.
        checked: whether the file must be the published one.

    Raises:
        UserError: if the weights are missing or not the published ones.
    """

    dim, classes = 7 * 17 * 17, 0

    def __init__(self, weights: str | Path | None = None, checked: bool = True) -> None:
        super().__init__(weights, "tf", checked)
        self.name, self.published = SPATIAL, PUBLISHED_NAMES[SPATIAL]

    def extract(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Computes features (N, 2023), and no logits (N, 0), of uint8 images (N, 1 or 3, H, W)."""
        from torch_fidelity.interpolate_compat_tensorflow import interpolate_bilinear_2d_like_tensorflow1x

        size = self.network.INPUT_IMAGE_SIZE
        resized = interpolate_bilinear_2d_like_tensorflow1x(
            images.expand(-1, 3, -1, -1).float(), (size, size), align_corners=False
        )
        layers = dict(self.network.named_children())
        before = list(layers)[: list(layers).index("Mixed_6d")]
        maps = reduce(lambda x, name: layers[name](x), before, (resized - 128) / 128)
        features = self.network.Mixed_6d.branch1x1(maps)[:, :7].flatten(1)
        return features, features.new_zeros(len(images), 0)


def inception(weights: str | None = None, resizer: str = "tf", fallback: str | None = None) -> Extractor:
    """Returns Inception, or one of our extractors if its weights are not available.

    Args:
        weights: see ``Inception``.
        resizer: see ``Inception``.
        fallback: "general", "grey" or "colour"; None for no fallback.

    Raises:
        UserError: if the weights are missing or not the published ones, and there is no fallback.
    """
    try:
        return Inception(weights, resizer)
    except UserError as error:
        if fallback is None:
            raise
        rank_zero_warn(f"{error} The extractor {fallback} is used instead.")
        choices: dict[str, type[General | Grey | Colour]] = {"general": General, "grey": Grey, "colour": Colour}
        return choices[fallback]()


def inception_weights(path: str | Path | None = None, url: str | None = None, download: bool | None = None) -> Path:
    """Returns the path of Inception's weight file, after a check of its SHA-256.

    Args:
        path: the file; None takes the one in torch hub's folder.
        url: the source of a download; None takes ``INCEPTION_URL``.
        download: whether a missing file is downloaded; None downloads if no path is given.

    Raises:
        UserError: if the file is missing and cannot be downloaded, or is another file.
    """
    url = url or INCEPTION_URL
    name = url.rpartition("/")[2]
    target = Path(path or Path(torch.hub.get_dir()) / "checkpoints" / name).expanduser()
    advice = (
        f"put {name} at {target}, run python -m gan_lab.fetch inception on a machine with a network, or choose "
        "extractor=general, which needs no download"
    )
    if (path is None if download is None else download) and not target.exists():
        try:
            fetch(url, target, INCEPTION_SHA256)
        except (OSError, http.client.HTTPException) as error:
            raise UserError(f"Inception's weights could not be downloaded ({error}): {advice}.") from error
    if not target.is_file():
        raise UserError(f"Inception's weights are not at {target}: {advice}.")
    if not sha256(target).startswith(INCEPTION_SHA256):
        raise UserError(
            f"The sha256 of {target} does not begin with {INCEPTION_SHA256}, so it is another file: {advice}."
        )
    return target


def fetch(url: str, path: Path, sha256_prefix: str, timeout: float = 5.0) -> None:
    """Downloads a file; ``path`` exists afterwards only if the download is complete and its SHA-256 is right.

    Args:
        url: the source.
        path: the target.
        sha256_prefix: the first digits of the file's SHA-256.
        timeout: seconds without data after which it gives up.

    Raises:
        OSError: if the network fails or is too slow, or the file is another one.
        http.client.HTTPException: if the server's answer is malformed.
    """
    with atomic_write(path) as temporary:
        with open_url(url, timeout=timeout) as answer, temporary.open("wb") as file:
            file.writelines(blocks(answer, MAX_BYTES))
        if not (found := sha256(temporary)).startswith(sha256_prefix):
            raise OSError(f"the sha256 of {url} is {found[:8]}…, not {sha256_prefix}…")
