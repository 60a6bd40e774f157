"""Clips as they are measured: real ones, what is predicted of them, and what is made from nothing."""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from gan_lab.common.capabilities import RealClips, SamplesClips
from gan_lab.common.images import to_float, to_uint8
from gan_lab.common.precision import full_precision
from gan_lab.data.clip_subsets import shared_clips
from gan_lab.data.subsets import shared_blocks
from gan_lab.evaluation.image_sets import ImageSet

Forecast = Callable[[Tensor, int], Tensor]
"""Frames (N, T, C, H, W) in [-1, 1] and how many are wanted → the next ones (N, steps, C, H, W)."""

BASELINES: dict[str, Forecast] = {
    "repeat": lambda given, steps: given[:, -1:].expand(-1, steps, -1, -1, -1),
    "black": lambda given, steps: torch.full_like(given[:, :1], -1).expand(-1, steps, -1, -1, -1),
}
"""What is predicted without a model: the last of the given frames again, and nothing."""


class Clips(ImageSet):
    """Clips that are evenly spread over a split, numbered anew, from some frame on.

    Args:
        n: so many at most; None takes all.
        begin: the frame from which on they are seen.
        batch_size: frames at once.
    """

    name = "clips"

    def __init__(
        self, data: RealClips, split: str, n: int | None = None, begin: int = 0, batch_size: int = 256
    ) -> None:
        count = data.count(split)
        self.data, self.split, self.n, self.begin = data, split, min(count, n or count), begin
        self.at_once = max(1, batch_size // data.length)
        self.shape = data.channels, data.height, data.width
        self.key = ["clips", data.fingerprint(split), self.n, begin]

    def batches(self, progress: bool) -> Iterator[tuple[Tensor, Tensor]]:
        """Numbers (m,) of this rank's share, and uint8 clips (m, T, C, H, W)."""
        for index, clips in self.whole(progress):
            yield index, clips[:, self.begin :]

    def whole(self, progress: bool) -> Iterator[tuple[Tensor, Tensor]]:
        """The same with all of their frames."""
        return shared_clips(self.data, self.split, self.n, self.at_once, progress)


class PredictedClips(Clips):
    """What is predicted after the first frames of such clips.

    Args:
        predict: who predicts.
        given: frames that are shown to it.
        steps: frames that it predicts.
        device: where it works.
        name: of one that never changes, by which what is known of it is kept.
        clips: what ``Clips`` takes.
    """

    def __init__(
        self, predict: Forecast, given: int, steps: int, device: Any, name: str | None = None, **clips: Any
    ) -> None:
        super().__init__(**clips)
        self.predict, self.given, self.steps, self.device = predict, given, steps, device
        self.key = [name, *(self.key or []), given, steps] if name else None

    def batches(self, progress: bool) -> Iterator[tuple[Tensor, Tensor]]:
        for index, clips in self.whole(progress):
            with torch.no_grad(), full_precision():
                made = self.predict(to_float(clips[:, : self.given].to(self.device)), self.steps)
            yield index, to_uint8(made)


class SampledClips(ImageSet):
    """Sequences 0 … n - 1 of a seed.

    Args:
        steps: frames of each.
        batch_size: frames at once.
    """

    name = "sequences"

    def __init__(self, model: SamplesClips, steps: int, n: int, seed: int = 0, batch_size: int = 256) -> None:
        self.model, self.steps, self.n, self.seed = model, steps, n, seed
        self.at_once = max(1, batch_size // steps)

    def batches(self, progress: bool) -> Iterator[tuple[Tensor, Tensor]]:
        for start, count in shared_blocks(self.n, self.at_once, self.name, progress):
            with torch.no_grad(), full_precision():
                made = self.model.sample_clips(count, self.steps, self.seed, start)
            yield torch.arange(start, start + count), to_uint8(made)
