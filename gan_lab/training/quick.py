"""Savings in what surrounds each step: questions to the driver, freed memory, the profiler that is not in use."""

import contextlib
import ctypes
import os
import sys

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


M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Parameters of the C library's ``mallopt``."""


def keep_freed_memory() -> None:
    """Lets the next step have the memory that a step frees, on Linux with the GNU C library.

    By default it goes back to the system and is fetched again page by page: a tenth of a step of pix2pix, with 220 MB
    of gradients. At most 256 MiB are kept, and what is larger than 64 MiB still goes back. Own settings are left alone.
    """
    if sys.platform != "linux" or any(name.startswith("MALLOC_") for name in os.environ):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # other C libraries have none
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, 64 << 20)
        mallopt(M_TRIM_THRESHOLD, 256 << 20)


class NoProfiler(PassThroughProfiler):
    """Lightning's profiler that measures nothing, without a generator for each hook of each callback (120 a step)."""

    NOTHING = contextlib.nullcontext()

    def profile(self, action_name: str) -> contextlib.AbstractContextManager[None]:  # type: ignore[override]
        return self.NOTHING
