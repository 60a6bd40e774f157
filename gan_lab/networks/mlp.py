"""The fully connected GAN (Goodfellow et al. 2014, in the width common since)."""

from collections.abc import Sequence

from torch import Tensor, nn


class Generator(nn.Module):
    """Latents (N, Z) → images (N, C, H, W) in [-1, 1].

    Linear layers with batch norm and LeakyReLU 0.2, then tanh.

    Args:
        latent: Z.
        channels, height, width: of the images.
        widths: of the hidden layers.
    """

    def __init__(
        self, latent: int, channels: int, height: int, width: int, widths: Sequence[int] = (128, 256, 512, 1024)
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before = latent
        for after in widths:
            layers += [nn.Linear(before, after), nn.BatchNorm1d(after), nn.LeakyReLU(0.2, inplace=True)]
            before = after
        pixels = nn.Linear(before, channels * height * width)
        self.layers = nn.Sequential(*layers, pixels, nn.Tanh(), nn.Unflatten(1, (channels, height, width)))

    def forward(self, latents: Tensor) -> Tensor:
        return self.layers(latents)


class Discriminator(nn.Module):
    """Images (N, C, H, W) → logits (N,): linear layers with LeakyReLU 0.2."""

    def __init__(self, channels: int, height: int, width: int, widths: Sequence[int] = (512, 256)) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Flatten()]
        before = channels * height * width
        for after in widths:
            layers += [nn.Linear(before, after), nn.LeakyReLU(0.2, inplace=True)]
            before = after
        self.layers = nn.Sequential(*layers, nn.Linear(before, 1))

    def forward(self, images: Tensor) -> Tensor:
        return self.layers(images).flatten()
