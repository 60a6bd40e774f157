"""Do streets made from label maps follow the maps? A small segmenter, taught on real pictures, is asked.

    python experiments/segment.py runs/pix2pix-…/best.ckpt --root CAMVID --output experiments/results/….json

The segmenter learns from the training pairs of the data that the checkpoint names. Then three mean intersections over
union against the test maps: of the real test pictures, of what the model makes of the maps, and of what it makes of
another picture's map, which must be far lower if the output goes by the map.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan_lab.cli.inputs import data_of
from gan_lab.common.capabilities import TwoDomains
from gan_lab.common.device import describe_hardware
from gan_lab.common.images import to_float, to_uint8
from gan_lab.training.checkpoint import load


class Segmenter(nn.Module):
    """Pictures (N, C, H, W) → logits (N, K, H, W) at half the resolution, doubled: four scales with skips."""

    def __init__(self, channels: int, labels: int, filters: int = 24) -> None:
        super().__init__()
        maps = [filters, 2 * filters, 4 * filters, 4 * filters]
        self.down = nn.ModuleList(_scale(a, b, 2) for a, b in zip([channels, *maps], maps, strict=False))
        self.up = nn.ModuleList(_scale(a + b, b, 1) for a, b in zip(maps[:0:-1], maps[-2::-1], strict=True))
        self.out = nn.Conv2d(maps[0], labels, 1)

    def forward(self, images: Tensor) -> Tensor:
        skips, x = [], images
        for layer in self.down:
            x = layer(x)
            skips.append(x)
        for layer, skip in zip(self.up, skips[-2::-1], strict=True):
            x = layer(torch.cat([F.interpolate(x, skip.shape[2:]), skip], 1))
        return F.interpolate(self.out(x), images.shape[2:], mode="bilinear")


def _scale(before: int, after: int, stride: int) -> nn.Sequential:
    def convolved(a: int, b: int, stride: int) -> list[nn.Module]:
        return [nn.Conv2d(a, b, 3, stride, 1, bias=False), nn.BatchNorm2d(b), nn.ReLU()]

    return nn.Sequential(*convolved(before, after, stride), *convolved(after, after, 1))


def pairs(data: TwoDomains, split: str) -> tuple[Tensor, Tensor]:
    """All maps (N, H, W) and pictures uint8 (N, C, H, W) of a split."""
    maps, pictures = (torch.cat(list(data.sides[side].images(split))) for side in ("a", "b"))
    return maps[:, 0].long(), pictures


def teach(maps: Tensor, pictures: Tensor, labels: int, minutes: float, batch: int = 16) -> Segmenter:
    """AdamW with a learning rate that falls to nothing over the minutes; mirrored by chance.

    Classes are weighted by the root of the median frequency over their own (after Badrinarayanan et al. 2017, SegNet,
    section 4), or rare ones would not be learnt.
    """
    torch.manual_seed(0)
    counts = torch.bincount(maps.flatten(), minlength=labels + 1)[:labels].clamp(min=1).float()
    weight = (counts.median() / counts).sqrt()
    network = Segmenter(pictures.shape[1], labels).train()
    optimizer, began, last = torch.optim.AdamW(network.parameters(), 2e-3), time.monotonic(), 0.0
    while (share := (time.monotonic() - began) / (60 * minutes)) < 1:
        rows = torch.randint(len(maps), (batch,))
        images, truth = to_float(pictures[rows]), maps[rows]
        if torch.rand(()) < 0.5:
            images, truth = images.flip(3), truth.flip(2)
        images = images * (0.8 + 0.4 * torch.rand(batch, 1, 1, 1))
        optimizer.param_groups[0]["lr"] = 2e-3 * (1 - share)
        optimizer.zero_grad()
        loss = F.cross_entropy(network(images), truth.where(truth < labels, -100), weight, ignore_index=-100)
        loss.backward()
        optimizer.step()
        if share > last + 0.1:
            last = share
            print(f"segmenter {share:.0%}: loss {loss.item():.3f}", flush=True)
    return network.eval()


@torch.no_grad()
def mean_iou(network: Segmenter, pictures: Tensor, maps: Tensor, labels: int) -> tuple[float, list[float]]:
    """Over the classes that the maps have, and each class's; pixels without a class do not count."""
    confusion = torch.zeros(labels, labels)
    for images, truth in zip(pictures.split(16), maps.split(16), strict=True):
        known = truth < labels
        found = network(to_float(images)).argmax(1)[known]
        confusion += torch.bincount(truth[known] * labels + found, minlength=labels**2).view(labels, labels)
    hit = confusion.diag()
    union = confusion.sum(0) + confusion.sum(1) - hit
    each = (hit / union.clamp(min=1)).tolist()
    present = [value for value, count in zip(each, confusion.sum(1).tolist(), strict=True) if count]
    return sum(present) / len(present), each


def made(model: Any, maps: Tensor) -> Tensor:
    """What the model makes of maps (N, H, W), as uint8 pictures."""
    inputs = (model.domains["a"].encode(part[:, None]) for part in maps.split(16))
    return torch.cat([to_uint8(model.translate(part, "b", start=16 * i)) for i, part in enumerate(inputs)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--root", help="of the data, where the checkpoint's own is not there")
    parser.add_argument("--minutes", type=float, default=8)
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    model = load(arguments.checkpoint)
    data = data_of(arguments.checkpoint, {"root": arguments.root, "trust": []})
    if not isinstance(data, TwoDomains) or not data.domains["a"].labels:
        raise SystemExit("segment: the checkpoint's data have no label maps.")
    labels = data.domains["a"].labels
    network = teach(*pairs(data, "train"), labels, arguments.minutes)
    maps, pictures = pairs(data, "test")
    own = made(model, maps)
    figures = {
        "real": mean_iou(network, pictures, maps, labels),
        "made": mean_iou(network, own, maps, labels),
        "made_from_another_map": mean_iou(network, own.roll(len(own) // 2, 0), maps, labels),
    }
    report = {
        "checkpoint": arguments.checkpoint.name, "hardware": describe_hardware(torch.device("cpu")),
        "test_pictures": len(maps),
        "segmenter_minutes": arguments.minutes, "mean_iou": {name: round(iou, 4) for name, (iou, _) in figures.items()},
        "made_over_real": round(figures["made"][0] / figures["real"][0], 3),
        "iou_by_class": {name: [round(value, 3) for value in each] for name, (_, each) in figures.items()},
        "change_by_another_map": round(F.l1_loss(to_float(own), to_float(own.roll(len(own) // 2, 0))).item(), 4),
    }  # fmt: skip
    print(json.dumps(report, indent=1))
    if arguments.output:
        arguments.output.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
