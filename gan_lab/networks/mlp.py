"""The fully connected GAN (Goodfellow et al. 2014), with the layer widths common since."""

from collections.abc import Sequence

from torch import Tensor, nn

from gan_lab.common.bounds import Natural, PositiveInt
from gan_lab.networks.layers import concat_labels


class Generator(nn.Module):
    """Maps latents (N, Z) to images (N, C, H, W) in [-1, 1].

    Linear layers with batch norm and LeakyReLU 0.2, then tanh.

    Args:
        latent: Z.
        channels, height, width: size of the images.
        widths: units of the hidden layers.
        norm: use batch norm.
        classes: K; if not 0, labels (N,) are taken as well and concatenated one-hot to the latents.
    """

    def __init__(
        self,
        latent: PositiveInt,
        channels: PositiveInt,
        height: PositiveInt,
        width: PositiveInt,
        widths: Sequence[PositiveInt] = (128, 256, 512, 1024),
        norm: bool = True,
        classes: Natural = 0,
    ) -> None:
        super().__init__()
        self.classes = classes
        layers: list[nn.Module] = []
        before = latent + classes
        for after in widths:
            layers += [nn.Linear(before, after), *([nn.BatchNorm1d(after)] if norm else [])]
            layers += [nn.LeakyReLU(0.2, inplace=True)]
            before = after
        pixels = nn.Linear(before, channels * height * width)
        self.layers = nn.Sequential(*layers, pixels, nn.Tanh(), nn.Unflatten(1, (channels, height, width)))

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.layers(concat_labels(latents, labels, self.classes))


class Discriminator(nn.Module):
    """Maps images (N, C, H, W) to logits (N,): linear layers with LeakyReLU 0.2.

    Args:
        channels, height, width: size of the images.
        widths: units of the hidden layers.
        classes: K; if not 0, labels (N,) are taken as well and concatenated one-hot to the pixels.
    """

    def __init__(
        self,
        channels: PositiveInt,
        height: PositiveInt,
        width: PositiveInt,
        widths: Sequence[PositiveInt] = (512, 256),
        classes: Natural = 0,
    ) -> None:
        super().__init__()
        self.classes = classes
        layers: list[nn.Module] = []
        before = channels * height * width + classes
        for after in widths:
            layers += [nn.Linear(before, after), nn.LeakyReLU(0.2, inplace=True)]
            before = after
        self.layers, self.out, self.width = nn.Sequential(*layers), nn.Linear(before, 1), before

    def features(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Maps images (N, C, H, W), and labels (N,) if conditional, to the last features (N, width)."""
        return self.layers(concat_labels(images.flatten(1), labels, self.classes))

    def logits(self, features: Tensor) -> Tensor:
        """Maps features (N, width) to logits (N,)."""
        return self.out(features).flatten()

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.logits(self.features(images, labels))
