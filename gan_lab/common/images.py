"""Image tensors: conversion, grids and diagrams, padding, image files and animations. Files are written atomically."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor
from torch.nn.functional import pad as pad_image

from gan_lab.common.animation_files import WRITERS
from gan_lab.common.atomic import atomic_write
from gan_lab.common.background import Background
from gan_lab.common.errors import UserError

DEEP = 65535
"""The largest level of 16 bits."""

PNG_LEVEL = 1
"""Compression of PNG files, 0 to 9. Measured: 1 takes a quarter of the time of 6, and photos become 3 % larger."""
RLE = 3
"""zlib's strategy that finds repeated bytes alone: with PNG's filters it compresses as much, in half the time."""

MIN_CELL = 64
"""Grids enlarge images by an integer factor if their longer side is at most half of this many pixels."""


def grid(images: Tensor, columns: int | None = None, pad: int = 2, scale: int | None = None) -> Tensor:
    """Arranges images in rows on a white background, uint8 (C, H', W').

    Args:
        images: float (N, C, H, W) in [-1, 1], on any device; row by row.
        columns: images in a row; None makes the grid as square as N allows.
        pad: pixels around each image.
        scale: integer factor of enlargement (nearest neighbour); None enlarges small images, see ``MIN_CELL``.
    """
    n, channels, height, width = images.shape
    scale = scale or max(1, MIN_CELL // max(height, width))
    columns = min(columns or _square(n), n)
    rows = -(-n // columns)
    cells = to_uint8(images.detach().cpu()).repeat_interleave(scale, -1).repeat_interleave(scale, -2)
    cells = pad_image(cells, (pad, 0, pad, 0), value=255)
    blank = cells.new_full((rows * columns - n, *cells.shape[1:]), 255)
    cells = torch.cat([cells, blank]).view(rows, columns, *cells.shape[1:])
    sheet = cells.permute(2, 0, 3, 1, 4).reshape(channels, rows * cells.shape[-2], columns * cells.shape[-1])
    return pad_image(sheet, (0, pad, 0, pad), value=255)


def grid_by_label(images: Tensor, labels: Tensor) -> Tensor:
    """Arranges images in a ``grid`` with a row for each label, in ascending order.

    Args:
        images: float (N, C, H, W) in [-1, 1].
        labels: (N,); rows of rare labels are filled up with white.

    Returns:
        uint8 (C, H', W').
    """
    rows = [images[labels == label] for label in labels.unique()]
    columns = max(map(len, rows))
    blank = images.new_ones(columns, *images.shape[1:])
    return grid(torch.cat([torch.cat([row, blank[len(row) :]]) for row in rows]), columns)


def _square(n: int) -> int:
    """Returns a number of columns for n images.

    It is the smallest divisor of n that is at least √n, if the grid is then at most twice as wide as high, else ⌈√n⌉.
    """
    root = int(np.ceil(np.sqrt(n)))
    return next((c for c in range(root, n + 1) if n % c == 0 and c * c <= 2 * n), root)


def scatter_plot(points: Tensor, colours: Tensor, side: int = 384, dot: int = 2) -> Tensor:
    """Draws points as dots on a white background, later ones on top, uint8 (3, side, side).

    Args:
        points: (N, 2), x and y in [-1, 1]; points outside are not drawn.
        colours: (N, 3), 0 to 255.
        side: pixels of the image's side.
        dot: pixels of a dot's side.
    """
    sheet = np.full((side, side, 3), 255, np.uint8)
    corners = ((points.numpy() * [1, -1] + 1) / 2 * (side - dot)).round().astype(int)
    inside = ((corners >= 0) & (corners <= side - dot)).all(1)
    for y, x in np.ndindex(dot, dot):
        sheet[corners[inside, 1] + y, corners[inside, 0] + x] = colours.numpy()[inside]
    return torch.from_numpy(sheet).permute(2, 0, 1)


def heatmap(
    values: Tensor,
    rows: Sequence[str],
    columns: Sequence[str],
    title: str,
    limits: tuple[float, float] | None = None,
    cell: tuple[int, int] = (96, 48),
) -> Tensor:
    """Draws a table of numbers as an image, higher numbers darker, uint8 (3, H, W).

    Args:
        values: (R, K); NaN cells stay blank.
        rows, columns: their titles.
        title: title of the table.
        limits: values drawn white and darkest; None takes the smallest and the largest.
        cell: width and height of a cell in pixels.
    """
    known = values[~values.isnan()]
    low, high = limits or ((float(known.min()), float(known.max())) if len(known) else (0.0, 1.0))
    (width, height), font = cell, ImageFont.load_default(13)
    sheet = Image.new("RGB", (width * (len(columns) + 1), height * (len(rows) + 2)), "white")
    draw = ImageDraw.Draw(sheet)
    draw.text((sheet.width / 2, height / 2), title, "black", font, anchor="mm")
    for x, name in enumerate(columns, 1):
        draw.text(((x + 0.5) * width, 1.5 * height), name, "black", font, anchor="mm")
    for y, name in enumerate(rows, 2):
        draw.text((width / 2, (y + 0.5) * height), name, "black", font, anchor="mm")
        for x, value in enumerate(values[y - 2].tolist(), 1):
            if not np.isnan(value):
                dark = min(max((value - low) / ((high - low) or 1), 0), 1)
                ground = tuple(round(255 + (full - 255) * dark) for full in (30, 80, 160))
                box = (x * width, y * height, (x + 1) * width - 2, (y + 1) * height - 2)
                draw.rectangle(box, ground)
                middle = (x + 0.5) * width, (y + 0.5) * height
                draw.text(middle, f"{value:.2f}", "white" if dark > 0.5 else "black", font, anchor="mm")
    return from_pil(sheet)


def strip(images: Tensor, pad: int = 2, scale: int | None = None) -> Tensor:
    """Arranges images (N, C, H, W) in [-1, 1] in one row, uint8 (C, H', W'); see ``grid``."""
    return grid(images, columns=len(images), pad=pad, scale=scale)


def to_pil(image: Tensor) -> Image.Image:
    """Converts uint8 (1 or 3, H, W) to a PIL image, greyscale or RGB."""
    array = image.cpu().permute(1, 2, 0).contiguous().numpy()
    return Image.fromarray(array[..., 0] if array.shape[-1] == 1 else array)


def from_pil(image: Image.Image) -> Tensor:
    """Converts an 8-bit PIL image, greyscale, RGB or palette (to indices), to uint8 (1 or 3, H, W)."""
    array = np.array(image)
    return torch.from_numpy(array).reshape(*array.shape[:2], -1).permute(2, 0, 1)


def png_options(compression: int) -> dict[str, int]:
    """Returns arguments of ``PIL.Image.save`` for a PNG file, given the level of compression, 0 to 9."""
    return {"compress_level": compression} | ({"compress_type": RLE} if compression == 1 else {})


def save_png(path: str | Path, image: Tensor, compression: int = PNG_LEVEL) -> None:
    """Writes an image uint8 (1 or 3, H, W) as PNG; missing folders are created.

    Args:
        path: the file.
        image: the pixels, which PNG keeps as they are.
        compression: 0 to 9; higher levels take longer and give smaller files.
    """
    with atomic_write(Path(path), sync=False) as temporary:
        to_pil(image).save(temporary, format="PNG", **png_options(compression))


def save_images(
    folder: str | Path,
    images: Tensor,
    start: int = 0,
    compression: int = PNG_LEVEL,
    background: Background | None = None,
) -> None:
    """Writes images at their own size as 000000.png, 000001.png …, numbered from ``start``, in threads.

    Args:
        folder: of the files.
        images: (N, C, H, W) in [-1, 1].
        start: number of the first file.
        compression: see ``save_png``.
        background: writes them while the caller goes on; None waits for them.
    """
    if background is None:
        with Background() as own:
            save_images(folder, images, start, compression, own)
        return
    for number, image in enumerate(to_uint8(images.detach()).cpu(), start):
        background.add(partial(save_png, Path(folder) / f"{number:06d}.png", image, compression))


def save_animation(path: str | Path, frames: Tensor, fps: float = 10) -> None:
    """Writes an animation of T frames; equal ones stay frames of their own.

    Args:
        path: ends in .gif, .webp or .png, which loop, or .mp4, which stores even sides: odd ones grow by a pixel.
        frames: uint8 (T, 1 or 3, H, W).
        fps: frames per second, at most 50 in a GIF and 90 in WebP and PNG: what is faster is slowed down.

    Raises:
        UserError: for another suffix, and for .mp4 without PyAV.
    """
    path = Path(path)
    write = WRITERS.get(path.suffix.lower())
    if write is None:
        raise UserError(f"{path.name} cannot store an animation: give a name that ends in {', '.join(WRITERS)}.")
    with atomic_write(path, sync=False) as temporary:
        write(temporary, [to_pil(frame) for frame in frames], fps)


def read_frames(paths: Sequence[Path], limit: int = 60, longest: int = 1024) -> Tensor:
    """Reads image files as frames uint8 (T, 1 or 3, H, W), resized to the size of the last.

    Args:
        paths: files in temporal order, at least one.
        limit: largest T; the files are evenly spaced then, the first and the last included.
        longest: largest side in pixels; larger images are scaled down.
    """
    chosen = np.unique(np.linspace(0, len(paths) - 1, limit).round().astype(int))
    with Image.open(paths[-1]) as last:
        mode, shrink = last.mode, min(1.0, longest / max(last.size))
        size = round(last.width * shrink), round(last.height * shrink)
    return torch.stack([_read(paths[i], mode, size) for i in chosen])


def _read(path: Path, mode: str, size: tuple[int, int]) -> Tensor:
    with Image.open(path) as file:
        image = file.convert(mode)
        if image.size != size:
            image = image.resize(size, Image.Resampling.LANCZOS)
        return from_pil(image)


def round_up(length: int, multiple: int) -> int:
    """Returns the smallest multiple of ``multiple`` that is at least ``length``."""
    return -(-length // multiple) * multiple


def reflect_pad(images: Tensor, size: tuple[int, int]) -> Tensor:
    """Pads images (…, H, W) below and to the right to ``size``, by repeated reflection at the edges: (…, H', W')."""
    rows, columns = (_reflected(old, new) for old, new in zip(images.shape[-2:], size, strict=True))
    return images[..., rows, :][..., columns]


def _reflected(size: int, padded: int) -> Tensor:
    """Returns the source of each padded row, int64 (padded,): back and forth between the first and the last."""
    if size == 1:
        return torch.zeros(padded, dtype=torch.long)
    rows = torch.arange(padded) % (2 * size - 2)
    return torch.where(rows < size, rows, 2 * size - 2 - rows)


def to_float(images: Tensor) -> Tensor:
    """Converts uint8 in [0, 255] to float32 in [-1, 1], any shape."""
    return images.float().mul_(2 / 255).sub_(1)


def from_levels(pixels: Tensor) -> Tensor:
    """Converts uint8, or int32 in [0, 65535] for 16 bits, to float32 in [-1, 1], any shape."""
    return to_float(pixels) if pixels.dtype == torch.uint8 else pixels.float().mul_(2 / DEEP).sub_(1)


def to_levels(images: Tensor, dtype: torch.dtype) -> Tensor:
    """Converts floats in [-1, 1] to uint8, or to int32 in [0, 65535], any shape: clamped and rounded."""
    if dtype == torch.uint8:
        return to_uint8(images)
    return images.float().add(1).mul(DEEP / 2).round_().clamp_(0, DEEP).to(dtype)


def of_eight_bits(pixels: Tensor) -> Tensor:
    """Returns uint8 as it is, and 16 bits, int32 in [0, 65535], rounded to uint8; any shape."""
    return pixels if pixels.dtype == torch.uint8 else ((pixels + 128) // 257).to(torch.uint8)


def to_uint8(images: Tensor) -> Tensor:
    """Converts floats in [-1, 1] to uint8 in [0, 255], any shape: clamped, and rounded to the nearest level."""
    return images.float().add(1).mul(127.5).round_().clamp_(0, 255).to(torch.uint8)
