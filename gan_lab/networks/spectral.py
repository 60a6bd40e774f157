"""Spectral normalisation (Miyato et al. 2018): each layer's largest singular value is 1."""

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize
from torch.nn.utils import parametrize

LAYERS = nn.Conv2d | nn.ConvTranspose2d | nn.Linear | nn.Embedding


class SpectralNorm(nn.Module):
    """A parametrisation W → W / σ(W), σ by power iteration: one step for each forward in training.

    It is reckoned in float32 whatever the precision of the network. Without training, a step is taken from the vector
    kept, which is left as it is: of an averaged network it is the average of many, and no unit vector.

    Args:
        weight: seen as a matrix whose rows are its ``dim``.
        dim: the layer's outputs.
        begin: power iterations to begin with.
    """

    u: Tensor

    def __init__(self, weight: Tensor, dim: int = 0, begin: int = 15) -> None:
        super().__init__()
        self.dim = dim
        self.register_buffer("u", normalize(torch.randn(weight.shape[dim]), dim=0))
        with torch.no_grad():
            for _ in range(begin):
                self.u.copy_(self._vectors(self._matrix(weight))[0])

    def forward(self, weight: Tensor) -> Tensor:
        with torch.autocast(weight.device.type, enabled=False):
            matrix = self._matrix(weight)
            with torch.no_grad():
                u, v = self._vectors(matrix)
                if self.training:
                    self.u.copy_(u)
            return weight / torch.dot(u, matrix @ v)

    def _matrix(self, weight: Tensor) -> Tensor:
        return weight.movedim(self.dim, 0).flatten(1)

    def _vectors(self, matrix: Tensor) -> tuple[Tensor, Tensor]:
        """The left and right singular vectors, one step nearer."""
        v = normalize(self.u @ matrix, dim=0)
        return normalize(matrix @ v, dim=0), v


def spectral_norm(network: nn.Module) -> nn.Module:
    """Puts the norm on every weight of convolutions, linear layers and embeddings in the network; returns it.

    Raises:
        ValueError: for a layer that begins at 0, which has no singular vectors.
    """
    for layer in [*network.modules()]:
        if isinstance(layer, LAYERS):
            if not layer.weight.any():
                raise ValueError(
                    "Spectral normalisation does not serve a network whose layers begin at 0, as R3GAN's do: "
                    "choose network=resnet or dcgan, or leave it away."
                )
            norm = SpectralNorm(layer.weight.detach(), dim=int(isinstance(layer, nn.ConvTranspose2d)))
            parametrize.register_parametrization(layer, "weight", norm)
    return network
