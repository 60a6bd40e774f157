"""The sheet of a model that translates among many domains."""

import torch
from torch import Tensor

from gan_lab.common.capabilities import LabelledImages, TranslatesAmong
from gan_lab.common.class_names import class_names
from gan_lab.common.images import grid, to_float
from gan_lab.data.class_view import ClassView
from gan_lab.data.subsets import evenly_spaced
from gan_lab.inference.captions import name_rows
from gan_lab.inference.restyling import num_styles, restyled
from gan_lab.inference.sheets import DEFAULTS, SheetOptions
from gan_lab.inference.translation import SPLIT

COLUMNS, MAX_COLUMNS = 6, 12
"""References side by side: about this number for few domains, and the largest for many."""


@torch.no_grad()
def domain_sheet(model: TranslatesAmong, data: LabelledImages, options: SheetOptions = DEFAULTS) -> Tensor:
    """Shows test images translated to the domains of references, uint8 (C, H, W), with names of their own domains.

    The first row has the references. A row below holds an image, and in each column its translation in the reference's
    style; in the rows named "random", it has a style that is drawn instead. A model without styles has one column for
    each domain, and no such rows.
    """
    device, styled = getattr(model, "device", "cpu"), num_styles(model) > 0
    shown = [number for number in range(model.classes) if ClassView(data, number).count(SPLIT)][:MAX_COLUMNS]
    per_domain = max(1, COLUMNS // len(shown)) if styled else 1
    columns = [number for number in shown for _ in range(per_domain)]
    rows = max(1, (options.n // (len(columns) + 1) - 1) // (1 + styled))
    sources = [shown[row % len(shown)] for row in range(rows)]
    references, images = _examples(data, [*sources, *columns]).to(device).split([rows, len(columns)])[::-1]
    to = torch.tensor(columns, device=device)
    ways = [(model.styles_of(references, to), "")] if styled else []
    ways.append((model.random_styles(len(columns), to, options.seed), ", random" if styled else ""))
    names = class_names(model) or [str(number) for number in range(model.classes)]
    cells, captions = [torch.ones_like(references[:1]), references], [""]
    for styles, suffix in ways:
        for image, own in zip(images, sources, strict=True):
            cells += [image[None], restyled(model, image.expand(len(to), -1, -1, -1), to, styles)]
            captions.append(f"{names[own]}{suffix}")
    sheet = grid(torch.cat([cell.cpu() for cell in cells]), len(columns) + 1)
    return name_rows(sheet, captions)


def _examples(data: LabelledImages, numbers: list[int]) -> Tensor:
    """Returns a test image of each of the domains, float (n, C, H, W): of one domain different ones, if there are."""
    found: dict[int, Tensor] = {}
    for number in {*numbers}:
        view = ClassView(data, number)
        count = min(numbers.count(number), view.count(SPLIT))
        found[number] = torch.cat([images for _, images in evenly_spaced(view, SPLIT, count)])
    chosen = [found[number][numbers[:place].count(number) % len(found[number])] for place, number in enumerate(numbers)]
    return to_float(torch.stack(chosen))
