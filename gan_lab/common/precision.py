"""Full float32 precision, for penalties, samples and metrics; and the lower one that a command may ask for."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import backends

from gan_lab.common.errors import UserError

LOWER = {"bf16": torch.bfloat16, "fp16": torch.float16}
"""Precisions below fp32, by name."""

_asked: list[torch.dtype | None] = []
"""What the commands that run ask for, innermost last."""


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


@contextmanager
def asked_precision(name: str, device: torch.device) -> Iterator[None]:
    """Makes models compute in a precision wherever they would compute in full precision to be used (``at_inference``).

    Args:
        name: "fp32", "bf16" or "fp16".
        device: the models' device.

    Raises:
        UserError: if the device does not compute in it.
    """
    if name == "fp16" and device.type == "cpu":
        raise UserError("precision=fp16 needs a GPU: give precision=bf16, or fp32.")
    _asked.append(LOWER.get(name))
    try:
        yield
    finally:
        _asked.pop()


@contextmanager
def at_inference(device: torch.device) -> Iterator[None]:
    """Computes in full float32 precision without autocast, or in the precision that a command asks for."""
    if _asked and _asked[-1] is not None:
        with torch.autocast(device.type, _asked[-1]):
            yield
        return
    with torch.autocast(device.type, enabled=False), full_precision():
        yield
