"""Trains the small network behind ``fd_video`` and writes it as a safetensors file.

    python experiments/train_video_extractor.py MNIST_FOLDER CIFAR_FOLDER

The folders are those of ``train_extractor.py``. Half of the clips show digits that move over a black background, half
show images under a moving camera. The network predicts what is shown, in which direction it moves, and how: steadily,
not at all, in jumps, there and back, in shuffled order, or slowing down. The accuracies that are printed, and stored in
the header, are measured after reading the file back, on images and digits that were not trained on.
"""

import argparse
import math
import time
from pathlib import Path
from typing import cast

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from train_extractor import WEIGHTS, Images, read_idx, read_zip, uniform

from gan_lab.evaluation.features.extractors import Video
from gan_lab.networks.clips import ClipClassifier

SIDE, LONGEST = 32, 16
WAYS = ("steady", "still", "jumps", "there and back", "shuffled", "slowing")
HEADINGS = 8
"""Number of directions of movement."""

PARTS = {
    "what": slice(0, 20),
    "how": slice(20, 20 + len(WAYS)),
    "where": slice(20 + len(WAYS), 20 + len(WAYS) + HEADINGS),
}
WIDTHS = (16, 32, 48, 64)


def courses(n: int, length: int) -> tuple[Tensor, Tensor, Tensor]:
    """Returns positions along the path in each frame, in [-1, 1], (n, T); kinds of movement (n,); directions (n,)."""
    ways, headings = torch.randint(len(WAYS), (n,)), torch.randint(HEADINGS, (n,))
    t = torch.linspace(-1, 1, length).expand(n, -1)
    order = torch.rand(n, length).argsort(1)
    kinds = torch.stack(
        [
            t,
            uniform(n, -0.5, 0.5)[:, None].expand(-1, length),
            torch.rand(n, length) * 2 - 1,
            1 - 2 * t.abs(),
            t.gather(1, order),
            1 - 2 * ((1 - t) / 2) ** 3,
        ]
    )
    return kinds[ways, torch.arange(n)], ways, headings


def clips(source: Images, digits: bool, n: int, length: int) -> tuple[Tensor, dict[str, Tensor]]:
    """Returns clips of random images, float32 (n, T, 3, 32, 32) in [0, 1], and their labels, by ``PARTS``."""
    images, classes = source
    rows = torch.randint(len(images), (n,))
    course, ways, headings = courses(n, length)
    angle = headings * (2 * math.pi / HEADINGS) + uniform(n, -0.3, 0.3)
    reach = uniform(n, 0.25, 0.5)
    x, y = course * (reach * angle.cos())[:, None], course * (reach * angle.sin())[:, None]
    shown = images[rows].float() / 255
    if digits:
        scale = uniform(n, 0.45, 0.8)  # of the frame
        shown = F.pad(shown, (2, 2, 2, 2)).expand(-1, 3, -1, -1)
    else:
        scale = uniform(n, 1.6, 2.4)
        shown = torch.where((torch.rand(n) < 0.5).view(-1, 1, 1, 1), shown.flip(3), shown)
    wide = (1 / scale)[:, None].expand(-1, length)
    zero = torch.zeros_like(wide)
    theta = torch.stack([wide, zero, -x * wide, zero, wide, -y * wide], 2).view(-1, 2, 3)
    grid = F.affine_grid(theta, [n * length, 3, SIDE, SIDE], align_corners=False)
    frames = F.grid_sample(shown.repeat_interleave(length, 0), grid, align_corners=False)
    labels = {"what": classes[rows] + (0 if digits else 10), "how": ways, "where": headings}
    return frames.unflatten(0, (n, length)), labels


def batch(sets: tuple[Images, Images], n: int, length: int) -> tuple[Tensor, dict[str, Tensor]]:
    """Returns clips, half of digits and half of images, and their labels."""
    parts = [clips(each, digits, n // 2, length) for each, digits in zip(sets, (True, False), strict=True)]
    labels = {key: torch.cat([part[1][key] for part in parts]) for key in PARTS}
    return torch.cat([part[0] for part in parts]), labels


def has_direction(labels: dict[str, Tensor]) -> Tensor:
    """Returns which clips (n,) move in one direction, so that it can be predicted."""
    return (labels["how"] == WAYS.index("steady")) | (labels["how"] == WAYS.index("slowing"))


def train(sets: tuple[Images, Images], steps: int, n: int) -> ClipClassifier:
    """Trains by AdamW with a one-cycle learning rate; returns the moving average of the network."""
    network = ClipClassifier(3, PARTS["where"].stop, WIDTHS)
    average = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(0.99), use_buffers=True)
    optimizer = torch.optim.AdamW(network.parameters(), 1e-3, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, steps, pct_start=0.25)
    began = time.perf_counter()
    for step in range(steps):
        shown, labels = batch(sets, n, int(torch.randint(8, LONGEST + 1, ())))
        logits = network(shown * 2 - 1)[1]
        directed = has_direction(labels)
        loss = sum(F.cross_entropy(logits[:, PARTS[key]], labels[key], label_smoothing=0.05) for key in ("what", "how"))
        loss = loss + F.cross_entropy(logits[directed][:, PARTS["where"]], labels["where"][directed])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        average.update_parameters(network)
        if step % 50 == 49:
            print(f"step {step + 1}: loss {loss.item():.3f}, {time.perf_counter() - began:.0f} s", flush=True)
    return cast(ClipClassifier, average.module.eval())


@torch.no_grad()
def accuracies(extractor: Video, sets: tuple[Images, Images]) -> dict[str, float]:
    """Returns the accuracies of what is shown (digits, objects), of how it moves, and of the direction."""
    torch.manual_seed(1)
    right: dict[str, list[Tensor]] = {"digits": [], "objects": [], "how": [], "where": []}
    for _ in range(20):
        shown, labels = batch(sets, 100, LONGEST)
        logits = extractor((shown * 255).round().to(torch.uint8))[1]
        calls = {key: logits[:, part].argmax(1) == labels[key] for key, part in PARTS.items()}
        right["digits"].append(calls["what"][:50])
        right["objects"].append(calls["what"][50:])
        right["how"].append(calls["how"])
        right["where"].append(calls["where"][has_direction(labels)])
    return {key: torch.cat(each).float().mean().item() for key, each in right.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mnist", type=Path)
    parser.add_argument("cifar", type=Path)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--output", type=Path, default=WEIGHTS / "video.safetensors")
    given = parser.parse_args()
    torch.manual_seed(0)
    network = train((read_idx(given.mnist, "train"), read_zip(given.cifar / "train.zip")), given.steps, given.batch)
    state = {key: t.half() if t.ndim > 1 else t for key, t in network.state_dict().items()}
    labels = {key: [part.start, part.stop] for key, part in PARTS.items()}
    header = {"name": "video", "channels": "3", "classes": str(PARTS["where"].stop), "labels": str(labels)}
    header |= {"widths": ",".join(map(str, WIDTHS)), "data": "MNIST and CIFAR-10, in motion", "seed": "0"}
    command = f"python experiments/train_video_extractor.py MNIST_FOLDER CIFAR_FOLDER --steps {given.steps}"
    header |= {"epochs": f"{given.steps} batches of {given.batch}", "command": command}
    save_file({key: t.contiguous() for key, t in state.items()}, given.output, header)
    held = read_idx(given.mnist, "t10k"), read_zip(given.cifar / "test.zip")
    found = accuracies(Video(given.output), held)
    header |= {f"accuracy_{key}": f"{value:.4f}" for key, value in found.items()}
    save_file({key: t.contiguous() for key, t in state.items()}, given.output, header)
    print(", ".join(f"{key} {value:.1%}" for key, value in found.items()))


if __name__ == "__main__":
    main()
