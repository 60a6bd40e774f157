"""Where float32 must mean float32: penalties, samples, figures."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import backends


@contextmanager
def full_precision() -> Iterator[None]:
    """Inside, float32 convolutions and matrix products use neither TF32 nor bf16, whatever the process has chosen."""
    convolutions = backends.cudnn.conv, backends.mkldnn.conv  # type: ignore[attr-defined]
    products = backends.cuda.matmul, backends.mkldnn.matmul  # type: ignore[attr-defined]
    knobs = convolutions + products
    before = [knob.fp32_precision for knob in knobs]
    try:
        for knob in knobs:
            knob.fp32_precision = "ieee"
        yield
    finally:
        for knob, precision in zip(knobs, before, strict=True):
            knob.fp32_precision = precision
