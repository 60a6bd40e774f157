"""Trains the small networks behind ``fd_grey`` and ``fd_colour`` and writes them as safetensors files.

    python experiments/train_extractor.py grey MNIST_FOLDER FASHION_FOLDER
    python experiments/train_extractor.py colour CIFAR_FOLDER

MNIST_FOLDER and FASHION_FOLDER hold torchvision's ``<name>/raw/*.gz``; CIFAR_FOLDER holds ``train.zip`` and
``test.zip`` with ``<split>/<class>/*.jpg``. The accuracies that are printed, and stored in the file's header, are
measured after reading the file back. The files in the package took 29 minutes on one core without bfloat16 (grey) and
17 minutes on one to two cores with AVX512-BF16 (colour).
"""

import argparse
import gzip
import io
import math
import time
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import save_file
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torchvision.transforms.functional import gaussian_blur

from gan_lab.common.device import auto_precision
from gan_lab.evaluation.features import extractors
from gan_lab.networks.classifier import Classifier

EXTRACTORS = {"grey": extractors.Grey, "colour": extractors.Colour}
WEIGHTS = Path(extractors.__file__).parent / "weights"
ARTICLES = "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"
OBJECTS = "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"
Images = tuple[Tensor, Tensor]
"""uint8 (N, C, H, W) and labels (N,)."""
Pair = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Task:
    """Training images and labels, and test sets, each with the slice of the logits that are compared."""

    data: str
    train: Images
    tests: dict[str, tuple[Images, slice]]
    augment: Callable[[Tensor, Tensor], Tensor]
    classes: Sequence[str]
    widths: tuple[int, ...]
    rate: float
    smoothing: float


# Reading


def read_idx(folder: Path, split: str) -> Images:
    """Reads the idx files of one split ("train" or "t10k") below the folder."""
    (images,) = folder.glob(f"*/raw/{split}-images-idx3-ubyte.gz")
    (labels,) = folder.glob(f"*/raw/{split}-labels-idx1-ubyte.gz")
    pixels = np.frombuffer(bytearray(gzip.decompress(images.read_bytes())), np.uint8, offset=16)
    classes = np.frombuffer(bytearray(gzip.decompress(labels.read_bytes())), np.uint8, offset=8)
    return torch.from_numpy(pixels.reshape(-1, 1, 28, 28)), torch.from_numpy(classes.astype(np.int64))


def read_zip(path: Path) -> Images:
    """Reads every ``*/<class>/*.jpg`` in a zip; classes are numbered in alphabetical order."""
    with zipfile.ZipFile(path) as archive:
        names = sorted(name for name in archive.namelist() if name.endswith(".jpg"))
        pixels = [np.asarray(Image.open(io.BytesIO(archive.read(name))).convert("RGB")) for name in names]
    folders = [name.split("/")[-2] for name in names]
    numbers = {name: number for number, name in enumerate(sorted(set(folders)))}
    return torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2), torch.tensor([numbers[name] for name in folders])


def sklearn_digits() -> Images:
    """Returns scikit-learn's 1,797 digits of 8×8, resized to 32×32 (bicubic); they are never trained on."""
    digits = load_digits()
    small = torch.from_numpy(digits.images).float().unsqueeze(1) * (255 / 16)
    large = F.interpolate(small, (32, 32), mode="bicubic", align_corners=False)
    return large.round().clamp(0, 255).to(torch.uint8), torch.from_numpy(digits.target).long()


# Augmentation: images (N, C, 32, 32) in [0, 1]


def uniform(n: int, low: float, high: float) -> Tensor:
    return torch.empty(n).uniform_(low, high)


def affine(images: Tensor, scale: Pair, angle: Tensor, centre: Pair, shear: Tensor | float = 0.0) -> Tensor:
    """Moves the centre (x, y in [-1, 1]) to the middle, scales, rotates, shears (columns to the right per row)."""
    (wide, high), (x, y), cos, sin = scale, centre, angle.cos(), angle.sin()
    inverse = torch.stack([cos / wide, sin / wide - shear, x, -sin / high, cos / high, y], 1).view(-1, 2, 3)
    grid = F.affine_grid(inverse, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, align_corners=False)


def extent(inked: Tensor) -> tuple[Tensor, Tensor]:
    """Returns middle and length, each (N,), of the true part of (N, side), in coordinates from -1 to 1."""
    side = inked.shape[1]
    first, last = inked.float().argmax(1), side - inked.flip(1).float().argmax(1)
    return (first + last) / side - 1, (last - first) * (2 / side)


def slant(images: Tensor) -> Tensor:
    """Returns the slant of the ink, (N,): columns to the left per row down, from second moments."""
    n, _, height, width = images.shape
    ink = images.view(n, height, width) + 1e-6
    y, x = torch.arange(height).view(1, -1, 1).float(), torch.arange(width).view(1, 1, -1).float()
    total = ink.sum((1, 2), keepdim=True)
    x, y = x - (ink * x).sum((1, 2), keepdim=True) / total, y - (ink * y).sum((1, 2), keepdim=True) / total
    return -(ink * x * y).sum((1, 2)) / (ink * y * y).sum((1, 2))


def flag(ones: Tensor) -> Tensor:
    """Adds a stroke down to the left from the top of each one, as most Europeans write it and few in MNIST do."""
    n, _, height, width = ones.shape
    y, x = torch.arange(height).view(1, -1, 1).float(), torch.arange(width).view(1, 1, -1).float()
    inked = ones.view(n, height, width) > 0.5
    top = inked.any(2).float().argmax(1)
    column = inked[torch.arange(n), top].float().argmax(1)
    top, column = top.view(n, 1, 1) + 1.0, column.view(n, 1, 1) + 1.0
    left, down = uniform(n, 3, 9).view(n, 1, 1), uniform(n, 1, 9).view(n, 1, 1)
    along = (((column - x) * left + (y - top) * down) / (left**2 + down**2)).clamp(0, 1)
    distance = ((x - column + along * left) ** 2 + (y - top - along * down) ** 2).sqrt()
    return torch.maximum(ones, (2 - distance).clamp(0, 1).unsqueeze(1))


def low_resolution(images: Tensor) -> Tensor:
    """Simulates how scikit-learn's 8×8 digits were made.

    NIST's preprocessing (Garris et al. 1994) deslants the ink, stretches it to 32 rows of about 20 columns, and widens
    the strokes until about 0.3 of the image is ink, for every digit. Then inked pixels are counted in 4×4 blocks, which
    gives 17 levels, and the result is enlarged to 32×32.
    """
    n = len(images)
    nothing, whole = torch.zeros(n), torch.ones(n)
    images = affine(images, (whole, whole), nothing, (nothing, nothing), slant(images) * uniform(n, 0.5, 1.1))
    (x, width), (y, height) = extent((images > 0.3).any(2).flatten(1)), extent((images > 0.3).any(3).flatten(1))
    target = 2 * uniform(n, 0.55, 0.8) * (width / height).clamp(max=1).pow(uniform(n, 0, 0.6))
    images = affine(images, (target / width, 2 / height), uniform(n, -0.1, 0.1), (x, y))
    soft = gaussian_blur(images, [9, 9], [0.7 + 0.8 * float(torch.rand(()))] * 2)
    darkest = soft.flatten(1).sort(1, descending=True).values
    least = darkest.gather(1, (1024 * uniform(n, 0.25, 0.37)).long().view(n, 1)).clamp(min=0.02)
    small = F.avg_pool2d((soft > least.view(n, 1, 1, 1)).float(), 4).mul(16).round() / 16
    mode = "bicubic" if torch.rand(()) < 0.7 else "bilinear"
    return F.interpolate(small, (32, 32), mode=mode, align_corners=False).clamp(0, 1)


def augment_grey(images: Tensor, labels: Tensor) -> Tensor:
    """Varies digits widely, often at low resolution; varies articles little, and mirrors them."""
    n, digit = len(labels), labels < 10
    images = F.pad(images, (2, 2, 2, 2))
    images = torch.where((~digit & (torch.rand(n) < 0.5)).view(-1, 1, 1, 1), images.flip(3), images)
    low = torch.rand(n) < torch.where(digit, 0.35, 0.1)
    high = torch.where(digit, uniform(n, 0.8, 1.4), uniform(n, 0.85, 1.1))
    stretch = torch.where(digit, uniform(n, -0.2, 0.2), uniform(n, -0.08, 0.08))
    angle = uniform(n, -1, 1) * torch.where(digit, math.radians(15), math.radians(6))
    moved = affine(images, (high * stretch.exp(), high), angle, (uniform(n, -0.12, 0.12), uniform(n, -0.12, 0.12)))
    images = torch.where(((labels == 1) & low & (torch.rand(n) < 0.5)).view(-1, 1, 1, 1), flag(images), images)
    moved[low] = low_resolution(images[low])
    blurred = ~low & (torch.rand(n) < 0.1)
    moved[blurred] = gaussian_blur(moved[blurred], [5, 5], [0.3 + 0.9 * float(torch.rand(()))] * 2)
    return moved


def augment_colour(images: Tensor, _labels: Tensor) -> Tensor:
    """Mirrors at random, shifts by up to 4 pixels, and masks an 8×8 square (DeVries and Taylor 2017)."""
    n = len(images)
    images = torch.where((torch.rand(n) < 0.5).view(-1, 1, 1, 1), images.flip(3), images)
    images = F.pad(images, (4, 4, 4, 4), mode="reflect")
    rows, columns = torch.randint(9, (n, 1)) + torch.arange(32), torch.randint(9, (n, 1)) + torch.arange(32)
    images = images[torch.arange(n).view(-1, 1, 1), :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
    y, x = torch.arange(32).view(1, 1, -1, 1), torch.arange(32).view(1, 1, 1, -1)
    top, left = torch.randint(-4, 29, (n, 1, 1, 1)), torch.randint(-4, 29, (n, 1, 1, 1))
    square = (y >= top) & (y < top + 8) & (x >= left) & (x < left + 8)
    return images.masked_fill(square, 0.5)


# Training


def train(task: Task, epochs: int, batch: int) -> nn.Module:
    """Trains by SGD with a one-cycle learning rate; returns the moving average of the network."""
    images, labels = task.train
    network = Classifier(images.shape[1], len(task.classes), task.widths).to(memory_format=torch.channels_last)
    average = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(0.99), use_buffers=True)
    steps = len(labels) // batch
    optimizer = torch.optim.SGD(network.parameters(), momentum=0.9, nesterov=True, weight_decay=5e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, task.rate, epochs * steps, pct_start=0.25)
    for epoch in range(epochs):
        start, total = time.perf_counter(), 0.0
        for rows in torch.randperm(len(labels))[: steps * batch].view(steps, batch):
            augmented = task.augment(images[rows].float() / 255, labels[rows]).mul_(2).sub_(1)
            loss = step(network, optimizer, augmented, labels[rows], task.smoothing)
            schedule.step()
            average.update_parameters(network)
            total += loss
        print(f"epoch {epoch + 1}/{epochs}: loss {total / steps:.3f}, {time.perf_counter() - start:.0f} s", flush=True)
    return average.module


def step(network: nn.Module, optimizer: Optimizer, images: Tensor, labels: Tensor, smoothing: float) -> float:
    with torch.autocast("cpu", torch.bfloat16, enabled=auto_precision("cpu") == "bf16-mixed"):
        _, logits = network(images.to(memory_format=torch.channels_last))
    loss = F.cross_entropy(logits.float(), labels, label_smoothing=smoothing)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


# Writing and measuring


def write(network: nn.Module, path: Path, header: dict[str, str]) -> None:
    """Writes matrices and kernels in float16, vectors (biases, batch statistics) in float32."""
    tensors = {key: (t.half() if t.ndim > 1 else t).contiguous() for key, t in network.state_dict().items()}
    save_file(tensors, path, header)
    path.chmod(0o644)  # safetensors makes the file readable for its owner only


def accuracy(extractor: nn.Module, held_out: Images, decide: slice) -> float:
    """Returns the accuracy in per cent, when the logits in the slice are compared."""
    images, labels = held_out
    logits = torch.cat([extractor(part)[1] for part in images.split(500)])
    return 100 * (logits[:, decide].argmax(1) == labels).double().mean().item()


def measure(name: str, path: Path, task: Task) -> dict[str, str]:
    extractor = EXTRACTORS[name](path)
    return {f"accuracy {test}": f"{accuracy(extractor, *held):.2f} %" for test, held in task.tests.items()}


def grey(mnist: Path, fashion: Path) -> Task:
    digits, articles = read_idx(mnist, "train"), read_idx(fashion, "train")
    images, labels = read_idx(fashion, "t10k")
    everything = slice(0, 20)
    return Task(
        data="MNIST and Fashion-MNIST, 60,000 training and 10,000 test images each",
        train=(torch.cat([digits[0], articles[0]]), torch.cat([digits[1], articles[1] + 10])),
        tests={
            "MNIST test": (read_idx(mnist, "t10k"), everything),
            "Fashion-MNIST test": ((images, labels + 10), everything),
            "scikit-learn digits (1,797, not trained on, among the digits)": (sklearn_digits(), slice(0, 10)),
        },
        augment=augment_grey,
        classes=[*"0123456789", *ARTICLES],
        widths=(32, 64, 96, 128),
        rate=0.3,
        smoothing=0.0,
    )


def colour(cifar: Path) -> Task:
    return Task(
        data="CIFAR-10 images saved as JPEG: the first 2,000 training and 500 test images of each class",
        train=read_zip(cifar / "train.zip"),
        tests={"CIFAR-10 test (5,000 images)": (read_zip(cifar / "test.zip"), slice(0, 10))},
        augment=augment_colour,
        classes=OBJECTS,
        widths=(48, 96, 160, 192),
        rate=0.3,
        smoothing=0.1,
    )


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    networks = parser.add_subparsers(dest="name", required=True)
    networks.add_parser("grey").set_defaults(epochs=4, batch=256, task=grey, folders=["mnist", "fashion"])
    networks.add_parser("colour").set_defaults(epochs=16, batch=128, task=colour, folders=["cifar"])
    for network in networks.choices.values():
        for folder in network.get_default("folders"):
            network.add_argument(folder, type=Path)
        network.add_argument("--epochs", type=int)
        network.add_argument("--batch", type=int)
        network.add_argument("--seed", type=int, default=0)
        network.add_argument("--threads", type=int, default=2)
        network.add_argument("--output", type=Path, help="default: the file in the package")
    return parser.parse_args()


def main() -> None:
    args = arguments()
    torch.manual_seed(args.seed)
    torch.set_num_threads(args.threads)
    folders = [getattr(args, folder) for folder in args.folders]
    task = args.task(*folders)
    network = train(task, args.epochs, args.batch)
    path = args.output or WEIGHTS / f"{args.name}.safetensors"
    command = f"python experiments/train_extractor.py {args.name} {' '.join(folder.name for folder in folders)}"
    header = {
        "name": args.name,
        "data": task.data,
        "channels": str(task.train[0].shape[1]),
        "classes": str(len(task.classes)),
        "labels": ", ".join(task.classes),
        "widths": ",".join(map(str, task.widths)),
        "epochs": str(args.epochs),
        "seed": str(args.seed),
        "command": f"{command} --epochs {args.epochs} --batch {args.batch} --seed {args.seed} --threads {args.threads}",
    }
    write(network, path, header)
    accuracies = measure(args.name, path, task)
    write(network, path, header | accuracies)
    print(f"{path}: {path.stat().st_size:,} bytes", *(f"{k}: {v}" for k, v in accuracies.items()), sep="\n")


if __name__ == "__main__":
    main()
