"""Compares how long two checkouts of gan_lab take for the metrics of given features, in turns.

    python experiments/bench_suite.py ../before . --dim 608 --real 60000 --fake 10000

Features are drawn, so neither sampling nor a network is part of the time. Metrics are those of ``metrics=standard``
that both checkouts have. Each process evaluates samples twice, as training does: nothing is known of the real images at
first, and everything that is cached at the second time.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

METRICS = {
    "distance": "frechet.FrechetDistance",
    "score": "score.Score",
    "kernel": "kernel.KernelDistance",
    "precision_recall": "precision_recall.PrecisionRecall",
    "density_coverage": "precision_recall.DensityCoverage",
}
"""Metrics of both checkouts, in gan_lab.evaluation.metrics."""


def worker(dim: int, real: int, fake: int, threads: int) -> dict[str, Any]:
    """Returns the seconds of the first and of the second evaluation, and the metrics."""
    from importlib import import_module

    from gan_lab.evaluation.features.extractors import Extractor
    from gan_lab.evaluation.image_sets import ImageSet
    from gan_lab.evaluation.suite import Suite

    torch.set_num_threads(threads)
    random = torch.Generator().manual_seed(0)
    counts = {"real": real, "fake": fake, "held out": fake, "gaussian": fake}
    shift = {"real": (1.0, 0.0), "fake": (1.05, 0.02), "held out": (1.0, 0.0), "gaussian": (1.3, 0.0)}
    tables = {
        name: torch.randn(count, dim, generator=random) * shift[name][0] + shift[name][1]
        for name, count in counts.items()
    }

    class Given(Extractor):
        """Returns features that were drawn: an image has the number of its set and its own in its bytes."""

        name, dim, classes, resizer, sha256 = "given", 0, 10, "none", "0" * 64

        def extract(self, images: Tensor) -> tuple[Tensor, Tensor]:
            numbers = images.flatten(1).long() @ torch.tensor([1, 256, 65536, 0])
            features = tables[list(tables)[int(images.flatten(1)[0, 3])]][numbers]
            return features, features[:, :10]

    Given.dim = dim

    class Numbers(ImageSet):
        """Images that have their numbers in their bytes."""

        def __init__(self, name: str, known: bool) -> None:
            self.name, self.n, self.shape = name, len(tables[name]), (1, 2, 2)
            self.key = [name] if known else None

        def batches(self, progress: bool) -> Iterator[tuple[Tensor, Tensor]]:
            which = list(tables).index(self.name)
            for numbers in torch.arange(self.n).split(256):
                parts = [numbers % 256, numbers // 256 % 256, numbers // 65536, torch.full_like(numbers, which)]
                yield numbers, torch.stack(parts, 1).to(torch.uint8).view(-1, 1, 2, 2)

    metrics: dict[str, Any] = {}
    for name, path in METRICS.items():
        module, kind = path.split(".")
        metrics[name] = getattr(import_module(f"gan_lab.evaluation.metrics.{module}"), kind)
    seconds = []
    with tempfile.TemporaryDirectory() as cache:
        for _ in range(2):
            baselines = {"gaussian": Numbers("gaussian", True), "real": Numbers("held out", True)}
            suite = Suite(metrics, [Given()], Numbers("real", True), baselines, {}, "cpu", cache, False)  # type: ignore[arg-type]
            began = time.perf_counter()
            values = suite.evaluate(Numbers("fake", False))[0]
            seconds.append(time.perf_counter() - began)
    return {"first": seconds[0], "again": seconds[1], "values": {key: float(value) for key, value in values.items()}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before", type=Path, help="a checkout")
    parser.add_argument("after", type=Path, help="another")
    parser.add_argument("--dim", type=int, default=608, help="dimension of the features (default 608)")
    parser.add_argument("--real", type=int, default=60000)
    parser.add_argument("--fake", type=int, default=10000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--output", type=Path, help="add the result to this JSON file")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    numbers = [arguments.dim, arguments.real, arguments.fake, arguments.threads]
    if arguments.worker:
        print("found", json.dumps(worker(*numbers)))
        return
    from gan_lab.common.device import describe_hardware

    found: dict[str, list[dict[str, Any]]] = {"before": [], "after": []}
    for _ in range(arguments.rounds):
        for name, checkout in (("before", arguments.before), ("after", arguments.after)):
            command = [sys.executable, __file__, str(checkout), str(checkout), "--worker"]
            for key, number in zip(("dim", "real", "fake", "threads"), numbers, strict=True):
                command += [f"--{key}", str(number)]
            env = {**os.environ, "PYTHONPATH": str(checkout.resolve()), "OMP_NUM_THREADS": str(arguments.threads)}
            output = subprocess.run(command, env=env, check=True, stdout=subprocess.PIPE, text=True).stdout
            found[name].append(json.loads(output.rsplit("found ", 1)[1]))
            print(name, {key: round(found[name][-1][key], 1) for key in ("first", "again")}, flush=True)
    medians = {
        turn: {name: round(statistics.median(run[turn] for run in runs), 2) for name, runs in found.items()}
        for turn in ("first", "again")
    }
    both = found["before"][0]["values"], found["after"][0]["values"]
    report = {
        "seconds": medians,
        "times_faster": {turn: round(each["before"] / each["after"], 2) for turn, each in medians.items()},
        "values": {key: [each[key] for each in both] for key in sorted(both[0].keys() & both[1].keys())},
        "threads": arguments.threads, "hardware": describe_hardware(torch.device("cpu")),
    }  # fmt: skip
    print(json.dumps(report, indent=1))
    if arguments.output:
        known = json.loads(arguments.output.read_text()) if arguments.output.exists() else {}
        known.setdefault("suite", {})[f"{arguments.fake} x {arguments.real}, d = {arguments.dim}"] = report
        arguments.output.write_text(json.dumps(known, indent=1) + "\n")


if __name__ == "__main__":
    main()
