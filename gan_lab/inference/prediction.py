"""Continuing sequences of frames with a trained model."""

from dataclasses import dataclass

import torch
from torch import Tensor

from gan_lab.common.capabilities import Predicts
from gan_lab.common.errors import UserError
from gan_lab.common.precision import full_precision


@dataclass(frozen=True)
class Sequences:
    """Sequences to continue.

    Args:
        given: the frames that the model sees, float32 (N, T, C, H, W) in [-1, 1].
        truth: the frames that followed, as far as they are known, (N, S, C, H, W).
    """

    given: Tensor
    truth: Tensor


def split_clips(clips: Tensor, after: int, name: str) -> Sequences:
    """Splits clips (N, T, C, H, W) after ``after`` frames.

    Args:
        clips: float32 in [-1, 1].
        after: the number of frames that are given.
        name: what the clips are called in the error.

    Raises:
        UserError: if the clips are shorter.
    """
    if after > clips.shape[1]:
        raise UserError(f"{name} has {clips.shape[1]} frames, fewer than after={after}: give a smaller after=….")
    return Sequences(clips[:, :after], clips[:, after:])


@torch.no_grad()
def predict_frames(
    model: Predicts, given: Tensor, steps: int, batch_size: int = 16, device: torch.device | str = "cpu"
) -> Tensor:
    """Predicts the next ``steps`` frames, (N, steps, C, H, W) float32 in [-1, 1], on the CPU.

    Args:
        model: a model that continues sequences.
        given: the frames so far, float32 (N, T, C, H, W) in [-1, 1].
        steps: the number of frames to predict.
        batch_size: sequences at once.
        device: the model's device.
    """
    with full_precision():
        return torch.cat([model.predict(part.to(device), steps).cpu() for part in given.split(batch_size)])
