"""Ancestral sampling: images drawn value by value, each sample a function of its seed and number."""

import copy
from typing import cast

from torch import Tensor, nn

from gan_lab.models.bases.latents import draw_per_sample
from gan_lab.networks import ancestral


def ancestral_sampling(
    network: nn.Module,
    shape: tuple[int, int, int],
    n: int,
    seed: int = 0,
    start: int = 0,
    truncation: float = 1.0,
    labels: tuple[Tensor, ...] = (),
    known: Tensor | None = None,
    mask: Tensor | None = None,
) -> Tensor:
    """Returns the values (n, C, H, W) of samples start … start + n - 1 of a seed.

    Values are drawn at uniform numbers, which ``truncation`` moves towards ½. The network runs in float64 where the
    device supports it: a rounding error that moves one number across a probability's bound would change the whole
        image.

    Args:
        network: see ``gan_lab.networks.ancestral.Autoregressive``.
        shape: (C, H, W).
        n: number of samples.
        seed: seed of the samples.
        start: number of the first sample.
        truncation: share of the distance of a uniform number from ½ that is kept.
        labels: extra network inputs, ``(labels,)`` with (n,), or ``()``.
        known: values (n, C, H, W) that are kept where the mask is true.
        mask: (n, 1, H, W).
    """
    device = next(network.parameters()).device
    exact = copy.deepcopy(network).eval()
    exact = exact if device.type == "mps" else exact.double()
    uniforms = draw_per_sample(lambda noise: noise.uniform(1, *shape), n, seed, start).to(device)
    uniforms = (0.5 + truncation * (uniforms.double() - 0.5)).to(next(exact.parameters()).dtype)
    return ancestral.sample(cast(ancestral.Autoregressive[object], exact), uniforms, known, mask, *labels)


def negative_log_likelihood(network: nn.Module, values: Tensor, *labels: Tensor) -> Tensor:
    """Returns -log p in nats, float32 (N,), given values (N, C, H, W) and labels (N,)."""
    logits = network(values, *labels).float()
    return nn.functional.cross_entropy(logits, values, reduction="none").flatten(1).sum(1)
