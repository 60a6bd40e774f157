"""Judges metrics by damage of a known order: ``python experiments/ladder.py DATA``, written to results/ladder.json.

Each set of images is divided into a reference half and another half. The other half is damaged in the ways of
``damage.py``, in five levels each, and every metric compares it with the reference half.

- **Within damages**: Kendall's τ of a metric with the level, from no damage to level 5, averaged over damages.
- **Across damages**: the share of pairs that are ordered rightly, of which one set keeps the content under light to
  medium damage (levels 1 to 3), and the other has lost it: all cells exchanged, blotches alone, another set's images,
  textures without shapes, 1 % of the images repeated, the mean image. The list was written before anything was
  measured. Nobody would prefer the second of a pair.

DATA has the folders of ``SETS``; ``HELD_OUT`` were not used to make the extractor ``general``. Both values are means
over random divisions, with their standard errors.
"""

import argparse
import json
import math
import random
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import damage
import torch
import torch.nn.functional as F
from PIL import Image
from scipy.stats import kendalltau
from torch import Tensor
from torchvision.transforms.functional import pil_to_tensor
from train_extractor import read_idx, read_zip

from gan_lab.common.atomic import atomic_write
from gan_lab.common.device import describe_hardware
from gan_lab.evaluation.factories import MetricFactory
from gan_lab.evaluation.features.extractors import Colour, Extractor, Grey
from gan_lab.evaluation.features.general import General
from gan_lab.evaluation.image_sets import ImageSet
from gan_lab.evaluation.metrics.frechet import FrechetDistance
from gan_lab.evaluation.metrics.gaussian_kernel import GaussianKernelDistance
from gan_lab.evaluation.metrics.kernel import KernelDistance
from gan_lab.evaluation.metrics.precision_recall import DensityCoverage, PrecisionRecall
from gan_lab.evaluation.metrics.sliced import PatchDistance, SlicedDistance
from gan_lab.evaluation.metrics.wavelet import WaveletDistance
from gan_lab.evaluation.suite import Suite

RESULTS = Path(__file__).parent / "results" / "ladder.json"
LIGHT = (1, 2, 3)
LOST = [("swapped", 5), ("blotches", 5), ("textures", 5), ("fewer", 5), ("mixture", 5), ("mean image", 5)]
METRICS: dict[str, MetricFactory] = {
    "distance": FrechetDistance,
    "kernel": KernelDistance,
    "mind": SlicedDistance,
    "cmmd": GaussianKernelDistance,
    "patches": PatchDistance,
    "wavelet": WaveletDistance,
    "precision_recall": partial(PrecisionRecall, k=3),
    "density_coverage": partial(DensityCoverage, k=5),
}
HIGHER_IS_BETTER = ("precision", "recall", "density", "coverage", "cs")
Case = tuple[str, int]
"""A damage and its level; level 0 is none."""


@dataclass(frozen=True)
class Source:
    """A set of images: how it is read, and the set that its images are mixed with."""

    read: Callable[[Path], Tensor]
    other: str


def photographs(data: Path, pattern: str, side: int, mode: str = "RGB") -> Tensor:
    """Reads the middle squares of all files, uint8 (N, C, side, side)."""
    return torch.stack([_square(Image.open(path).convert(mode), side) for path in sorted(data.glob(pattern))])


def _square(image: Image.Image, side: int) -> Tensor:
    length = min(image.size)
    left, top = (image.width - length) // 2, (image.height - length) // 2
    box = (left, top, left + length, top + length)
    return pil_to_tensor(image.resize((side, side), Image.Resampling.BICUBIC, box))


SETS = {
    "ORL's faces, 48 px": Source(lambda data: photographs(data, "orl-faces/*/*.pgm", 48, "L"), "Fashion-MNIST"),
    "emoji, 64 px": Source(lambda data: photographs(data, "noto-emoji-blob2modern/t*B/*.png", 64), "CIFAR-10"),
    "Caltech 101, 64 px": Source(lambda data: photographs(data, "caltech101-subset/*/*.jpg", 64), "emoji, 64 px"),
    "faces in colour, 64 px": Source(
        lambda data: photographs(data, "caltech101-subset/Faces_easy/*.jpg", 64), "CamVid, 64 px"
    ),
    "CamVid, 64 px": Source(lambda data: photographs(data, "camvid/*_img/*", 64), "Caltech 101, 64 px"),
    "CamVid, 192 px": Source(lambda data: photographs(data, "camvid/*_img/*", 192), "Caltech 101, 64 px"),
    "CIFAR-10": Source(lambda data: read_zip(data / "cifar10-images" / "test.zip")[0], "Caltech 101, 64 px"),
    "MNIST": Source(lambda data: read_idx(data / "mnist", "t10k")[0], "Fashion-MNIST"),
    "Fashion-MNIST": Source(lambda data: read_idx(data / "fashion-mnist", "t10k")[0], "MNIST"),
}
EXTRACTORS: dict[str, Callable[[Path | None], Extractor]] = {
    "general": General,
    "grey": lambda _: Grey(),
    "colour": lambda _: Colour(),
}
HELD_OUT = "ORL's faces, 48 px", "emoji, 64 px"


class Images(ImageSet):
    """Images in memory: uint8 (n, C, H, W)."""

    def __init__(self, images: Tensor) -> None:
        self.name, self.images, self.n = "", images, len(images)
        self.shape = (images.shape[1], images.shape[2], images.shape[3])

    def batches(self, progress: bool) -> Iterator[tuple[Tensor, Tensor]]:
        for numbers in torch.arange(self.n).split(100):
            yield numbers, self.images[numbers]


def fitted(others: Tensor, like: Tensor) -> Tensor:
    """Gives images the size and the channels of others."""
    x = F.interpolate(others.float(), like.shape[2:], mode="bicubic", antialias=True).clamp(0, 255)
    if like.shape[1] == 1 and x.shape[1] == 3:
        x = torch.einsum("nchw,c->nhw", x, torch.tensor(damage.LUMA)).unsqueeze(1)
    return x.expand(-1, like.shape[1], -1, -1).round().to(torch.uint8)


def cases(images: Tensor, others: Tensor) -> Iterator[tuple[Case, Tensor]]:
    """Yields damaged sets of uint8 images (N, C, H, W)."""
    yield ("none", 0), images
    mean = images.float().mean(0, keepdim=True).round().to(torch.uint8)
    yield ("mean image", 5), mean.expand(len(images), -1, -1, -1).contiguous()
    ways: dict[str, damage.Damage] = {**damage.KEEPING, **damage.LOSING}
    ways["mixture"] = partial(damage.mixture, others=others.float())
    for name, way in ways.items():
        if name != "drained" or images.shape[1] == 3:
            for level in damage.LEVELS:
                yield (name, level), damage.apply(way, images, level)


def worse(name: str, value: float) -> float:
    """Returns a metric's value such that more is worse."""
    return -value if name.startswith(HIGHER_IS_BETTER) else value


@dataclass(frozen=True)
class Judgement:
    """How a metric orders damage.

    Args:
        tau: Kendall's τ by damage.
        pairs: the share of pairs that are ordered rightly.
        wrong: how often a kept content was judged worse than a lost one, by both damages.
    """

    tau: dict[str, float]
    pairs: float
    wrong: Counter[str]


def judge(values: Mapping[Case, float]) -> Judgement:
    """Judges a metric by its values, of which more is worse."""
    names = dict.fromkeys(name for name, _ in values if name not in ("none", "mean image"))
    ladders = {name: [values["none", 0], *(values[name, level] for level in damage.LEVELS)] for name in names}
    tau = {name: float(kendalltau(range(6), ladder).statistic) for name, ladder in ladders.items()}
    tau = {name: 0.0 if math.isnan(value) else value for name, value in tau.items()}  # a constant has no rank
    kept = [(name, level) for name in damage.KEEPING for level in LIGHT if (name, level) in values]
    pairs = [(case, lost) for case in kept for lost in LOST]
    wrong = Counter(f"{case[0]} > {lost[0]}" for case, lost in pairs if values[case] >= values[lost])
    return Judgement(tau, 1 - wrong.total() / len(pairs), wrong)


def climb(data: Path, name: str, n: int, seed: int, extractors: list[Extractor]) -> dict[str, dict[Case, float]]:
    """Returns the values of all metrics, by metric and case, for one random division of a set."""
    images = SETS[name].read(data)
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))
    n = min(n, len(images) // 2)
    others = SETS[SETS[name].other].read(data)
    others = others[torch.randperm(len(others), generator=torch.Generator().manual_seed(seed))[:n]]
    others = fitted(others.repeat(-(-n // len(others)), 1, 1, 1)[:n], images)
    suite = Suite(METRICS, extractors, Images(images[order[:n]]), progress=False)
    found: dict[str, dict[Case, float]] = {}
    for case, damaged in cases(images[order[n : 2 * n]], others):
        for metric, value in suite.evaluate(Images(damaged))[0].items():
            if not metric.endswith(("_error", "_std")):
                found.setdefault(metric, {})[case] = worse(metric, value)
    return found


def summary(judged: list[Judgement]) -> dict[str, object]:
    """Returns means over divisions, with standard errors, and what is ordered wrongly most often."""
    return {
        "tau": mean_and_error([statistics.mean(each.tau.values()) for each in judged]),
        "pairs": mean_and_error([each.pairs for each in judged]),
        "by_damage": {name: round(statistics.mean(each.tau[name] for each in judged), 4) for name in judged[0].tau},
        "wrong": dict(sum((each.wrong for each in judged), Counter()).most_common(6)),
    }


def mean_and_error(values: list[float]) -> list[float]:
    error = statistics.stdev(values) / len(values) ** 0.5 if len(values) > 1 else 0.0
    return [round(statistics.mean(values), 4), round(error, 4)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--n", type=int, nargs="+", default=[200])
    parser.add_argument("--sets", nargs="+", default=list(SETS))
    parser.add_argument("--divisions", type=int, default=3)
    parser.add_argument("--extractors", nargs="+", default=list(EXTRACTORS), choices=list(EXTRACTORS))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--weights", type=Path, help="of the extractor general; default: the packaged file")
    parser.add_argument("--output", type=Path, default=RESULTS)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    random.seed(0)
    extractors = [EXTRACTORS[name](args.weights) for name in args.extractors]
    results = json.loads(args.output.read_text()) if args.output.exists() else {}
    results |= {
        "held_out": HELD_OUT,
        "hardware": describe_hardware(torch.device("cpu")),
        "seconds": results.get("seconds", 0),
    }
    for name in args.sets:
        for n in args.n:
            start = time.perf_counter()
            runs = [climb(args.data, name, n, seed, extractors) for seed in range(args.divisions)]
            found = {metric: summary([judge(run[metric]) for run in runs]) for metric in runs[0]}
            known = results.setdefault("ladder", {}).setdefault(name, {}).get(str(n), {})
            results["ladder"][name][str(n)] = known | found
            results["seconds"] += time.perf_counter() - start
            print(f"{name}, N = {n}, {time.perf_counter() - start:.0f} s", flush=True)
            for metric, row in found.items():
                print(f"  {metric:22} τ {row['tau']}  pairs {row['pairs']}  {row['wrong']}", flush=True)
            with atomic_write(args.output) as temporary:
                temporary.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
