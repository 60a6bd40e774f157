"""Digit consistency: whether a sampled clip of a moving digit shows one digit throughout."""

import torch
import torch.nn.functional as F
from torch import Tensor

from gan_lab.common.bounds import PositiveInt
from gan_lab.common.capabilities import RealClips, SamplesClips
from gan_lab.common.errors import UserError
from gan_lab.evaluation.feature_table import FeatureTable
from gan_lab.evaluation.features.extractors import Grey, luma
from gan_lab.evaluation.image_sets import ImageSet
from gan_lab.evaluation.metrics.clips import Clips, SampledClips
from gan_lab.evaluation.model_metric import DEFAULT_OPTIONS, EvalOptions, ModelMetric
from gan_lab.evaluation.statistics import Values

SPLIT = "test"
WINDOW = 28
"""Side of the window in which a digit is classified, in pixels."""

METRICS = ("one_digit", "digit_agreement", "digit_confidence", "digit_asked")


class DigitConsistency(ModelMetric[SamplesClips, RealClips]):
    """Classifies each frame of sampled clips of one digit, in a window around its centre of mass, by our classifier.

    - ``one_digit``: the share of clips that show the same digit in all frames;
    - ``digit_agreement``: the share of a clip's frames that show its most frequent digit, averaged over clips;
    - ``digit_confidence``: the probability of the classified digit, averaged over frames;
    - ``digit_asked``: the share of frames that show the digit asked for, of a model conditioned on digits.

    The first three have ``.real``, the value of test clips.

    Args:
        n: the number of clips.
        max_n: the evaluation's maximal number of clips; None for no maximum.

    Raises:
        UserError: if n is below 1.
    """

    def __init__(self, n: PositiveInt = 1000, max_n: PositiveInt | None = None) -> None:
        super().__init__()
        if n < 1:
            raise UserError(f"n={n} is not valid for digit consistency: give at least 1 clip.")
        self.n, self.grey = min(n, max_n or n), Grey()
        self.generated: FeatureTable | None = None
        self.real: FeatureTable | None = None

    def applies_to(self, model: object, data: object) -> bool:
        """Tells whether the model samples clips, and the data are clips of one digit."""
        return isinstance(model, SamplesClips) and isinstance(data, RealClips) and data.describe().get("digits") == 1

    def update(self, model: SamplesClips, data: RealClips, options: EvalOptions = DEFAULT_OPTIONS) -> None:
        """Classifies this rank's share of the sampled and of the test clips."""
        generated = SampledClips(model, data.length, self.n, options.seed, options.batch_size)
        real = Clips(data, SPLIT, self.n, batch_size=options.batch_size)
        self.described = {"n": generated.n, "real": real.n, "split": SPLIT, "frames": data.length}
        self.described |= {"sha256": self.grey.sha256}
        self.num_labels = getattr(model, "num_labels", 0)
        self.generated, self.real = self._table(generated, options), self._table(real, options)

    def _table(self, clips: ImageSet, options: EvalOptions) -> FeatureTable:
        table = FeatureTable(len(METRICS), clips.n).to(self.device)
        for index, frames in clips.batches(options.progress):
            table.update(self.classify(frames.to(self.device), index % (self.num_labels or 1)), index)
        return table

    def classify(self, clips: Tensor, asked: Tensor) -> Tensor:
        """Returns the ``METRICS`` (N, 4) of each of the uint8 clips (N, T, C, H, W) with the digits asked for (N,)."""
        logits = self.grey(centre_window(clips.flatten(0, 1)))[1][:, Grey.digits]
        confidence, digits = logits.softmax(1).max(1)
        digits, confidence = digits.unflatten(0, clips.shape[:2]), confidence.unflatten(0, clips.shape[:2])
        agreement = (digits == digits.mode(1).values[:, None]).float().mean(1)
        correct = (digits == asked.to(digits)[:, None]).float().mean(1)
        return torch.stack([(agreement == 1).float(), agreement, confidence.mean(1), correct], 1)

    def compute(self) -> Values:
        """Returns the metrics over all ranks (collective)."""
        assert self.generated is not None and self.real is not None
        found: Values = {}
        generated, real = (table.compute().double().mean(0).tolist() for table in (self.generated, self.real))
        for name, *values in zip(METRICS[:3], generated[:3], real[:3], strict=True):
            found |= dict(zip((name, f"{name}.real"), values, strict=True))
        return found | ({"digit_asked": generated[3]} if self.num_labels else {})

    def reset(self) -> None:
        """Forgets the clips."""
        super().reset()
        self.generated = self.real = None


def centre_window(images: Tensor) -> Tensor:
    """Cuts a window of 28×28 px around each image's centre of mass; outside of the image it is black.

    Maps uint8 images (N, C, H, W) to uint8 windows (N, 1, 28, 28).
    """
    mass = luma(images)
    height, width = mass.shape[2:]
    total = mass.sum((1, 2, 3)).clamp(min=1)
    top = (mass.sum((1, 3)) @ torch.arange(height, device=mass.device).float() / total).round().long()
    left = (mass.sum((1, 2)) @ torch.arange(width, device=mass.device).float() / total).round().long()
    windows = F.pad(mass, (WINDOW // 2,) * 4).unfold(2, WINDOW, 1).unfold(3, WINDOW, 1)
    return windows[torch.arange(len(mass), device=mass.device), :, top, left].round().to(torch.uint8)
