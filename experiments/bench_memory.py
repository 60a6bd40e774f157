"""Measures memory and time of backpropagation through 20 frames, 10 given and 10 predicted.

The models are those of recipe=moving_convlstm and recipe=moving_predrnn. Activations of a time step are kept, or
recomputed (`model.network.checkpointing=true`).

`python experiments/bench_memory.py` is part of `make bench` and takes four minutes on one core. Each measurement runs
in a process of its own; measurements alternate, and medians are compared. A step is a forward and a backward pass,
without the optimizer. Its memory is the peak during the step minus the memory before it. On a GPU this is the memory
that PyTorch allocated. On a CPU it is resident memory, which only Linux reports, including the gaps that the allocator
leaves.
"""

import argparse
import ctypes
import json
import statistics
import time
from concurrent.futures import ProcessPoolExecutor
from datetime import date
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
from benches import memory_table
from torch import Tensor

from gan_lab.cli.config.checks import validate
from gan_lab.cli.config.compose import compose, resolve
from gan_lab.common.device import auto_precision, describe_hardware, versions
from gan_lab.common.instantiate import instantiate
from gan_lab.models.forecasting import Forecaster
from gan_lab.training.noise import KeyedStream

BATCH, SIZE, GIVEN, FRAMES = 8, 64, 10, 20
NETWORKS = ["convlstm", "predrnn"]
CHECKPOINTING = {"kept": False, "recomputed": True}


def measured(network: str, checkpointing: bool, steps: int, device: torch.device) -> dict[str, float]:
    """Returns the memory of a step in MiB, and the median of the seconds that ``steps`` further steps take."""
    model = forecaster(network, checkpointing, device)
    clips = torch.rand(BATCH, FRAMES, 1, SIZE, SIZE, device=device) * 2 - 1
    model.context_frames = 1
    step(model, clips[:, :2])  # loads libraries and allocates gradients
    model.context_frames = GIVEN
    start_over(device)
    before, earlier = held(device)
    step(model, clips)
    _, peak = held(device)
    assert peak > earlier, "The peak was reached before the step."
    seconds = []
    for _ in range(steps):
        began = time.perf_counter()
        step(model, clips)
        seconds.append(time.perf_counter() - began)
    return {"peak_mib": (peak - before) / 2**20, "seconds": statistics.median(seconds)}


def forecaster(network: str, checkpointing: bool, device: torch.device) -> Forecaster:
    config = compose([
        f"recipe=moving_{network}", f"model.network.checkpointing={str(checkpointing).lower()}", f"batch_size={BATCH}",
        f"data.size={SIZE}", f"data.length={FRAMES}", f"model.context_frames={GIVEN}",
        f"trainer.accelerator={device.type}", "logger=none", "callbacks=none", "run_dir=.",
    ])  # fmt: skip
    validate(config)
    model: Forecaster = instantiate(resolve(config)["model"])
    model.setup("fit")
    return model.to(device)


def step(model: Forecaster, clips: Tensor) -> None:
    """Runs one forward and one backward pass; gradients stay allocated, because both ways need them."""
    model.network.zero_grad(set_to_none=False)
    kind = clips.device.type
    with torch.autocast(kind, torch.bfloat16, enabled=auto_precision(kind).startswith("bf16")):
        loss = model.losses({"frames": clips}, {}, KeyedStream("bench", device=clips.device)).total
    loss.backward()
    if kind == "cuda":
        torch.cuda.synchronize()


def start_over(device: torch.device) -> None:
    """Returns freed memory to the system; otherwise a step would reuse it, and its peak would be too low."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    else:
        ctypes.CDLL(None).malloc_trim(0)


def held(device: torch.device) -> tuple[int, int]:
    """Returns the bytes held now and the peak; on a CPU not from getrusage, which starts with the parent's memory."""
    if device.type == "cuda":
        return torch.cuda.memory_allocated(), torch.cuda.max_memory_allocated()
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    now, most = (int(status[key].split()[0]) << 10 for key in ("VmRSS", "VmHWM"))
    return now, most


def compared(found: dict[str, list[dict[str, float]]]) -> dict[str, Any]:
    """Returns medians over repetitions, and the ratio of the memory peaks."""
    peaks, seconds = (
        {name: statistics.median(each[key] for each in turns) for name, turns in found.items()}
        for key in ("peak_mib", "seconds")
    )
    return {
        "peak_mib": {name: round(value, 1) for name, value in peaks.items()},
        "recomputed_over_kept": round(peaks["recomputed"] / peaks["kept"], 3),
        "seconds": {name: float(f"{value:.3g}") for name, value in seconds.items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=3, help="repetitions of each measurement (default 3)")
    parser.add_argument("--steps", type=int, default=3, help="timed steps in each (default 3)")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--output", type=Path, help="also write the result as JSON")
    arguments = parser.parse_args()
    device = torch.device(arguments.device)
    found: dict[str, dict[str, list[dict[str, float]]]]
    found = {network: {name: [] for name in CHECKPOINTING} for network in NETWORKS}
    with ProcessPoolExecutor(1, get_context("spawn"), max_tasks_per_child=1) as fresh:
        for _ in range(arguments.turns):
            for network in NETWORKS:
                for name, checkpointing in CHECKPOINTING.items():
                    result = fresh.submit(measured, network, checkpointing, arguments.steps, device).result()
                    found[network][name].append(result)
    report = {
        "memory": {network: compared(each) for network, each in found.items()},
        "batch": BATCH, "frames": FRAMES, "size": SIZE, "precision": auto_precision(device.type),
        "hardware": describe_hardware(device), "versions": versions(), "date": date.today().isoformat(),
    }  # fmt: skip
    print("\n".join(memory_table({"bench_memory": report})))
    if arguments.output:
        arguments.output.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
