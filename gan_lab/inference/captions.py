"""Names beside the rows of a sheet."""

from collections.abc import Sequence

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from gan_lab.common.images import from_pil, to_pil

LONGEST = 24
"""Characters of a name that are shown at most."""
DRAWABLE = 0x24F
"""The last character that Pillow's own font is sure to have; other names give way to the row's number."""


def name_rows(sheet: Tensor, names: Sequence[str]) -> Tensor:
    """Adds a margin on the left with a name for each row.

    Args:
        sheet: uint8 (C, H, W), with rows of equal height.
        names: one for each row; empty leaves the sheet as it is.

    Returns:
        uint8 (C, H, W').
    """
    if not names:
        return sheet
    shown, step = [_shown(name, row) for row, name in enumerate(names)], sheet.shape[1] / len(names)
    font = ImageFont.load_default(max(8, min(13, int(step) - 2)))
    width = int(max(font.getlength(name) for name in shown)) + 8
    margin = Image.new(to_pil(sheet).mode, (width, sheet.shape[1]), "white")
    draw = ImageDraw.Draw(margin)
    for row, name in enumerate(shown):
        draw.text((width - 4, (row + 0.5) * step), name, "black", font, anchor="rm")
    return torch.cat([from_pil(margin), sheet.cpu()], -1)


def _shown(name: str, row: int) -> str:
    """A name in characters that can be drawn, cut where it is long."""
    if not name.isprintable() or any(ord(character) > DRAWABLE for character in name):
        return str(row)
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"
