"""Small stand-ins with real arithmetic, and what each of several processes computes with them (as a script)."""

import hashlib
import json
import sys
from datetime import timedelta
from functools import partial
from pathlib import Path

import torch
import torch.distributed as dist

sys.path.insert(0, str(Path(__file__).parents[1]))  # for the script; pytest has it
from domains import networks, two_sides
from restylers import Colours, PixelDistance, Pooled, Recolour

from gan_lab.evaluation.evaluators.domains import DomainEvaluator
from gan_lab.evaluation.evaluators.samples import SampleEvaluator
from gan_lab.evaluation.evaluators.translations import TranslationEvaluator
from gan_lab.evaluation.features.extractors import Extractor
from gan_lab.evaluation.metrics.classwise import ClasswiseFrechetDistance
from gan_lab.evaluation.metrics.diversity import Diversity
from gan_lab.evaluation.metrics.frechet import FrechetDistance
from gan_lab.evaluation.metrics.frechet_infinity import FrechetInfinity
from gan_lab.evaluation.metrics.image_statistics import ImageStatisticsComparison, SpectrumComparison
from gan_lab.evaluation.metrics.kernel import KernelDistance
from gan_lab.evaluation.metrics.precision_recall import Authenticity, DensityCoverage, PrecisionRecall
from gan_lab.evaluation.metrics.score import ClassifierScore, Score
from gan_lab.evaluation.metrics.translation import pair_metrics


def apart(a, b):
    return (a - b).abs().mean((1, 2, 3))


TWO = {"distance": FrechetDistance, "score": Score}
ALL = {
    **TWO, "kernel": KernelDistance, "infinity": FrechetInfinity, "pr": PrecisionRecall, "dc": DensityCoverage,
    "copies": Authenticity, "spectrum": SpectrumComparison, "statistics": ImageStatisticsComparison,
    "diversity": partial(Diversity, name="apart", pair_metric=apart), "classes": ClasswiseFrechetDistance,
}  # fmt: skip


class Projection(Extractor):
    """A fixed random projection of the pixels; counts the images it has seen."""

    name = "fake"
    dim, classes, resizer, sha256 = 8, 4, "none", "0" * 64

    def __init__(self, pixels=48):
        super().__init__()
        random = torch.Generator().manual_seed(7)
        self.seen = 0
        self.register_buffer("weight", torch.randn(pixels, self.dim + self.classes, generator=random) / 100)

    def extract(self, images):
        self.seen += len(images)
        out = images.flatten(1).float() @ self.weight
        return out[:, : self.dim], out[:, self.dim :]


class ImageData:
    """Real images (count, 3, 4, 4) with correlated pixels; the test split has them in reverse order."""

    channels, height, width, classes = 3, 4, 4, 0

    def __init__(self, count=200, seed=0, batch=32):
        random = torch.Generator().manual_seed(seed)
        self.batch = batch
        pixels = 128 + 12 * torch.randn(count, 48, generator=random) @ torch.randn(48, 48, generator=random) / 3
        self.pixels = pixels.clamp(0, 255).round().to(torch.uint8).view(count, 3, 4, 4)

    def images(self, split, limit=None):
        yield from self.split(split)[:limit].split(self.batch)

    def count(self, split):
        return len(self.pixels)

    def fingerprint(self, split):
        return hashlib.sha256(self.split(split).numpy().tobytes()).hexdigest()

    def split(self, name):
        return self.pixels.flip(0) if name == "test" else self.pixels

    def describe(self):
        return {"name": "images", "count": len(self.pixels)}


class Sampler:
    """Sample i is a function of (seed, i) alone."""

    device = torch.device("cpu")

    def __init__(self):
        self.asked = []

    def sample(self, n, seed=0, start=0, label=None, truncation=1.0):
        self.asked += range(start, start + n)
        rows = [torch.randn(3, 4, 4, generator=torch.Generator().manual_seed(1000 * seed + i)) for i in self.asked[-n:]]
        return 0.3 * truncation * torch.stack(rows)


class LabelledImageData(ImageData):
    classes = 2

    def labels(self, split):
        return torch.arange(len(self.pixels)) % 2


class LabelledSampler(Sampler):
    classes = 2


def features(n=101, dim=16, classes=5):
    random = torch.Generator().manual_seed(3)
    mix = torch.randn(dim, dim, generator=random)
    real, fake = torch.randn(n, dim, generator=random) @ mix, torch.randn(n, dim, generator=random) + 0.5
    return real, fake, 3 * torch.randn(n, classes, generator=random)


def share(rank, world, cache):
    """Computes what must not depend on the number of ranks, as one rank of several."""
    real, fake, logits = features()
    mine = torch.arange(rank, len(real), world)
    distance, score = FrechetDistance(real.shape[1]), ClassifierScore(logits.shape[1], len(logits), splits=3)
    for rows in mine.split(10):
        distance.update(real[rows], True, rows)
        distance.update(fake[rows], False, rows)
        score.update(logits[rows], rows)
    few_points = FrechetDistance(real.shape[1], real=12, fake=10)  # fewer than dimensions
    for rows in mine[mine < 12].split(1):
        few_points.update(real[rows], True, rows)
        few_points.update(fake[rows[rows < 10]], False, rows[rows < 10])
    model, data, extractor = LabelledSampler(), LabelledImageData(), Projection()
    kept = {"cache_dir": cache, "progress": False}
    result = SampleEvaluator(data, 101, [extractor], ALL, batch_size=16, **kept).evaluate(model)
    few = SampleEvaluator(data, 12, [extractor], ALL, batch_size=16, **kept).evaluate(model)
    seen = extractor.seen
    SampleEvaluator(data, 12, [extractor], ALL, batch_size=16, **kept).evaluate(model)
    carrier, sides = networks(), two_sides(a=7, b=7)
    options = {"batch_size": 3, "pairs": pair_metrics(carrier, sides), **kept}
    translation = TranslationEvaluator(sides, 100, [Projection(768)], ALL, **options).evaluate(carrier)
    options = {"batch_size": 20, "distance": PixelDistance(), **kept}
    domains = DomainEvaluator(Colours((4, 5, 3)), 300, [Pooled()], TWO, **options).evaluate(Recolour())
    return {
        "domains": domains.metrics,
        "distance": distance.compute()["fd"],
        "distance_of_few": few_points.compute()["fd"],
        "score": [value.tolist() for value in score.compute()],
        "figures": result.metrics | {f"few_{name}": value for name, value in few.metrics.items()},
        "curves": result.curves,
        "asked": model.asked[: -24 if rank == 0 else None],
        "seen_again": extractor.seen - seen,
        "translation": translation.metrics,
        "carried": [list(part[:3]) for part in carrier.asked],
    }


def join(folder, rank, world):
    """Runs ``share`` as one of several processes. Each has its own cache, and only that of rank 0 is filled."""
    meet = f"file://{folder}/meet"
    dist.init_process_group("gloo", init_method=meet, rank=rank, world_size=world, timeout=timedelta(seconds=90))
    try:
        return share(rank, world, Path(folder) / f"cache{rank}")
    finally:
        dist.destroy_process_group()


if __name__ == "__main__":
    torch.set_num_threads(1)
    print(json.dumps(join(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))))
