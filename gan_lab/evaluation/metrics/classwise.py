"""Metrics of class-conditional models: the Fréchet distance within each class, and the accuracy of the classes.

Miyato and Koyama 2018, "cGANs with Projection Discriminator" (intra FID); Shmelkov et al. 2018, "How
Good Is My GAN?" (GAN-test, the accuracy of a classifier of real images on samples).
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from gan_lab.common.bounds import Natural, PositiveInt
from gan_lab.common.class_names import listed
from gan_lab.evaluation.metrics.frechet import GroupedMoments, MomentSums, frechet_distance
from gan_lab.evaluation.statistics import Comparison, NotApplicableError, Statistic, Values, digest

MAX_ENTRIES = 2**26
"""Entries of all classes' covariances together, at most: half a gigabyte."""


class ClasswiseFrechetDistance(Comparison[list[MomentSums], list[MomentSums]]):
    """``fd.class_0`` and so on, the Fréchet distance within each class, and ``fd.classes``, their mean.

    A class has n / K samples, so the distances are larger than that of all samples, even for a perfect model. A model
    can be good on the whole and fail within classes.

    Args:
        dim: d, the dimension of the features.
        labels: the classes of the real (m,) and of the generated (n,) images.
        classes: K.
        class_names: names of the classes, for messages; without them their numbers are shown.

    Raises:
        NotApplicableError: if a class has fewer than two images, or the covariances need too much memory.
    """

    def __init__(
        self, dim: PositiveInt, labels: tuple[Tensor, Tensor], classes: Natural, class_names: Sequence[str] = ()
    ) -> None:
        for side, each in zip(("real images", "samples"), labels, strict=True):
            few = [(k, count) for k, count in enumerate(torch.bincount(each, minlength=classes).tolist()) if count < 2]
            if few:
                named = [f"{class_names[k] if k < len(class_names) else k} ({count})" for k, count in few]
                raise NotApplicableError(f"there are classes with fewer than 2 {side}: {listed(named)}.")
        if classes * dim**2 > MAX_ENTRIES:
            raise NotApplicableError(
                f"the covariances of {classes} classes in {dim} dimensions need more than half a gigabyte."
            )
        super().__init__(*(GroupedMoments(dim, each, classes) for each in labels))

    def compare(self, real: list[MomentSums], fake: list[MomentSums]) -> Values:
        """Returns the metrics of both sides' moments by class."""
        each = [frechet_distance(a.moments(), b.moments()) for a, b in zip(real, fake, strict=True)]
        found: Values = {f"fd.class_{k}": value for k, value in enumerate(each)}
        return found | {"fd.classes": sum(each) / len(each)}


class CorrectCount(Statistic[float]):
    """Counts the images that a classifier assigns to their own class.

    Args:
        labels: the classes (n,) of the images.
        class_logits: the slice of the logits that are these classes.
    """

    correct: Tensor

    def __init__(self, labels: Tensor, class_logits: slice) -> None:
        super().__init__(digest(labels), str(class_logits))
        self.labels, self.class_logits = labels, class_logits
        self.add_sum_state("correct", dtype=torch.int64)

    def accumulate(self, values: Tensor, index: Tensor) -> None:
        """Adds logits (m, K) of the images with the numbers ``index`` (m,)."""
        predicted = values[:, self.class_logits].argmax(1)
        self.correct += (predicted == self.labels.to(index.device)[index]).sum()

    def compute(self) -> float:
        """Returns the accuracy over all ranks (collective)."""
        return int(self.correct) / int(self.count)


class LabelAccuracy(Comparison[float, float]):
    """``label_accuracy``, the share of samples that our classifier assigns to the class asked for, and
    ``label_accuracy_real``, its accuracy on real images.

    Args:
        labels: the classes of the real (m,) and of the generated (n,) images.
        class_logits: the slice of the logits that are these classes.
    """

    input = "logits"

    def __init__(self, labels: tuple[Tensor, Tensor], class_logits: slice) -> None:
        super().__init__(*(CorrectCount(each, class_logits) for each in labels))

    def compare(self, real: float, fake: float) -> Values:
        """Returns both accuracies."""
        return {".label_accuracy": fake, ".label_accuracy_real": real}
