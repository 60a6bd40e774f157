"""Rows that compare predicted clips with the truth."""

import torch
from torch import Tensor

BLANK = 1.0
"""White, for cells without content."""


def compared(context: Tensor, predicted: Tensor, truth: Tensor | None = None) -> Tensor:
    """Returns rows for the same N clips, (R, N, T + S, C, H, W) in [-1, 1].

    The rows are the clip, the prediction, and, if the truth is known, the absolute error, white where it is largest.

    Example: ``save_png("sheet.png", grid(compared(context, predicted).transpose(0, 1).flatten(0, 2), T + S))``

    Args:
        context: frames that the model saw, (N, T, C, H, W).
        predicted: its predictions of the next frames, (N, S, C, H, W).
        truth: the true next frames, as far as they are known, (N, S', C, H, W); None if none are.
    """
    truth = predicted[:, :0] if truth is None else truth[:, : predicted.shape[1]]
    known = truth.shape[1]
    before, after = torch.full_like(context, BLANK), torch.full_like(predicted[:, known:], BLANK)
    rows = [torch.cat([context, truth, after], 1), torch.cat([before, predicted], 1)]
    if known:
        rows.append(torch.cat([before, (predicted[:, :known] - truth).abs() - 1, after], 1))
    return torch.stack(rows)
