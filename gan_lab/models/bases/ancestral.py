"""Pictures drawn value by value, numbered as all samples are."""

import copy
from typing import Any

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
    """Values (n, C, H, W) of samples start … start + n - 1 of a seed.

    What is drawn follows from uniform numbers, which truncation brings nearer to ½. The network works in float64, where
    the device has that: a rounding that puts one value on the other side of its bound would make another picture.

    Args:
        network: see ``gan_lab.networks.ancestral.Autoregressive``.
        shape: (C, H, W).
        labels: (n,), if the network takes them.
        known: values (n, C, H, W) that are kept where the mask (n, 1, H, W) is true.
        mask: see above.
    """
    device = next(network.parameters()).device
    exact: Any = copy.deepcopy(network).eval()
    exact = exact if device.type == "mps" else exact.double()
    uniforms = draw_per_sample(lambda noise: noise.uniform(1, *shape), n, seed, start).to(device)
    uniforms = (0.5 + truncation * (uniforms.double() - 0.5)).to(next(exact.parameters()).dtype)
    return ancestral.sample(exact, uniforms, known, mask, *labels)


def negative_log_likelihood(network: nn.Module, values: Tensor, *labels: Tensor) -> Tensor:
    """-log p of values (N, C, H, W), float32 (N,)."""
    logits = network(values, *labels).float()
    return nn.functional.cross_entropy(logits, values, reduction="none").flatten(1).sum(1)
