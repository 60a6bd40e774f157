"""Savings in what surrounds each step: questions to the driver, and the profiler that is not in use."""

import contextlib
import os

import torch
from lightning.pytorch.profilers import PassThroughProfiler

NVML_CHECK = "PYTORCH_NVML_BASED_CUDA_CHECK"


def stop_looking_for_a_driver() -> None:
    """On a machine without a GPU, lets PyTorch remember that there is none.

    Lightning's import sets ``NVML_CHECK``, which protects processes that are forked before CUDA begins. Each step of an
    optimizer then looks for the driver's library on the disk (0.03 to 0.13 ms). Where the library found no device there
    is nothing to protect, and without the variable the answer is known at once. It stays set where there is a GPU.
    """
    if not torch.cuda.is_available():
        os.environ.pop(NVML_CHECK, None)


class NoProfiler(PassThroughProfiler):
    """Lightning's profiler that measures nothing, without a generator for each hook of each callback (120 a step)."""

    NOTHING = contextlib.nullcontext()

    def profile(self, action_name: str) -> contextlib.AbstractContextManager[None]:  # type: ignore[override]
        return self.NOTHING
