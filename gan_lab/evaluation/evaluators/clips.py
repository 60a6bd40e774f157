"""Evaluators of models of clips: predictions against the frames that followed, samples against real clips."""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar, TypedDict

from gan_lab.common.capabilities import Predicts, RealClips, SamplesClips
from gan_lab.common.wording import counted
from gan_lab.evaluation.evaluators.base import Evaluator, EvaluatorInputs, Model, Record
from gan_lab.evaluation.factories import of_features
from gan_lab.evaluation.gallery import SHEET_SIZE, Sheet
from gan_lab.evaluation.image_sets import ImageSet, device_of
from gan_lab.evaluation.metrics.clips import BASELINES, Clips, KnownPredictions, PredictedClips, SampledClips
from gan_lab.evaluation.results import EvaluationResult, environment_info
from gan_lab.evaluation.statistics import curves_of, scalars_of
from gan_lab.evaluation.suite import Suite
from gan_lab.inference.sheets import SheetOptions, clip_sheet, prediction_sheet


class ClipOptions(TypedDict):
    """Arguments of ``Clips``."""

    data: RealClips
    split: str
    n: int | None
    batch_size: int


@dataclass
class ClipEvaluator(Evaluator[Model, RealClips]):
    """Compares generated clips with real ones, in features of clips, and computes the model metrics.

    Args:
        weights: files of LPIPS' networks, by name.
    """

    weights: Mapping[str, str | None] = field(default_factory=dict)
    suite: Suite | None = field(default=None, init=False)
    predictions: KnownPredictions = field(default_factory=KnownPredictions, init=False)

    model_metrics_first: ClassVar[bool]
    """Whether they are the most important ones."""

    @abstractmethod
    def real(self, model: Model) -> Clips:
        """Returns the real clips, or the part of them that is compared."""

    @abstractmethod
    def generated(self, model: Model) -> ImageSet:
        """Returns the model's clips."""

    @abstractmethod
    def baseline(self, model: Model, name: str) -> PredictedClips:
        """Returns the clips of one of the ``BASELINES``, in place of the model's."""

    def probe(self, model: Model, n: int) -> ImageSet:
        """Returns n of the model's clips."""
        return replace(self, n=n).generated(model)

    def result(self, model: Model, protocol: Mapping[str, object]) -> EvaluationResult:
        """Computes the metrics (collective).

        Args:
            model: the model.
            protocol: the protocol's first entries.
        """
        self.predictions.forget()
        shape = self.data.channels, self.data.height, self.data.width
        context = {"weights": self.weights, "shape": shape, "max_n": self.n, "predictions": self.predictions}
        found, described, failed = self.evaluate_model_metrics(model, context)
        metrics, curves = self._compare(model)
        self.predictions.forget()
        ordered = (scalars_of(found), metrics)[:: 1 if self.model_metrics_first else -1]
        if self.suite:
            described, failed = described | self.suite.described, failed | self.suite.failed
        shared = {"seed": self.seed, "precision": "fp32", "metrics": self.metric_protocol(described)}
        info = environment_info(model, self.data.describe(), self.extractors if self.suite else [])
        protocol = {**protocol, **shared, **info}
        return EvaluationResult({**ordered[0], **ordered[1]}, curves | curves_of(found), protocol, failed)

    def _compare(self, model: Model) -> tuple[dict[str, float], dict[str, list[float]]]:
        """Computes the comparisons of features; a single clip has no distribution to compare."""
        if self.suite is None:
            metrics = of_features(self.metrics)
            real = self.real(model)
            if not metrics or min(real.n, self.generated(model).n) < 2:
                return {}, {}
            baselines = {name: self.baseline(model, name) for name in BASELINES}
            execution = (device_of(model), self.cache_dir, self.progress)
            self.suite = Suite(metrics, self.extractors, real, baselines, {}, *execution)
        return self.suite.evaluate(self.generated(model))


@dataclass
class PredictionEvaluator(ClipEvaluator[Predicts]):
    """Compares predictions from the first frames of test clips with the frames that followed."""

    model_metrics_first = True

    @property
    def most(self) -> int:
        """The test clips, or n of them."""
        return min(self.n, self.data.count("test"))

    def evaluate(self, model: Predicts) -> EvaluationResult:
        """Computes the metrics of the model's present weights (collective)."""
        return self.result(
            model,
            {
                "clips": self.most,
                "split": "test",
                "given": model.context_frames,
                "predicted": self.data.length - model.context_frames,
            },
        )

    def real(self, model: Predicts) -> Clips:
        """Returns the frames that followed."""
        return Clips(begin=model.context_frames, **self._clips)

    def generated(self, model: Predicts) -> PredictedClips:
        """Returns the model's predictions."""
        steps = self.data.length - model.context_frames
        given, device = model.context_frames, device_of(model)
        return PredictedClips(model.predict, given, steps, device, known=self.predictions, **self._clips)

    def baseline(self, model: Predicts, name: str) -> PredictedClips:
        """Returns a baseline's predictions from the same frames."""
        steps = self.data.length - model.context_frames
        return PredictedClips(BASELINES[name], model.context_frames, steps, device_of(model), name, **self._clips)

    def sheet(self, model: Predicts) -> Sheet:
        """Returns predictions of test clips that are not chosen by their quality."""
        image = prediction_sheet(model, self.data, SheetOptions(SHEET_SIZE, self.seed))
        rows = "truth, prediction, absolute error"
        return Sheet(image, f"Test clips spread over the set, not chosen, in three rows each: {rows}.")

    @property
    def _clips(self) -> ClipOptions:
        return {"data": self.data, "split": "test", "n": self.n, "batch_size": self.batch_size}

    def counts(self, protocol: Record) -> dict[str, int]:
        """Returns the number of clips."""
        return {"clips": protocol["clips"]}

    def comparison_text(self, protocol: Record) -> str:
        """States in a few words what was compared with what."""
        given = counted(protocol["given"], "frame")
        return f"{counted(protocol['clips'], 'test clip')}, {given} given and {protocol['predicted']} predicted"


@dataclass
class ClipSampleEvaluator(ClipEvaluator[SamplesClips]):
    """Compares sampled clips with real ones. The baselines are the real clips' last frame repeated, and black."""

    model_metrics_first = False

    def evaluate(self, model: SamplesClips) -> EvaluationResult:
        """Computes the metrics of the model's present weights (collective)."""
        counts = {"samples": self.n, "real": self.real(model).n, "split": self.split, "frames": self.data.length}
        return self.result(model, counts)

    def real(self, model: SamplesClips) -> Clips:
        """Returns the real clips."""
        return Clips(**self._clips)

    def generated(self, model: SamplesClips) -> SampledClips:
        """Returns the model's samples."""
        return SampledClips(model, self.data.length, self.n, self.seed, self.batch_size)

    def baseline(self, model: SamplesClips, name: str) -> PredictedClips:
        """Returns a baseline's continuations of whole real clips."""
        clips, steps = self._clips, self.data.length
        clips["n"] = min(self.n, self.limit or self.n)
        return PredictedClips(BASELINES[name], steps, steps, device_of(model), name, **clips)

    def sheet(self, model: SamplesClips) -> Sheet:
        """Returns the first samples."""
        image = clip_sheet(model, self.data, SheetOptions(SHEET_SIZE, self.seed))
        return Sheet(image, "The first clips, not chosen, one in each row.")

    @property
    def _clips(self) -> ClipOptions:
        return {"data": self.data, "split": self.split, "n": self.limit, "batch_size": self.batch_size}

    def counts(self, protocol: Record) -> dict[str, int]:
        """Returns the numbers of sampled and of real clips."""
        return {"samples": protocol["samples"], "real": protocol["real"]}

    def comparison_text(self, protocol: Record) -> str:
        """States in a few words what was compared with what."""
        samples, split = f"{protocol['samples']:,} clips of {protocol['frames']} frames", protocol["split"]
        return f"{samples} against {protocol['real']:,} clips of the {split} split"


def prediction_evaluator(inputs: EvaluatorInputs) -> PredictionEvaluator:
    """Builds the evaluator of a model that predicts frames."""
    data, options = inputs.data, inputs.options
    return PredictionEvaluator(data, inputs.n, inputs.extractors, inputs.metrics, **options, weights=inputs.weights)


def clip_sample_evaluator(inputs: EvaluatorInputs) -> ClipSampleEvaluator:
    """Builds the evaluator of a model that samples clips."""
    data, options = inputs.data, inputs.options
    return ClipSampleEvaluator(data, inputs.n, inputs.extractors, inputs.metrics, **options, weights=inputs.weights)
