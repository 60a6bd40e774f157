"""Measures whether streets that were generated from label maps follow the maps, with a small segmenter.

    python experiments/segment.py runs/pix2pix-…/best.ckpt --root CAMVID --output experiments/results/….json

The segmenter of metrics=segmentation is trained on the real training pairs of the checkpoint's data. Then mean
intersections over union (IoU) are measured against the test maps: for the real test images, for images generated from
the maps, and for images generated from another image's map. The last must be far lower if the output follows the map.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan_lab.cli.session import Session
from gan_lab.common.capabilities import TwoDomains
from gan_lab.common.device import describe_hardware
from gan_lab.common.images import to_float, to_uint8
from gan_lab.evaluation.trained_segmenter import Confusion, overlaps, train_segmenter
from gan_lab.networks.segmentation import SegmentationUNet
from gan_lab.training.checkpoint import model_of, read


def pairs(data: TwoDomains, split: str) -> tuple[Tensor, Tensor]:
    """Returns all stored maps (N, 1 or 2, H, W) and images (N, C, H, W) of a split, uint8."""
    maps, images = (torch.cat(list(data.sides[side].images(split))) for side in ("a", "b"))
    return maps, images


@torch.no_grad()
def iou(network: nn.Module, images: Tensor, classes: Tensor, labels: int) -> Tensor:
    """Returns each class's IoU, (K,), NaN for those that are in no map; pixels without a class do not count."""
    table = Confusion(labels)
    for shown, truth in zip(images.split(16), classes.split(16), strict=True):
        table.update(torch.stack([truth, network(to_float(shown)).argmax(1)], 1))
    return overlaps(table.compute())


def generate(model: Any, maps: Tensor) -> Tensor:
    """Returns the images that the model generates from stored maps, uint8 (N, C, H, W)."""
    inputs = (model.domains["a"].encode(part) for part in maps.split(16))
    return torch.cat([to_uint8(model.translate(part, "b", start=16 * i)) for i, part in enumerate(inputs)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--root", type=Path, help="the folder of the data, if it has moved since training")
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    checkpoint = read(arguments.checkpoint)
    model = model_of(checkpoint)
    data = Session(arguments.checkpoint, checkpoint["gan_lab"], model, model.device).data(arguments.root)
    if not isinstance(data, TwoDomains) or not data.domains["a"].labels:
        raise SystemExit("segment: the data of this checkpoint have no label maps.")
    domain, began = data.domains["a"], time.monotonic()
    maps, images = pairs(data, "train")
    network = train_segmenter(
        SegmentationUNet, images, domain.numbers(maps), domain.labels, arguments.steps, progress=True
    )
    minutes = (time.monotonic() - began) / 60
    maps, images = pairs(data, "test")
    own, classes = generate(model, maps), domain.numbers(maps)
    shown = {"real": images, "made": own, "made_from_another_map": own.roll(len(own) // 2, 0)}
    each = {name: iou(network, which, classes, domain.labels) for name, which in shown.items()}
    means = {name: each[name].nanmean().item() for name in shown}
    report = {
        "checkpoint": arguments.checkpoint.name, "hardware": describe_hardware(torch.device("cpu")),
        "test_pictures": len(maps),
        "segmenter_minutes": round(minutes, 1), "mean_iou": {name: round(mean, 4) for name, mean in means.items()},
        "made_over_real": round(means["made"] / means["real"], 3),
        "iou_by_class": {name: found.nan_to_num().round(decimals=3).tolist() for name, found in each.items()},
        "change_by_another_map": round(F.l1_loss(to_float(own), to_float(own.roll(len(own) // 2, 0))).item(), 4),
    }  # fmt: skip
    print(json.dumps(report, indent=1))
    if arguments.output:
        arguments.output.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
