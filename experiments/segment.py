"""Measures whether streets that were generated from label maps follow the maps, with a small segmenter.

    python experiments/segment.py runs/pix2pix-…/best.ckpt --root CAMVID --output experiments/results/….json

The segmenter is trained on the real training pairs of the checkpoint's data. Then three mean intersections over union
(IoU) are measured against the test maps: for the real test images, for images generated from the maps, and for images
generated from another image's map. The last one must be far lower if the output follows the map.
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
from gan_lab.training.checkpoint import model_of, read


class Segmenter(nn.Module):
    """Images (N, C, H, W) → logits (N, K, H, W), computed at half the resolution: four scales with skip connections."""

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
    """Returns all maps (N, H, W) and images, uint8 (N, C, H, W), of a split."""
    maps, images = (torch.cat(list(data.sides[side].images(split))) for side in ("a", "b"))
    return maps[:, 0].long(), images


def train(maps: Tensor, images: Tensor, labels: int, minutes: float, batch: int = 16) -> Segmenter:
    """Trains with AdamW, a learning rate that falls to 0 over the minutes, and random mirroring.

    Classes are weighted by the square root of the median class frequency over their own (after Badrinarayanan et al.
    2017, SegNet, section 4). Otherwise rare classes would not be learnt.
    """
    torch.manual_seed(0)
    counts = torch.bincount(maps.flatten(), minlength=labels + 1)[:labels].clamp(min=1).float()
    weight = (counts.median() / counts).sqrt()
    network = Segmenter(images.shape[1], labels).train()
    optimizer, began, last = torch.optim.AdamW(network.parameters(), 2e-3), time.monotonic(), 0.0
    while (share := (time.monotonic() - began) / (60 * minutes)) < 1:
        rows = torch.randint(len(maps), (batch,))
        shown, truth = to_float(images[rows]), maps[rows]
        if torch.rand(()) < 0.5:
            shown, truth = shown.flip(3), truth.flip(2)
        shown = shown * (0.8 + 0.4 * torch.rand(batch, 1, 1, 1))
        optimizer.param_groups[0]["lr"] = 2e-3 * (1 - share)
        optimizer.zero_grad()
        loss = F.cross_entropy(network(shown), truth.where(truth < labels, -100), weight, ignore_index=-100)
        loss.backward()
        optimizer.step()
        if share > last + 0.1:
            last = share
            print(f"segmenter {share:.0%}: loss {loss.item():.3f}", flush=True)
    return network.eval()


@torch.no_grad()
def mean_iou(network: Segmenter, images: Tensor, maps: Tensor, labels: int) -> tuple[float, list[float]]:
    """Returns the mean over the classes in the maps, and each class's IoU; pixels without a class do not count."""
    confusion = torch.zeros(labels, labels)
    for shown, truth in zip(images.split(16), maps.split(16), strict=True):
        known = truth < labels
        found = network(to_float(shown)).argmax(1)[known]
        confusion += torch.bincount(truth[known] * labels + found, minlength=labels**2).view(labels, labels)
    hit = confusion.diag()
    union = confusion.sum(0) + confusion.sum(1) - hit
    each = (hit / union.clamp(min=1)).tolist()
    present = [value for value, count in zip(each, confusion.sum(1).tolist(), strict=True) if count]
    return sum(present) / len(present), each


def generate(model: Any, maps: Tensor) -> Tensor:
    """Returns the images that the model generates from maps (N, H, W), uint8 (N, C, H, W)."""
    inputs = (model.domains["a"].encode(part[:, None]) for part in maps.split(16))
    return torch.cat([to_uint8(model.translate(part, "b", start=16 * i)) for i, part in enumerate(inputs)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--root", type=Path, help="the folder of the data, if it has moved since training")
    parser.add_argument("--minutes", type=float, default=8)
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    checkpoint = read(arguments.checkpoint)
    model = model_of(checkpoint)
    data = Session(arguments.checkpoint, checkpoint["gan_lab"], model, model.device).data(arguments.root)
    if not isinstance(data, TwoDomains) or not data.domains["a"].labels:
        raise SystemExit("segment: the data of this checkpoint have no label maps.")
    labels = data.domains["a"].labels
    network = train(*pairs(data, "train"), labels, arguments.minutes)
    maps, images = pairs(data, "test")
    own = generate(model, maps)
    iou = {
        "real": mean_iou(network, images, maps, labels),
        "made": mean_iou(network, own, maps, labels),
        "made_from_another_map": mean_iou(network, own.roll(len(own) // 2, 0), maps, labels),
    }
    report = {
        "checkpoint": arguments.checkpoint.name, "hardware": describe_hardware(torch.device("cpu")),
        "test_pictures": len(maps),
        "segmenter_minutes": arguments.minutes, "mean_iou": {name: round(mean, 4) for name, (mean, _) in iou.items()},
        "made_over_real": round(iou["made"][0] / iou["real"][0], 3),
        "iou_by_class": {name: [round(value, 3) for value in each] for name, (_, each) in iou.items()},
        "change_by_another_map": round(F.l1_loss(to_float(own), to_float(own.roll(len(own) // 2, 0))).item(), 4),
    }  # fmt: skip
    print(json.dumps(report, indent=1))
    if arguments.output:
        arguments.output.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
