"""Orthogonal regularisation of weights (Brock, Donahue and Simonyan 2019, section 3.1)."""

from collections.abc import Iterable

import torch
from torch import Tensor


def non_orthogonality(weights: Iterable[Tensor]) -> Tensor:
    """Returns the sum over weights of ‖W Wᵀ ⊙ (1 - I)‖², a scalar (eq. 3): filters may have any norm.

    ‖W Wᵀ‖² is ‖Wᵀ W‖², of which the smaller one is computed.

    Args:
        weights: (outputs, …), of which those with one dimension are left out.
    """
    matrices = (weight.flatten(1) for weight in weights if weight.ndim > 1)
    return torch.stack([_off_diagonal(matrix) for matrix in matrices]).sum()


def _off_diagonal(matrix: Tensor) -> Tensor:
    rows, columns = matrix.shape
    product = matrix @ matrix.T if rows < columns else matrix.T @ matrix
    return product.square().sum() - matrix.square().sum(1).square().sum()
