"""Images without their clear edges, which a discriminator of cartoons must not take for cartoons (Chen et al. 2018)."""

import torch
import torch.nn.functional as F
from torch import Tensor

EDGE = 0.4
"""Least change of brightness, in [-1, 1], from one pixel to the next but one at an edge."""
WIDTH = 5
"""Pixels across an edge that are blurred, and of the blur."""


def edges(images: Tensor) -> Tensor:
    """Returns where clear edges are, and a few pixels around them, 1 or 0, float32 (N, 1, H, W), of (N, C, H, W)."""
    brightness = F.pad(images.mean(1, keepdim=True), [1, 1, 1, 1], mode="replicate")
    across = brightness[..., 1:-1, 2:] - brightness[..., 1:-1, :-2]
    down = brightness[..., 2:, 1:-1] - brightness[..., :-2, 1:-1]
    found = (across.square() + down.square() > EDGE**2).float()
    return F.max_pool2d(found, WIDTH, 1, WIDTH // 2)


def with_smooth_edges(images: Tensor) -> Tensor:
    """Returns images (N, C, H, W) that are blurred at their edges (section 3.2, "edge-promoting adversarial loss")."""
    offsets = torch.arange(WIDTH, device=images.device) - WIDTH // 2
    line = (-0.5 * (offsets / (WIDTH / 3)) ** 2).exp()
    kernel = (line[:, None] * line / line.sum() ** 2).expand(images.shape[1], 1, WIDTH, WIDTH).to(images.dtype)
    padded = F.pad(images, [WIDTH // 2] * 4, mode="replicate")
    with torch.autocast(images.device.type, enabled=False):
        blurred = F.conv2d(padded, kernel, groups=images.shape[1])
    return torch.lerp(images, blurred, edges(images).to(images.dtype))
