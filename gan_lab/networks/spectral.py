"""Spectral normalisation (Miyato et al. 2018): divides each layer's weight by its largest singular value."""

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize
from torch.nn.utils import parametrize

LAYERS = nn.Conv2d | nn.ConvTranspose2d | nn.Linear | nn.Embedding


class SpectralNorm(nn.Module):
    """A parametrisation W → W / σ(W) of a weight W of any shape; σ is estimated by power iteration.

    Each forward in training mode does one iteration and stores its vector. A forward in evaluation mode iterates once
    from the stored vector and does not change it: in an averaged network that vector is a mean of many, and no unit
    vector. The computation is in float32 whatever the precision of the network.

    Args:
        weight: the layer's weight, any shape; it is viewed as a matrix with a row for each index of ``dim``.
        dim: the dimension of the layer's outputs.
        begin: power iterations at construction.
    """

    u: Tensor

    def __init__(self, weight: Tensor, dim: int = 0, begin: int = 15) -> None:
        super().__init__()
        self.dim = dim
        self.register_buffer("u", normalize(torch.randn(weight.shape[dim]), dim=0))
        with torch.no_grad():
            for _ in range(begin):
                self.u.copy_(self._power_iteration(self._matrix(weight))[0])

    def forward(self, weight: Tensor) -> Tensor:
        with torch.autocast(weight.device.type, enabled=False):
            matrix = self._matrix(weight)
            with torch.no_grad():
                u, v = self._power_iteration(matrix)
                if self.training:
                    self.u.copy_(u)
            return weight / torch.dot(u, matrix @ v)

    def _matrix(self, weight: Tensor) -> Tensor:
        return weight.movedim(self.dim, 0).flatten(1)

    def _power_iteration(self, matrix: Tensor) -> tuple[Tensor, Tensor]:
        """Returns estimates of the left and right singular vectors after one more iteration."""
        v = normalize(self.u @ matrix, dim=0)
        return normalize(matrix @ v, dim=0), v


def spectral_norm(network: nn.Module) -> nn.Module:
    """Normalises every weight of convolutions, linear layers and embeddings in the network, which it returns.

    Raises:
        ValueError: for a layer with zero weights, which has no singular vectors, and for a network with no such layer.
    """
    layers = [layer for layer in network.modules() if isinstance(layer, LAYERS)]
    if not layers:
        raise ValueError(
            "Spectral normalisation needs torch's own layers, which the networks of StyleGAN2 and progressive growing "
            "do not have: choose network=resnet or dcgan, or remove it."
        )
    for layer in layers:
        if not layer.weight.any():
            raise ValueError(
                "Spectral normalisation needs layers that do not start at zero, as R3GAN's do: "
                "choose network=resnet or dcgan, or remove it."
            )
        norm = SpectralNorm(layer.weight.detach(), dim=int(isinstance(layer, nn.ConvTranspose2d)))
        parametrize.register_parametrization(layer, "weight", norm)
    return network
