"""The page of directions: a slider for each, and the table of what each changes besides."""

import io
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from gan_lab.common.images import grid, to_pil
from gan_lab.evaluation.reports.pages import data_url, write_page
from gan_lab.inference.directions import Directions

WIDTH = 760
"""Width of the images of a slider in pixels."""

MEANINGS = {
    "sefa": "eigenvalue",
    "pca": "variance",
    "regression": "share of the attribute's variance that codes explain",
}
"""Names of the values of directions, by method."""


def write_directions_page(
    path: Path,
    title: str,
    directions: Directions,
    images: Tensor,
    strength: float,
    leaks: Mapping[str, Mapping[str, float]],
) -> Path:
    """Writes a page of one file, and returns its path.

    Args:
        path: of the page.
        title: of the page.
        directions: K of them.
        images: what they change, (K, n, T, C, H, W) in [-1, 1].
        strength: of the last of the T images, in deviations; the first has its negative.
        leaks: the change of each attribute by each direction; empty without attributes.
    """
    _, samples, steps, _, height, width = images.shape
    strips = [
        (name, float(value) if value == value else None, _strip(each))
        for name, value, each in zip(directions.names, directions.values, images, strict=True)
    ]
    return write_page(
        path, "directions.html.j2", title=title, strips=strips, samples=samples, steps=steps, middle=steps // 2,
        strength=strength, width=min(WIDTH, 4 * samples * width), ratio=f"{samples * width} / {height}",
        meaning=MEANINGS.get(directions.method, "accuracy of its boundary"),
        attributes=[*next(iter(leaks.values()), {})], leaks=leaks,
    )  # fmt: skip


def _strip(images: Tensor) -> str:
    """Returns images (n, T, C, H, W) as a data URL: a row for each strength, in which samples stand side by side."""
    buffer = io.BytesIO()
    to_pil(grid(images.transpose(0, 1).flatten(0, 1), len(images), pad=0, scale=1)).convert("RGB").save(
        buffer, "WEBP", quality=85
    )
    return data_url(buffer.getvalue(), "webp")
