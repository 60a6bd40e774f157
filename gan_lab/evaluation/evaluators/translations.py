"""How models that translate are measured: by direction, and picture by picture."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gan_lab.evaluation.evaluators.base import Evaluator, Record
from gan_lab.evaluation.gallery import FIRST, Sheet
from gan_lab.evaluation.metrics.translation import Pairs, measure_translation, suites
from gan_lab.evaluation.results import Report
from gan_lab.evaluation.suite import Suite
from gan_lab.inference.sheets import sheet_for


@dataclass
class TranslationEvaluator(Evaluator):
    """Comparisons by direction, and what single pictures are compared by; on the test split."""

    pairs: Pairs = field(default_factory=dict)
    suites: Mapping[str, Suite] = field(default_factory=dict)

    def report(self, model: Any) -> Report:
        how = (model.device, self.cache_dir, self.progress)
        self.suites = self.suites or suites(model, self.data, self.parts, self.extractors, self.n, *how)
        also = (self.seed, self.pairs, self.batch_size, model.device)
        return measure_translation(model, self.data, self.suites, self.n, *also)

    def sheet(self, model: Any) -> Sheet:
        """Test pictures, and what becomes of them."""
        sheet = sheet_for(model, self.data, FIRST, self.seed, None)
        assert sheet is not None
        if len(model.directions) > 1:
            cells = "one of a, its translation and the way back, then the same of b"
        else:
            cells = "the source, the output" + (" and the target" if self.data.paired else "")
        return Sheet(sheet(), f"Test pictures spread over the set, not chosen: {cells}.")

    def counts(self, protocol: Record) -> dict[str, int]:
        directions = protocol["directions"].items()
        return {f"{kind}_{name}": n for name, numbers in directions for kind, n in numbers.items()}

    def comparison_text(self, protocol: Record) -> str:
        directions = protocol["directions"].items()
        numbers = (f"{name} {n['translated']:,} against {n['real']:,}" for name, n in directions)
        return f"{', '.join(numbers)} test pictures"
