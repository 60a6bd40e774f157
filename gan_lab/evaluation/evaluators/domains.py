"""The evaluator of models that translate among many domains: by pair of domains, with drawn and with given styles."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import TypeVar

from gan_lab.common.capabilities import LabelledImages, TranslatesAmong
from gan_lab.common.distributed import rank_and_world_size
from gan_lab.data.class_view import ClassView
from gan_lab.data.subsets import capped_count
from gan_lab.evaluation.evaluators.base import Evaluator, EvaluatorInputs, Record
from gan_lab.evaluation.factories import comparisons_of, metric_class
from gan_lab.evaluation.features.perceptual import PerceptualDistance, perceptual_distance
from gan_lab.evaluation.gallery import SHEET_SIZE, Sheet
from gan_lab.evaluation.image_sets import ImageSet, SplitImages, device_of
from gan_lab.evaluation.metrics.diversity import PerceptualDiversity
from gan_lab.evaluation.metrics.domain_classifier import Agreement, DomainClassifiers, DomainImages
from gan_lab.evaluation.metrics.domains import (
    MIN_IMAGES,
    STYLES,
    DomainPair,
    StyledImages,
    domain_pairs,
    plain_names,
)
from gan_lab.evaluation.results import EvaluationResult, environment_info
from gan_lab.evaluation.suite import Suite
from gan_lab.inference.domain_sheet import domain_sheet
from gan_lab.inference.restyling import num_styles
from gan_lab.inference.sheets import SheetOptions
from gan_lab.inference.translation import SPLIT

PREDICTED, ACCURACY, ERROR = "_predicted", "_accuracy", "_error"
"""Endings of names of what a classifier says, and of errors."""

T = TypeVar("T")
Found = dict[str, dict[str, dict[str, float]]]
"""Values by metric, by what guides the style, and by pair."""


@dataclass
class DomainEvaluator(Evaluator[TranslatesAmong, LabelledImages]):
    """Evaluates translations of the test split for each ordered pair of domains, in ten styles of each source.

    Its metrics, for each extractor (here "colour"):

    - ``fd_colour``, ``kd_colour`` and so on, by the metrics chosen: means over pairs and over both ways to get styles.
      They come first, so they select the best checkpoint. Beside them, with ``_untranslated`` the distance of sources
      as they are from the target's test images, and with ``_real`` that of the target's own training images.
    - ``fd_colour_latent`` with styles that are drawn, ``fd_colour_reference`` with those of test images of the target,
      and so on: means over the pairs.
    - ``agreement_colour``: the share of translations that a classifier of the real domains assigns to the target;
      ``agreement_colour_real`` is its accuracy on real test images. ``agreement`` with metrics=domain_classifier: the
      same by a network that is trained for it.
    - ``diversity_colour``: mean perceptual distance of the translations of a source from each other.
    - ``pose_colour``: perceptual distance of a translation from its source in that from another source: below 1
      if something of the source is kept.
    - ``fd_colour_latent_cat2dog``, ``kd_colour_latent_cat2dog`` and so on: of each pair.

    A model without styles has no references, and one translation of each source.

    Args:
        distance: perceptual.
    """

    distance: PerceptualDistance | None = None
    suites: Mapping[int, Suite] = field(default_factory=dict, init=False)
    baselines: Found | None = field(default=None, init=False)

    def evaluate(self, model: TranslatesAmong) -> EvaluationResult:
        """Computes the metrics of the model's present weights (collective).

        Raises:
            UserError: if there are too few images.
        """
        pairs = domain_pairs(model, self.data)
        self.suites = self.suites or self._build_suites(model, pairs)
        found: Found = {}
        predicted: dict[str, dict[str, dict[str, list[float]]]] = {}
        failed: dict[str, Exception] = {}
        for pair, way in product(pairs, self._ways(model)):
            images = self._translations(model, pair, way, self._sources(model, pair, len(pairs)), self.distance)
            suite = self.suites[pair.target]
            values, curves = suite.evaluate(images)
            failed |= {f"{key}_{way}_{pair.name}": error for key, error in suite.failed.items()}
            _record(found, values | (images.checks.compute() if images.checks else {}), way, pair)
            _record(predicted, {name: each for name, each in curves.items() if name.endswith(PREDICTED)}, way, pair)
        self.baselines = self.baselines or self._measure_baselines(model, pairs)
        protocol = self._protocol(model, pairs) | {"predicted_domains": predicted}
        protocol |= environment_info(model, self.data.describe(), self.extractors)
        of_pairs = {each.metric_name(kind) for each in self.extractors for kind in ("fd", "kd")}
        return EvaluationResult(in_order(found, self.baselines, of_pairs), {}, protocol, failed)

    def _ways(self, model: TranslatesAmong) -> Sequence[str]:
        return ("latent", "reference") if num_styles(model) else ("latent",)

    def _sources(self, model: TranslatesAmong, pair: DomainPair, pairs: int) -> int:
        """Returns the number of sources of a pair: n is that of all translations."""
        ways = self._ways(model)
        styles = STYLES if num_styles(model) else 1
        most = max(MIN_IMAGES, self.n // (pairs * len(ways) * styles))
        return capped_count(ClassView(self.data, pair.source), SPLIT, most)

    def _translations(
        self,
        model: TranslatesAmong,
        pair: DomainPair,
        guided: str,
        sources: int,
        distance: PerceptualDistance | None = None,
    ) -> StyledImages:
        execution = (self.seed, self.batch_size, device_of(model))
        return StyledImages(model, self.data, pair, guided, sources, *execution, distance)

    def _build_suites(self, model: TranslatesAmong, pairs: Sequence[DomainPair]) -> dict[int, Suite]:
        """Returns, by target, the comparisons with its test images; diversity is that of styles here."""
        device = device_of(model)
        targets = sorted({each for pair in pairs for each in (pair.source, pair.target)})
        chosen = comparisons_of(self.metrics, "features", "images")
        chosen = {name: each for name, each in chosen.items() if metric_class(each) is not PerceptualDiversity}
        extractors = [each.to(device) for each in self.extractors]
        show = self.progress and rank_and_world_size()[0] == 0
        domains = DomainImages(self.data, targets, plain_names(model), device, self.cache_dir, show)
        context = {"classifiers": DomainClassifiers.fitted(extractors, domains), "domains": domains}
        return {
            target: Suite(
                {**chosen, "agreement": Agreement}, extractors,
                SplitImages(ClassView(self.data, target), SPLIT, self.limit), None, {**context, "target": target},
                device, self.cache_dir, self.progress,
            )
            for target in targets
        }  # fmt: skip

    def _measure_baselines(self, model: TranslatesAmong, pairs: Sequence[DomainPair]) -> Found:
        """Compares sources as they are, and training images of the target, with its test images; computed once."""
        found: Found = {}
        for pair in pairs:
            sources = self._sources(model, pair, len(pairs))
            count = sources * (STYLES if num_styles(model) else 1)
            sets: dict[str, ImageSet] = {
                "untranslated": SplitImages(ClassView(self.data, pair.source), SPLIT, count),
                "real": SplitImages(ClassView(self.data, pair.target), "train", count),
            }
            for name, images in sets.items():
                values = self.suites[pair.target].evaluate(images)[0]
                accuracy = {key: values[f"{key}{ACCURACY}"] for key in values if f"{key}{ACCURACY}" in values}
                _record(found, values | (accuracy if name == "real" else {}), name, pair)
        return found

    def probe(self, model: TranslatesAmong, n: int) -> StyledImages:
        """Returns about n translations of one pair."""
        pair = domain_pairs(model, self.data)[0]
        sources = capped_count(ClassView(self.data, pair.source), SPLIT, max(1, n // STYLES))
        return self._translations(model, pair, "latent", sources)

    def _protocol(self, model: TranslatesAmong, pairs: Sequence[DomainPair]) -> dict[str, object]:
        counts = {
            pair.name: {
                "sources": (sources := self._sources(model, pair, len(pairs))),
                "translated": sources * (STYLES if num_styles(model) else 1),
                "real": self.suites[pair.target].real.n,
            }
            for pair in pairs
        }
        unknown = {key: share for suite in self.suites.values() for key, share in suite.unknown.items()}
        described = {key: each for suite in self.suites.values() for key, each in suite.described.items()}
        stated = self.metric_protocol(described)
        return {
            "pairs": counts, "guided": list(self._ways(model)), "styles": STYLES if num_styles(model) else 1,
            "split": SPLIT, "precision": "fp32", "seed": self.seed, "domains": plain_names(model),
            "distance": self.distance and {"name": self.distance.name, "sha256": self.distance.sha256},
            "metrics": {name: stated[name] for name in self.metrics if name in described},
            **({"unknown": unknown} if unknown else {}),
        }  # fmt: skip

    def sheet(self, model: TranslatesAmong) -> Sheet:
        """Returns test images, and their translations in the styles of references and in random ones."""
        image = domain_sheet(model, self.data, SheetOptions(SHEET_SIZE, self.seed))
        if not num_styles(model):
            return Sheet(image, "Test images spread over the set, not chosen, translated to the domains above.")
        text = "in the styles of the references above, and in random styles of their domains"
        return Sheet(image, f"Test images spread over the set, not chosen, translated {text}.")

    def counts(self, protocol: Record) -> dict[str, int]:
        """Returns the numbers of all translations, and of real images of all targets."""
        pairs, ways = protocol["pairs"], len(protocol["guided"])
        real = {name: numbers["real"] for name, numbers in pairs.items()}
        return {"translated": ways * sum(each["translated"] for each in pairs.values()), "real": max(real.values())}

    def comparison_text(self, protocol: Record) -> str:
        """States in a few words what was compared with what."""
        pairs, numbers = protocol["pairs"], self.counts(protocol)
        ways = " and ".join(f"{way}-guided" for way in protocol["guided"])
        return (
            f"{numbers['translated']:,} {ways} translations of {len(pairs)} pairs of domains against up to "
            f"{numbers['real']:,} test images"
        )


def _record(found: dict[str, dict[str, dict[str, T]]], values: Mapping[str, T], way: str, pair: DomainPair) -> None:
    """Adds values by metric under a way and a pair, without those of the test images alone."""
    for name, value in values.items():
        if not name.endswith((ACCURACY, "_real")):
            found.setdefault(name, {}).setdefault(way, {})[pair.name] = value


def in_order(found: Found, baselines: Found, of_pairs: Collection[str]) -> dict[str, float]:
    """Returns metrics by name: means over all, with baselines; means over pairs; and some of each pair.

    Args:
        found: values by metric, way and pair.
        baselines: values by metric, baseline and pair.
        of_pairs: metrics, and those with an error, whose values of each pair are kept.
    """
    means = {name: each for name, each in found.items() if not name.endswith(ERROR)}
    values: dict[str, float] = {}
    for name, each in means.items():
        values[name] = _mean([_mean(each[way].values()) for way in each])
        values |= {f"{name}_{way}": _mean(of.values()) for way, of in baselines.get(name, {}).items()}
    ways = list(next(iter(found.values()), {}))
    for way in ways:
        values |= {f"{name}_{way}": _mean(each[way].values()) for name, each in means.items() if way in each}
    for way in ways:
        for name, each in found.items():
            base = name.removesuffix(ERROR)
            if base in of_pairs:
                values |= {f"{base}_{way}_{pair}{name[len(base) :]}": value for pair, value in each[way].items()}
    return values


def _mean(values: Collection[float]) -> float:
    return sum(values) / len(values)


def domain_evaluator(inputs: EvaluatorInputs) -> DomainEvaluator:
    """Builds the evaluator of a model that translates among many domains.

    Raises:
        UserError: if there are too few images, or weights are not the published ones.
    """
    model, data = inputs.model, inputs.data
    domain_pairs(model, data)
    distance = perceptual_distance(("alexnet", "vgg16"), min(data.height, data.width), inputs.weights)
    return DomainEvaluator(data, inputs.n, inputs.extractors, inputs.metrics, **inputs.options, distance=distance)
