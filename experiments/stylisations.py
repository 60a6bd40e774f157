"""Stylises photographs by pictures, each by each.

    python experiments/stylisations.py --contents PHOTO … --styles PICTURE …

Writes results/stylisations.json, with the style loss before and after and the processor seconds of each; with
``--picture``, also a picture of all. Everything is at its default but the size.
"""

import argparse
import json
import time
from datetime import date
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from gan_lab.common.device import describe_hardware, versions
from gan_lab.common.images import from_pil, to_float, to_pil
from gan_lab.evaluation.features.maps import general
from gan_lab.inference.styling import StyleTransfer, TransferOptions
from gan_lab.inference.stylist import resized, sides_of
from gan_lab.losses.style import gram, style_loss

SIZE, SHOWN, GAP = 384, 224, 4
OUTPUT = Path(__file__).parent / "results" / "stylisations.json"


def read(path: Path) -> Tensor:
    return from_pil(Image.open(path).convert("RGB"))


def distance(transfer: StyleTransfer, pixels: Tensor, style: Tensor) -> float:
    """Returns the style loss of pixels at the size of the result."""
    sides = [sides_of(each[None], SIZE) for each in (pixels, style)]
    images = [resized(to_float(each[None]), size) for each, size in zip((pixels, style), sides, strict=True)]
    with torch.no_grad():
        own, target = ([gram(maps) for maps in transfer.features(image)] for image in images)
    return float(style_loss(own, target))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--contents", type=Path, nargs="+", required=True)
    parser.add_argument("--styles", type=Path, nargs="+", required=True)
    parser.add_argument("--output", type=Path, default=OUTPUT)
    parser.add_argument("--picture", type=Path, help="also write a picture of all")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    network, side = general(), SHOWN + GAP
    sheet = Image.new("RGB", (side * (len(arguments.styles) + 1), side * (len(arguments.contents) + 1)), "white")

    def put(pixels: Tensor, column: int, row: int) -> None:
        image = to_pil(pixels)
        image.thumbnail((SHOWN, SHOWN))
        sheet.paste(image, (column * side, row * side))

    styles = {path.stem: read(path) for path in arguments.styles}
    for column, style in enumerate(styles.values(), 1):
        put(style, column, 0)
    found: dict[str, Any] = {}
    for row, path in enumerate(arguments.contents, 1):
        content, photo = path.stem, read(path)
        put(photo, 0, row)
        for column, (name, style) in enumerate(styles.items(), 1):
            transfer = StyleTransfer(network, [style], options=TransferOptions(size=SIZE))
            began = time.process_time()
            made = transfer(photo)
            seconds = time.process_time() - began
            before, after = (distance(transfer, each, style) for each in (photo, made))
            found[f"{content}, {name}"] = {
                "before": round(before, 4), "after": round(after, 4), "fell": round(before / after, 1),
                "seconds": round(seconds, 1),
            }  # fmt: skip
            print(content, name, found[f"{content}, {name}"], flush=True)
            put(made, column, row)
    record = {
        "stylisations": found, "size": SIZE, "hardware": describe_hardware(torch.device("cpu")),
        "versions": versions(), "date": date.today().isoformat(),
    }  # fmt: skip
    arguments.output.write_text(json.dumps(record, indent=1) + "\n")
    if arguments.picture:
        sheet.save(arguments.picture, quality=88)


if __name__ == "__main__":
    main()
