"""What surrounds each step costs little."""

import os
import platform
import subprocess
import sys

import pytest
import torch
from lightning.pytorch import Callback, Trainer
from torch import nn

from gan_lab.training.alternating import AlternatingModule
from gan_lab.training.ema import EMA
from gan_lab.training.quick import NVML_CHECK, NoProfiler, stop_looking_for_a_driver
from tests.training.test_alternating import fit, make


@pytest.mark.parametrize("available", [False, True])
def test_only_without_a_gpu_the_driver_is_not_asked_again(monkeypatch: pytest.MonkeyPatch, available: bool) -> None:
    monkeypatch.setenv(NVML_CHECK, "1")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: available)
    stop_looking_for_a_driver()
    assert (NVML_CHECK in os.environ) == available


def test_the_profiler_measures_nothing_and_can_be_nested() -> None:
    profiler = NoProfiler()
    with profiler.profile("step"), profiler.profile("hook"):
        pass
    assert not profiler.summary()


class Outputs(Callback):
    def __init__(self) -> None:
        self.names: list[set[str]] = []

    def on_train_batch_end(self, trainer: Trainer, module: AlternatingModule, outputs: dict, *_: object) -> None:  # type: ignore[type-arg,override]
        self.names.append(set(outputs["generator"]))


@pytest.mark.parametrize(("clip", "expected"), [(None, [1, 3]), (1.0, [0, 1, 2, 3])])
def test_gradient_norms_are_measured_where_they_are_logged_or_clipped(clip: float | None, expected: list[int]) -> None:
    module, outputs = make(iterations=4, log_every=2, clip=clip), Outputs()
    fit(module, callbacks=[outputs])
    assert [i for i, names in enumerate(outputs.names) if "grad_norm" in names] == expected


def test_averages_follow_tensors_that_were_exchanged() -> None:
    """``Module.to`` gives modules new buffers, and a tied weight is averaged once."""
    live = nn.Sequential(nn.BatchNorm1d(2), nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False))
    live[2].weight = live[1].weight
    ema = EMA({"g": live}, half_life=64)
    ema.update({"g": live}, 64, images_seen=10**6)
    for network in (live, ema):
        network.double()
    before = ema.networks["g"][1].weight.clone()
    with torch.no_grad():
        live[1].weight.add_(1)
        live[0].running_mean.fill_(4)
        live[0].num_batches_tracked.fill_(7)
    ema.update({"g": live}, 64, images_seen=10**6)
    average = ema.networks["g"]
    assert torch.allclose(average[1].weight, before + 0.5)
    assert torch.equal(average[0].running_mean, torch.full((2,), 2.0, dtype=torch.float64))
    assert average[0].num_batches_tracked == 7


def test_averages_of_another_network_begin_anew() -> None:
    ema = EMA({"g": nn.Linear(1, 1, bias=False)}, half_life=0)
    for _ in range(2):
        live = nn.Linear(1, 1, bias=False)
        ema.update({"g": live}, 1, images_seen=1)
        assert torch.equal(ema.networks["g"].weight, live.weight)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only the GNU C library has these settings")
def test_memory_that_a_step_frees_is_kept_for_the_next() -> None:
    """Fetching it again costs a fault for each page of 4 KiB."""
    code = (
        "import resource, torch; from gan_lab.training.quick import keep_freed_memory as keep\n"
        "def faults():\n"
        "    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n"
        "    for _ in range(5): torch.ones(9_000_000)\n"
        "    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before\n"
        "first = faults(); keep(); faults(); print(first, faults())"
    )
    plain = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    done = subprocess.run([sys.executable, "-c", code], env=plain, capture_output=True, text=True, check=True)
    before, after = map(int, done.stdout.split())
    assert before > 5 * 8_000
    assert after < 100
