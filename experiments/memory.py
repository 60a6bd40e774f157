"""Measures the memory of metrics over pairs: 50,000 against 50,000 features of 2,048 dimensions, one process for each.

`python experiments/memory.py` takes a quarter of an hour on two cores and writes results/memory.json.
"""

import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch

from gan_lab.common.device import describe_hardware
from gan_lab.evaluation.metrics.kernel import KernelDistance
from gan_lab.evaluation.metrics.precision_recall import Authenticity, DensityCoverage, PrecisionRecall
from gan_lab.evaluation.statistics import Comparison

N, DIM = 50_000, 2_048
METRICS: dict[str, list[Callable[..., Comparison]]] = {
    "kernel distance": [KernelDistance],
    "neighbours": [PrecisionRecall, DensityCoverage, Authenticity],
}


def measured(kinds: list[Callable[..., Comparison]]) -> dict[str, float]:
    """Returns the seconds of the comparison, and the peak memory of the process, features and libraries included."""
    comparisons, random = [kind(DIM, N, N) for kind in kinds], torch.Generator().manual_seed(0)
    for side, shift in ((comparisons[0].real, 0.0), (comparisons[0].fake, 0.05)):
        for start in range(0, N, 1000):
            side.update(torch.randn(1000, DIM, generator=random) + shift, torch.arange(start, start + 1000))
    began, sides = time.perf_counter(), (comparisons[0].real.compute(), comparisons[0].fake.compute())
    for comparison in comparisons:
        comparison.compare(*sides)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return {"seconds": round(time.perf_counter() - began), "peak_gib": round(peak, 2)}


def main() -> None:
    if len(sys.argv) > 1:
        print(json.dumps(measured(METRICS[sys.argv[1]])))
        return
    found = {
        name: json.loads(subprocess.run([sys.executable, __file__, name], capture_output=True, check=True).stdout)
        for name in METRICS
    }
    record = {"hardware": describe_hardware(torch.device("cpu")), "pictures": N, "dimensions": DIM, **found}
    path = Path(__file__).parent / "results" / "memory.json"
    path.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
