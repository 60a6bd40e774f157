"""The classification accuracy score: the test accuracy of a classifier that is trained on samples.

Ravuri and Vinyals 2019, "Classification Accuracy Score for Conditional Generative Models".
"""

import torch

from gan_lab.common.bounds import PositiveInt, Seed
from gan_lab.common.capabilities import LabelledImages, Samples
from gan_lab.common.distributed import broadcast, rank_and_world_size
from gan_lab.common.images import to_uint8
from gan_lab.common.stopping import separately
from gan_lab.data.subsets import evenly_spaced, evenly_spaced_numbers, shared_blocks
from gan_lab.evaluation.cache import cached
from gan_lab.evaluation.feature_table import ImageTable
from gan_lab.evaluation.image_sets import num_classes
from gan_lab.evaluation.model_metric import DEFAULT_OPTIONS, EvalOptions, ModelMetric
from gan_lab.evaluation.statistics import Values
from gan_lab.evaluation.trained_classifier import WIDTHS, Labelled, accuracy, train_classifier


class ClassificationAccuracy(ModelMetric[Samples, LabelledImages]):
    """``cas``, the accuracy on real test images of a small classifier that was trained on n samples.

    For comparison, ``cas.real`` is that of a classifier trained on as many real training images, and ``cas.both`` that
    of one trained on both together, which tells whether samples work as data augmentation. Each has ``.error``, the
    standard error due to the number of test images.

    Args:
        n: the number of samples, and the maximal number of real training images.
        steps: optimizer steps for each of the three, with batches of 128 images at 32 px.
        seed: seed of the classifiers' weights and batches.
    """

    def __init__(self, n: PositiveInt = 10_000, steps: PositiveInt = 300, seed: Seed = 0) -> None:
        super().__init__()
        self.n, self.steps, self.seed = n, steps, seed
        self.samples: ImageTable | None = None

    def applies_to(self, model: object, data: object) -> bool:
        """Tells whether the model is conditioned on the data's classes."""
        return isinstance(data, LabelledImages) and num_classes(model) == data.classes > 0

    @torch.no_grad()
    def update(self, model: Samples, data: LabelledImages, options: EvalOptions = DEFAULT_OPTIONS) -> None:
        """Generates this rank's share of the samples."""
        self.cache_dir, self.progress = options.cache_dir, options.progress and rank_and_world_size()[0] == 0
        self.data = data
        self.samples = ImageTable((data.channels, data.height, data.width), self.n).to(self.device)
        for start, count in shared_blocks(self.n, options.batch_size, "training samples", options.progress):
            index = torch.arange(start, start + count)
            samples = model.sample(count, options.seed, start, index % data.classes, options.truncation)
            self.samples.update(to_uint8(samples), index)

    def compute(self) -> Values:
        """Trains and tests the classifiers (collective)."""
        assert self.samples is not None
        fake = self.samples.compute().cpu(), torch.arange(self.n) % self.data.classes
        real, test = separately(
            lambda: [_real_images(self.data, split, n) for split, n in (("train", self.n), ("test", None))]
        )
        self.described = {"real": len(real[1]), "test": len(test[1])}
        both = torch.cat([fake[0], real[0]]), torch.cat([fake[1], real[1]])
        accuracies = {
            "cas": self._train_and_test(fake, test),
            "cas.real": self._real_accuracy(real, test),
            "cas.both": self._train_and_test(both, test),
        }
        found: Values = {}
        for name, value in accuracies.items():
            found[name], found[f"{name}.error"] = value, (value * (1 - value) / len(test[1])) ** 0.5
        return broadcast(found)  # float32 sums differ between machines

    def _train_and_test(self, images: Labelled, test: Labelled) -> float:
        options = self.data.classes, self.steps, self.seed, self.device, self.progress
        return separately(lambda: accuracy(train_classifier(images, *options), test))

    def _real_accuracy(self, real: Labelled, test: Labelled) -> float:
        """Returns the accuracy after training on real images, which do not change, so it is cached."""
        sets = [self.data.fingerprint(split) for split in ("train", "test")]
        key = ["cas.real", *sets, self.n, self.steps, self.seed, *WIDTHS]
        found = cached(key, lambda: {"accuracy": torch.tensor(self._train_and_test(real, test))}, self.cache_dir)
        return float(found["accuracy"])


def _real_images(data: LabelledImages, split: str, n: int | None) -> Labelled:
    """Returns n images evenly spaced over a split, or all, and their labels."""
    count = data.count(split)
    n = min(count, n or count)
    images = torch.cat([part for _, part in evenly_spaced(data, split, n)])
    return images, data.labels(split)[evenly_spaced_numbers(count, n)]
