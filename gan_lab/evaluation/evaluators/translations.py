"""The evaluator of models that translate: by direction, and image by image."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from gan_lab.common.capabilities import Translates, TwoDomains
from gan_lab.evaluation.evaluators.base import Described, Evaluator, EvaluatorInputs, Failed, Record
from gan_lab.evaluation.factories import metric_class
from gan_lab.evaluation.features.extractors import Extractor
from gan_lab.evaluation.features.perceptual import PerceptualDistance
from gan_lab.evaluation.gallery import SHEET_SIZE, Sheet
from gan_lab.evaluation.image_sets import device_of
from gan_lab.evaluation.metrics.translation import (
    DirectionCounts,
    PairMetrics,
    TranslatedImages,
    direction_counts,
    direction_suites,
    pair_metrics,
)
from gan_lab.evaluation.model_metric import TranslationMetric
from gan_lab.evaluation.results import EvaluationResult, environment_info
from gan_lab.evaluation.statistics import Values, curves_of, scalars_of
from gan_lab.evaluation.suite import Suite
from gan_lab.inference.sheets import SheetOptions, translation_sheet
from gan_lab.inference.translation import SPLIT


@dataclass
class TranslationEvaluator(Evaluator[Translates, TwoDomains]):
    """Evaluates the translations of the test split, by direction.

    Its metrics, for each extractor (here "colour") and direction (here "a2b"):

    - ``fd_colour``, ``kd_colour``, ``fwd``, ``swd``: the means over the directions. They come first, so they select the
      best checkpoint.
    - ``fd_colour_a2b``, ``kd_colour_a2b`` and so on, by the metrics chosen: the distance of the translations from the
      target's test images; with ``_untranslated`` that of the sources as they are, and with ``_real`` that of as many
      of the target's own training images.
    - ``cycle_a``, ``identity_b``, and for pairs ``l1_a2b``, ``ssim_a2b``, ``pd_colour_a2b``, ``lpips_alex_a2b``, or
      ``wrong_a2b`` of label maps: see ``TranslatedImages``.
    - those of model metrics, such as ``diversity_colour_a2b`` and ``miou_a2b``.

    Args:
        pairs: metrics of image i of "a" and image i of "b", by direction and name; see ``pair_metrics``.
        weights: files of LPIPS' networks, by name.
    """

    pairs: PairMetrics = field(default_factory=dict)
    weights: Mapping[str, str | None] = field(default_factory=dict)
    suites: Mapping[str, Suite] = field(default_factory=dict, init=False)

    def evaluate(self, model: Translates) -> EvaluationResult:
        """Computes the metrics of the model's present weights (collective).

        Raises:
            UserError: if there are too few images, or a pair's sizes differ.
        """
        device = device_of(model)
        if not self.suites:
            execution = (device, self.cache_dir, self.progress)
            self.suites = direction_suites(model, self.data, self.metrics, self.extractors, self.n, *execution)
        counts = direction_counts(model, self.data, self.n)
        found: dict[str, float] = {}
        curves: dict[str, list[float]] = {}
        for name, count in counts.items():
            pairs = self.pairs.get(name, {})
            images = TranslatedImages(model, self.data, name, count, pairs, self.seed, self.batch_size, device)
            metrics, of_direction = self.suites[name].evaluate(images, name)
            found, curves = found | metrics | images.errors(), curves | of_direction
        own, stated_by_own, failed = self._model_metrics(model)
        data = {"paired": self.data.paired, **{side: self.data.sides[side].describe() for side in ("a", "b")}}
        protocol = self._protocol(counts) | environment_info(model, data, self.extractors)
        unknown = {key: share for suite in self.suites.values() for key, share in suite.unknown.items()}
        protocol |= {"unknown": unknown} if unknown else {}
        described = {key: each for suite in self.suites.values() for key, each in suite.described.items()}
        described |= stated_by_own
        stated = self.metric_protocol(described)
        protocol["metrics"] = {name: stated[name] for name in self.metrics if name in described}
        failed |= {f"{key}_{name}": error for name in counts for key, error in self.suites[name].failed.items()}
        found, curves = found | scalars_of(own), curves | curves_of(own)
        return EvaluationResult(means_over(model.directions, self.extractors, found) | found, curves, protocol, failed)

    def _model_metrics(self, model: Translates) -> tuple[Values, Described, Failed]:
        chosen = {
            name: each for name, each in self.metrics.items() if issubclass(metric_class(each), TranslationMetric)
        }
        context = {"weights": self.weights, "max_n": self.n}
        return replace(self, metrics=chosen).evaluate_model_metrics(model, context)

    def probe(self, model: Translates, n: int) -> TranslatedImages:
        """Returns n translations of one direction."""
        direction, counts = next(iter(direction_counts(model, self.data, n).items()))
        return TranslatedImages(model, self.data, direction, counts, {}, self.seed, self.batch_size, device_of(model))

    def _protocol(self, counts: Mapping[str, DirectionCounts]) -> dict[str, object]:
        metrics = {name: metric for direction in self.pairs.values() for name, metric in direction.items()}
        return {
            "directions": {name: vars(count) for name, count in counts.items()},
            "split": SPLIT,
            "precision": "fp32",
            "paired": bool(self.pairs),
            "kernel": "(x·y / d + 1)³, unbiased over all pairs; error by the jackknife",
            "networks": {name: each.sha256 for name, each in metrics.items() if isinstance(each, PerceptualDistance)},
            "seed": self.seed,
        }

    def sheet(self, model: Translates) -> Sheet:
        """Returns test images and their translations."""
        image = translation_sheet(model, self.data, SheetOptions(SHEET_SIZE, self.seed))
        if len(model.directions) > 1:
            cells = "one of a, its translation and the way back, then the same of b"
        else:
            cells = "the source, the output" + (" and the target" if self.data.paired else "")
        return Sheet(image, f"Test images spread over the set, not chosen: {cells}.")

    def counts(self, protocol: Record) -> dict[str, int]:
        """Returns the numbers of images of each direction."""
        directions = protocol["directions"].items()
        return {f"{kind}_{name}": n for name, numbers in directions for kind, n in numbers.items()}

    def comparison_text(self, protocol: Record) -> str:
        """States in a few words what was compared with what."""
        directions = protocol["directions"].items()
        numbers = (f"{name} {n['translated']:,} against {n['real']:,}" for name, n in directions)
        return f"{', '.join(numbers)} test images"


def means_over(
    directions: Sequence[str], extractors: Sequence[Extractor], metrics: Mapping[str, float]
) -> dict[str, float]:
    """Returns the means over the directions of the Fréchet and kernel distances, and of those that need no network."""
    found = {}
    names = [each.metric_name(kind) for each in extractors for kind in ("fd", "kd")]
    for name in (*names, "fwd", "swd"):
        if f"{name}_{directions[0]}" in metrics:
            found[name] = sum(metrics[f"{name}_{direction}"] for direction in directions) / len(directions)
    return found


def translation_evaluator(inputs: EvaluatorInputs) -> TranslationEvaluator:
    """Builds the evaluator of a model that translates.

    Raises:
        UserError: if there are too few images, pairs of unequal number, or weights that are not the published ones.
    """
    model, data = inputs.model, inputs.data
    direction_counts(model, data, inputs.n)
    paired = data.paired if inputs.paired is None else inputs.paired
    pairs = pair_metrics(model, data, inputs.weights) if paired else {}
    return TranslationEvaluator(
        data, inputs.n, inputs.extractors, inputs.metrics, **inputs.options, pairs=pairs, weights=inputs.weights
    )
