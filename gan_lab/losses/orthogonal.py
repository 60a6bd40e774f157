"""Orthogonal regularisation of weights (Brock, Donahue and Simonyan 2019, section 3.1)."""

from collections.abc import Iterable

import torch
from torch import Tensor


def non_orthogonality(weights: Iterable[Tensor]) -> Tensor:
    """Returns the sum over weights of ‖W Wᵀ ⊙ (1 - I)‖², a scalar (eq. 3): filters may have any norm.

    Args:
        weights: (outputs, …), of which those with one dimension are left out.
    """
    matrices = (weight.flatten(1) for weight in weights if weight.ndim > 1)
    products = (matrix @ matrix.T for matrix in matrices)
    return torch.stack([product.square().sum() - product.diagonal().square().sum() for product in products]).sum()
