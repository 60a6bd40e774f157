"""Whether a moving digit stays the digit that it is."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from gan_lab.common.capabilities import RealClips, SamplesClips
from gan_lab.common.errors import UserError
from gan_lab.evaluation.feature_table import FeatureTable
from gan_lab.evaluation.features.extractors import Grey, luma
from gan_lab.evaluation.image_sets import ImageSet
from gan_lab.evaluation.metrics.clips import Clips, SampledClips
from gan_lab.evaluation.model_metric import DEFAULT_OPTIONS, EvalOptions, ModelMetric
from gan_lab.evaluation.statistics import Values

SPLIT = "test"
SIDE = 28
"""Of the window in which a digit is read."""

FIGURES = ("one_digit", "digit_agreement", "digit_confidence", "digit_asked")


class DigitConsistency(ModelMetric):
    """Clips of one digit, made from nothing: our classifier reads each frame in a window about its centre of mass.

    ``one_digit`` is the share of clips whose frames are all read as one and the same digit; ``digit_agreement`` the
    share of a clip's frames that are read as its commonest digit, ``digit_confidence`` the probability of what is read,
    both averaged over clips. With ``.real``, of test clips. Of a model that is told digits ``digit_asked`` is the share
    of frames that are read as the digit asked for.

    Args:
        n: clips.
        most: how many a measurement takes at most.

    Raises:
        UserError: for no clips.
    """

    def __init__(self, n: int = 1000, most: int | None = None) -> None:
        super().__init__()
        if n < 1:
            raise UserError(f"Steadiness is measured on 1 clip at least, not {n}.")
        self.n, self.grey = min(n, most or n), Grey()
        self.made: FeatureTable | None = None
        self.real: FeatureTable | None = None

    def applies_to(self, model: Any, data: Any) -> bool:
        return isinstance(model, SamplesClips) and isinstance(data, RealClips) and data.describe().get("digits") == 1

    def update(self, model: Any, data: Any, how: EvalOptions = DEFAULT_OPTIONS) -> None:
        made = SampledClips(model, data.length, self.n, how.seed, how.batch_size)
        real = Clips(data, SPLIT, self.n, batch_size=how.batch_size)
        self.described = {
            "n": made.n,
            "real": real.n,
            "split": SPLIT,
            "frames": data.length,
            "sha256": self.grey.sha256,
        }
        self.num_labels = getattr(model, "num_labels", 0)
        self.made, self.real = self._read(made, how), self._read(real, how)

    def _read(self, clips: ImageSet, how: EvalOptions) -> FeatureTable:
        table = FeatureTable(len(FIGURES), clips.n).to(self.device)
        for index, frames in clips.batches(how.progress):
            table.update(self.read(frames.to(self.device), index % (self.num_labels or 1)), index)
        return table

    def read(self, clips: Tensor, asked: Tensor) -> Tensor:
        """Clips (N, T, C, H, W) uint8 and the digits (N,) asked for → the figures of each, (N, 4)."""
        logits = self.grey(centred(clips.flatten(0, 1)))[1][:, Grey.digits]
        sure, digits = logits.softmax(1).max(1)
        digits, sure = digits.unflatten(0, clips.shape[:2]), sure.unflatten(0, clips.shape[:2])
        agreement = (digits == digits.mode(1).values[:, None]).float().mean(1)
        right = (digits == asked.to(digits)[:, None]).float().mean(1)
        return torch.stack([(agreement == 1).float(), agreement, sure.mean(1), right], 1)

    def compute(self) -> Values:
        assert self.made is not None and self.real is not None
        found: Values = {}
        made, real = (table.compute().double().mean(0).tolist() for table in (self.made, self.real))
        for name, *values in zip(FIGURES[:3], made[:3], real[:3], strict=True):
            found |= dict(zip((name, f"{name}.real"), values, strict=True))
        return found | ({"digit_asked": made[3]} if self.num_labels else {})

    def reset(self) -> None:
        super().reset()
        self.made = self.real = None


def centred(images: Tensor) -> Tensor:
    """Pictures (N, C, H, W) uint8 → the window of 28×28 about each one's centre of mass, (N, 1, 28, 28) uint8; black
    beyond the picture.
    """
    mass = luma(images)
    height, width = mass.shape[2:]
    total = mass.sum((1, 2, 3)).clamp(min=1)
    top = (mass.sum((1, 3)) @ torch.arange(height, device=mass.device).float() / total).round().long()
    left = (mass.sum((1, 2)) @ torch.arange(width, device=mass.device).float() / total).round().long()
    windows = F.pad(mass, (SIDE // 2,) * 4).unfold(2, SIDE, 1).unfold(3, SIDE, 1)
    return windows[torch.arange(len(mass), device=mass.device), :, top, left].round().to(torch.uint8)
