"""Damages images in known ways and degrees: to make the extractor ``general``, and to judge metrics (``ladder.py``)."""

import io
import math
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor
from torchvision.transforms.functional import gaussian_blur

LEVELS = (1, 2, 3, 4, 5)
LUMA = (0.299, 0.587, 0.114)
Damage = Callable[[Tensor, int], Tensor]
"""Maps float32 images (N, C, H, W) in [0, 255] and a level from 1 to 5 to damaged ones; every call gives the same."""


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def smooth(shape: tuple[int, ...], size: tuple[int, int], seed: int, uniform: bool = False) -> Tensor:
    """Draws random maps of ``shape`` (N, C, h, w) and enlarges them to ``size``, bicubic."""
    draw = torch.rand if uniform else torch.randn
    return F.interpolate(draw(shape, generator=generator(seed)), size, mode="bicubic", align_corners=False)


# Damage that keeps the content


def noise(x: Tensor, level: int) -> Tensor:
    """Adds Gaussian noise, of 6 to 64 grey levels."""
    return x + torch.randn(x.shape, generator=generator(1)) * (6, 12, 24, 40, 64)[level - 1]


def blur(x: Tensor, level: int) -> Tensor:
    """Blurs with a Gaussian, of 0.5 to 2.8 px at a side of 64 px."""
    sigma = max((0.5, 0.8, 1.2, 1.8, 2.8)[level - 1] * x.shape[-1] / 64, 0.35)
    reach = min(math.ceil(3 * sigma), x.shape[-1] - 1, x.shape[-2] - 1)
    padded = F.pad(x, (reach,) * 4, mode="reflect")
    return gaussian_blur(padded, [2 * reach + 1] * 2, [sigma] * 2)[..., reach:-reach, reach:-reach]


def jpeg(x: Tensor, level: int) -> Tensor:
    """Compresses as JPEG, of quality 60 to 5."""
    images = x.clamp(0, 255).round().byte()
    return torch.stack([_compressed(each, (60, 35, 20, 10, 5)[level - 1]) for each in images]).float()


def _compressed(image: Tensor, quality: int) -> Tensor:
    file = io.BytesIO()
    pixels = image.permute(1, 2, 0).numpy()
    Image.fromarray(pixels[..., 0] if len(image) == 1 else pixels).save(file, "JPEG", quality=quality)
    read = torch.from_numpy(np.array(Image.open(file)))
    return read.unsqueeze(0) if read.ndim == 2 else read.permute(2, 0, 1)


def contrast(x: Tensor, level: int) -> Tensor:
    """Takes contrast away, 15 to 85 %."""
    mean = x.mean((1, 2, 3), keepdim=True)
    return (x - mean) * (0.85, 0.7, 0.5, 0.33, 0.15)[level - 1] + mean


def checkerboard(x: Tensor, level: int) -> Tensor:
    """Adds the pattern of period 2 that upsampling leaves, of 4 to 45 grey levels."""
    rows, columns = _rows_and_columns(x)
    pattern = ((rows + columns) % 2 * 2 - 1).float()
    strength = torch.rand(len(x), 1, 1, 1, generator=generator(4)) * 0.6 + 0.7
    return x + pattern * strength * (4, 8, 16, 28, 45)[level - 1]


def lattice(x: Tensor, level: int) -> Tensor:
    """Adds the pattern of period 4 of two upsampling layers, stronger in some places, of 4 to 45 grey levels."""
    rows, columns = _rows_and_columns(x)
    pattern = ((rows % 4 < 2).float() * 2 - 1) * ((columns % 4 < 2).float() * 2 - 1)
    strength = smooth((len(x), 1, 4, 4), (x.shape[2], x.shape[3]), 5, uniform=True).clamp(0, 1) + 0.5
    return x + pattern * strength * (4, 8, 16, 28, 45)[level - 1]


def _rows_and_columns(x: Tensor) -> tuple[Tensor, Tensor]:
    return torch.arange(x.shape[2]).view(-1, 1), torch.arange(x.shape[3]).view(1, -1)


def speckle(x: Tensor, level: int) -> Tensor:
    """Replaces 0.5 to 15 % of the pixels by black and white."""
    draws = generator(6)
    hit = torch.rand(x[:, :1].shape, generator=draws) < (0.005, 0.01, 0.03, 0.07, 0.15)[level - 1]
    return torch.where(hit, (torch.rand(hit.shape, generator=draws) < 0.5).float() * 255, x)


def drained(x: Tensor, level: int) -> Tensor:
    """Takes colour away, 20 to 100 %."""
    grey = torch.einsum("nchw,c->nhw", x, torch.tensor(LUMA)).unsqueeze(1)
    share = (0.2, 0.4, 0.6, 0.8, 1.0)[level - 1]
    return x * (1 - share) + grey * share


def shifted(x: Tensor, level: int) -> Tensor:
    """Shifts the channels, all images alike, by 8 to 70 grey levels."""
    direction = torch.randn(1, x.shape[1], 1, 1, generator=generator(7))
    return x + direction / direction.abs().mean() * (8, 16, 28, 45, 70)[level - 1]


# Damage that takes the content away


def swapped(x: Tensor, level: int) -> Tensor:
    """Exchanges 2 to 16 cells of 4×4."""
    count, high, wide = (2, 4, 6, 10, 16)[level - 1], x.shape[2] // 4, x.shape[3] // 4
    draws, result = generator(2), x.clone()
    for old, new in zip(x, result, strict=True):
        cells = torch.randperm(16, generator=draws)[:count]
        for to, source in zip(cells.tolist(), cells.roll(1).tolist(), strict=True):
            (y, column), (v, u) = divmod(to, 4), divmod(source, 4)
            part = old[:, v * high : (v + 1) * high, u * wide : (u + 1) * wide]
            new[:, y * high : (y + 1) * high, column * wide : (column + 1) * wide] = part
    return result


def blotches(x: Tensor, level: int) -> Tensor:
    """Covers 8 to 100 % with soft blotches of the image's own mean colour and contrast."""
    size, share = (x.shape[2], x.shape[3]), (0.08, 0.2, 0.4, 0.65, 1.0)[level - 1]
    field = smooth((len(x), 1, 6, 6), size, 3)
    edge = field.flatten(1).quantile(1 - share, 1).view(-1, 1, 1, 1)
    mask = ((field - edge) * 8).sigmoid() if share < 1 else torch.ones_like(field)
    colours = smooth((len(x), x.shape[1], 4, 4), size, 9, uniform=True)
    colours = (colours - colours.mean((2, 3), keepdim=True)) / colours.std((2, 3), keepdim=True)
    colours = colours * x.std((2, 3), keepdim=True) + x.mean((2, 3), keepdim=True)
    return x * (1 - mask) + colours * mask


def textures(x: Tensor, level: int) -> Tensor:
    """Turns the phases of the spectrum by up to 10 to 100 %; the spectrum's power and all colours stay."""
    spectrum, size = torch.fft.rfft2(x), (x.shape[2], x.shape[3])
    phases = torch.fft.rfft2(torch.randn(len(x), 1, *size, generator=generator(8))).angle()
    turned = torch.polar(spectrum.abs(), spectrum.angle() + (0.1, 0.2, 0.35, 0.6, 1.0)[level - 1] * phases)
    turned[..., 0, 0] = spectrum[..., 0, 0]
    order = torch.fft.irfft2(turned, s=size).flatten(2).argsort(-1).argsort(-1)
    return x.flatten(2).sort(-1).values.gather(2, order).view_as(x)


def inverted(x: Tensor, level: int) -> Tensor:
    """Turns 10 to 100 % of the images into their negatives."""
    count = round(SHARES[level - 1] * len(x))
    return torch.cat([255 - x[:count], x[count:]])


# Damage to the set


SHARES = (0.1, 0.25, 0.5, 0.75, 1.0)


def fewer(x: Tensor, level: int) -> Tensor:
    """Repeats 50 to 1 % of the images, at least two."""
    return x[torch.arange(len(x)) % max(2, round((0.5, 0.25, 0.1, 0.03, 0.01)[level - 1] * len(x)))]


def copies(x: Tensor, level: int) -> Tensor:
    """Replaces 10 to 100 % of the images by copies of 5 % of them."""
    count = round(SHARES[level - 1] * len(x))
    return torch.cat([x[torch.arange(count) % max(2, len(x) // 20)], x[count:]])


def mixture(x: Tensor, level: int, others: Tensor) -> Tensor:
    """Replaces 10 to 100 % of the images by those of another set, (N, C, H, W)."""
    count = round(SHARES[level - 1] * len(x))
    return torch.cat([others[:count], x[count:]])


KEEPING: dict[str, Damage] = {
    each.__name__: each for each in (noise, blur, jpeg, contrast, checkerboard, lattice, speckle, drained, shifted)
}
LOSING: dict[str, Damage] = {each.__name__: each for each in (swapped, blotches, textures, inverted, fewer, copies)}


def apply(damage: Callable[..., Tensor], images: Tensor, level: int, *others: Tensor) -> Tensor:
    """Damages uint8 images (N, C, H, W)."""
    found = damage(images.float(), level, *(each.float() for each in others))
    return found.clamp(0, 255).round().to(torch.uint8)
