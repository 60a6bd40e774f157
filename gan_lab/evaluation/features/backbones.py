"""Features of any network: torchvision's, timm's (DINOv2, CLIP), one's own."""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from gan_lab.common.errors import UserError
from gan_lab.evaluation.features.extractors import Extractor, sha256

LONGEST = 300
"""Letters that are told of why weights do not fit."""


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
        adapt: the file's state and the network → the network's own state, where they differ (timm's
            ``checkpoint_filter_fn`` takes the authors' files).

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
        adapt: Callable[[Any, nn.Module], Any] | None = None,
    ) -> None:
        super().__init__()
        self.name, self.size, self.sha256 = name, size, _loaded(network, weights, adapt)
        self.seen_as = {"layer": layer, "size": size, "mean": list(mean), "deviation": list(deviation)}
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

    def describe(self) -> dict[str, Any]:
        structure = hashlib.sha256(str(self.network).encode()).hexdigest()[:16]  # activations leave no trace in weights
        return {**super().describe(), **self.seen_as, "network": f"{type(self.network).__name__} {structure}"}

    def extract(self, images: Tensor) -> tuple[Tensor, Tensor]:
        size = (self.size, self.size)
        resized = F.interpolate(images.float(), size, mode="bicubic", align_corners=False, antialias=True).clamp(0, 255)
        self.found.clear()
        out = self.network((resized.expand(-1, 3, -1, -1) / 255 - self.mean) / self.deviation)
        features = self.found[-1] if self.found else out
        if features.ndim > 2:
            features = features.mean((2, 3)) if features.ndim == 4 else features[:, 0]
        return features.float(), features.new_zeros(len(features), 0)


def _loaded(network: nn.Module, weights: str | Path, adapt: Callable[[Any, nn.Module], Any] | None) -> str:
    """Loads a network's state; the file's sha256."""
    path = Path(weights).expanduser()
    try:
        state = load_file(path) if path.suffix == ".safetensors" else torch.load(path, "cpu", weights_only=True)
        network.load_state_dict(adapt(state, network) if adapt else state)
    except (OSError, RuntimeError, SafetensorError, UnpicklingError) as error:
        reason = " ".join(line.strip() for line in str(error).splitlines()[:2])
        reason = reason if len(reason) <= LONGEST else f"{reason[:LONGEST]}…"
        raise UserError(f"The weights {path} do not serve ({reason}): give the network's own state.") from error
    return sha256(path)
