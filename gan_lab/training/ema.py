"""Exponential moving average of the networks that sample."""

import copy
from collections.abc import Mapping

import torch
from torch import nn
from torch.nn.utils import get_total_norm


class EMA(nn.Module):
    """Averaged copies of networks, always in evaluation mode and without gradients.

    The decay is stated as a half-life in images (Karras et al. 2020, StyleGAN2), so that it means the same at any batch
    size, and is capped at ``ramp`` of the images seen so far: a short run is not haunted by its start. Floating-point
    buffers are averaged as parameters are, integer buffers copied.

    Args:
        networks: the live networks by name.
        half_life: images after which a past state weighs one half; 0 makes the copy follow at once.
        ramp: upper bound of the half-life as a share of the images seen; None sets none.
    """

    def __init__(self, networks: Mapping[str, nn.Module], half_life: float, ramp: float | None = 0.05) -> None:
        super().__init__()
        self.networks = nn.ModuleDict({name: copy.deepcopy(network) for name, network in networks.items()})
        self.half_life, self.ramp = half_life, ramp
        self.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> "EMA":
        return super().train(False)

    def decay(self, images: int, images_seen: int) -> float:
        """The weight of the past after a step of ``images`` pictures, the ``images_seen`` counting them."""
        half_life = self.half_life if self.ramp is None else min(self.half_life, self.ramp * images_seen)
        return 0.5 ** (images / half_life) if half_life > 0 else 0.0

    @torch.no_grad()
    def distance(self, live: Mapping[str, nn.Module]) -> dict[str, float]:
        """How far each average is from its live network: the norm of the difference of all parameters, relative to the
        live ones'.
        """
        found = {}
        for name, network in self.networks.items():
            its = [parameter.float() for parameter in live[name].parameters()]
            if not its:  # a codebook of moving averages
                continue
            apart = [a.float() - b for a, b in zip(network.parameters(), its, strict=True)]
            found[name] = float(get_total_norm(apart) / get_total_norm(its))
        return found

    @torch.no_grad()
    def update(self, live: Mapping[str, nn.Module], images: int, images_seen: int) -> None:
        """Moves the averages towards the live networks by one iteration of ``images`` pictures."""
        weight = 1 - self.decay(images, images_seen)
        for name, network in self.networks.items():
            mine, its = ([*n.parameters(), *n.buffers()] for n in (network, live[name]))
            pairs = [*zip(mine, its, strict=True)]
            floats = [(a, b) for a, b in pairs if a.is_floating_point()]
            if floats:  # a network may hand on what it is given
                torch._foreach_lerp_([a for a, _ in floats], [b for _, b in floats], weight)
            for a, b in pairs:
                if not a.is_floating_point():
                    a.copy_(b)
