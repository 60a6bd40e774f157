"""Full float32 precision, for penalties, samples and metrics."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import backends


@contextmanager
def full_precision() -> Iterator[None]:
    """Makes float32 convolutions and matrix products use neither TF32 nor bf16, whatever the process's settings."""
    convolutions = backends.cudnn.conv, backends.mkldnn.conv  # type: ignore[attr-defined]
    products = backends.cuda.matmul, backends.mkldnn.matmul  # type: ignore[attr-defined]
    settings = convolutions + products
    before = [setting.fp32_precision for setting in settings]
    try:
        for setting in settings:
            setting.fp32_precision = "ieee"
        yield
    finally:
        for setting, precision in zip(settings, before, strict=True):
            setting.fp32_precision = precision
