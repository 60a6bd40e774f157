"""How models of sequences are measured: against what came, and against real clips."""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from gan_lab.common.capabilities import Predicts, SamplesClips
from gan_lab.evaluation.evaluators.base import Evaluator, Record
from gan_lab.evaluation.gallery import FIRST, Sheet
from gan_lab.evaluation.image_sets import ImageSet
from gan_lab.evaluation.metrics.clips import BASELINES, Clips, PredictedClips, SampledClips
from gan_lab.evaluation.model_metric import ModelMetric
from gan_lab.evaluation.results import Report, environment_info
from gan_lab.evaluation.statistics import curves_of, scalars_of
from gan_lab.evaluation.suite import MetricFactory, Suite, metric_class, options
from gan_lab.inference.sheets import sheet_for


@dataclass
class ClipEvaluator(Evaluator):
    """Comparisons of made clips with real ones, in features of clips, and what probes find."""

    weights: Mapping[str, str | None] = field(default_factory=dict)
    """Files of LPIPS' trunks, by name."""

    suite: Suite | None = None

    shown: ClassVar[str]
    """What the plate has, in a sentence."""

    probes_first: ClassVar[bool]
    """Whether what they find matters most."""

    @abstractmethod
    def real(self, model: Any) -> Clips:
        """What is compared with."""

    @abstractmethod
    def made(self, model: Any) -> ImageSet:
        """What the model makes."""

    @abstractmethod
    def continued(self, model: Any, name: str) -> PredictedClips:
        """What one of the ``BASELINES`` makes in its place."""

    def measured(self, model: Any, told: Mapping[str, Any]) -> Report:
        """The report, whose protocol begins with what is told."""
        shape = self.data.channels, self.data.height, self.data.width
        found, described = self.asked(model, {"weights": self.weights, "shape": shape, "most": self.n})
        figures, curves = self._compared(model)
        both = (scalars_of(found), figures)[:: 1 if self.probes_first else -1]
        described |= self.suite.described if self.suite else {}
        metrics = {name: options(part) | dict(described.get(name, {})) for name, part in self.parts.items()}
        protocol = {**told, "seed": self.seed, "precision": "fp32", "metrics": metrics}
        protocol |= environment_info(model, self.data.describe(), self.extractors if self.suite else [])
        return Report({**both[0], **both[1]}, curves | curves_of(found), protocol)

    def _compared(self, model: Any) -> tuple[dict[str, float], dict[str, list[float]]]:
        """By those parts that see features; of single clips there is nothing to compare."""
        if self.suite is None:
            parts: dict[str, MetricFactory] = {name: part for name, part in self.parts.items() if _sees_features(part)}
            real, made = self.real(model), self.made(model)
            if not parts or min(real.n, made.n) < 2:
                return {}, {}
            baselines = {name: self.continued(model, name) for name in BASELINES}
            how = (model.device, self.cache_dir, self.progress)
            self.suite = Suite(parts, self.extractors, real, baselines, {}, *how)
        return self.suite.measure(self.made(model))

    def sheet(self, model: Any) -> Sheet | None:
        sheet = sheet_for(model, self.data, FIRST, self.seed, None)
        return sheet and Sheet(sheet(), self.shown)


def _sees_features(part: MetricFactory) -> bool:
    kind = metric_class(part)
    return not issubclass(kind, ModelMetric) and kind.input == "features"


class PredictionEvaluator(ClipEvaluator):
    """What a model makes of test clips' first frames, beside the rest of them."""

    probes_first = True
    shown = "Test clips spread over the set, not chosen, in three rows each: what came, what was predicted, the error."

    def report(self, model: Predicts) -> Report:
        told = {"clips": min(self.n, self.data.count("test")), "split": "test", "given": model.context_frames}
        return self.measured(model, told | {"predicted": self.data.length - model.context_frames})

    def real(self, model: Predicts) -> Clips:
        return Clips(self.data, "test", self.n, model.context_frames, self.batch_size)

    def made(self, model: Any) -> PredictedClips:
        return PredictedClips(
            model.predict, model.context_frames, self.data.length - model.context_frames, model.device, **self._clips
        )

    def continued(self, model: Any, name: str) -> PredictedClips:
        steps = self.data.length - model.context_frames
        return PredictedClips(BASELINES[name], model.context_frames, steps, model.device, name, **self._clips)

    @property
    def _clips(self) -> dict[str, Any]:
        return {"data": self.data, "split": "test", "n": self.n, "batch_size": self.batch_size}

    def counts(self, protocol: Record) -> dict[str, int]:
        return {"clips": protocol["clips"]}

    def comparison_text(self, protocol: Record) -> str:
        given, steps = protocol["given"], protocol["predicted"]
        return f"{protocol['clips']:,} test clips, {given} frames given and {steps} predicted"


class ClipSampleEvaluator(ClipEvaluator):
    """What a model makes from nothing, against real clips; beside it these clips' last frames, still, and black."""

    probes_first = False
    shown = "The first sequences, not chosen, a row each."

    def report(self, model: SamplesClips) -> Report:
        told = {"samples": self.n, "real": self.real(model).n, "split": self.split, "frames": self.data.length}
        return self.measured(model, told)

    def real(self, model: SamplesClips) -> Clips:
        return Clips(**self._clips)

    def made(self, model: SamplesClips) -> SampledClips:
        return SampledClips(model, self.data.length, self.n, self.seed, self.batch_size)

    def continued(self, model: Any, name: str) -> PredictedClips:
        few = self._clips | {"n": min(self.n, self.limit or self.n)}
        return PredictedClips(BASELINES[name], self.data.length, self.data.length, model.device, name, **few)

    @property
    def _clips(self) -> dict[str, Any]:
        return {"data": self.data, "split": self.split, "n": self.limit, "batch_size": self.batch_size}

    def counts(self, protocol: Record) -> dict[str, int]:
        return {"samples": protocol["samples"], "real": protocol["real"]}

    def comparison_text(self, protocol: Record) -> str:
        made, split = f"{protocol['samples']:,} sequences of {protocol['frames']} frames", protocol["split"]
        return f"{made} against {protocol['real']:,} clips of the {split} split"
