"""The evaluator of models that give images a style."""

from dataclasses import dataclass

from gan_lab.common.capabilities import Stylizes, TwoDomains
from gan_lab.common.wording import counted
from gan_lab.evaluation.evaluators.base import Evaluator, EvaluatorInputs, Record
from gan_lab.evaluation.gallery import SHEET_SIZE, Sheet
from gan_lab.evaluation.metrics.stylisation import SPLIT
from gan_lab.evaluation.results import EvaluationResult, environment_info
from gan_lab.evaluation.statistics import curves_of, scalars_of
from gan_lab.inference.sheets import SheetOptions, stylisation_sheet


@dataclass
class StylisationEvaluator(Evaluator[Stylizes, TwoDomains]):
    """Compares stylised test photographs with the style pictures and with the photographs, image by image."""

    def evaluate(self, model: Stylizes) -> EvaluationResult:
        """Computes the metrics of the model's present weights (collective)."""
        found, described, failed = self.evaluate_model_metrics(model, {"max_n": self.n})
        counts = next((each for each in described.values() if "pictures" in each), {"n": 0, "pictures": 0})
        data = {side: self.data.sides[side].describe() for side in ("a", "b")}
        protocol = {
            "images": counts["n"], "pictures": counts["pictures"], "split": SPLIT, "seed": self.seed,
            "precision": "fp32", "metrics": self.metric_protocol(described), **environment_info(model, data, []),
        }  # fmt: skip
        return EvaluationResult(scalars_of(found), curves_of(found), protocol, failed)

    def sheet(self, model: Stylizes) -> Sheet:
        """Returns test photographs in the style of test pictures."""
        image = stylisation_sheet(model, self.data, SheetOptions(SHEET_SIZE, self.seed))
        return Sheet(image, "Test photographs spread over the set, not chosen, in the style of the pictures above.")

    def counts(self, protocol: Record) -> dict[str, int]:
        """Returns the numbers of photographs and of pictures."""
        return {"images": protocol["images"], "pictures": protocol["pictures"]}

    def comparison_text(self, protocol: Record) -> str:
        """States in a few words what was compared with what."""
        images, pictures = protocol["images"], protocol["pictures"]
        return f"{counted(images, 'test photograph')} in the style of {counted(pictures, 'picture')}"


def stylisation_evaluator(inputs: EvaluatorInputs) -> StylisationEvaluator:
    """Builds the evaluator of a model that gives images a style."""
    return StylisationEvaluator(inputs.data, inputs.n, inputs.extractors, inputs.metrics, **inputs.options)
