"""Measures whether samples of a GAN help a classifier: a few labelled digits alone, and together with samples.

    python experiments/augmented.py …/mnist --record experiments/results/augmented.json

For each seed 100 images of each class are drawn from MNIST; a conditional GAN is trained on these alone, `augment`
writes samples, and classifiers are trained on the images, on the samples, and on both, with as many steps each, and
tested on MNIST's test images. The accuracies' differences have standard errors over seeds. For comparison, the images
are also shifted and turned a little, as people do without a GAN.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms import RandomAffine
from train_extractor import read_idx

from gan_lab.common.device import describe_hardware, versions
from gan_lab.common.images import to_uint8
from gan_lab.data.reading.examples import read_examples
from gan_lab.data.reading.resize import ResizeSpec
from gan_lab.evaluation.trained_classifier import Labelled, accuracy, train_classifier

CLASSES, PER_CLASS, STEPS = 10, 100, 300
TRAINING = [
    "model=cgan", "data=folder", "remedy=diffaugment", "model.augment.diff.cutout=false", "scale=paper", "data.size=32",
    "data.channels=1", "batch_size=64", "suggested.base=16", "suggested.discriminator_base=16", "suggested.g_lr=1e-3",
    "callbacks.fidelity=null", "logger=none", "trainer=cpu",
]  # fmt: skip
COPIES = 20
"""Moved copies of each image, for the comparison."""


def chosen(pixels: Tensor, labels: Tensor, seed: int) -> Labelled:
    """Returns 100 images of each class, uint8 (N, 1, 32, 32), and their classes."""
    stream = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(labels), generator=stream)
    rows = torch.cat([order[labels[order] == label][:PER_CLASS] for label in range(CLASSES)])
    return pixels[rows], labels[rows]


def write(images: Labelled, folder: Path) -> None:
    """Writes images as PNGs into a folder for each class."""
    for number, (pixels, label) in enumerate(zip(*images, strict=True)):
        path = folder / str(int(label)) / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels[0].numpy()).save(path)


def run(command: str, *arguments: str) -> None:
    subprocess.run([sys.executable, "-m", f"gan_lab.{command}", *arguments], check=True, stdout=subprocess.DEVNULL)


def samples_of(own: Labelled, test: Labelled, seed: int, per_class: int, images_seen: int) -> Labelled:
    """Trains a GAN on images, and returns the samples of it that ``augment`` keeps."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write(own, folder / "data" / "train")
        write((test[0][:100], test[1][:100]), folder / "data" / "test")  # of which nothing is trained on
        place = f"run_dir={folder / 'run'}"
        run("train", *TRAINING, f"data.root={folder / 'data'}", f"seed={seed}", f"budget.images={images_seen}", place)
        where = [f"checkpoint={folder / 'run' / 'last.ckpt'}", f"output={folder / 'samples'}", "device=cpu"]
        run("augment", *where, f"per_class={per_class}", f"seed={seed}")
        found = read_examples(folder / "samples", ResizeSpec((32, 32), (32, 32), 1, shortcut=False))
    labels = torch.empty(len(found.images), dtype=torch.int64)
    for name, (_, rows) in found.attributes.items():
        labels[[*rows]] = int(name)
    return to_uint8(found.images), labels


def resized(images: Labelled) -> Labelled:
    """Returns images of 28 px with a border of 2 px, as data=mnist has them."""
    return torch.nn.functional.pad(images[0], (2, 2, 2, 2)), images[1]


def moved(images: Labelled, seed: int) -> Labelled:
    """Returns copies of images that are turned by up to 10° and shifted by up to a tenth."""
    torch.manual_seed(seed)
    change = RandomAffine(10, (0.1, 0.1), (0.9, 1.1))
    copies = [torch.stack([change(each) for each in images[0]]) for _ in range(COPIES)]
    return torch.cat([images[0], *copies]), images[1].repeat(1 + COPIES)


def joined(*sets: Labelled) -> Labelled:
    return torch.cat([pixels for pixels, _ in sets]), torch.cat([labels for _, labels in sets])


def compared(own: Labelled, samples: Labelled, test: Labelled, seed: int) -> dict[str, float]:
    """Returns accuracies on test images after training on each set."""
    sets = {"images": own, "samples": samples, "both": joined(own, samples), "moved": moved(own, seed)}
    sets["moved_and_samples"] = joined(sets["moved"], samples)
    return {name: accuracy(train_classifier(each, CLASSES, STEPS, seed, "cpu"), test) for name, each in sets.items()}


def change(rows: Sequence[dict[str, float]], name: str, over: str) -> dict[str, float]:
    """Returns the mean change of accuracy over seeds, with its standard error."""
    values = [row[name] - row[over] for row in rows]
    error = statistics.stdev(values) / len(values) ** 0.5 if len(values) > 1 else float("nan")
    return {"change": round(statistics.mean(values), 5), "error": round(error, 5)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mnist", type=Path, help="folder with MNIST/raw")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--per-class", type=int, default=300, help="samples")
    parser.add_argument("--images", type=int, default=200_000, help="that each GAN sees")
    parser.add_argument("--record", type=Path, default=None)
    arguments = parser.parse_args()
    train, test = (resized(read_idx(arguments.mnist, split)) for split in ("train", "t10k"))
    rows = []
    for seed in range(1, arguments.seeds + 1):
        own = chosen(*train, seed)
        samples = samples_of(own, test, seed, arguments.per_class, arguments.images)
        rows.append({**compared(own, samples, test, seed), "kept": len(samples[1])})
        print(seed, rows[-1], flush=True)
    record: dict[str, Any] = {
        "seeds": rows, "per_class": PER_CLASS, "images_seen": arguments.images, "steps": STEPS,
        "both_over_images": change(rows, "both", "images"), "samples_over_images": change(rows, "samples", "images"),
        "moved_over_images": change(rows, "moved", "images"),
        "samples_beside_moved": change(rows, "moved_and_samples", "moved"),
        "date": str(date.today()), "hardware": describe_hardware(torch.device("cpu")), "versions": versions(),
    }  # fmt: skip
    print(json.dumps(record, indent=1))
    if arguments.record:
        arguments.record.write_text(json.dumps({"augmented": record}, indent=1) + "\n")


if __name__ == "__main__":
    main()
