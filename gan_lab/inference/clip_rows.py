"""Sequences side by side: what came, what was predicted, and how far that is off."""

import torch
from torch import Tensor

BLANK = 1.0
"""White stands where there is nothing to show."""


def compared(given: Tensor, made: Tensor, truth: Tensor | None = None) -> Tensor:
    """Rows of the same N sequences, (R, N, T + S, C, H, W) in [-1, 1]: what came, what was predicted, and, where the
    truth is known, the absolute error, white where it is largest.

    Args:
        given: frames that the model saw, (N, T, C, H, W).
        made: its predictions of the next ones, (N, S, C, H, W).
        truth: those of them that came, (N, S', C, H, W), S' up to S; None of none.
    """
    truth = made[:, :0] if truth is None else truth[:, : made.shape[1]]
    known = truth.shape[1]
    before, after = torch.full_like(given, BLANK), torch.full_like(made[:, known:], BLANK)
    rows = [torch.cat([given, truth, after], 1), torch.cat([before, made], 1)]
    if known:
        rows.append(torch.cat([before, (made[:, :known] - truth).abs() - 1, after], 1))
    return torch.stack(rows)
