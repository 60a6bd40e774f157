"""How models that continue sequences are measured: against what came."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from gan_lab.callbacks.measure import Measure, Record
from gan_lab.callbacks.sheets import sheet_for
from gan_lab.capabilities import Predicts
from gan_lab.metrics.exhibits import FIRST, Plate
from gan_lab.metrics.fidelity import Report, circumstances
from gan_lab.metrics.gathering import curves_of, figures_of
from gan_lab.metrics.suite import options


@dataclass
class PredictionMeasure(Measure):
    """What a model makes of test clips' first frames, beside the rest of them."""

    weights: Mapping[str, str | None] = field(default_factory=dict)
    """Files of LPIPS' trunks, by name."""

    def report(self, model: Predicts) -> Report:
        shape = self.data.channels, self.data.height, self.data.width
        found, described = self.asked(model, {"weights": self.weights, "shape": shape, "most": self.n})
        told = {name: options(part) | dict(described.get(name, {})) for name, part in self.parts.items()}
        protocol = {"clips": min(self.n, self.data.count("test")), "split": "test", "precision": "fp32"}
        protocol |= {"given": model.given, "predicted": self.data.length - model.given, "metrics": told}
        protocol |= circumstances(model, self.data.describe(), [])
        return Report(figures_of(found), curves_of(found), protocol)

    def plate(self, model: Predicts) -> Plate | None:
        sheet = sheet_for(model, self.data, FIRST, self.seed, None)
        told = (
            "Test clips spread over the set, not chosen, in three rows each: what came, what was predicted, the error."
        )
        return sheet and Plate(sheet(), told)

    def counts(self, protocol: Record) -> dict[str, int]:
        return {"clips": protocol["clips"]}

    def against(self, protocol: Record) -> str:
        given, steps = protocol["given"], protocol["predicted"]
        return f"{protocol['clips']:,} test clips, {given} frames given and {steps} predicted"
