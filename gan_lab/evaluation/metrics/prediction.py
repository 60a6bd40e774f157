"""How near predicted frames are to those that came, frame by frame, beside what no model is needed for."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from gan_lab.common.capabilities import Predicts, RealClips
from gan_lab.common.errors import UserError
from gan_lab.common.images import to_float
from gan_lab.common.precision import full_precision
from gan_lab.data.clip_subsets import evenly_spaced, renumber, shared_clips
from gan_lab.evaluation.feature_table import FeatureTable, mean_and_error
from gan_lab.evaluation.features.perceptual import SMALLEST, Perceptual, perceptual, ssim
from gan_lab.evaluation.metrics.clips import BASELINES
from gan_lab.evaluation.metrics.reconstruction import psnr
from gan_lab.evaluation.model_metric import DEFAULT_OPTIONS, EvalOptions, ModelMetric
from gan_lab.evaluation.statistics import Values

SPLIT = "test"
Compare = Callable[[Tensor, Tensor], Tensor]
"""Made and true frames (M, C, H, W) in [-1, 1] → a number of each, (M,)."""

WHO = ("", *BASELINES)
"""Who predicts: the model, and they."""


class Prediction(ModelMetric):
    """Test clips: a model is given the first frames, and what it makes of the rest is compared with what came.

    ``mse_a_frame`` and ``mae_a_frame`` are the literature's summed forms: squared and absolute differences of values in
    [0, 1], summed over a frame and averaged over frames and clips (Srivastava et al. 2015; Wang et al. 2017). SSIM,
    PSNR in dB and a perceptual distance, of fewer clips, are means over frames. Each has ``.error`` over clips,
    ``.repeat`` and ``.black``, and, of all three, a curve over time, ``<figure>_by_frame``.

    Args:
        n: clips, spread over the split; None takes all, or ``most``.
        n_perceptual: clips that the perceptual distance is taken of, for it takes far longer than the rest; 0 leaves
            it out.
        distance: None takes LPIPS where its weights are, else our colour network's; see ``metrics.perceptual``.
        shape: (C, H, W) of frames.
        weights: files of the networks, by name.
        most: how many a measurement takes at most.

    Raises:
        UserError: for no clips.
    """

    def __init__(
        self,
        n: int | None = None,
        n_perceptual: int = 100,
        distance: Perceptual | None = None,
        shape: tuple[int, int, int] | None = None,
        weights: Mapping[str, str | None] | None = None,
        most: int | None = None,
    ) -> None:
        super().__init__()
        if n is not None and n < 1:
            raise UserError(f"Predictions are measured on 1 clip at least, not {n}.")
        if n_perceptual < 0:
            raise UserError(f"n_perceptual={n_perceptual} does not serve: give a number of clips, or 0 for none.")
        shortest = min(shape[1:]) if shape else 0
        self.n = min((each for each in (n, most) if each is not None), default=None)
        self.n_perceptual = n_perceptual
        each: dict[str, Compare] = {"mse_a_frame": squared_error, "mae_a_frame": absolute}
        each |= {"ssim": ssim} if shortest >= SMALLEST["ssim"] else {}
        self.compared: list[dict[str, Compare]] = [each | {"psnr": psnr}]
        if n_perceptual:
            self.distance = distance or perceptual(("vgg16", "alexnet"), shortest, weights)
            build_metric = "pd_colour" if self.distance.name == "colour" else self.distance.name
            self.compared.append({build_metric: self.distance})
        self.tables: Any = nn.ModuleList()
        self.steps = 0

    def applies_to(self, model: Any, data: Any) -> bool:
        return isinstance(model, Predicts) and isinstance(data, RealClips) and data.length > model.context_frames

    @torch.no_grad()
    @full_precision()
    def update(self, model: Any, data: Any, how: EvalOptions = DEFAULT_OPTIONS) -> None:
        count = data.count(SPLIT)
        n, self.steps = min(count, self.n or count), data.length - model.context_frames
        few = min(n, self.n_perceptual)
        self.described = {
            "n": n,
            "n_perceptual": few,
            "split": SPLIT,
            "given": model.context_frames,
            "predicted": self.steps,
        }
        if few:
            self.described |= {"distance": self.distance.name, "sha256": self.distance.sha256}
        self.tables = nn.ModuleList(
            FeatureTable(len(WHO) * len(compared) * self.steps, some).to(self.device)
            for compared, some in zip(self.compared, (n, few), strict=False)
        )
        for index, clips in shared_clips(data, SPLIT, n, max(1, how.batch_size // data.length), how.progress):
            given, truth = to_float(clips.to(self.device)).split([model.context_frames, self.steps], 1)
            made = [model.predict(given, self.steps), *(each(given, self.steps) for each in BASELINES.values())]
            self._compare(made, truth, index.to(self.device), n)

    def _compare(self, made: Sequence[Tensor], truth: Tensor, index: Tensor, n: int) -> None:
        """Adds clips' comparisons of every frame, who · comparisons · steps of each, to the tables that take them."""
        for compared, table in zip(self.compared, self.tables, strict=True):
            kept = evenly_spaced(index, n, len(table.seen))
            if not kept.any():
                continue
            pairs = [(each[kept].flatten(0, 1), truth[kept].flatten(0, 1)) for each in made]
            found = [compare(*pair).view(int(kept.sum()), -1) for pair in pairs for compare in compared.values()]
            table.update(torch.cat(found, 1), renumber(index[kept], n, len(table.seen)))

    def compute(self) -> Values:
        found: Values = {}
        for compared, table in zip(self.compared, self.tables, strict=True):
            every = table.compute().cpu().double().unflatten(1, (len(WHO), len(compared), self.steps))
            for who, made in zip(WHO, every.unbind(1), strict=True):
                for name, values in zip(compared, made.unbind(1), strict=True):
                    found |= _told(name, values, who)
        return found

    def reset(self) -> None:
        super().reset()
        self.tables = nn.ModuleList()


def _told(name: str, values: Tensor, who: str) -> Values:
    """The mean of what was found of each clip and frame (N, T), its error over clips, and its course over time."""
    course: Values = {f"{name}_by_frame.{who}".rstrip("."): values.mean(0).tolist()}
    if who:
        return {f"{name}.{who}": values.mean().item(), **course}
    return {f"{name}{end}": value for end, value in mean_and_error(values.mean(1)).items()} | course


def squared_error(made: Tensor, truth: Tensor) -> Tensor:
    """Squared differences of values in [0, 1], summed over pictures (N, C, H, W) in [-1, 1] → (N,)."""
    return ((made.float() - truth.float()) / 2).square().sum((1, 2, 3))


def absolute(made: Tensor, truth: Tensor) -> Tensor:
    """Absolute differences of values in [0, 1], summed over pictures (N, C, H, W) in [-1, 1] → (N,)."""
    return ((made.float() - truth.float()) / 2).abs().sum((1, 2, 3))


def describe_errors(given: Tensor, predicted: Tensor, truth: Tensor) -> str:
    """Counts of frames and, where the truth is known, mean errors of a prediction, in words.

    Args:
        given: the frames that the model saw, (N, T, C, H, W) in [-1, 1].
        predicted: the frames that it predicted, (N, S, C, H, W).
        truth: the frames that followed, as far as they are known, (N, S', C, H, W).
    """
    known = min(truth.shape[1], predicted.shape[1])
    counts = f"Predicted {predicted.shape[1]} frames of {len(predicted)} sequences, {given.shape[1]} frames given"
    if not known:
        return counts
    real = truth[:, :known].flatten(0, 1)
    error = squared_error(predicted[:, :known].flatten(0, 1), real).mean()
    repeated = squared_error(BASELINES["repeat"](given, known).flatten(0, 1), real).mean()
    return f"{counts}\nSummed squared error per frame {error:.1f}; last frame repeated {repeated:.1f}"
