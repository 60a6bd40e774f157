"""Features of any network: torchvision's, timm's (DINOv2, CLIP), one's own."""

from collections.abc import Sequence
from pathlib import Path
from pickle import UnpicklingError

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from gan_lab.metrics.extractors import Extractor, sha256
from gan_lab.types import UserError


class Backbone(Extractor):
    """Any network with a weight file, as torchvision's and timm's: pictures are resized and normalised for it.

    Args:
        name: of the figures: ``fd_<name>``.
        network: takes float32 (N, 3, size, size).
        weights: its state, as safetensors or a file of torch's that unpickles nothing but tensors.
        layer: whose output is the features, by its name in the network; None takes the network's own output. Maps
            (N, C, H, W) are averaged over space, of tokens (N, T, C) the first is taken.
        size: of its input in pixels.
        mean, deviation: of its input, for pictures in [0, 1]; ImageNet's unless said.

    Raises:
        UserError: for weights that cannot be read or do not fit, and a layer that is not there.
    """

    classes = 0
    mean: Tensor
    deviation: Tensor

    def __init__(
        self,
        name: str,
        network: nn.Module,
        weights: str | Path,
        layer: str | None = None,
        size: int = 224,
        mean: Sequence[float] = (0.485, 0.456, 0.406),
        deviation: Sequence[float] = (0.229, 0.224, 0.225),
    ) -> None:
        super().__init__()
        self.name, self.size, self.sha256 = name, size, _loaded(network, weights)
        self.resizer = f"bicubic-antialias {size}"
        self.network = network.requires_grad_(False).eval()
        self.register_buffer("mean", torch.tensor(list(mean)).view(3, 1, 1))
        self.register_buffer("deviation", torch.tensor(list(deviation)).view(3, 1, 1))
        self.found: list[Tensor] = []
        if layer is not None:
            try:
                self.network.get_submodule(layer).register_forward_hook(lambda *seen: self.found.append(seen[2]))
            except AttributeError as error:
                names = ", ".join(name for name, _ in network.named_children())
                raise UserError(f"The network has no layer {layer}: choose one within {names}.") from error
        self.dim = self.forward(torch.zeros(1, 3, size, size, dtype=torch.uint8))[0].shape[1]

    def extract(self, images: Tensor) -> tuple[Tensor, Tensor]:
        size = (self.size, self.size)
        resized = F.interpolate(images.float(), size, mode="bicubic", align_corners=False, antialias=True).clamp(0, 255)
        self.found.clear()
        out = self.network((resized.expand(-1, 3, -1, -1) / 255 - self.mean) / self.deviation)
        features = self.found[-1] if self.found else out
        if features.ndim > 2:
            features = features.mean((2, 3)) if features.ndim == 4 else features[:, 0]
        return features.float(), features.new_zeros(len(features), 0)


def _loaded(network: nn.Module, weights: str | Path) -> str:
    """Loads a network's state; the file's sha256."""
    path = Path(weights).expanduser()
    try:
        state = load_file(path) if path.suffix == ".safetensors" else torch.load(path, "cpu", weights_only=True)
        network.load_state_dict(state)
    except (OSError, RuntimeError, SafetensorError, UnpicklingError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"The weights {path} do not serve ({reason}): give the network's own state.") from error
    return sha256(path)
