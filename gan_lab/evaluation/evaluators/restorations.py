"""The evaluator of models that undo damage."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from gan_lab.common.capabilities import Damages, Repairs
from gan_lab.evaluation.evaluators.base import Evaluator, EvaluatorInputs, Record
from gan_lab.evaluation.factories import of_features
from gan_lab.evaluation.gallery import SHEET_SIZE, Sheet
from gan_lab.evaluation.image_sets import SplitImages, device_of
from gan_lab.evaluation.metrics.restoration import SPLIT, RestoredImages, baselines
from gan_lab.evaluation.results import EvaluationResult, environment_info
from gan_lab.evaluation.statistics import curves_of, scalars_of
from gan_lab.evaluation.suite import Suite
from gan_lab.inference.sheets import SheetOptions, restoration_sheet


@dataclass
class RestorationEvaluator(Evaluator[Repairs, Damages]):
    """Compares restored test images with the clean ones, image by image and as sets, beside simple baselines.

    Args:
        weights: files of LPIPS' networks, by name.
    """

    weights: Mapping[str, str | None] = field(default_factory=dict)
    suite: Suite | None = field(default=None, init=False)

    @property
    def most(self) -> int:
        """The test images, or n of them."""
        return min(self.n, self.data.count(SPLIT))

    def evaluate(self, model: Repairs) -> EvaluationResult:
        """Computes the metrics of the model's present weights (collective)."""
        shape = self.data.channels, self.data.height, self.data.width
        context = {"weights": self.weights, "shape": shape, "max_n": self.n}
        found, described, failed = self.evaluate_model_metrics(model, context)
        metrics, curves = self._compare(model)
        if self.suite:
            described, failed = described | self.suite.described, failed | self.suite.failed
        info = environment_info(model, self.data.describe(), self.extractors if self.suite else [])
        protocol = {
            "images": self.most, "split": SPLIT, "seed": self.seed, "precision": "fp32",
            "metrics": self.metric_protocol(described), **info,
        }  # fmt: skip
        return EvaluationResult({**scalars_of(found), **metrics}, curves | curves_of(found), protocol, failed)

    def _compare(self, model: Repairs) -> tuple[dict[str, float], dict[str, list[float]]]:
        """Computes the comparisons of features; a single image has no distribution to compare."""
        metrics, restored = of_features(self.metrics), self._restored(model)
        if not metrics or restored.n < 2:
            return {}, {}
        if self.suite is None:
            device = device_of(model)
            simple = {
                name: RestoredImages(way, self.data, self.n, self.batch_size, device, name, known=True)
                for name, way in baselines(self.data).items()
            }
            real = SplitImages(self.data, SPLIT, self.n)
            self.suite = Suite(metrics, self.extractors, real, simple, {}, device, self.cache_dir, self.progress)
        return self.suite.evaluate(restored)

    def _restored(self, model: Repairs) -> RestoredImages:
        return RestoredImages(model.repair, self.data, self.n, self.batch_size, device_of(model))

    def probe(self, model: Repairs, n: int) -> RestoredImages:
        """Returns n restored images."""
        return RestoredImages(model.repair, self.data, n, self.batch_size, device_of(model))

    def sheet(self, model: Repairs) -> Sheet:
        """Returns test images that are not chosen by their quality."""
        image = restoration_sheet(model, self.data, SheetOptions(SHEET_SIZE, self.seed))
        return Sheet(image, "Test images spread over the set, not chosen: damaged, restored, clean.")

    def counts(self, protocol: Record) -> dict[str, int]:
        """Returns the number of images."""
        return {"images": protocol["images"]}

    def comparison_text(self, protocol: Record) -> str:
        """States in a few words what was compared with what."""
        return f"{protocol['images']:,} test images, restored, against the clean ones"


def restoration_evaluator(inputs: EvaluatorInputs) -> RestorationEvaluator:
    """Builds the evaluator of a model that undoes damage."""
    data, options = inputs.data, inputs.options
    return RestorationEvaluator(data, inputs.n, inputs.extractors, inputs.metrics, **options, weights=inputs.weights)
