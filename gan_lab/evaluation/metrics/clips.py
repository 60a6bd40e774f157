"""Clip sets to be evaluated: real clips, predictions, and samples."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from gan_lab.common.capabilities import RealClips, SamplesClips
from gan_lab.common.images import to_float, to_uint8
from gan_lab.common.precision import full_precision
from gan_lab.data.clip_subsets import shared_clips
from gan_lab.data.subsets import shared_blocks
from gan_lab.evaluation.image_sets import ImageSet

Predict = Callable[[Tensor, int], Tensor]
"""Maps frames (N, T, C, H, W) in [-1, 1] and a number of steps to the next frames (N, steps, C, H, W)."""

BASELINES: dict[str, Predict] = {
    "repeat": lambda context, steps: context[:, -1:].expand(-1, steps, -1, -1, -1),
    "black": lambda context, steps: torch.full_like(context[:, :1], -1).expand(-1, steps, -1, -1, -1),
}
"""Predictions that need no model: the last of the given frames repeated, and black frames."""


class Clips(ImageSet):
    """Clips evenly spaced over a split, numbered from 0.

    Args:
        data: the data module.
        split: "train" or "test".
        n: maximal number of clips; None takes all.
        begin: the first frame that is seen.
        batch_size: frames read at once.
    """

    name = "clips"

    def __init__(
        self, data: RealClips, split: str, n: int | None = None, begin: int = 0, batch_size: int = 256
    ) -> None:
        count = data.count(split)
        self.data, self.split, self.n, self.begin = data, split, min(count, n or count), begin
        self.clips_at_once = max(1, batch_size // data.length)
        self.shape = data.channels, data.height, data.width
        self.key = ["clips", data.fingerprint(split), self.n, begin]

    def batches(self, progress: bool) -> Iterator[tuple[Tensor, Tensor]]:
        """Yields this rank's share: numbers (m,) and uint8 clips (m, T, C, H, W)."""
        for index, clips in self.whole_clips(progress):
            yield index, clips[:, self.begin :]

    def whole_clips(self, progress: bool) -> Iterator[tuple[Tensor, Tensor]]:
        """Yields this rank's share: numbers (m,) and uint8 clips with all of their frames."""
        return shared_clips(self.data, self.split, self.n, self.clips_at_once, progress)


class KnownPredictions:
    """Predictions that one metric made and others need, as uint8 clips by number; each rank has its share.

    Args:
        max_bytes: more than this are not kept, and are made again.
    """

    def __init__(self, max_bytes: int = 2**30) -> None:
        self.max_bytes, self.room, self.n = max_bytes, max_bytes, 0
        self.clips: dict[int, Tensor] = {}

    def forget(self) -> None:
        """Forgets all: the model has changed, or the clips are no longer needed."""
        self.clips, self.room, self.n = {}, self.max_bytes, 0

    def keep(self, n: int, index: Tensor, predicted: Tensor) -> None:
        """Keeps predictions (m, T, C, H, W) in [-1, 1] of the clips with the numbers (m,) among n of the test split."""
        if n != self.n:
            self.forget()
            self.n = n
        pixels = to_uint8(predicted).cpu()
        self.room -= pixels.numel()
        if self.room >= 0:
            self.clips |= dict(zip(index.tolist(), pixels, strict=True))

    def find(self, n: int, index: Tensor) -> Tensor | None:
        """Returns the predictions of the clips with the numbers (m,) among n, uint8 (m, T, C, H, W); None if one is not
        known.
        """
        found = [self.clips.get(number) for number in index.tolist()] if n == self.n else [None]
        known = [clip for clip in found if clip is not None]
        return torch.stack(known) if len(known) == len(index) else None


class PredictedClips(Clips):
    """Predictions from the first frames of clips.

    Args:
        predict: predicts the next frames.
        context_frames: the number of frames that it is given.
        steps: the number of frames that it predicts.
        device: the device that it runs on.
        baseline: the name of a predictor that never changes, under which statistics are cached; None turns caching off.
        known: predictions of the test split that were made before.
        data, split, n, begin, batch_size: see ``Clips``.
    """

    def __init__(
        self,
        predict: Predict,
        context_frames: int,
        steps: int,
        device: torch.device | str,
        baseline: str | None = None,
        known: KnownPredictions | None = None,
        *,
        data: RealClips,
        split: str,
        n: int | None = None,
        begin: int = 0,
        batch_size: int = 256,
    ) -> None:
        super().__init__(data, split, n, begin, batch_size)
        self.predict, self.context_frames, self.steps, self.device = predict, context_frames, steps, device
        self.key = [baseline, *(self.key or []), context_frames, steps] if baseline else None
        self.known = known or KnownPredictions()

    def batches(self, progress: bool) -> Iterator[tuple[Tensor, Tensor]]:
        """Yields this rank's share: numbers (m,) and the predicted frames, uint8 (m, steps, C, H, W)."""
        for index, clips in self.whole_clips(progress):
            known = self.known.find(self.n, index)
            yield index, self._predict(clips) if known is None else known

    @torch.no_grad()
    @full_precision()
    def _predict(self, clips: Tensor) -> Tensor:
        return to_uint8(self.predict(to_float(clips[:, : self.context_frames].to(self.device)), self.steps))


class SampledClips(ImageSet):
    """Sampled clips 0 … n - 1 of a seed.

    Args:
        model: the sampler.
        steps: the number of frames of each clip.
        n: the number of clips.
        seed: seed of the clips.
        batch_size: frames generated at once.
    """

    name = "clips"

    def __init__(self, model: SamplesClips, steps: int, n: int, seed: int = 0, batch_size: int = 256) -> None:
        self.model, self.steps, self.n, self.seed = model, steps, n, seed
        self.clips_at_once = max(1, batch_size // steps)

    def batches(self, progress: bool) -> Iterator[tuple[Tensor, Tensor]]:
        """Yields this rank's share: numbers (m,) and uint8 clips (m, steps, C, H, W)."""
        for start, count in shared_blocks(self.n, self.clips_at_once, self.name, progress):
            with torch.no_grad(), full_precision():
                clips = self.model.sample_clips(count, self.steps, self.seed, start)
            yield torch.arange(start, start + count), to_uint8(clips)
