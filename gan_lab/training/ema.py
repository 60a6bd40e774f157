"""Exponential moving average of the networks that samples come from."""

import copy
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn.utils import get_total_norm

from gan_lab.common.errors import UserError
from gan_lab.training.power_average import PowerAverages, follow

Slot = tuple[dict[str, Tensor | None], str]
"""A module's dictionary of parameters or buffers, and a name in it: ``Module.to`` exchanges what is kept there."""
Slots = tuple[nn.Module, list[tuple[Slot, Slot]]]
"""A live network, and where the tensors of its average and its own are kept."""


class EMA(nn.Module):
    """Averaged copies of networks, always in evaluation mode and without gradients.

    The decay is stated as a half-life in images (Karras et al. 2020, StyleGAN2), so that it means the same at any batch
    size, and is capped at ``ramp`` of the images seen so far, so that a short run forgets its start. Floating-point
    buffers are averaged like parameters, integer buffers copied.

    Args:
        networks: the live networks by name.
        half_life: images after which a past state has half its weight; 0 makes the copy follow at once.
        ramp: upper bound of the half-life as a share of the images seen; None sets none.
        widths: relative widths of further averages (``gan_lab.training.power_average``).
    """

    width: float | None = None
    """Relative width that ``networks`` were reconstructed with."""

    def __init__(
        self,
        networks: Mapping[str, nn.Module],
        half_life: float,
        ramp: float | None = 0.05,
        widths: Sequence[float] = (),
    ) -> None:
        super().__init__()
        self.networks = nn.ModuleDict({name: copy.deepcopy(network) for name, network in networks.items()})
        self.half_life, self.ramp = half_life, ramp
        self.powers = PowerAverages(networks, widths) if widths else None
        self.slots: dict[str, Slots] = {}
        self.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> "EMA":
        return super().train(False)

    def decay(self, images: int, images_seen: int) -> float:
        """Returns the weight of the past after a step of ``images`` images, ``images_seen`` counted after the step."""
        half_life = self.half_life if self.ramp is None else min(self.half_life, self.ramp * images_seen)
        return 0.5 ** (images / half_life) if half_life > 0 else 0.0

    @torch.no_grad()
    def distance(self, live: Mapping[str, nn.Module]) -> dict[str, float]:
        """Returns the distance of each average from its live network, by name.

        It is the norm of the difference of all parameters, relative to the norm of the live ones.
        """
        distances = {}
        for name, network in self.networks.items():
            current = [parameter.float() for parameter in live[name].parameters()]
            if not current:  # a codebook of moving averages
                continue
            difference = [a.float() - b for a, b in zip(network.parameters(), current, strict=True)]
            distances[name] = float(get_total_norm(difference) / get_total_norm(current))
        return distances

    @torch.no_grad()
    def update(self, live: Mapping[str, nn.Module], images: int, images_seen: int) -> None:
        """Moves the averages towards the live networks by one iteration of ``images`` images."""
        if self.powers is not None:
            self.powers.update(live, images, images_seen)
        weight = 1 - self.decay(images, images_seen)
        for name, network in self.networks.items():
            follow(self._pairs(name, network, live[name]), weight)

    def reconstruct(self, width: float) -> None:
        """Sets the averages to those of a relative width.

        Raises:
            UserError: if no power functions were averaged, and for a width out of range.
        """
        if self.powers is None:
            raise UserError(
                f"ema={width} needs averages of several widths: give true or false, or train with "
                "model.engine.ema_widths=[0.05,0.1,0.15]."
            )
        self.powers.reconstruct(width, dict(self.networks.items()))
        self.width = width

    def _pairs(self, name: str, average: nn.Module, live: nn.Module) -> list[tuple[Tensor, Tensor]]:
        """Returns the tensors of an average with those of the live network.

        Walking through the modules takes longer than averaging a small network, so it is done once.
        """
        if self.slots.get(name, (None, []))[0] is not live:
            self.slots[name] = live, [*zip(_slots(average), _slots(live), strict=True)]
        return [(ours[key], theirs[its]) for (ours, key), (theirs, its) in self.slots[name][1]]  # type: ignore[misc]


def _slots(network: nn.Module) -> list[Slot]:
    """Returns where the parameters and then the buffers of a network are kept, each tensor once."""
    found: dict[int, Slot] = {}
    for kind in ("_parameters", "_buffers"):
        for module in network.modules():
            kept: dict[str, Tensor | None] = getattr(module, kind)
            for name, tensor in kept.items():
                if tensor is not None:
                    found.setdefault(id(tensor), (kept, name))
    return list(found.values())
