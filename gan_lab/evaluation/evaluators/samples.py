"""How models that sample are measured: against real pictures, or by modes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from types import SimpleNamespace
from typing import Any

from gan_lab.common.capabilities import Reconstructs
from gan_lab.common.mixtures import NearestMode
from gan_lab.evaluation.evaluators.base import Evaluator, Record
from gan_lab.evaluation.gallery import Gallery, Sheet, first_of, gallery
from gan_lab.evaluation.image_sets import ReconstructedImages, SampledImages, SplitImages, labels_match
from gan_lab.evaluation.metrics.gaussian_baseline import Gaussian
from gan_lab.evaluation.metrics.modes import StackedDigits, count_modes
from gan_lab.evaluation.model_metric import ModelMetric
from gan_lab.evaluation.results import Report, environment_info
from gan_lab.evaluation.statistics import curves_of, scalars_of
from gan_lab.evaluation.suite import Suite, metric_class, options
from gan_lab.inference.sheets import POINTS, sheet_for

AGAIN = "reconstructed"


@dataclass
class SampleEvaluator(Evaluator):
    """Comparisons of n samples with real pictures, and what probes find.

    Of a model that reconstructs, what it makes again of test pictures, n at most, is compared as the pixel Gaussian's
    samples are: ``<figure>_reconstructed``.
    """

    judge: StackedDigits | None = None
    """Of data whose modes are known."""

    weights: Mapping[str, str | None] = field(default_factory=dict)
    """Files of LPIPS' trunks, by name."""

    suite: Suite | None = None

    def report(self, model: Any) -> Report:
        suite = self.suite = self.suite or self._suite(model)
        again = self._again(model, suite)
        figures, curves = suite.measure(self.source(model))
        described: dict[str, Mapping[str, object]] = dict(suite.described)
        found, of_probes = self.asked(model, self._facts() | {"shape": self._shape})
        figures |= scalars_of(found)
        curves |= curves_of(found)
        described |= of_probes
        protocol = {"samples": self.n, "real": suite.real.n, "split": self.split, "seed": self.seed}
        protocol |= {"truncation": self.truncation, "precision": "fp32", "gaussian": {"split": "train", "seed": 0}}
        protocol |= {"draws": model.draws} if hasattr(model, "draws") else {}
        protocol |= {AGAIN: {"split": again.split, "n": again.n}} if again else {}
        protocol |= {"judge": self.judge.describe()} if self.judge else {}
        told = {name: options(part) | dict(described.get(name, {})) for name, part in self.parts.items()}
        protocol |= {"metrics": told}
        return Report(figures, curves, protocol | environment_info(model, self.data.describe(), self.extractors))

    def _facts(self) -> dict[str, Any]:
        """What parts may ask for besides what a suite knows by itself."""
        return {"weights": self.weights} | ({"judge": self.judge} if self.judge else {})

    @property
    def _shape(self) -> tuple[int, int, int]:
        return self.data.channels, self.data.height, self.data.width

    def _again(self, model: Any, suite: Suite) -> ReconstructedImages | None:
        """The reconstructions, which the suite compares anew each time, as the model changes."""
        if not isinstance(model, Reconstructs) or not labels_match(model, self.data):
            return None
        again = ReconstructedImages(model, self.data, "test", self.n, self.batch_size)
        if again.n < 2:
            return None
        suite.baselines[AGAIN] = again
        suite.known.pop(AGAIN, None)
        return again

    def source(self, model: Any) -> SampledImages:
        """The samples that are measured."""
        return SampledImages(model, self._shape, self.n, self.seed, self.truncation, self.batch_size)

    def sheet(self, model: Any) -> Sheet | None:
        return first_of(self.source(model))

    def gallery(self, model: Any) -> Gallery | None:
        """What a report shows, in the first extractor's eyes; None where no picture's features were kept."""
        tables = self.suite.tables(self.extractors[0]) if self.suite else None
        return gallery(self._real(), self.source(model), *tables) if tables else None

    def _real(self) -> SplitImages:
        return SplitImages(self.data, self.split, self.limit)

    def _suite(self, model: Any) -> Suite:
        parts = {name: part for name, part in self.parts.items() if not issubclass(metric_class(part), ModelMetric)}
        gaussian = Gaussian(self.data, self.n, self.batch_size, model.device)
        how = (model.device, self.cache_dir, self.progress)
        return Suite(parts, self.extractors, self._real(), {"gaussian": gaussian}, self._facts(), *how)

    def counts(self, protocol: Record) -> dict[str, int]:
        return {"samples": protocol["samples"], "real": protocol["real"]}

    def comparison_text(self, protocol: Record) -> str:
        return f"{protocol['samples']:,} samples against {protocol['real']:,} pictures of the {self.split} split"


@dataclass
class ModeEvaluator(Evaluator):
    """Modes found among n samples of a mixture in the plane."""

    def report(self, model: Any) -> Report:
        how = (self.n, self.seed, self.truncation, self.batch_size, model.device, self.progress)
        figures = count_modes(model, NearestMode(self.data.centres, self.data.deviation), *how)
        protocol = {"samples": self.n, "split": self.split, "seed": self.seed, "truncation": self.truncation}
        protocol |= {"precision": "fp32", "good_within": 3}
        return Report(figures, {}, protocol | environment_info(model, self.data.describe(), []))

    def sheet(self, model: Any) -> Sheet | None:
        sampler = SimpleNamespace(sample=partial(model.sample, truncation=self.truncation))
        sheet = sheet_for(sampler, self.data, POINTS, self.seed, None)
        told = (
            f"The first {POINTS:,} samples: blue within three deviations of a mode, red elsewhere; in grey, the data."
        )
        return sheet and Sheet(sheet(), told)

    def counts(self, protocol: Record) -> dict[str, int]:
        return {"samples": protocol["samples"]}

    def comparison_text(self, protocol: Record) -> str:
        return f"{protocol['samples']:,} samples of {len(self.data.centres)} modes"
