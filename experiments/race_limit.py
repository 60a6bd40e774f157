"""Computes how fast a training step could be on one core: its arithmetic at the core's peak, its bytes at the memory's.

    python experiments/race_limit.py OVERRIDES

Counts the floating-point operations of an iteration (matrix products and convolutions, forward and backward), and the
bytes that Adam and the averaged weights move. Peaks are measured here: the faster of a matrix product and a convolution
in the run's precision, and the copying of a large array.
"""

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import torch
from lightning.pytorch import Callback
from torch.nn.functional import conv2d
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from gan_lab.cli.config.checks import validate
from gan_lab.cli.config.compose import compose, resolve
from gan_lab.common.instantiate import instantiate
from gan_lab.training.run_config import RunConfig
from gan_lab.training.trainer import make_trainer

UPDATE_BYTES = 4 * 7 + 4 * 3
"""Of a parameter: Adam reads four numbers and writes three, and its average takes three more."""
WARM_UP = 2


class Operations(TorchDispatchMode):
    """Counts floating-point operations of matrix products and convolutions.

    ``FlopCounterMode`` counts them by module, and raises where a penalty differentiates at the discriminator's input.
    """

    total = 0.0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        count = flop_registry.get(func._overloadpacket)
        self.total += count(*args, **(kwargs or {}), out_val=result) if count else 0
        return result


class Counter(Callback):
    """Counts the operations of one iteration, and ends the run."""

    iterations, operations = 0, 0.0

    def on_train_batch_start(self, *_: Any) -> None:
        if self.iterations == WARM_UP:
            self.mode = Operations()
            self.mode.__enter__()

    def on_train_batch_end(self, trainer: Any, *_: Any) -> None:
        self.iterations += 1
        if self.iterations > WARM_UP:
            self.mode.__exit__(None, None, None)
            self.operations = self.mode.total
            trainer.should_stop = True


def counted(overrides: list[str]) -> tuple[float, int, str]:
    """Returns the operations of an iteration, the number of parameters, and the precision."""
    without = [f"callbacks.{name}=null" for name in ("samples", "fidelity", "confusion", "checkpoint", "estimate")]
    config = compose([*overrides, *without, "logger=none", "run_dir=."])
    validate(config)
    plain = resolve(config)
    trainer, _ = make_trainer(RunConfig.of(plain))
    counter = Counter()
    trainer.callbacks.append(counter)  # type: ignore[attr-defined]
    model = instantiate(plain["model"])
    trainer.fit(model, datamodule=instantiate(plain["data"]))
    parameters = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    return counter.operations, parameters, str(plain["precision"])


def peak_operations(dtype: torch.dtype) -> float:
    """Returns operations a second."""
    a, b = (torch.randn(1024, 1024, dtype=dtype) for _ in range(2))
    x = torch.randn(4, 256, 34, 34, dtype=dtype).to(memory_format=torch.channels_last)
    w = torch.randn(256, 256, 3, 3, dtype=dtype).to(memory_format=torch.channels_last)
    rates = (2 * 1024**3 / fastest(lambda: a @ b), 2 * 4 * 32**2 * 256**2 * 9 / fastest(lambda: conv2d(x, w)))
    return max(rates)


def peak_bytes() -> float:
    """Returns bytes a second that are read and written."""
    source, target = torch.zeros(1 << 26), torch.zeros(1 << 26)
    return 2 * 4 * (1 << 26) / fastest(lambda: target.copy_(source))


def fastest(work: Callable[[], object], repeats: int = 12) -> float:
    """Returns the processor seconds of the fastest call."""
    seconds = []
    for _ in range(repeats):
        began = time.process_time()
        work()
        seconds.append(time.process_time() - began)
    return min(seconds)


def main() -> None:
    torch.set_num_threads(1)
    with torch.no_grad():
        memory = peak_bytes()
    operations, parameters, precision = counted(sys.argv[1:])
    with torch.no_grad():
        peak = peak_operations(torch.bfloat16 if precision.startswith("bf16") else torch.float32)
    seconds = operations / peak + UPDATE_BYTES * parameters / memory
    found = {
        "gflop": operations / 1e9, "peak_gflop_s": peak / 1e9, "parameters": parameters,
        "peak_gb_s": memory / 1e9, "seconds": seconds,
    }  # fmt: skip
    print("found", json.dumps({key: float(f"{value:.4g}") for key, value in found.items()}))


if __name__ == "__main__":
    main()
