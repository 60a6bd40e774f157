"""What samples are good for: to learn from.

Ravuri and Vinyals 2019, "Classification Accuracy Score for Conditional Generative Models": a classifier that was
taught on samples is tested on real pictures.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan_lab.common.capabilities import LabelledImages
from gan_lab.common.distributed import broadcast, rank_and_world_size
from gan_lab.common.images import to_float, to_uint8
from gan_lab.common.progress import track
from gan_lab.data.subsets import evenly_spaced, evenly_spaced_numbers, shared_blocks
from gan_lab.evaluation.cache import cached
from gan_lab.evaluation.feature_table import ImageTable
from gan_lab.evaluation.features.extractors import resize
from gan_lab.evaluation.model_metric import DEFAULT_OPTIONS, EvalOptions, ModelMetric
from gan_lab.evaluation.statistics import Values
from gan_lab.networks.classifier import Classifier

Labelled = tuple[Tensor, Tensor]
"""Pictures (N, C, H, W) uint8 and their classes (N,)."""

BATCH, SIZE, RATE, WIDTHS = 128, 32, 2e-3, (16, 32, 64, 128)


class ClassificationAccuracy(ModelMetric):
    """``cas``, the accuracy on the real test pictures of a small classifier that was taught on n samples;
    ``cas.real`` of one that was taught on as many real training pictures, ``cas.both`` on both together: whether
    samples augment the data. Each with ``.error``, for so many test pictures.

    Args:
        n: samples, and real training pictures at most.
        steps: of the optimizer for each of the three, of 128 pictures at 32 px.
        seed: of the classifiers' weights and their batches.
    """

    def __init__(self, n: int = 10_000, steps: int = 300, seed: int = 0) -> None:
        super().__init__()
        self.n, self.steps, self.seed = n, steps, seed
        self.made: ImageTable | None = None

    def applies_to(self, model: Any, data: Any) -> bool:
        return isinstance(data, LabelledImages) and getattr(model, "classes", 0) == data.classes > 0

    @torch.no_grad()
    def update(self, model: Any, data: Any, how: EvalOptions = DEFAULT_OPTIONS) -> None:
        self.how, self.progress = how, how.progress and rank_and_world_size()[0] == 0
        self.data, self.made = data, ImageTable((data.channels, data.height, data.width), self.n).to(self.device)
        for start, count in shared_blocks(self.n, how.batch_size, "samples to learn from", how.progress):
            index = torch.arange(start, start + count)
            made = model.sample(count, how.seed, start, index % data.classes, how.truncation)
            self.made.update(to_uint8(made), index)

    def compute(self) -> Values:
        classes = self.data.classes
        assert self.made is not None
        made = self.made.compute().cpu(), torch.arange(self.n) % classes
        real, test = (_real(self.data, split, n) for split, n in (("train", self.n), ("test", None)))
        self.described = {"real": len(real[1]), "test": len(test[1])}
        both = torch.cat([made[0], real[0]]), torch.cat([made[1], real[1]])
        found: Values = {}
        for name, pictures in (("cas", made), ("cas.real", real), ("cas.both", both)):
            right = self._known(pictures, test) if name == "cas.real" else self._taught(pictures, test)
            found[name], found[f"{name}.error"] = right, (right * (1 - right) / len(test[1])) ** 0.5
        return broadcast(found)  # float32 sums differ between machines

    def _taught(self, pictures: Labelled, test: Labelled) -> float:
        network = taught(pictures, self.data.classes, self.steps, self.seed, self.device, self.progress)
        return accuracy(network, test)

    def _known(self, real: Labelled, test: Labelled) -> float:
        """Of the real pictures, which stay what they are: worked out once."""
        sets = [self.data.fingerprint(split) for split in ("train", "test")]
        key = ["cas.real", *sets, self.n, self.steps, self.seed, *WIDTHS]
        found = cached(key, lambda: {"accuracy": torch.tensor(self._taught(real, test))}, self.how.cache_dir)
        return float(found["accuracy"])


def _real(data: LabelledImages, split: str, n: int | None) -> Labelled:
    """So many pictures spread over a split, and their labels."""
    count = data.count(split)
    n = min(count, n or count)
    pictures = torch.cat([part for _, part in evenly_spaced(data, split, n)])
    return pictures, data.labels(split)[evenly_spaced_numbers(count, n)]


def taught(
    pictures: Labelled, classes: int, steps: int, seed: int, device: torch.device | str, progress: bool = False
) -> nn.Module:
    """A classifier after so many steps of AdamW, whose rate goes up and down in one cycle; the random state stays."""
    images, labels = pictures
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would seed GPUs as well
        network = Classifier(images.shape[1], classes, WIDTHS).to(device).train()
    network.to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps)
    order = torch.Generator().manual_seed(seed)
    with torch.enable_grad():
        for _ in track(range(steps), "teaching a classifier", steps, progress):
            rows = torch.randint(len(images), (BATCH,), generator=order)
            logits = network(_seen(images[rows].to(device)))[1]
            optimizer.zero_grad()
            F.cross_entropy(logits, labels[rows].to(device)).backward()
            optimizer.step()
            schedule.step()
    return network.eval()


@torch.no_grad()
def accuracy(network: nn.Module, test: Labelled) -> float:
    """The share of test pictures whose class it finds."""
    device = next(network.parameters()).device
    parts = zip(test[0].split(1024), test[1].split(1024), strict=True)
    right = sum(int((network(_seen(x.to(device)))[1].argmax(1).cpu() == y).sum()) for x, y in parts)
    return right / len(test[1])


def _seen(images: Tensor) -> Tensor:
    return to_float(resize(images, SIZE)).contiguous(memory_format=torch.channels_last)  # twice as fast on a CPU
