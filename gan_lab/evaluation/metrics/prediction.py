"""The error of predicted frames, frame by frame, and that of the baselines."""

from collections.abc import Mapping, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from gan_lab.common.bounds import Natural, PositiveInt
from gan_lab.common.capabilities import Predicts, RealClips
from gan_lab.common.errors import UserError
from gan_lab.common.images import to_float
from gan_lab.common.precision import full_precision
from gan_lab.common.wording import counted
from gan_lab.data.clip_subsets import evenly_spaced, renumber, shared_clips
from gan_lab.evaluation.feature_table import FeatureTable, mean_and_error
from gan_lab.evaluation.features.perceptual import (
    MIN_SIDE,
    PairMetric,
    PerceptualDistance,
    perceptual_distance,
    perceptual_name,
    ssim,
)
from gan_lab.evaluation.metrics.clips import BASELINES, KnownPredictions
from gan_lab.evaluation.metrics.reconstruction import psnr
from gan_lab.evaluation.model_metric import DEFAULT_OPTIONS, EvalOptions, ModelMetric
from gan_lab.evaluation.statistics import Values

SPLIT = "test"

PREDICTORS = ("", *BASELINES)
"""The model, whose metrics have no suffix, and the baselines."""


class Prediction(ModelMetric[Predicts, RealClips]):
    """Gives a model the first frames of test clips, and compares its predictions with the frames that followed.

    ``mse_a_frame`` and ``mae_a_frame`` are the literature's summed forms: squared and absolute differences of values in
    [0, 1], summed over a frame, and averaged over frames and clips (Srivastava et al. 2015, "Unsupervised Learning of
    Video Representations using LSTMs"; Wang et al. 2017, "PredRNN"). SSIM, PSNR in dB, and a perceptual distance over
    fewer clips are means over frames. Each metric has ``.error`` over clips and the baselines' values ``.repeat`` and
    ``.black``; ``<metric>_by_frame`` are curves over time of all three.

    Args:
        n: the number of test clips, evenly spaced over the split; None takes all, or ``max_n``.
        n_perceptual: the number of clips for the perceptual distance, which takes much longer; 0 leaves it out.
        distance: None takes LPIPS if there are weights, else our colour network's distance; see
            ``features.perceptual``.
        shape: (C, H, W) of frames.
        weights: files of the networks, by name.
        max_n: the evaluation's maximal number of clips; None for no maximum.
        predictions: keeps the predictions for other metrics; None keeps none.

    Raises:
        UserError: if n is below 1, or n_perceptual below 0.
    """

    def __init__(
        self,
        n: PositiveInt | None = None,
        n_perceptual: Natural = 100,
        distance: PerceptualDistance | None = None,
        shape: tuple[PositiveInt, PositiveInt, PositiveInt] | None = None,
        weights: Mapping[str, str | None] | None = None,
        max_n: PositiveInt | None = None,
        predictions: KnownPredictions | None = None,
    ) -> None:
        super().__init__()
        if n is not None and n < 1:
            raise UserError(f"n={n} is not valid for predictions: give at least 1 clip.")
        if n_perceptual < 0:
            raise UserError(f"n_perceptual={n_perceptual} is not valid: give a number of clips, or 0 for none.")
        shortest = min(shape[1:]) if shape else 0
        self.n = min((each for each in (n, max_n) if each is not None), default=None)
        self.n_perceptual, self.predictions = n_perceptual, predictions
        each: dict[str, PairMetric] = {"mse_a_frame": squared_error, "mae_a_frame": absolute_error}
        each |= {"ssim": ssim} if shortest >= MIN_SIDE["ssim"] else {}
        self.pair_metrics: list[dict[str, PairMetric]] = [each | {"psnr": psnr}]
        if n_perceptual:
            self.distance = distance or perceptual_distance(("vgg16", "alexnet"), shortest, weights)
            self.pair_metrics.append({perceptual_name(self.distance): self.distance})
        self.tables = nn.ModuleList()
        self.steps = 0

    def applies_to(self, model: object, data: object) -> bool:
        """Tells whether the model predicts, and clips are longer than its context."""
        return isinstance(model, Predicts) and isinstance(data, RealClips) and data.length > model.context_frames

    @torch.no_grad()
    @full_precision()
    def update(self, model: Predicts, data: RealClips, options: EvalOptions = DEFAULT_OPTIONS) -> None:
        """Compares this rank's share of the test clips."""
        count, context_frames = data.count(SPLIT), model.context_frames
        n, self.steps = min(count, self.n or count), data.length - context_frames
        few = min(n, self.n_perceptual)
        self.described = {"n": n, "n_perceptual": few, "split": SPLIT}
        self.described |= {"given": context_frames, "predicted": self.steps}
        if few:
            self.described |= {"distance": self.distance.name, "sha256": self.distance.sha256}
        self.tables = nn.ModuleList(
            FeatureTable(len(PREDICTORS) * len(metrics) * self.steps, kept).to(self.device)
            for metrics, kept in zip(self.pair_metrics, (n, few), strict=False)
        )
        for index, clips in shared_clips(data, SPLIT, n, max(1, options.batch_size // data.length), options.progress):
            context, truth = to_float(clips.to(self.device)).split([context_frames, self.steps], 1)
            predictions = [model.predict(context, self.steps)]
            if self.predictions is not None:
                self.predictions.keep(n, index, predictions[0])
            predictions += [predict(context, self.steps) for predict in BASELINES.values()]
            self._compare(predictions, truth, index.to(self.device), n)

    def _compare(self, predictions: Sequence[Tensor], truth: Tensor, index: Tensor, n: int) -> None:
        """Adds each clip's values, (predictors · metrics · steps), to those tables that take the clip."""
        for metrics, table in zip(self.pair_metrics, self._tables, strict=True):
            kept = evenly_spaced(index, n, len(table.arrivals))
            if not kept.any():
                continue
            pairs = [(each[kept].flatten(0, 1), truth[kept].flatten(0, 1)) for each in predictions]
            found = [metric(*pair).view(int(kept.sum()), -1) for pair in pairs for metric in metrics.values()]
            table.update(torch.cat(found, 1), renumber(index[kept], n, len(table.arrivals)))

    @property
    def _tables(self) -> list[FeatureTable]:
        return [cast(FeatureTable, table) for table in self.tables]

    def compute(self) -> Values:
        """Returns the metrics over all ranks (collective)."""
        found: Values = {}
        for metrics, table in zip(self.pair_metrics, self._tables, strict=True):
            every = table.compute().cpu().double().unflatten(1, (len(PREDICTORS), len(metrics), self.steps))
            for predictor, predicted in zip(PREDICTORS, every.unbind(1), strict=True):
                for name, values in zip(metrics, predicted.unbind(1), strict=True):
                    found |= _summary(name, values, predictor)
        return found

    def reset(self) -> None:
        """Forgets the clips."""
        super().reset()
        self.tables = nn.ModuleList()


def _summary(name: str, values: Tensor, predictor: str) -> Values:
    """Returns the mean of values (N, T), its error over clips, and the curve over time."""
    curve: Values = {f"{name}_by_frame.{predictor}".rstrip("."): values.mean(0).tolist()}
    if predictor:
        return {f"{name}.{predictor}": values.mean().item(), **curve}
    return {f"{name}{end}": value for end, value in mean_and_error(values.mean(1)).items()} | curve


def squared_error(fake: Tensor, real: Tensor) -> Tensor:
    """Returns squared differences of values in [0, 1], summed over images (N, C, H, W) and (N, C, H, W) in [-1, 1]:
    (N,).
    """
    return ((fake.float() - real.float()) / 2).square().sum((1, 2, 3))


def absolute_error(fake: Tensor, real: Tensor) -> Tensor:
    """Returns absolute differences of values in [0, 1], summed over images (N, C, H, W) and (N, C, H, W) in [-1, 1]:
    (N,).
    """
    return ((fake.float() - real.float()) / 2).abs().sum((1, 2, 3))


def describe_errors(context: Tensor, predicted: Tensor, truth: Tensor) -> str:
    """States the number of frames and, if the truth is known, the mean errors of a prediction and of a baseline.

    Args:
        context: the frames that the model was given, (N, T, C, H, W) in [-1, 1].
        predicted: the frames that it predicted, (N, S, C, H, W).
        truth: the frames that followed, as far as they are known, (N, S', C, H, W).
    """
    known = min(truth.shape[1], predicted.shape[1])
    made, given = (counted(each.shape[1], "frame") for each in (predicted, context))
    counts = f"Predicted {made} of {counted(len(predicted), 'sequence')}, {given} given"
    if not known:
        return counts
    real = truth[:, :known].flatten(0, 1)
    error = squared_error(predicted[:, :known].flatten(0, 1), real).mean()
    repeated = squared_error(BASELINES["repeat"](context, known).flatten(0, 1), real).mean()
    return f"{counts}\nSummed squared error per frame {error:.1f}; last frame repeated {repeated:.1f}"
