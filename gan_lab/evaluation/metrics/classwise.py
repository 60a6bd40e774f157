"""Whether a conditional model makes what is asked for: the distance within each class, and what a classifier reads."""

import torch
from torch import Tensor

from gan_lab.evaluation.metrics.frechet import GroupedMoments, Sums, distance
from gan_lab.evaluation.statistics import Comparison, NotApplicableError, Statistic, Values, digest

NUMBERS = 2**26
"""No more of them are kept, of all classes' covariances: half a gigabyte."""


class WithinClasses(Comparison):
    """``fd.class_0`` and so on, the Fréchet distance within each class, and ``fd.classes``, their mean: on n / K
    samples, so higher than the whole one even of a perfect model. A model can look good on the whole and fail within
    classes.

    Args:
        dim: d, the dimension of the features.
        labels: the classes of the real (m,) and of the made (n,) pictures.
        classes: K.
    """

    def __init__(self, dim: int, labels: tuple[Tensor, Tensor], classes: int) -> None:
        if min(int(torch.bincount(each, minlength=classes).min()) for each in labels) < 2:
            raise NotApplicableError("some class has fewer than 2 pictures.")
        if classes * dim**2 > NUMBERS:
            raise NotApplicableError(
                f"the covariances of {classes} classes in {dim} dimensions need more than half a gigabyte."
            )
        super().__init__(*(GroupedMoments(dim, each, classes) for each in labels))

    def compare(self, real: list[Sums], fake: list[Sums]) -> Values:
        each = [distance(a.moments(), b.moments()) for a, b in zip(real, fake, strict=True)]
        found: Values = {f"fd.class_{k}": value for k, value in enumerate(each)}
        return found | {"fd.classes": sum(each) / len(each)}


class Hits(Statistic):
    """How many pictures a classifier finds of their own class.

    Args:
        labels: the classes (n,) of the pictures.
        known: where among the logits the classes are.
    """

    right: Tensor

    def __init__(self, labels: Tensor, known: slice) -> None:
        super().__init__(digest(labels), str(known))
        self.labels, self.known = labels, known
        self.add_sum_state("right", dtype=torch.int64)

    def add(self, values: Tensor, index: Tensor) -> None:
        """Logits (m, K)."""
        self.right += (values[:, self.known].argmax(1) == self.labels.to(index.device)[index]).sum()

    def compute(self) -> float:
        """The share, over all ranks (a collective)."""
        return int(self.right) / int(self.count)


class LabelAccuracy(Comparison):
    """``label_accuracy``, the share of samples that our classifier finds to be of the class asked for, and, of real
    pictures and their own, ``label_accuracy_real``.

    Args:
        labels: the classes of the real (m,) and of the made (n,) pictures.
        known: where among the logits the classes are.
    """

    input = "logits"

    def __init__(self, labels: tuple[Tensor, Tensor], known: slice) -> None:
        super().__init__(*(Hits(each, known) for each in labels))

    def compare(self, real: float, fake: float) -> Values:
        return {".label_accuracy": fake, ".label_accuracy_real": real}
