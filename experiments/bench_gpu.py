"""Measures training of StyleGAN2 at 256 px on a GPU: images a second, memory and use of the device (`make gpu`).

Every setting is a process of its own, with its own peak of memory, and takes a share of `--minutes`. Times are those of
whole iterations (data, both players, penalties, Lightning's work), as the median over periods of 16, within which every
penalty is due.

The use of the device (MFU) is the arithmetic of convolutions and matrix products, forward and backward, counted by
PyTorch over one such period, divided by what the device could do in that time: NVIDIA's data sheet for dense bfloat16,
and half of it for TF32.

The derivatives are checked first: those of first and second order through ADA, on the device against the CPU.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from benches import gpu_table
from lightning.pytorch import Callback, Trainer
from race_limit import Operations

import gan_lab
from gan_lab.common.device import describe_hardware, versions
from gan_lab.training.ada import ADA
from gan_lab.training.noise import KeyedStream

PERIOD = 16
"""Iterations between two evaluations of R1, the laziest penalty."""
PEAKS = {"H200": 989e12, "H100": 989e12, "A100": 312e12, "L40": 181e12, "4090": 165e12, "L4": 121e12, "V100": 125e12}
"""Operations a second in dense bfloat16 (float16 for V100), by a part of the device's name."""
SETTINGS: dict[str, list[str]] = {
    "tf32": ["precision=32-true"],
    "bf16": ["precision=bf16-mixed"],
    "bf16, compiled": ["precision=bf16-mixed", "compile=true"],
    "bf16, ADA": ["precision=bf16-mixed", "remedy=ada", "model.augment.ada.p=0.5"],
    "bf16, recomputed": ["precision=bf16-mixed", "remedy=recompute"],
}
PUBLISHED = 80.0
"""Images a second of NVIDIA's StyleGAN2-ADA (PyTorch) at 256 px on one A100, as published."""


class Periods(Callback):
    """Counts the operations of the first period of iterations, lets the second warm up, and times the others.

    Args:
        seconds: training ends with the first period after them.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds, self.counter = seconds, Operations()
        self.iterations = 0
        self.marks = [time.perf_counter()]
        torch.compiler.set_stance("force_eager")  # what is compiled is not counted
        self.counter.__enter__()

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        self.iterations += 1
        if self.iterations % PERIOD:
            return
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        self.marks.append(time.perf_counter())
        if len(self.marks) == 2:
            self.counter.__exit__(None, None, None)
            torch.compiler.set_stance("default")
        trainer.should_stop = len(self.marks) > 3 and self.marks[-1] - self.marks[0] > self.seconds


def worker(seconds: float, overrides: Sequence[str]) -> dict[str, Any]:
    """Trains for at least some seconds, and returns what was measured."""
    with tempfile.TemporaryDirectory() as folder:
        without = ["logger=none", "callbacks=none", "budget.images=100000000", "budget.epochs=null"]
        run = gan_lab.compose("train", *overrides, *without, f"run_dir={folder}")
        periods = Periods(seconds)
        run.trainer.callbacks.append(periods)  # type: ignore[attr-defined]
        run.trainer.fit(run.model, datamodule=run.data)
    images = PERIOD * run.config["batch_size"]
    timed = [after - before for before, after in pairwise(periods.marks[2:])]
    speed, operations = images / statistics.median(timed), periods.counter.total / images
    found = {"images_per_second": speed, "periods": len(timed), "operations_per_image": operations}
    found["seconds_to_warm_up"] = periods.marks[2] - periods.marks[1]
    if torch.cuda.is_available():
        found["peak_gib"] = torch.cuda.max_memory_allocated() / 2**30
        peak = next((each for name, each in PEAKS.items() if name in torch.cuda.get_device_name()), None)
        if peak is not None:
            found["use_of_the_device"] = (
                operations * speed / (peak if run.config["precision"].startswith("bf16") else peak / 2)
            )
    return {name: float(f"{value:.4g}") for name, value in found.items()}


def check(device: torch.device) -> dict[str, float]:
    """Returns how far first and second derivatives of ADA on the device are from those on the CPU, over their size."""
    found = {}
    for pipeline in ("bgc", "bgcfnk"):
        results = []
        for each in (torch.device("cpu"), device):
            ada = ADA(pipeline=pipeline, p=1.0, target=None)
            images = torch.linspace(-1, 1, 4 * 3 * 32 * 32).view(4, 3, 32, 32).sin().to(each).requires_grad_()
            logits = ada(images, KeyedStream(0, 0, "check", device=each)).tanh().sum((1, 2, 3))
            (slope,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
            (second,) = torch.autograd.grad(slope.square().sum(), images)
            results.append((slope.detach().cpu(), second.cpu()))
        for order, (ours, theirs) in enumerate(zip(*results, strict=True), 1):
            found[f"{pipeline}, order {order}"] = float((ours - theirs).norm() / ours.norm())
    return found


def measured(seconds: float, overrides: Sequence[str]) -> dict[str, Any]:
    """Returns what a process of its own measures, or the last line of its errors."""
    command = [sys.executable, __file__, "--worker", str(seconds), *overrides]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        return {"failed": (done.stderr.strip().splitlines() or ["no words"])[-1]}
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def main() -> None:
    if sys.argv[1:2] == ["--worker"]:
        print(json.dumps(worker(float(sys.argv[2]), sys.argv[3:])))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=6.0, help="of training, over all settings (default 6)")
    parser.add_argument("--size", type=int, default=256, help="of images in px (default 256)")
    parser.add_argument("--batch", type=int, default=32, help="images of a step (default 32)")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--output", type=Path, help="also write the result as JSON")
    arguments, more = parser.parse_known_args()
    device = torch.device(arguments.device)
    common = ["model=stylegan2", "data=fake", "data.channels=3", f"data.size={arguments.size}", "scale=paper",
              f"batch_size={arguments.batch}", f"trainer.accelerator={device.type}", *more]  # fmt: skip
    report: dict[str, Any] = {"derivatives": check(device), "gpu": {}}
    print("derivatives on the device against the CPU:", json.dumps(report["derivatives"]), flush=True)
    for name, own in SETTINGS.items():
        report["gpu"][name] = measured(60 * arguments.minutes / len(SETTINGS), [*common, *own])
        print(name, json.dumps(report["gpu"][name]), flush=True)
    report |= {
        "size": arguments.size, "batch": arguments.batch, "published": PUBLISHED,
        "hardware": describe_hardware(device), "versions": versions(), "date": date.today().isoformat(),
    }  # fmt: skip
    print("\n".join(gpu_table({"bench_gpu": report})))
    if arguments.output:
        arguments.output.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
