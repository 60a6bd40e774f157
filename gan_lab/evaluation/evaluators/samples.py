"""Evaluators of models that sample: against real images, or by the modes of a mixture."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from types import SimpleNamespace
from typing import cast

from gan_lab.common.capabilities import Mixture, RealImages, Reconstructs, Samples
from gan_lab.common.mixtures import NearestMode
from gan_lab.evaluation.evaluators.base import Evaluator, EvaluatorInputs, Record
from gan_lab.evaluation.factories import is_model_metric
from gan_lab.evaluation.features.extractors import Grey
from gan_lab.evaluation.gallery import Gallery, Sheet, first_samples, make_gallery
from gan_lab.evaluation.image_sets import (
    ImageSet,
    ReconstructedImages,
    SampledImages,
    SplitImages,
    StoredSampler,
    device_of,
    labels_match,
)
from gan_lab.evaluation.metrics.gaussian_baseline import GaussianImages
from gan_lab.evaluation.metrics.modes import StackedDigitClassifier, count_modes
from gan_lab.evaluation.results import EvaluationResult, environment_info
from gan_lab.evaluation.statistics import curves_of, scalars_of
from gan_lab.evaluation.suite import Suite
from gan_lab.inference.sheets import POINTS, SheetOptions, point_sheet

RECONSTRUCTED, REAL = "reconstructed", "real"


@dataclass
class SampleEvaluator(Evaluator[Samples, RealImages]):
    """Compares n samples with real images, and computes the model metrics.

    Held-out real images, if the data have any, are compared with the real images as the samples are:
    ``<metric>_real``.

    The reconstructions of a model that reconstructs, of n test images at most, are compared with the real images as
    the pixel Gaussian's samples are: ``<metric>_reconstructed``.

    Args:
        mode_classifier: finds the modes of data whose modes are known.
        weights: files of LPIPS' networks, by name.
    """

    mode_classifier: StackedDigitClassifier | None = None
    weights: Mapping[str, str | None] = field(default_factory=dict)
    suite: Suite | None = field(default=None, init=False)

    def evaluate(self, model: Samples) -> EvaluationResult:
        """Computes the metrics of the model's present weights (collective)."""
        suite = self.suite = self.suite or self._build_suite(model)
        reconstructions = self._reconstructions(model)
        if reconstructions:
            suite.set_baseline(RECONSTRUCTED, reconstructions)  # computed anew each time, as the model changes
        metrics, curves = suite.evaluate(self.source(model))
        found, described, failed = self.evaluate_model_metrics(model, {**self._context, "shape": self._shape})
        protocol: dict[str, object] = {"samples": self.n, "real": suite.real.n, "split": self.split, "seed": self.seed}
        protocol |= {"truncation": self.truncation, "precision": "fp32", "gaussian": {"split": "train", "seed": 0}}
        protocol |= {"unknown": suite.unknown} if suite.unknown else {}
        if REAL in suite.baselines:
            protocol["held_out"] = {"split": "test", "n": suite.baselines[REAL].n}
        protocol |= {"draws": model.draws} if hasattr(model, "draws") else {}
        if reconstructions:
            protocol[RECONSTRUCTED] = {"split": reconstructions.split, "n": reconstructions.n}
        protocol |= {"judge": self.mode_classifier.describe()} if self.mode_classifier else {}
        protocol["metrics"] = self.metric_protocol({**suite.described, **described})
        protocol |= environment_info(model, self.data.describe(), self.extractors)
        return EvaluationResult(metrics | scalars_of(found), curves | curves_of(found), protocol, suite.failed | failed)

    @property
    def _context(self) -> dict[str, object]:
        """Arguments that metrics may take, besides those that a suite knows itself."""
        return {"weights": self.weights} | ({"mode_classifier": self.mode_classifier} if self.mode_classifier else {})

    @property
    def _shape(self) -> tuple[int, int, int]:
        return self.data.channels, self.data.height, self.data.width

    def _reconstructions(self, model: Samples) -> ReconstructedImages | None:
        if not isinstance(model, Reconstructs) or not labels_match(model, self.data):
            return None
        found = ReconstructedImages(model, self.data, "test", self.n, self.batch_size)
        return found if found.n > 1 else None

    def source(self, model: Samples) -> SampledImages:
        """Returns the samples that are evaluated."""
        stored = getattr(model, "key", None) if isinstance(model, StoredSampler) else None
        key = [*stored, self.n] if stored else None
        return SampledImages(model, self._shape, self.n, self.seed, self.truncation, self.batch_size, key)

    def probe(self, model: Samples, n: int) -> SampledImages:
        """Returns n samples."""
        return replace(self, n=n).source(model)

    def sheet(self, model: Samples) -> Sheet | None:
        """Returns the first samples."""
        return first_samples(self.source(model))

    def gallery(self, model: Samples) -> Gallery | None:
        """Returns samples chosen in the first extractor's features; None if no metric kept these image by image."""
        tables = self.suite.tables(self.extractors[0]) if self.suite else None
        return make_gallery(self._real(), self.source(model), *tables) if tables else None

    def _real(self) -> SplitImages:
        return SplitImages(self.data, self.split, self.limit)

    def _build_suite(self, model: Samples) -> Suite:
        comparisons = {name: each for name, each in self.metrics.items() if not is_model_metric(each)}
        baselines: dict[str, ImageSet] = {
            "gaussian": GaussianImages(self.data, self.n, self.batch_size, device_of(model))
        }
        if self._has_held_out_images:
            baselines[REAL] = SplitImages(self.data, "test", self.n)
        execution = (device_of(model), self.cache_dir, self.progress)
        return Suite(comparisons, self.extractors, self._real(), baselines, self._context, *execution)

    @property
    def _has_held_out_images(self) -> bool:
        """True if the data have test images other than the real images; a folder has the same for every split."""
        if self.split != "train" or self.data.count("test") < 2:
            return False
        return self.data.fingerprint("test") != self.data.fingerprint("train")

    def counts(self, protocol: Record) -> dict[str, int]:
        """Returns the numbers of samples and of real images."""
        return {"samples": protocol["samples"], "real": protocol["real"]}

    def comparison_text(self, protocol: Record) -> str:
        """States in a few words what was compared with what."""
        return f"{protocol['samples']:,} samples against {protocol['real']:,} images of the {self.split} split"


@dataclass
class ModeEvaluator(Evaluator[Samples, Mixture]):
    """Counts the modes of a mixture in the plane that n samples find."""

    def evaluate(self, model: Samples) -> EvaluationResult:
        """Computes the metrics of the model's present weights (collective)."""
        execution = (self.batch_size, device_of(model), self.progress)
        modes = NearestMode(self.data.centres, self.data.deviation)
        metrics = count_modes(model, modes, self.n, self.seed, self.truncation, *execution)
        protocol = {"samples": self.n, "split": self.split, "seed": self.seed, "truncation": self.truncation}
        protocol |= {"precision": "fp32", "good_within": 3}
        return EvaluationResult(metrics, {}, {**protocol, **environment_info(model, self.data.describe(), [])})

    def sheet(self, model: Samples) -> Sheet | None:
        """Returns a scatter plot of the first samples."""
        sampler = cast(Samples, SimpleNamespace(sample=partial(model.sample, truncation=self.truncation)))
        image = point_sheet(sampler, self.data, SheetOptions(seed=self.seed))
        caption = (
            f"The first {POINTS:,} samples: blue within three deviations of a mode, red elsewhere; in grey, the data."
        )
        return Sheet(image, caption)

    def counts(self, protocol: Record) -> dict[str, int]:
        """Returns the number of samples."""
        return {"samples": protocol["samples"]}

    def comparison_text(self, protocol: Record) -> str:
        """States in a few words what was compared with what."""
        return f"{protocol['samples']:,} samples of {len(self.data.centres)} modes"


def sample_evaluator(inputs: EvaluatorInputs) -> SampleEvaluator:
    """Builds the evaluator of a model that samples images."""
    classifier = StackedDigitClassifier(Grey()) if getattr(inputs.data, "stacked", False) else None
    return SampleEvaluator(
        inputs.data,
        inputs.n,
        inputs.extractors,
        inputs.metrics,
        **inputs.options,
        mode_classifier=classifier,
        weights=inputs.weights,
    )


def mode_evaluator(inputs: EvaluatorInputs) -> ModeEvaluator:
    """Builds the evaluator of a model that samples points of the plane; no extractor takes these."""
    return ModeEvaluator(inputs.data, inputs.n, [], inputs.metrics, **inputs.options)
