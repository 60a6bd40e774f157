"""Gradients through what models generate, which capabilities compute without otherwise."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

_recording: list[bool] = []


@contextmanager
def gradients() -> Iterator[None]:
    """Lets capabilities such as ``decode`` and ``synthesize`` record gradients with respect to their inputs.

    Images are not clamped then (see ``bounded``).
    """
    _recording.append(True)
    try:
        with torch.enable_grad():
            yield
    finally:
        _recording.pop()


@contextmanager
def only_asked_gradients() -> Iterator[None]:
    """Disables gradients, except within ``gradients``."""
    with torch.set_grad_enabled(bool(_recording) and torch.is_grad_enabled()):
        yield


def bounded(images: Tensor) -> Tensor:
    """Returns images of any shape in float32, clamped to [-1, 1] unless ``gradients`` are recorded.

    Beyond the range a clamped pixel has no gradient that would lead back into it.
    """
    return images.float() if _recording and torch.is_grad_enabled() else images.float().clamp(-1, 1)


@contextmanager
def learning(network: nn.Module, wanted: bool) -> Iterator[None]:
    """Gives gradients to all parameters of a network, or to none, which saves computing them; and restores what was."""
    before = {parameter: parameter.requires_grad for parameter in network.parameters()}
    try:
        _set(dict.fromkeys(before, wanted))
        yield
    finally:
        _set(before)


def _set(wanted: Mapping[nn.Parameter, bool]) -> None:
    for parameter, learns in wanted.items():
        parameter.requires_grad_(learns)
