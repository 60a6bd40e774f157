"""Memory and time of back-propagation through 20 frames, 10 given and 10 predicted, as recipe=moving_convlstm and
moving_predrnn have it: what time steps compute is kept, or computed again (`model.network.checkpointing=true`).

`python experiments/bench_memory.py` is part of `make bench` and takes four minutes of one core. Every
measurement is a process of its own; they take turns, and medians are compared. A step is forward and backward, without
the optimizer. Its memory is the most that the process held in it, less what it held before: on a GPU what PyTorch had
allocated; on a CPU resident memory, which only Linux tells, with the gaps that its allocator leaves between tensors.
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

from gan_lab.cli.config.checks import settle
from gan_lab.cli.config.compose import compose, resolve
from gan_lab.common.device import auto_precision, describe_hardware, versions
from gan_lab.common.instantiate import instantiate
from gan_lab.models.forecasting import Forecaster
from gan_lab.training.noise import KeyedStream

BATCH, SIZE, GIVEN, FRAMES = 8, 64, 10, 20
NETWORKS = ["convlstm", "predrnn"]
CHECKPOINTING = {"kept": False, "recomputed": True}


def measured(network: str, checkpointing: bool, steps: int, device: torch.device) -> dict[str, float]:
    """The memory of a step, in MiB, and the median of the seconds that so many more take."""
    model = forecaster(network, checkpointing, device)
    clips = torch.rand(BATCH, FRAMES, 1, SIZE, SIZE, device=device) * 2 - 1
    model.context_frames = 1
    step(model, clips[:, :2])  # libraries are loaded, and gradients have their place
    model.context_frames = GIVEN
    start_over(device)
    before, earlier = held(device)
    step(model, clips)
    _, peak = held(device)
    assert peak > earlier, "The peak is of what came before the step."
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
    settle(config)
    model: Forecaster = instantiate(resolve(config)["model"])
    model.setup("fit")
    return model.to(device)


def step(model: Forecaster, clips: Tensor) -> None:
    """Forward and backward, to their end; gradients are kept in place, for they are needed either way."""
    model.network.zero_grad(set_to_none=False)
    kind = clips.device.type
    with torch.autocast(kind, torch.bfloat16, enabled=auto_precision(kind).startswith("bf16")):
        loss = model.terms({"frames": clips}, {}, KeyedStream("bench", device=clips.device)).total
    loss.backward()
    if kind == "cuda":
        torch.cuda.synchronize()


def start_over(device: torch.device) -> None:
    """Lets a step find no room that an earlier one left, or the figure would lack it."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    else:
        ctypes.CDLL(None).malloc_trim(0)


def held(device: torch.device) -> tuple[int, int]:
    """Bytes now and at most so far; on a CPU not by getrusage, which begins with what the parent held."""
    if device.type == "cuda":
        return torch.cuda.memory_allocated(), torch.cuda.max_memory_allocated()
    told = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    now, most = (int(told[key].split()[0]) << 10 for key in ("VmRSS", "VmHWM"))
    return now, most


def compared(found: dict[str, list[dict[str, float]]]) -> dict[str, Any]:
    """Medians of the turns, and their ratio in memory."""
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
    parser.add_argument("--turns", type=int, default=3, help="processes of each kind (default 3)")
    parser.add_argument("--steps", type=int, default=3, help="timed in each (default 3)")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--output", type=Path, help="also write the figures as JSON")
    arguments = parser.parse_args()
    device = torch.device(arguments.device)
    found: dict[str, dict[str, list[dict[str, float]]]]
    found = {network: {name: [] for name in CHECKPOINTING} for network in NETWORKS}
    with ProcessPoolExecutor(1, get_context("spawn"), max_tasks_per_child=1) as fresh:
        for _ in range(arguments.turns):
            for network in NETWORKS:
                for name, checkpointing in CHECKPOINTING.items():
                    told = fresh.submit(measured, network, checkpointing, arguments.steps, device).result()
                    found[network][name].append(told)
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
