"""Features of any network: torchvision's, timm's (DINOv2, CLIP), or the user's own."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from pickle import UnpicklingError

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from gan_lab.common.bounds import PositiveFloat, PositiveInt, Signed
from gan_lab.common.errors import UserError
from gan_lab.evaluation.features.extractors import Extractor, sha256

MAX_REASON = 300
"""Characters of the reason why weights do not fit, at most."""

Adapt = Callable[[Mapping[str, Tensor], nn.Module], Mapping[str, Tensor]]
"""Maps a file's state and the network to the network's own state."""


class Backbone(Extractor):
    """Any network with a weight file, such as torchvision's and timm's: images are resized and normalised for it.

    Args:
        name: part of the metrics' names: ``fd_<name>``.
        network: takes float32 (N, 3, size, size).
        weights: its state, as safetensors, or a file of torch's that unpickles nothing but tensors.
        layer: the name of the layer whose output is the features; None takes the network's own output. Maps
            (N, C, H, W) are averaged over space, of tokens (N, T, C) the first is taken.
        size: height and width of its input, in pixels.
        mean, std: of its input's channels, for images in [0, 1]; ImageNet's by default.
        adapt: maps the file's state to the network's, if they differ (timm's ``checkpoint_filter_fn`` reads the
            authors' files).

    Raises:
        UserError: if the weights cannot be read or do not fit, or there is no such layer.
    """

    classes = 0
    mean: Tensor
    std: Tensor

    def __init__(
        self,
        name: str,
        network: nn.Module,
        weights: str | Path,
        layer: str | None = None,
        size: PositiveInt = 224,
        mean: Sequence[Signed] = (0.485, 0.456, 0.406),
        std: Sequence[PositiveFloat] = (0.229, 0.224, 0.225),
        adapt: Adapt | None = None,
    ) -> None:
        super().__init__()
        self.name, self.size, self.sha256 = name, size, load_weights(network, weights, adapt)
        self.settings = {"layer": layer, "size": size, "mean": list(mean), "std": list(std)}
        self.resizer = f"bicubic-antialias {size}"
        self.network = network.requires_grad_(False).eval()
        self.register_buffer("mean", torch.tensor(list(mean)).view(3, 1, 1))
        self.register_buffer("std", torch.tensor(list(std)).view(3, 1, 1))
        self.outputs: list[Tensor] = []
        if layer is not None:
            try:
                self.network.get_submodule(layer).register_forward_hook(lambda *call: self.outputs.append(call[2]))
            except AttributeError as error:
                names = ", ".join(name for name, _ in network.named_children())
                raise UserError(f"The network has no layer {layer}: choose one within {names}.") from error
        self.dim = self.forward(torch.zeros(1, 3, size, size, dtype=torch.uint8))[0].shape[1]

    def describe(self) -> dict[str, object]:
        """Returns plain values that the features depend on, the network's structure among them."""
        structure = hashlib.sha256(str(self.network).encode()).hexdigest()[:16]  # weights do not show activations
        return {**super().describe(), **self.settings, "network": f"{type(self.network).__name__} {structure}"}

    def extract(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Computes the features (N, dim) of uint8 images (N, 1 or 3, H, W), and empty logits (N, 0)."""
        size = (self.size, self.size)
        resized = F.interpolate(images.float(), size, mode="bicubic", align_corners=False, antialias=True).clamp(0, 255)
        self.outputs.clear()
        output = self.network((resized.expand(-1, 3, -1, -1) / 255 - self.mean) / self.std)
        features = self.outputs[-1] if self.outputs else output
        if features.ndim > 2:
            features = features.mean((2, 3)) if features.ndim == 4 else features[:, 0]
        return features.float(), features.new_zeros(len(features), 0)


def load_weights(network: nn.Module, weights: str | Path, adapt: Adapt | None = None) -> str:
    """Loads a network's state, and returns the file's SHA-256.

    Raises:
        UserError: if the file cannot be read, or holds another state.
    """
    path = Path(weights).expanduser()
    try:
        state = load_file(path) if path.suffix == ".safetensors" else torch.load(path, "cpu", weights_only=True)
        network.load_state_dict(adapt(state, network) if adapt else state)
    except (OSError, RuntimeError, SafetensorError, UnpicklingError) as error:
        reason = " ".join(line.strip() for line in str(error).splitlines()[:2])
        reason = reason if len(reason) <= MAX_REASON else f"{reason[:MAX_REASON]}…"
        raise UserError(f"The weights {path} do not fit ({reason}): give the network's own state.") from error
    return sha256(path)
